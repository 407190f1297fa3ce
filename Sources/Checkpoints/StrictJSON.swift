/// A value of a JSON text (RFC 8259) that keeps what other parsers hide: the order of keys, a key that
/// occurs twice, how a number is written, and where everything stands.
///
/// Foundation's parser takes the last of two equal keys and rounds integers, so that two programs could
/// see two files in one.
package struct StrictJSON: Sendable {
  /// The kinds of values.
  package enum Kind: Sendable {
    case null, bool, number, string, array, object
  }

  /// The text, and its values in the order in which they begin.
  let text: StrictJSONText
  let place: Int

  /// Parses a text, which stands at `offset` in its file.
  ///
  /// Equal keys are compared after their escapes are resolved, as Unicode text.
  /// - Throws: `headerInvalid` when it is no JSON or no UTF-8, `duplicateName` when a key occurs twice
  ///   in an object, `nestingLimit` when arrays and objects stand deeper than `largestDepth`,
  ///   `tensorLimit` when one of them holds more than `largestCount` values.
  package init(
    _ bytes: Bytes, at offset: Int = 0, largestDepth: Int = 64,
    largestCount: Int = 1 << 18
  ) throws(CheckpointError) {
    var parser = StrictJSONParser(
      bytes.array, at: offset, largestDepth: largestDepth, largestCount: largestCount)
    try parser.parse()
    self.text = StrictJSONText(bytes: parser.bytes, base: offset, nodes: parser.nodes)
    self.place = 0
  }

  init(text: StrictJSONText, place: Int) {
    self.text = text
    self.place = place
  }

  var node: StrictJSONText.Node { text.nodes[place] }

  /// The kind of the value.
  package var kind: Kind { node.kind }

  /// Where in the file the value begins.
  package var offset: Int { text.base + node.start }

  /// The keys and values of an object called `what` in errors, in their order.
  /// - Throws: `headerInvalid` when the value is no object.
  package func members(
    _ what: String
  ) throws(CheckpointError) -> [(key: String, value: StrictJSON)] {
    guard kind == .object else { throw mismatch(what, "an object") }
    var members: [(key: String, value: StrictJSON)] = []
    var key = place + 1
    while key < node.next {
      members.append((text.string(at: key), StrictJSON(text: text, place: key + 1)))
      key = text.nodes[key + 1].next
    }
    return members
  }

  /// The value of a key; nil when there is none, or the value is no object.
  ///
  /// Keys are looked at one by one.
  package subscript(key: String) -> StrictJSON? {
    guard kind == .object else { return nil }
    var place = place + 1
    while place < node.next {
      if text.string(at: place) == key { return StrictJSON(text: text, place: place + 1) }
      place = text.nodes[place + 1].next
    }
    return nil
  }

  /// The elements of an array called `what` in errors.
  /// - Throws: `headerInvalid` when the value is no array.
  package func elements(_ what: String) throws(CheckpointError) -> [StrictJSON] {
    guard kind == .array else { throw mismatch(what, "an array") }
    var elements: [StrictJSON] = []
    var place = place + 1
    while place < node.next {
      elements.append(StrictJSON(text: text, place: place))
      place = text.nodes[place].next
    }
    return elements
  }

  /// A text called `what` in errors.
  /// - Throws: `headerInvalid` when the value is no string.
  package func string(_ what: String) throws(CheckpointError) -> String {
    guard kind == .string else { throw mismatch(what, "a string") }
    return text.string(at: place)
  }

  /// A number called `what` in errors, as it is written.
  /// - Throws: `headerInvalid` when the value is no number.
  package func numberToken(_ what: String) throws(CheckpointError) -> String {
    guard kind == .number else { throw mismatch(what, "a number") }
    return String(decoding: text.bytes[node.start..<node.end], as: UTF8.self)
  }

  /// True or false, called `what` in errors.
  /// - Throws: `headerInvalid` when the value is neither.
  package func bool(_ what: String) throws(CheckpointError) -> Bool {
    guard kind == .bool else { throw mismatch(what, "true or false") }
    return text.bytes[node.start] == UInt8(ascii: "t")
  }

  /// A size or an offset called `what` in errors: digits alone, at most 2^53, above which readers that
  /// take numbers for doubles see another one.
  /// - Throws: `headerInvalid` when the value is no number, `badInteger` when it is another one.
  package func count(_ what: String) throws(CheckpointError) -> Int {
    guard kind == .number else { throw mismatch(what, "a number") }
    let token = text.bytes[node.start..<node.end]
    guard token.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }),
      let count = Int(String(decoding: token, as: UTF8.self)), count <= 1 << 53
    else {
      let found = String(decoding: token.prefix(40), as: UTF8.self)
      throw CheckpointError(
        .badInteger, offset: offset, "\(what) is \(found), not an integer from 0 to 2^53")
    }
    return count
  }

  private func mismatch(_ what: String, _ expected: String) -> CheckpointError {
    CheckpointError(.headerInvalid, offset: offset, "\(what) is \(kind), not \(expected)")
  }
}

/// A parsed text and the places of its values: small for a value each, however many there are.
final class StrictJSONText: Sendable {
  struct Node: Sendable {
    var kind: StrictJSON.Kind
    /// Whether a string holds escapes.
    var isEscaped = false
    /// The bytes of the value, quotes and brackets included.
    var start: Int
    var end: Int
    /// The place of the value that follows all that this one holds.
    var next: Int
  }

  let bytes: [UInt8]
  let base: Int
  let nodes: [Node]

  init(bytes: [UInt8], base: Int, nodes: [Node]) {
    self.bytes = bytes
    self.base = base
    self.nodes = nodes
  }

  /// The text of a string, which the parser has checked.
  func string(at place: Int) -> String {
    let node = nodes[place]
    let content = bytes[(node.start + 1)..<(node.end - 1)]
    return node.isEscaped
      ? StrictJSONParser.unescaped(content) ?? "" : String(decoding: content, as: UTF8.self)
  }
}
