import CHDF5
import Checkpoints
import Synchronization

/// An open HDF5 file with the dataset that was used last, both closed under the lock.
final class HDF5File: Sendable {
  struct State: ~Copyable, Sendable {
    /// Nil once it is closed.
    var file: HDF5Handle?
    /// The dataset that is being read or written.
    ///
    /// It stays open from piece to piece, for its cache of chunks; one at a time bounds the memory.
    var dataset: HDF5Handle?
    var datasetPath: String?
    /// Decoded chunks of it, by their place.
    var chunks: [Int: Bytes] = [:]
    /// Their places, in the order in which they were decoded.
    var places: [Int] = []

    /// The identifier of the open file.
    func id() throws(CheckpointError) -> hid_t {
      switch file {
      case .some(let file): return file.id
      case .none: throw CheckpointError(.hdf5Invalid, "the HDF5 file is closed already")
      }
    }
  }

  private let state: Mutex<State>
  /// What libhdf5 reads from, open as long as the file is; nil for a file that is written.
  private let source: ByteSource?

  /// Names for files in memory: libhdf5 takes two of one name for one file.
  private static let memoryCount = Atomic<Int>(0)

  /// Opens a file for reading, where the source has one through its descriptor: libhdf5 sees the file that
  /// was checked, whatever has its name by now.
  /// - Throws: `truncated`, `fileBusy`, `hdf5Invalid`.
  init(reading source: ByteSource) throws(CheckpointError) {
    let file = try HDF5Library.locked { () throws(CheckpointError) in
      let access = try HDF5Handle(properties: strata_h5_file_access())
      let opened = try source.withDescriptor { descriptor throws(CheckpointError) in
        try HDF5Library.check(
          strata_h5_use_descriptor(access.id, descriptor, UInt64(source.count)),
          "no driver for descriptors")
        return try Self.open("/strata descriptor", access)
      }
      if let opened { return opened }
      if let path = source.path {
        // A mapped file, which does not change. Set explicitly: some builds have drivers that open sockets.
        try HDF5Library.check(H5Pset_fapl_sec2(access.id), "no driver for files")
        return try Self.open(path, access)
      }
      let image = try source.bytes(in: 0..<source.count)
      try HDF5Library.check(
        H5Pset_fapl_core(access.id, 1 << 16, false), "no driver for memory")
      let status = unsafe image.withUnsafeBytes { bytes in
        unsafe H5Pset_file_image(
          access.id, UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
      }
      try HDF5Library.check(status, "the bytes cannot be taken over")
      let number = Self.memoryCount.add(1, ordering: .relaxed).newValue
      return try Self.open("strata memory \(number)", access)
    }
    self.state = Mutex(State(file: try HDF5Handle(file, "the file cannot be opened")))
    self.source = source
  }

  private static func open(
    _ path: String, _ access: borrowing HDF5Handle
  ) throws(CheckpointError) -> hid_t {
    let id = unsafe H5Fopen(path, strata_h5_read_only(), access.id)
    guard id >= 0 else { throw HDF5Library.fault("not a whole HDF5 file") }
    return id
  }

  /// Makes an empty file of what stands at a path.
  /// - Throws: `notWritable`.
  init(creating path: String) throws(CheckpointError) {
    let file = try HDF5Library.locked { () throws(CheckpointError) in
      let access = try HDF5Handle(properties: strata_h5_file_access())
      let creation = try HDF5Handle(properties: strata_h5_file_create())
      for status in [
        H5Pset_fapl_sec2(access.id),
        // The hidden file of an unfinished write.
        strata_h5_without_locks(access.id),
        // Attributes above 64 KiB need the object headers of 1.8, `EARLIEST` has none; the upper
        // bound keeps the file readable with 1.10, whatever this library could write.
        H5Pset_libver_bounds(access.id, H5F_LIBVER_V18, H5F_LIBVER_V110),
        // Closing must tell when an object was left open, not leave the file open with it.
        H5Pset_fclose_degree(access.id, H5F_CLOSE_SEMI),
        H5Pset_obj_track_times(creation.id, false),
      ] {
        try HDF5Library.check(status, "a file cannot be described", code: .notWritable)
      }
      let id = unsafe H5Fcreate(path, strata_h5_truncate(), creation.id, access.id)
      guard id >= 0 else {
        throw HDF5Library.fault("the HDF5 file cannot be created", code: .notWritable)
      }
      return id
    }
    self.state = Mutex(
      State(file: try HDF5Handle(file, "the file cannot be created", code: .notWritable)))
    self.source = nil
  }

  /// Runs `body` with the file while nobody else is in libhdf5.
  func locked<Result: Sendable>(
    _ body: (inout State) throws(CheckpointError) -> Result
  ) throws(CheckpointError) -> Result {
    // Were the last reference given up in `body`, `deinit` would wait for a lock that is held.
    defer { withExtendedLifetime(self) {} }
    return try HDF5Library.locked { () throws(CheckpointError) in
      try state.withLock { state throws(CheckpointError) in try body(&state) }
    }
  }

  /// Closes a written file.
  /// - Throws: `notWritable` when not all of it went out.
  func close() throws(CheckpointError) {
    try locked { state throws(CheckpointError) in
      if let file = state.file.take() { try file.closeFile() }
    }
  }

  deinit {
    // Nothing is thrown in there.
    try? HDF5Library.locked { () throws(CheckpointError) in
      state.withLock { state in
        state.dataset = nil
        state.file = nil
      }
    }
  }
}
