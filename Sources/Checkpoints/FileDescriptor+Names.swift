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

/// The names of files, and the directories in which they stand.
extension FileDescriptor {
  /// Renames a file over whatever stands at `target`, or, with `replacing` false, only to a free name.
  /// - Throws: `exists`, `notWritable`.
  static func rename(_ path: String, to target: String, replacing: Bool) throws(CheckpointError) {
    let status = replacing ? renamed(path, target) : renamedExclusively(path, target)
    guard status == 0 else {
      throw CheckpointError(
        status == EEXIST ? .exists : .notWritable, file: target,
        status == EEXIST ? "the file exists already" : systemMessage(status))
    }
  }

  private static func renamed(_ path: String, _ target: String) -> Int32 {
    systemRename(path, target) == 0 ? 0 : errno
  }

  private static func renamedExclusively(_ path: String, _ target: String) -> Int32 {
    let status = unsafe strata_rename_exclusively(path, target)
    guard [EINVAL, ENOSYS, ENOTSUP, EOPNOTSUPP].contains(status) else { return status }
    // A file system that does not know this: a hard link, too, is refused when the name is taken.
    if link(path, to: target) {
      unsafe _ = unlink(path)
      return 0
    }
    guard [EPERM, ENOTSUP, EOPNOTSUPP].contains(errno) else { return errno }
    // Nor hard links: the best that is left, though not one step.
    return unsafe access(target, F_OK) == 0 ? EEXIST : renamed(path, target)
  }

  /// Gives a file a second name that is free; whether that was possible.
  static func link(_ path: String, to target: String) -> Bool {
    systemLink(path, target) == 0
  }

  /// Removes a file, if it is there.
  static func remove(_ path: String) {
    unsafe _ = unlink(path)
  }

  /// Waits until the names in a directory are on the disk.
  /// - Throws: `notWritable`.
  static func synchronizeDirectory(_ path: String) throws(CheckpointError) {
    let number = opened(path, O_RDONLY)
    guard number >= 0 else {
      throw CheckpointError(.notWritable, file: path, systemMessage())
    }
    let status = strata_synchronize(number)
    close(number)
    // Some file systems cannot sync a directory and say EINVAL; there is nothing more to do there.
    guard status == 0 || status == EINVAL else {
      throw CheckpointError(.notWritable, file: path, systemMessage(status))
    }
  }

  /// The names in a directory; none when it cannot be read.
  static func names(in directory: String) -> [String] {
    guard let stream = unsafe opendir(directory) else { return [] }
    defer { unsafe _ = closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) {
        unsafe String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      names.append(name)
    }
    return names
  }

  /// Directory and name of a path.
  static func split(_ path: String) -> (directory: String, name: String) {
    guard let slash = path.lastIndex(of: "/") else { return (".", path) }
    let directory = path[..<slash]
    return (directory.isEmpty ? "/" : String(directory), String(path[path.index(after: slash)...]))
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

  // MARK: Processes

  /// This process's number.
  static var processIdentifier: Int32 { getpid() }

  /// Whether a process of this number runs.
  static func isRunning(_ process: Int32) -> Bool {
    kill(process, 0) == 0 || errno != ESRCH
  }
}

private func systemLink(_ path: String, _ target: String) -> Int32 {
  unsafe link(path, target)
}

private func systemRename(_ path: String, _ target: String) -> Int32 {
  unsafe rename(path, target)
}
