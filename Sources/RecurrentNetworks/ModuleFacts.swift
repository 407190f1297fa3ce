internal import Checkpoints

/// Looks a fact about a module up in everything that a file tells, in the order of authority.
struct ModuleFacts {
  let contents: CheckpointContents
  let description: ModelDescription?
  /// The tensors by their names.
  let tensors: [String: StoredTensor]
  /// The notes of modules by their paths.
  private let records: [String: ModuleRecord]

  init(_ contents: CheckpointContents) throws(CheckpointError) {
    self.contents = contents
    tensors = Dictionary(contents.tensors.map { ($0.name, $0) }) { first, _ in first }
    records = Dictionary(contents.moduleRecords.map { ($0.path, $0) }) { first, _ in first }
    if let json = contents.modelDescription {
      description = try ModelDescription(json: json)
    } else {
      description = nil
    }
  }

  /// The configuration that the description gives a stack.
  func recurrent(_ module: String) -> RecurrentConfiguration? {
    guard case .recurrent(let configuration) = description?[module]?.kind else { return nil }
    return configuration
  }

  /// The configuration that the description gives a head.
  func head(_ module: String) -> HeadConfiguration? {
    guard case .head(let configuration) = description?[module]?.kind else { return nil }
    return configuration
  }

  /// An option of a module as text: from metadata under `module.option`; under `module@option`, as
  /// an HDF5 attribute of the module's group or of one above it is told; under `option`; else from
  /// the module's record.
  ///
  /// An empty text says nothing.
  func text(_ name: String, of module: String) -> String? {
    var keys = module.isEmpty ? [] : ["\(module).\(name)"]
    var group = module[...]
    while !group.isEmpty {
      keys.append("\(group)@\(name)")
      group = group[..<(group.lastIndex(of: ".") ?? group.startIndex)]
    }
    keys.append(name)
    if let text = keys.lazy.compactMap({ contents.metadata[$0] }).first(where: { !$0.isEmpty }) {
      return text
    }
    return record(module)?.text(name)
  }

  /// An option of a module that must be one of a few values.
  /// - Throws: `metadataInvalid` for another value.
  func option<Value: RawRepresentable & CaseIterable>(
    _ name: String, of module: String
  ) throws(CheckpointError) -> Value? where Value.RawValue == String {
    guard let text = text(name, of: module) else { return nil }
    guard let value = Value(rawValue: text.lowercased()) else {
      throw CheckpointError(
        .metadataInvalid,
        "\(name) is \"\(text)\", not one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))"
      )
    }
    return value
  }

  /// An option of a module that must be true or false.
  /// - Throws: `metadataInvalid` for another value.
  func flag(_ name: String, of module: String) throws(CheckpointError) -> Bool? {
    guard let text = text(name, of: module) else { return nil }
    switch text.lowercased() {
    case "true", "1", "1.0": return true
    case "false", "0", "0.0": return false
    default:
      throw CheckpointError(.metadataInvalid, "\(name) is \"\(text)\", not true or false")
    }
  }
}

extension ModuleFacts {
  /// The note of a module.
  func record(_ path: String) -> ModuleRecord? { records[path] }

  /// The head that the file's description puts behind a stack: `none` when it knows the stack, but no
  /// head; nil when it does not know the stack.
  func describedHead(of stack: String) -> String? {
    guard let description, description[stack] != nil else { return nil }
    let head = description.modules.first {
      if case .head = $0.kind { $0.inputs == [stack] } else { false }
    }
    return head?.name ?? "none"
  }

  /// The embedding that the file's description puts before a stack, likewise.
  func describedEmbedding(of stack: String) -> String? {
    guard let description, let module = description[stack] else { return nil }
    guard case .embedding = module.inputs.first.flatMap({ description[$0] })?.kind else {
      return "none"
    }
    return module.inputs[0]
  }

  /// The recurrent modules that follow each other, as the metadata say: `chain`, a JSON array of paths,
  /// empty when none do; nil where they say nothing.
  /// - Throws: `metadataInvalid`.
  func chain() throws(CheckpointError) -> [String]? {
    guard let text = contents.metadata["chain"], !text.isEmpty else { return nil }
    return try CanonicalJSON.decode([String].self, from: text, "chain")
  }

  /// The stacks as the description chains them; nil where it does not know all of them.
  func chained(
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
  func withUnknownModules(
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
