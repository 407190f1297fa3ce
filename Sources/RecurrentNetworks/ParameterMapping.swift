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

  /// A parameter outside of the recurrent modules in a form in which only PyTorch can use it.
  public struct Disguised: Hashable, Sendable {
    /// The parameter's name.
    public var name: String
    /// What it is, and the way out in Python.
    public var reason: String
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
  /// The parameters that were put together from others.
  public private(set) var folded: [FoldedParameter] = []
  /// What would be folded, but was not to be.
  public private(set) var unfolded: [FoldedParameter] = []
  /// Parameters among what is left over that no module takes because of their form: a head under
  /// spectral norm.
  public private(set) var disguised: [Disguised] = []
  /// For an unexpected name the one of its module's parameters that is spelled most like it, where one
  /// is.
  public private(set) var nearest: [String: String] = [:]
  /// The checkpoint, with what was folded in place of what it was folded from, and its weights in PyTorch's
  /// layout.
  public let contents: CheckpointContents

  /// Modules whose weights have shapes that no network has.
  private(set) var impossible: [CheckpointError] = []
  /// The tensors that modules take, by their path.
  private var owned: [String: [String]] = [:]
  /// The names of the parameters that modules have, by their path.
  private var expected: [String: [String]] = [:]
  let file: String?
  /// Whether the mapping only shows whether options decide what it is.
  private let isTrial: Bool

  /// Recognises the modules of a checkpoint.
  /// - Parameters:
  ///   - contents: The tensors, with what the file tells about their modules.
  ///   - options: What the user says about the model.
  ///   - file: The file's path, for errors.
  /// - Throws: `ambiguousModel` when more than one layer could be the head, `parameterMissing` when
  ///   `options.head` names none, `metadataInvalid`, `modelInvalid` when the file's description
  ///   contradicts the tensors. Faults of parameters are not thrown but listed.
  public init(
    of contents: CheckpointContents, options: ModelOptions = ModelOptions(), file: String? = nil
  ) throws(CheckpointError) {
    try self.init(of: contents, options: options, file: file, isTrial: false)
  }

  /// - Parameter isTrial: Whether nobody will read the error.
  private init(
    of contents: CheckpointContents, options: ModelOptions, file: String?, isTrial: Bool
  ) throws(CheckpointError) {
    self.isTrial = isTrial
    self.file = file
    let parts = FoldedContents(contents)
    let plain: CheckpointContents
    switch options.fold {
    case .auto: (folded, plain) = (parts.folded, parts.contents)
    case .none: (unfolded, plain) = (parts.folded, contents)
    }
    do {
      self.contents = try RearrangedContents(plain, options).contents
    } catch {
      throw error.located(file: file)
    }
    let contents = self.contents
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
    let names = Set(contents.tensors.map(\.name))
    var seen = Set(unfolded.map(\.name))
    for name in leftOver {
      guard let disguise = Disguise(besideModules: name, among: names),
        seen.insert(disguise.name).inserted
      else { continue }
      disguised.append(Disguised(name: disguise.name, reason: disguise.description))
    }
    owned = Dictionary(
      grouping: taken, by: { name in String(name[..<(name.lastIndex(of: ".") ?? name.startIndex)]) }
    )
    nearest = NearestName.pairs(
      unexpected.map { name in
        (
          name,
          candidates: Self.module(holding: name, among: expected).flatMap { expected[$0] } ?? []
        )
      })
  }

  /// The tensors that a module takes, in their order.
  public func tensors(of module: ModelDescription.Module) -> [String] { owned[module.name] ?? [] }

  /// The innermost of the modules under whose path a name stands.
  private static func module<Names>(
    holding name: String, among modules: [String: Names]
  ) -> String? {
    guard var dot = name.lastIndex(of: ".") else { return modules[""] == nil ? nil : "" }
    while true {
      let path = String(name[..<dot])
      if modules[path] != nil { return path }
      guard let next = path.lastIndex(of: ".") else { return nil }
      dot = next
    }
  }

  // MARK: Recurrent stacks

  private mutating func mapStacks(
    _ contents: CheckpointContents, _ facts: ModuleFacts, _ options: ModelOptions
  ) throws(CheckpointError) -> [ModelDescription.Module] {
    // A module with a parameter in pieces that are not to be folded is none.
    let apart = Set(unfolded.compactMap { ParameterName($0.name)?.module })
    let groups = StackTensors.groups(of: contents).filter { !apart.contains($0.module) }

    var stacks: [ModelDescription.Module] = []
    for group in groups {
      let path = group.module
      guard var configuration = group.inferredConfiguration() else {
        let absent = group.essentialsMissing()
        missing += absent
        expected[path] = absent
        if absent.isEmpty { impossible.append(group.impossibleShapes()) }
        taken += group.shapes.keys.map(\.description)
        continue
      }
      try complete(&configuration, ofModule: path, facts, options)
      if try compare(group, configuration) { try facts.check(configuration, of: path) }
      stacks.append(
        ModelDescription.Module(
          name: path, inputs: [ModelDescription.modelInput], kind: .recurrent(configuration)))
    }

    let known = Dictionary(uniqueKeysWithValues: groups.map { ($0.module, $0) })
    for tensor in contents.tensors where ParameterName(tensor.name) == nil {
      if Self.module(holding: tensor.name, among: known) != nil { unexpected.append(tensor.name) }
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
    // Hardly a model has these two: that PyTorch's are meant is no assumption worth a line.
    if configuration.kind == .gru {
      var told = options.gruReset ?? described?.gruReset
      if told == nil { told = try facts.option("gru_reset", of: path) }
      configuration.gruReset = told ?? .after
    }
    if configuration.kind != .rnn {
      var told = options.sigmoid ?? described?.sigmoid
      if told == nil { told = try facts.option("sigmoid", of: path) }
      configuration.sigmoid = told ?? .logistic
    }
    var givenState = options.state ?? described?.givenState
    if givenState == nil { givenState = try facts.option("state", of: path) }
    configuration.givenState = givenState ?? .given
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
    described.givenState = configuration.givenState
    if options.forgetBias != nil { described.hasBias = configuration.hasBias }
    described.gruReset = configuration.gruReset
    described.sigmoid = configuration.sigmoid
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

  /// Whether the tensors of a module are just its parameters; what is wrong with them is noted.
  private mutating func compare(
    _ group: StackTensors, _ configuration: RecurrentConfiguration
  ) throws(CheckpointError) -> Bool {
    let faults = missing.count + mismatched.count + unexpected.count
    let parameters = try configuration.parameters(ofModule: group.module)
    expected[group.module] = parameters.map(\.name.description)
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
    return faults == missing.count + mismatched.count + unexpected.count
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
    var readings: [ChainReader.Reading] = []
    var doubts = Doubts()
    for index in chains.indices {
      let best = try reader.readings(ofChain: index)
      if best.count > 1 { doubts.add(best) }
      readings.append(best.first ?? ChainReader.Reading())
    }
    var owners: [String: String] = [:]
    for (index, reading) in readings.enumerated() {
      for module in [reading.embedding, reading.head].compactMap(\.self) {
        // Several modules may look tokens up in one table, when the file or the user says so.
        let isShared =
          module == reading.embedding && reader.isToldEmbedding(module.name, ofChain: index)
        let name = chains[index][0].name
        guard let owner = owners.updateValue(name, forKey: module.name), !isShared else { continue }
        doubts.add(module, of: owner, and: name, isHead: module == reading.head)
      }
    }
    if !doubts.isEmpty {
      guard !isTrial else { throw CheckpointError(.ambiguousModel, "") }
      let hasCells = stacks.contains { $0.recurrent?.isCell == true }
      throw doubts.error(decidedBy: options, hasCells: hasCells) { options in
        let trial = try? ParameterMapping(
          of: contents, options: options, file: nil, isTrial: true)
        return trial != nil
      }
    }
    var modules: [ModelDescription.Module] = []
    for (index, reading) in readings.enumerated() {
      var chain = chains[index]
      taken += reading.tensors
      if let embedding = reading.embedding {
        if !reader.isToldEmbedding(embedding.name, ofChain: index) {
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
        if !reader.isToldHead(head.name, ofChain: index) { assume("head", head.name) }
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
  package var recurrent: RecurrentConfiguration? {
    if case .recurrent(let configuration) = kind { configuration } else { nil }
  }

  func feeds(_ next: ModelDescription.Module) -> Bool {
    recurrent?.outputSize == next.recurrent?.inputSize
  }
}
