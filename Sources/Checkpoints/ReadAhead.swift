/// Reads the pieces of a tensor in order, each of them while the one before it is worked on.
///
/// One piece is read ahead, so that memory stays at two pieces.
struct ReadAhead: ~Copyable {
  private let contents: any TensorBytes
  private let count: Int
  private var start = 0
  private var next: PendingPiece?

  /// Prepares to read the `count` decoded bytes of a tensor.
  init(_ contents: any TensorBytes, count: Int) {
    self.contents = contents
    self.count = count
  }

  // No thread may still read for someone who has gone on.
  deinit { next?.wait() }

  /// The next piece; nil behind the last.
  /// - Throws: what is wrong with its bytes, or with reading them.
  mutating func piece() throws(CheckpointError) -> TensorPiece? {
    guard start < count else { return nil }
    let range = pieceRange
    let piece = if let next { try next.result() } else { try contents.piece(in: range) }
    start = range.upperBound
    next = start < count ? PendingPiece(contents, pieceRange) : nil
    return piece
  }

  private var pieceRange: Range<Int> { start..<min(start + StoredTensor.pieceSize, count) }
}

/// A piece that another thread reads.
private struct PendingPiece {
  private let work: BackgroundWork<Result<TensorPiece, CheckpointError>>

  init(_ contents: any TensorBytes, _ range: Range<Int>) {
    work = BackgroundWork {
      do throws(CheckpointError) {
        return .success(try contents.piece(in: range))
      } catch {
        return .failure(error)
      }
    }
  }

  func wait() { work.wait() }

  func result() throws(CheckpointError) -> TensorPiece { try work.value().get() }
}
