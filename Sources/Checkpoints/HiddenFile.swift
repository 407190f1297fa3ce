internal import Synchronization

/// A file under a name that nobody looks for, removed with its last reference.
final class HiddenFile: Sendable {
  /// The path.
  let path: String

  /// The hidden files of this process.
  private static let paths = Mutex<Set<String>>([])

  /// Takes over a file that exists.
  init(_ path: String) {
    self.path = path
    _ = Self.paths.withLock { $0.insert(path) }
  }

  deinit {
    // After a rename nothing stands there any more.
    FileDescriptor.remove(path)
    let path = path
    _ = Self.paths.withLock { $0.remove(path) }
  }

  /// Removes all that there are, for a process that is about to end.
  static func removeAll() {
    for path in paths.withLock({ $0 }) { FileDescriptor.remove(path) }
  }
}
