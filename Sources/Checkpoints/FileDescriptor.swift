// This file and the one about names are the only ones that talk to the operating system about files.

internal import CFileSystem

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#elseif canImport(Android)
  internal import Android
#endif

/// An open file, closed with its last reference.
final class FileDescriptor: Sendable {
  let path: String
  private let number: Int32
  /// What the system told when the file was opened for reading.
  private let atOpening: Status?

  private init(_ number: Int32, path: String, atOpening: Status? = nil) {
    self.number = number
    self.path = path
    self.atOpening = atOpening
  }

  deinit { close(number) }

  /// Calls `body` with the number, under which another process can be given the file.
  func withNumber<Result>(
    _ body: (Int32) throws(CheckpointError) -> Result
  ) throws(CheckpointError) -> Result {
    defer { withExtendedLifetime(self) {} }
    return try body(number)
  }

  /// Opens a file; a signal is no reason to give up.
  /// - Returns: its number, or -1.
  static func opened(_ path: String, _ flags: Int32, _ permissions: mode_t = 0) -> Int32 {
    while true {
      let number = unsafe open(path, flags | O_CLOEXEC, permissions)
      if number >= 0 || errno != EINTR { return number }
    }
  }

  // MARK: Reading

  /// Opens a regular file.
  /// - Throws: `fileNotFound`, `notAFile`, `notReadable`.
  static func reading(_ path: String) throws(CheckpointError) -> FileDescriptor {
    // Without O_NONBLOCK a named pipe would block here before it could be refused.
    let number = opened(path, O_RDONLY | O_NONBLOCK)
    guard number >= 0 else {
      throw CheckpointError(
        errno == ENOENT || errno == ENOTDIR ? .fileNotFound : .notReadable, file: path,
        errno == ENOENT ? "no such file" : systemMessage())
    }
    var info = stat()
    let status = unsafe fstat(number, &info)
    let message = systemMessage()
    let file = FileDescriptor(number, path: path, atOpening: Status(info))
    guard status == 0 else { throw CheckpointError(.notReadable, file: path, message) }
    guard Status(info).isRegular else {
      throw CheckpointError(
        .notAFile, file: path,
        "a directory, a device or a pipe, not a regular file, which can be read at random")
    }
    return file
  }

  /// What the system tells about a file.
  struct Status: Hashable {
    var isRegular: Bool
    var size: Int
    var permissions: UInt32
    /// Device and inode: equal for two paths of one file.
    var identity: [UInt64]
    /// When the content changed last: seconds and nanoseconds.
    var modification: [Int]
  }

  /// The status of the open file.
  func status() throws(CheckpointError) -> Status {
    var info = stat()
    let error = unsafe strata_status(number, &info)
    guard error == 0 else {
      throw CheckpointError(.notReadable, file: path, systemMessage(error))
    }
    return Status(info)
  }

  /// The status of whatever stands at a path, links followed; nil when there is nothing.
  static func status(of path: String) -> Status? {
    var info = stat()
    return unsafe stat(path, &info) == 0 ? Status(info) : nil
  }

  /// Reads `count` bytes at `offset`.
  ///
  /// Everything that is read of one open file is of one state of it: bytes that another process may have
  /// changed since are refused.
  /// - Throws: `truncated` when the file ends before, `fileChanged`, `notReadable`.
  func bytes(at offset: Int, count: Int) throws(CheckpointError) -> Bytes {
    try unsafe Bytes(count: count) { buffer throws(CheckpointError) in
      var done = 0
      while done < count {
        let read = unsafe pread(
          number, buffer.baseAddress?.advanced(by: done), count - done, off_t(offset + done))
        if read < 0, errno == EINTR { continue }
        guard read >= 0 else {
          throw CheckpointError(
            .notReadable, file: path, offset: offset + done, systemMessage())
        }
        guard read > 0 else {
          throw CheckpointError(
            .truncated, file: path, offset: offset + done,
            "the file ends here, \(count - done) bytes too early")
        }
        done += read
      }
      try checkUnchanged()
    }
  }

  /// Checks that nobody has written to the file since it was opened, as far as the file system's clock
  /// tells; another name for it, or another file under its name, is no change.
  /// - Throws: `fileChanged`, `notReadable`.
  func checkUnchanged() throws(CheckpointError) {
    guard let atOpening else { return }
    let now = try status()
    guard now.size == atOpening.size, now.modification == atOpening.modification else {
      throw CheckpointError(.fileChanged, file: path, "the file was changed while it was read")
    }
  }

  /// Maps the whole file.
  ///
  /// Changing the file in place afterwards changes the bytes or ends the process.
  /// - Throws: `notReadable`.
  func mapped(count: Int) throws(CheckpointError) -> Bytes {
    guard count > 0 else { return Bytes([UInt8]()) }
    let address = unsafe mmap(nil, count, PROT_READ, MAP_PRIVATE, number, 0)
    guard let address = unsafe address, unsafe address != MAP_FAILED else {
      throw CheckpointError(.notReadable, file: path, "cannot map: \(systemMessage())")
    }
    return unsafe Bytes(taking: UnsafeMutableRawBufferPointer(start: address, count: count)) {
      unsafe _ = munmap($0.baseAddress, $0.count)
    }
  }

  // MARK: Writing

  /// Creates a file that did not exist, for writing and reading back; nil when the name is taken.
  ///
  /// It has the permission bits that the process's mask and the directory leave of `permissions`.
  /// - Throws: `notWritable`.
  static func creating(
    _ path: String, permissions: UInt32
  ) throws(CheckpointError) -> FileDescriptor? {
    let number = opened(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode_t(permissions))
    guard number >= 0 else {
      if errno == EEXIST { return nil }
      throw CheckpointError(.notWritable, file: path, "cannot be created: \(systemMessage())")
    }
    return FileDescriptor(number, path: path)
  }

  /// Asks the file system to set bytes aside, so that a full disk shows now and not at the end; the size
  /// stays as it is.
  /// - Throws: `notWritable` when the disk is too full; a file system that cannot reserve is no fault.
  func reserve(_ count: Int) throws(CheckpointError) {
    guard count > 0 else { return }
    let status = strata_reserve(number, Int64(count))
    if [ENOSPC, EDQUOT, EFBIG, EIO].contains(status) {
      throw CheckpointError(.notWritable, file: path, systemMessage(status))
    }
  }

  /// Writes all bytes at `offset`.
  /// - Throws: `notWritable`.
  func write(_ bytes: Bytes, at offset: Int) throws(CheckpointError) {
    try unsafe bytes.withUnsafeBytes { buffer throws(CheckpointError) in
      var done = 0
      while done < buffer.count {
        let written = unsafe pwrite(
          number, buffer.baseAddress?.advanced(by: done), buffer.count - done,
          off_t(offset + done))
        if written < 0, errno == EINTR { continue }
        guard written > 0 else {
          throw CheckpointError(.notWritable, file: path, systemMessage())
        }
        done += written
      }
    }
  }

  /// Asks the system to begin bringing bytes to the disk that were just written, so that `synchronize`
  /// finds most of it done.
  func beginSynchronizing(_ range: Range<Int>) {
    #if os(Linux)
      // Linux writes dirty pages that are not needed any more at once, and keeps them until they are
      // written. What fails here shows when the file is synchronised.
      _ = posix_fadvise(number, off_t(range.lowerBound), off_t(range.count), POSIX_FADV_DONTNEED)
    #endif
  }

  /// Cuts the file, which nobody else has seen yet, to `count` bytes.
  func truncate(to count: Int) throws(CheckpointError) {
    guard ftruncate(number, off_t(count)) == 0 else {
      throw CheckpointError(.notWritable, file: path, systemMessage())
    }
  }

  /// Waits until the bytes are on the disk.
  ///
  /// A failure is final: a second try could succeed without the bytes being there.
  /// - Throws: `notWritable`.
  func synchronize() throws(CheckpointError) {
    let status = strata_synchronize(number)
    guard status == 0 else {
      throw CheckpointError(.notWritable, file: path, systemMessage(status))
    }
  }

  /// Sets the permission bits.
  func setPermissions(_ bits: UInt32) throws(CheckpointError) {
    guard fchmod(number, mode_t(bits)) == 0 else {
      throw CheckpointError(.notWritable, file: path, systemMessage())
    }
  }
}

extension FileDescriptor.Status {
  fileprivate init(_ info: stat) {
    isRegular = info.st_mode & S_IFMT == S_IFREG
    size = Int(info.st_size)
    permissions = UInt32(info.st_mode) & 0o777
    identity = [UInt64(truncatingIfNeeded: info.st_dev), UInt64(truncatingIfNeeded: info.st_ino)]
    #if canImport(Darwin)
      let time = info.st_mtimespec
    #else
      let time = info.st_mtim
    #endif
    modification = [Int(time.tv_sec), Int(time.tv_nsec)]
  }
}

/// What the system says about an error number, by default the last one.
func systemMessage(_ number: Int32 = errno) -> String {
  unsafe String(cString: strerror(number))
}

extension UnsafeMutableRawBufferPointer {
  /// Asks the system for large pages; where it has none, nothing changes.
  func adviseLargePages() {
    #if os(Linux)
      unsafe _ = madvise(baseAddress, count, MADV_HUGEPAGE)
    #endif
  }
}
