internal import Synchronization

/// A file that appears whole or not at all: written beside its target, synced, read back, renamed.
///
/// Until `commit` renames it, the bytes stand in a hidden file in the target's directory, which is
/// removed when the value goes away. A target that is a symbolic link is written through.
public struct AtomicFile: ~Copyable {
  /// The path that was asked for.
  public let path: String
  /// The path of the hidden file.
  ///
  /// A format that must open a file by name writes here; it must not replace the file, which stays
  /// open.
  public let temporaryPath: String

  private let target: String
  private let descriptor: FileDescriptor
  private let replacesExisting: Bool
  private let permissions: UInt32

  /// Creates the hidden file.
  /// - Throws: `exists` when something stands at the path and may not be replaced; `notAFile` when
  ///   it is no regular file; `notWritable`.
  public init(_ path: String, replacingExisting: Bool) throws(CheckpointError) {
    let existing = FileDescriptor.status(of: path)
    if let existing {
      guard existing.isRegular else {
        throw CheckpointError(
          .notAFile, file: path, "a directory, a device or a pipe stands there, not a regular file")
      }
      guard replacingExisting else {
        throw CheckpointError(.exists, file: path, "the file exists already")
      }
    }
    let target = FileDescriptor.resolvingLinks(path)
    let hidden: (descriptor: FileDescriptor, permissions: UInt32)
    do {
      hidden = try Self.createHiddenFile(beside: target)
    } catch {
      // For people the target matters, not the hidden name.
      throw Self.renamed(error, to: path)
    }
    _ = Self.hiddenPaths.withLock { $0.insert(hidden.descriptor.path) }
    self.path = path
    self.target = target
    self.descriptor = hidden.descriptor
    self.temporaryPath = hidden.descriptor.path
    self.replacesExisting = replacingExisting
    self.permissions = existing?.permissions ?? hidden.permissions
  }

  /// Creates a file that only its owner can read, and tells the permissions that a new file gets here.
  private static func createHiddenFile(
    beside target: String
  ) throws(CheckpointError) -> (descriptor: FileDescriptor, permissions: UInt32) {
    let (directory, whole) = split(target)
    // A name may be as long as the system allows; the hidden one needs room for more.
    let name = String(decoding: whole.utf8.prefix(128), as: UTF8.self)
    while true {
      let random = String(UInt32.random(in: 0...UInt32.max), radix: 36)
      let hidden = "\(directory)/.\(name).\(FileDescriptor.processIdentifier).\(random).tmp"
      guard let descriptor = try FileDescriptor.creating(hidden) else { continue }
      do {
        let permissions = try descriptor.status().permissions
        try descriptor.setPermissions(0o600)
        return (descriptor, permissions)
      } catch {
        FileDescriptor.remove(hidden)
        throw error
      }
    }
  }

  deinit {
    // After a rename nothing stands there any more.
    FileDescriptor.remove(temporaryPath)
    let path = temporaryPath
    _ = Self.hiddenPaths.withLock { $0.remove(path) }
  }

  /// The hidden files of all values that exist.
  private static let hiddenPaths = Mutex<Set<String>>([])

  /// Removes every hidden file of this process, for a program that is told to stop: no write that is
  /// under way can be finished afterwards.
  public static func removeHiddenFiles() {
    for path in hiddenPaths.withLock({ $0 }) { FileDescriptor.remove(path) }
  }

  /// Sets disk space aside.
  /// - Throws: `notWritable` when there is not enough.
  public func reserve(_ count: Int) throws(CheckpointError) {
    try named { () throws(CheckpointError) in try descriptor.reserve(count) }
  }

  /// Writes bytes at an offset.
  /// - Throws: `notWritable`.
  public func write(_ bytes: Bytes, at offset: Int) throws(CheckpointError) {
    try named { () throws(CheckpointError) in try descriptor.write(bytes, at: offset) }
  }

  /// Cuts the file to a length.
  /// - Throws: `notWritable`.
  public func truncate(to count: Int) throws(CheckpointError) {
    try named { () throws(CheckpointError) in try descriptor.truncate(to: count) }
  }

  /// Syncs the file, lets `verify` read it back by its hidden name, and puts it at its place.
  /// - Throws: what `verify` throws, `exists`, `notWritable`; then nothing has changed at the path.
  public consuming func commit(
    verify: (String) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    do {
      try descriptor.synchronize()
      try verify(temporaryPath)
      try descriptor.setPermissions(permissions)
      try FileDescriptor.rename(temporaryPath, to: target, replacing: replacesExisting)
      try FileDescriptor.synchronizeDirectory(Self.split(target).directory)
    } catch {
      throw Self.renamed(error, to: path)
    }
  }

  private func named(_ body: () throws(CheckpointError) -> Void) throws(CheckpointError) {
    do {
      try body()
    } catch {
      throw Self.renamed(error, to: path)
    }
  }

  private static func renamed(_ error: CheckpointError, to path: String) -> CheckpointError {
    var error = error
    error.file = path
    return error
  }

  private static func split(_ path: String) -> (directory: String, name: String) {
    guard let slash = path.lastIndex(of: "/") else { return (".", path) }
    let directory = path[..<slash]
    return (directory.isEmpty ? "/" : String(directory), String(path[path.index(after: slash)...]))
  }
}

extension CheckpointContents {
  /// Writes the contents to a path; the file is whole or absent.
  ///
  /// Tensors are read, converted and written a piece at a time. Before the file gets its name it is
  /// read back: directory and every tensor must be what was written.
  /// - Throws: `sameFile` when the target is one of `sources`, the files that the contents come from;
  ///   `exists`, `notWritable`, `dtypeUnsupported`, `badName`, and what reading a tensor throws.
  public func write(
    to path: String, format: any CheckpointFormat, options: WriteOptions = WriteOptions(),
    sources: [String] = []
  ) throws(CheckpointError) {
    if let target = FileDescriptor.status(of: path)?.identity {
      for source in sources where FileDescriptor.status(of: source)?.identity == target {
        throw CheckpointError(.sameFile, file: path, "the target is the same file as \(source)")
      }
    }
    let file = try AtomicFile(path, replacingExisting: options.replacesExisting)
    let checksums: [UInt32]
    do {
      checksums = try format.write(self, to: file, options: options)
    } catch {
      throw error.located(file: path)
    }
    try file.commit { temporary throws(CheckpointError) in
      let written = try format.open(ByteSource(contentsOf: temporary))
      try verifyReadBack(of: written, checksums)
    }
  }

  /// Compares what was written with what was to be written.
  private func verifyReadBack(
    of written: CheckpointContents, _ checksums: [UInt32]
  ) throws(CheckpointError) {
    let wanted = tensors + goldens
    let found = written.tensors + written.goldens
    guard found.count == wanted.count, checksums.count == wanted.count else {
      throw CheckpointError(
        .checksumMismatch, "read back: \(found.count) tensors, \(wanted.count) were written")
    }
    for (index, tensor) in found.enumerated() {
      let original = wanted[index]
      guard tensor.name == original.name, tensor.dtype == original.dtype,
        tensor.shape == original.shape, try tensor.checksum() == checksums[index]
      else {
        throw CheckpointError(
          .checksumMismatch, tensor: original.name, "reads back differently than it was written")
      }
    }
  }
}
