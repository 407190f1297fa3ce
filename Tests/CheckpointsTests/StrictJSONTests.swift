import Testing

@testable import Checkpoints

@Suite("StrictJSON")
struct StrictJSONTests {
  private func parse(_ text: String) throws(CheckpointError) -> StrictJSON {
    try StrictJSON(Bytes(Array(text.utf8)))
  }

  @Test("Keys in their order, values of every kind, each with its place")
  func values() throws {
    let text = #" { "z" : [1, -2.5e+3, true,false , null] ,"a":{"b":"c"}, "":"" } "#
    let json = try StrictJSON(Bytes(Array(text.utf8)), at: 100)
    let members = try json.members("root")
    #expect(members.map(\.key) == ["z", "a", ""])
    #expect(json.offset == 101)
    #expect(members[0].value.offset == 109)
    let elements = try members[0].value.elements("z")
    #expect(elements.map(\.kind) == [.number, .number, .bool, .bool, .null])
    #expect(try elements[0].count("number") == 1)
    #expect(try elements[1].numberToken("number") == "-2.5e+3")
    #expect(try elements[2].bool("bool"))
    #expect(try !elements[3].bool("bool"))
    #expect(elements[4].offset == 135)
    #expect(try json["a"]?["b"]?.string("text") == "c")
    #expect(try json[""]?.string("text") == "")
    #expect(json["none"] == nil && json["z"]?["b"] == nil)
    #expect(try parse("[]").elements("root").isEmpty)
    #expect(try parse("{}").members("root").isEmpty)
    #expect(try parse("[[],{}]").elements("root").map(\.kind) == [.array, .object])
  }

  @Test("Escapes and UTF-8")
  func strings() throws {
    let text = #""\"\\\/\b\f\n\r\tA\u00e9\u00C9é\uD83C\uDFBC🎼\u0000""#
    #expect(try parse(text).string("text") == "\"\\/\u{8}\u{C}\n\r\tAéÉé🎼🎼\u{0}")
  }

  @Test(
    "Another kind than was asked for",
    arguments: ["null", "true", "1", "\"a\"", "[]", "{}"])
  func kinds(text: String) throws {
    let json = try parse(text)
    let codes = [
      code { () throws(CheckpointError) in try json.bool("x") },
      code { () throws(CheckpointError) in try json.numberToken("x") },
      code { () throws(CheckpointError) in try json.string("x") },
      code { () throws(CheckpointError) in try json.elements("x") },
      code { () throws(CheckpointError) in try json.members("x") },
    ]
    #expect(codes.compactMap(\.self).allSatisfy { $0 == .headerInvalid })
    #expect(codes.count { $0 == nil } == (text == "null" ? 0 : 1))
  }

  @Test(
    "Sizes are digits, at most 2^53",
    arguments: [
      ("0", 0), ("12", 12), ("9007199254740992", 1 << 53), ("9007199254740993", nil),
      ("18446744073709551616", nil), ("-1", nil), ("-0", nil), ("1.0", nil), ("1e3", nil),
      ("true", nil), ("\"1\"", nil), ("[1]", nil), ("null", nil),
    ] as [(String, Int?)])
  func counts(text: String, expected: Int?) throws {
    let json = try parse(text)
    #expect(expected == (try? json.count("size")))
    if expected == nil {
      let wanted: CheckpointError.Code = json.kind == .number ? .badInteger : .headerInvalid
      #expect(code { () throws(CheckpointError) in try json.count("size") } == wanted)
    }
  }

  @Test(
    "A key twice, also spelled otherwise",
    arguments: [#"{"a":1,"a":2}"#, #"{"a":1,"\u0061":1}"#, #"[{"x":{"é":1,"e\u0301":1}}]"#])
  func duplicates(text: String) {
    #expect(code { () throws(CheckpointError) in try parse(text) } == .duplicateName)
  }

  @Test(
    "What is no JSON",
    arguments: [
      "", " ", "{", "[", "}", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
      "{a:1}", "{1:1}", "{\"a\" 1}", "tru", "True", "NaN", "Infinity", "-", "01", "1.", ".5", "1e",
      "1e+", "+1", "0x1", "--1", "'a'", "\"a", "\"\\", "\"\\\"", "\"\\x\"", "\"\\u12\"",
      "\"\\u12G4\"", "\"\\u+123\"", "\"\\uD800\"", "\"\\uDC00\"", "\"\\uD800\\u0041\"",
      "\"\\uD800x\"", "\"\n\"", "1 2", "[] []", "{} x", "/**/1", "[1]#", "\u{FEFF}1", "1\u{A0}",
    ])
  func malformed(text: String) {
    #expect(code { () throws(CheckpointError) in try parse(text) } == .headerInvalid)
  }

  @Test(
    "No UTF-8",
    arguments: [[0x22, 0xFF, 0x22], [0x22, 0xC3, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0xC3]]
      as [[UInt8]])
  func encoding(bytes: [UInt8]) {
    #expect(code { () throws(CheckpointError) in try StrictJSON(Bytes(bytes)) } == .headerInvalid)
  }

  @Test("Nesting is bounded")
  func nesting() throws {
    let open = String(repeating: "[", count: 100_000)
    #expect(code { () throws(CheckpointError) in try parse(open) } == .nestingLimit)
    let objects = String(repeating: "{\"a\":", count: 100_000)
    #expect(code { () throws(CheckpointError) in try parse(objects) } == .nestingLimit)
    #expect(
      try parse(String(repeating: "[", count: 64) + String(repeating: "]", count: 64)).kind
        == .array)
    #expect(
      code { () throws(CheckpointError) in
        try StrictJSON(Bytes(Array("[[]]".utf8)), largestDepth: 1)
      } == .nestingLimit)
  }

  @Test("More values than any file needs", arguments: ["[1,2,3]", #"{"a":1,"b":2,"c":3}"#])
  func limits(text: String) throws {
    let bytes = Bytes(Array(text.utf8))
    #expect(
      code { () throws(CheckpointError) in try StrictJSON(bytes, largestCount: 2) }
        == .tensorLimit)
    _ = try StrictJSON(bytes, largestCount: 3)
  }

  @Test("Every truncation of a text is refused")
  func truncations() {
    let text = Array(#"{"a":[1.5e3,true,null,"\u00e9é"],"b":{}}"#.utf8)
    for count in 0..<text.count {
      #expect(
        code { () throws(CheckpointError) in try StrictJSON(Bytes(Array(text[..<count]))) }
          == .headerInvalid, "\(count)")
    }
  }
}
