import Checkpoints
import Foundation
import TestSupport
import Testing

/// What all subcommands share: streams, help, wrong usage.
@Suite struct CommandLineTests {
  let bench: Workbench

  init() throws {
    bench = try Workbench()
    try bench.take("head-tagger")
  }

  @Test func quiet() throws {
    for arguments in [
      ["convert", "model.h5", "q.strata"], ["inspect", "model.h5"],
      ["inspect", "model.h5", "--stats"], ["verify", "model.h5", "golden.h5"],
      ["diff", "model.h5", "model.h5"], ["explain", "model.h5"],
      ["run", "model.h5", "--input", "golden.h5", "--output", "q.h5"], ["bench", "model.h5"],
      ["inspect", "model.h5", "--tree"], ["report", "model.h5", "-o", "q.html"],
    ] {
      let result = try Tool.run(arguments + ["--quiet"], in: bench.directory)
      #expect(result.status == 0, "\(result)")
      #expect(result.output + result.errors == "", "\(result)")
    }
    // Faults are told all the same.
    let result = try bench.strata("inspect", "absent.h5", "--quiet")
    #expect(result.status == 2)
    #expect(result.errors == "error: absent.h5: no such file\n")
  }

  @Test func benchReport() throws {
    let report = try bench.json(
      "bench", "model.h5", "--steps", "3", "--batch", "2", "--threads", "2")
    #expect(Set(report.keys) == ["median_us", "min_us", "steps", "batch", "threads", "isa"])
    #expect(report["steps"] as? Int == 3)
    #expect(report["batch"] as? Int == 2)
    #expect(report["threads"] as? Int == 2)
    #expect((report["isa"] as? String)?.isEmpty == false)
    let (median, least) = (
      try #require(report["median_us"] as? Double), try #require(report["min_us"] as? Double)
    )
    #expect(0 < least && least <= median)
    let words = try bench.succeed("bench", "model.h5")
    #expect(words.output.contains("for 1 steps of 1 sequences on 1 threads"), "\(words)")
    #expect(words.output.contains("µs median"), "\(words)")
    #expect(words.output.split(separator: "\n").count == 1)
  }

  @Test func runReport() throws {
    let report = try bench.json("run", "model.h5", "--input", "golden.h5", "--output", "r.h5")
    #expect(report["output"] as? String == "r.h5")
    let tensors = try #require(report["tensors"] as? [[String: Any]])
    #expect(tensors.contains { $0["name"] as? String == "y" && $0["dtype"] as? String == "F32" })
    let words = try bench.succeed("run", "model.h5", "--input", "golden.h5", "--output", "s.h5")
    #expect(words.output.hasPrefix("s.h5: output F32 ["))
  }

  @Test(arguments: [
    ["frobnicate"], ["frobnicate", "model.h5"], ["help", "frobnicate"], ["--frobnicate"],
    ["convert"],
    ["convert", "model.h5"], ["convert", "model.h5", "a.strata", "b.strata"],
    ["convert", "model.h5", "a.strata", "--frobnicate"],
    ["convert", "model.h5", "a.strata", "--to"],
    ["inspect"], ["inspect", "model.h5", "golden.h5"], ["inspect", "model.h5", "--atol", "1"],
    ["verify"], ["verify", "model.h5", "golden.h5", "more.h5"],
    ["verify", "model.h5", "golden.h5", "--atol", "x"],
    ["verify", "model.h5", "golden.h5", "--atol=-1"],
    ["verify", "model.h5", "golden.h5", "--rtol", "nan"],
    ["verify", "model.h5", "golden.h5", "--precision", "float16"], ["run"], ["run", "model.h5"],
    ["run", "model.h5", "--input", "golden.h5"], ["run", "model.h5", "--output", "r.h5"],
    ["run", "model.h5", "--input", "golden.h5", "--output", "r.zip"],
    ["run", "model.h5", "--input", "golden.h5", "--output", "r.h5", "--threads", "0"],
    ["run", "model.h5", "--input", "golden.h5", "--output", "r.h5", "--chunk", "0"],
    [
      "run", "model.h5", "--input", "golden.h5", "--output", "r.h5", "--chunk", "2", "--precision",
      "double",
    ],
    ["diff"], ["diff", "model.h5"], ["diff", "model.h5", "model.h5", "--atol=-1"],
    ["run", "model.h5", "--input", "golden.h5", "--output", "r.h5", "--module"],
    ["bench", "model.h5", "--all-layers"],
    ["bench"], ["bench", "model.h5", "--steps", "0"], ["bench", "model.h5", "--batch", "0"],
    ["bench", "model.h5", "--threads", "0"], ["bench", "model.h5", "--steps", "x"],
    ["bench", "model.h5", "--steps", "9223372036854775807", "--batch", "4"],
    ["bench", "model.h5", "--steps", "9223372036854775807"],
    ["report"], ["report", "model.h5"], ["report", "model.h5", "golden.h5", "-o", "r.html"],
    ["report", "model.h5", "-o", "-"], ["report", "model.h5", "-o", "r.html", "--atol", "1"],
  ])
  func wrongUsage(arguments: [String]) throws {
    let before = try bench.snapshot()
    let words = try Tool.run(arguments, in: bench.directory)
    #expect(words.status == 64, "\(words)")
    #expect(words.output == "", "\(words)")
    #expect(words.errors.hasPrefix("error: "), "\(words)")
    #expect(words.errors.split(separator: "\n").count == 1, "\(words)")
    let json = try Tool.run(arguments + ["--json"], in: bench.directory)
    #expect(json.status == 64, "\(json)")
    let error = try #require(try json.object()["error"] as? [String: Any])
    #expect(error["code"] as? String == "usage", "\(json)")
    #expect(Set(error.keys) == ["code", "file", "tensor", "offset", "reason"])
    #expect(try bench.snapshot() == before)
  }

  /// Wrong usage is told before any file is looked at.
  @Test func unknownSubcommandIsNamed() throws {
    for arguments in [["frobnicate"], ["frobnicate", "--json"]] {
      let result = try Tool.run(arguments, in: bench.directory)
      #expect(
        result.errors.contains("frobnicate") && result.errors.contains("convert"), "\(result)")
    }
  }
}
