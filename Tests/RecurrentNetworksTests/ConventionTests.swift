import Checkpoints
import RecurrentNetworks
import TestSupport
import Testing

/// Weights in another layout, told so, are the network that they were.
@Suite struct ConventionTests {
  /// The network's own results, beside those of a file that was rearranged and is read with settings.
  private func expectSame(
    _ network: Network, _ settings: [Convention], steps: Int = 4,
    sourceLocation: SourceLocation = #_sourceLocation,
    rearranged: (inout StateDict) throws -> Void
  ) throws {
    var dict = try network.stateDict()
    try rearranged(&dict)
    let contents = Checkpoint(stateDict: dict).contents
    let inputs = try network.inputs(steps: steps, batch: 2)
    let blueprint = try ModelBlueprint(contents, options: ModelOptions(settings))
    let expected = try network.model().evaluate(inputs)
    #expect(
      try SequenceModel(blueprint).evaluate(inputs) == expected, sourceLocation: sourceLocation)
    let reference = try ReferenceModel(network.blueprint()).evaluate(inputs)
    #expect(
      try ReferenceModel(blueprint).evaluate(inputs) == reference, sourceLocation: sourceLocation)
    // Untold, they are another network, or none.
    let untold = try? SequenceModel(ModelBlueprint(contents)).evaluate(inputs)
    #expect(untold != expected, sourceLocation: sourceLocation)
  }

  /// Rows of W and b in the order in which `gates` names them.
  private func permuted(_ tensor: Tensor, _ own: String, _ gates: String) throws -> Tensor {
    let values = try tensor.floats()
    let block = values.count / gates.count
    let places = gates.compactMap { Array(own).firstIndex(of: $0) }
    return Tensor(
      places.flatMap { values[($0 * block)..<(($0 + 1) * block)] }, shape: tensor.shape)
  }

  private func transposed(_ tensor: Tensor) throws -> Tensor {
    let (rows, columns) = (tensor.shape[0], tensor.shape[1])
    let values = try tensor.floats()
    return Tensor(
      (0..<columns).flatMap { column in (0..<rows).map { values[$0 * columns + column] } },
      shape: [columns, rows])
  }

  @Test(
    "Gates in another order",
    arguments: [
      (RecurrentConfiguration.Kind.lstm, "iofg"), (.lstm, "figo"), (.lstm, "ogfi"), (.gru, "zrn"),
      (.gru, "nzr"),
    ])
  func gateOrder(kind: RecurrentConfiguration.Kind, gates: String) throws {
    let network = Network(
      RecurrentConfiguration(
        kind, 3, 17, layers: 2, bidirectional: true, projection: kind == .lstm ? 4 : 0))
    try expectSame(network, [.gateOrder(gates)]) { dict in
      for (name, tensor) in dict where ParameterName(name)?.kind != .projectionWeight {
        dict[name] = try permuted(tensor, kind == .lstm ? "ifgo" : "rzn", gates)
      }
    }
  }

  @Test("Matrices [inputs, outputs], those of a head as well")
  func transpose() throws {
    for kind in RecurrentConfiguration.Kind.allCases {
      let network = Network(
        RecurrentConfiguration(
          kind, 3, 5, layers: 2, bidirectional: true, projection: kind == .lstm ? 2 : 0),
        head: HeadConfiguration(kind == .lstm ? 4 : 10, 3))
      try expectSame(network, [.transpose]) { dict in
        for (name, tensor) in dict where tensor.shape.rank == 2 {
          dict[name] = try transposed(tensor)
        }
      }
    }
  }

  @Test("Directions, layers and biases in each other's place")
  func names() throws {
    func swap(_ dict: inout StateDict, _ pairs: [(String, String)]) {
      for (one, other) in pairs { (dict[one], dict[other]) = (dict[other], dict[one]) }
    }
    let network = Network(RecurrentConfiguration(.gru, 3, 5, layers: 2, bidirectional: true))
    let names = try network.stateDict().map(\.name)
    try expectSame(network, [.directionSwapped]) { dict in
      swap(&dict, names.filter { !$0.hasSuffix("_reverse") }.map { ($0, $0 + "_reverse") })
    }
    try expectSame(network, [.bias(.swapped)]) { dict in
      swap(
        &dict,
        names.compactMap { name in
          guard var other = ParameterName(name), other.kind == .inputBias else { return nil }
          other.kind = .hiddenBias
          return (name, other.description)
        })
    }
    // Layer 0 of the model stands in the file as layer 2, and so on.
    let stack = Network(RecurrentConfiguration(.lstm, 5, 5, layers: 3))
    try expectSame(stack, [.layerOrder([2, 0, 1])]) { dict in
      let weights = dict
      for (name, tensor) in weights {
        guard var place = ParameterName(name) else { continue }
        place.layer = [2, 0, 1][place.layer]
        dict[place.description] = tensor
      }
    }
  }

  @Test("What is added to forget gates, also where there is no bias yet", arguments: [true, false])
  func forgetBias(hasBias: Bool) throws {
    let network = Network(RecurrentConfiguration(.lstm, 3, 4, layers: 2, bias: hasBias))
    var dict = try network.stateDict()
    let told = ModelOptions([.forgetBias(1.5)])
    let blueprint = try ModelBlueprint(Checkpoint(stateDict: dict).contents, options: told)
    for layer in 0..<2 {
      for kind in ["bias_ih", "bias_hh"] {
        let name = "rnn0.\(kind)_l\(layer)"
        var values = try dict[name]?.floats() ?? [Float](repeating: 0, count: 16)
        if kind == "bias_ih" { for unit in 4..<8 { values[unit] += 1.5 } }
        dict[name] = Tensor(values, shape: [16])
      }
    }
    let inputs = try network.inputs(steps: 3, batch: 2)
    #expect(
      try SequenceModel(blueprint).evaluate(inputs)
        == SequenceModel(Checkpoint(stateDict: dict)).evaluate(inputs))
  }

  @Test("A projection that is not applied is the cut to the first features")
  func projection() throws {
    let network = Network(RecurrentConfiguration(.lstm, 3, 5, projection: 2))
    var dict = try network.stateDict()
    let contents = Checkpoint(stateDict: dict).contents
    dict["rnn0.weight_hr_l0"] = Tensor([1, 0, 0, 0, 0, 0, 1, 0, 0, 0] as [Float], shape: [2, 5])
    let inputs = try network.inputs(steps: 3, batch: 2)
    let blueprint = try ModelBlueprint(contents, options: ModelOptions([.projectionIgnored]))
    #expect(
      try SequenceModel(blueprint).evaluate(inputs)
        == SequenceModel(Checkpoint(stateDict: dict)).evaluate(inputs))
    // A square one changes no size and is left out.
    let square = Network(RecurrentConfiguration(.lstm, 3, 5))
    try expectSame(square, [.projectionIgnored]) { dict in
      dict["rnn0.weight_hr_l0"] = .zeros([5, 5])
    }
  }

  @Test("Given states are what they are said to be")
  func states() throws {
    let network = Network(RecurrentConfiguration(.lstm, 3, 5, layers: 2))
    let inputs = try network.inputs(steps: 3, batch: 2)
    var swapped = inputs
    (swapped["h_0"], swapped["c_0"]) = (inputs["c_0"], inputs["h_0"])
    var without = inputs
    (without["h_0"], without["c_0"]) = (nil, nil)
    let contents = try network.checkpoint().contents
    for (state, same) in [
      (RecurrentConfiguration.GivenState.swapped, swapped), (.zero, without),
    ] {
      let blueprint = try ModelBlueprint(contents, options: ModelOptions([.state(state)]))
      let expected = try network.model().evaluate(same)
      #expect(try SequenceModel(blueprint).evaluate(inputs) == expected)
      // It stands in the description.
      #expect(blueprint.stacks[0].configuration.givenState == state)
    }
  }

  @Test("A setting that means nothing for a model is an error")
  func nothingMeant() throws {
    let gru = try Network(RecurrentConfiguration(.gru, 3, 5)).checkpoint().contents
    for convention in [
      Convention.gateOrder("iofg"), .directionSwapped, .layerOrder([1, 0]), .projectionIgnored,
      .forgetBias(1), .bias(.merged),
    ] {
      let error = #expect(throws: CheckpointError.self) {
        try ModelBlueprint(gru, options: ModelOptions([convention]))
      }
      #expect(error?.code == .modelInvalid)
      #expect(error?.reason.contains(convention.setting) == true, "\(String(describing: error))")
    }
  }

  @Test("Every setting is spelled as it is read")
  func settings() {
    let all: [(Convention, String)] = [
      (.gateOrder("iofg"), "gate_order=iofg"), (.transpose, "transpose=true"),
      (.bias(.merged), "bias=merged"), (.bias(.swapped), "bias=swapped"),
      (.gruReset(.before), "gru_reset=before"), (.nonlinearity(.relu), "nonlinearity=relu"),
      (.batchFirst(true), "batch_first=true"), (.directionSwapped, "direction=swapped"),
      (.layerOrder([2, 0, 1]), "layer_order=2,0,1"), (.state(.swapped), "state=swapped"),
      (.state(.zero), "state=zero"), (.projectionIgnored, "projection=ignored"),
      (.forgetBias(1), "forget_bias=1.0"), (.sigmoid(.hardKeras2), "sigmoid=hard_keras2"),
      (.sigmoid(.hardTorch), "sigmoid=hard_torch"),
    ]
    for (convention, setting) in all {
      #expect(convention.setting == setting)
      let name = String(setting.prefix { $0 != "=" })
      #expect(ModelOptions.names.contains(name))
      #expect(ModelOptions([convention]).says(name))
    }
    var options = ModelOptions()
    for (name, value) in [
      ("gate_order", "iffo"), ("gate_order", "rz"), ("transpose", "yes"), ("bias", "none"),
      ("direction", "kept"), ("layer_order", "0,2"), ("layer_order", "a"), ("projection", "kept"),
      ("forget_bias", "nan"), ("state", "one"),
    ] {
      #expect(options.set(name, to: value) != nil, "\(name)=\(value)")
    }
    #expect(options == ModelOptions())
  }
}
