import Checkpoints

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Android)
  import Android
#endif

/// The streams that a person or a program reads.
enum StandardStreams {
  /// Writes a line to standard output.
  /// - Throws: `notWritable` when it does not arrive, as on a full disk.
  static func print(_ line: String) throws(CheckpointError) {
    guard write(line + "\n", to: STDOUT_FILENO) else {
      throw CheckpointError(.notWritable, "standard output cannot be written")
    }
  }

  /// Writes a line to standard error; there is nobody left to tell when that fails.
  static func complain(_ line: String) {
    _ = write(line + "\n", to: STDERR_FILENO)
  }

  /// Whether a person sees standard error.
  static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

  /// Writes to standard error without ending the line.
  static func showProgress(_ text: String) {
    _ = write(text, to: STDERR_FILENO)
  }

  private static func write(_ text: String, to descriptor: Int32) -> Bool {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe systemWrite(descriptor, $0) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }
}

private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
  unsafe write(descriptor, bytes.baseAddress, bytes.count)
}

/// What happens on a signal to stop: files that are half written are removed, and the status is the one
/// that shells expect, 130 for an interrupt and 143 for a termination.
///
/// The signal for a file that grows past the limit of the process is ignored: the write fails instead,
/// as on a full disk, and leaves nothing behind.
enum StopSignals {
  /// Must be called before there is a second thread.
  static func handle() {
    signal(SIGXFSZ, SIG_IGN)
    // Blocked signals wait until the thread below takes them: none is lost, however early it comes.
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    for number in [SIGINT, SIGTERM, SIGHUP] where !isIgnored(number) {
      unsafe sigaddset(&signals, number)
    }
    unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
    let waited = signals
    let isWaiting = startThread {
      var signals = waited
      var number: Int32 = 0
      while unsafe sigwait(&signals, &number) != 0 {}
      AtomicFile.removeHiddenFiles { _exit(128 + number) }
    }
    // With no thread to take them, signals end the process as the system does.
    if !isWaiting { unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil) }
  }

  /// Whether whoever started the process wants it to go on, as `nohup` does.
  private static func isIgnored(_ number: Int32) -> Bool {
    let handler = signal(number, SIG_IGN)
    guard unsafe unsafeBitCast(handler, to: Int.self) != unsafeBitCast(SIG_IGN, to: Int.self)
    else { return true }
    signal(number, handler)
    return false
  }
}
