import Synchronization
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct StridedBytesTests {
  /// Bytes in memory that count what is read of them.
  private final class CountedBytes: TensorBytes {
    let bytes: Bytes
    let counts = Mutex((reads: 0, bytes: 0, largest: 0, checks: 0))

    init(_ bytes: Bytes) { self.bytes = bytes }

    func bytes(in range: Range<Int>) -> Bytes {
      counts.withLock {
        $0.reads += 1
        $0.bytes += range.count
        $0.largest = max($0.largest, range.count)
      }
      return bytes[range]
    }

    func verify(count: Int) { counts.withLock { $0.checks += 1 } }
  }

  private static func storage(_ count: Int, _ size: Int) -> [UInt8] {
    (0..<(count * size)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
  }

  /// The bytes of a tensor, element by element.
  private static func expected(
    _ storage: [UInt8], _ size: Int, _ offset: Int, _ shape: [Int], _ strides: [Int],
    isBigEndian: Bool = false
  ) -> [UInt8] {
    var elements: [UInt8] = []
    func walk(_ axis: Int, _ place: Int) {
      guard axis < shape.count else {
        let element = storage[(place * size)..<((place + 1) * size)]
        elements += isBigEndian ? element.reversed() : Array(element)
        return
      }
      for index in 0..<shape[axis] { walk(axis + 1, place + index * strides[axis]) }
    }
    walk(0, offset)
    return elements
  }

  @Test func randomLayoutsAreReadInAnyPiece() throws {
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<600 {
      let size = [1, 2, 4, 8][Int.random(in: 0..<4, using: &generator)]
      let rank = Int.random(in: 0...4, using: &generator)
      let shape = (0..<rank).map { _ in Int.random(in: 0...5, using: &generator) }
      let strides = (0..<rank).map { _ in Int.random(in: 0...9, using: &generator) }
      let offset = Int.random(in: 0...3, using: &generator)
      let last = zip(shape, strides).reduce(offset) { $0 + max($1.0 - 1, 0) * $1.1 }
      let count = last + 1 + Int.random(in: 0...3, using: &generator)
      let bytes = Self.storage(count, size)
      let isBigEndian = Bool.random(using: &generator)
      let layout = try StridedLayout(
        offset: offset, shape: Shape(shape), strides: strides, elementSize: size,
        storageCount: count)
      let tensor = StridedBytes(
        of: layout, elementSize: size, in: CountedBytes(Bytes(bytes)), byteCount: bytes.count,
        isBigEndian: isBigEndian)
      let expected = Self.expected(bytes, size, offset, shape, strides, isBigEndian: isBigEndian)
      #expect(try tensor.bytes(in: 0..<expected.count).array == expected, "\(generator)")
      for _ in 0..<4 {
        let range = randomRange(expected.count, using: &generator)
        #expect(try tensor.bytes(in: range).array == Array(expected[range]), "\(generator)")
      }
    }
  }

  @Test(arguments: [
    ([300, 400], [1, 300]), ([7, 11, 1300], [1, 7, 77]), ([500, 2], [260, 1]),
    ([90, 90, 90], [1, 90, 0]),
    ([400, 300], [1, 0]), ([60_000], [10]),
  ])
  func largeLayoutsAreReadInAnyPiece(shape: [Int], strides: [Int]) throws {
    let count = zip(shape, strides).reduce(1) { $0 + ($1.0 - 1) * $1.1 }
    let bytes = Self.storage(count, 4)
    let layout = try StridedLayout(
      offset: 0, shape: Shape(shape), strides: strides, elementSize: 4, storageCount: count)
    let source = CountedBytes(Bytes(bytes))
    let tensor = StridedBytes(
      of: layout, elementSize: 4, in: source, byteCount: bytes.count, isBigEndian: false)
    let expected = Self.expected(bytes, 4, 0, shape, strides)
    var generator = SeededGenerator(seed: 5)
    #expect(try tensor.bytes(in: 0..<expected.count).array == expected)
    for _ in 0..<10 {
      let range = randomRange(expected.count, using: &generator)
      #expect(try tensor.bytes(in: range).array == Array(expected[range]), "\(generator)")
    }
  }

  @Test func contiguousPiecesAreOneReadEach() throws {
    let source = CountedBytes(Bytes(Self.storage(1000, 4)))
    let layout = try StridedLayout(
      offset: 0, shape: [10, 1, 100], strides: [100, 7, 1], elementSize: 4, storageCount: 1000)
    let tensor = StridedBytes(
      of: layout, elementSize: 4, in: source, byteCount: 4000, isBigEndian: false)
    _ = try tensor.bytes(in: 40..<1200)
    #expect(source.counts.withLock { $0 } == (1, 1160, 1160, 0))
  }

  @Test func aPartOfAStorageHasTheWholeChecked() throws {
    let source = CountedBytes(Bytes(Self.storage(1000, 4)))
    let layout = try StridedLayout(
      offset: 10, shape: [100], strides: [1], elementSize: 4, storageCount: 1000)
    let tensor = StridedBytes(
      of: layout, elementSize: 4, in: source, byteCount: 4000, isBigEndian: false)
    _ = try tensor.bytes(in: 0..<400)
    #expect(source.counts.withLock { $0.checks } == 1)
  }

  /// A piece of a transposed matrix must not read the whole matrix, nor at one time.
  @Test func piecesOfATransposedMatrixReadLittleMoreThanTheyGive() throws {
    let source = CountedBytes(Bytes(Self.storage(1024 * 1024, 4)))
    let layout = try StridedLayout(
      offset: 0, shape: [1024, 1024], strides: [1, 1024], elementSize: 4, storageCount: 1024 * 1024)
    let tensor = StridedBytes(
      of: layout, elementSize: 4, in: source, byteCount: 1024 * 1024 * 4, isBigEndian: false)
    let piece = 1 << 19
    _ = try tensor.bytes(in: 0..<piece)
    let counts = source.counts.withLock { $0 }
    #expect(counts.bytes <= 9 * piece, "\(counts)")
    #expect(counts.largest <= 2 * piece, "\(counts)")
    #expect(counts.reads <= 1024, "\(counts)")
  }

  @Test(
    arguments: [
      (offset: -1, shape: [2], strides: [1], .strideOutOfRange),
      (offset: 5, shape: [2], strides: [1], .strideOutOfRange),
      (offset: 0, shape: [2, 3], strides: [4, 1], .strideOutOfRange),
      (offset: 3, shape: [2, 3], strides: [-3, 1], .strideOutOfRange),
      (offset: 0, shape: [5, 2], strides: [1 << 62, 1], .strideOutOfRange),
      (offset: .max, shape: [2], strides: [1], .strideOutOfRange),
      (offset: 0, shape: [1 << 40], strides: [0], .expansionLimit),
      (offset: 0, shape: [1 << 13, 1 << 13], strides: [0, 0], .expansionLimit),
    ] as [(offset: Int, shape: [Int], strides: [Int], CheckpointError.Code)])
  func layoutsThatLeaveTheirStorageAreRefused(
    offset: Int, shape: [Int], strides: [Int], expected: CheckpointError.Code
  ) throws {
    let shape = try Shape(shape)
    #expect(
      code { () throws(CheckpointError) in
        try StridedLayout(
          offset: offset, shape: shape, strides: strides, elementSize: 4, storageCount: 6)
      } == expected)
  }

  /// A mask that was expanded from one number is real; so is an empty tensor with any strides.
  @Test func expandedAndEmptyTensorsAreNoFault() throws {
    _ = try StridedLayout(
      offset: 0, shape: [2048, 2048], strides: [0, 0], elementSize: 4, storageCount: 1)
    _ = try StridedLayout(
      offset: 0, shape: [0, 3], strides: [.max, .max], elementSize: 4, storageCount: 0)
  }
}
