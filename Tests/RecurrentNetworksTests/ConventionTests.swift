import Checkpoints
import RecurrentNetworks
import TestSupport
import Testing

@Suite struct ConventionTests {
  /// Rows of W and b in the order in which `gates` names them.
  private func permuted(_ tensor: Tensor, _ own: String, _ gates: String) throws -> Tensor {
    let values = try tensor.floats()
    let block = values.count / gates.count
    let places = gates.compactMap { Array(own).firstIndex(of: $0) }
    return Tensor(
      places.flatMap { values[($0 * block)..<(($0 + 1) * block)] }, shape: tensor.shape)
  }

  @Test(
    "Gates in another order, told so, give the same bits",
    arguments: [
      (RecurrentConfiguration.Kind.lstm, "ifgo"), (.lstm, "iofg"), (.lstm, "figo"), (.lstm, "ogfi"),
      (.gru, "rzn"), (.gru, "zrn"), (.gru, "nzr"),
    ])
  func gateOrder(kind: RecurrentConfiguration.Kind, gates: String) throws {
    let network = Network(
      RecurrentConfiguration(
        kind, 3, 17, layers: 2, bidirectional: true, projection: kind == .lstm ? 4 : 0))
    let own = kind == .lstm ? Convention.pytorch.lstmGates : Convention.pytorch.gruGates
    var dict = StateDict()
    for (name, tensor) in try network.stateDict() {
      let isProjection = ParameterName(name)?.kind == .projectionWeight
      dict[name] = isProjection ? tensor : try permuted(tensor, own, gates)
    }
    let convention =
      kind == .lstm
      ? Convention(origin: "test", lstmGates: gates) : Convention(origin: "test", gruGates: gates)
    let blueprint = try ModelBlueprint(
      Checkpoint(stateDict: dict).contents, convention: convention)
    let inputs = try network.inputs(steps: 4, batch: 2)
    let expected = try network.model().evaluate(inputs)
    #expect(try SequenceModel(blueprint).evaluate(inputs) == expected)
    let reference = try ReferenceModel(network.blueprint()).evaluate(inputs)
    #expect(try ReferenceModel(blueprint).evaluate(inputs) == reference)
    // Untold, they are another network.
    if gates != own {
      #expect(try SequenceModel(Checkpoint(stateDict: dict)).evaluate(inputs) != expected)
    }
  }

  @Test("An RNN has one gate, whatever the convention")
  func rnn() throws {
    let network = Network(RecurrentConfiguration(.rnn, 3, 5))
    let convention = Convention(origin: "ONNX", lstmGates: "iofg", gruGates: "zrn")
    let inputs = try network.inputs(steps: 4, batch: 2)
    let blueprint = try ModelBlueprint(network.checkpoint().contents, convention: convention)
    #expect(try SequenceModel(blueprint).evaluate(inputs) == network.model().evaluate(inputs))
  }
}
