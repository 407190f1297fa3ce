import CIsolation
import Checkpoints

/// The parent's end of the line to a helper, each answer of which may be anything.
struct HDF5Connection {
  private let socket: Int32
  /// The helper, for tests.
  let process: pid_t
  /// How long an answer may take.
  private let patience: Duration
  /// Why there is no helper any more.
  private var end: CheckpointError?

  /// Starts a helper for a file.
  /// - Throws: `isolationUnavailable`.
  init(
    reading source: ByteSource, executable: String?, patience: Duration
  ) throws(CheckpointError) {
    var (socket, process) = (Int32(-1), pid_t(0))
    func start(_ input: Int32) -> Int32 {
      unsafe strata_isolation_start(executable, HDF5Exchange.argument, input, &socket, &process)
    }
    let status: Int32
    if let started = try source.withDescriptor(start) {
      status = started
    } else {
      // Bytes in memory become a file that has no name.
      let bytes = try source.bytes(in: 0..<source.count)
      let file = unsafe bytes.withUnsafeBytes {
        unsafe strata_isolation_file($0.baseAddress, $0.count)
      }
      guard file >= 0 else {
        throw CheckpointError(
          .isolationUnavailable, "there is no room for the bytes in a file of their own")
      }
      defer { strata_isolation_close(file) }
      status = start(file)
    }
    guard status == 0 else {
      let message = unsafe strata_isolation_message(status).map { unsafe String(cString: $0) }
      throw CheckpointError(
        .isolationUnavailable,
        "no process can be started that reads the file apart: \(message ?? "error \(status)")")
    }
    self.socket = socket
    self.process = process
    self.patience = patience
  }

  /// Takes over a line whose other end somebody has already, for fuzzing.
  init(socket: Int32, process: pid_t, patience: Duration) {
    self.socket = socket
    self.process = process
    self.patience = patience
  }

  /// Ends the helper, if it still is there.
  mutating func finish() {
    guard end == nil else { return }
    end = CheckpointError(.hdf5Invalid, "the file is closed already")
    _ = strata_isolation_end(socket, process, 0)
  }

  // MARK: Asking

  /// What the helper has found in the file, told in at most `largest` bytes.
  /// - Throws: what the helper finds wrong with the file, `hdf5ReaderCrashed`, `hdf5ReaderLimit`.
  mutating func directory(largest: Int) throws(CheckpointError) -> HDF5Directory {
    let deadline = SuspendingClock.now + patience
    let (kind, count) = try header(deadline)
    guard kind != .data else { throw misbehaved("data that nobody asked for") }
    let bytes = try message(count, largest: largest, deadline)
    if kind == .fault { throw try fault(bytes) }
    do {
      return try HDF5Directory(decoding: bytes)
    } catch {
      throw misbehaved("a directory that is none: \(error.reason)")
    }
  }

  /// Reads elements of `size` bytes.
  mutating func read(
    _ elements: Range<Int>, of entry: Int, size: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    if let end { throw end }
    let step = max(1, HDF5Exchange.Request.mostBytes / size)
    let starts = Array(stride(from: elements.lowerBound, to: elements.upperBound, by: step))
    var asked = 0
    var refusal: CheckpointError?
    for answered in starts.indices {
      // Two requests are under way, so that the helper works while its last answer is taken; none
      // more after a fault, but the answers of those that are have to be taken.
      while refusal == nil, asked < min(answered + 2, starts.count) {
        let end = min(starts[asked] + step, elements.upperBound)
        let request = HDF5Exchange.Request(entry: entry, elements: starts[asked]..<end)
        guard unsafe strata_isolation_send(socket, request.encoded, HDF5Exchange.Request.size)
        else { throw ended() }
        asked += 1
      }
      guard answered < asked else { break }
      let start = (starts[answered] - elements.lowerBound) * size
      let part = unsafe UnsafeMutableRawBufferPointer(
        rebasing: buffer[start..<min(start + step * size, buffer.count)])
      do {
        try unsafe takeAnswer(into: part)
      } catch {
        if let end { throw end }
        refusal = refusal ?? error
      }
    }
    if let refusal { throw refusal }
  }

  /// Takes the answer to a request for as many bytes as `buffer` has.
  private mutating func takeAnswer(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    let deadline = SuspendingClock.now + patience
    let (kind, count) = try header(deadline)
    switch kind {
    case .fault: throw try fault(message(count, largest: 1 << 20, deadline))
    case .data where count == buffer.count: try unsafe receive(into: buffer, deadline)
    default: throw misbehaved("\(count) bytes in place of \(buffer.count)")
    }
  }

  // MARK: Answers

  private mutating func header(
    _ deadline: SuspendingClock.Instant
  ) throws(CheckpointError) -> (kind: HDF5Exchange.Kind, count: Int) {
    let bytes = try unsafe Bytes(count: HDF5Exchange.headerSize) { buffer throws(CheckpointError) in
      try unsafe receive(into: buffer, deadline)
    }
    guard let kind = HDF5Exchange.Kind(rawValue: bytes.integer(at: 0, as: UInt8.self)),
      let count = Int(exactly: bytes.integer(at: 1, as: UInt64.self))
    else { throw misbehaved("an answer of an unknown kind or an absurd length") }
    return (kind, count)
  }

  /// The bytes of a message; memory grows with what really comes.
  private mutating func message(
    _ count: Int, largest: Int, _ deadline: SuspendingClock.Instant
  ) throws(CheckpointError) -> Bytes {
    guard count <= largest else {
      throw misbehaved("an answer of \(count) bytes, where at most \(largest) are expected")
    }
    var pieces: [Bytes] = []
    var left = count
    while left > 0 {
      let size = min(left, 1 << 20)
      pieces.append(
        try unsafe Bytes(count: size) { buffer throws(CheckpointError) in
          try unsafe receive(into: buffer, deadline)
        })
      left -= size
    }
    return pieces.count == 1 ? pieces[0] : Bytes(joining: pieces)
  }

  private mutating func fault(_ bytes: Bytes) throws(CheckpointError) -> CheckpointError {
    do {
      return try CheckpointError(decoding: bytes)
    } catch {
      throw misbehaved("a fault that is none: \(error.reason)")
    }
  }

  private mutating func receive(
    into buffer: UnsafeMutableRawBufferPointer, _ deadline: SuspendingClock.Instant
  ) throws(CheckpointError) {
    var done = 0
    while done < buffer.count {
      let left = deadline - SuspendingClock.now
      let count = unsafe strata_isolation_receive(
        socket, buffer.baseAddress?.advanced(by: done), buffer.count - done,
        Int32(max(0, min(left / .milliseconds(1), 1e9))))
      guard count > 0 else { throw count == -2 ? tookTooLong() : ended() }
      done += count
    }
  }

  // MARK: The end of a helper

  private mutating func tookTooLong() -> CheckpointError {
    _ = strata_isolation_end(socket, process, 0)
    return close(
      .hdf5ReaderLimit,
      "the process that reads it has not answered for \(patience); the file is damaged or made to stop its "
        + "readers")
  }

  private mutating func misbehaved(_ what: String) -> CheckpointError {
    _ = strata_isolation_end(socket, process, 0)
    return close(
      .hdf5ReaderCrashed,
      "the process that reads it has sent \(what); the file is made to attack its readers")
  }

  /// The helper closed the line, which it never does by itself.
  private mutating func ended() -> CheckpointError {
    let end = strata_isolation_end(socket, process, 2000)
    switch end.signal {
    case 0:
      return close(
        .hdf5ReaderCrashed,
        "the process that reads it has ended with status \(end.status); the file is damaged or made "
          + "to break its readers")
    case HDF5Helper.timeSignal:
      return close(
        .hdf5ReaderLimit,
        "the process that reads it takes more processor time than any file needs; the file is damaged or "
          + "made to stop its readers")
    default:
      let name = HDF5Helper.signalNames[end.signal].map { ", \($0)" } ?? ""
      return close(
        .hdf5ReaderCrashed,
        "libhdf5 does not survive it (signal \(end.signal)\(name)); the file is damaged or made to break "
          + "its readers, export it again")
    }
  }

  private mutating func close(_ code: CheckpointError.Code, _ reason: String) -> CheckpointError {
    let error = CheckpointError(code, reason)
    end = error
    return error
  }
}
