import Checkpoints
import RecurrentNetworks
import TestSupport
import Testing

@Suite struct ModelBlueprintTests {
  private func dict(_ stacks: [(String, RecurrentConfiguration)]) throws -> StateDict {
    var generator = SeededGenerator(seed: 5)
    var dict = StateDict()
    for (module, configuration) in stacks {
      for (name, shape) in try configuration.parameters(ofModule: module) {
        dict[name.description] = generator.tensor(shape, 0.5)
      }
    }
    return dict
  }

  @Test("Encoder and decoder that do not chain are loaded one by one")
  func oneByOne() throws {
    let encoder = RecurrentConfiguration(.lstm, 3, 8)
    let decoder = RecurrentConfiguration(.gru, 5, 6)
    let both = try dict([("encoder.rnn", encoder), ("decoder.rnn", decoder)])
    let checkpoint = Checkpoint(stateDict: both)
    let error = expectFault(.ambiguousModel) { _ = try SequenceModel(checkpoint) }
    #expect(error?.reason.contains("encoder.rnn") == true)
    #expect(error?.reason.contains("decoder.rnn") == true)
    for (module, configuration) in [("encoder", encoder), ("decoder", decoder)] {
      for path in [module, module + ".rnn"] {
        let model = try SequenceModel(checkpoint, module: path)
        #expect(model.stacks.map(\.name) == [module + ".rnn"])
        #expect(model.stacks.map(\.configuration) == [configuration])
        // The same numbers as from a file that holds it alone.
        let alone = try SequenceModel(
          Checkpoint(stateDict: dict([(module, configuration)])))
        #expect(alone.blueprint.stackInputSize == model.blueprint.stackInputSize)
      }
    }
    // A path is whole names: `enc` is none.
    expectFault(.parameterMissing) { _ = try SequenceModel(checkpoint, module: "enc") }
    expectFault(.parameterMissing) { _ = try SequenceModel(checkpoint, module: "") }
  }

  @Test("A part of a chain can be loaded alone")
  func partOfAChain() throws {
    let stacks = [
      ("a", RecurrentConfiguration(.lstm, 3, 8)), ("b", RecurrentConfiguration(.gru, 8, 6)),
    ]
    let checkpoint = Checkpoint(stateDict: try dict(stacks))
    #expect(try SequenceModel(checkpoint).stacks.map(\.name) == ["a", "b"])
    #expect(try SequenceModel(checkpoint, module: "b").stacks.map(\.name) == ["b"])
    #expect(try SequenceModel(checkpoint, module: "b").blueprint.stackInputSize == 8)
  }

  @Test("Left-overs are refused, unless the module is named")
  func leftOvers() throws {
    var dict = try dict([("rnn", RecurrentConfiguration(.lstm, 3, 8))])
    dict["conv.weight"] = .zeros([2, 2, 2])
    dict["steps"] = Tensor([7 as Int64], shape: [])
    let checkpoint = Checkpoint(stateDict: dict)
    let error = expectFault(.parameterUnexpected) { _ = try ModelBlueprint(checkpoint.contents) }
    #expect(error?.tensor == "conv.weight")
    #expect(error?.reason.contains("steps") == true)
    #expect(try ModelBlueprint(checkpoint.contents, module: "rnn").stacks.count == 1)
  }

  @Test("No recurrent module, no model")
  func nothing() {
    expectFault(.parameterMissing) { _ = try SequenceModel(Checkpoint(stateDict: StateDict())) }
  }

  @Test("Faults of parameters are thrown with the file's name")
  func faults() throws {
    var dict = try dict([("rnn", RecurrentConfiguration(.lstm, 3, 8))])
    dict["rnn.bias_hh_l0"] = nil
    let error = expectFault(.parameterMissing) {
      _ = try ModelBlueprint(Checkpoint(stateDict: dict).contents, file: "a.h5")
    }
    #expect(error?.file == "a.h5")
    #expect(error?.tensor == "rnn.bias_hh_l0")
  }

  @Test("Integer weights are refused by both runtimes", arguments: [DType.int8, .int64, .bool])
  func integers(dtype: DType) throws {
    var dict = try dict([("rnn", RecurrentConfiguration(.lstm, 3, 8))])
    dict["rnn.weight_hh_l0"] = try Tensor.zeros([32, 8]).converted(to: dtype)
    let blueprint = try ModelBlueprint(Checkpoint(stateDict: dict).contents)
    let error = expectFault(.dtypeUnsupported) { _ = try SequenceModel(blueprint) }
    #expect(error?.tensor == "rnn.weight_hh_l0")
    expectFault(.dtypeUnsupported) { _ = try ReferenceModel(blueprint) }
  }

  @Test("Narrowed float64 weights are reported", arguments: [DType.float64, .float32, .float16])
  func narrowing(dtype: DType) throws {
    var dict = StateDict()
    for (name, tensor) in try self.dict([("rnn", RecurrentConfiguration(.lstm, 3, 8))]) {
      dict[name] = try tensor.converted(to: dtype)
    }
    let blueprint = try ModelBlueprint(Checkpoint(stateDict: dict).contents)
    #expect(
      blueprint.assumptions.contains { $0.option == "dtype" && $0.value == "F32" }
        == (dtype == .float64))
  }
}
