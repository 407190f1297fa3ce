import Checkpoints
import CheckpointsHDF5
import RecurrentNetworks
import TestSupport
import Testing

/// State dicts with parameters in pieces: fixtures/fold.
enum FoldFixtures {
  static let folded = [
    "weight-norm-lstm", "parametrized-gru", "weight-drop-inside", "weight-drop-outside",
  ]

  static func reader(_ name: String, _ file: String = "model") throws -> CheckpointReader {
    try CheckpointReader(
      contentsOf: Fixtures.path("fold/\(name)/\(file).h5"), formats: Goldens.formats)
  }

  static func stateDict(_ name: String, _ file: String) throws -> StateDict {
    try StateDict(reading: reader(name, file).tensors)
  }
}

@Suite struct FoldedParameterTests {
  @Test(
    "What is folded has PyTorch's bits, and nothing else changes", arguments: FoldFixtures.folded)
  func bits(name: String) throws {
    let source = try FoldFixtures.reader(name).contents
    let mapping = try ParameterMapping(of: source)
    let plain = try FoldFixtures.stateDict(name, "plain")
    let found = try StateDict(reading: mapping.contents.tensors)
    #expect(Set(found.map(\.name)) == Set(plain.map(\.name)))
    for (name, tensor) in plain { #expect(found[name] == tensor, "\(name)") }
    #expect(mapping.isComplete && mapping.leftOver.isEmpty)
    #expect(!mapping.folded.isEmpty)
    #expect(mapping.unfolded.isEmpty)
    // A second time there is nothing to do.
    #expect(try ParameterMapping(of: mapping.contents).folded.isEmpty)
  }

  @Test("A model in pieces gives PyTorch's results", arguments: FoldFixtures.folded)
  func results(name: String) throws {
    let contents = try FoldFixtures.reader(name).contents
    let goldens = try FoldFixtures.stateDict(name, "golden")
    for precision in Verification.Precision.allCases {
      let verification = try Verification(contents, goldens: goldens, precision: precision)
      #expect(verification.isPassed, "\(verification.rows)")
    }
    #expect(try !ModelBlueprint(contents).folded.isEmpty)
  }

  @Test("What was folded is told in the order of the rules")
  func words() throws {
    let mapping = try ParameterMapping(of: FoldFixtures.reader("weight-norm-lstm").contents)
    #expect(
      mapping.folded.map(\.description).contains(
        "rnn.weight_hh_l0 = rnn.weight_hh_l0_g · rnn.weight_hh_l0_v / ‖rnn.weight_hh_l0_v‖"))
    let drop = try ParameterMapping(of: FoldFixtures.reader("weight-drop-outside").contents)
    #expect(
      drop.folded.map(\.description) == [
        "rnns.0.module.weight_hh_l0 = rnns.0.weight_hh_l0_raw",
        "rnns.1.module.weight_hh_l0 = rnns.1.weight_hh_l0_raw",
      ])
    #expect(drop.folded.map(\.rule) == [.weightDrop, .weightDrop])
  }

  @Test("The raw weight stands where the masked copy stood")
  func order() throws {
    let contents = try FoldFixtures.reader("weight-drop-inside").contents
    let names = contents.tensors.map(\.name)
    #expect(
      try ParameterMapping(of: contents).contents.tensors.map(\.name)
        == names.filter { !$0.hasSuffix("_raw") })
  }

  @Test("Without folding a module in pieces is none", arguments: FoldFixtures.folded)
  func off(name: String) throws {
    let contents = try FoldFixtures.reader(name).contents
    var options = ModelOptions()
    options.fold = .none
    let mapping = try ParameterMapping(of: contents, options: options)
    #expect(mapping.contents.tensors.map(\.name) == contents.tensors.map(\.name))
    #expect(mapping.isComplete && mapping.folded.isEmpty)
    #expect(mapping.description.modules.isEmpty)
    #expect(mapping.leftOver.count == contents.tensors.count)
    let folded = try ParameterMapping(of: contents).folded
    #expect(mapping.unfolded == folded)
    expectFault(.parameterUnexpected) { _ = try ModelBlueprint(contents, options: options) }
  }

  // MARK: What is not folded

  private func gru(_ change: (inout StateDict) throws -> Void) throws -> ParameterMapping {
    var dict = StateDict()
    for (name, shape) in try RecurrentConfiguration(.gru, 3, 5).parameters(ofModule: "rnn") {
      try dict.append(.zeros(shape), named: name.description)
    }
    try change(&dict)
    return try ParameterMapping(of: Checkpoint(stateDict: dict).contents)
  }

  @Test("Every recurrent parameter may have a raw weight, in a cell too")
  func everyParameter() throws {
    for kind in ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"] {
      let mapping = try gru { dict in
        dict["rnn.\(kind)_raw"] = dict["rnn.\(kind)"]
        dict["rnn.\(kind)"] = nil
      }
      #expect(mapping.folded.map(\.name) == ["rnn.\(kind)"])
      #expect(mapping.isComplete)
    }
    var cell = StateDict()
    for (name, shape) in [("weight_ih", [15, 3]), ("weight_hh_raw", [15, 5])] as [(String, Shape)] {
      cell[name] = .zeros(shape)
    }
    #expect(try ParameterMapping(of: Checkpoint(stateDict: cell).contents).isComplete)
  }

  @Test("A raw weight of another shape or dtype than its copy is not taken")
  func rawThatDoesNotFit() throws {
    for raw in [Tensor.zeros([15, 4]), try Tensor.zeros([15, 5]).converted(to: .float64)] {
      let mapping = try gru { $0["rnn.weight_hh_l0_raw"] = raw }
      #expect(mapping.folded.isEmpty)
      #expect(mapping.unexpected == ["rnn.weight_hh_l0_raw"])
      let fault = expectFault(.parameterUnexpected) { try mapping.requireComplete() }
      #expect(fault?.reason.contains("WeightDrop") == true)
    }
  }

  @Test(
    "What only PyTorch can make plain is called by its name, with the way out",
    arguments: [
      ("spectral-norm", "spectral_norm", "torch.nn.utils.remove_spectral_norm"),
      ("parametrized-spectral-norm", "spectral_norm", "parametrize.remove_parametrizations"),
      ("pruned", "pruning", "torch.nn.utils.prune.remove"),
    ])
  func foreign(name: String, what: String, way: String) throws {
    let mapping = try ParameterMapping(of: FoldFixtures.reader(name).contents)
    #expect(mapping.folded.isEmpty)
    #expect(mapping.missing == ["rnn.weight_hh_l0"])
    #expect(!mapping.unexpected.isEmpty)
    let fault = expectFault(.parameterMissing) { try mapping.requireComplete() }
    #expect(fault?.reason.contains(what) == true && fault?.reason.contains(way) == true)
  }

  @Test("A half alone is named, with the way out")
  func half() throws {
    for (half, way) in [
      ("rnn.weight_hh_l0_g", "remove_weight_norm"), ("rnn.weight_hh_l0_v", "remove_weight_norm"),
      ("rnn.parametrizations.weight_hh_l0.original1", "remove_parametrizations"),
    ] {
      let mapping = try gru { dict in
        dict[half] = dict["rnn.weight_hh_l0"]
        dict["rnn.weight_hh_l0"] = nil
      }
      #expect(mapping.folded.isEmpty && mapping.unexpected == [half])
      let fault = expectFault(.parameterMissing) { try mapping.requireComplete() }
      #expect(fault?.reason.contains(way) == true, "\(fault?.reason ?? "")")
    }
  }
}
