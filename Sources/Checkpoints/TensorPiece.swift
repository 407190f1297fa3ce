/// A run of a tensor's decoded bytes with their checksums, which whoever reads them, writes them and
/// compares them all need, and which are computed once.
public struct TensorPiece: Sendable {
  /// The bytes that have a checksum of their own: 1 MiB.
  public static let blockSize = 1 << 20

  /// The bytes.
  public let bytes: Bytes
  /// The CRC-32 of every block; the last block may be shorter.
  public let checksums: [UInt32]

  /// Computes the checksums of bytes.
  public init(_ bytes: Bytes) {
    self.bytes = bytes
    checksums = stride(from: 0, to: bytes.count, by: Self.blockSize).map { start in
      CRC32(bytes[start..<min(start + Self.blockSize, bytes.count)]).value
    }
  }

  /// The CRC-32 of all the bytes.
  public var checksum: UInt32 {
    var whole = CRC32()
    whole.append(self)
    return whole.value
  }
}

extension CRC32 {
  /// Takes in the bytes of a piece.
  mutating func append(_ piece: TensorPiece) {
    for (index, checksum) in piece.checksums.enumerated() {
      let start = index * TensorPiece.blockSize
      append(checksum, count: min(TensorPiece.blockSize, piece.bytes.count - start))
    }
  }
}
