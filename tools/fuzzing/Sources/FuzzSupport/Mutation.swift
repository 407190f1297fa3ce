import CFuzzer

// What libFuzzer and the mutators of the targets share.

/// Lets `change` make a new input of the one in libFuzzer's buffer, `size` bytes of at most `largest`; gives
/// the new size.
public func mutate(
  _ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ largest: Int, _ seed: CUnsignedInt,
  _ change: ([UInt8], inout Dice) -> [UInt8]
) -> Int {
  let input = [UInt8](UnsafeBufferPointer(start: data, count: size))
  var dice = Dice(seed: UInt64(seed))
  var output = change(input, &dice)
  // What has grown too much becomes what libFuzzer alone makes of it.
  if output.isEmpty || output.count > largest { output = input.mutated(largest: largest) }
  data.update(from: output, count: output.count)
  return output.count
}

extension [UInt8] {
  /// The bytes changed by libFuzzer: flipped, inserted, removed, compared values put in, ….
  public func mutated(largest: Int) -> [UInt8] {
    guard largest > 0 else { return self }
    var bytes = self
    bytes.reserveCapacity(Swift.max(largest, count))
    if count > largest { bytes.removeLast(count - largest) }
    let size = bytes.count
    bytes += repeatElement(0, count: largest - size)
    let end = bytes.withUnsafeMutableBufferPointer {
      LLVMFuzzerMutate($0.baseAddress, size, largest)
    }
    bytes.removeLast(largest - end)
    return bytes
  }

  /// The CRC-32.
  public var checksum: UInt32 { self[...].checksum }

  /// Puts a little-endian integer at `offset`, if it fits there.
  public mutating func put<T: FixedWidthInteger>(_ value: T, at offset: Int) {
    guard offset >= 0, offset <= count - MemoryLayout<T>.size else { return }
    for index in 0..<MemoryLayout<T>.size {
      self[offset + index] = UInt8(truncatingIfNeeded: value >> T(8 * index))
    }
  }

  /// Appends a little-endian integer.
  public mutating func append<T: FixedWidthInteger>(_ value: T) {
    let offset = count
    self += repeatElement(0, count: MemoryLayout<T>.size)
    put(value, at: offset)
  }

  /// The little-endian integer at `offset`; 0 where there is none.
  public func integer<T: FixedWidthInteger>(at offset: Int, as type: T.Type) -> T {
    guard offset >= 0, offset <= count - MemoryLayout<T>.size else { return 0 }
    var value: T = 0
    for index in 0..<MemoryLayout<T>.size {
      value |= T(truncatingIfNeeded: self[offset + index]) << T(8 * index)
    }
    return value
  }
}

extension ArraySlice<UInt8> {
  /// The CRC-32.
  public var checksum: UInt32 { withUnsafeBufferPointer { fuzzer_crc32($0.baseAddress, $0.count) } }
}

/// Random numbers of one mutation.
public struct Dice: RandomNumberGenerator {
  private var state: UInt64

  /// Starts from a seed.
  public init(seed: UInt64) { state = seed }

  /// The next number of SplitMix64.
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = state
    bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
    return bits ^ bits >> 31
  }

  /// A number from 0 up to `sides`, which is not among them.
  public mutating func roll(_ sides: Int) -> Int { Int(next() % UInt64(sides)) }
}
