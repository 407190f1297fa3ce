import Checkpoints
import Testing

@Suite("ByteReader")
struct ByteReaderTests {
  @Test("Integers, and the offset behind each")
  func integers() throws {
    var reader = ByteReader(Bytes(Array(1...15)), at: 100)
    #expect(try reader.integer(UInt8.self, "a") == 1)
    #expect(try reader.integer(UInt16.self, "b") == 0x0302)
    #expect(try reader.integer(UInt32.self, "c") == 0x0706_0504)
    #expect(try reader.length("d") == 0x0F0E_0D0C_0B0A_0908)
    #expect(reader.offset == 115)
    #expect(reader.remaining == 0)
  }

  @Test("Nothing is read past the end, and a failed read moves nothing", arguments: 0..<8)
  func end(count: Int) {
    var reader = ByteReader(Bytes([UInt8](repeating: 1, count: count)), at: 7)
    #expect(
      code { () throws(CheckpointError) in try reader.integer(UInt64.self, "x") }
        == .lengthOutOfRange
    )
    #expect(
      code { () throws(CheckpointError) in try reader.take(count + 1, "x") } == .lengthOutOfRange
    )
    #expect(code { () throws(CheckpointError) in try reader.take(-1, "x") } == .lengthOutOfRange)
    #expect(code { () throws(CheckpointError) in try reader.take(.max, "x") } == .lengthOutOfRange)
    #expect(reader.offset == 7)
    #expect(reader.remaining == count)
  }

  @Test("A length of 2^63 and more is out of range")
  func length() {
    var reader = ByteReader(Bytes([0, 0, 0, 0, 0, 0, 0, 0x80]))
    #expect(code { () throws(CheckpointError) in try reader.length("x") } == .lengthOutOfRange)
  }

  @Test("A count is held against what is left")
  func count() throws {
    var fits = ByteReader(Bytes([2, 0, 0, 0] + [UInt8](repeating: 0, count: 16)))
    #expect(try fits.count(of: "things", size: 8) == 2)
    var exceeds = ByteReader(Bytes([2, 0, 0, 0] + [UInt8](repeating: 0, count: 15)))
    #expect(
      code { () throws(CheckpointError) in try exceeds.count(of: "things", size: 8) }
        == .countExceedsFile
    )
  }

  @Test(
    "Text is UTF-8",
    arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82]] as [[UInt8]]
  )
  func text(bytes: [UInt8]) {
    var reader = ByteReader(Bytes(bytes))
    #expect(
      code { () throws(CheckpointError) in try reader.text(bytes.count, "x") } == .metadataInvalid
    )
  }

  @Test("Padding is zero, and counted from the first byte")
  func padding() throws {
    var reader = ByteReader(Bytes([1, 0, 0, 0, 1, 0, 2, 0]), at: 3)
    _ = try reader.take(1, "x")
    try reader.skipPadding(to: 4)
    #expect(reader.offset == 7)
    try reader.skipPadding(to: 4)
    #expect(reader.offset == 7)
    _ = try reader.take(1, "x")
    #expect(code { () throws(CheckpointError) in try reader.skipPadding(to: 4) } == .hole)
  }

  @Test("Rounding up", arguments: [(0, 0), (1, 64), (63, 64), (64, 64), (65, 128)])
  func aligned(value: Int, wanted: Int) {
    #expect(value.aligned(to: 64) == wanted)
    #expect(value.padding(to: 64) == wanted - value)
  }
}

@Suite("ByteWriter")
struct ByteWriterTests {
  @Test("Integers little-endian, padding from the first byte")
  func writing() {
    var writer = ByteWriter()
    writer.append(UInt16(0x0102))
    writer.append(Int32(-2))
    writer.pad(to: 8)
    writer.append(contentsOf: [9])
    writer.append(UInt64.max)
    #expect(
      writer.array == [2, 1, 0xFE, 0xFF, 0xFF, 0xFF, 0, 0, 9] + [UInt8](repeating: 0xFF, count: 8)
    )
  }
}
