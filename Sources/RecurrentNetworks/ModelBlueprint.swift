public import Checkpoints

/// A model that a checkpoint holds, checked whole but not loaded: stacks in a chain, perhaps a head
/// behind them, and the tensors that they take.
///
/// Both runtimes are made from it, so that both refuse the same files with the same words.
public struct ModelBlueprint: Sendable {
  /// A recurrent stack with the path of its parameters.
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

  /// The stacks, at least one, each fed by the one before it.
  public let stacks: [Stack]
  /// The output layer behind the last stack.
  public let head: Head?
  /// What was taken for granted, and that float64 weights are narrowed.
  public let assumptions: [ParameterMapping.Assumption]

  let convention: Convention
  private let tensors: [String: StoredTensor]
  private let file: String?

  /// Finds the model of a checkpoint.
  /// - Parameters:
  ///   - contents: The checkpoint.
  ///   - module: The path of the modules that make the model, for a checkpoint that holds more; nil
  ///     for all of it, and then no tensor may be left over.
  ///   - options: What the user says about the model.
  ///   - convention: How the file lays out its gates.
  ///   - file: The file's path, for errors.
  /// - Throws: `shapeMismatch`, `parameterMissing`, `parameterUnexpected`, `ambiguousModel`,
  ///   `modelInvalid`, `dtypeUnsupported`.
  public init(
    _ contents: CheckpointContents, module: String? = nil, options: ModelOptions = ModelOptions(),
    convention: Convention = .pytorch, file: String? = nil
  ) throws(CheckpointError) {
    let mapping = try ParameterMapping(
      of: contents, options: options, convention: convention, file: file)
    try mapping.requireComplete()
    self.convention = convention
    self.file = file
    self.tensors = Dictionary(contents.tensors.map { ($0.name, $0) }) { first, _ in first }

    var modules = mapping.description.modules
    if let module {
      modules = modules.filter { $0.name == module || $0.name.hasPrefix(module + ".") }
    } else if !mapping.leftOver.isEmpty {
      throw CheckpointError(
        .parameterUnexpected, file: file, tensor: mapping.leftOver[0],
        "\(mapping.leftOver.count) tensors belong to no module of the model "
          + "(\(mapping.leftOver.joined(separator: ", "))): name the module that is to be loaded")
    }
    var stacks: [Stack] = []
    var head: Head?
    for candidate in modules {
      if case .unknown(let type) = candidate.kind {
        throw CheckpointError(
          .modelInvalid, file: file, "module \(candidate.name) is of the unknown type \(type)")
      }
    }
    for (index, candidate) in modules.enumerated() {
      guard index == 0 || candidate.inputs == [modules[index - 1].name] else {
        let names = modules.map { $0.name.isEmpty ? "the root" : $0.name }
        throw CheckpointError(
          .ambiguousModel, file: file,
          "the modules \(names.joined(separator: ", ")) do not make one chain: name the one that is "
            + "to be loaded")
      }
      switch candidate.kind {
      case .recurrent(let configuration):
        stacks.append(Stack(name: candidate.name, configuration: configuration))
      case .head(let configuration):
        head = Head(name: candidate.name, configuration: configuration)
      case .unknown:
        break
      }
    }
    guard !stacks.isEmpty else {
      throw CheckpointError(
        .parameterMissing, file: file, tensor: module,
        "no recurrent module is here: no tensor is called weight_ih_l0")
    }
    self.stacks = stacks
    self.head = head
    let isWide = mapping.taken.contains { contents[$0]?.dtype == .float64 }
    self.assumptions =
      mapping.assumptions
      + (isWide ? [ParameterMapping.Assumption(option: "dtype", value: "F32")] : [])
  }

  /// Whether the stacks must see a whole sequence in one call.
  public var isBidirectional: Bool { stacks.contains { $0.configuration.isBidirectional } }

  /// Whether inputs and outputs are [batch, steps, features]: as the first stack says.
  public var isBatchFirst: Bool { stacks[0].configuration.isBatchFirst }

  /// Features of the input.
  public var inputSize: Int { stacks[0].configuration.inputSize }

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
    let name = ParameterName(module: stack.name, kind: kind, layer: layer, direction: direction)
    return try parameter(name.description)
  }
}
