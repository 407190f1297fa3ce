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
  public var temporaryPath: String { hidden.path }

  private let hidden: HiddenFile
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
    self.path = path
    self.target = target
    self.hidden = HiddenFile(hidden.descriptor.path)
    self.descriptor = hidden.descriptor
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

  /// Removes every hidden file of this process, for a program that is told to stop: no write that is
  /// under way can be finished afterwards.
  public static func removeHiddenFiles() {
    HiddenFile.removeAll()
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
    // What is written goes to the disk while more is computed; small writes are not worth a call.
    if bytes.count >= 1 << 20 { descriptor.beginSynchronizing(offset..<(offset + bytes.count)) }
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
    try seal(verify: verify).publish()
  }

  /// Syncs the file, lets `verify` read it back by its hidden name, and closes it: all that is left to
  /// do is to give it its name.
  /// - Throws: what `verify` throws, `notWritable`.
  consuming func seal(
    verify: (String) throws(CheckpointError) -> Void
  ) throws(CheckpointError) -> SealedFile {
    do {
      try descriptor.synchronize()
      try verify(temporaryPath)
      try descriptor.setPermissions(permissions)
    } catch {
      throw Self.renamed(error, to: path)
    }
    return SealedFile(
      path: path, target: target, hidden: hidden, replacesExisting: replacesExisting)
  }

  private func named(_ body: () throws(CheckpointError) -> Void) throws(CheckpointError) {
    do {
      try body()
    } catch {
      throw Self.renamed(error, to: path)
    }
  }

  fileprivate static func renamed(_ error: CheckpointError, to path: String) -> CheckpointError {
    var error = error
    error.file = path
    return error
  }

  fileprivate static func split(_ path: String) -> (directory: String, name: String) {
    guard let slash = path.lastIndex(of: "/") else { return (".", path) }
    let directory = path[..<slash]
    return (directory.isEmpty ? "/" : String(directory), String(path[path.index(after: slash)...]))
  }
}

/// A file that is whole, on the disk and verified, but still hidden; it goes away with its last copy
/// unless it is published.
struct SealedFile: Sendable {
  /// The path that was asked for.
  let path: String
  /// The path with links resolved.
  let target: String
  fileprivate let hidden: HiddenFile
  fileprivate let replacesExisting: Bool

  /// Puts the file at its place.
  /// - Throws: `exists`, `notWritable`; then nothing has changed at the path.
  func publish() throws(CheckpointError) {
    do {
      try FileDescriptor.rename(hidden.path, to: target, replacing: replacesExisting)
      try FileDescriptor.synchronizeDirectory(AtomicFile.split(target).directory)
    } catch {
      throw AtomicFile.renamed(error, to: path)
    }
  }
}
