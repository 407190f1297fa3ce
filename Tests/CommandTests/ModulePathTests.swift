import Checkpoints
import Foundation
import TestSupport
import Testing

/// What speaks of a module follows it when its path changes, or is told to be lost.
@Suite struct ModulePathTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  private func note(
    _ path: String, _ type: String, _ options: [String: ModuleRecord.Option] = [:]
  ) -> ModuleRecord {
    ModuleRecord(path: path, type: type, options: options)
  }

  private func zeros(_ shape: Shape) -> Tensor {
    Tensor([Float](repeating: 0, count: shape.elementCount), shape: shape)
  }

  private let relu: [String: ModuleRecord.Option] = [
    "mode": .string("RNN_RELU"), "batch_first": .bool(true),
  ]

  /// What the conversion says of the recurrent module at a path, and the whole report.
  private func convert(
    _ input: String, module: String = "", _ options: String...
  ) throws -> (module: [String: Any], report: [String: Any]) {
    let result = try Tool.run(
      ["convert", input, "out.strata", "--force", "--json"] + options, in: bench.directory)
    try #require(result.status == 0, "\(result)")
    let report = try result.object()
    return (try #require(self.module(at: module, report), "\(result)"), report)
  }

  /// The options of the module at a path.
  private func module(at path: String, _ report: [String: Any]) -> [String: Any]? {
    let modules = report["modules"] as? [[String: Any]]
    return modules?.first { $0["name"] as? String == path }?["options"] as? [String: Any]
  }

  private func options(_ report: [String: Any]) -> [String] {
    (report["assumed"] as? [[String: String]])?.compactMap { $0["option"] } ?? []
  }

  @Test(
    "A module that becomes the root beside others keeps its options",
    arguments: [
      ("module", []), ("_orig_mod", []), ("module._orig_mod", []),
      ("rnn", ["--rename", "^rnn[.]="]), ("net.rnn", ["--rename", "^net[.]rnn[.]="]),
    ] as [(String, [String])])
  func becomesRoot(path: String, options: [String]) throws {
    let siblings: [(String, Checkpoint)] = [
      ("linear", .stack(gates: 1, prefix: path + ".").adding(linear: "fc", 2, 5)),
      (
        "embedding",
        .stack(gates: 1, prefix: path + ".").adding(zeros([7, 3]), "table.weight")
      ),
      (
        "convolution",
        .stack(gates: 1, prefix: path + ".").adding(zeros([3, 3, 2]), "conv.weight")
      ),
    ]
    for (name, checkpoint) in siblings {
      var checkpoint = checkpoint
      // The model around them is noted first, as in a file of a whole module.
      checkpoint.moduleRecords = [
        note("", "my.Net", ["dropout": .number(0.5)]), note(path, "torch.nn.RNN", relu),
      ]
      try bench.write(checkpoint, to: "\(name).h5")
      let result = try Tool.run(
        ["convert", "\(name).h5", "out.strata", "--force", "--json"] + options, in: bench.directory)
      try #require(result.status == 0, "\(result)")
      let report = try result.object()
      let module = try #require(self.module(at: "", report), "\(result)")
      #expect(module["nonlinearity"] as? String == "relu", "\(result)")
      #expect(module["batch_first"] as? Bool == true, "\(result)")
      #expect(module["dropout"] as? Double == 0, "\(result)")
      #expect(!self.options(report).contains { ["nonlinearity", "batch_first"].contains($0) })
    }
  }

  @Test("A WeightDrop that is the whole model gives way to the module that it wraps")
  func weightDrop() throws {
    var tensors = StateDict()
    for (name, tensor) in Checkpoint.stack().stateDict {
      let isRaw = name == "weight_hh_l0"
      try tensors.append(tensor, named: isRaw ? "weight_hh_l0_raw" : "module.\(name)")
    }
    let records = [
      note("", "my.WeightDrop", ["dropout": .number(0.5)]),
      note("module", "torch.nn.LSTM", ["batch_first": .bool(true)]),
    ]
    try bench.write(Checkpoint(stateDict: tensors, moduleRecords: records), to: "a.h5")
    let (module, report) = try convert("a.h5")
    #expect(module["batch_first"] as? Bool == true)
    #expect(options(report) == [])
    #expect(
      report["ignored"] as? [String]
        == ["the options of the root (my.WeightDrop), where module (torch.nn.LSTM) stands now"])
  }

  @Test("A module all of whose weights are parametrised keeps its options")
  func parametrised() throws {
    var tensors = StateDict()
    for (name, tensor) in Checkpoint.stack().stateDict where name.hasPrefix("weight") {
      let path = "net.rnn.parametrizations.\(name)"
      try tensors.append(
        Tensor([Float](repeating: 1, count: tensor.shape[0]), shape: [tensor.shape[0], 1]),
        named: "\(path).original0")
      try tensors.append(tensor, named: "\(path).original1")
    }
    let records = [note("net.rnn", "torch.nn.LSTM", ["batch_first": .bool(true)])]
    try bench.write(Checkpoint(stateDict: tensors, moduleRecords: records), to: "a.h5")
    for options in [["--prefix", "net.rnn."], ["--rename", "^net[.]rnn[.]="]] {
      let (module, _) = try convert("a.h5", options[0], options[1])
      #expect(module["batch_first"] as? Bool == true, "\(options)")
    }
  }

  @Test("Options whose parameters got other names are told to be lost")
  func strayed() throws {
    var tensors = StateDict()
    for (name, tensor) in Checkpoint.stack(gates: 1).stateDict {
      try tensors.append(tensor, named: "rnn.my_\(name)")
    }
    let records = [note("rnn", "my.RNN", relu)]
    try bench.write(Checkpoint(stateDict: tensors, moduleRecords: records), to: "a.h5")
    let (_, report) = try convert("a.h5", module: "rnn", "--rename", "[.]my_=.")
    #expect(
      report["ignored"] as? [String]
        == ["the options of rnn (my.RNN), whose parameters have got other names"])
  }

  @Test("Attributes of groups, and of modules that become the root, keep to their modules")
  func attributes() throws {
    var checkpoint = Checkpoint.stack(gates: 1, prefix: "net.a.")
    for (name, tensor) in Checkpoint.stack(gates: 1, prefix: "other.", seed: 2).stateDict {
      checkpoint.stateDict[name] = tensor
    }
    checkpoint.metadata = ["net@nonlinearity": "relu"]
    try bench.write(checkpoint, to: "a.h5")
    for (path, rename) in [("b", "^net[.]a[.]=b."), ("", "^net[.]a[.]=")] {
      let (module, report) = try convert("a.h5", module: path, "--rename", rename)
      #expect(module["nonlinearity"] as? String == "relu", "\(rename)")
      let other = self.module(at: "other", report)
      #expect(other?["nonlinearity"] as? String == "tanh", "\(rename)")
      #expect(options(report).contains("nonlinearity"))
    }
    // What a file says of all its modules stays with those that do not say it themselves.
    checkpoint.metadata = ["nonlinearity": "tanh", "net.a.nonlinearity": "relu"]
    try bench.write(checkpoint, to: "a.h5")
    let (module, report) = try convert("a.h5", "--rename", "^net[.]a[.]=")
    #expect(module["nonlinearity"] as? String == "relu")
    #expect(self.module(at: "other", report)?["nonlinearity"] as? String == "tanh")
    #expect(!options(report).contains("nonlinearity"))
  }

  @Test("A whole model that PyTorch wrote")
  func wholeModel() throws {
    let folder = Fixtures.path("torch/2.15.0")
    let (_, report) = try convert(
      "\(folder)/whole-model.pt", "--golden", "\(folder)/whole-model.golden.npz",
      "--rename", "^rnn[.]=", "--set", "head_activation=none")
    #expect(options(report) == ["head", "head_input"])
    try bench.succeed("verify", "out.strata")
  }
}
