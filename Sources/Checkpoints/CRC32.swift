internal import CZlib

/// The CRC-32 of zlib, PNG and zip: reflected polynomial 0xEDB88320, initial value and final
/// exclusive-or of all ones.
package struct CRC32 {
  /// The checksum of what was taken in so far.
  package private(set) var value: UInt32 = 0

  /// The checksum of nothing.
  package init() {}

  /// Goes on where another one stopped.
  package init(resuming value: UInt32) { self.value = value }

  /// The checksum of `bytes`.
  package init(_ bytes: Bytes) {
    update(bytes)
  }

  /// Takes in `count` more bytes whose own checksum is known, without looking at them.
  package mutating func append(_ checksum: UInt32, count: Int) {
    value = UInt32(
      truncatingIfNeeded: crc32_combine(uLong(value), uLong(checksum), numericCast(count)))
  }

  /// Takes in more bytes.
  package mutating func update(_ bytes: Bytes) {
    value = unsafe bytes.withUnsafeBytes { buffer in
      unsafe UInt32(
        truncatingIfNeeded: crc32_z(
          uLong(value), buffer.bindMemory(to: UInt8.self).baseAddress, buffer.count))
    }
  }
}
