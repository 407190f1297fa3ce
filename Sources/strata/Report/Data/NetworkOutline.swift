import Checkpoints
import RecurrentNetworks

/// The networks of a file as they are drawn: modules that feed each other, with the sizes and the
/// parameters of every layer.
struct NetworkOutline: Encodable {
  /// Modules one behind the other.
  struct Chain: Encodable {
    var embedding: End?
    var stacks: [Stack] = []
    var head: End?
    /// The values of all its parameters.
    var parameters = 0

    /// Whether it takes one step at a time, which somebody else repeats.
    var isCell: Bool { stacks.allSatisfy { $0.type.hasSuffix("Cell") } }

    /// The dimensions of inputs and outputs before the features: T steps, N sequences.
    var outer: [String] {
      if isCell { return ["N"] }
      return stacks.first?.isBatchFirst == true ? ["N", "T"] : ["T", "N"]
    }
  }

  /// An embedding or an output layer.
  struct End: Encodable {
    var name: String
    /// The layer as PyTorch prints it.
    var text: String
    var inputSize: Int
    var outputSize: Int
    var parameters: Int
    /// What an output layer is applied to: `all`, `last` or `h_n`.
    var appliedTo: String?
    /// What follows an output layer's sum.
    var activation: String?

    enum CodingKeys: String, CodingKey {
      case name, text
      case inputSize = "input_size"
      case outputSize = "output_size"
      case parameters
      case appliedTo = "applied_to"
      case activation
    }
  }

  /// A recurrent module.
  struct Stack: Encodable {
    var name: String
    /// `LSTM`, `GRUCell`.
    var type: String
    /// The module as PyTorch prints it.
    var text: String
    var inputSize: Int
    var hiddenSize: Int
    /// Features of h behind a projection; absent without one.
    var projectionSize: Int?
    var outputSize: Int
    /// How many gates stand one below the other in a weight; 1 for the sum of an RNN.
    var gateCount: Int
    var gates: [Gate]
    var directions: [String]
    var isBatchFirst: Bool
    var layers: [Layer]
    var parameters: Int

    enum CodingKeys: String, CodingKey {
      case name, type, text
      case inputSize = "input_size"
      case hiddenSize = "hidden_size"
      case projectionSize = "projection_size"
      case outputSize = "output_size"
      case gateCount = "gate_count"
      case gates, directions
      case isBatchFirst = "batch_first"
      case layers, parameters
    }

    /// Features of h and of one direction's output.
    var stateSize: Int { projectionSize ?? hiddenSize }
    var isBidirectional: Bool { directions.count == 2 }
  }

  /// A layer of a recurrent module.
  struct Layer: Encodable {
    var layer: Int
    var inputSize: Int
    var outputSize: Int
    /// The values of its parameters in one direction.
    var parametersPerDirection: Int

    enum CodingKeys: String, CodingKey {
      case layer
      case inputSize = "input_size"
      case outputSize = "output_size"
      case parametersPerDirection = "parameters_per_direction"
    }
  }

  var chains: [Chain] = []

  /// Puts modules that feed each other into chains.
  /// - Throws: `shapeOverflow` for sizes that nothing has.
  init(_ modules: [ModelDescription.Module]) throws(CheckpointError) {
    // The chain that ends with a module, by its name.
    var chainEndingWith: [String: Int] = [:]
    for module in modules {
      var index = module.inputs.first.flatMap { chainEndingWith.removeValue(forKey: $0) }
      // A head whose chain has gone on shows what the network gives all the same.
      if index == nil, case .head = module.kind {
        index = chains.firstIndex { chain in
          chain.head == nil && chain.stacks.contains { module.inputs == [$0.name] }
        }
      }
      if index == nil { chains.append(Chain()) }
      let chain = index ?? chains.count - 1
      switch module.kind {
      case .embedding(let configuration):
        chains[chain].embedding = End(module.name, configuration)
      case .recurrent(let configuration):
        chains[chain].stacks.append(try Stack(module.name, configuration))
      case .head(let configuration):
        chains[chain].head = End(module.name, configuration)
        continue
      case .unknown:
        continue
      }
      chainEndingWith[module.name] = chain
    }
    chains.removeAll { $0.stacks.isEmpty }
    for index in chains.indices {
      let chain = chains[index]
      chains[index].parameters =
        chain.stacks.reduce(0) { $0 + $1.parameters } + (chain.embedding?.parameters ?? 0)
        + (chain.head?.parameters ?? 0)
    }
  }

  /// Every recurrent module.
  var stacks: [Stack] { chains.flatMap(\.stacks) }
}

extension NetworkOutline.End {
  fileprivate init(_ name: String, _ configuration: EmbeddingConfiguration) {
    self.init(
      name: name, text: configuration.description, inputSize: configuration.vocabularySize,
      outputSize: configuration.size, parameters: configuration.vocabularySize * configuration.size)
  }

  fileprivate init(_ name: String, _ configuration: HeadConfiguration) {
    self.init(
      name: name, text: configuration.description, inputSize: configuration.inputSize,
      outputSize: configuration.outputSize,
      parameters: configuration.outputSize
        * (configuration.inputSize + (configuration.hasBias ? 1 : 0)),
      appliedTo: configuration.input.rawValue, activation: configuration.activation.rawValue)
  }
}

extension NetworkOutline.Stack {
  fileprivate init(
    _ name: String, _ configuration: RecurrentConfiguration
  ) throws(CheckpointError) {
    self.name = name
    type = configuration.kind.rawValue.uppercased() + (configuration.isCell ? "Cell" : "")
    text = configuration.description
    inputSize = configuration.inputSize
    hiddenSize = configuration.hiddenSize
    projectionSize = configuration.projectionSize > 0 ? configuration.projectionSize : nil
    outputSize = configuration.outputSize
    gateCount = configuration.kind.gateCount
    gates = Gate.gates(of: configuration)
    directions = configuration.directions.map(\.text)
    isBatchFirst = configuration.isBatchFirst
    var counts: [Int: Int] = [:]
    for (name, shape) in try configuration.parameters(ofModule: name)
    where name.direction == .forward {
      counts[name.layer, default: 0] += shape.elementCount
    }
    layers = (0..<configuration.layerCount).map {
      NetworkOutline.Layer(
        layer: $0, inputSize: configuration.inputSize(ofLayer: $0),
        outputSize: configuration.outputSize, parametersPerDirection: counts[$0] ?? 0)
    }
    parameters = counts.values.reduce(0, +) * directions.count
  }
}

extension ParameterName.Direction {
  /// `forward` or `reverse`.
  var text: String { self == .forward ? "forward" : "reverse" }
}
