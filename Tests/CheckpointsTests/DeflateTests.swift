import Checkpoints
import TestSupport
import Testing

@Suite("Deflate")
struct DeflateTests {
  @Test(
    "Shuffled: byte j of element i stands at j·n + i",
    arguments: [1, 2, 4, 8],
    [0, 1, 2, 3, 100]
  )
  func shuffle(size: Int, count: Int) {
    var generator = SeededGenerator(seed: 6)
    let array = (0..<(size * count)).map { _ in UInt8.random(in: 0...255, using: &generator) }
    let shuffled = Deflate.shuffled(Bytes(array), elementSize: size)
    for element in 0..<count {
      for byte in 0..<size {
        #expect(shuffled.array[byte * count + element] == array[element * size + byte])
      }
    }
    #expect(Deflate.unshuffled(shuffled, elementSize: size).array == array, "\(generator)")
  }

  static let content = Bytes(Array("abcabcabcabcabc-xyz".utf8))

  @Test("Round trip, also of nothing")
  func roundTrip() throws {
    for bytes in [Self.content, Bytes([UInt8]()), Bytes([UInt8](repeating: 0, count: 1 << 20))] {
      let stream = try Deflate.compressed(bytes)
      #expect(try Deflate.decompressed(stream, count: bytes.count) == bytes)
    }
  }

  @Test("A wrong count is refused", arguments: [0, 1, 18, 20, 1000])
  func wrongCount(count: Int) throws {
    let stream = try Deflate.compressed(Self.content)
    #expect(
      code { () throws(CheckpointError) in try Deflate.decompressed(stream, count: count) }
        == .decompressMismatch
    )
  }

  @Test("Trailing bytes, a missing end, no stream at all")
  func damaged() throws {
    let stream = try Deflate.compressed(Self.content).array
    var damaged: [[UInt8]] = [
      stream + [0], stream + stream, [], [1, 2, 3], Array(stream.dropFirst()),
    ]
    for count in 0..<stream.count { damaged.append(Array(stream[..<count])) }
    for bytes in damaged {
      #expect(
        code { () throws(CheckpointError) in
          try Deflate.decompressed(Bytes(bytes), count: Self.content.count)
        } == .decompressMismatch
      )
    }
  }

  @Test("The Adler-32 at the end counts", arguments: 1...4)
  func adler(fromEnd: Int) throws {
    var stream = try Deflate.compressed(Self.content).array
    stream[stream.count - fromEnd] ^= 1
    #expect(
      code { () throws(CheckpointError) in
        try Deflate.decompressed(Bytes(stream), count: Self.content.count)
      } == .decompressMismatch
    )
  }
}
