import TestSupport
import Testing

@testable import Checkpoints

@Suite struct TensorPieceTests {
  @Test(
    "A checksum for every block, and their combination is that of the whole",
    arguments: [
      0, 1, TensorPiece.blockSize - 1, TensorPiece.blockSize, 3 * TensorPiece.blockSize + 9,
    ])
  func checksums(count: Int) {
    let bytes = Bytes((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 13 &+ $0 >> 9) })
    let piece = TensorPiece(bytes)
    let blocks = (count + TensorPiece.blockSize - 1) / TensorPiece.blockSize
    #expect(piece.checksums.count == blocks)
    for (index, checksum) in piece.checksums.enumerated() {
      let start = index * TensorPiece.blockSize
      let end = min(start + TensorPiece.blockSize, count)
      #expect(checksum == CRC32(bytes[start..<end]).value)
    }
    #expect(piece.checksum == CRC32(bytes).value)
  }
}
