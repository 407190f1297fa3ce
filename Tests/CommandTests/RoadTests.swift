import Checkpoints
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

/// The main job on real exports: convert, verify, run.
@Suite struct RoadTests {
  @Test func fixturesAreThere() { #expect(cases.count >= 40) }

  @Test(arguments: cases)
  func conversionKeepsEveryBit(fixture: String) throws {
    let bench = try Workbench()
    try bench.take(fixture)
    let original = try bench.read("model.h5")

    try bench.succeed("convert", "model.h5", "a.strata", "--quiet")
    let converted = try bench.read("a.strata")
    #expect(
      try converted.stateDict
        == original.stateDict.renamed { $0.hasPrefix("module.") ? String($0.dropFirst(7)) : $0 })
    #expect(converted.metadata.count == original.metadata.count)
    #expect(converted.moduleRecords.count == original.moduleRecords.count)

    // The same again, and the identity.
    try bench.succeed("convert", "model.h5", "again.strata", "--quiet")
    try bench.succeed("convert", "a.strata", "same.strata", "--quiet")
    let bytes = try bench.directory.read("a.strata")
    #expect(try bench.directory.read("again.strata") == bytes)
    #expect(try bench.directory.read("same.strata") == bytes)

    // There and back.
    for options in [["--compress=none"], ["--set=hdf5_layout=nested"], ["--compress=deflate"]] {
      for arguments in [
        ["convert", "a.strata", "there.h5"] + options, ["convert", "there.h5", "back.strata"],
      ] {
        let result = try Tool.run(arguments + ["--force", "--quiet"], in: bench.directory)
        try #require(result.status == 0, "\(result)")
        #expect(result.output + result.errors == "", "\(result)")
      }
      #expect(try bench.read("there.h5").stateDict == converted.stateDict)
      #expect(try bench.directory.read("back.strata") == bytes, "\(options)")
      let first = try bench.directory.read("there.h5")
      let again = try Tool.run(
        ["convert", "a.strata", "there.h5", "--force"] + options, in: bench.directory)
      #expect(again.status == 0)
      #expect(try bench.directory.read("there.h5") == first, "\(options)")
    }
    try bench.succeed("convert", "a.strata", "small.strata", "--compress", "deflate")
    try bench.succeed("convert", "small.strata", "large.strata")
    #expect(try bench.read("small.strata") == converted)
    #expect(try bench.directory.read("large.strata") == bytes)
  }

  @Test(arguments: cases)
  func verifies(fixture: String) throws {
    let bench = try Workbench()
    try bench.take(fixture)
    try bench.succeed("convert", "model.h5", "m.strata", "--golden", "golden.h5")
    let golden = try bench.read("golden.h5").stateDict
    let results = ["output", "h_n", "c_n", "y"].flatMap { [$0, "\($0)_f64"] }
      .filter { golden[$0] != nil }
    #expect(results.count >= 4)

    let plain = try bench.json("verify", "m.strata", "golden.h5")
    let rows = try #require(plain["tensors"] as? [[String: Any]])
    #expect(rows.count == results.count)
    #expect(plain["verified"] as? Bool == true)

    // The sealed golden is the same golden.
    let sealed = try bench.json("verify", "m.strata")
    #expect(try bench.read("m.strata").goldens == golden)
    #expect(NSDictionary(dictionary: sealed) == NSDictionary(dictionary: plain))

    let strict = try bench.json("verify", "m.strata", "golden.h5", "--atol=1e-6", "--rtol=1e-6")
    #expect(strict["verified"] as? Bool == true)
    #expect(strict["atol"] as? Double == 1e-6)
    #expect(strict["rtol"] as? Double == 1e-6)

    let reference = try bench.json("verify", "m.strata", "--precision", "reference")
    #expect(reference["verified"] as? Bool == true)
    let exact = try #require(reference["tensors"] as? [[String: Any]])
      .filter { $0["reference"] as? String == "float64" }
    #expect(!exact.isEmpty)
    for row in exact { #expect(try #require(row["max_abs"] as? Double) <= 1e-12, "\(row)") }
  }

  @Test(arguments: cases)
  func runs(fixture: String) throws {
    let bench = try Workbench()
    try bench.take(fixture)
    let golden = try bench.read("golden.h5").stateDict
    try bench.succeed("convert", "model.h5", "m.strata", "--quiet")
    try bench.succeed("run", "m.strata", "--input", "golden.h5", "--output", "whole.strata")
    let whole = try bench.read("whole.strata").stateDict
    #expect(
      whole.names == ["output", "h_n", "c_n", "y"].filter { golden[$0] != nil }, "\(whole.names)")
    for (name, tensor) in whole {
      let expected = try #require(golden[name])
      #expect(tensor.dtype == .float32)
      #expect(tensor.shape == expected.shape)
      for (a, b) in zip(try tensor.doubles(), try expected.doubles()) {
        #expect(abs(a - b) <= 1e-6 + 1e-6 * abs(b), "\(name)")
      }
    }
    let bytes = try bench.directory.read("whole.strata")

    // Straight from the export, and with other threads and chunks: one answer.
    try bench.succeed(
      "run", "model.h5", "--input", "golden.h5", "--output", "threads.strata", "--threads", "2")
    #expect(try bench.directory.read("threads.strata") == bytes)
    if try ModelBlueprint(bench.read("m.strata").contents).isBidirectional {
      try bench.fail(
        "run", "m.strata", "--input", "golden.h5", "--output", "x.strata", "--chunk", "2",
        code: "notStreamable")
    } else {
      for chunk in ["1", "3"] {
        try bench.succeed(
          "run", "m.strata", "--input", "golden.h5", "--output", "chunk.strata", "--force",
          "--chunk", chunk)
        #expect(try bench.directory.read("chunk.strata") == bytes, "--chunk \(chunk)")
      }
    }

    try bench.succeed(
      "run", "m.strata", "--input", "golden.h5", "--output", "r.h5", "--precision", "reference")
    for (name, tensor) in try bench.read("r.h5").stateDict {
      #expect(tensor.dtype == .float64)
      let expected = try #require(golden["\(name)_f64"])
      for (a, b) in zip(try tensor.doubles(), try expected.doubles()) {
        #expect(abs(a - b) <= 1e-12, "\(name)")
      }
    }
  }

  /// The worked example: shapes, and the last output being the final state.
  @Test(arguments: ["example-time-major", "example-batch-first"])
  func example(fixture: String) throws {
    let bench = try Workbench()
    try bench.take(fixture)
    let report = try bench.json("run", "model.h5", "--input", "golden.h5", "--output", "r.h5")
    #expect(Set(report.keys) == ["output", "tensors", "assumed"])
    let results = try bench.read("r.h5").stateDict
    let output = try #require(results["output"])
    let final = try #require(results["h_n"])
    #expect(output.shape == (fixture.hasSuffix("first") ? [2, 4, 5] : [4, 2, 5]))
    #expect(final.shape == [2, 2, 5])
    let (values, last) = (try output.floats(), try final.floats().suffix(10))
    if fixture.hasSuffix("first") {
      #expect(Array(last) == Array(values[15..<20] + values[35..<40]))
    } else {
      #expect(Array(last) == Array(values.suffix(10)))
    }
  }

  /// The bits of random tensors of every dtype: NaN payloads, signed zeros, empty tensors, odd names.
  @Test(arguments: [UInt64](1...4))
  func oddCheckpoints(seed: UInt64) throws {
    let bench = try Workbench()
    var checkpoint = try randomCheckpoint(seed: seed)
    checkpoint.modelDescription = nil
    try bench.write(checkpoint, to: "a.strata")
    try bench.succeed("convert", "a.strata", "b.strata")
    #expect(try bench.directory.read("b.strata") == bench.directory.read("a.strata"))
    try bench.succeed("convert", "a.strata", "c.strata", "--compress", "deflate")
    #expect(try bench.read("c.strata") == checkpoint)
  }
}
