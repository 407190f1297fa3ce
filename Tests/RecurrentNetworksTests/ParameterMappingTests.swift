import Checkpoints
import CheckpointsHDF5
import RecurrentNetworks
import TestSupport
import Testing

@Suite struct ParameterMappingTests {
  // MARK: Faults of parameters

  static let complete: [RecurrentConfiguration] = [
    RecurrentConfiguration(.rnn, 3, 5, layers: 2), RecurrentConfiguration(.gru, 3, 5, layers: 3),
    RecurrentConfiguration(.lstm, 3, 5, layers: 2, bidirectional: true, projection: 2),
    RecurrentConfiguration(.lstm, 4, 4, layers: 2, bias: false),
  ]

  private func tensors(
    _ configuration: RecurrentConfiguration, module: String = "rnn"
  ) throws -> StateDict {
    var dict = StateDict()
    for (name, shape) in try configuration.parameters(ofModule: module) {
      try dict.append(.zeros(shape), named: name.description)
    }
    return dict
  }

  private func mapping(
    _ dict: StateDict, options: ModelOptions = ModelOptions(), metadata: [String: String] = [:],
    records: [ModuleRecord] = [], description: ModelDescription? = nil
  ) throws -> ParameterMapping {
    let checkpoint = Checkpoint(
      stateDict: dict, metadata: metadata, moduleRecords: records,
      modelDescription: try description?.json)
    return try ParameterMapping(of: checkpoint.contents, options: options, file: "model.h5")
  }

  @Test("Every single parameter is missed", arguments: complete)
  func missing(configuration: RecurrentConfiguration) throws {
    for (name, _) in try configuration.parameters(ofModule: "rnn") {
      // Without its only W_hr a layer is one of another shape: see `lostProjection`.
      if name.kind == .projectionWeight { continue }
      var dict = try tensors(configuration)
      dict[name.description] = nil
      let mapping = try mapping(dict)
      #expect(!mapping.isComplete)
      #expect(mapping.missing.contains(name.description), "\(name)")
      #expect(mapping.leftOver.isEmpty)
      if name.kind != .inputWeight || name.layer != 0 || configuration.isBidirectional {
        #expect(mapping.missing == [name.description])
        #expect(mapping.unexpected.isEmpty)
        #expect(mapping.mismatched.isEmpty)
      }
      let error = expectFault(.parameterMissing) { try mapping.requireComplete() }
      #expect(error?.tensor == name.description)
      #expect(error?.file == "model.h5")
    }
  }

  @Test("A projection that one direction lacks is missed")
  func lostProjection() throws {
    let configuration = RecurrentConfiguration(
      .lstm, 3, 5, layers: 2, bidirectional: true, projection: 2)
    for (name, _) in try configuration.parameters(ofModule: "rnn")
    where name.kind == .projectionWeight {
      var dict = try tensors(configuration)
      dict[name.description] = nil
      #expect(try mapping(dict).missing == [name.description])
    }
  }

  @Test("The message of the tool's contract")
  func mismatchMessage() throws {
    var dict = try tensors(RecurrentConfiguration(.lstm, 3, 128, layers: 2), module: "")
    dict["weight_hh_l1"] = .zeros([512, 100])
    let mapping = try mapping(dict)
    #expect(mapping.mismatches == ["weight_hh_l1: [512, 100], [512, 128]"])
    #expect(mapping.missing.isEmpty && mapping.unexpected.isEmpty)
    let error = expectFault(.shapeMismatch) { try mapping.requireComplete() }
    #expect(error?.reason == "shape [512, 100], expected [512, 128]")
    #expect(
      error?.description == "model.h5: weight_hh_l1: shape [512, 100], expected [512, 128]")
  }

  @Test("Every wrong shape is named, and no other", arguments: complete)
  func mismatched(configuration: RecurrentConfiguration) throws {
    for (name, shape) in try configuration.parameters(ofModule: "rnn") {
      // One more row; of W_hh of the only layer it would be another network.
      var dict = try tensors(configuration)
      var dimensions = shape.dimensions
      dimensions[0] += 1
      let found = try Shape(dimensions)
      dict[name.description] = .zeros(found)
      let mapping = try mapping(dict)
      #expect(
        mapping.mismatches == ["\(name): \(found), \(shape)"])
      #expect(mapping.missing.isEmpty && mapping.unexpected.isEmpty)
    }
  }

  @Test(
    "A tensor that the module does not have is unexpected",
    arguments: [
      "rnn.weight_hr_l0", "rnn.weight_ih_l0_reversed", "rnn.extra", "rnn.sub.weight",
      "rnn.weight_ih_l00",
    ])
  func unexpected(name: String) throws {
    var dict = try tensors(RecurrentConfiguration(.gru, 3, 5))
    dict[name] = .zeros([2, 5])
    let mapping = try mapping(dict)
    #expect(mapping.unexpected == [name])
    #expect(mapping.leftOver.isEmpty)
    let error = expectFault(.parameterUnexpected) { try mapping.requireComplete() }
    #expect(error?.tensor == name)
  }

  @Test("A layer behind a gap is a module with missing layers")
  func gap() throws {
    var dict = try tensors(RecurrentConfiguration(.gru, 3, 5))
    dict["rnn.weight_ih_l2"] = .zeros([15, 5])
    let mapping = try mapping(dict)
    #expect(
      mapping.missing == [
        "rnn.weight_ih_l1", "rnn.weight_hh_l1", "rnn.bias_ih_l1", "rnn.bias_hh_l1",
        "rnn.weight_hh_l2", "rnn.bias_ih_l2", "rnn.bias_hh_l2",
      ])
  }

  @Test("An absurd layer number is refused, and quickly")
  func absurdLayer() throws {
    for layer in ["999999999", "\(Int.max)"] {
      var dict = try tensors(RecurrentConfiguration(.gru, 3, 5))
      dict["rnn.weight_ih_l\(layer)"] = .zeros([15, 5])
      let time = processorTime {
        #expect(throws: CheckpointError.self) { try mapping(dict).requireComplete() }
      }
      #expect(time < .seconds(5) * Sanitizer.slowness)
    }
  }

  @Test("All faults in one pass")
  func several() throws {
    var dict = try tensors(RecurrentConfiguration(.lstm, 3, 5, layers: 3))
    dict["rnn.weight_hh_l1"] = .zeros([20, 4])
    dict["rnn.bias_ih_l2"] = .zeros([5])
    dict["rnn.bias_hh_l0"] = nil
    dict["rnn.weight_ih_l2"] = nil
    dict["rnn.extra"] = .zeros([1])
    dict["conv.weight"] = .zeros([2, 2, 2])
    let mapping = try mapping(dict)
    #expect(mapping.mismatched.map(\.name) == ["rnn.weight_hh_l1", "rnn.bias_ih_l2"])
    #expect(mapping.missing == ["rnn.bias_hh_l0", "rnn.weight_ih_l2"])
    #expect(mapping.unexpected == ["rnn.extra"])
    #expect(mapping.leftOver == ["conv.weight"])
    let error = expectFault(.shapeMismatch) { try mapping.requireComplete() }
    for name in [
      "rnn.bias_ih_l2 (shapeMismatch)", "rnn.bias_hh_l0 (parameterMissing)",
      "rnn.weight_ih_l2 (parameterMissing)", "rnn.extra (parameterUnexpected)",
    ] { #expect(error?.reason.contains(name) == true) }
  }

  @Test("Nothing, and nothing recurrent")
  func nothing() throws {
    #expect(try mapping(StateDict()).description.modules.isEmpty)
    let mapping = try mapping(["fc.weight": .zeros([2, 2]), "fc.bias": .zeros([2])])
    #expect(mapping.description.modules.isEmpty)
    #expect(mapping.leftOver == ["fc.weight", "fc.bias"])
    #expect(mapping.isComplete)
  }

  @Test("Shapes that no network has do not trap", arguments: 1...20 as ClosedRange<UInt64>)
  func randomShapes(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    for _ in 0..<20 {
      var dict = StateDict()
      for kind in ParameterName.Kind.allCases where Int.random(in: 0..<5, using: &generator) > 0 {
        for layer in 0..<2 {
          let rank = Int.random(in: 0...3, using: &generator)
          let dimensions = (0..<rank).map { _ in Int.random(in: 0...8, using: &generator) }
          dict[ParameterName(kind: kind, layer: layer).description] = .zeros(try Shape(dimensions))
        }
      }
      let mapping = try mapping(dict)
      let found = mapping.missing.count + mapping.mismatched.count + mapping.unexpected.count
      // Weights that make nothing at all are incomplete, but in no list.
      #expect(found == 0 || !mapping.isComplete, "\(generator)")
      if !mapping.isComplete {
        #expect(throws: CheckpointError.self, "\(generator)") { try mapping.requireComplete() }
      }
      // What passes is a network that can be loaded.
      if mapping.isComplete, !mapping.description.modules.isEmpty {
        _ = try SequenceModel(Checkpoint(stateDict: dict))
      } else if !dict.isEmpty {
        #expect(throws: CheckpointError.self, "\(generator)") {
          _ = try SequenceModel(Checkpoint(stateDict: dict))
        }
      }
    }
  }

  // MARK: Heads

  private func withHeads(_ heads: [String]) throws -> StateDict {
    var dict = try tensors(RecurrentConfiguration(.lstm, 3, 5))
    for head in heads {
      dict["\(head).weight"] = .zeros([2, 5])
      dict["\(head).bias"] = .zeros([2])
    }
    return dict
  }

  private func head(_ mapping: ParameterMapping) -> String? {
    mapping.description.modules.last.flatMap { module in
      if case .head = module.kind { module.name } else { nil }
    }
  }

  @Test(
    "One linear layer that fits is the head, whatever it is called",
    arguments: ["fc", "a.b.c", "out.0"])
  func recognisedHead(name: String) throws {
    let mapping = try mapping(withHeads([name]))
    #expect(head(mapping) == name)
    #expect(mapping.description.modules.last?.inputs == ["rnn"])
    #expect(mapping.leftOver.isEmpty)
    #expect(mapping.taken.suffix(2) == ["\(name).weight", "\(name).bias"])
  }

  @Test("What does not fit is no head")
  func noHead() throws {
    for (weight, bias) in [
      ([2, 4], [2]), ([2, 5], [3]), ([2, 5, 1], [2]), ([0, 5], [0]), ([5], [5]),
    ] {
      var dict = try tensors(RecurrentConfiguration(.lstm, 3, 5))
      dict["fc.weight"] = .zeros(try Shape(weight))
      dict["fc.bias"] = .zeros(try Shape(bias))
      let mapping = try mapping(dict)
      #expect(head(mapping) == nil, "\(weight) \(bias)")
      #expect(mapping.leftOver == ["fc.weight", "fc.bias"])
    }
  }

  @Test("A head takes the last stack's features, both directions of them")
  func headBehindBidirectional() throws {
    var dict = try tensors(RecurrentConfiguration(.lstm, 3, 5, bidirectional: true))
    dict["fc.weight"] = .zeros([2, 10])
    let mapping = try mapping(dict)
    #expect(
      mapping.description["fc"]?.kind == .head(HeadConfiguration(10, 2, bias: false)))
  }

  @Test("Two possible heads are ambiguous, and the way out is told")
  func ambiguousHeads() throws {
    let dict = try withHeads(["policy", "value"])
    let error = expectFault(.ambiguousModel) { _ = try mapping(dict) }
    #expect(error?.file == "model.h5")
    for text in ["policy", "value", "--set head=policy", "--set head=none"] {
      #expect(error?.reason.contains(text) == true, "\(text)")
    }
    var options = ModelOptions()
    for name in ["policy", "value"] {
      options.head = name
      let mapping = try mapping(dict, options: options)
      #expect(head(mapping) == name)
      #expect(mapping.leftOver.count == 2)
    }
    options.head = "none"
    #expect(head(try mapping(dict, options: options)) == nil)
    #expect(try mapping(dict, options: options).leftOver.count == 4)
    options.head = "polity"
    let wrong = expectFault(.parameterMissing) { _ = try mapping(dict, options: options) }
    #expect(wrong?.tensor == "polity.weight")
  }

  @Test("The head may be named by metadata or by a description; an option goes before both")
  func namedHead() throws {
    let dict = try withHeads(["a", "b", "c"])
    #expect(head(try mapping(dict, metadata: ["head": "b"])) == "b")
    #expect(head(try mapping(dict, metadata: ["head": "none"])) == nil)
    let description = ModelDescription(modules: [
      .init(
        name: "rnn", inputs: [ModelDescription.modelInput],
        kind: .recurrent(RecurrentConfiguration(.lstm, 3, 5))),
      .init(name: "c", inputs: ["rnn"], kind: .head(HeadConfiguration(5, 2))),
    ])
    #expect(head(try mapping(dict, metadata: ["head": "b"], description: description)) == "c")
    var headless = description
    headless.modules.removeLast()
    #expect(head(try mapping(dict, metadata: ["head": "b"], description: headless)) == nil)
    var options = ModelOptions()
    options.head = "a"
    #expect(
      head(try mapping(dict, options: options, metadata: ["head": "b"], description: description))
        == "a")
    expectFault(.parameterMissing) { _ = try mapping(dict, metadata: ["head": "d"]) }
  }

  // MARK: What shapes cannot tell

  /// RNN and head in every respect told by the sources from `first` on, each saying something else.
  private func told(_ sources: [String]) throws -> ParameterMapping {
    var dict = try tensors(RecurrentConfiguration(.rnn, 3, 5))
    dict["fc.weight"] = .zeros([2, 5])
    var options = ModelOptions()
    var metadata: [String: String] = [:]
    var records: [ModuleRecord] = []
    var description: ModelDescription?
    if sources.contains("options") {
      options.nonlinearity = .relu
      options.batchFirst = true
      options.headActivation = .softmax
      options.headInput = .last
    }
    if sources.contains("description") {
      description = ModelDescription(modules: [
        .init(
          name: "rnn", inputs: [ModelDescription.modelInput],
          kind: .recurrent(RecurrentConfiguration(.rnn, 3, 5))),
        .init(
          name: "fc", inputs: ["rnn"],
          kind: .head(HeadConfiguration(5, 2, .sigmoid, on: .finalState, bias: false))),
      ])
    }
    if sources.contains("metadata") {
      metadata = [
        "rnn.nonlinearity": "relu", "nonlinearity": "wrong", "batch_first": "True",
        "head_activation": "tanh", "fc.head_input": "last",
      ]
    }
    if sources.contains("records") {
      records = [
        ModuleRecord(
          path: "rnn", type: "torch.nn.RNN",
          options: [
            "nonlinearity": .string("tanh"), "batch_first": .bool(false), "dropout": .number(0.25),
          ]),
        ModuleRecord(
          path: "fc", type: "torch.nn.Linear",
          options: ["head_activation": .string("relu"), "head_input": .string("all")]),
      ]
    }
    return try mapping(
      dict, options: options, metadata: metadata, records: records, description: description)
  }

  @Test(
    "Options go before the description, that before metadata, those before records",
    arguments: [
      (["options", "description", "metadata", "records"], true, true, "softmax", "last"),
      (["description", "metadata", "records"], false, false, "sigmoid", "h_n"),
      (["metadata", "records"], true, true, "tanh", "last"),
      (["records"], false, false, "relu", "all"), ([], false, false, "none", "all"),
    ])
  func priority(
    sources: [String], relu: Bool, batchFirst: Bool, activation: String, input: String
  ) throws {
    let mapping = try told(sources)
    guard case .recurrent(let rnn) = mapping.description["rnn"]?.kind,
      case .head(let head) = mapping.description["fc"]?.kind
    else {
      Issue.record("two modules")
      return
    }
    #expect((rnn.nonlinearity == .relu) == relu)
    #expect(rnn.isBatchFirst == batchFirst)
    #expect(head.activation.rawValue == activation)
    #expect(head.input.rawValue == input)
    #expect(
      mapping.assumed
        == (sources.isEmpty
          ? [
            "nonlinearity=tanh", "batch_first=false", "head=fc", "head_activation=none",
            "head_input=all",
          ]
          // Nothing but a description says here which layer is the head.
          : sources.contains("description") ? [] : ["head=fc"]))
  }

  @Test("Only what is open is assumed, and once")
  func assumptions() throws {
    var dict = try tensors(RecurrentConfiguration(.lstm, 3, 5), module: "a")
    for (name, tensor) in try tensors(RecurrentConfiguration(.lstm, 5, 5), module: "b") {
      dict[name] = tensor
    }
    #expect(try mapping(dict).assumed == ["batch_first=false", "chain=a,b"])
    #expect(try mapping(dict, metadata: ["batch_first": "0"]).assumed == ["chain=a,b"])
    let told = ["batch_first": "0", "chain": #"["a","b"]"#]
    #expect(try mapping(dict, metadata: told).assumptions.isEmpty)
  }

  @Test("Where a GRU's reset gate stands and what its sigmoid is may be told, and is not assumed")
  func conventions() throws {
    func found(
      _ kind: RecurrentConfiguration.Kind, _ metadata: [String: String] = [:],
      options: ModelOptions = ModelOptions(), described: RecurrentConfiguration? = nil
    ) throws -> [String] {
      let mapping = try mapping(
        tensors(RecurrentConfiguration(kind, 3, 5)), options: options,
        metadata: metadata.merging(["batch_first": "0", "nonlinearity": "tanh"]) { own, _ in own },
        description: described.map {
          ModelDescription(modules: [
            .init(name: "rnn", inputs: [ModelDescription.modelInput], kind: .recurrent($0))
          ])
        })
      #expect(mapping.assumptions.isEmpty)
      guard case .recurrent(let configuration) = mapping.description["rnn"]?.kind else { return [] }
      return [configuration.gruReset.rawValue, configuration.sigmoid.rawValue]
    }
    let told = ["rnn@gru_reset": "before", "sigmoid": "hard_keras2"]
    #expect(try found(.gru) == ["after", "logistic"])
    #expect(try found(.gru, told) == ["before", "hard_keras2"])
    #expect(try found(.lstm, told) == ["after", "hard_keras2"])
    #expect(try found(.rnn, told) == ["after", "logistic"])
    // A description goes before that, and the user before both.
    let described = RecurrentConfiguration(.gru, 3, 5, sigmoid: .hardTorch)
    #expect(try found(.gru, told, described: described) == ["after", "hard_torch"])
    var options = ModelOptions()
    options.gruReset = .before
    options.sigmoid = .logistic
    #expect(
      try found(.gru, told, options: options, described: described) == ["before", "logistic"])
    #expect(try found(.rnn, options: options) == ["after", "logistic"])
    for wrong in [["gru_reset": "never"], ["rnn.sigmoid": "hard"]] {
      expectFault(.metadataInvalid) { _ = try found(.gru, wrong) }
    }
  }

  @Test(
    "What the file tells must make sense",
    arguments: [
      ["nonlinearity": "gelu"], ["batch_first": "yes"], ["head_activation": "gelu"],
      ["head_input": "first"], ["rnn.nonlinearity": " "], ["chain": "rnn"],
    ])
  func metadataInvalid(metadata: [String: String]) throws {
    var dict = try tensors(RecurrentConfiguration(.rnn, 3, 5))
    dict["fc.weight"] = .zeros([2, 5])
    expectFault(.metadataInvalid) { _ = try mapping(dict, metadata: metadata) }
  }

  @Test("Dropout is kept, and does nothing")
  func dropout() throws {
    guard case .recurrent(let rnn) = try told(["records"]).description["rnn"]?.kind else { return }
    #expect(rnn.dropout == 0.25)
  }

  static let described = RecurrentConfiguration(.lstm, 3, 5, layers: 2)
  static let contradictions: [RecurrentConfiguration] = [
    RecurrentConfiguration(.lstm, 4, 5, layers: 2), RecurrentConfiguration(.lstm, 3, 6, layers: 2),
    RecurrentConfiguration(.lstm, 3, 5, layers: 3), RecurrentConfiguration(.gru, 3, 5, layers: 2),
    RecurrentConfiguration(.lstm, 3, 5, layers: 2, bidirectional: true),
    RecurrentConfiguration(.lstm, 3, 5, layers: 2, projection: 2),
    RecurrentConfiguration(.lstm, 3, 5, layers: 2, bias: false),
  ]

  @Test("A description that contradicts the tensors is invalid", arguments: contradictions)
  func contradiction(configuration: RecurrentConfiguration) throws {
    let description = ModelDescription(modules: [
      .init(
        name: "rnn", inputs: [ModelDescription.modelInput], kind: .recurrent(configuration))
    ])
    let dict = try tensors(Self.described)
    let error = expectFault(.modelInvalid) { _ = try mapping(dict, description: description) }
    #expect(error?.file == "model.h5")
    #expect(error?.reason.contains(configuration.description) == true)
  }

  @Test("A described head of another size or bias is invalid")
  func headContradiction() throws {
    for head in [HeadConfiguration(5, 3), HeadConfiguration(5, 2, bias: false)] {
      let description = ModelDescription(modules: [
        .init(
          name: "rnn", inputs: [ModelDescription.modelInput],
          kind: .recurrent(RecurrentConfiguration(.lstm, 3, 5))),
        .init(name: "fc", inputs: ["rnn"], kind: .head(head)),
      ])
      let dict = try withHeads(["fc"])
      expectFault(.modelInvalid) { _ = try mapping(dict, description: description) }
    }
  }

  @Test("Tensors that fit no reading at all are faults of tensors, description or not")
  func missingUnderADescription() throws {
    let description = ModelDescription(modules: [
      .init(
        name: "rnn", inputs: [ModelDescription.modelInput], kind: .recurrent(Self.described))
    ])
    var dict = try tensors(Self.described)
    dict["rnn.bias_ih_l1"] = nil
    #expect(try mapping(dict, description: description).missing == ["rnn.bias_ih_l1"])
  }

  // MARK: Chains

  private func chain(
    _ stacks: [(String, RecurrentConfiguration)], description: ModelDescription? = nil
  ) throws -> [String] {
    var dict = StateDict()
    for (name, configuration) in stacks {
      for (name, tensor) in try tensors(configuration, module: name) { dict[name] = tensor }
    }
    return try mapping(dict, description: description).description.modules
      .map { "\($0.name)<\($0.inputs.joined())" }
  }

  @Test("Stacks are chained by shape, whatever their order")
  func chainedByShape() throws {
    let a = ("z", RecurrentConfiguration(.lstm, 3, 8, bidirectional: true))
    let b = ("y", RecurrentConfiguration(.gru, 16, 4))
    let c = ("x", RecurrentConfiguration(.rnn, 4, 7))
    for order in [[a, b, c], [c, b, a], [b, c, a], [a, c, b]] {
      #expect(try chain(order) == ["z<@input", "y<z", "x<y"])
    }
  }

  @Test("Where shapes leave the order open, the tensors' order stands")
  func ties() throws {
    let same = RecurrentConfiguration(.lstm, 5, 5)
    let stacks = ["l2", "l10", "l1"].map { ($0, same) }
    #expect(try chain(stacks) == ["l2<@input", "l10<l2", "l1<l10"])
  }

  @Test("Stacks that fit in no order are models of their own")
  func independent() throws {
    #expect(
      try chain([
        ("encoder", RecurrentConfiguration(.lstm, 3, 8)),
        ("decoder", RecurrentConfiguration(.lstm, 5, 6)),
      ]) == ["encoder<@input", "decoder<@input"])
  }

  @Test("A description's graph goes before the shapes")
  func describedGraph() throws {
    let same = RecurrentConfiguration(.lstm, 5, 5)
    func description(_ modules: [(String, String)]) -> ModelDescription {
      ModelDescription(
        modules: modules.map { .init(name: $0, inputs: [$1], kind: .recurrent(same)) })
    }
    let stacks = [("a", same), ("b", same)]
    #expect(
      try chain(stacks, description: description([("b", "@input"), ("a", "b")]))
        == ["b<@input", "a<b"])
    #expect(
      try chain(stacks, description: description([("a", "@input"), ("b", "@input")]))
        == ["a<@input", "b<@input"])
  }

  @Test("Many stacks of one shape are no problem")
  func manyStacks() throws {
    let stacks = (0..<30).map { ("s\($0)", RecurrentConfiguration(.rnn, 4, 4)) }
    #expect(try chain(stacks).count == 30)
  }
}

extension ParameterMapping {
  /// Name, found and expected shape of what is mismatched.
  fileprivate var mismatches: [String] {
    mismatched.map { "\($0.name): \($0.found), \($0.expected)" }
  }

  /// `option=value` of what was assumed.
  fileprivate var assumed: [String] { assumptions.map { "\($0.option)=\($0.value)" } }
}
