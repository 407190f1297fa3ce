internal import CZlib

/// A raw deflate stream (RFC 1951), as zip entries are, while it is read from its beginning.
///
/// Its memory is zlib's window of 32 KiB, however long the stream is.
@safe
struct Inflater: ~Copyable {
  /// Where zlib keeps its state; it must not move.
  private let stream: UnsafeMutablePointer<z_stream>
  /// Whether the stream's own end was reached.
  private(set) var isAtEnd = false

  /// Begins a stream.
  /// - Throws: `notReadable` when zlib finds no memory.
  init() throws(CheckpointError) {
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    let status = unsafe strata_inflate_raw_init(stream)
    guard status == Z_OK else {
      unsafe stream.deallocate()
      throw CheckpointError(.notReadable, "zlib cannot begin: status \(status)")
    }
  }

  deinit {
    unsafe inflateEnd(stream)
    unsafe stream.deallocate()
  }

  /// Decodes until `output` is full, `input` is used up, or the stream ends.
  /// - Throws: `decompressMismatch` when the stream is damaged.
  mutating func decode(
    _ input: Bytes, into output: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) -> (consumed: Int, produced: Int) {
    // zlib counts in 32 bits.
    let inputCount = min(input.count, 1 << 30)
    let outputCount = min(output.count, 1 << 30)
    let status = unsafe input.withUnsafeBytes { input in
      unsafe stream.pointee.next_in = UnsafeMutablePointer(
        mutating: input.bindMemory(to: UInt8.self).baseAddress)
      unsafe stream.pointee.avail_in = UInt32(inputCount)
      unsafe stream.pointee.next_out = output.bindMemory(to: UInt8.self).baseAddress
      unsafe stream.pointee.avail_out = UInt32(outputCount)
      return unsafe inflate(stream, Z_NO_FLUSH)
    }
    // "Buffer error" only says that nothing could be done with so little.
    guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else {
      let message = unsafe stream.pointee.msg.map { unsafe String(cString: $0) }
      throw CheckpointError(
        status == Z_MEM_ERROR ? .notReadable : .decompressMismatch,
        "a deflate stream is damaged: \(message ?? "status \(status)")")
    }
    isAtEnd = status == Z_STREAM_END
    return unsafe (
      inputCount - Int(stream.pointee.avail_in), outputCount - Int(stream.pointee.avail_out)
    )
  }
}
