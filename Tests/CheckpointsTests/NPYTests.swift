import TestSupport
import Testing

@testable import Checkpoints

@Suite("npy")
struct NPYTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A file of a header and data, put together from the format's description.
  static func image(_ header: String, _ data: [UInt8] = [], version: UInt8 = 1) -> [UInt8] {
    let length = UInt32(header.utf8.count)
    return [0x93] + Array("NUMPY".utf8) + [version, 0]
      + (version == 1 ? StrataImage.little(UInt16(length)) : StrataImage.little(length))
      + Array(header.utf8) + data
  }

  static func header(
    _ descr: String = "'<f4'", _ order: String = "False", _ shape: String = "(2, 3)"
  ) -> String {
    "{'descr': \(descr), 'fortran_order': \(order), 'shape': \(shape), }\n"
  }

  static func open(
    _ bytes: [UInt8], _ options: ReadOptions = ReadOptions()
  ) throws(CheckpointError) -> StoredTensor {
    try NPYFormat().open(ByteSource(Bytes(bytes)), options: options).tensors[0]
  }

  static let data = (0..<24).map { UInt8($0) }

  @Test(
    "Spellings of one header",
    arguments: [
      header(), header("'=f4'"), header("\"<f4\""), header("'f4'"),
      "{'shape':(2,3),'fortran_order':False,'descr':'<f4'}", header("'<f4'", "False", "(2L, 3L,)"),
      "  { 'descr' : '<f4' ,\n'fortran_order':False,'shape':( 2 , 3 ) } \t\n   ",
    ], 1...3 as ClosedRange<UInt8>)
  func spellings(header: String, version: UInt8) throws {
    let tensor = try Self.open(Self.image(header, Self.data, version: version))
    #expect(tensor.name == "arr_0" && tensor.dtype == .float32 && tensor.shape == [2, 3])
    #expect(try tensor.read().bytes.array == Self.data)
  }

  @Test("Big-endian, in pieces too")
  func bigEndian() throws {
    let tensor = try Self.open(Self.image(Self.header("'>f8'", "False", "(3,)"), Self.data))
    let expected = [
      7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8, 23, 22, 21, 20, 19, 18, 17, 16,
    ]
    .map { UInt8($0) }
    #expect(try tensor.read().bytes.array == expected)
    #expect(try tensor.bytes(in: 3..<11).array == Array(expected[3..<11]))
  }

  @Test("Fortran's order: element [i, j] stands at i + j·rows")
  func fortran() throws {
    let tensor = try Self.open(
      Self.image(Self.header("'|u1'", "True", "(2, 3)"), [1, 2, 3, 4, 5, 6]))
    #expect(try tensor.read().bytes.array == [1, 3, 5, 2, 4, 6])
    let empty = try Self.open(Self.image(Self.header("'|u1'", "True", "(2, 0, 3)")))
    #expect(try empty.read().bytes.count == 0)
  }

  @Test(
    "Fortran's order in blocks and windows of every size",
    arguments: [[2, 3], [1, 5], [5, 1], [3, 4, 5], [2, 1, 3, 2, 2], [7, 2, 2], [2, 2, 7]],
    [1, 2, 4, 8])
  func blocks(dimensions: [Int], size: Int) throws {
    let shape = try Shape(dimensions)
    let count = shape.elementCount
    var generator = SeededGenerator(seed: 8)
    let stored = (0..<(count * size)).map { _ in UInt8.random(in: 0...255, using: &generator) }
    var expected: [UInt8] = []
    for element in 0..<count {
      var offset = 0
      var stride = 1
      for (index, size) in zip(shape.index(at: element), dimensions) {
        offset += index * stride
        stride *= size
      }
      expected += stored[(offset * size)..<((offset + 1) * size)]
    }
    for blockSize in [1, 3 * size, 7 * size, 1 << 20] {
      for windowSize in [1, 2 * size, 5 * size, 1 << 20] {
        let bytes = FortranOrderBytes(
          Bytes(stored), shape: shape, elementSize: size, blockSize: blockSize,
          windowSize: windowSize)
        #expect(try bytes.bytes(in: 0..<expected.count).array == expected)
        let range = randomRange(expected.count, using: &generator)
        #expect(try bytes.bytes(in: range).array == Array(expected[range]), "\(generator)")
      }
    }
  }

  @Test("Each block walks through the stored bytes once, forward")
  func walk() throws {
    /// Counts what is read, and steps back.
    final class Counting: TensorBytes, @unchecked Sendable {
      var count = 0
      var last = 0
      var stepsBack = 0
      func bytes(in range: Range<Int>) -> Bytes {
        count += range.count
        if range.lowerBound < last { stepsBack += 1 }
        last = range.lowerBound
        return Bytes([UInt8](repeating: 0, count: range.count))
      }
    }
    let base = Counting()
    let size = 300 * 400 * 4
    let bytes = FortranOrderBytes(
      base, shape: [300, 400], elementSize: 4, blockSize: 100 * 400 * 4, windowSize: 4096)
    for start in Swift.stride(from: 0, to: size, by: 4000) {
      _ = try bytes.bytes(in: start..<(start + 4000))
    }
    #expect(base.stepsBack <= 2)
    #expect(base.count <= 3 * size)
  }

  static let refused: [(String, CheckpointError.Code)] = [
    ("", .headerInvalid), ("[]", .headerInvalid), ("'a'", .headerInvalid),
    ("dict(descr='<f4')", .headerInvalid), (header() + "x", .headerInvalid),
    (header("'<f4'", "0"), .headerInvalid), (header("'<f4'", "'False'"), .headerInvalid),
    (header("'<f4'", "false"), .headerInvalid), (header("4"), .headerInvalid),
    (header("'<f4'", "False", "6"), .headerInvalid),
    (header("'<f4'", "False", "(6)"), .headerInvalid),
    (header("'<f4'", "False", "[6]"), .headerInvalid),
    (header("'<f4'", "False", "('6',)"), .headerInvalid),
    (header("'<f4'", "False", "(2 * 3,)"), .headerInvalid),
    (header("'<f4'", "False", "(2 ** 3,)"), .headerInvalid),
    (header("'<f4'", "False", "(x for x in (2, 3))"), .headerInvalid),
    (header("'<f4'", "False", "(06,)"), .headerInvalid),
    (header("'<f4'", "False", "(2 3)"), .headerInvalid),
    (header("'<f4'", "False", "(2,,3)"), .headerInvalid),
    (header("'\\x3cf4'"), .headerInvalid), (header("'<f4"), .headerInvalid),
    ("{'descr': '<f4', 'fortran_order': False}", .headerInvalid),
    ("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (6,)}", .headerInvalid),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), 'x': 1}", .headerInvalid),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (6,)", .headerInvalid),
    (#"{"descr": "<f4", "fortran_order": false, "shape": [6]}"#, .headerInvalid),
    (header("'<f4'", "False", "(18446744073709551616,)"), .badInteger),
    (header("'<f4'", "False", "(-6,)"), .badInteger),
    (header("'<f4'", "False", "(True, 6)"), .badInteger),
    (header("'<f4'", "False", "(None, 6)"), .badInteger),
    (header("'<f4'", "False", "(6.0,)"), .badInteger),
    (header("'<f4'", "False", "(6e0,)"), .badInteger),
    (header("'<f4'", "False", "(4294967296, 4294967296)"), .shapeOverflow),
    (header("'<f4'", "False", "(0, 4294967296, 4294967296)"), .shapeOverflow),
    (header("'<f4'", "False", "(65536, 65536)"), .sizeMismatch),
    (header("'<f4'", "False", "(2, 2)"), .sizeMismatch), (header("'<f8'"), .sizeMismatch),
    (header("'<f4'", "False", "()"), .sizeMismatch),
    (header("'<f4'", "False", "(" + String(repeating: "1,", count: 33) + ")"), .rankLimit),
    (header(String(repeating: "(", count: 5000)), .nestingLimit),
    (header() + String(repeating: " ", count: 10_000), .headerLength),
  ]

  @Test("Each rule has its code", arguments: refused)
  func refusal(header: String, expected: CheckpointError.Code) {
    #expect(
      code { () throws(CheckpointError) in try Self.open(Self.image(header, Self.data)) }
        == expected)
  }

  @Test("Every truncation, a byte behind, other versions, another magic")
  func damage() {
    let whole = Self.image(Self.header(), Self.data)
    for count in whole.indices {
      let code = code { () throws(CheckpointError) in try Self.open(Array(whole[..<count])) }
      #expect(
        code == (count < 10 ? .truncated : count < whole.count - 24 ? .headerLength : .sizeMismatch)
      )
    }
    #expect(code { () throws(CheckpointError) in try Self.open(whole + [0]) } == .sizeMismatch)
    for version: UInt8 in [0, 4, 255] {
      #expect(
        code { () throws(CheckpointError) in
          try Self.open(Self.image(Self.header(), Self.data, version: version))
        } == .unsupportedVersion)
    }
    #expect(
      code { () throws(CheckpointError) in try Self.open([0x93, 0x4E, 0x55, 1]) } == .badMagic)
    #expect(
      code { () throws(CheckpointError) in
        try Self.open(Self.image("", version: 2).dropLast(4) + [255, 255, 255, 255])
      } == .headerLength)
  }

  @Test(
    "Types that are not read are listed, and refused alone",
    arguments: [
      ("'<c8'", CheckpointError.Code.dtypeUnsupported), ("'|V2'", .dtypeUnsupported),
      ("'<U2'", .dtypeUnsupported), ("'|S3'", .dtypeUnsupported), ("'<M8[ns]'", .dtypeUnsupported),
      ("'<f16'", .dtypeUnsupported), ("'?f4'", .dtypeUnsupported), ("''", .dtypeUnsupported),
      ("[('a', '<f4'), ('b', '<i4', (2,))]", .dtypeUnsupported),
      ("('<f4', (2,))", .dtypeUnsupported),
      ("'|O'", .objectArray), ("'<O8'", .objectArray), ("[('a', '|O')]", .objectArray),
      ("('|O', (2,))", .objectArray),
    ])
  func refusedTypes(descr: String, expected: CheckpointError.Code) throws {
    let tensor = try Self.open(Self.image(Self.header(descr), Self.data))
    #expect(tensor.dtype == nil && tensor.shape == [2, 3])
    #expect(code { () throws(CheckpointError) in try tensor.read() } == expected)
  }

  @Test("Two bytes of nothing are bfloat16 when that is said, whatever the order")
  func void2() throws {
    let image = Self.image(Self.header("'|V2'", "False", "(3, 4)"), Self.data)
    #expect(throws: CheckpointError.self) { try Self.open(image).read() }
    let tensor = try Self.open(image, ReadOptions(npzVoid2: .bf16))
    #expect(tensor.dtype == .bfloat16)
    #expect(try tensor.read().bytes.array == Self.data)
  }

  @Test("The only tensor is written, and named after the file")
  func writing() throws {
    let tensor = Tensor([Float(1), -2, 3], shape: [3, 1])
    let path = directory.path("weights.v1.npy")
    try Checkpoint(stateDict: ["a": tensor]).write(to: path, format: NPYFormat())
    #expect(try Checkpoint(contentsOf: path).stateDict == ["weights.v1": tensor])
    let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1), }"
    let header = text + String(repeating: " ", count: 117 - text.utf8.count) + "\n"
    #expect(try directory.read("weights.v1.npy").starts(with: Self.image(header)))
    for stateDict in [[:], ["a": tensor, "b": tensor]] as [StateDict] {
      #expect(
        code { () throws(CheckpointError) in
          try Checkpoint(stateDict: stateDict)
            .write(to: directory.path("x.npy"), format: NPYFormat())
        } == .notWritable)
    }
  }
}
