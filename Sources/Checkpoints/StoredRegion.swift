/// A run of bytes of a file that are a tensor's as they stand, without a checksum.
package struct StoredRegion: TensorBytes {
  private let source: ByteSource
  private let offset: Int

  /// The bytes from `offset` on; whoever makes one has checked how far they go.
  package init(_ source: ByteSource, at offset: Int) {
    self.source = source
    self.offset = offset
  }

  /// The bytes of `range`; no copy when they stand in memory already.
  package func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    try source.bytes(in: (offset + range.lowerBound)..<(offset + range.upperBound))
  }

  /// There is nothing to check them against.
  package func verify(count: Int) {}
}
