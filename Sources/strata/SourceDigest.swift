import Checkpoints
import Crypto
import Dispatch
import Synchronization

/// The SHA-256 of a file, computed on another thread while the file is converted.
final class SourceDigest: Sendable {
  private let group = DispatchGroup()
  private let outcome = Mutex<Result<String, CheckpointError>?>(nil)

  /// How many bytes are hashed at a time: the size of a chunk, of which memory is kept.
  private static let pieceSize = 1 << 20

  /// Begins to hash what is not hashed while another digest of the same `queue` is.
  init(of source: ByteSource, on queue: DispatchQueue) {
    queue.async(group: group) { [self] in
      let digest: Result<String, CheckpointError>
      do throws(CheckpointError) {
        digest = .success(try Self.hexadecimal(source))
      } catch {
        digest = .failure(error)
      }
      outcome.withLock { $0 = digest }
    }
  }

  /// The digits of the digest; waits until it is known.
  /// - Throws: what reading the file throws.
  func hexadecimal() throws(CheckpointError) -> String {
    group.wait()
    guard let digest = outcome.withLock({ $0 }) else {
      preconditionFailure("a digest without an end")
    }
    return try digest.get()
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
