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

  /// Creates the hidden file, and removes those that killed processes left beside the same target.
  /// - Throws: `exists` when something stands at the path and may not be replaced; `notAFile` when
  ///   it is no regular file; `notWritable`.
  public init(_ path: String, replacingExisting: Bool) throws(CheckpointError) {
    // Links are followed once, here.
    let target = FileDescriptor.resolvingLinks(path)
    HiddenFile.removeStale(beside: target)
    let existing = FileDescriptor.status(of: path)
    if let existing {
      guard existing.isRegular else {
        throw CheckpointError(
          .notAFile, file: path, "a directory, a device or a pipe stands there, not a regular file")
      }
      guard replacingExisting else {
        throw CheckpointError(.exists, file: path, "the file exists already")
      }
      // As behind /dev/stdout, when what it was sent to has been removed.
      guard FileDescriptor.status(of: target) != nil else {
        throw CheckpointError(.notWritable, file: path, "the file that stands there has no name")
      }
    }
    let created: (file: HiddenFile, descriptor: FileDescriptor, permissions: UInt32)
    do {
      created = try Self.createHiddenFile(beside: target, existing)
    } catch {
      // For people the target matters, not the hidden name.
      throw Self.renamed(error, to: path)
    }
    self.path = path
    self.target = target
    self.hidden = created.file
    self.descriptor = created.descriptor
    self.replacesExisting = replacingExisting
    self.permissions = created.permissions
  }

  /// Creates a file that only its owner can read, and tells the permission bits that it is to have.
  private static func createHiddenFile(
    beside target: String, _ existing: FileDescriptor.Status?
  ) throws(CheckpointError) -> (HiddenFile, FileDescriptor, UInt32) {
    // Whom the process's mask lets read a new file, only a new file tells.
    let (file, descriptor) = try HiddenFile.creating(
      beside: target, permissions: existing == nil ? 0o666 : 0o600)
    let permissions = try descriptor.status().permissions
    try descriptor.setPermissions(0o600)
    return (file, descriptor, existing?.permissions ?? permissions)
  }

  /// Removes every hidden file of this process and ends it, for a program that is told to stop.
  ///
  /// No other thread can see its file gone, and say so, before `end` has ended the process: it must do so
  /// at once, with `_exit`.
  public static func removeHiddenFiles(andThen end: () -> Never) -> Never {
    HiddenFile.removeAll(andThen: end)
  }

  /// Sets disk space aside for the first `count` bytes; the size stays as it is.
  /// - Throws: `notWritable` when there is not enough.
  public func reserve(_ count: Int) throws(CheckpointError) {
    try named { () throws(CheckpointError) in try descriptor.reserve(count) }
  }

  /// Sets disk space aside for the bytes of tensors, unless one is going to take fewer of them.
  /// - Throws: `notWritable` when there is not enough, or why a tensor cannot be read.
  public func reserve(
    _ tensors: [StoredTensor], _ options: WriteOptions
  ) throws(CheckpointError) {
    guard !tensors.contains(where: options.deflates) else { return }
    var count = 0
    for tensor in tensors {
      // No disk holds what would overflow here.
      count =
        count.addingReportingOverflow(
          tensor.shape.byteCount(of: try tensor.readableDType())
        ).partialValue
    }
    try reserve(count)
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
    do throws(CheckpointError) {
      try descriptor.synchronize()
      try verify(temporaryPath)
      let identity = try descriptor.status().identity
      guard FileDescriptor.status(of: temporaryPath)?.identity == identity else {
        throw CheckpointError(.notWritable, "another process has taken the unfinished file away")
      }
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
}

/// A file that is whole, on the disk and verified, but still hidden; it goes away with its last copy
/// unless it is moved into place.
struct SealedFile: Sendable {
  /// The path that was asked for.
  let path: String
  /// The path with links resolved.
  let target: String
  fileprivate let hidden: HiddenFile
  fileprivate let replacesExisting: Bool

  /// Puts the file at its place and sees to it that it stays there.
  /// - Throws: `exists`, `notWritable`; then nothing has changed at the path, unless the reason says so.
  func publish() throws(CheckpointError) {
    try move()
    try confirm()
  }

  /// Gives the file its name.
  /// - Throws: `exists`, `notWritable`; then nothing has changed at the path.
  func move() throws(CheckpointError) {
    do {
      try FileDescriptor.rename(hidden.path, to: target, replacing: replacesExisting)
    } catch {
      throw AtomicFile.renamed(error, to: path)
    }
  }

  /// Sees to it that the file, which has its name, keeps it.
  /// - Throws: `notWritable`, saying that all else is done.
  func confirm() throws(CheckpointError) {
    do {
      try synchronizeDirectory()
    } catch {
      var error = error
      error.reason = "written and verified, but it may not outlive a power failure: \(error.reason)"
      throw error
    }
  }

  /// Waits until the file's directory is on the disk with the names that are in it now.
  /// - Throws: `notWritable`.
  func synchronizeDirectory() throws(CheckpointError) {
    do {
      try FileDescriptor.synchronizeDirectory(FileDescriptor.split(target).directory)
    } catch {
      throw AtomicFile.renamed(error, to: path)
    }
  }
}
