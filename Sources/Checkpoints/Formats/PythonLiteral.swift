/// A Python literal of the few kinds that the header of a npy file needs.
///
/// Nothing is evaluated.
indirect enum PythonLiteral: Hashable, Sendable {
  case string(String)
  /// A number as it is written, an `L` of Python 2 left out.
  case number(String)
  case bool(Bool)
  case none
  case tuple([PythonLiteral])
  case list([PythonLiteral])
  case dict([PythonLiteral], [PythonLiteral])

  /// Parses a text that holds one literal and white space.
  /// - Throws: `headerInvalid` for everything else; `nestingLimit`.
  init(parsing bytes: Bytes, at offset: Int) throws(CheckpointError) {
    var parser = PythonLiteralParser(bytes.array, at: offset)
    self = try parser.parse()
  }

  /// The values of the three keys of a npy header, which must be there and no others.
  func fields(at offset: Int) throws(CheckpointError) -> [String: PythonLiteral] {
    func fault(_ rule: String) -> CheckpointError {
      CheckpointError(.headerInvalid, offset: offset, rule)
    }
    guard case .dict(let keys, let values) = self else { throw fault("the header is no dict") }
    var fields: [String: PythonLiteral] = [:]
    for (key, value) in zip(keys, values) {
      guard case .string(let name) = key else { throw fault("a key is \(key.text)") }
      guard fields.updateValue(value, forKey: name) == nil else {
        throw fault("the key \(name) occurs twice")
      }
    }
    guard fields.keys.sorted() == ["descr", "fortran_order", "shape"] else {
      throw fault("the keys are \(fields.keys.sorted()), not descr, fortran_order and shape")
    }
    return fields
  }

  /// Every string in it.
  var strings: [String] {
    switch self {
    case .string(let text): [text]
    case .tuple(let values), .list(let values): values.flatMap(\.strings)
    case .dict(let keys, let values): (keys + values).flatMap(\.strings)
    case .number, .bool, .none: []
    }
  }

  /// The literal as Python prints it.
  var text: String {
    func joined(_ values: [PythonLiteral]) -> String {
      values.map(\.text).joined(separator: ", ")
    }
    switch self {
    case .string(let text): return "'\(text)'"
    case .number(let digits): return digits
    case .bool(let value): return value ? "True" : "False"
    case .none: return "None"
    case .tuple(let values):
      return values.count == 1 ? "(\(joined(values)),)" : "(\(joined(values)))"
    case .list(let values): return "[\(joined(values))]"
    case .dict(let keys, let values):
      return "{\(zip(keys, values).map { "\($0.text): \($1.text)" }.joined(separator: ", "))}"
    }
  }
}

/// Goes over the text of a literal once.
struct PythonLiteralParser {
  private let bytes: [UInt8]
  private let base: Int
  private var position = 0

  private static let largestDepth = 16

  init(_ bytes: [UInt8], at base: Int) {
    self.bytes = bytes
    self.base = base
  }

  /// Parses the whole text.
  mutating func parse() throws(CheckpointError) -> PythonLiteral {
    let literal = try parseValue(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw fault("something follows the dict") }
    return literal
  }

  private mutating func parseValue(depth: Int) throws(CheckpointError) -> PythonLiteral {
    guard depth <= Self.largestDepth else {
      throw CheckpointError(
        .nestingLimit, offset: base + position, "brackets more than \(Self.largestDepth) deep")
    }
    skipSpace()
    switch peek {
    case UInt8(ascii: "{"): return try parseDict(depth: depth)
    case UInt8(ascii: "("):
      let (values, hasComma) = try parseValues(until: ")", depth: depth)
      // A value in brackets is the value.
      return values.count == 1 && !hasComma ? values[0] : .tuple(values)
    case UInt8(ascii: "["): return .list(try parseValues(until: "]", depth: depth).values)
    case UInt8(ascii: "'"), UInt8(ascii: "\""): return .string(try parseString())
    case .some(let byte) where Self.isDigit(byte) || byte == UInt8(ascii: "-"):
      return .number(try parseNumber())
    default: break
    }
    for (word, value) in [
      ("True", PythonLiteral.bool(true)), ("False", .bool(false)), ("None", .none),
    ] where bytes[position...].starts(with: word.utf8) {
      position += word.utf8.count
      return value
    }
    throw fault("no literal begins here")
  }

  private mutating func parseValues(
    until end: Unicode.Scalar, depth: Int
  ) throws(CheckpointError) -> (values: [PythonLiteral], hasComma: Bool) {
    position += 1
    var values: [PythonLiteral] = []
    var hasComma = false
    while !take(end) {
      guard values.isEmpty || hasComma else { throw fault("a comma was expected") }
      values.append(try parseValue(depth: depth + 1))
      hasComma = take(",")
    }
    return (values, hasComma)
  }

  private mutating func parseDict(depth: Int) throws(CheckpointError) -> PythonLiteral {
    position += 1
    var keys: [PythonLiteral] = []
    var values: [PythonLiteral] = []
    var hasComma = false
    while !take("}") {
      guard keys.isEmpty || hasComma else { throw fault("a comma was expected") }
      keys.append(try parseValue(depth: depth + 1))
      guard take(":") else { throw fault("a colon was expected") }
      values.append(try parseValue(depth: depth + 1))
      hasComma = take(",")
    }
    return .dict(keys, values)
  }

  /// A string without escapes, of which no dtype has any.
  private mutating func parseString() throws(CheckpointError) -> String {
    let quote = bytes[position]
    let start = position + 1
    position = start
    while let byte = peek, byte != quote {
      guard byte >= 0x20, byte != UInt8(ascii: "\\") else {
        throw fault("an escape or a control character in a string")
      }
      position += 1
    }
    guard peek == quote, let text = String(validating: bytes[start..<position], as: UTF8.self)
    else { throw fault("a string that does not end, or is no UTF-8") }
    position += 1
    return text
  }

  /// A number as it is written: digits, perhaps with a sign, a fraction, an exponent.
  private mutating func parseNumber() throws(CheckpointError) -> String {
    let start = position
    while let byte = peek, Self.isDigit(byte) || "+-.eE".utf8.contains(byte) { position += 1 }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
    let isInteger = digits.allSatisfy(\.isNumber) && !digits.isEmpty
    guard isInteger ? digits.count == 1 || digits.first != "0" : Double(text) != nil else {
      throw fault("\(text) is no number")
    }
    if isInteger, peek == UInt8(ascii: "L") { position += 1 }
    return text
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
  }

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  /// Takes a character with the space before it.
  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard peek == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func skipSpace() {
    while let byte = peek, byte == 0x20 || 0x09...0x0D ~= byte { position += 1 }
  }

  private func fault(_ rule: String) -> CheckpointError {
    CheckpointError(.headerInvalid, offset: base + position, rule)
  }
}
