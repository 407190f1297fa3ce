/// Goes over a JSON text once and notes where its values stand.
struct StrictJSONParser {
  let bytes: [UInt8]
  private let base: Int
  private let largestDepth: Int
  private let largestCount: Int
  private(set) var nodes: [StrictJSONText.Node] = []
  private var position = 0

  init(_ bytes: [UInt8], at base: Int, largestDepth: Int, largestCount: Int) {
    self.largestCount = largestCount
    self.bytes = bytes
    self.base = base
    self.largestDepth = largestDepth
  }

  /// Parses the whole text.
  mutating func parse() throws(CheckpointError) {
    skipSpace()
    try parseValue(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw fault("something follows the JSON text") }
  }

  private mutating func parseValue(depth: Int) throws(CheckpointError) {
    guard let byte = peek else { throw fault("the text ends where a value was expected") }
    switch byte {
    case UInt8(ascii: "{"): try parseObject(depth: depth + 1)
    case UInt8(ascii: "["): try parseArray(depth: depth + 1)
    case UInt8(ascii: "\""): _ = try parseString()
    case UInt8(ascii: "t"): try parseWord("true", .bool)
    case UInt8(ascii: "f"): try parseWord("false", .bool)
    case UInt8(ascii: "n"): try parseWord("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): try parseNumber()
    default: throw fault("no JSON value begins here")
    }
  }

  // MARK: Arrays and objects

  private mutating func parseArray(depth: Int) throws(CheckpointError) {
    let place = try open(.array, depth)
    if take("]") { return close(place) }
    var count = 0
    repeat {
      count += 1
      try check(count)
      skipSpace()
      try parseValue(depth: depth)
      skipSpace()
    } while take(",")
    guard take("]") else { throw fault("a comma or the end of an array was expected") }
    close(place)
  }

  private mutating func parseObject(depth: Int) throws(CheckpointError) {
    let place = try open(.object, depth)
    if take("}") { return close(place) }
    var keys: Set<String> = []
    repeat {
      skipSpace()
      guard peek == UInt8(ascii: "\"") else { throw fault("a key was expected") }
      let at = position
      let key = try parseString()
      guard keys.insert(key).inserted else {
        throw CheckpointError(
          .duplicateName, tensor: key, offset: base + at, "the key occurs twice in its object")
      }
      try check(keys.count)
      skipSpace()
      guard take(":") else { throw fault("a colon was expected") }
      skipSpace()
      try parseValue(depth: depth)
      skipSpace()
    } while take(",")
    guard take("}") else { throw fault("a comma or the end of an object was expected") }
    close(place)
  }

  private mutating func open(
    _ kind: StrictJSON.Kind, _ depth: Int
  ) throws(CheckpointError) -> Int {
    guard depth <= largestDepth else {
      throw CheckpointError(
        .nestingLimit, offset: base + position,
        "arrays and objects more than \(largestDepth) deep")
    }
    nodes.append(.init(kind: kind, start: position, end: 0, next: 0))
    position += 1
    skipSpace()
    return nodes.count - 1
  }

  private func check(_ count: Int) throws(CheckpointError) {
    guard count <= largestCount else {
      throw CheckpointError(
        .tensorLimit, offset: base + position,
        "an array or object of more than \(largestCount) values")
    }
  }

  private mutating func close(_ place: Int) {
    nodes[place].end = position
    nodes[place].next = nodes.count
  }

  // MARK: Strings

  /// Notes a string and gives its text.
  private mutating func parseString() throws(CheckpointError) -> String {
    let start = position
    position += 1
    var isEscaped = false
    while let byte = peek, byte != UInt8(ascii: "\"") {
      guard byte >= 0x20 else { throw fault("a control character in a string") }
      if byte == UInt8(ascii: "\\") {
        isEscaped = true
        position += 1
      }
      position += 1
    }
    guard position < bytes.count else {
      position = bytes.count
      throw fault("the JSON text ends within a string")
    }
    let content = bytes[(start + 1)..<position]
    position += 1
    nodes.append(
      .init(
        kind: .string, isEscaped: isEscaped, start: start, end: position, next: nodes.count + 1))
    let text = isEscaped ? Self.unescaped(content) : String(validating: content, as: UTF8.self)
    guard let text else {
      throw CheckpointError(
        .headerInvalid, offset: base + start,
        "a string that is no UTF-8, or holds an escape that JSON does not have")
    }
    return text
  }

  /// The text of a string's content; nil when it is no UTF-8 or an escape is none.
  static func unescaped(_ content: ArraySlice<UInt8>) -> String? {
    var result: [UInt8] = []
    var rest = content
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "\\") else {
        result.append(byte)
        continue
      }
      switch rest.popFirst() {
      case UInt8(ascii: "\""): result.append(UInt8(ascii: "\""))
      case UInt8(ascii: "\\"): result.append(UInt8(ascii: "\\"))
      case UInt8(ascii: "/"): result.append(UInt8(ascii: "/"))
      case UInt8(ascii: "b"): result.append(0x08)
      case UInt8(ascii: "f"): result.append(0x0C)
      case UInt8(ascii: "n"): result.append(0x0A)
      case UInt8(ascii: "r"): result.append(0x0D)
      case UInt8(ascii: "t"): result.append(0x09)
      case UInt8(ascii: "u"):
        guard let scalar = unicodeScalar(&rest) else { return nil }
        result.append(contentsOf: String(scalar).utf8)
      default: return nil
      }
    }
    return String(validating: result, as: UTF8.self)
  }

  /// The character behind `\u`, which may need a second escape.
  private static func unicodeScalar(_ rest: inout ArraySlice<UInt8>) -> Unicode.Scalar? {
    guard let first = codeUnit(&rest) else { return nil }
    guard 0xD800...0xDBFF ~= first else { return Unicode.Scalar(first) }
    guard rest.popFirst() == UInt8(ascii: "\\"), rest.popFirst() == UInt8(ascii: "u"),
      let second = codeUnit(&rest), 0xDC00...0xDFFF ~= second
    else { return nil }
    return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
  }

  private static func codeUnit(_ rest: inout ArraySlice<UInt8>) -> UInt32? {
    guard rest.count >= 4 else { return nil }
    let digits = rest.prefix(4)
    rest = rest.dropFirst(4)
    // `UInt32(_:radix:)` alone would take a sign.
    guard digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else { return nil }
    return UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
  }

  // MARK: Numbers and words

  private mutating func parseNumber() throws(CheckpointError) {
    let start = position
    _ = take("-")
    if !take("0") { try takeDigits() }
    if take(".") { try takeDigits() }
    if take("e") || take("E") {
      if !take("+") { _ = take("-") }
      try takeDigits()
    }
    nodes.append(.init(kind: .number, start: start, end: position, next: nodes.count + 1))
  }

  private mutating func takeDigits() throws(CheckpointError) {
    let start = position
    while let byte = peek, UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte { position += 1 }
    guard position > start else { throw fault("a digit was expected") }
  }

  private mutating func parseWord(
    _ word: String, _ kind: StrictJSON.Kind
  ) throws(CheckpointError) {
    guard bytes[position...].starts(with: word.utf8) else { throw fault("\(word) was expected") }
    let start = position
    position += word.utf8.count
    nodes.append(.init(kind: kind, start: start, end: position, next: nodes.count + 1))
  }

  // MARK: Bytes

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard peek == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func skipSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      position += 1
    }
  }

  private func fault(_ rule: String) -> CheckpointError {
    CheckpointError(.headerInvalid, offset: base + position, rule)
  }
}
