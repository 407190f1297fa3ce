import Foundation
import TestSupport
import Testing

@testable import Checkpoints

@Suite("safetensors")
struct SafetensorsTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A file of a header and data, put together from the format's description.
  static func image(_ header: String, _ data: [UInt8] = [], length: UInt64? = nil) -> [UInt8] {
    StrataImage.little(length ?? UInt64(header.utf8.count)) + Array(header.utf8) + data
  }

  static func open(_ bytes: [UInt8]) throws(CheckpointError) -> CheckpointContents {
    try SafetensorsFormat().open(ByteSource(Bytes(bytes)))
  }

  static let six = #""dtype":"I8","shape":[2,3],"data_offsets":[0,6]"#

  // MARK: Reading

  @Test("Order of the keys, scalars, empty tensors, padding, further fields")
  func reading() throws {
    let header = """
      {"z":{"dtype":"U8","shape":[2],"data_offsets":[4,6],"more":[{}]},
       "__metadata__":{"a":"b","ü":"\\n"}, "e":{"data_offsets":[4,4],"shape":[3,0],"dtype":"F64"},
       "s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   \n
      """
    let contents = try Self.open(Self.image(header, [1, 2, 3, 4, 5, 6]))
    #expect(contents.tensors.map(\.name) == ["z", "e", "s"])
    #expect(contents.tensors.map(\.shape) == [[2], [3, 0], []])
    #expect(contents.tensors.map(\.dtype) == [.uint8, .float64, .float32])
    #expect(try contents.tensors.map { try $0.read().bytes.array } == [[5, 6], [], [1, 2, 3, 4]])
    #expect(contents.metadata == ["a": "b", "ü": "\n"])
    #expect(try Self.open(Self.image("{}")).tensors.isEmpty)
  }

  @Test(
    "A header whose length begins as another kind of file does",
    arguments: [0x280, 0x380, 0x480, 0x580, 0x5_9580])
  func lengthsLikeOtherFiles(length: Int) throws {
    let header = Self.one("I8", "[6]")
    let padded = header + String(repeating: " ", count: length - header.utf8.count)
    let bytes = Self.image(padded, [1, 2, 3, 4, 5, 6])
    let reader = try CheckpointReader(ByteSource(Bytes(bytes)))
    #expect(reader.format == "safetensors")
    #expect(reader.tensors.count == 1)
  }

  @Test("Model description and module records are not metadata")
  func ourKeys() throws {
    let header = #"""
      {"__metadata__":{"strata_model":"{\"version\":1}","format":"pt","strata_modules":
      "[{\"options\":{\"bias\":true},\"path\":\"rnn\",\"type\":\"torch.nn.GRU\"}]"}}
      """#
    let contents = try Self.open(Self.image(header))
    #expect(contents.metadata == ["format": "pt"])
    #expect(contents.modelDescription == #"{"version":1}"#)
    #expect(
      contents.moduleRecords == [
        ModuleRecord(path: "rnn", type: "torch.nn.GRU", options: ["bias": .bool(true)])
      ])
    #expect(
      code { () throws(CheckpointError) in
        try Self.open(Self.image(#"{"__metadata__":{"strata_modules":"[1]"}}"#))
      } == .metadataInvalid)
  }

  @Test(
    "dtypes of safetensors that are not read are listed, and refused alone",
    arguments: [
      ("F8_E4M3", 4), ("F8_E5M2", 4), ("F8_E8M0", 4), ("F8_E4M3FNUZ", 4), ("F8_E5M2FNUZ", 4),
      ("F4", 2), ("F6_E2M3", 3), ("F6_E3M2", 3), ("C64", 32),
    ])
  func refusedDTypes(name: String, count: Int) throws {
    let header = """
      {"x":{"dtype":"\(name)","shape":[4],"data_offsets":[1,\(count + 1)]},
       "y":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}
      """
    let contents = try Self.open(Self.image(header, [UInt8](repeating: 7, count: count + 1)))
    let tensor = try #require(contents["x"])
    #expect(tensor.dtype == nil && tensor.dtypeName == name && tensor.storedByteCount == count)
    #expect(code { () throws(CheckpointError) in try tensor.read() } == .dtypeUnsupported)
    #expect(try contents["y"]?.read().bytes.array == [7])
  }

  struct Refused: Sendable, CustomTestStringConvertible {
    var rule: String
    var code: CheckpointError.Code
    var bytes: [UInt8]
    var testDescription: String { rule }

    init(
      _ rule: String, _ code: CheckpointError.Code, _ header: String, _ count: Int = 6,
      length: UInt64? = nil
    ) {
      self.rule = rule
      self.code = code
      self.bytes = image(header, [UInt8](repeating: 1, count: count), length: length)
    }
  }

  /// A header of one tensor with this shape, dtype and place.
  private static func one(
    _ dtype: String = "I8", _ shape: String = "[2,3]", _ offsets: String = "[0,6]"
  ) -> String {
    #"{"x":{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":\#(offsets)}}"#
  }

  static let refused: [Refused] = [
    Refused("S1 N beyond the file", .headerLength, "{}", 0, length: 3),
    Refused("S1 N = 2^64 - 1", .headerLength, "{}", 0, length: .max),
    Refused("S1 N = 2^63", .headerLength, "{}", 0, length: 1 << 63),
    Refused("S2 empty header", .headerInvalid, ""),
    Refused("S2 leading space", .headerInvalid, " {}", 0),
    Refused("S2 an array", .headerInvalid, "[]", 0),
    Refused("S2 two objects", .headerInvalid, "{}{}", 0),
    Refused("S2 NUL behind", .headerInvalid, "{}\u{0}", 0),
    Refused("S2 a tensor that is a number", .headerInvalid, #"{"x":1}"#),
    Refused("S2 no dtype", .headerInvalid, #"{"x":{"shape":[6],"data_offsets":[0,6]}}"#),
    Refused("S2 no shape", .headerInvalid, #"{"x":{"dtype":"I8","data_offsets":[0,6]}}"#),
    Refused("S2 no offsets", .headerInvalid, #"{"x":{"dtype":"I8","shape":[6]}}"#),
    Refused("S2 three offsets", .headerInvalid, one("I8", "[6]", "[0,6,6]")),
    Refused("S2 one offset", .headerInvalid, one("I8", "[6]", "[0]")),
    Refused("S2 shape of text", .headerInvalid, one("I8", #"["6"]"#)),
    Refused("S3 raw", .duplicateName, "{\"x\":{\(six)},\"x\":{\(six)}}"),
    Refused("S3 escaped", .duplicateName, "{\"a\":{\(six)},\"\\u0061\":{\(six)}}"),
    Refused("S3 metadata", .duplicateName, #"{"__metadata__":{"a":"1","a":"1"}}"#, 0),
    Refused("S3 field", .duplicateName, #"{"x":{"dtype":"I8",\#(six)}}"#),
    Refused(
      "S4 arrays", .nestingLimit, "{\"x\":" + String(repeating: "[", count: 100_000)),
    Refused("S5 negative", .badInteger, one("I8", "[2,3]", "[-0,6]")),
    Refused("S5 1e3", .badInteger, one("I8", "[2,3]", "[0,6e0]")),
    Refused("S5 1.0", .badInteger, one("I8", "[2.0,3]")),
    Refused("S5 2^53 + 1", .badInteger, one("I8", "[9007199254740993]")),
    Refused("S5 2^64", .badInteger, one("I8", "[18446744073709551616]")),
    Refused("S6 begin > end", .offsetInvalid, one("I8", "[2,3]", "[6,0]")),
    Refused("S6 end > buffer", .offsetInvalid, one("I8", "[7]", "[0,7]")),
    Refused("S7 hole", .coverage, one("I8", "[2,3]", "[1,7]"), 7),
    Refused("S7 tail", .coverage, one(), 7),
    Refused("S7 no tensor", .coverage, "{}", 1),
    Refused("S7 overlap", .coverage, "{\"x\":{\(six)},\"y\":{\(six)}}"),
    Refused("S7 an empty tensor elsewhere", .coverage, one("I8", "[0]", "[6,6]")),
    Refused(
      "S7 an empty tensor within another", .coverage,
      "{\"x\":{\(six)},\"y\":{\"dtype\":\"I8\",\"shape\":[0],\"data_offsets\":[3,3]}}"),
    Refused("S8 too few", .sizeMismatch, one("I16", "[2,3]", "[0,6]")),
    Refused("S8 too many", .sizeMismatch, one("I8", "[5]", "[0,6]")),
    Refused("S8 product", .shapeOverflow, one("I8", "[4294967296,4294967296]")),
    Refused("S8 hidden by 0", .shapeOverflow, one("I8", "[0,4294967296,4294967296]", "[0,0]")),
    Refused("S8 bits", .sizeMismatch, one("C64", "[1152921504606846975]").bounded, 6),
    Refused(
      "S8 rank", .rankLimit,
      one("I8", "[\(Array(repeating: "1", count: 33).joined(separator: ","))]")),
    Refused("S9 unknown", .dtypeUnsupported, one("F33")),
    Refused("S9 another case", .dtypeUnsupported, one("i8")),
    Refused("S9 half bytes", .dtypeUnsupported, one("F4", "[11]")),
    Refused("S10 a number", .metadataInvalid, #"{"__metadata__":{"a":1}}"#, 0),
    Refused("S10 null", .metadataInvalid, #"{"__metadata__":null}"#, 0),
    Refused("S10 a tensor", .metadataInvalid, "{\"__metadata__\":{\(six)}}"),
    Refused(
      "S11 more tensors than any model", .tensorLimit,
      "{" + (0...(1 << 18)).map { "\"\($0)\":0" }.joined(separator: ",") + "}"),
  ]

  @Test("Each rule has its code", arguments: refused)
  func refusal(_ refused: Refused) {
    #expect(code { () throws(CheckpointError) in try Self.open(refused.bytes) } == refused.code)
  }

  @Test("Less than a length, and more than 100,000,000 bytes of header")
  func lengths() throws {
    for count in 0..<8 {
      let bytes = [UInt8](repeating: 0, count: count)
      #expect(code { () throws(CheckpointError) in try Self.open(bytes) } == .headerLength)
    }
    let path = try directory.write(Self.image("{}", length: 100_000_001), to: "x.safetensors")
    try #require(FileHandle(forWritingAtPath: path)).truncate(atOffset: 200_000_000)
    #expect(
      code { () throws(CheckpointError) in try CheckpointReader(contentsOf: path) }
        == .headerLength)
  }

  @Test("Every truncation is refused")
  func truncations() throws {
    let whole = Self.image(Self.one(), [1, 2, 3, 4, 5, 6])
    for count in whole.indices {
      #expect(code { () throws(CheckpointError) in try Self.open(Array(whole[..<count])) } != nil)
    }
  }

  @Test("Recognised by content, whatever the length says")
  func recognition() throws {
    let format = SafetensorsFormat()
    for bytes in [
      Self.image("{}"), Self.image("{}", length: .max), Self.image(Self.one(), [1, 2, 3]),
      Array(#" {"weight_map":{}}"#.utf8), Array(#"{"weight_map":["#.utf8),
    ] {
      #expect(try format.recognizes(ByteSource(Bytes(bytes))))
    }
    for bytes in [
      [], Self.image(""), Self.image("[]"), Array("some = {}".utf8), Array(#"{"a":{"b":1}}"#.utf8),
      Array(#"[{"weight_map":{}}]"#.utf8),
    ] {
      #expect(try !format.recognizes(ByteSource(Bytes(bytes))))
    }
    #expect([any CheckpointFormat].builtIn.format(forPath: "a.safetensors")?.name == "safetensors")
    #expect(
      [any CheckpointFormat].builtIn.format(forPath: "b/a.safetensors.index.json")?.name
        == "safetensors")
    #expect([any CheckpointFormat].builtIn.format(forPath: "a.json") == nil)
  }

  @Test("Many empty tensors take linear time")
  func many() throws {
    let entry = #"{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#
    let header = "{" + (0..<100_000).map { "\"\($0)\":\(entry)" }.joined(separator: ",") + "}"
    let time = try processorTime {
      let contents = try Self.open(Self.image(header))
      #expect(contents.tensors.count == 100_000)
    }
    #expect(time < .seconds(60) * Sanitizer.slowness)
  }

  // MARK: Writing

  @Test("There and back, every dtype and difficult names", arguments: 1...2 as ClosedRange<UInt64>)
  func roundTrip(seed: UInt64) throws {
    let checkpoint = try randomCheckpoint(seed: seed)
    let path = directory.path("x.safetensors")
    try checkpoint.write(to: path, format: SafetensorsFormat())
    var expected = checkpoint
    expected.goldens = StateDict()
    #expect(try Checkpoint(contentsOf: path) == expected, "seed \(seed)")
    try checkpoint.write(to: directory.path("y.safetensors"), format: SafetensorsFormat())
    #expect(try directory.read("x.safetensors") == directory.read("y.safetensors"))
    #expect(
      SafetensorsFormat().dropped(from: checkpoint.contents)
        == ["\(checkpoint.goldens.count) goldens"])
    #expect(SafetensorsFormat().dropped(from: expected.contents) == [])
  }

  @Test("The header to the byte: metadata first, keys in order, data by falling size, padded")
  func layout() throws {
    let checkpoint = Checkpoint(
      stateDict: [
        "b\"": try Tensor(dtype: .uint8, shape: [3], bytes: Bytes([1, 2, 3])),
        "a": Tensor([Float(1)], shape: []),
        "c": try Tensor(dtype: .bool, shape: [1, 1], bytes: Bytes([1])),
        "e": try Tensor(dtype: .float64, shape: [0], bytes: Bytes([UInt8]())),
      ], metadata: ["k\n": "v", "B": "2"])
    let path = directory.path("x.safetensors")
    try checkpoint.write(to: path, format: SafetensorsFormat())
    let header =
      #"{"__metadata__":{"B":"2","k\u000a":"v"},"b\"":{"dtype":"U8","shape":[3],"data_offsets":[4,7]},"#
      + #""a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"#
      + #""c":{"dtype":"BOOL","shape":[1,1],"data_offsets":[7,8]},"#
      + #""e":{"dtype":"F64","shape":[0],"data_offsets":[0,0]}}"#
    let padding = String(repeating: " ", count: 8 - header.utf8.count % 8)
    #expect(
      try directory.read("x.safetensors")
        == Self.image(header + padding, [0, 0, 0x80, 0x3F, 1, 2, 3, 1]))
  }

  @Test("What no header can say")
  func unwritable() throws {
    func failure(_ contents: CheckpointContents) -> CheckpointError.Code? {
      code { () throws(CheckpointError) in
        try contents.write(to: directory.path("x"), format: SafetensorsFormat())
      }
    }
    let tensor = Tensor([Float(1)], shape: [])
    #expect(
      failure(CheckpointContents(tensors: [StoredTensor(tensor, named: "__metadata__")]))
        == .badName)
    #expect(
      failure(
        CheckpointContents(tensors: [
          StoredTensor(tensor, named: "a"), StoredTensor(tensor, named: "a"),
        ])) == .duplicateName)
    for key in ["strata_model", "strata_modules"] {
      #expect(failure(CheckpointContents(metadata: [key: "x"])) == .metadataInvalid)
    }
    #expect(
      failure(CheckpointContents(metadata: ["a": String(repeating: "x", count: 100_000_000)]))
        == .headerLength)
  }
}

extension String {
  /// A dimension that JSON numbers say exactly.
  fileprivate var bounded: String {
    replacingOccurrences(of: "[1152921504606846975]", with: "[1073741824,1073741823]")
  }
}
