internal import CZlib

/// A raw deflate stream (RFC 1951), as zip entries are, while it is written, at zlib's default level.
///
/// Its memory is zlib's state and one buffer, however long the stream gets.
@safe
struct Deflater: ~Copyable {
  /// Where zlib keeps its state; it must not move.
  private let stream: UnsafeMutablePointer<z_stream>

  /// How many encoded bytes are handed on at a time.
  private static let outputSize = 1 << 17

  /// Begins a stream.
  /// - Throws: `notWritable` when zlib finds no memory.
  init() throws(CheckpointError) {
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    let status = unsafe strata_deflate_raw_init(stream)
    guard status == Z_OK else {
      unsafe stream.deallocate()
      throw CheckpointError(.notWritable, "zlib cannot begin: status \(status)")
    }
  }

  deinit {
    unsafe deflateEnd(stream)
    unsafe stream.deallocate()
  }

  /// Encodes all of `input` and hands on what comes out, up to the stream's end when `isLast`.
  mutating func encode(
    _ input: Bytes, isLast: Bool, _ body: (Bytes) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    // zlib counts in 32 bits.
    let pieceSize = 1 << 30
    var rest = input
    repeat {
      let piece = rest[0..<min(rest.count, pieceSize)]
      rest = rest[piece.count..<rest.count]
      try encodePiece(piece, isLast && rest.count == 0 ? Z_FINISH : Z_NO_FLUSH, body)
    } while rest.count > 0
  }

  private mutating func encodePiece(
    _ input: Bytes, _ flush: Int32, _ body: (Bytes) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    var rest = input
    var isFull = true
    while isFull {
      var left = 0
      let output = unsafe Bytes(count: Self.outputSize) { output in
        unsafe rest.withUnsafeBytes { input in
          unsafe stream.pointee.next_in = UnsafeMutablePointer(
            mutating: input.bindMemory(to: UInt8.self).baseAddress)
          unsafe stream.pointee.avail_in = UInt32(input.count)
          unsafe stream.pointee.next_out = output.bindMemory(to: UInt8.self).baseAddress
          unsafe stream.pointee.avail_out = UInt32(output.count)
          // It fails only when it is called wrongly, or has nothing to do.
          unsafe _ = deflate(stream, flush)
          left = unsafe Int(stream.pointee.avail_in)
        }
      }
      rest = rest[(rest.count - left)..<rest.count]
      let count = unsafe Self.outputSize - Int(stream.pointee.avail_out)
      if count > 0 { try body(output[0..<count]) }
      isFull = count == Self.outputSize
    }
  }
}
