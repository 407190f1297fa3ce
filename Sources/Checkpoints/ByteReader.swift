/// A cursor over bytes from outside: every read is checked against what is left.
package struct ByteReader {
  private let bytes: Bytes
  /// The place in the file of the first byte, for errors.
  private let base: Int
  private var position = 0

  /// Reads `bytes`, which stand at `base` in their file.
  package init(_ bytes: Bytes, at base: Int = 0) {
    self.bytes = bytes
    self.base = base
  }

  /// The offset in the file of the next byte.
  package var offset: Int { base + position }

  /// How many bytes are left.
  package var remaining: Int { bytes.count - position }

  /// The next `count` bytes.
  /// - Throws: `lengthOutOfRange` when fewer are left.
  package mutating func take(_ count: Int, _ what: String) throws(CheckpointError) -> Bytes {
    guard count >= 0, count <= remaining else {
      throw CheckpointError(
        .lengthOutOfRange, offset: offset, "\(what) takes \(count) bytes, \(remaining) are left")
    }
    defer { position += count }
    return bytes[position..<(position + count)]
  }

  /// The next little-endian integer.
  package mutating func integer<T: FixedWidthInteger>(
    _ type: T.Type, _ what: String
  ) throws(CheckpointError) -> T {
    try take(MemoryLayout<T>.size, what).integer(at: 0, as: T.self)
  }

  /// The next little-endian integer of 64 bits, or of another type, as a length or an offset.
  /// - Throws: `lengthOutOfRange` when it is above the largest `Int`.
  package mutating func length(
    _ what: String, as type: (some FixedWidthInteger).Type = UInt64.self
  ) throws(CheckpointError) -> Int {
    let at = offset
    let value = try integer(type, what)
    guard let length = Int(exactly: value) else {
      throw CheckpointError(.lengthOutOfRange, offset: at, "\(what) is \(value)")
    }
    return length
  }

  /// The next little-endian integer of 32 bits, as a count of things that take at least `size` bytes
  /// each of what is left.
  /// - Throws: `countExceedsFile` when so many cannot be there.
  package mutating func count(of what: String, size: Int) throws(CheckpointError) -> Int {
    let at = offset
    let count = try length(what, as: UInt32.self)
    guard count <= remaining / size else {
      throw CheckpointError(
        .countExceedsFile, offset: at,
        "\(count) \(what) of at least \(size) bytes each, but \(remaining) bytes are left")
    }
    return count
  }

  /// The next `count` bytes as UTF-8.
  package mutating func text(_ count: Int, _ what: String) throws(CheckpointError) -> String {
    let at = offset
    guard let text = String(validating: try take(count, what).array, as: UTF8.self) else {
      throw CheckpointError(.metadataInvalid, offset: at, "\(what) is not UTF-8")
    }
    return text
  }

  /// Steps over zeros up to a multiple of `alignment`, counted from the first byte.
  /// - Throws: `hole` when one is not zero.
  package mutating func skipPadding(to alignment: Int) throws(CheckpointError) {
    let at = offset
    let padding = try take(position.padding(to: alignment), "padding")
    guard padding.array.allSatisfy({ $0 == 0 }) else {
      throw CheckpointError(.hole, offset: at, "padding is not zero")
    }
  }
}

extension Int {
  /// How much is missing to the next multiple of `alignment`.
  package func padding(to alignment: Int) -> Int {
    (alignment - self % alignment) % alignment
  }

  /// The next multiple of `alignment`.
  package func aligned(to alignment: Int) -> Int {
    self + padding(to: alignment)
  }
}
