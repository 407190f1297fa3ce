public import Checkpoints

/// The modules of a model, their options, and how they are chained.
///
/// Stored as canonical JSON: sorted keys, no white space.
/// ```json
/// {"modules":[{"inputs":["@input"],"name":"rnn","options":{…},"type":"lstm"},
///             {"inputs":["rnn"],"name":"fc","options":{…},"type":"linear"}],"version":1}
/// ```
/// Options have PyTorch's names. Two that PyTorch does not have stand only where they are not the default:
/// `gru_reset`, `before` for a GRU whose reset gate comes before the product, and `sigmoid`, `hard_keras2` or
/// `hard_torch` for the gates' sigmoid. `@input` stands for the model's input.
public struct ModelDescription: Hashable, Sendable {
  /// The version that this library writes, and the highest that it reads.
  public static let currentVersion = 1
  /// What stands in `inputs` for the model's own input.
  public static let modelInput = "@input"

  /// The modules, each behind those that it takes its input from.
  public var modules: [Module]

  /// A module with its place in the graph.
  public struct Module: Hashable, Sendable {
    /// The path of its parameters, `encoder.rnn`; empty at the root.
    public var name: String
    /// The names of the modules whose outputs it takes, or `@input`.
    public var inputs: [String]
    /// What it is.
    public var kind: Kind

    /// Places a module.
    public init(name: String, inputs: [String], kind: Kind) {
      self.name = name
      self.inputs = inputs
      self.kind = kind
    }
  }

  /// What a module is.
  public enum Kind: Hashable, Sendable {
    /// A table that tokens are looked up in.
    case embedding(EmbeddingConfiguration)
    /// One `nn.RNN`, `nn.LSTM` or `nn.GRU`, or one of their cells.
    case recurrent(RecurrentConfiguration)
    /// An output layer.
    case head(HeadConfiguration)
    /// A type that this version does not know: the tensors load, the runtime refuses.
    case unknown(type: String)
  }

  /// Puts a description together.
  public init(modules: [Module]) {
    self.modules = modules
  }

  /// The description in canonical JSON.
  public var json: String {
    get throws(CheckpointError) {
      try CanonicalJSON.encode(self)
    }
  }

  /// Reads a description.
  /// - Throws: `metadataInvalid` for what is no JSON of the right form, `unsupportedVersion`,
  ///   `modelInvalid` for sizes, names or a graph that cannot be.
  public init(json: String) throws(CheckpointError) {
    // The version first: whatever else stands in another version's is not to be judged.
    let version = try CanonicalJSON.decode(Version.self, from: json, "model description").version
    guard version == Self.currentVersion else {
      throw CheckpointError(
        .unsupportedVersion, "model description of version \(version), not \(Self.currentVersion)")
    }
    self = try CanonicalJSON.decode(Self.self, from: json, "model description")
    try validate()
  }

  private struct Version: Decodable {
    var version: Int
  }

  private func validate() throws(CheckpointError) {
    var known: Set<String> = [Self.modelInput]
    for module in modules {
      func invalid(_ rule: String) -> CheckpointError {
        CheckpointError(.modelInvalid, "model description: module \"\(module.name)\": \(rule)")
      }
      // Modules stand behind their inputs, so a graph that passes here has no cycle.
      guard module.inputs.allSatisfy(known.contains) else {
        throw invalid("takes its input from \(module.inputs), which do not all stand before it")
      }
      guard known.insert(module.name).inserted else { throw invalid("the name occurs twice") }
      switch module.kind {
      case .embedding(let embedding):
        guard embedding.vocabularySize > 0, embedding.size > 0,
          module.inputs == [Self.modelInput]
        else { throw invalid("sizes or inputs cannot be: \(embedding)") }
      case .recurrent(let configuration):
        guard configuration.inputSize > 0, configuration.hiddenSize > 0,
          configuration.layerCount > 0, configuration.projectionSize >= 0,
          configuration.projectionSize == 0
            || (configuration.kind == .lstm
              && configuration.projectionSize < configuration.hiddenSize),
          !configuration.isCell
            || (configuration.layerCount == 1 && !configuration.isBidirectional
              && configuration.projectionSize == 0),
          module.inputs.count == 1
        else { throw invalid("sizes or inputs cannot be: \(configuration)") }
      case .head(let head):
        guard head.inputSize > 0, head.outputSize > 0, module.inputs.count == 1 else {
          throw invalid("sizes or inputs cannot be: \(head)")
        }
      case .unknown:
        break
      }
    }
  }

  /// The module called `name`.
  public subscript(name: String) -> Module? { modules.first { $0.name == name } }
}

// MARK: - JSON

extension ModelDescription: Codable {
  private enum Key: String, CodingKey { case version, modules }

  /// Decodes the modules; `init(json:)` looks at the version.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    modules = try values.decode([Module].self, forKey: .modules)
  }

  /// Encodes version and modules.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(Self.currentVersion, forKey: .version)
    try values.encode(modules, forKey: .modules)
  }
}

extension ModelDescription.Module: Codable {
  private enum Key: String, CodingKey { case name, inputs, type, options }

  /// What stands behind `rnn`, `lstm` or `gru` in the type of a cell.
  private static let cellSuffix = "_cell"

  private enum Option: String, CodingKey {
    case inputSize = "input_size"
    case hiddenSize = "hidden_size"
    case layerCount = "num_layers"
    case projectionSize = "proj_size"
    case isBidirectional = "bidirectional"
    case bias
    case nonlinearity
    case gruReset = "gru_reset"
    case sigmoid
    case isBatchFirst = "batch_first"
    case givenState = "state"
    case dropout
    case inFeatures = "in_features"
    case outFeatures = "out_features"
    case vocabularySize = "num_embeddings"
    case embeddingSize = "embedding_dim"
    case activation
    case headInput = "head_input"
  }

  /// Decodes a module; an unknown type keeps its name only.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    name = try values.decode(String.self, forKey: .name)
    inputs = try values.decode([String].self, forKey: .inputs)
    let type = try values.decode(String.self, forKey: .type)
    let isCell = type.hasSuffix(Self.cellSuffix)
    let cell = isCell ? String(type.dropLast(Self.cellSuffix.count)) : type
    if let recurrent = RecurrentConfiguration.Kind(rawValue: cell) {
      let options = try values.nestedContainer(keyedBy: Option.self, forKey: .options)
      var configuration = RecurrentConfiguration(
        kind: recurrent,
        inputSize: try options.decode(Int.self, forKey: .inputSize),
        hiddenSize: try options.decode(Int.self, forKey: .hiddenSize))
      configuration.isCell = isCell
      configuration.hasBias = try options.decode(Bool.self, forKey: .bias)
      if recurrent == .rnn {
        configuration.nonlinearity = try options.decode(
          RecurrentConfiguration.Nonlinearity.self, forKey: .nonlinearity)
      }
      if recurrent == .gru {
        configuration.gruReset =
          try options.decodeIfPresent(RecurrentConfiguration.GRUReset.self, forKey: .gruReset)
          ?? .after
      }
      if recurrent != .rnn {
        configuration.sigmoid =
          try options.decodeIfPresent(RecurrentConfiguration.Sigmoid.self, forKey: .sigmoid)
          ?? .logistic
      }
      if !isCell {
        configuration.layerCount = try options.decode(Int.self, forKey: .layerCount)
        configuration.projectionSize = try options.decode(Int.self, forKey: .projectionSize)
        configuration.isBidirectional = try options.decode(Bool.self, forKey: .isBidirectional)
        configuration.isBatchFirst = try options.decode(Bool.self, forKey: .isBatchFirst)
        configuration.dropout = try options.decode(Double.self, forKey: .dropout)
      }
      configuration.givenState =
        try options.decodeIfPresent(RecurrentConfiguration.GivenState.self, forKey: .givenState)
        ?? .given
      kind = .recurrent(configuration)
    } else if type == "embedding" {
      let options = try values.nestedContainer(keyedBy: Option.self, forKey: .options)
      kind = .embedding(
        EmbeddingConfiguration(
          vocabularySize: try options.decode(Int.self, forKey: .vocabularySize),
          size: try options.decode(Int.self, forKey: .embeddingSize)))
    } else if type == "linear" {
      let options = try values.nestedContainer(keyedBy: Option.self, forKey: .options)
      var head = HeadConfiguration(
        inputSize: try options.decode(Int.self, forKey: .inFeatures),
        outputSize: try options.decode(Int.self, forKey: .outFeatures))
      head.hasBias = try options.decode(Bool.self, forKey: .bias)
      head.activation = try options.decode(
        HeadConfiguration.Activation.self, forKey: .activation)
      head.input = try options.decode(HeadConfiguration.Input.self, forKey: .headInput)
      kind = .head(head)
    } else {
      kind = .unknown(type: type)
    }
  }

  /// Encodes a module.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(name, forKey: .name)
    try values.encode(inputs, forKey: .inputs)
    switch kind {
    case .embedding(let embedding):
      try values.encode("embedding", forKey: .type)
      var options = values.nestedContainer(keyedBy: Option.self, forKey: .options)
      try options.encode(embedding.vocabularySize, forKey: .vocabularySize)
      try options.encode(embedding.size, forKey: .embeddingSize)
    case .recurrent(let configuration):
      try values.encode(
        configuration.kind.rawValue + (configuration.isCell ? Self.cellSuffix : ""), forKey: .type)
      var options = values.nestedContainer(keyedBy: Option.self, forKey: .options)
      try options.encode(configuration.inputSize, forKey: .inputSize)
      try options.encode(configuration.hiddenSize, forKey: .hiddenSize)
      try options.encode(configuration.hasBias, forKey: .bias)
      if configuration.kind == .rnn {
        try options.encode(configuration.nonlinearity, forKey: .nonlinearity)
      }
      // What PyTorch does not have is told only where it deviates.
      if configuration.kind == .gru, configuration.gruReset != .after {
        try options.encode(configuration.gruReset, forKey: .gruReset)
      }
      if configuration.kind != .rnn, configuration.sigmoid != .logistic {
        try options.encode(configuration.sigmoid, forKey: .sigmoid)
      }
      if !configuration.isCell {
        try options.encode(configuration.layerCount, forKey: .layerCount)
        try options.encode(configuration.projectionSize, forKey: .projectionSize)
        try options.encode(configuration.isBidirectional, forKey: .isBidirectional)
        try options.encode(configuration.isBatchFirst, forKey: .isBatchFirst)
        try options.encode(configuration.dropout, forKey: .dropout)
      }
      if configuration.givenState != .given {
        try options.encode(configuration.givenState, forKey: .givenState)
      }
    case .head(let head):
      try values.encode("linear", forKey: .type)
      var options = values.nestedContainer(keyedBy: Option.self, forKey: .options)
      try options.encode(head.inputSize, forKey: .inFeatures)
      try options.encode(head.outputSize, forKey: .outFeatures)
      try options.encode(head.hasBias, forKey: .bias)
      try options.encode(head.activation, forKey: .activation)
      try options.encode(head.input, forKey: .headInput)
    case .unknown(let type):
      try values.encode(type, forKey: .type)
    }
  }
}

extension RecurrentConfiguration.Nonlinearity: Codable {}
extension RecurrentConfiguration.GivenState: Codable {}
extension RecurrentConfiguration.GRUReset: Codable {}
extension RecurrentConfiguration.Sigmoid: Codable {}
extension HeadConfiguration.Activation: Codable {}
extension HeadConfiguration.Input: Codable {}
