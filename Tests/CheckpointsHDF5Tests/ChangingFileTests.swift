import Checkpoints
import CheckpointsHDF5
import Foundation
import Testing

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// HDF5 files that somebody else writes to or replaces while they are read, by libhdf5 or past it.
@Suite struct ChangingFileTests {
  enum Change: String, CaseIterable {
    case overwrite, append, cut, empty
    case replace, remove

    /// Whether the open file has other bytes afterwards.
    var isOfContent: Bool { ![.replace, .remove].contains(self) }

    func make(_ path: String) throws {
      let handle = try #require(FileHandle(forUpdatingAtPath: path))
      defer { try? handle.close() }
      let size = try handle.seekToEnd()
      switch self {
      case .overwrite:
        try handle.seek(toOffset: 0)
        try handle.write(contentsOf: [0x89])
      case .append: try handle.write(contentsOf: [0])
      case .cut: try handle.truncate(atOffset: size - 1)
      case .empty: try handle.truncate(atOffset: 0)
      case .replace:
        try Data("something else".utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
      case .remove: try FileManager.default.removeItem(atPath: path)
      }
    }
  }

  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// A copy of the fixture of every kind of storage, which was written long ago, as far as its time tells.
  private func copy() throws -> String {
    let path = directory.path("x.h5")
    try Data(Fixtures.bytes("storage.h5")).write(to: URL(fileURLWithPath: path))
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSince1970: 1e9)], ofItemAtPath: path)
    return path
  }

  @Test(
    "An open file gives the content that it had, or an error",
    arguments: Change.allCases, Place.allCases)
  func openFile(change: Change, place: Place) throws {
    let path = try copy()
    let expected = try place.format.open(ByteSource(contentsOf: path)).tensors.map { try $0.read() }
    let opened = try place.format.open(ByteSource(contentsOf: path))
    try change.make(path)
    for (tensor, expected) in zip(opened.tensors, expected) {
      do throws(CheckpointError) {
        let found = try tensor.read()
        // Nothing is read of a tensor without elements.
        #expect(!change.isOfContent || expected.bytes.count == 0, "\(tensor.name)")
        #expect(found == expected, "\(tensor.name)")
      } catch {
        #expect(
          change.isOfContent && error.code == .fileChanged
            || [.cut, .empty].contains(change) && error.code == .truncated,
          "\(tensor.name): \(error)")
      }
    }
  }

  @Test("A file that its writer has locked is busy", arguments: Place.allCases)
  func locked(place: Place) throws {
    let path = try copy()
    let descriptor = unsafe open(path, O_RDONLY)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try #require(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
    expectFault(.fileBusy) { _ = try place.format.open(ByteSource(contentsOf: path)) }
    flock(descriptor, LOCK_UN)
    #expect(try place.format.open(ByteSource(contentsOf: path)).tensors.isEmpty == false)
  }
}
