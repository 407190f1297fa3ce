import Checkpoints
import RecurrentNetworks
import TestSupport
import Testing

/// Modules that belong to more than one model of a file, and goldens of parts of a chain.
@Suite struct SharedModuleTests {
  /// Two LSTMs of one shape.
  private func twoStacks(_ generator: inout SeededGenerator) -> StateDict {
    var dict = StateDict()
    for path in ["enc", "dec"] {
      dict["\(path).weight_ih_l0"] = generator.tensor([20, 3])
      dict["\(path).weight_hh_l0"] = generator.tensor([20, 5])
    }
    return dict
  }

  @Test("One table before two stacks is shared when the file says so, and ambiguous otherwise")
  func sharedEmbedding() throws {
    var generator = SeededGenerator(seed: 81)
    var dict = twoStacks(&generator)
    dict["emb.weight"] = generator.tensor([7, 3])
    let told = Checkpoint(
      stateDict: dict,
      metadata: ["enc.embedding": "emb", "dec.embedding": "emb", "chain": "[]"])
    let mapping = try ParameterMapping(of: told.contents)
    #expect(mapping.description.modules.map(\.name) == ["emb", "enc", "dec"])
    #expect(mapping.leftOver.isEmpty)
    #expect(try ModelDescription(json: mapping.description.json) == mapping.description)
    for module in ["enc", "dec"] {
      let model = try SequenceModel(told, module: module)
      #expect(model.blueprint.embedding?.name == "emb")
      var output = [Float](repeating: 0, count: 2 * 5)
      try model.makeSession().run(tokens: [0, 6], into: &output)
      #expect(output.contains { $0 != 0 })
    }

    let untold = Checkpoint(stateDict: dict, metadata: ["chain": "[]"])
    let fault = expectFault(.ambiguousModel) { _ = try ParameterMapping(of: untold.contents) }
    #expect(fault?.reason.contains("--set embedding=") == true)
  }

  @Test("A chain tests itself with the goldens of its single stacks, and with its own")
  func partsOfAChain() throws {
    var checkpoint = try Checkpoint(Goldens.modelReader("stacked-kinds"))
    let all = try Goldens.golden("stacked-kinds")
    for isWhole in [true, false] {
      var goldens = StateDict()
      for (name, tensor) in all where name.contains(".") != isWhole { goldens[name] = tensor }
      checkpoint.goldens = goldens
      let rows = try SequenceModel(checkpoint).selfTest().rows
      #expect(rows.contains { $0.name == (isWhole ? "output" : "lstm.output") })
      #expect(rows.allSatisfy { $0.name.contains(".") != isWhole })
    }
    // One of its stacks alone is not tested with the whole chain's.
    checkpoint.goldens = all
    let rows = try SequenceModel(checkpoint, module: "gru").selfTest().rows
    #expect(!rows.isEmpty && rows.allSatisfy { $0.name.hasPrefix("gru.") })
  }
}
