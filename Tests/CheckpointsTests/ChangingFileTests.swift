import Checkpoints
import Foundation
import TestSupport
import Testing

/// Files that somebody else writes to, replaces or removes while they are read.
@Suite struct ChangingFileTests {
  static let formats: [any CheckpointFormat] = .builtIn.filter { $0.name != "npy" }

  enum Change: String, CaseIterable {
    case overwrite, append, cut, empty
    case replace, remove, chmod, link

    /// Whether the open file has other bytes afterwards.
    var isOfContent: Bool { [.overwrite, .append, .cut, .empty].contains(self) }

    func make(_ path: String) throws {
      let handle = try #require(FileHandle(forUpdatingAtPath: path))
      defer { try? handle.close() }
      let size = try handle.seekToEnd()
      let manager = FileManager.default
      switch self {
      case .overwrite:
        try handle.seek(toOffset: size - 70)
        let byte = try #require(try handle.read(upToCount: 1))
        try handle.seek(toOffset: size - 70)
        try handle.write(contentsOf: [byte[byte.startIndex] ^ 4])
      case .append: try handle.write(contentsOf: [0])
      case .cut: try handle.truncate(atOffset: size - 1)
      case .empty: try handle.truncate(atOffset: 0)
      case .replace:
        try Data("something else".utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
      case .remove: try manager.removeItem(atPath: path)
      case .chmod: try manager.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
      case .link: try manager.linkItem(atPath: path, toPath: path + ".link")
      }
    }
  }

  let directory: TemporaryDirectory
  let checkpoint: Checkpoint

  init() throws {
    directory = try TemporaryDirectory()
    var generator = SeededGenerator(seed: 12)
    checkpoint = Checkpoint(stateDict: [
      "a": try randomTensor(.float32, shape: [40, 50], using: &generator),
      "b": try randomTensor(.float32, shape: [64], using: &generator),
    ])
  }

  /// A file that was written long ago, as far as its time tells.
  private func write(_ format: any CheckpointFormat) throws -> String {
    let path = directory.path("x.\(format.fileExtensions[0])")
    try checkpoint.write(to: path, format: format)
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSince1970: 1e9)], ofItemAtPath: path)
    return path
  }

  @Test("An open file gives the content that it had, or an error", arguments: Change.allCases)
  func openFile(change: Change) throws {
    for format in Self.formats {
      let path = try write(format)
      let reader = try CheckpointReader(contentsOf: path)
      try change.make(path)
      if change.isOfContent {
        let found = code { () throws(CheckpointError) in try Checkpoint(reader) }
        #expect(
          found == .fileChanged || found == .truncated && [.cut, .empty].contains(change),
          "\(format.name): \(found?.rawValue ?? "read")")
      } else {
        #expect(try Checkpoint(reader).stateDict == checkpoint.stateDict, "\(format.name)")
      }
      for name in try directory.names() {
        try FileManager.default.removeItem(atPath: directory.path(name))
      }
    }
  }

  @Test("What was copied stays as it was", arguments: Change.allCases)
  func copied(change: Change) throws {
    for format in Self.formats {
      let path = try write(format)
      let loaded = try Checkpoint(contentsOf: path)
      try change.make(path)
      #expect(loaded.stateDict == checkpoint.stateDict, "\(format.name)")
      for name in try directory.names() {
        try FileManager.default.removeItem(atPath: directory.path(name))
      }
    }
  }

  @Test(
    "What was mapped outlives its name",
    arguments: Change.allCases.filter { !$0.isOfContent })
  func mapped(change: Change) throws {
    for format in Self.formats {
      for verify in [Checkpoint.MappedVerification.all, .directory] {
        let path = try write(format)
        let mapped = try Checkpoint(mappingImmutableFileAt: path, verify: verify)
        try change.make(path)
        #expect(mapped.stateDict == checkpoint.stateDict, "\(format.name)")
        for name in try directory.names() {
          try FileManager.default.removeItem(atPath: directory.path(name))
        }
      }
    }
  }

  @Test("A resource of a bundle is mapped, and checked")
  func bundle() throws {
    let bundle = try #require(Bundle(path: directory.path))
    _ = try write(StrataFormat())
    let loaded = try Checkpoint(bundleResource: "x", in: bundle)
    #expect(loaded == checkpoint)
    #expect(
      code { () throws(CheckpointError) in try Checkpoint(bundleResource: "y", in: bundle) }
        == .fileNotFound)
    try Change.overwrite.make(directory.path("x.strata"))
    #expect(
      code { () throws(CheckpointError) in try Checkpoint(bundleResource: "x", in: bundle) }
        == .checksumMismatch)
  }
}
