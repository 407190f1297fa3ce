import Checkpoints
import Crypto

/// The SHA-256 of files, computed one after the other on another thread while they are converted.
struct SourceDigests: Sendable {
  private let work: BackgroundWork<[Result<String, CheckpointError>]>

  /// How many bytes are hashed at a time: the size of a chunk, of which memory is kept.
  private static let pieceSize = 1 << 20

  /// Begins to hash.
  init(of sources: [ByteSource]) {
    work = BackgroundWork {
      sources.map { source in
        do throws(CheckpointError) {
          return .success(try Self.hexadecimal(source))
        } catch {
          return .failure(error)
        }
      }
    }
  }

  /// The digits of every digest; waits until all are known.
  /// - Throws: what reading a file throws.
  func hexadecimal() throws(CheckpointError) -> [String] {
    var digits: [String] = []
    for digest in work.value() { digits.append(try digest.get()) }
    return digits
  }

  private static func hexadecimal(_ source: ByteSource) throws(CheckpointError) -> String {
    var hash = SHA256()
    for start in stride(from: 0, to: source.count, by: pieceSize) {
      let piece = try source.bytes(in: start..<min(start + pieceSize, source.count))
      piece.withBytes { bytes in
        unsafe bytes.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
      }
    }
    return hash.finalize().map { byte in
      (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()
  }
}
