import CIsolation
import Checkpoints
import Synchronization

/// The process that parses HDF5 files for another one, see `HDF5Format.init(isolated:helper:)`.
public enum HDF5Helper {
  private static let offer = Atomic<Bool>(false)

  /// Whether this program can be a helper to itself.
  static var isOffered: Bool { offer.load(ordering: .relaxed) }

  /// Makes the process a helper when it was started as one, and does not return then; else returns at
  /// once, and from then on the program can be its own helper.
  ///
  /// To be called first of all in `main`: before there are threads, and before the program does
  /// anything that it should not do once more in the helper.
  public static func runIfRequested() {
    offer.store(true, ordering: .relaxed)
    guard CommandLine.arguments.dropFirst() == [HDF5Exchange.argument], strata_isolation_is_helper()
    else { return }
    do {
      try serve()
    } catch {
      send(.fault, error.encoded)
    }
    strata_isolation_leave()
  }

  /// The signal of a process that has had its processor time.
  static let timeSignal: Int32 = 24

  /// The names of the signals that end a process because of a fault.
  static let signalNames: [Int32: String] = [
    4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV",
    (isDarwin ? 10 : 7): "SIGBUS", (isDarwin ? 12 : 31): "SIGSYS",
  ]

  private static var isDarwin: Bool {
    #if canImport(Darwin)
      true
    #else
      false
    #endif
  }

  // MARK: Serving

  private static func serve() throws(CheckpointError) {
    // What has to be opened is opened first; libraries are files as well.
    try HDF5Library.locked {}
    let source = try ByteSource(contentsOf: unsafe String(cString: strata_isolation_input_path()))
    let size = source.count
    guard strata_isolation_confine(UInt64(HDF5Exchange.memory(forFileOf: size))) >= 0 else {
      throw CheckpointError(
        .isolationUnavailable, "the process that is to read the file cannot give up its rights")
    }
    let seconds = UInt64(HDF5Exchange.seconds(forFileOf: size))
    strata_isolation_allow(seconds)
    let file = try HDF5File(reading: source)
    let (directory, places) = try file.walk(source)
    try directory.check(in: source)
    send(.directory, directory.encoded)
    while let request = try nextRequest() {
      strata_isolation_allow(seconds)
      do {
        try answer(request, directory, places, file)
      } catch {
        send(.fault, error.encoded)
      }
    }
  }

  private static func nextRequest() throws(CheckpointError) -> HDF5Exchange.Request? {
    var bytes = [UInt8](repeating: 0, count: HDF5Exchange.Request.size)
    guard unsafe strata_isolation_take(&bytes, bytes.count) else { return nil }
    return try HDF5Exchange.Request(decoding: Bytes(bytes))
  }

  private static func answer(
    _ request: HDF5Exchange.Request, _ directory: HDF5Directory, _ places: [HDF5Place],
    _ file: HDF5File
  ) throws(CheckpointError) {
    guard directory.entries.indices.contains(request.entry),
      request.elements.upperBound <= directory.entries[request.entry].shape.elementCount
    else { throw CheckpointError(.hdf5Invalid, "elements were asked for that are none") }
    let entry = directory.entries[request.entry]
    let bytes = try file.read(
      request.elements, of: places[request.entry], shape: entry.shape,
      elementSize: entry.elementType.dtype.size)
    send(.data, bytes)
  }

  private static func send(_ kind: HDF5Exchange.Kind, _ bytes: [UInt8]) {
    send(kind, Bytes(bytes))
  }

  private static func send(_ kind: HDF5Exchange.Kind, _ bytes: Bytes) {
    let header = HDF5Exchange.header(kind, count: bytes.count)
    let isSent =
      unsafe strata_isolation_give(header, header.count)
      && bytes.withUnsafeBytes { unsafe strata_isolation_give($0.baseAddress, $0.count) }
    // Nobody is there any more.
    if !isSent { strata_isolation_leave() }
  }
}
