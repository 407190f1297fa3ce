import CHDF5
internal import Checkpoints
import Synchronization

/// The one lock around libhdf5, which is not safe for threads in every build, and its error stack.
enum HDF5Library {
  private static let isReady = Mutex(false)

  /// Runs `body` while nobody else is in libhdf5.
  ///
  /// It must not be entered again from within.
  static func locked<Result: Sendable>(
    _ body: () throws(CheckpointError) -> Result
  ) throws(CheckpointError) -> Result {
    try isReady.withLock { isReady throws(CheckpointError) in
      if !isReady {
        try prepare()
        isReady = true
      }
      // Per thread: whoever comes from a new one would have the stack printed to stderr.
      _ = H5Eset_auto2(strata_h5_error_stack(), nil, nil)
      return try body()
    }
  }

  private static func prepare() throws(CheckpointError) {
    if let reason = unsafe strata_h5_load() {
      throw CheckpointError(
        .unsupportedVariant, "HDF5 files need libhdf5: \(unsafe String(cString: reason))")
    }
    // Closing everything at exit is one more walk over what a damaged file left in memory. Refused
    // when another part of the process has used libhdf5 before, and then that part decides.
    _ = H5dont_atexit()
    // Everything else initialises the library, and so has to come behind it.
    var (major, minor, release) = (UInt32(0), UInt32(0), UInt32(0))
    try check(
      unsafe H5get_libversion(&major, &minor, &release), "libhdf5 does not tell its version")
    guard major == H5_VERS_MAJOR, minor == H5_VERS_MINOR else {
      throw CheckpointError(
        .unsupportedVariant,
        "HDF5 files need libhdf5 \(H5_VERS_MAJOR).\(H5_VERS_MINOR), for which this was built; "
          + "\(major).\(minor) is installed")
    }
    try check(H5open(), "libhdf5 cannot be initialised")
    _ = H5Eset_auto2(strata_h5_error_stack(), nil, nil)
    // No code is loaded because a file names a filter, and no second file because a link does.
    try check(H5PLset_loading_state(0), "libhdf5 keeps loading plugins")
    if H5Lis_registered(H5L_TYPE_EXTERNAL) > 0 {
      try check(H5Lunregister(H5L_TYPE_EXTERNAL), "libhdf5 keeps following external links")
    }
    let string = try variableLengthString()
    let opaque = try HDF5Handle(H5Tcreate(H5T_OPAQUE, 16), "no opaque type")
    try check(
      strata_h5_register_keep_bytes(string.id, opaque.id), "libhdf5 takes no conversion")
  }

  /// The type of a string of any length.
  static func variableLengthString() throws(CheckpointError) -> HDF5Handle {
    let string = try HDF5Handle(H5Tcopy(strata_h5_string()), "no string type")
    try check(H5Tset_size(string.id, strata_h5_variable_length()), "no string type")
    return string
  }

  // MARK: Errors

  /// Throws when a function of libhdf5 returned a negative status.
  static func check(
    _ status: Int32, _ what: @autoclosure () -> String,
    code: CheckpointError.Code = .hdf5Invalid
  ) throws(CheckpointError) {
    guard status >= 0 else { throw fault(what(), code: code) }
  }

  /// The error for what libhdf5 has just refused: `what`, and the library's own reason.
  ///
  /// Reasons that mean a code of their own get it in place of `hdf5Invalid`.
  static func fault(_ what: String, code: CheckpointError.Code = .hdf5Invalid) -> CheckpointError {
    let stack = errorStack()
    func tells(_ text: String) -> Bool { stack.contains { $0.contains(text) } }
    var code = code
    var advice = ""
    if code == .hdf5Invalid {
      if tells("truncated file") {
        code = .truncated
      } else if stack.last?.contains("incorrect metadata checksum") ?? false {
        // Where something else is innermost, reading was only tried once more because of it.
        code = .checksumMismatch
        advice = "; the file is damaged, copy or export it again"
      } else if tells("inflate") || tells("deflate") {
        code = .decompressMismatch
        advice = "; the file is damaged, copy or export it again"
      } else if tells("memory allocation failed") {
        code = .hdf5ReaderLimit
        advice = "; the file is damaged, or larger than this machine can read"
      } else if tells("chunk size must be") || tells("chunk dimension must be") {
        code = .chunkLimit
      } else if tells("unable to lock") || tells("already open") {
        code = .fileBusy
        advice = "; close the program that writes it, or run `h5clear -s` on it if none does"
      }
    }
    return CheckpointError(code, what + reason(of: stack) + advice)
  }

  /// One line for the whole stack: its top, which says what failed, and its innermost entry, which
  /// says why.
  private static func reason(of stack: [String]) -> String {
    guard let top = stack.first, let innermost = stack.last else { return "" }
    return stack.count == 1 ? " (HDF5: \(top))" : " (HDF5: \(top): \(innermost))"
  }

  /// The descriptions on this thread's error stack, outermost first.
  private static func errorStack() -> [String] {
    var lines: [String] = []
    unsafe withUnsafeMutablePointer(to: &lines) { lines in
      unsafe _ = H5Ewalk2(
        strata_h5_error_stack(), H5E_WALK_DOWNWARD,
        { _, entry, lines in
          if let text = unsafe entry?.pointee.desc, let lines = unsafe lines {
            unsafe lines.assumingMemoryBound(to: [String].self).pointee
              .append(String(cString: text))
          }
          return 0
        }, lines)
    }
    return lines.filter { !$0.isEmpty }
  }
}
