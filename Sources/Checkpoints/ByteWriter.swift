/// Bytes that grow at their end.
package struct ByteWriter {
  /// What was written so far.
  package private(set) var array: [UInt8] = []

  /// Nothing written yet.
  package init() {}

  /// How many bytes were written.
  package var count: Int { array.count }

  /// Appends an integer, little-endian.
  package mutating func append<T: FixedWidthInteger>(_ value: T) {
    for byte in 0..<(T.bitWidth / 8) {
      array.append(UInt8(truncatingIfNeeded: value >> (8 * byte)))
    }
  }

  /// Appends bytes.
  package mutating func append(contentsOf bytes: some Sequence<UInt8>) {
    array.append(contentsOf: bytes)
  }

  /// Appends zeros up to a multiple of `alignment`, counted from the first byte.
  package mutating func pad(to alignment: Int) {
    array.append(contentsOf: repeatElement(0, count: count.padding(to: alignment)))
  }
}
