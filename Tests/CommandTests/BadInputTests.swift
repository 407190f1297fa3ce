import Checkpoints
import CheckpointsHDF5
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

/// Inputs that cannot be used: one line, the code, status 2, and no file left behind.
@Suite struct BadInputTests {
  let bench: Workbench

  init() throws {
    bench = try Workbench()
    try bench.take("lstm-state")
  }

  /// Every subcommand refuses the file with one code.
  private func refuse(
    _ name: String, code: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    for fault in [
      try bench.fail("convert", name, "x.strata", code: code, sourceLocation: sourceLocation),
      try bench.fail("convert", name, "x.h5", code: code, sourceLocation: sourceLocation),
      try bench.fail("inspect", name, code: code, sourceLocation: sourceLocation),
      try bench.fail("inspect", name, "--stats", code: code, sourceLocation: sourceLocation),
      try bench.fail("explain", name, code: code, sourceLocation: sourceLocation),
      try bench.fail("verify", name, "golden.h5", code: code, sourceLocation: sourceLocation),
      try bench.fail("verify", "model.h5", name, code: code, sourceLocation: sourceLocation),
      try bench.fail("bench", name, code: code, sourceLocation: sourceLocation),
      try bench.fail(
        "run", name, "--input", "golden.h5", "--output", "x.h5", code: code,
        sourceLocation: sourceLocation),
      try bench.fail(
        "run", "model.h5", "--input", name, "--output", "x.h5", code: code,
        sourceLocation: sourceLocation),
      try bench.fail(
        "convert", "model.h5", "x.strata", "--golden", name, code: code,
        sourceLocation: sourceLocation),
    ] {
      #expect(
        fault.line.hasPrefix("error: \(name): "), "\(fault.line)", sourceLocation: sourceLocation)
      #expect(fault.object["file"] as? String == name, sourceLocation: sourceLocation)
    }
  }

  @Test func missingFile() throws {
    try refuse("absent.h5", code: "fileNotFound")
    try refuse("absent.strata", code: "fileNotFound")
    try refuse("no/such/directory.h5", code: "fileNotFound")
  }

  @Test func directory() throws {
    try FileManager.default.createDirectory(
      atPath: bench.directory.path("folder.strata"), withIntermediateDirectories: false)
    try refuse("folder.strata", code: "notAFile")
    try refuse(".", code: "notAFile")
    try bench.fail("inspect", "/dev/null", code: "notAFile")
  }

  @Test(arguments: ["empty", "empty.strata", "empty.h5"])
  func emptyFile(name: String) throws {
    try bench.directory.write([], to: name)
    try refuse(name, code: "truncated")
  }

  @Test func unknownContent() throws {
    try bench.directory.write(
      Array("just some text, long enough to be anything\n".utf8), to: "a.txt")
    try refuse("a.txt", code: "unknownFormat")
    try bench.directory.write([UInt8](repeating: 0, count: 10_000), to: "zeros")
    try refuse("zeros", code: "unknownFormat")
  }

  @Test func truncatedStrata() throws {
    try bench.succeed("convert", "model.h5", "whole.strata")
    let bytes = try bench.directory.read("whole.strata")
    for length in [1, 8, 63, 64, 65, bytes.count / 2, bytes.count - 1] {
      try bench.directory.write(Array(bytes[..<length]), to: "cut.strata")
      if length == bytes.count / 2 {
        try refuse("cut.strata", code: "truncated")
      } else {
        try bench.fail("inspect", "cut.strata", code: "truncated")
      }
    }
    try bench.directory.write(bytes + [0], to: "long.strata")
    try bench.fail("inspect", "long.strata", code: "trailingData")
  }

  @Test func truncatedHDF5() throws {
    let bytes = try bench.directory.read("model.h5")
    for length in [100, bytes.count / 2, bytes.count - 1] {
      try bench.directory.write(Array(bytes[..<length]), to: "cut.h5")
      try refuse("cut.h5", code: "truncated")
    }
  }

  /// A bit of the header, of the directory, of padding, and of the data.
  @Test func flippedBits() throws {
    try bench.succeed("convert", "model.h5", "whole.strata")
    let bytes = try bench.directory.read("whole.strata")
    for place in [
      20, 40, 64, 150, bytes.count / 3, bytes.count / 2, bytes.count - 5, bytes.count - 1,
    ] {
      var flipped = bytes
      flipped[place] ^= 0x10
      try bench.directory.write(flipped, to: "flipped.strata")
      if place == bytes.count / 2 {
        try refuse("flipped.strata", code: "checksumMismatch")
        continue
      }
      let inspect = try bench.strata("inspect", "flipped.strata", "--json")
      #expect(inspect.status == 2, "byte \(place): \(inspect)")
      let code = (try inspect.object()["error"] as? [String: Any])?["code"] as? String
      try bench.fail("convert", "flipped.strata", "x.strata", code: try #require(code))
      try bench.fail("verify", "flipped.strata", "golden.h5", code: try #require(code))
      try bench.fail(
        "run", "flipped.strata", "--input", "golden.h5", "--output", "r.h5",
        code: try #require(code))
      #expect(["checksumMismatch", "truncated", "trailingData"].contains(code), "byte \(place)")
    }
  }

  // MARK: Models

  /// The example of the contract, word for word.
  @Test func wrongShape() throws {
    let bench = try Workbench()
    var generator = SeededGenerator(seed: 3)
    let checkpoint = Checkpoint.stack(input: 8, hidden: 128, layers: 2)
      .adding(randomFloats([512, 100], using: &generator), "weight_hh_l1")
    for name in ["model.h5", "model.strata"] {
      try bench.write(checkpoint, to: name)
      let fault = try bench.fail("convert", name, "out.strata", code: "shapeMismatch")
      #expect(fault.line == "error: \(name): weight_hh_l1: shape [512, 100], expected [512, 128]")
      #expect(fault.object["file"] as? String == name)
      #expect(fault.object["tensor"] as? String == "weight_hh_l1")
      #expect(fault.reason == "shape [512, 100], expected [512, 128]")
      let mismatched = try #require(fault.report["mismatched"] as? [[String: Any]])
      #expect(mismatched.count == 1)
      #expect(mismatched[0]["found"] as? [Int] == [512, 100])
      for arguments in [["verify", name, name], ["bench", name]] {
        let result = try Tool.run(arguments, in: bench.directory)
        #expect(result.errors == fault.line + "\n", "\(result)")
      }
    }
    // It can still be looked at.
    let words = try bench.succeed("inspect", "model.strata").output
    #expect(
      words.contains("fault: weight_hh_l1: shape [512, 100], expected [512, 128]"), "\(words)")
  }

  @Test func missingParameter() throws {
    for name in ["weight_ih_l0", "weight_hh_l1", "bias_hh_l0", "bias_ih_l1"] {
      var checkpoint = Checkpoint.stack(layers: 2)
      checkpoint.stateDict[name] = nil
      try bench.write(checkpoint, to: "missing-\(name).h5")
      let fault = try bench.fail(
        "convert", "missing-\(name).h5", "x.strata", code: "parameterMissing")
      #expect(fault.line.hasPrefix("error: missing-\(name).h5: \(name): "), "\(fault.line)")
      #expect(fault.report["missing"] as? [String] == [name])
    }
  }

  @Test func unexpectedParameter() throws {
    let extra = Tensor([1] as [Float], shape: [1])
    for name in ["rnn.weight_hr_l7", "rnn.weight_ih_l0_scale", "rnn.bias", "rnn.weight_ih_l01"] {
      try bench.write(Checkpoint.stack(prefix: "rnn.").adding(extra, name), to: "\(name).h5")
      let result = try bench.strata("convert", "\(name).h5", "x.strata", "--json")
      #expect(result.status == 2, "\(name)")
      if name == "rnn.weight_hr_l7" { continue }
      let fault = try bench.fail("convert", "\(name).h5", "x.strata", code: "parameterUnexpected")
      #expect(fault.line.hasPrefix("error: \(name).h5: \(name): "), "\(fault.line)")
      #expect(fault.report["unexpected"] as? [String] == [name])
    }
  }

  /// All faults are told at once.
  @Test func severalFaults() throws {
    var checkpoint = Checkpoint.stack(layers: 2, prefix: "r.")
      .adding(Tensor([1] as [Float], shape: [1]), "r.scale")
      .adding(Tensor([1] as [Float], shape: [1]), "r.bias_hh_l0")
    checkpoint.stateDict["r.bias_ih_l1"] = nil
    try bench.write(checkpoint, to: "bad.h5")
    let fault = try bench.fail("convert", "bad.h5", "x.strata", code: "shapeMismatch")
    for name in ["r.scale", "r.bias_hh_l0", "r.bias_ih_l1"] { #expect(fault.line.contains(name)) }
    #expect(fault.report["missing"] as? [String] == ["r.bias_ih_l1"])
    #expect(fault.report["unexpected"] as? [String] == ["r.scale"])
    #expect((fault.report["mismatched"] as? [Any])?.count == 1)
  }

  @Test func twoHeads() throws {
    let checkpoint = Checkpoint.stack().adding(linear: "policy", 2, 5).adding(linear: "value", 1, 5)
    try bench.write(checkpoint, to: "two.h5")
    let fault = try bench.fail("convert", "two.h5", "x.strata", code: "ambiguousModel")
    for text in ["policy", "value", "--set head="] { #expect(fault.line.contains(text)) }
    try bench.fail("bench", "two.h5", code: "ambiguousModel")
  }

  @Test func notStreamable() throws {
    try bench.write(.stack(bidirectional: true), to: "bi.h5")
    let input = Checkpoint(stateDict: [
      "input": Tensor([Float](repeating: 1, count: 12), shape: [4, 3])
    ])
    try bench.write(input, to: "input.h5")
    let fault = try bench.fail(
      "run", "bi.h5", "--input", "input.h5", "--output", "r.h5", "--chunk", "2",
      code: "notStreamable")
    #expect(fault.object["file"] as? String == "bi.h5")
    try bench.succeed("run", "bi.h5", "--input", "input.h5", "--output", "r.h5")
  }

  @Test func quantisedWeights() throws {
    let weights = Tensor([Int64](repeating: 1, count: 60), shape: [20, 3])
    try bench.write(Checkpoint.stack().adding(weights, "weight_ih_l0"), to: "int.h5")
    let fault = try bench.fail("bench", "int.h5", code: "dtypeUnsupported")
    #expect(fault.line.hasPrefix("error: int.h5: weight_ih_l0: "))
  }
}
