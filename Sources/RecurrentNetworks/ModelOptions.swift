internal import Checkpoints

/// What shapes cannot tell about a model, as far as the user says it (`--set OPTION=VALUE`).
///
/// What stays nil is taken from the file's model description, its metadata or its module records, and
/// otherwise assumed.
public struct ModelOptions: Hashable, Sendable {
  /// `nonlinearity=tanh|relu`: the activation of every RNN.
  public var nonlinearity: RecurrentConfiguration.Nonlinearity?
  /// `batch_first=true|false`: whether inputs and outputs are [batch, steps, features].
  public var batchFirst: Bool?
  /// `head=NAME|none`: the path of the output layer; `none` for no output layer.
  public var head: String?
  /// `head_activation=none|sigmoid|tanh|relu|softmax`.
  public var headActivation: HeadConfiguration.Activation?
  /// `head_input=all|last|h_n`.
  public var headInput: HeadConfiguration.Input?

  /// Says nothing.
  public init() {}

  /// The names of all options.
  public static let names = [
    "nonlinearity", "batch_first", "head", "head_activation", "head_input",
  ]

  /// Sets an option by its name.
  /// - Returns: What is wrong with the value, in words; nil when it was set. Names that are not in
  ///   `names` are the caller's fault.
  public mutating func set(_ name: String, to value: String) -> String? {
    switch name {
    case "nonlinearity":
      return assign(&nonlinearity, value)
    case "batch_first":
      guard let flag = Bool(value) else { return "must be true or false" }
      batchFirst = flag
    case "head":
      guard !value.isEmpty else { return "must be the path of a linear layer, or none" }
      head = value
    case "head_activation":
      return assign(&headActivation, value)
    case "head_input":
      return assign(&headInput, value)
    default:
      preconditionFailure("no option is called \(name)")
    }
    return nil
  }

  private func assign<Value: RawRepresentable & CaseIterable>(
    _ option: inout Value?, _ text: String
  ) -> String? where Value.RawValue == String {
    guard let value = Value(rawValue: text) else {
      return "must be one of \(Value.allCases.map(\.rawValue).joined(separator: ", "))"
    }
    option = value
    return nil
  }
}

/// Looks a fact about a module up in everything that a file tells, in the order of authority.
struct ModuleFacts {
  let contents: CheckpointContents
  let description: ModelDescription?

  init(_ contents: CheckpointContents) throws(CheckpointError) {
    self.contents = contents
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

  /// An option of a module as text: from metadata under `module.option` or `option`, else from the
  /// module's record.
  func text(_ name: String, of module: String) -> String? {
    if !module.isEmpty, let text = contents.metadata["\(module).\(name)"] { return text }
    if let text = contents.metadata[name] { return text }
    let record = contents.moduleRecords.first { $0.path == module }
    return record?.options[name]?.description
  }

  /// An option of a module that must be one of a few values.
  /// - Throws: `metadataInvalid` for another value.
  func option<Value: RawRepresentable & CaseIterable>(
    _ name: String, of module: String
  ) throws(CheckpointError) -> Value? where Value.RawValue == String {
    guard let text = text(name, of: module) else { return nil }
    guard let value = Value(rawValue: text) else {
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
    case "true", "1": return true
    case "false", "0": return false
    default:
      throw CheckpointError(.metadataInvalid, "\(name) is \"\(text)\", not true or false")
    }
  }
}
