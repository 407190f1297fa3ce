import Checkpoints
import CheckpointsHDF5
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

/// The main job on real exports: convert, verify, run.
@Suite struct RoadTests {
  fileprivate static let origin = "strata_provenance"

  @Test func fixturesAreThere() { #expect(cases.count >= 124) }

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
    // Where it comes from is added, by each conversion but the identity.
    #expect(converted.metadata[Self.origin] != nil)
    #expect(converted.withoutOrigin.metadata.count == original.metadata.count)
    #expect(converted.moduleRecords.count == original.moduleRecords.count)

    // The same again, and the identity, which keeps encodings too.
    let bytes = try bench.directory.read("a.strata")
    try bench.succeed("convert", "model.h5", "again.strata", "--quiet")
    #expect(try bench.directory.read("again.strata") == bytes)
    try bench.succeed("convert", "a.strata", "same.strata", "--quiet")
    #expect(try bench.directory.read("same.strata") == bytes)
    try bench.succeed("convert", "a.strata", "small.strata", "--compress", "deflate")
    #expect(try bench.read("small.strata").withoutOrigin == converted.withoutOrigin)
    try bench.succeed("convert", "small.strata", "small-same.strata")
    #expect(try bench.directory.read("small-same.strata") == bench.directory.read("small.strata"))

    // There and back; what the tool writes reads as what the library writes.
    var contents = try CheckpointReader(
      contentsOf: bench.directory.path("a.strata"), formats: formats
    ).contents
    for (option, options) in [
      ("--compress=none", WriteOptions(replacesExisting: true)),
      ("--set=hdf5_layout=nested", WriteOptions(hdf5Layout: .nested, replacesExisting: true)),
      ("--compress=deflate", WriteOptions(compression: .deflate, replacesExisting: true)),
    ] {
      try bench.succeed("convert", "a.strata", "there.h5", option, "--force", "--quiet")
      try bench.succeed("convert", "there.h5", "back.strata", "--force", "--quiet")
      #expect(
        try bench.read("back.strata").withoutOrigin == converted.withoutOrigin, "\(option)")
      let there = try bench.read("there.h5")
      #expect(there.stateDict == converted.stateDict)
      contents.metadata[Self.origin] = there.metadata[Self.origin]
      try bench.write(contents, to: "library.h5", options: options)
      #expect(try bench.read("library.h5") == there, "\(option)")
    }
  }

  @Test(arguments: cases)
  func verifies(fixture: String) throws {
    let bench = try Workbench()
    try bench.take(fixture)
    try bench.succeed("convert", "model.h5", "m.strata", "--golden", "golden.h5")
    let golden = try bench.read("golden.h5").stateDict
    #expect(try bench.read("m.strata").goldens == golden)

    // A row for every tensor that is no input, in float32 and in float64.
    let expected = golden.names.filter { !Golden.isInput($0) }.map {
      $0.hasSuffix("_f64") ? "\($0.dropLast(4)) float64" : "\($0) float32"
    }
    #expect(expected.contains { $0.hasSuffix("h_n float32") })
    #expect(expected.filter { $0.hasSuffix("float64") }.count * 2 == expected.count)
    func check(_ report: [String: Any], _ comment: String) throws -> [[String: Any]] {
      #expect(report["verified"] as? Bool == true, "\(comment)")
      #expect(report["unchecked"] as? [String] == [], "\(comment)")
      let rows = try #require(report["tensors"] as? [[String: Any]])
      #expect(rows.map { "\($0["name"] ?? "") \($0["reference"] ?? "")" } == expected)
      return rows
    }
    let plain = try bench.json("verify", "m.strata", "golden.h5")
    _ = try check(plain, "golden.h5")
    // The sealed golden is the same golden.
    if fixture == "char-model" {
      #expect(
        NSDictionary(dictionary: try bench.json("verify", "m.strata"))
          == NSDictionary(dictionary: plain))
    } else {
      // Not trained: the weights are small, and so are the errors.
      let strict = try bench.json("verify", "m.strata", "--atol=1e-6", "--rtol=1e-6")
      _ = try check(strict, "1e-6")
      #expect(strict["atol"] as? Double == 1e-6)
      #expect(strict["rtol"] as? Double == 1e-6)
    }
    let reference = try bench.json("verify", "m.strata", "--precision", "reference")
    for row in try check(reference, "reference") where row["reference"] as? String == "float64" {
      #expect(try #require(row["max_abs"] as? Double) <= 1e-12, "\(row)")
    }
  }

  /// Every result of a run beside PyTorch's, and one answer whatever the threads and chunks.
  @Test(arguments: cases)
  func runs(fixture: String) throws {
    let bench = try Workbench()
    try bench.take(fixture)
    let golden = try bench.read("golden.h5").stateDict
    try bench.succeed("convert", "model.h5", "m.strata", "--quiet")

    guard golden["input"] != nil else {
      // Several models: each by its path, on its own tensors.
      let paths = golden.names.compactMap { $0.hasSuffix(".input") ? String($0.dropLast(6)) : nil }
      #expect(paths.count == 2)
      for path in paths {
        let own = Golden.part(of: golden, path)
        try bench.write(Checkpoint(stateDict: own), to: "\(path).h5")
        try check(
          bench, own, ["--input", "\(path).h5", "--module", path], isTrained: false,
          isStreamable: path != "encoder.rnn")
      }
      let fault = try bench.fail(
        "run", "m.strata", "--input", "golden.h5", "--output", "x.strata", code: "ambiguousModel")
      #expect(fault.line.contains(paths[0]) && fault.line.contains("--module"), "\(fault.line)")
      return
    }
    if fixture == "convolution-gru" {
      let fault = try bench.fail(
        "run", "m.strata", "--input", "golden.h5", "--output", "x.strata",
        code: "parameterUnexpected")
      #expect(fault.line.contains("--module"), "\(fault.line)")
      try check(
        bench, golden, ["--input", "golden.h5", "--module", "gru"], isTrained: false,
        isStreamable: false)
      return
    }
    let isBidirectional = try ModelBlueprint(bench.read("m.strata").contents).isBidirectional
    try check(
      bench, golden, ["--input", "golden.h5"], isTrained: fixture == "char-model",
      isStreamable: !isBidirectional && golden["lengths"] == nil)
  }

  /// Runs m.strata with options and compares with a golden, whose results are all there.
  private func check(
    _ bench: Workbench, _ golden: StateDict, _ options: [String], isTrained: Bool,
    isStreamable: Bool
  ) throws {
    let insides = golden.names.filter { Golden.isInside($0) && !$0.hasSuffix("_f64") }
    let all = insides.isEmpty ? [] : ["--all-layers"]
    let first = try Tool.run(
      ["run", "m.strata", "--output", "whole.strata", "--force"] + options + all,
      in: bench.directory)
    try #require(first.status == 0 && first.errors == "", "\(first)")
    let whole = try bench.read("whole.strata").stateDict
    // A chain's stacks give their own final states; outputs between them are not written.
    let finals = golden.names.filter { $0.hasSuffix("h_n") || $0.hasSuffix("c_n") }
    #expect(
      whole.names == ["output"].filter { golden[$0] != nil } + finals
        + ["y"].filter { golden[$0] != nil } + insides)
    for (name, tensor) in whole {
      let expected = try #require(golden[name])
      let wide = try #require(golden["\(name)_f64"]).doubles()
      #expect(tensor.dtype == .float32)
      #expect(tensor.shape == expected.shape)
      let (values, torch) = (try tensor.doubles(), try expected.doubles())
      if isTrained {
        // The tolerance of verify: four times PyTorch's own error to float64.
        let own = zip(torch, wide).reduce(0) { max($0, abs($1.0 - $1.1)) }
        let largest = zip(values, wide).reduce(0) { max($0, abs($1.0 - $1.1)) }
        #expect(largest <= max(1e-6, 4 * own), "\(name)")
      } else {
        let isClose = zip(values, torch).allSatisfy { abs($0 - $1) <= 1e-6 + 1e-6 * abs($1) }
        #expect(isClose, "\(name)")
      }
    }
    let bytes = try bench.directory.read("whole.strata")

    // Straight from the export, and with other threads and chunks: one answer.
    let ways: [(model: String, options: [String])] =
      isStreamable
      ? [("model.h5", ["--threads=2", "--chunk=1"]), ("m.strata", ["--chunk=3"])]
      : [("model.h5", ["--threads=2"])]
    for way in ways {
      let result = try Tool.run(
        ["run", way.model, "--output", "other.strata", "--force"] + options + all + way.options,
        in: bench.directory)
      try #require(result.status == 0 && result.errors == "", "\(result)")
      #expect(try bench.directory.read("other.strata") == bytes, "\(way)")
    }
    if !isStreamable {
      let result = try Tool.run(
        ["run", "m.strata", "--output", "x.strata", "--chunk=2", "--json"] + options,
        in: bench.directory)
      #expect(result.status == 2, "\(result)")
      #expect(try result.code == "notStreamable", "\(result)")
    }

    let reference = try Tool.run(
      ["run", "m.strata", "--output", "r.h5", "--force", "--precision=reference"] + options + all,
      in: bench.directory)
    try #require(reference.status == 0 && reference.errors == "", "\(reference)")
    let results = try bench.read("r.h5").stateDict
    #expect(results.names == whole.names)
    for (name, tensor) in results {
      #expect(tensor.dtype == .float64)
      let expected = try #require(golden["\(name)_f64"]).doubles()
      let isClose = zip(try tensor.doubles(), expected).allSatisfy { abs($0 - $1) <= 1e-12 }
      #expect(isClose, "\(name)")
    }
  }

  /// A sealed golden says the same as its file.
  @Test(arguments: [
    "encoder-decoder", "stacked-tokens", "intermediates-lengths", "wrapped-module", "cells-lstm",
    "convolution-gru",
  ])
  func sealedIsTheSame(fixture: String) throws {
    let bench = try Workbench()
    try bench.take(fixture)
    try bench.succeed("convert", "model.h5", "m.strata", "--golden", "golden.h5")
    try bench.succeed("convert", "m.strata", "m.h5")
    let plain = try bench.json("verify", "model.h5", "golden.h5")
    for model in ["m.strata", "m.h5"] {
      let sealed = try bench.json("verify", model)
      #expect(NSDictionary(dictionary: sealed) == NSDictionary(dictionary: plain), "\(model)")
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
    #expect(try bench.read("c.strata").withoutOrigin == checkpoint)
  }
}

extension Checkpoint {
  /// The checkpoint without what it tells of its origin.
  fileprivate var withoutOrigin: Checkpoint {
    var checkpoint = self
    checkpoint.metadata[RoadTests.origin] = nil
    return checkpoint
  }
}
