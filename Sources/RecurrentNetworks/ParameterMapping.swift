public import Checkpoints

/// What network a set of tensors is: which tensor is which parameter of which module, and every fault,
/// found in one pass.
///
/// Recurrent stacks are recognised by their parameter names, whatever their prefix, and configured by
/// shapes; an output layer is recognised by the shape that fits the last stack.
public struct ParameterMapping: Sendable {
  /// A parameter whose shape is not the one that its module needs.
  public struct Mismatch: Hashable, Sendable {
    /// The parameter's name.
    public var name: String
    /// The shape that was found.
    public var found: Shape
    /// The shape that the other parameters of the module ask for.
    public var expected: Shape
  }

  /// What was taken for granted because nothing told it.
  public struct Assumption: Hashable, Sendable {
    /// The name of the option that would say it.
    public var option: String
    /// The value that was assumed.
    public var value: String
  }

  /// The modules and how they are chained.
  public private(set) var description = ModelDescription(modules: [])
  /// The parameters that modules take, in the order of the tensors.
  public private(set) var taken: [String] = []
  /// The parameters that modules lack.
  public private(set) var missing: [String] = []
  /// Tensors under a module's path that are none of its parameters.
  public private(set) var unexpected: [String] = []
  /// Parameters of another shape than their module needs.
  public private(set) var mismatched: [Mismatch] = []
  /// Tensors outside every module.
  public private(set) var leftOver: [String] = []
  /// What was taken for granted.
  public private(set) var assumptions: [Assumption] = []
  /// How the file lays out its gates.
  public let convention: Convention

  private let file: String?

  /// Recognises the modules of a checkpoint.
  /// - Parameters:
  ///   - contents: The tensors, with what the file tells about their modules.
  ///   - options: What the user says about the model.
  ///   - convention: How the file lays out its gates.
  ///   - file: The file's path, for errors.
  /// - Throws: `ambiguousModel` when more than one layer could be the head, `parameterMissing` when
  ///   `options.head` names none, `metadataInvalid`, `modelInvalid` when the file's description
  ///   contradicts the tensors. Faults of parameters are not thrown but listed.
  public init(
    of contents: CheckpointContents, options: ModelOptions = ModelOptions(),
    convention: Convention = .pytorch, file: String? = nil
  ) throws(CheckpointError) {
    self.convention = convention
    self.file = file
    do {
      let facts = try ModuleFacts(contents)
      let stacks = try mapStacks(contents, facts, options)
      let heads = try mapHead(contents, facts, options, stacks)
      description.modules = facts.withUnknownModules(stacks + heads)
    } catch {
      throw error.located(file: file)
    }
    let known = Set(taken + unexpected)
    // In the order of the tensors, which is how people look for them.
    taken = contents.tensors.map(\.name).filter(Set(taken).contains)
    leftOver = contents.tensors.map(\.name).filter { !known.contains($0) }
  }

  /// Whether no parameter is missing, unexpected or of a wrong shape.
  public var isComplete: Bool { missing.isEmpty && unexpected.isEmpty && mismatched.isEmpty }

  /// Throws the first fault, and tells of the others.
  /// - Throws: `shapeMismatch`, `parameterMissing`, `parameterUnexpected`.
  public func requireComplete() throws(CheckpointError) {
    var faults = mismatched.map {
      CheckpointError(
        .shapeMismatch, file: file, tensor: $0.name, "shape \($0.found), expected \($0.expected)")
    }
    faults += missing.map {
      CheckpointError(
        .parameterMissing, file: file, tensor: $0, "the module has parameters, but not this one")
    }
    faults += unexpected.map {
      CheckpointError(
        .parameterUnexpected, file: file, tensor: $0,
        "the tensor stands in a recurrent module, which has no such parameter")
    }
    guard var first = faults.first else { return }
    if faults.count > 1 {
      let others = faults.dropFirst().map { "\($0.tensor ?? "") (\($0.code.rawValue))" }
      first.reason += "; also \(others.joined(separator: ", "))"
    }
    throw first
  }

  // MARK: Recurrent stacks

  private mutating func mapStacks(
    _ contents: CheckpointContents, _ facts: ModuleFacts, _ options: ModelOptions
  ) throws(CheckpointError) -> [ModelDescription.Module] {
    var groups: [String: StackTensors] = [:]
    var paths: [String] = []
    for tensor in contents.tensors {
      guard let name = ParameterName(tensor.name) else { continue }
      if groups[name.module] == nil { paths.append(name.module) }
      groups[name.module, default: StackTensors(module: name.module)].append(name, tensor.shape)
    }

    var stacks: [ModelDescription.Module] = []
    for path in paths {
      guard let group = groups[path] else { continue }
      guard var configuration = group.inferredConfiguration() else {
        missing += group.essentialsMissing()
        taken += group.shapes.keys.map(\.description)
        continue
      }
      try complete(&configuration, ofModule: path, facts, options)
      try compare(group, configuration)
      stacks.append(
        ModelDescription.Module(
          name: path, inputs: [ModelDescription.modelInput], kind: .recurrent(configuration)))
    }

    for tensor in contents.tensors where ParameterName(tensor.name) == nil {
      if paths.contains(where: { tensor.name.stands(inModule: $0) }) {
        unexpected.append(tensor.name)
      }
    }
    return facts.chained(stacks) ?? Self.chained(stacks)
  }

  /// Fills in what shapes cannot tell.
  private mutating func complete(
    _ configuration: inout RecurrentConfiguration, ofModule path: String, _ facts: ModuleFacts,
    _ options: ModelOptions
  ) throws(CheckpointError) {
    let described = facts.recurrent(path)
    if configuration.kind == .rnn {
      var told = options.nonlinearity ?? described?.nonlinearity
      if told == nil { told = try facts.option("nonlinearity", of: path) }
      configuration.nonlinearity = told ?? .tanh
      if told == nil { assume("nonlinearity", "tanh") }
    }
    var batchFirst = options.batchFirst ?? described?.isBatchFirst
    if batchFirst == nil { batchFirst = try facts.flag("batch_first", of: path) }
    configuration.isBatchFirst = batchFirst ?? false
    if batchFirst == nil { assume("batch_first", "false") }
    // Dropout does nothing at inference; it is kept for the reader's information.
    let dropout = described?.dropout ?? facts.text("dropout", of: path).flatMap { Double($0) }
    configuration.dropout = dropout ?? 0
    guard var described else { return }
    described.nonlinearity = configuration.nonlinearity
    described.isBatchFirst = configuration.isBatchFirst
    described.dropout = configuration.dropout
    guard described == configuration else {
      throw CheckpointError(
        .modelInvalid,
        "module \"\(path)\": described as \(described), but its tensors make \(configuration)")
    }
  }

  private mutating func assume(_ option: String, _ value: String) {
    let assumption = Assumption(option: option, value: value)
    if !assumptions.contains(assumption) { assumptions.append(assumption) }
  }

  private mutating func compare(
    _ group: StackTensors, _ configuration: RecurrentConfiguration
  ) throws(CheckpointError) {
    let parameters = try configuration.parameters(ofModule: group.module)
    for (name, expected) in parameters {
      guard let found = group.shapes[name] else {
        missing.append(name.description)
        continue
      }
      taken.append(name.description)
      if found != expected {
        mismatched.append(
          Mismatch(name: name.description, found: found, expected: expected))
      }
    }
    let known = Set(parameters.map(\.name))
    unexpected += group.order.filter { !known.contains($0) }.map(\.description)
  }

  /// The stacks in the order in which one's output is the next one's input.
  ///
  /// Where several orders fit, that of the tensors is kept; where none fits, each stack is a model
  /// of its own.
  private static func chained(
    _ stacks: [ModelDescription.Module]
  ) -> [ModelDescription.Module] {
    var chain: [Int] = []
    func extend() -> Bool {
      if chain.count == stacks.count { return true }
      for next in stacks.indices where !chain.contains(next) {
        if let last = chain.last, !stacks[last].feeds(stacks[next]) { continue }
        chain.append(next)
        if extend() { return true }
        chain.removeLast()
      }
      return false
    }
    // The number of orders grows quickly; nobody chains more than a handful of stacks by shape.
    guard stacks.count <= 8, extend() else { return stacks }
    return chain.enumerated().map { position, index in
      var stack = stacks[index]
      if position > 0 { stack.inputs = [stacks[chain[position - 1]].name] }
      return stack
    }
  }

  // MARK: Head

  private mutating func mapHead(
    _ contents: CheckpointContents, _ facts: ModuleFacts, _ options: ModelOptions,
    _ stacks: [ModelDescription.Module]
  ) throws(CheckpointError) -> [ModelDescription.Module] {
    let inputs = Set(stacks.flatMap(\.inputs))
    let ends = stacks.filter { !inputs.contains($0.name) }
    let told = options.head ?? facts.describedHead ?? facts.contents.metadata["head"]
    guard told != "none", !ends.isEmpty else { return [] }

    var readings: [(head: ModelDescription.Module, tensors: [String])] = []
    for tensor in contents.tensors where tensor.shape.rank == 2 {
      guard let path = tensor.name.removing(suffix: ".weight"), told == nil || told == path,
        told == path || facts.mayBeLinear(path)
      else { continue }
      let bias = contents["\(path).bias"]
      guard bias == nil || bias?.shape.dimensions == [tensor.shape[0]] else { continue }
      for end in ends
      where end.recurrent?.outputSize == tensor.shape[1] && tensor.shape[0] > 0
        && facts.mayFeed(end.name, path)
      {
        var head = HeadConfiguration(inputSize: tensor.shape[1], outputSize: tensor.shape[0])
        head.hasBias = bias != nil
        readings.append(
          (
            ModelDescription.Module(name: path, inputs: [end.name], kind: .head(head)),
            [tensor.name] + (bias.map { [$0.name] } ?? [])
          ))
      }
    }
    guard readings.count <= 1 else {
      let names = readings.map { "\($0.head.name) behind \"\($0.head.inputs[0])\"" }
      throw CheckpointError(
        .ambiguousModel,
        "\(readings.count) layers could be the head: \(names.joined(separator: ", ")); decide with "
          + "--set head=\(readings[0].head.name), or --set head=none")
    }
    guard let reading = readings.first else {
      guard let told else { return [] }
      let sizes = ends.compactMap(\.recurrent?.outputSize).map(\.description)
      let features = "the \(sizes.joined(separator: " or ")) features of the last stack"
      guard let found = contents["\(told).weight"] else {
        throw CheckpointError(
          .parameterMissing, tensor: "\(told).weight", "no such layer to take \(features)")
      }
      let bias = contents["\(told).bias"].map { ", bias \($0.shape)" } ?? ""
      throw CheckpointError(
        .shapeMismatch, tensor: found.name,
        "shape \(found.shape)\(bias), which is no layer that takes \(features)")
    }
    var head = reading.head
    head.kind = .head(try completed(head, facts, options))
    taken += reading.tensors
    return [head]
  }

  private mutating func completed(
    _ module: ModelDescription.Module, _ facts: ModuleFacts, _ options: ModelOptions
  ) throws(CheckpointError) -> HeadConfiguration {
    guard case .head(var head) = module.kind else { preconditionFailure("no head") }
    let described = facts.head(module.name)
    var activation = options.headActivation ?? described?.activation
    if activation == nil { activation = try facts.option("head_activation", of: module.name) }
    head.activation = activation ?? .none
    if activation == nil { assume("head_activation", "none") }
    var input = options.headInput ?? described?.input
    if input == nil { input = try facts.option("head_input", of: module.name) }
    head.input = input ?? .all
    if input == nil { assume("head_input", "all") }
    guard var described else { return head }
    described.activation = head.activation
    described.input = head.input
    guard described == head else {
      throw CheckpointError(
        .modelInvalid,
        "module \"\(module.name)\": described as \(described), but its tensors make \(head)")
    }
    return head
  }
}

// MARK: - Inference from shapes

/// The tensors that bear the parameter names of one module.
private struct StackTensors {
  let module: String
  var shapes: [ParameterName: Shape] = [:]
  var order: [ParameterName] = []

  init(module: String) { self.module = module }

  mutating func append(_ name: ParameterName, _ shape: Shape) {
    shapes[name] = shape
    order.append(name)
  }

  /// Kind and sizes.
  ///
  /// Where layers contradict each other the reading that most of them share wins, so that the odd
  /// one out is reported and not the others.
  func inferredConfiguration() -> RecurrentConfiguration? {
    // No module has more layers than tensors: what lies farther behind is no layer of it.
    guard let layers = order.map(\.layer).filter({ $0 < order.count }).max() else { return nil }
    var votes: [(kind: RecurrentConfiguration.Kind, hidden: Int, projection: Int, count: Int)] = []
    for name in order.sorted(by: { ($0.layer, $0.direction) < ($1.layer, $1.direction) })
    where name.kind == .hiddenWeight {
      var projectionName = name
      projectionName.kind = .projectionWeight
      guard let weight = shapes[name], weight.rank == 2 else { continue }
      // Only an LSTM has a projection, and only to fewer features.
      let projection = shapes[projectionName].flatMap {
        $0.rank == 2 && $0[1] > weight[1] && $0[1] == weight[0] / 4 ? $0 : nil
      }
      let hidden = projection?[1] ?? weight[1]
      guard hidden > 0, weight[0] % hidden == 0,
        let kind = RecurrentConfiguration.Kind.allCases.first(where: {
          $0.gateCount == weight[0] / hidden
        })
      else { continue }
      let reading = (kind, hidden, projection == nil ? 0 : weight[1])
      if let index = votes.firstIndex(where: {
        ($0.kind, $0.hidden, $0.projection) == reading
      }) {
        votes[index].count += 1
      } else {
        votes.append((kind: reading.0, hidden: reading.1, projection: reading.2, count: 1))
      }
    }
    // Among equals the first: that of the lowest layer.
    guard let most = votes.map(\.count).max(), let vote = votes.first(where: { $0.count == most })
    else { return nil }

    let first = ParameterName(module: module, kind: .inputWeight, layer: 0)
    var reverse = first
    reverse.direction = .reverse
    guard let input = shapes[first] ?? shapes[reverse], input.rank == 2 else { return nil }
    var configuration = RecurrentConfiguration(
      kind: vote.kind, inputSize: input[1], hiddenSize: vote.hidden)
    configuration.layerCount = layers + 1
    configuration.projectionSize = vote.projection
    configuration.isBidirectional = order.contains { $0.direction == .reverse }
    configuration.hasBias = order.contains { $0.kind == .inputBias || $0.kind == .hiddenBias }
    return input[1] > 0 ? configuration : nil
  }

  /// The weights without which nothing can be inferred.
  func essentialsMissing() -> [String] {
    let essential: [ParameterName.Kind] = [.inputWeight, .hiddenWeight]
    let names = essential.map { ParameterName(module: module, kind: $0, layer: 0) }
    let absent = names.filter { shapes[$0] == nil }
    // Both are there, but of shapes that no module has.
    return (absent.isEmpty ? names : absent).map(\.description)
  }
}

extension ModelDescription.Module {
  /// The configuration, if the module is a recurrent stack.
  var recurrent: RecurrentConfiguration? {
    if case .recurrent(let configuration) = kind { configuration } else { nil }
  }

  fileprivate func feeds(_ next: ModelDescription.Module) -> Bool {
    recurrent?.outputSize == next.recurrent?.inputSize
  }
}

extension ModuleFacts {
  /// The head that the file's description names; `none` when it describes a model without one.
  fileprivate var describedHead: String? {
    guard let description else { return nil }
    let head = description.modules.first {
      if case .head = $0.kind { true } else { false }
    }
    return head?.name ?? "none"
  }

  /// Whether nothing says that the module is another one than a linear layer.
  fileprivate func mayBeLinear(_ path: String) -> Bool {
    contents.moduleRecords.first { $0.path == path }?.type.hasSuffix("Linear") ?? true
  }

  /// Whether the description lets a stack feed a head.
  fileprivate func mayFeed(_ stack: String, _ head: String) -> Bool {
    guard let module = description?[head], description?[stack] != nil else { return true }
    return module.inputs == [stack]
  }

  /// The stacks as the description chains them; nil where it does not know all of them.
  fileprivate func chained(
    _ stacks: [ModelDescription.Module]
  ) -> [ModelDescription.Module]? {
    guard let description, stacks.allSatisfy({ description[$0.name]?.recurrent != nil }) else {
      return nil
    }
    let chained: [ModelDescription.Module] = description.modules.compactMap { module in
      guard var stack = stacks.first(where: { $0.name == module.name }) else { return nil }
      stack.inputs = module.inputs
      return stack
    }
    // A stack behind a module that is not here, or not of this version, stands for itself.
    return chained.map { stack in
      var stack = stack
      if !chained.contains(where: { [$0.name] == stack.inputs }) {
        stack.inputs = [ModelDescription.modelInput]
      }
      return stack
    }
  }

  /// The modules, and among them in their places those of the description that this version does not
  /// know: nothing may run as if they were not there.
  fileprivate func withUnknownModules(
    _ modules: [ModelDescription.Module]
  ) -> [ModelDescription.Module] {
    guard let description else { return modules }
    let isUnknown = { (module: ModelDescription.Module) in
      if case .unknown = module.kind { true } else { false }
    }
    guard description.modules.contains(where: isUnknown) else { return modules }
    // The description's graph, with what the tensors and the options say about its modules.
    var all = description.modules.map { module in
      var module = module
      if let own = modules.first(where: { $0.name == module.name }) { module.kind = own.kind }
      return module
    }
    all += modules.filter { description[$0.name] == nil }
    return all
  }
}

extension String {
  fileprivate func stands(inModule path: String) -> Bool {
    path.isEmpty ? !contains(".") : hasPrefix(path + ".")
  }

  fileprivate func removing(suffix: String) -> String? {
    hasSuffix(suffix) ? String(dropLast(suffix.count)) : nil
  }
}
