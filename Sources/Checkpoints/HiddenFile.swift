internal import Synchronization

/// A file under a name that nobody looks for, `.NAME.PID.RANDOM.tmp` beside NAME, removed with its last
/// reference.
///
/// A process that is killed leaves it behind; the next one that writes a file of the same name removes it.
final class HiddenFile: Sendable {
  /// The path.
  let path: String

  private static let suffix = ".tmp"

  /// The hidden files of this process.
  ///
  /// Files are created and removed while this is locked, so that none escapes `removeAll`.
  private static let paths = Mutex<Set<String>>([])

  private init(_ path: String) { self.path = path }

  /// Creates a file, and opens it.
  /// - Throws: `notWritable`.
  static func creating(
    beside target: String, permissions: UInt32
  ) throws(CheckpointError) -> (HiddenFile, FileDescriptor) {
    while true {
      let path = path(beside: target)
      let created = try paths.withLock { paths throws(CheckpointError) in
        let file = try FileDescriptor.creating(path, permissions: permissions)
        if file != nil { paths.insert(path) }
        return file
      }
      if let created { return (HiddenFile(path), created) }
    }
  }

  /// Gives a file that is about to be replaced a hidden name as well; nil where that is impossible.
  convenience init?(keeping target: String) {
    let path = Self.path(beside: target)
    let isKept = Self.paths.withLock { paths in
      guard FileDescriptor.link(target, to: path) else { return false }
      paths.insert(path)
      return true
    }
    guard isKept else { return nil }
    self.init(path)
  }

  /// Puts the file where it was; whether that was possible.
  func takeBack(_ target: String) -> Bool {
    do throws(CheckpointError) {
      try FileDescriptor.rename(path, to: target, replacing: true)
      return true
    } catch {
      // Renaming may be what has just failed.
      FileDescriptor.remove(target)
      return FileDescriptor.link(path, to: target)
    }
  }

  private static func path(beside target: String) -> String {
    let (directory, name) = FileDescriptor.split(target)
    let random = String(UInt32.random(in: 0...UInt32.max), radix: 36)
    return "\(directory)/\(prefix(name))\(FileDescriptor.processIdentifier).\(random)\(suffix)"
  }

  /// What the hidden names beside a file begin with; one name may be as long as the system allows, and
  /// the hidden one needs room for more.
  private static func prefix(_ name: String) -> String {
    ".\(String(decoding: name.utf8.prefix(128), as: UTF8.self))."
  }

  deinit {
    let path = path
    Self.paths.withLock {
      // After a rename nothing stands there any more.
      FileDescriptor.remove(path)
      _ = $0.remove(path)
    }
  }

  /// Removes those files beside `target` whose process has ended without doing so.
  ///
  /// Processes are told apart by their numbers: where containers that number them differently write one
  /// file at the same time, one may take the other's file away, and that write fails.
  static func removeStale(beside target: String) {
    let (directory, name) = FileDescriptor.split(target)
    let prefix = prefix(name)
    for name in FileDescriptor.names(in: directory) where name.hasPrefix(prefix) {
      guard let process = process(of: name.dropFirst(prefix.count)) else { continue }
      let path = "\(directory)/\(name)"
      if process == FileDescriptor.processIdentifier {
        // One before this had the same number, as the first in a container always has.
        paths.withLock { if !$0.contains(path) { FileDescriptor.remove(path) } }
      } else if !FileDescriptor.isRunning(process) {
        FileDescriptor.remove(path)
      }
    }
  }

  /// The process of a hidden name's end, `PID.RANDOM.tmp`; nil when it is none.
  private static func process(of end: Substring) -> Int32? {
    let parts = end.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[2] == suffix.dropFirst(), UInt32(parts[1], radix: 36) != nil,
      let process = Int32(parts[0]), process > 0
    else { return nil }
    return process
  }

  /// Removes all that there are and ends the process, before any thread can see that they are gone.
  static func removeAll(andThen end: () -> Never) -> Never {
    paths.withLock { paths in
      for path in paths { FileDescriptor.remove(path) }
      end()
    }
  }
}
