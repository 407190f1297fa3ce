#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// An immutable run of bytes whose memory is shared, never copied, by its slices.
///
/// The memory is owned here, or mapped from a file; either way it lives as long as a slice of it.
/// Memory that is allocated here begins at a multiple of 64 bytes.
public struct Bytes: Sendable {
  private let memory: Memory
  private let range: Range<Int>

  /// The number of bytes.
  public var count: Int { range.count }

  /// Copies an array.
  public init(_ array: [UInt8]) {
    self = unsafe array.withUnsafeBytes { source in
      unsafe Bytes(count: source.count) { unsafe $0.copyMemory(from: source) }
    }
  }

  /// Copies data.
  public init(_ data: Data) {
    self = unsafe data.withUnsafeBytes { source in
      unsafe Bytes(count: source.count) { unsafe $0.copyMemory(from: source) }
    }
  }

  /// Copies pieces one behind the other.
  package init(joining pieces: [Bytes]) {
    self = unsafe Bytes(count: pieces.reduce(0) { $0 + $1.count }) { buffer in
      var end = 0
      for piece in pieces {
        unsafe piece.withUnsafeBytes {
          unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[end...]).copyMemory(from: $0)
        }
        end += piece.count
      }
    }
  }

  /// Allocates `count` bytes and lets `fill` write them, all of them.
  package init<Failure: Error>(
    count: Int, fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    let memory = Memory(count: count)
    try unsafe fill(memory.buffer)
    self.memory = memory
    self.range = 0..<count
  }

  /// Takes over memory that `release` gives back.
  package init(
    taking buffer: UnsafeMutableRawBufferPointer,
    release: @escaping @Sendable (UnsafeMutableRawBufferPointer) -> Void
  ) {
    unsafe self.memory = Memory(buffer, release: release)
    self.range = 0..<buffer.count
  }

  private init(memory: Memory, range: Range<Int>) {
    self.memory = memory
    self.range = range
  }

  /// The bytes at `offsets`, which must lie inside.
  public subscript(offsets: Range<Int>) -> Bytes {
    precondition(offsets.lowerBound >= 0 && offsets.upperBound <= count, "slice out of bounds")
    let start = range.lowerBound + offsets.lowerBound
    return Bytes(memory: memory, range: start..<(start + offsets.count))
  }

  /// Calls `body` with the bytes in place.
  public func withBytes<Result, Failure: Error>(
    _ body: (RawSpan) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try unsafe withUnsafeBytes { bytes throws(Failure) in
      try unsafe body(bytes.bytes)
    }
  }

  /// Calls `body` with a pointer to the bytes, valid until it returns.
  package func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let bytes = unsafe UnsafeRawBufferPointer(rebasing: memory.buffer[range])
    defer { withExtendedLifetime(memory) {} }
    return try unsafe body(bytes)
  }

  /// The bytes copied into an array.
  public var array: [UInt8] { unsafe withUnsafeBytes { unsafe [UInt8]($0) } }

  /// The number in `bits` little-endian bytes at `offset`, which must lie inside.
  package func integer<T: FixedWidthInteger>(at offset: Int, as type: T.Type) -> T {
    precondition(offset >= 0 && offset + MemoryLayout<T>.size <= count, "read out of bounds")
    return unsafe withUnsafeBytes {
      unsafe T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: T.self))
    }
  }
}

extension Bytes: Equatable {
  /// Whether both hold the same bytes.
  public static func == (left: Bytes, right: Bytes) -> Bool {
    guard left.count == right.count else { return false }
    return unsafe left.withUnsafeBytes { a in
      unsafe right.withUnsafeBytes { b in unsafe a.elementsEqual(b) }
    }
  }
}

/// Memory with one owner.
///
/// Immutable once `Bytes` has handed it out, hence safe to share.
@safe
private final class Memory: @unchecked Sendable {
  let buffer: UnsafeMutableRawBufferPointer
  private let release: @Sendable (UnsafeMutableRawBufferPointer) -> Void

  init(count: Int) {
    unsafe buffer = StreamBuffers.take(count)
    unsafe release = { unsafe StreamBuffers.giveBack($0) }
  }

  init(
    _ buffer: UnsafeMutableRawBufferPointer,
    release: @escaping @Sendable (UnsafeMutableRawBufferPointer) -> Void
  ) {
    unsafe self.buffer = buffer
    unsafe self.release = unsafe release
  }

  deinit { unsafe release(buffer) }
}
