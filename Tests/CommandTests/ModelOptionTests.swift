import Checkpoints
import CheckpointsHDF5
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

/// What `--set` says about models of several modules, and what a file's attributes say.
@Suite struct ModelOptionTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  /// The modules as `inspect` lists them.
  private func modules(_ name: String) throws -> [[String: Any]] {
    try #require(try bench.json("inspect", name)["modules"] as? [[String: Any]])
  }

  @Test func chain() throws {
    try bench.take("stacked-kinds")
    let run = ["--input", "golden.h5", "--output", "r.strata", "--force"]
    func results(_ model: String) throws -> StateDict {
      let result = try Tool.run(["run", model] + run, in: bench.directory)
      try #require(result.status == 0, "\(result)")
      return try bench.read("r.strata").stateDict
    }
    let chained = try results("model.h5")

    // Taken apart it is no model any more, put together it is the same.
    for value in ["none", "gru", "lstm"] {
      try bench.succeed("convert", "model.h5", "\(value).strata", "--set", "chain=\(value)")
      let names = ["--json"] + run
      let apart = try Tool.run(["run", "\(value).strata"] + names, in: bench.directory)
      #expect(apart.status == 2, "\(apart)")
      #expect(try apart.code == "ambiguousModel", "\(apart)")
      try bench.succeed(
        "convert", "\(value).strata", "again-\(value).strata", "--set", "chain=gru,lstm")
      #expect(try results("again-\(value).strata") == chained)
    }
    // What was said stays said, through HDF5 too.
    try bench.succeed("convert", "none.strata", "none.h5")
    try bench.fail(
      "run", "none.h5", "--input", "golden.h5", "--output", "x.h5", code: "ambiguousModel")

    for value in ["", ",", "gru,", ",gru", "gru,,lstm"] {
      try bench.fail(
        "convert", "model.h5", "x.strata", "--set", "chain=\(value)", code: "usage", status: 64)
    }
    for (value, code, text) in [
      ("lstm,gru", "shapeMismatch", "5 outputs"), ("gru,gru", "shapeMismatch", "6 outputs"),
      ("gru,absent", "parameterMissing", "absent"), ("absent", "parameterMissing", "absent"),
    ] {
      let fault = try bench.fail(
        "convert", "model.h5", "x.strata", "--set", "chain=\(value)", code: code)
      #expect(
        fault.line.hasPrefix("error: model.h5: ") && fault.line.contains(text), "\(fault.line)")
    }
  }

  @Test func embedding() throws {
    // Two tables could give the inputs, and the wider reading does not decide.
    var generator = SeededGenerator(seed: 5)
    let checkpoint = Checkpoint.stack(prefix: "rnn.")
      .adding(randomFloats([7, 3], using: &generator), "small.weight")
      .adding(randomFloats([9, 3], using: &generator), "large.weight")
    try bench.write(checkpoint, to: "two.h5")
    let fault = try bench.fail("convert", "two.h5", "x.strata", code: "ambiguousModel")
    for text in ["small", "large", "--set embedding="] { #expect(fault.line.contains(text)) }
    for (name, size, other) in [("small", 7, "large"), ("large", 9, "small")] {
      let report = try bench.json(
        "convert", "two.h5", "\(name).strata", "--set", "embedding=\(name)")
      #expect(report["left_over"] as? [String] == ["\(other).weight"])
      let first = try #require(try modules("\(name).strata").first)
      #expect(first["name"] as? String == name)
      #expect(first["type"] as? String == "embedding")
      #expect("\(first["options"] ?? "")".contains("\(size)"), "\(first)")
    }
    let none = try bench.json("convert", "two.h5", "none.strata", "--set", "embedding=none")
    #expect(none["left_over"] as? [String] == ["small.weight", "large.weight"])
    #expect(try modules("none.strata").map { $0["type"] as? String } == ["lstm"])

    // A model without its table takes features.
    try bench.take("tokens-lstm")
    try bench.succeed(
      "convert", "model.h5", "features.strata", "--set", "embedding=none", "--exclude", "^embed")
    let mismatch = try bench.fail(
      "run", "features.strata", "--input", "golden.h5", "--output", "x.h5", code: "goldenMismatch")
    #expect(mismatch.line.contains("floats"), "\(mismatch.line)")
    for (value, code) in [
      ("absent", "parameterMissing"), ("to_characters", "shapeMismatch"),
      ("rnn", "parameterMissing"),
    ] {
      let fault = try bench.fail(
        "convert", "model.h5", "x.strata", "--set", "embedding=\(value)", code: code)
      #expect(fault.object["tensor"] as? String == "\(value).weight")
    }
    try bench.fail(
      "convert", "model.h5", "x.strata", "--set", "embedding=", code: "usage", status: 64)
  }

  /// Cells stay apart unless they are told to be a stack; then they step one behind the other.
  @Test(arguments: ["cells-gru", "cells-lstm"])
  func cells(fixture: String) throws {
    try bench.take(fixture)
    try bench.succeed("convert", "model.h5", "separate.strata", "--set", "cells=separate")
    try bench.succeed("convert", "model.h5", "default.strata")
    #expect(
      try bench.bytesWithoutProvenance("default.strata")
        == bench.bytesWithoutProvenance("separate.strata"))
    try bench.succeed("convert", "model.h5", "stack.strata", "--set", "cells=stack")
    try bench.succeed("convert", "stack.strata", "through.h5")

    var golden = try bench.read("golden.h5")
    golden.stateDict["input"] = golden.stateDict["cells.0.input"]
    try bench.write(golden, to: "input.h5")
    try bench.fail(
      "run", "separate.strata", "--input", "input.h5", "--output", "x.h5", code: "ambiguousModel")
    for model in ["stack.strata", "through.h5"] {
      try bench.succeed("run", model, "--input", "input.h5", "--output", "r.h5", "--force")
      let results = try bench.read("r.h5").stateDict
      #expect(
        results.names
          == golden.stateDict.names.filter { $0.hasSuffix("h_n") || $0.hasSuffix("c_n") })
      for (name, tensor) in results {
        let expected = try #require(golden.stateDict[name]).floats()
        #expect(zip(try tensor.floats(), expected).allSatisfy { abs($0 - $1) <= 1e-6 }, "\(name)")
      }
    }
    // And apart again.
    try bench.succeed("convert", "stack.strata", "apart.strata", "--set", "cells=separate")
    try bench.fail(
      "run", "apart.strata", "--input", "input.h5", "--output", "x.h5", code: "ambiguousModel")
    let fault = try bench.fail(
      "convert", "model.h5", "x.strata", "--set", "cells=many", code: "usage", status: 64)
    #expect(fault.line.contains("separate, stack"), "\(fault.line)")
  }

  // MARK: Attributes

  /// Attributes of an HDF5 group, and of one above it, speak of the modules below; as metadata they
  /// are called `GROUP@NAME`.
  @Test func groupFacts() throws {
    var checkpoint = Checkpoint.stack(gates: 1, prefix: "net.rnn.")
    checkpoint.metadata = ["net.rnn@nonlinearity": "relu", "net@batch_first": "True"]
    try bench.write(checkpoint, to: "a.strata")
    try expectRelu("a.strata")
    // The nearer one counts.
    checkpoint.metadata["net@nonlinearity"] = "tanh"
    checkpoint.metadata["nonlinearity"] = "tanh"
    try bench.write(checkpoint, to: "nearer.strata")
    try expectRelu("nearer.strata")
    // --set counts more.
    try bench.succeed("convert", "a.strata", "b.strata", "--set", "nonlinearity=tanh")
    let options = try #require(try modules("b.strata").first?["options"] as? [String: Any])
    #expect(options["nonlinearity"] as? String == "tanh")
    var gated = Checkpoint.stack(gates: 3, prefix: "net.rnn.")
    gated.metadata = ["net@gru_reset": "before", "net.rnn.sigmoid": "hard_torch"]
    try bench.write(gated, to: "gated.strata")
    for arguments in [["c.strata"], ["d.strata", "--prefix", "net."]] {
      let result = try Tool.run(["convert", "gated.strata"] + arguments, in: bench.directory)
      #expect(result.status == 0, "\(result)")
      let options = try #require(try modules(arguments[0]).first?["options"] as? [String: Any])
      #expect(options["gru_reset"] as? String == "before")
      #expect(options["sigmoid"] as? String == "hard_torch")
    }
    for (key, value) in [("nonlinearity", "sigmoid"), ("batch_first", "maybe")] {
      var bad = Checkpoint.stack(gates: 1, prefix: "net.rnn.")
      bad.metadata = ["net.rnn@\(key)": value]
      try bench.write(bad, to: "bad-\(key).strata")
      let fault = try bench.fail("convert", "bad-\(key).strata", "x.h5", code: "metadataInvalid")
      #expect(fault.line.contains(key) && fault.line.contains(value), "\(fault.line)")
    }
  }

  private func expectRelu(_ name: String) throws {
    let report = try bench.json("convert", name, "o.strata", "--force")
    #expect((report["assumed"] as? [Any])?.isEmpty == true, "\(report)")
    let options = try #require(try modules(name).first?["options"] as? [String: Any])
    #expect(options["nonlinearity"] as? String == "relu")
    #expect(options["batch_first"] as? Bool == true)
  }

  /// The same in a file that h5py wrote, where there is a Python for it.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["STRATA_PYTHON"] != nil))
  func groupAttributes() throws {
    try bench.write(Checkpoint.stack(gates: 1), to: "plain.h5")
    let script = """
      import h5py
      with h5py.File("plain.h5") as plain, h5py.File("groups.h5", "w") as groups:
          for name in plain:
              if isinstance(plain[name], h5py.Dataset):
                  groups["net/rnn/" + name] = plain[name][...]
          groups["net"].attrs["batch_first"] = True
          groups["net/rnn"].attrs["nonlinearity"] = "relu"
      """
    let python = try #require(ProcessInfo.processInfo.environment["STRATA_PYTHON"])
    let made = try Tool.run(python, ["-c", script], in: bench.directory.path)
    try #require(made.status == 0, "\(made)")
    try expectRelu("groups.h5")
    // strata keeps what they said.
    try bench.succeed("convert", "groups.h5", "o.h5")
    try expectRelu("o.h5")
  }

  // MARK: Goldens

  /// A golden of another model is not sealed.
  @Test func goldenOfAnotherModel() throws {
    try bench.take("lstm-state")
    for (fixture, tensor) in [
      ("lstm-batch-first", "input"), ("tokens-lstm", "input"), ("lstm-l1-bi-bias", nil),
      ("encoder-decoder", "input"),
    ] {
      try bench.take(fixture, as: fixture)
      let fault = try bench.fail(
        "convert", "model.h5", "x.strata", "--golden", "\(fixture)-golden.h5",
        code: "goldenMismatch")
      #expect(fault.object["file"] as? String == "\(fixture)-golden.h5")
      if let tensor { #expect(fault.object["tensor"] as? String == tensor, "\(fault.line)") }
    }
    try bench.fail(
      "convert", "model.h5", "x.strata", "--golden", "model.h5", code: "goldenMismatch")
    // Nor is one with inputs and no results.
    var golden = try bench.read("golden.h5")
    for name in golden.stateDict.names where !Golden.isInput(name) { golden.stateDict[name] = nil }
    try bench.write(golden, to: "inputs.h5")
    try bench.fail(
      "convert", "model.h5", "x.strata", "--golden", "inputs.h5", code: "goldenMismatch")
  }
}
