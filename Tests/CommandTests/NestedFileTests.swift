import Checkpoints
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

/// Files that hold more than a state dict: which one is meant, and what is told of it.
@Suite struct NestedFileTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  private func torch(_ name: String) -> String { Fixtures.path("torch/2.15.0/\(name)") }

  @Test("The only state dict is found alone, and told in one line")
  func found() throws {
    let report = try bench.json("convert", torch("checkpoint.pt"), "a.strata")
    #expect(report["key"] as? String == "model_state_dict")
    let renamed = try #require(report["renamed"] as? [[String: String]])
    #expect(renamed.count == 10)
    #expect(
      renamed.contains(
        ["from": "model_state_dict.rnn.weight_ih_l0", "to": "rnn.weight_ih_l0"]))
    #expect(
      (report["ignored"] as? [String])?.contains("30 tensors beside model_state_dict") == true)
    let words = try bench.succeed("convert", torch("checkpoint.pt"), "b.strata").output
    #expect(words.contains("\n  state dict: taken from model_state_dict (10 tensors)\n"))
    #expect(!words.contains("renamed:"), "\(words)")
    #expect(try bench.read("a.strata").stateDict.names.first == "rnn.weight_ih_l0")
  }

  @Test("Of several the only one with recurrent weights is found alone, and told")
  func recurrentAmongSeveral() throws {
    let report = try bench.json("convert", torch("beside.ckpt"), "a.strata")
    #expect(report["key"] as? String == "state_dict")
    #expect((report["ignored"] as? [String])?.contains("8 tensors beside state_dict") == true)
    let words = try bench.succeed("convert", torch("beside.ckpt"), "b.strata").output
    #expect(words.contains("\n  state dict: taken from state_dict (10 tensors)\n"), "\(words)")
    let shown = try bench.json("inspect", torch("beside.ckpt"))
    #expect(shown["key"] as? String == "state_dict")
    #expect((shown["modules"] as? [Any])?.count == 2)
    // Single numbers are no state dict, tables of others are.
    #expect(
      (shown["state_dicts"] as? [[String: Any]])?.compactMap { $0["key"] as? String } == [
        "state_dict", "scaler", "hyper_parameters", "random_states_0",
      ])
    try bench.succeed("verify", torch("beside.ckpt"), torch("beside.golden.npz"))
    try bench.succeed("bench", torch("beside.ckpt"))
    // What stands beside is still to be had.
    try bench.succeed("convert", torch("beside.ckpt"), "c.npz", "--key", "scaler")
    try bench.succeed("convert", torch("beside.ckpt"), "d.npz", "--key", "metrics")
  }

  @Test("Deep keys join with dots")
  func deep() throws {
    let report = try bench.json("convert", torch("deep.pt"), "a.strata")
    #expect(report["key"] as? String == "run.best.weights")
    for key in ["run.best.weights", "run.best.weights.", "run.best", "run"] {
      let report = try bench.json(
        "convert", torch("deep.pt"), "b.strata", "--force", "--key", key)
      #expect(report["key"] as? String == (key.hasSuffix(".") ? String(key.dropLast()) : key))
    }
    #expect(try bench.read("b.strata").stateDict.names.first == "best.weights.net.gru.weight_ih_l0")
    let fault = try bench.fail(
      "convert", torch("deep.pt"), "c.strata", "--key", "run.worst", code: "parameterMissing")
    #expect(fault.line.contains("run.best.weights (4 tensors, "), "\(fault.line)")
  }

  @Test("The empty key is the whole file")
  func everything() throws {
    let report = try bench.json("convert", torch("deep.pt"), "a.strata", "--key", "")
    #expect(report["key"] as? String == "")
    #expect((report["renamed"] as? [Any])?.isEmpty == true)
    #expect(
      try bench.read("a.strata").stateDict.names.first == "run.best.weights.net.gru.weight_ih_l0")
  }

  @Test("Several are an error that lists them with their sizes, in every subcommand")
  func several() throws {
    let file = torch("averages.pt")
    for arguments in [
      ["convert", file, "a.strata"], ["diff", file, file], ["verify", file], ["bench", file],
      ["run", file, "--input", file, "--output", "r.h5"],
    ] {
      let result = try Tool.run(arguments + ["--json"], in: bench.directory)
      #expect(result.status == 2, "\(result)")
      #expect(try result.code == "ambiguousModel", "\(result)")
      for candidate in ["model (10 tensors, 1224 bytes)", "ema (10 tensors, 1224 bytes)"] {
        #expect(result.errors.contains(candidate), "\(result)")
      }
      #expect(result.errors.contains("--key"))
    }
    #expect(try bench.snapshot().isEmpty)
    for key in ["model", "ema"] {
      try bench.succeed("convert", file, "\(key).strata", "--key", key)
      #expect(try bench.read("\(key).strata").stateDict.names.first == "rnn.weight_ih_l0")
      let report = try bench.json("diff", file, file, "--key", key)
      #expect(report["equal"] as? Bool == true)
      try bench.succeed("bench", file, "--key", key)
    }
    #expect(try bench.json("diff", "model.strata", "model.strata")["equal"] as? Bool == true)
    let result = try bench.strata("diff", "model.strata", "ema.strata")
    #expect(result.status == 1)
  }

  @Test("diff compares a state dict of a nested file with a file of its own")
  func diffWithFlat() throws {
    let nested = torch("averages.pt")
    try bench.succeed("convert", nested, "ema.strata", "--key", "ema")
    for files in [[nested, "ema.strata"], ["ema.strata", nested]] {
      let report = try bench.json("diff", files[0], files[1], "--key", "ema")
      #expect(report["equal"] as? Bool == true)
      #expect(try bench.strata("diff", files[0], files[1], "--key", "model").status == 1)
      // A key that is nowhere, one that is in the flat file alone, and none.
      for key in ["absent", "rnn"] {
        let fault = try bench.fail(
          "diff", files[0], files[1], "--key", key, code: "parameterMissing")
        #expect(fault.line.contains(key == "rnn" ? "averages.pt" : files[0]), "\(fault.line)")
      }
      try bench.fail("diff", files[0], files[1], code: "ambiguousModel")
    }
    try bench.fail("diff", "ema.strata", "ema.strata", "--key", "ema", code: "parameterMissing")
  }

  @Test("inspect shows a file with several whole, and what each is")
  func inspectSeveral() throws {
    let report = try bench.json("inspect", torch("averages.pt"))
    let names = (report["tensors"] as? [[String: Any]])?.compactMap { $0["name"] as? String }
    #expect(names?.count == 20)
    #expect(names?.contains("model.rnn.weight_ih_l0") == true)
    let places = try #require(report["state_dicts"] as? [[String: Any]])
    #expect(places.compactMap { $0["key"] as? String } == ["model", "ema"])
    #expect(places.compactMap { $0["tensors"] as? Int } == [10, 10])
    #expect(places.compactMap { ($0["modules"] as? [Any])?.count } == [2, 2])
    #expect((report["modules"] as? [Any])?.isEmpty == true)
    let words = try bench.succeed("inspect", torch("averages.pt")).output
    #expect(words.contains("state dict: ema (10 tensors, "), "\(words)")
    #expect(words.contains("--key chooses one"))

    let chosen = try bench.json("inspect", torch("averages.pt"), "--key", "ema")
    #expect((chosen["tensors"] as? [Any])?.count == 10)
    #expect((chosen["modules"] as? [Any])?.count == 2)
    #expect(chosen["key"] as? String == "ema")
    try bench.fail("inspect", torch("averages.pt"), "--key", "absent", code: "parameterMissing")
  }

  @Test("A key counts below a format without nesting as well, with what speaks of modules")
  func flatFile() throws {
    var checkpoint = Checkpoint.stack(gates: 1, prefix: "state.rnn.").adding(
      linear: "state.fc", 2, 5)
    checkpoint.metadata = ["head": "state.fc", "state.rnn.nonlinearity": "relu", "note": "kept"]
    checkpoint.moduleRecords = [
      ModuleRecord(path: "state.rnn", type: "torch.nn.RNN", options: ["batch_first": .bool(true)]),
      ModuleRecord(path: "state", type: "Net", options: [:]),
      ModuleRecord(path: "other", type: "Net", options: [:]),
    ]
    for name in ["a.h5", "a.strata"] {
      try bench.write(checkpoint, to: name)
      let report = try bench.json("convert", name, "o.strata", "--force", "--key", "state")
      #expect(
        report["assumed"] as? [[String: String]] == [
          ["option": "head_activation", "value": "none"], ["option": "head_input", "value": "all"],
        ])
      var written = try bench.read("o.strata")
      written.metadata["strata_provenance"] = nil
      #expect(
        written.metadata == ["head": "fc", "rnn.nonlinearity": "relu", "note": "kept"])
      #expect(written.moduleRecords.map(\.path) == ["rnn", ""])
    }
  }
}
