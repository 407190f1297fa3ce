/// A note of a module that a file tells about: where it stands, what it is called in its framework,
/// and its options.
///
/// It means nothing by itself; `RecurrentNetworks` reads it.
public struct ModuleRecord: Hashable, Sendable, Codable {
  /// The path of the module, `encoder.rnn`; empty for the root.
  public var path: String
  /// The framework's name for its type, `torch.nn.LSTM`.
  public var type: String
  /// The options that it was made with.
  public var options: [String: Option]

  /// Makes a record.
  public init(path: String, type: String, options: [String: Option]) {
    self.path = path
    self.type = type
    self.options = options
  }

  /// The value of an option.
  public enum Option: Hashable, Sendable {
    /// Text.
    case string(String)
    /// A number.
    case number(Double)
    /// True or false.
    case bool(Bool)
  }
}

extension ModuleRecord.Option: Codable {
  /// Decodes a JSON string, number, true or false.
  public init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if let bool = try? value.decode(Bool.self) {
      self = .bool(bool)
    } else if let number = try? value.decode(Double.self) {
      self = .number(number)
    } else {
      self = .string(try value.decode(String.self))
    }
  }

  /// Encodes as a JSON string, number, true or false.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .string(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .bool(let value): try container.encode(value)
    }
  }
}

extension ModuleRecord.Option: CustomStringConvertible {
  /// The value as it would be written behind `--set OPTION=`.
  public var description: String {
    switch self {
    case .string(let value): value
    case .number(let value): Int(exactly: value)?.description ?? value.description
    case .bool(let value): value.description
    }
  }
}
