import Checkpoints
import Foundation
import TestSupport
import Testing

/// Outputs that may not be written, or that stand there already.
@Suite struct TargetTests {
  let bench: Workbench

  init() throws {
    bench = try Workbench()
    try bench.take("gru-zero-state")
    try bench.succeed("convert", "model.h5", "m.strata")
  }

  @Test(arguments: ["m.strata/x.strata", "absent/x.strata", "absent/x.h5", "m.strata/x.h5"])
  func unwritable(target: String) throws {
    let fault = try bench.fail("convert", "model.h5", target, code: "notWritable")
    #expect(fault.line.hasPrefix("error: \(target): "), "\(fault.line)")
    try bench.fail("convert", "model.h5", target, "--force", code: "notWritable")
    try bench.fail(
      "run", "m.strata", "--input", "golden.h5", "--output", target, code: "notWritable")
  }

  @Test func existing() throws {
    for name in ["old.strata", "old.h5"] {
      try bench.directory.write(Array("something else".utf8), to: name)
      let fault = try bench.fail("convert", "model.h5", name, code: "exists")
      #expect(fault.object["file"] as? String == name)
      #expect(fault.line.contains("--force"), "\(fault.line)")
      try bench.fail("run", "m.strata", "--input", "golden.h5", "--output", name, code: "exists")

      let before = try bench.snapshot()
      try bench.succeed("convert", "model.h5", name, "--force")
      #expect(try bench.read(name).stateDict == bench.read("model.h5").stateDict)
      // A file that cannot be read is no reason to lose the old one.
      try bench.fail("convert", "absent.h5", name, "--force", code: "fileNotFound")
      #expect(try bench.snapshot().keys == before.keys)
      try bench.succeed("run", "m.strata", "--input", "golden.h5", "--output", name, "--force")
      #expect(try bench.read(name).stateDict.names == ["output", "h_n"])
    }
  }

  @Test("A shard of the input is the input")
  func shards() throws {
    try bench.succeed("convert", "model.h5", "s.safetensors", "--shard-size", "100", "--quiet")
    try bench.succeed("convert", "golden.h5", "g.safetensors", "--shard-size", "100", "--quiet")
    let before = try bench.snapshot()
    let (index, golden) = ("s.safetensors.index.json", "g.safetensors.index.json")
    let parts = try bench.directory.names().filter { $0.contains("-of-") }
    #expect(parts.count > 3)
    for target in parts where target.hasPrefix("s-") {
      try bench.fail("convert", index, target, "--force", code: "sameFile")
      try bench.fail(
        "run", index, "--input", golden, "--output", target, "--force", code: "sameFile")
    }
    for target in parts where target.hasPrefix("g-") {
      try bench.fail("convert", index, target, "--golden", golden, "--force", code: "sameFile")
      try bench.fail(
        "run", index, "--input", golden, "--output", target, "--force", code: "sameFile")
      try bench.fail(
        "report", index, "--golden", golden, "-o", target, "--force", code: "sameFile")
    }
    #expect(try bench.snapshot() == before)
  }

  @Test func sameFile() throws {
    let manager = FileManager.default
    for name in ["model.h5", "m.strata"] {
      let path = bench.directory.path(name)
      try manager.createSymbolicLink(
        atPath: bench.directory.path("link-\(name)"), withDestinationPath: name)
      try manager.linkItem(atPath: path, toPath: bench.directory.path("hard-\(name)"))
      for target in [name, "./\(name)", path, "link-\(name)", "hard-\(name)"] {
        for force in [[], ["--force"]] {
          let arguments = ["convert", name, target] + force
          let before = try bench.snapshot()
          let result = try Tool.run(arguments + ["--json"], in: bench.directory)
          #expect(result.status == 2, "\(result)")
          #expect(
            (try result.object()["error"] as? [String: Any])?["code"] as? String == "sameFile",
            "\(result)")
          #expect(try bench.snapshot() == before)
        }
      }
      try bench.fail("convert", "link-\(name)", name, "--force", code: "sameFile")
    }
    try bench.fail("convert", "model.h5", "model.h5", code: "sameFile")
  }

  /// Nothing that a command reads may be its target, `--force` or not.
  @Test func otherInputs() throws {
    try bench.succeed("convert", "golden.h5", "golden.strata")
    for force in [[], ["--force"]] {
      for arguments in [
        ["run", "m.strata", "--input", "golden.h5", "--output", "golden.h5"],
        ["run", "m.strata", "--input", "golden.h5", "--output", "m.strata"],
        ["convert", "model.h5", "golden.strata", "--golden", "golden.strata"],
      ] {
        let before = try bench.snapshot()
        let result = try Tool.run(arguments + force + ["--json"], in: bench.directory)
        #expect(result.status == 2, "\(result)")
        #expect(
          (try result.object()["error"] as? [String: Any])?["code"] as? String == "sameFile",
          "\(result)")
        #expect(try bench.snapshot() == before)
      }
    }
  }

  @Test func directory() throws {
    for name in ["folder.strata", "folder.h5"] {
      try FileManager.default.createDirectory(
        atPath: bench.directory.path(name), withIntermediateDirectories: false)
      try bench.fail("convert", "model.h5", name, code: "notAFile")
      try bench.fail("convert", "model.h5", name, "--force", code: "notAFile")
      try bench.fail(
        "run", "m.strata", "--input", "golden.h5", "--output", name, "--force", code: "notAFile")
    }
  }

  /// A symbolic link is written through; it stays a link.
  @Test func link() throws {
    try bench.directory.write([1], to: "real.strata")
    try FileManager.default.createSymbolicLink(
      atPath: bench.directory.path("link.strata"), withDestinationPath: "real.strata")
    try bench.fail("convert", "model.h5", "link.strata", code: "exists")
    try bench.succeed("convert", "model.h5", "link.strata", "--force")
    #expect(try bench.directory.read("real.strata") == bench.directory.read("m.strata"))
    #expect(
      try FileManager.default.destinationOfSymbolicLink(atPath: bench.directory.path("link.strata"))
        == "real.strata")
  }

  /// A link that leads nowhere yet: the file is made where it leads.
  @Test func danglingLink() throws {
    try FileManager.default.createDirectory(
      atPath: bench.directory.path("there"), withIntermediateDirectories: false)
    for (link, destination) in [
      ("link.strata", "real.strata"), ("far.strata", "there/real.strata"),
      ("absolute.strata", bench.directory.path("there/absolute.strata")),
    ] {
      try FileManager.default.createSymbolicLink(
        atPath: bench.directory.path(link), withDestinationPath: destination)
      try bench.succeed("convert", "model.h5", link)
      let found = try bench.directory.read(
        destination.hasPrefix("/") ? "there/absolute.strata" : destination)
      #expect(try found == bench.directory.read("m.strata"))
      #expect(
        try FileManager.default.destinationOfSymbolicLink(atPath: bench.directory.path(link))
          == destination)
      // Now something is there.
      try bench.fail("convert", "model.h5", link, code: "exists")
    }
    try FileManager.default.createSymbolicLink(
      atPath: bench.directory.path("lost.strata"), withDestinationPath: "absent/real.strata")
    try bench.fail("convert", "model.h5", "lost.strata", code: "notWritable")
    #expect(!(try bench.directory.names()).contains { $0.hasSuffix(".tmp") })
  }
}
