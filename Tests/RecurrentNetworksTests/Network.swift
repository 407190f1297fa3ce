import Checkpoints
import RecurrentNetworks
import Testing
import TestSupport

/// A model of random weights, written down as a checkpoint with its description.
struct Network: Sendable, CustomTestStringConvertible {
  var stacks: [RecurrentConfiguration]
  var head: HeadConfiguration?
  /// How many tokens the table before the first stack has; 0 without table.
  var vocabulary = 0
  /// Weights are uniform in ±scale/√hidden; 1 is PyTorch's default initialisation.
  var scale: Float = 1
  var seed: UInt64 = 1

  init(_ stacks: RecurrentConfiguration..., head: HeadConfiguration? = nil) {
    self.stacks = stacks
    self.head = head
  }

  var testDescription: String {
    ((vocabulary > 0 ? ["\(vocabulary) tokens"] : []) + stacks.map(\.description)
      + (head.map { [$0.description] } ?? [])).joined(separator: " → ")
      + (stacks.contains { $0.nonlinearity == .relu } ? " relu" : "")
      + " scale \(scale) seed \(seed)"
  }

  var isBatchFirst: Bool { stacks[0].isBatchFirst }
  var isBidirectional: Bool { stacks.contains { $0.isBidirectional } }

  static func name(_ stack: Int) -> String { "rnn\(stack)" }

  var description: ModelDescription {
    var modules: [ModelDescription.Module] = []
    var input = ModelDescription.modelInput
    if vocabulary > 0 {
      let table = EmbeddingConfiguration(vocabularySize: vocabulary, size: stacks[0].inputSize)
      modules.append(.init(name: "emb", inputs: [input], kind: .embedding(table)))
      input = "emb"
    }
    for (index, stack) in stacks.enumerated() {
      modules.append(.init(name: Self.name(index), inputs: [input], kind: .recurrent(stack)))
      input = Self.name(index)
    }
    if let head { modules.append(.init(name: "fc", inputs: [input], kind: .head(head))) }
    return ModelDescription(modules: modules)
  }

  /// The weights, in PyTorch's order.
  func stateDict() throws -> StateDict {
    var generator = SeededGenerator(seed: seed)
    var dict = StateDict()
    for (index, stack) in stacks.enumerated() {
      let bound = scale / Float(stack.hiddenSize).squareRoot()
      for (name, shape) in try stack.parameters(ofModule: Self.name(index)) {
        try dict.append(generator.tensor(shape, bound), named: name.description)
      }
    }
    if let head {
      let bound = scale / Float(head.inputSize).squareRoot()
      try dict.append(
        generator.tensor([head.outputSize, head.inputSize], bound), named: "fc.weight")
      if head.hasBias {
        try dict.append(generator.tensor([head.outputSize], bound), named: "fc.bias")
      }
    }
    // The last, so that the other weights are those of the network without it.
    if vocabulary > 0 {
      dict["emb.weight"] = generator.tensor([vocabulary, stacks[0].inputSize], 2)
    }
    return dict
  }

  func checkpoint() throws -> Checkpoint {
    Checkpoint(stateDict: try stateDict(), modelDescription: try description.json)
  }

  func blueprint() throws -> ModelBlueprint { try ModelBlueprint(checkpoint().contents) }

  func model() throws -> SequenceModel { try SequenceModel(blueprint()) }

  /// A random input, and states that are not zero.
  func inputs(steps: Int, batch: Int, states: Bool = true, seed: UInt64 = 99) throws -> StateDict {
    var generator = SeededGenerator(seed: seed)
    var inputs = StateDict()
    let size = stacks[0].inputSize
    inputs["input"] = generator.tensor(
      isBatchFirst ? [batch, steps, size] : [steps, batch, size], 2)
    guard states else { return inputs }
    for (index, stack) in stacks.enumerated() {
      let rows = stack.layerCount * stack.directionCount
      // Only several stacks name their states.
      let prefix = stacks.count == 1 ? "" : Self.name(index) + "."
      inputs[prefix + "h_0"] = generator.tensor([rows, batch, stack.stateSize], 1)
      if stack.kind == .lstm {
        inputs[prefix + "c_0"] = generator.tensor([rows, batch, stack.hiddenSize], 1)
      }
    }
    return inputs
  }
}

extension RecurrentConfiguration {
  /// A configuration in one expression.
  init(
    _ kind: Kind, _ input: Int, _ hidden: Int, layers: Int = 1, bidirectional: Bool = false,
    projection: Int = 0, bias: Bool = true, relu: Bool = false, batchFirst: Bool = false,
    reset: GRUReset = .after, sigmoid: Sigmoid = .logistic
  ) {
    self.init(kind: kind, inputSize: input, hiddenSize: hidden)
    layerCount = layers
    isBidirectional = bidirectional
    projectionSize = projection
    hasBias = bias
    nonlinearity = relu ? .relu : .tanh
    isBatchFirst = batchFirst
    gruReset = reset
    self.sigmoid = sigmoid
  }
}

extension HeadConfiguration {
  /// A head in one expression.
  init(
    _ input: Int, _ output: Int, _ activation: Activation = .none, on place: Input = .all,
    bias: Bool = true
  ) {
    self.init(inputSize: input, outputSize: output)
    self.activation = activation
    self.input = place
    hasBias = bias
  }
}

extension SeededGenerator {
  mutating func floats(_ count: Int, _ bound: Float = 1) -> [Float] {
    (0..<count).map { _ in Float.random(in: -bound...bound, using: &self) }
  }

  mutating func tensor(_ shape: Shape, _ bound: Float = 1) -> Tensor {
    Tensor(floats(shape.elementCount, bound), shape: shape)
  }
}

extension Tensor {
  /// The elements at `index` of dimension 1, which stays with a size of 1.
  func lane(_ index: Int) throws -> Tensor {
    let (rows, lanes, width) = (shape[0], shape[1], shape[2])
    let values = try floats()
    var picked: [Float] = []
    for row in 0..<rows {
      let start = (row * lanes + index) * width
      picked += values[start..<(start + width)]
    }
    return Tensor(picked, shape: [rows, 1, width])
  }

  /// Zeros.
  static func zeros(_ shape: Shape) -> Tensor {
    Tensor([Float](repeating: 0, count: shape.elementCount), shape: shape)
  }
}

extension [Float] {
  /// The bits, every NaN the same.
  var bits: [UInt32] { map { $0.isNaN ? Float.nan.bitPattern : $0.bitPattern } }
}

extension Session {
  /// Runs steps and gives the output.
  func output(_ input: [Float]) throws -> [Float] {
    let steps = input.count / batchSize / model.blueprint.stackInputSize
    var output = [Float](
      repeating: .nan,
      count: model.outputShape(steps: steps, batchSize: batchSize).elementCount)
    try run(input, into: &output)
    return output
  }
}

/// Fails unless `body` throws a `CheckpointError` of a code; gives the error.
@discardableResult
func expectFault(
  _ code: CheckpointError.Code, sourceLocation: SourceLocation = #_sourceLocation,
  _ body: () throws -> Void
) -> CheckpointError? {
  let error = #expect(throws: CheckpointError.self, sourceLocation: sourceLocation) { try body() }
  #expect(
    error?.code.rawValue == code.rawValue, "\(error.map(\.description) ?? "")",
    sourceLocation: sourceLocation)
  return error
}
