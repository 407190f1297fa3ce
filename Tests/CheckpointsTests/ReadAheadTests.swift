import Synchronization
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct ReadAheadTests {
  /// Bytes that remember in which ranges they were read, and that may be damaged from a place on.
  private final class WatchedBytes: TensorBytes {
    let bytes: Bytes
    let damage: Int?
    let ranges = Mutex<[Range<Int>]>([])

    init(_ bytes: Bytes, damagedFrom damage: Int? = nil) {
      self.bytes = bytes
      self.damage = damage
    }

    func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
      ranges.withLock { $0.append(range) }
      if let damage, range.upperBound > damage {
        throw CheckpointError(.checksumMismatch, "the bytes are damaged")
      }
      return bytes[range]
    }
  }

  private static let pieceSize = StoredTensor.pieceSize

  private static func someBytes(_ count: Int) -> Bytes {
    Bytes((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 11) })
  }

  private static func tensor(_ contents: WatchedBytes) throws -> StoredTensor {
    let count = contents.bytes.count
    return StoredTensor(
      name: "weight_ih_l0", dtype: .uint8, shape: try Shape([count]), storedByteCount: count,
      encoding: "raw", file: "model.strata", contents: contents)
  }

  @Test(
    "The pieces are the bytes, in order, each read once",
    arguments: [0, 1, pieceSize - 1, pieceSize, pieceSize + 1, 3 * pieceSize + 5])
  func pieces(count: Int) throws {
    let watched = WatchedBytes(Self.someBytes(count))
    var pieces = ReadAhead(watched, count: count)
    var place = 0
    while let piece = try pieces.piece() {
      #expect(piece.bytes == watched.bytes[place..<place + piece.bytes.count])
      place += piece.bytes.count
    }
    #expect(place == count)
    #expect(try pieces.piece() == nil)
    let ranges = watched.ranges.withLock { $0 }
    #expect(ranges.map(\.count).reduce(0, +) == count)
    #expect(ranges.allSatisfy { $0.count <= Self.pieceSize })
  }

  @Test("Only one piece is read ahead")
  func ahead() throws {
    let watched = WatchedBytes(Self.someBytes(4 * Self.pieceSize))
    do {
      var pieces = ReadAhead(watched, count: watched.bytes.count)
      _ = try pieces.piece()
    }
    // Whoever goes on without the rest waits for the piece that is under way.
    #expect(watched.ranges.withLock { $0.count } == 2)
  }

  @Test("What is wrong with a piece is told where the piece is asked for, with file and tensor")
  func damage() throws {
    let watched = WatchedBytes(
      Self.someBytes(3 * Self.pieceSize), damagedFrom: 2 * Self.pieceSize)
    let tensor = try Self.tensor(watched)
    var good = 0
    let error = #expect(throws: CheckpointError.self) {
      _ = try tensor.forEachCheckedPiece { _ in good += 1 }
    }
    #expect(good == 2)
    #expect(error?.code == .checksumMismatch)
    #expect(error?.file == "model.strata" && error?.tensor == "weight_ih_l0")
  }

  @Test("The checksum is that of all bytes, and an error of the caller ends the reading")
  func caller() throws {
    let bytes = Self.someBytes(2 * Self.pieceSize + 77)
    let tensor = try Self.tensor(WatchedBytes(bytes))
    #expect(try tensor.forEachCheckedPiece { _ in } == CRC32(bytes).value)
    #expect(throws: CheckpointError.self) {
      _ = try tensor.forEachCheckedPiece { _ throws(CheckpointError) in
        throw CheckpointError(.notWritable, "no space left")
      }
    }
  }
}
