import Checkpoints
import Synchronization

/// A process that parses one HDF5 file for this one, which believes nothing that it tells.
///
/// The process is ended and collected when the value goes away, or with the first fault of its own.
final class HDF5HelperProcess: Sendable {
  private let connection: Mutex<HDF5Connection>
  /// What the file holds, as the helper tells it, checked against the file.
  let directory: HDF5Directory

  /// Starts a helper and lets it parse a file.
  ///
  /// `executable` is a program that calls `HDF5Helper.runIfRequested()`, nil for this one. `patience`
  /// is how long an answer may take.
  /// - Throws: `isolationUnavailable`; `hdf5ReaderCrashed` and `hdf5ReaderLimit`; what the helper finds
  ///   wrong with the file.
  convenience init(
    reading source: ByteSource, executable: String?, patience: Duration? = nil
  ) throws(CheckpointError) {
    guard executable != nil || HDF5Helper.isOffered else {
      throw CheckpointError(
        .isolationUnavailable,
        "this program has not called HDF5Helper.runIfRequested(), so it can be no helper to itself; call "
          + "it first of all, or name a program that does")
    }
    // A helper is ended by its own limit of processor time. A clock on the wall runs also while a disk
    // is slow or a machine busy, so it is for a helper that does not even run.
    let seconds = HDF5Exchange.seconds(forFileOf: source.count)
    try self.init(
      HDF5Connection(
        reading: source, executable: executable,
        patience: patience ?? .seconds(60 + 4 * seconds)),
      reading: source)
  }

  /// Takes over the line to a helper that parses the file.
  init(_ connection: HDF5Connection, reading source: ByteSource) throws(CheckpointError) {
    var connection = connection
    do {
      directory = try connection.directory(
        largest: 2 * HDF5GlobalHeap.budget(forFileOf: source.count))
      try directory.check(in: source)
    } catch {
      connection.finish()
      throw error
    }
    self.connection = Mutex(connection)
  }

  deinit { connection.withLock { $0.finish() } }

  /// The number of the process, for tests.
  var processIdentifier: Int32 { connection.withLock { $0.process } }

  /// Reads elements of an entry that goes through libhdf5, in the file's byte order.
  func read(_ elements: Range<Int>, of entry: Int) throws(CheckpointError) -> Bytes {
    let size = directory.entries[entry].elementType.dtype.size
    return try connection.withLock { connection throws(CheckpointError) in
      try unsafe Bytes(count: elements.count * size) { buffer throws(CheckpointError) in
        try unsafe connection.read(elements, of: entry, size: size, into: buffer)
      }
    }
  }
}

/// The bytes of a dataset that a helper puts together.
struct IsolatedBytes: TensorBytes {
  let process: HDF5HelperProcess
  let entry: Int

  func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    guard !range.isEmpty else { return Bytes([UInt8]()) }
    let type = process.directory.entries[entry].elementType
    return try elements(of: range, size: type.dtype.size) { elements throws(CheckpointError) in
      let bytes = try process.read(elements, of: entry)
      return type.isBigEndian ? bytes.byteSwapped(elementSize: type.dtype.size) : bytes
    }
  }
}
