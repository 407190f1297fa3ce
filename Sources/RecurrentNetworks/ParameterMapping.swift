public import Checkpoints

/// What network a set of tensors is: which tensor is which parameter of which module, and every fault,
/// found in one pass.
///
/// Recurrent stacks and cells are recognised by their parameter names, whatever their prefix, and
/// configured by shapes; an embedding before them and an output layer behind them by the shapes that fit.
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

  /// Modules whose weights have shapes that no network has.
  private var impossible: [CheckpointError] = []
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
      let modules = try mapEnds(contents, facts, options, stacks)
      description.modules = facts.withUnknownModules(modules)
    } catch {
      throw error.located(file: file)
    }
    let known = Set(taken + unexpected)
    // In the order of the tensors, which is how people look for them.
    taken = contents.tensors.map(\.name).filter(Set(taken).contains)
    leftOver = contents.tensors.map(\.name).filter { !known.contains($0) }
  }

  /// Whether no parameter is missing, unexpected or of a wrong shape.
  public var isComplete: Bool {
    missing.isEmpty && unexpected.isEmpty && mismatched.isEmpty && impossible.isEmpty
  }

  /// Throws the first fault, and tells of the others.
  /// - Throws: `shapeMismatch`, `parameterMissing`, `parameterUnexpected`.
  public func requireComplete() throws(CheckpointError) {
    var faults = impossible.map { $0.located(file: file) }
    faults += mismatched.map {
      CheckpointError(
        .shapeMismatch, file: file, tensor: $0.name, "shape \($0.found), expected \($0.expected)")
    }
    faults += missing.map { name in
      let module = ParameterName(name).flatMap { description[$0.module]?.recurrent }
      return CheckpointError(
        .parameterMissing, file: file, tensor: name,
        "missing: \(module?.description ?? "a recurrent module") has this parameter")
    }
    faults += unexpected.map {
      CheckpointError(
        .parameterUnexpected, file: file, tensor: $0,
        "the tensor stands in a recurrent module, which has no such parameter; leave it out with "
          + "--exclude if it is none")
    }
    guard var first = faults.first else { return }
    if faults.count > 1 {
      // A line is for a person; `missing`, `unexpected` and `mismatched` hold them all.
      let others = faults.dropFirst().prefix(5).map { "\($0.tensor ?? "") (\($0.code.rawValue))" }
      first.reason += "; also \(others.joined(separator: ", "))"
      if faults.count > 6 { first.reason += " and \(faults.count - 6) more" }
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
        let absent = group.essentialsMissing()
        missing += absent
        if absent.isEmpty { impossible.append(group.impossibleShapes()) }
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
    if let chain = options.chain { return try Self.chained(stacks, inOrder: chain) }
    if options.cells == nil {
      if let chained = facts.chained(stacks) { return chained }
      if let chain = try facts.chain() { return try Self.chained(stacks, inOrder: chain) }
    }
    let cells = stacks.filter { $0.recurrent?.isCell == true }
    let others = stacks.filter { $0.recurrent?.isCell != true }
    guard options.cells == .stack else { return Self.chained(others) + cells }
    let chain = Self.chained(cells)
    guard !cells.isEmpty, chain.filter({ $0.inputs == [ModelDescription.modelInput] }).count == 1
    else {
      throw CheckpointError(
        cells.isEmpty ? .parameterMissing : .shapeMismatch, tensor: cells.first?.name,
        "cells=stack: the \(cells.count) cells do not follow each other, one's outputs being the next "
          + "one's inputs")
    }
    return Self.chained(others) + chain
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
    if !configuration.isCell {
      var batchFirst = options.batchFirst ?? described?.isBatchFirst
      if batchFirst == nil { batchFirst = try facts.flag("batch_first", of: path) }
      configuration.isBatchFirst = batchFirst ?? false
      if batchFirst == nil { assume("batch_first", "false") }
      // Dropout does nothing at inference; it is kept for the reader's information.
      let dropout = described?.dropout ?? facts.text("dropout", of: path).flatMap { Double($0) }
      configuration.dropout = dropout ?? 0
    }
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

  /// The stacks in an order that was told; those that it leaves out are models of their own.
  /// - Throws: `parameterMissing` for a module that is not there, `shapeMismatch` for one whose input is
  ///   not the output of the one before it.
  private static func chained(
    _ stacks: [ModelDescription.Module], inOrder names: [String]
  ) throws(CheckpointError) -> [ModelDescription.Module] {
    var chain: [ModelDescription.Module] = []
    for name in names {
      guard var stack = stacks.first(where: { $0.name == name }) else {
        throw CheckpointError(
          .parameterMissing, tensor: name, "the chain names a recurrent module that is not here")
      }
      if let last = chain.last {
        guard last.feeds(stack) else {
          throw CheckpointError(
            .shapeMismatch, tensor: name,
            "the chain puts it behind \(last.name), whose \(last.recurrent?.outputSize ?? 0) outputs are "
              + "not its \(stack.recurrent?.inputSize ?? 0) inputs")
        }
        stack.inputs = [last.name]
      }
      chain.append(stack)
    }
    return chain + stacks.filter { !names.contains($0.name) }
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

  /// Whether the file or the user says that modules follow each other.
  private func isTold(
    _ chain: [ModelDescription.Module], _ facts: ModuleFacts, _ options: ModelOptions
  ) -> Bool {
    options.chain != nil || options.cells == .stack || facts.contents.metadata["chain"] != nil
      || chain.allSatisfy { facts.description?[$0.name] != nil }
  }

  // MARK: Embeddings and heads

  /// Puts before and behind every chain of stacks what belongs there.
  private mutating func mapEnds(
    _ contents: CheckpointContents, _ facts: ModuleFacts, _ options: ModelOptions,
    _ stacks: [ModelDescription.Module]
  ) throws(CheckpointError) -> [ModelDescription.Module] {
    var chains: [[ModelDescription.Module]] = []
    for stack in stacks {
      if stack.inputs == [ModelDescription.modelInput] { chains.append([]) }
      chains[chains.count - 1].append(stack)
    }
    let reader = ChainReader(facts: facts, options: options, chains: chains)
    let readings = try chains.map { chain throws(CheckpointError) in try reader.reading(of: chain) }
    var owners: [String: String] = [:]
    for (chain, reading) in zip(chains, readings) {
      for module in [reading.embedding, reading.head].compactMap(\.self) {
        // Several modules may look tokens up in one table, when the file or the user says so.
        let isShared = module == reading.embedding && reader.isToldEmbedding(module.name, of: chain)
        guard let owner = owners.updateValue(chain[0].name, forKey: module.name), !isShared else {
          continue
        }
        throw CheckpointError(
          .ambiguousModel, tensor: "\(module.name).weight",
          "the layer fits \(owner) and \(chain[0].name): decide with --set "
            + (module == reading.head ? "head=none" : "embedding=none or embedding=\(module.name)"))
      }
    }
    var modules: [ModelDescription.Module] = []
    for (chain, reading) in zip(chains, readings) {
      var chain = chain
      taken += reading.tensors
      if let embedding = reading.embedding {
        if !reader.isToldEmbedding(embedding.name, of: chain) {
          assume("embedding", embedding.name)
        }
        chain[0].inputs = [embedding.name]
        if !modules.contains(embedding) { modules.append(embedding) }
      }
      if chain.count > 1, !isTold(chain, facts, options) {
        assume("chain", chain.map(\.name).joined(separator: ","))
      }
      modules += chain
      if var head = reading.head {
        if !reader.isToldHead(head.name, of: chain) { assume("head", head.name) }
        head.kind = .head(try completed(head, behind: chain[chain.count - 1], facts, options))
        modules.append(head)
      }
    }
    return modules
  }

  private mutating func completed(
    _ module: ModelDescription.Module, behind stack: ModelDescription.Module,
    _ facts: ModuleFacts, _ options: ModelOptions
  ) throws(CheckpointError) -> HeadConfiguration {
    guard case .head(var head) = module.kind else { preconditionFailure("no head") }
    let described = facts.head(module.name)
    var activation = options.headActivation ?? described?.activation
    // A file of several models tells it under the stack's name.
    if activation == nil { activation = try facts.option("head_activation", of: stack.name) }
    if activation == nil { activation = try facts.option("head_activation", of: module.name) }
    head.activation = activation ?? .none
    if activation == nil { assume("head_activation", "none") }
    var input = options.headInput ?? described?.input
    if input == nil { input = try facts.option("head_input", of: stack.name) }
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

extension ModelDescription.Module {
  /// The configuration, if the module is a recurrent stack.
  var recurrent: RecurrentConfiguration? {
    if case .recurrent(let configuration) = kind { configuration } else { nil }
  }

  func feeds(_ next: ModelDescription.Module) -> Bool {
    recurrent?.outputSize == next.recurrent?.inputSize
  }
}

extension String {
  fileprivate func stands(inModule path: String) -> Bool {
    path.isEmpty ? !contains(".") : hasPrefix(path + ".")
  }
}
