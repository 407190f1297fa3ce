public import Checkpoints

/// A model that a checkpoint holds, checked whole but not loaded: recurrent modules in a chain, perhaps
/// an embedding before and a head behind them, and the tensors that they take.
///
/// Both runtimes are made from it, so that both refuse the same files with the same words.
public struct ModelBlueprint: Sendable {
  /// A table that tokens are looked up in, with the path of its parameters.
  public struct Embedding: Hashable, Sendable {
    /// The path, `emb`.
    public var name: String
    /// Sizes.
    public var configuration: EmbeddingConfiguration
  }

  /// A recurrent stack, or a cell, with the path of its parameters.
  public struct Stack: Hashable, Sendable {
    /// The path, `encoder.rnn`.
    public var name: String
    /// Sizes and options.
    public var configuration: RecurrentConfiguration
  }

  /// An output layer with the path of its parameters.
  public struct Head: Hashable, Sendable {
    /// The path, `fc`.
    public var name: String
    /// Sizes and options.
    public var configuration: HeadConfiguration
  }

  /// The table that the first stack takes its input from, for a model that takes tokens.
  public let embedding: Embedding?
  /// The stacks, at least one, each fed by the one before it.
  public let stacks: [Stack]
  /// The output layer behind the last stack.
  public let head: Head?
  /// The checkpoint, its parameters folded, and what its tensors are.
  let contents: CheckpointContents
  let mapping: ParameterMapping
  /// The tolerance that they were sealed with.
  let goldenTolerance: Verification.Tolerance
  /// What was taken for granted, and that float64 weights are narrowed.
  public let assumptions: [ParameterMapping.Assumption]

  /// The parameters that were put together from others.
  public var folded: [FoldedParameter] { mapping.folded }

  private let tensors: [String: StoredTensor]
  private let file: String?

  /// Which modules of a checkpoint make the model.
  enum Part {
    /// All; no tensor may be left over.
    case whole
    /// All, whatever else the checkpoint holds.
    case chain
    /// Those at a path and below it, with the embedding before and the head behind them, wherever these
    /// stand.
    case module(String)
    /// One recurrent module, with or without what stands before and behind it.
    case recurrent(String, embedding: Bool, head: Bool)
  }

  /// Finds the model of a checkpoint.
  /// - Parameters:
  ///   - contents: The checkpoint.
  ///   - module: The path of the modules that make the model, for a checkpoint that holds more; nil
  ///     for all of it, and then no tensor may be left over.
  ///   - options: What the user says about the model.
  ///   - file: The file's path, for errors.
  /// - Throws: `shapeMismatch`, `parameterMissing`, `parameterUnexpected`, `ambiguousModel`,
  ///   `modelInvalid`, `dtypeUnsupported`.
  public init(
    _ contents: CheckpointContents, module: String? = nil, options: ModelOptions = ModelOptions(),
    file: String? = nil
  ) throws(CheckpointError) {
    let mapping = try ParameterMapping(of: contents, options: options, file: file)
    try self.init(mapping, module.map { .module($0) } ?? .whole, file: file)
  }

  /// Takes a part of a checkpoint whose tensors are mapped already.
  init(
    _ mapping: ParameterMapping, _ part: Part, file: String?
  ) throws(CheckpointError) {
    try mapping.requireComplete()
    let contents = mapping.contents
    self.file = file
    self.contents = contents
    self.mapping = mapping
    self.goldenTolerance = try Verification.Tolerance(sealedIn: contents.metadata)
    let tensors = Dictionary(contents.tensors.map { ($0.name, $0) }) { first, _ in first }
    self.tensors = tensors

    let modules = try Self.modules(mapping, part, file: file)
    var embedding: Embedding?
    var stacks: [Stack] = []
    var head: Head?
    for (index, module) in modules.enumerated() {
      guard index == 0 || module.inputs == [modules[index - 1].name] else {
        let names = modules.map { $0.name.isEmpty ? "the root" : $0.name }
        throw CheckpointError(
          .ambiguousModel, file: file,
          "the modules \(names.joined(separator: ", ")) do not make one chain: name the one that is "
            + "to be loaded (run --module), or convert it alone with --include")
      }
      switch module.kind {
      case .embedding(let configuration):
        embedding = Embedding(name: module.name, configuration: configuration)
      case .recurrent(let configuration):
        stacks.append(Stack(name: module.name, configuration: configuration))
      case .head(let configuration):
        head = Head(name: module.name, configuration: configuration)
      case .unknown(let type):
        throw CheckpointError(
          .modelInvalid, file: file, "module \(module.name) is of the unknown type \(type)")
      }
    }
    guard !stacks.isEmpty else {
      throw CheckpointError(
        .parameterMissing, file: file,
        "no recurrent module is here: no tensor is called weight_ih_l0 or weight_ih")
    }
    self.embedding = embedding
    self.stacks = stacks
    self.head = head
    let isWide = mapping.taken.contains { tensors[$0]?.dtype == .float64 }
    self.assumptions =
      mapping.assumptions
      + (isWide ? [ParameterMapping.Assumption(option: "dtype", value: "F32")] : [])
  }

  /// The modules of a part, in the order of the chain.
  private static func modules(
    _ mapping: ParameterMapping, _ part: Part, file: String?
  ) throws(CheckpointError) -> [ModelDescription.Module] {
    let all = mapping.description.modules
    switch part {
    case .whole:
      // A module that this version does not know explains its tensors better than their names do.
      for module in all {
        if case .unknown(let type) = module.kind {
          throw CheckpointError(
            .modelInvalid, file: file, "module \(module.name) is of the unknown type \(type)")
        }
      }
      guard mapping.leftOver.isEmpty else {
        throw CheckpointError(
          .parameterUnexpected, file: file, tensor: mapping.leftOver[0],
          "\(mapping.leftOver.count) tensors belong to no module of the model "
            + "(\(mapping.leftOver.joined(separator: ", "))): name the module that is to be loaded "
            + "(run --module), or convert it alone with --include"
            + mapping.disguised.map { "; \($0.reason)" }.joined())
      }
      return all
    case .chain:
      return all
    case .module(let path):
      let below = all.filter { $0.name == path || $0.name.hasPrefix(path + ".") }
      guard !below.isEmpty else {
        throw CheckpointError(.parameterMissing, file: file, tensor: path, "no such module")
      }
      let names = Set(below.map(\.name))
      let before = Set(below.flatMap(\.inputs))
      return all.filter { module in
        switch module.kind {
        case .embedding: names.contains(module.name) || before.contains(module.name)
        case .head: names.contains(module.name) || !names.isDisjoint(with: module.inputs)
        case .recurrent, .unknown: names.contains(module.name)
        }
      }
    case .recurrent(let path, let wantsEmbedding, let wantsHead):
      return all.filter { module in
        switch module.kind {
        case .embedding: wantsEmbedding && mapping.description[path]?.inputs == [module.name]
        case .head: wantsHead && module.inputs == [path]
        case .recurrent, .unknown: module.name == path
        }
      }
    }
  }

  /// Whether the stacks must see a whole sequence in one call.
  public var isBidirectional: Bool { stacks.contains { $0.configuration.isBidirectional } }

  /// Whether inputs and outputs are [batch, steps, features]: as the first stack says.
  public var isBatchFirst: Bool { stacks[0].configuration.isBatchFirst }

  /// Features of the first stack's input: what a step of one sequence takes, but for a model with an
  /// embedding, which takes one token.
  public var stackInputSize: Int { stacks[0].configuration.inputSize }

  /// Whether every recurrent module is a cell.
  public var isCell: Bool { stacks.allSatisfy(\.configuration.isCell) }

  /// Features of the last stack's output.
  public var recurrentOutputSize: Int { stacks[stacks.count - 1].configuration.outputSize }

  /// A parameter of a module, whole.
  /// - Throws: `dtypeUnsupported` for a tensor that is no floating-point one, and what reading throws.
  func parameter(_ name: String) throws(CheckpointError) -> Tensor {
    guard let stored = tensors[name] else {
      throw CheckpointError(.parameterMissing, file: file, tensor: name, "no such tensor")
    }
    guard try stored.readableDType().isFloatingPoint else {
      throw CheckpointError(
        .dtypeUnsupported, file: file, tensor: name,
        "\(stored.dtypeName) is no floating-point dtype: the weights may be quantised")
    }
    return try stored.read()
  }

  /// A parameter of a stack, whole; nil where the configuration has none.
  func parameter(
    _ kind: ParameterName.Kind, of stack: Stack, layer: Int, _ direction: ParameterName.Direction
  ) throws(CheckpointError) -> Tensor? {
    switch kind {
    case .inputBias, .hiddenBias: guard stack.configuration.hasBias else { return nil }
    case .projectionWeight: guard stack.configuration.projectionSize > 0 else { return nil }
    case .inputWeight, .hiddenWeight: break
    }
    let name = stack.configuration.name(kind, ofModule: stack.name, layer: layer, direction)
    return try parameter(name.description)
  }
}

extension ModelBlueprint: CustomStringConvertible {
  /// The modules in words, `emb: Embedding(27, 8) → rnn: LSTM(8, 64) → fc: Linear(64, 27)`.
  public var description: String {
    var modules: [(name: String, text: String)] = []
    if let embedding { modules.append((embedding.name, embedding.configuration.description)) }
    modules += stacks.map { ($0.name, $0.configuration.description) }
    if let head { modules.append((head.name, head.configuration.description)) }
    return modules.map { $0.name.isEmpty ? $0.text : "\($0.name): \($0.text)" }
      .joined(separator: " → ")
  }
}
