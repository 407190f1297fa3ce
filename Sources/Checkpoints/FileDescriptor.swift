// The only file that talks to the operating system about files.

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

  private init(_ number: Int32, path: String) {
    self.number = number
    self.path = path
  }

  deinit { close(number) }

  /// Calls `body` with the number, under which another process can be given the file.
  func withNumber<Result>(
    _ body: (Int32) throws(CheckpointError) -> Result
  ) throws(CheckpointError) -> Result {
    defer { withExtendedLifetime(self) {} }
    return try body(number)
  }

  // MARK: Reading

  /// Opens a regular file.
  /// - Throws: `fileNotFound`, `notAFile`, `notReadable`.
  static func reading(_ path: String) throws(CheckpointError) -> FileDescriptor {
    // Without O_NONBLOCK a named pipe would block here before it could be refused.
    let number = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard number >= 0 else {
      throw CheckpointError(
        errno == ENOENT || errno == ENOTDIR ? .fileNotFound : .notReadable, file: path,
        errno == ENOENT ? "no such file" : systemMessage())
    }
    let file = FileDescriptor(number, path: path)
    guard try file.status().isRegular else {
      throw CheckpointError(.notAFile, file: path, "not a regular file")
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
  }

  /// The status of the open file.
  func status() throws(CheckpointError) -> Status {
    var info = stat()
    guard unsafe fstat(number, &info) == 0 else {
      throw CheckpointError(.notReadable, file: path, systemMessage())
    }
    return Status(info)
  }

  /// The status of whatever stands at a path, links followed; nil when there is nothing.
  static func status(of path: String) -> Status? {
    var info = stat()
    return unsafe stat(path, &info) == 0 ? Status(info) : nil
  }

  /// Reads `count` bytes at `offset`.
  /// - Throws: `truncated` when the file ends before, `notReadable`.
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
  /// - Throws: `notWritable`.
  static func creating(_ path: String) throws(CheckpointError) -> FileDescriptor? {
    let number = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
    guard number >= 0 else {
      if errno == EEXIST { return nil }
      throw CheckpointError(.notWritable, file: path, "cannot be created: \(systemMessage())")
    }
    return FileDescriptor(number, path: path)
  }

  /// Asks the file system to set bytes aside, so that a full disk shows now and not at the end.
  ///
  /// File systems that cannot are not asked twice.
  /// - Throws: `notWritable` when the disk is too full.
  func reserve(_ count: Int) throws(CheckpointError) {
    #if os(Linux)
      guard count > 0 else { return }
      let status = posix_fallocate(number, 0, off_t(count))
      if status == ENOSPC || status == EFBIG || status == EDQUOT {
        throw CheckpointError(.notWritable, file: path, systemMessage(status))
      }
    #endif
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
    #if canImport(Darwin)
      if fcntl(number, F_FULLFSYNC) == 0 { return }
    #endif
    guard fsync(number) == 0 else {
      throw CheckpointError(.notWritable, file: path, systemMessage())
    }
  }

  /// Sets the permission bits.
  func setPermissions(_ bits: UInt32) throws(CheckpointError) {
    guard fchmod(number, mode_t(bits)) == 0 else {
      throw CheckpointError(.notWritable, file: path, systemMessage())
    }
  }

  // MARK: Directories

  /// Renames a file over whatever stands at `target`, or, with `replacing` false, only to a free name.
  /// - Throws: `exists`, `notWritable`.
  static func rename(_ path: String, to target: String, replacing: Bool) throws(CheckpointError) {
    var status: Int32
    if replacing {
      status = systemRename(path, target)
    } else {
      #if canImport(Darwin)
        status = unsafe renamex_np(path, target, UInt32(RENAME_EXCL))
      #else
        // A hard link is refused when the name is taken, atomically and under every C library.
        status = unsafe link(path, target)
        if status == 0 {
          unsafe _ = unlink(path)
        } else if errno == EPERM || errno == EOPNOTSUPP, unsafe access(target, F_OK) != 0 {
          // A file system without hard links: the best that is left.
          status = systemRename(path, target)
        }
      #endif
    }
    guard status == 0 else {
      throw CheckpointError(
        errno == EEXIST ? .exists : .notWritable, file: target,
        errno == EEXIST ? "the file exists already" : systemMessage())
    }
  }

  /// Removes a file, if it is there.
  static func remove(_ path: String) {
    unsafe _ = unlink(path)
  }

  /// Waits until the names in a directory are on the disk.
  static func synchronizeDirectory(_ path: String) throws(CheckpointError) {
    let number = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else {
      throw CheckpointError(.notWritable, file: path, systemMessage())
    }
    // Some file systems cannot sync a directory and say EINVAL; there is nothing more to do there.
    guard fsync(number) == 0 || errno == EINVAL else {
      let error = CheckpointError(.notWritable, file: path, systemMessage())
      close(number)
      throw error
    }
    close(number)
  }

  /// The path with every symbolic link resolved, also one that leads to a file that is not there yet.
  static func resolvingLinks(_ path: String) -> String {
    if let resolved = unsafe realpath(path, nil) {
      defer { unsafe free(resolved) }
      return unsafe String(cString: resolved)
    }
    var path = path
    // As many links as systems follow themselves.
    for _ in 0..<40 {
      guard let link = linkTarget(path) else { break }
      let directory = path.lastIndex(of: "/").map { path[...$0] } ?? ""
      path = link.hasPrefix("/") ? link : directory + link
    }
    return path
  }

  private static func linkTarget(_ path: String) -> String? {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = unsafe buffer.withUnsafeMutableBytes { buffer in
      guard let base = buffer.baseAddress else { return 0 }
      return unsafe readlink(path, base.assumingMemoryBound(to: CChar.self), buffer.count)
    }
    return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
  }

  /// This process's number.
  static var processIdentifier: Int32 { getpid() }
}

extension FileDescriptor.Status {
  fileprivate init(_ info: stat) {
    isRegular = info.st_mode & S_IFMT == S_IFREG
    size = Int(info.st_size)
    permissions = UInt32(info.st_mode) & 0o7777
    identity = [UInt64(truncatingIfNeeded: info.st_dev), UInt64(truncatingIfNeeded: info.st_ino)]
  }
}

private func systemRename(_ path: String, _ target: String) -> Int32 {
  unsafe rename(path, target)
}

/// What the system says about an error number, by default the last one.
private func systemMessage(_ number: Int32 = errno) -> String {
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
