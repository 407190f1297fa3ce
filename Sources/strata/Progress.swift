import Checkpoints
import Synchronization

/// How far long work is, on a terminal: a line on standard error that is written anew and wiped at
/// the end.
///
/// What is no terminal gets nothing.
final class Progress: Sendable {
  /// Work of fewer bytes is over before anybody could read.
  private static let least = 64 << 20

  private let total: Int
  private let state = Mutex((done: 0, shown: -1))

  /// Nil where there is nothing to show, or nobody to show it to.
  init?(bytes total: Int, _ options: OutputOptions) {
    guard total >= Self.least, !options.quiet, StandardStreams.errorIsTerminal else { return nil }
    self.total = total
  }

  /// Work in steps, the number of which is told with them.
  init?(stepsFor options: OutputOptions) {
    guard !options.quiet, StandardStreams.errorIsTerminal else { return nil }
    total = 0
  }

  /// Tells how many steps of how many are done.
  func report(_ done: Int, of count: Int, _ what: String) {
    StandardStreams.showProgress("\r\(what): \(done) of \(count)\u{1B}[K")
  }

  /// The contents, telling of every byte of a tensor that is read.
  func watching(_ contents: CheckpointContents) -> CheckpointContents {
    var watched = contents
    watched.tensors = contents.tensors.map { tensor in
      // What cannot be read says why itself.
      guard tensor.dtype != nil else { return tensor }
      return StoredTensor(
        name: tensor.name, dtype: tensor.dtype, dtypeName: tensor.dtypeName, shape: tensor.shape,
        storedByteCount: tensor.storedByteCount, encoding: tensor.encoding, file: tensor.file,
        contents: WatchedBytes(tensor: tensor, progress: self))
    }
    return watched
  }

  fileprivate func add(_ count: Int) {
    let percent: Int? = state.withLock { state in
      state.done += count
      let percent = min(100, state.done * 100 / total)
      defer { state.shown = percent }
      return percent == state.shown ? nil : percent
    }
    if let percent { StandardStreams.showProgress("\r\(percent) %") }
  }

  /// Wipes the line.
  func end() { StandardStreams.showProgress("\r\u{1B}[K") }
}

/// The bytes of a tensor, told of as they are read.
private struct WatchedBytes: TensorBytes {
  let tensor: StoredTensor
  let progress: Progress

  func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    defer { progress.add(range.count) }
    return try tensor.bytes(in: range)
  }
}
