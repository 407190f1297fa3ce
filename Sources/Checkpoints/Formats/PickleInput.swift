/// The bytes of a pickle, read through a window: what stands behind the pickle is not touched.
struct PickleInput {
  private let source: ByteSource
  /// The end of what may be read.
  private let end: Int
  /// Where the source begins in the file, for errors.
  private let base: Int
  private var window: [UInt8] = []
  /// The place in the source of the window's first byte.
  private var windowStart: Int
  private var position = 0

  /// Bytes that are read from the source at a time.
  private static let windowSize = 1 << 16

  /// Reads `range` of a source, which stands at `base` in its file.
  init(_ source: ByteSource, in range: Range<Int>, base: Int = 0) {
    self.source = source
    self.end = range.upperBound
    self.base = base
    self.windowStart = range.lowerBound
  }

  /// The place in the source of the next byte.
  var place: Int { windowStart + position }

  /// The place in the file of the next byte.
  var offset: Int { base + place }

  /// How many bytes are left.
  var remaining: Int { end - place }

  /// The next byte.
  /// - Throws: `pickleMalformed` when none is left.
  mutating func byte() throws(CheckpointError) -> UInt8 {
    if position == window.count { try fill(1) }
    defer { position += 1 }
    return window[position]
  }

  /// The next little-endian integer.
  /// - Throws: `pickleMalformed` when its bytes are not all there.
  mutating func integer<T: FixedWidthInteger>(_ type: T.Type) throws(CheckpointError) -> T {
    let size = MemoryLayout<T>.size
    if window.count - position < size { try fill(size) }
    var value: T = 0
    for index in 0..<size {
      value |= T(truncatingIfNeeded: window[position + index]) << T(8 * index)
    }
    position += size
    return value
  }

  /// The next little-endian integer as the length of what follows.
  /// - Throws: `lengthOutOfRange` when less is left.
  mutating func length(_ type: (some FixedWidthInteger).Type) throws(CheckpointError) -> Int {
    let at = offset
    let value = try integer(type)
    guard let length = Int(exactly: value), length >= 0, length <= remaining else {
      // A pickle that was cut short has no wrong length, but no end.
      if end > 0, try source.bytes(in: (end - 1)..<end).array != [PickleOpcode.stop.rawValue] {
        throw withoutStop(needing: "\(value)")
      }
      throw CheckpointError(
        .lengthOutOfRange, offset: at, "a length of \(value) bytes, \(remaining) are left")
    }
    return length
  }

  /// The next `count` bytes, which are known to be there.
  mutating func bytes(_ count: Int) throws(CheckpointError) -> ArraySlice<UInt8> {
    if window.count - position < count { try fill(count) }
    defer { position += count }
    return window[position..<(position + count)]
  }

  /// Steps over `count` bytes, which are known to be there.
  mutating func skip(_ count: Int) {
    if window.count - position >= count {
      position += count
    } else {
      windowStart = place + count
      window = []
      position = 0
    }
  }

  /// The bytes up to the next line feed, which is stepped over.
  /// - Throws: `pickleMalformed` when there is none within `limit` bytes.
  mutating func line(atMost limit: Int) throws(CheckpointError) -> [UInt8] {
    let at = offset
    var line: [UInt8] = []
    while true {
      let byte = try byte()
      if byte == 0x0A { return line }
      guard line.count < limit else {
        throw CheckpointError(
          .pickleMalformed, offset: at, "a name of more than \(limit) bytes")
      }
      line.append(byte)
    }
  }

  private func withoutStop(needing count: String) -> CheckpointError {
    CheckpointError(
      .pickleMalformed, offset: offset,
      "the pickle ends without its STOP: \(remaining) bytes are left, \(count) are needed")
  }

  /// Moves the window so that it holds the next `count` bytes.
  private mutating func fill(_ count: Int) throws(CheckpointError) {
    let start = place
    guard count <= end - start else { throw withoutStop(needing: "\(count)") }
    let size = min(end - start, max(count, Self.windowSize))
    window = try source.bytes(in: start..<(start + size)).array
    windowStart = start
    position = 0
  }
}
