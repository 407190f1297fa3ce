import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite("AtomicFile")
struct AtomicFileTests {
  let directory: TemporaryDirectory
  let small: Checkpoint

  init() throws {
    directory = try TemporaryDirectory()
    small = Checkpoint(stateDict: ["w": Tensor([Float(1), 2], shape: [2])])
  }

  /// The code of the error with which writing ends; its file must be the target, no hidden one.
  func failure(
    _ contents: CheckpointContents? = nil,
    to path: String,
    replacing: Bool = false,
    source: String? = nil
  ) -> CheckpointError.Code? {
    do throws(CheckpointError) {
      try (contents ?? small.contents).write(
        to: path,
        format: StrataFormat(),
        options: WriteOptions(replacesExisting: replacing),
        sources: source.map { [$0] } ?? []
      )
      return nil
    } catch {
      #expect(error.file == path)
      return error.code
    }
  }

  @Test("A new file is written, nothing else stays, and it may be read as others may")
  func new() throws {
    let path = directory.path("x.strata")
    try small.write(to: path)
    #expect(try Checkpoint(contentsOf: path) == small)
    #expect(try directory.names() == ["x.strata"])
    try directory.write([], to: "other")
    #expect(try permissions("x.strata") == permissions("other"))
  }

  @Test("An existing target is refused and stays as it is")
  func exists() throws {
    let path = try directory.write([1, 2, 3], to: "x.strata")
    #expect(failure(to: path) == .exists)
    #expect(try directory.read("x.strata") == [1, 2, 3])
    #expect(try directory.names() == ["x.strata"])
  }

  @Test("Who comes first wins: a target that appears while writing is not replaced")
  func race() throws {
    let path = directory.path("x.strata")
    let file = try AtomicFile(path, replacingExisting: false)
    try file.write(Bytes([9]), at: 0)
    try directory.write([1], to: "x.strata")
    do throws(CheckpointError) {
      try file.commit { _ in }
      Issue.record("replaced")
    } catch {
      #expect(error.code == .exists)
    }
    #expect(try directory.read("x.strata") == [1])
    #expect(try directory.names() == ["x.strata"])
  }

  @Test("Replacing keeps the permission bits", arguments: [0o600, 0o640, 0o664, 0o755])
  func replacing(bits: Int) throws {
    let path = try directory.write([1], to: "x.strata")
    try FileManager.default.setAttributes([.posixPermissions: bits], ofItemAtPath: path)
    #expect(failure(to: path, replacing: true) == nil)
    #expect(try Checkpoint(contentsOf: path) == small)
    #expect(try permissions("x.strata") == bits)
    #expect(try directory.names() == ["x.strata"])
  }

  @Test("A directory or a device is no target", arguments: [true, false])
  func directoryAsTarget(replacing: Bool) throws {
    #expect(failure(to: "/dev/null", replacing: replacing) == .notAFile)
    #expect(failure(to: directory.path, replacing: replacing) == .notAFile)
    #expect(try directory.names() == [])
  }

  @Test("A symbolic link is written through", arguments: [true, false])
  func symbolicLink(relative: Bool) throws {
    let real = try directory.write([1], to: "real.strata")
    let link = directory.path("link.strata")
    try FileManager.default.createSymbolicLink(
      atPath: link,
      withDestinationPath: relative ? "real.strata" : real
    )
    #expect(failure(to: link) == .exists)
    #expect(failure(to: link, replacing: true) == nil)
    #expect(try Checkpoint(contentsOf: real) == small)
    let type = try FileManager.default.attributesOfItem(atPath: link)[.type] as? FileAttributeType
    #expect(type == .typeSymbolicLink)
    #expect(try directory.names() == ["link.strata", "real.strata"])
  }

  @Test("A missing directory, or a file in its place, is named by the target")
  func missingDirectory() throws {
    #expect(failure(to: directory.path("none/x.strata")) == .notWritable)
    let file = try directory.write([1], to: "file")
    #expect(failure(to: file + "/x.strata", replacing: true) == .notWritable)
    #expect(try directory.names() == ["file"])
  }

  @Test("The longest name that the system allows")
  func longName() throws {
    let name = String(repeating: "n", count: 248) + ".strata"
    try small.write(to: directory.path(name))
    #expect(try directory.names() == [name])
  }

  @Test("A tensor that cannot be read leaves nothing behind", arguments: [true, false])
  func throwingSource(replacing: Bool) throws {
    struct Broken: TensorBytes {
      func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
        throw CheckpointError(.checksumMismatch, file: nil, "broken")
      }
    }
    let path = directory.path("x.strata")
    if replacing { try directory.write([1], to: "x.strata") }
    let broken = StoredTensor(
      name: "b",
      dtype: .float32,
      shape: [4],
      storedByteCount: 16,
      encoding: "raw",
      file: nil,
      contents: Broken()
    )
    let contents = CheckpointContents(tensors: small.contents.tensors + [broken])
    #expect(failure(contents, to: path, replacing: replacing) == .checksumMismatch)
    #expect(try directory.names() == (replacing ? ["x.strata"] : []))
    if replacing { #expect(try directory.read("x.strata") == [1]) }
  }

  @Test(
    "What the format cannot say is refused before a file stays",
    arguments: [
      ("", .badName), ("a\u{0}b", .badName), (String(repeating: "n", count: 1025), .badName),
      ("w", .duplicateName),
    ] as [(String, CheckpointError.Code)]
  )
  func names(name: String, wanted: CheckpointError.Code) throws {
    let tensor = StoredTensor(Tensor([Float(1)], shape: []), named: name)
    let contents = CheckpointContents(tensors: small.contents.tensors + [tensor])
    #expect(failure(contents, to: directory.path("x.strata")) == wanted)
    #expect(try directory.names() == [])
  }

  @Test(
    "Input and output must not be one file, under whatever name",
    arguments: ["same", "hard", "symbolic"]
  )
  func sameFile(kind: String) throws {
    let source = directory.path("x.strata")
    try small.write(to: source)
    let before = try directory.read("x.strata")
    var target = source
    if kind != "same" { target = directory.path("y.strata") }
    if kind == "hard" { try FileManager.default.linkItem(atPath: source, toPath: target) }
    if kind == "symbolic" {
      try FileManager.default.createSymbolicLink(atPath: target, withDestinationPath: source)
    }
    let contents = try CheckpointReader(contentsOf: source).contents
    #expect(failure(contents, to: target, replacing: true, source: source) == .sameFile)
    #expect(try directory.read("x.strata") == before)
  }

  @Test("A source that writes differently the second time is noticed")
  func readBack() throws {
    // The format is handed other bytes than it reports checksums for.
    struct Lying: CheckpointFormat {
      let name = "lying"
      let fileExtensions: [String] = []
      func recognizes(_ source: ByteSource) -> Bool { true }
      func open(
        _ source: ByteSource, options: ReadOptions
      ) throws(CheckpointError) -> CheckpointContents {
        try StrataFormat().open(source, options: options)
      }
      func dropped(from contents: CheckpointContents) -> [String] { [] }
      func write(
        _ contents: CheckpointContents,
        to file: borrowing AtomicFile,
        options: WriteOptions
      ) throws(CheckpointError) -> [UInt32] {
        try StrataFormat().write(contents, to: file, options: options).map { $0 ^ 1 }
      }
    }
    #expect(
      code { () throws(CheckpointError) in
        try small.write(to: directory.path("x.strata"), format: Lying())
      } == .checksumMismatch
    )
    #expect(try directory.names() == [])
  }

  @Test("A value that goes away uncommitted takes its hidden file along")
  func abandoned() throws {
    do {
      let file = try AtomicFile(directory.path("x.strata"), replacingExisting: false)
      try file.reserve(1000)
      try file.write(Bytes([1]), at: 10)
      try file.truncate(to: 5)
      #expect(try directory.names().count == 1)
      #expect(file.path == directory.path("x.strata"))
    }
    #expect(try directory.names() == [])
  }

  @Test("What an ended process of the same number left is removed, what is being written is not")
  func leftovers() throws {
    let path = directory.path("x.strata")
    let first = try AtomicFile(path, replacingExisting: false)
    let stale = ".x.strata.\(getpid()).0.tmp"
    try directory.write([1], to: stale)
    let second = try AtomicFile(path, replacingExisting: false)
    let names = try directory.names().map { directory.path($0) }
    #expect(names.sorted() == [first.temporaryPath, second.temporaryPath].sorted())
    try first.write(Bytes([1]), at: 0)
    try second.write(Bytes([2]), at: 0)
    try first.commit { _ in }
    #expect(commitFailure(second) == .exists)
    #expect(try directory.read("x.strata") == [1])
    #expect(try directory.names() == ["x.strata"])
  }

  @Test("An unfinished file that others take away, or put another in its place", arguments: [0, 1])
  func takenAway(others: Int) throws {
    let file = try AtomicFile(directory.path("x.strata"), replacingExisting: false)
    try file.write(Bytes([1]), at: 0)
    try FileManager.default.removeItem(atPath: file.temporaryPath)
    if others == 1 { try Data([2]).write(to: URL(fileURLWithPath: file.temporaryPath)) }
    #expect(commitFailure(file) == .notWritable)
    #expect(try directory.names() == [])
  }

  @Test("Setting space aside does not change the size")
  func reserving() throws {
    let file = try AtomicFile(directory.path("x.strata"), replacingExisting: false)
    try file.reserve(100_000)
    try file.write(Bytes([1, 2]), at: 0)
    try file.commit { _ in }
    #expect(try directory.read("x.strata") == [1, 2])
  }

  private func commitFailure(_ file: consuming AtomicFile) -> CheckpointError.Code? {
    do {
      try file.commit { _ in }
      return nil
    } catch {
      return error.code
    }
  }

  private func permissions(_ name: String) throws -> Int? {
    let attributes = try FileManager.default.attributesOfItem(atPath: directory.path(name))
    return (attributes[.posixPermissions] as? NSNumber)?.intValue
  }
}
