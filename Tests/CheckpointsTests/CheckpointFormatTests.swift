import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite("CheckpointFormat")
struct CheckpointFormatTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// The code of the error with which loading ends.
  func failure(_ path: String) -> CheckpointError.Code? {
    do throws(CheckpointError) {
      _ = try Checkpoint(contentsOf: path)
      return nil
    } catch {
      #expect(error.file == path)
      return error.code
    }
  }

  @Test(
    "Content decides, whatever the extension",
    arguments: ["x.strata", "x.h5", "x", "x.strata.bak"]
  )
  func content(name: String) throws {
    let path = try directory.write(StrataImage.small.bytes(), to: name)
    let reader = try CheckpointReader(contentsOf: path)
    #expect(reader.format == "strata")
    #expect(reader.path == path)
    #expect(reader.byteCount == StrataImage.small.bytes().count)
    #expect(reader.tensors.count == 2)
  }

  @Test(
    "Unknown content: the extension's format says what is wrong, or the format is unknown",
    arguments: [
      ("x.strata", .badMagic), ("x.STRATA", .badMagic), ("x.dat", .unknownFormat),
      ("strata", .unknownFormat),
    ] as [(String, CheckpointError.Code)]
  )
  func unknown(name: String, wanted: CheckpointError.Code) throws {
    let path = try directory.write(Array("neither fish nor flesh".utf8), to: name)
    #expect(failure(path) == wanted)
  }

  @Test(
    "A transfer in text mode is told from other content",
    arguments: [
      [0x89] + Array("STRATA\n\u{1A}\n\u{0}".utf8), [0x89] + Array("STRATA\r\r\n\u{1A}".utf8),
      [0x09] + Array("STRATA\r\n\u{1A}".utf8),
    ] as [[UInt8]]
  )
  func textMode(bytes: [UInt8]) throws {
    let path = try directory.write(bytes + [UInt8](repeating: 0, count: 100), to: "x.bin")
    do throws(CheckpointError) {
      _ = try Checkpoint(contentsOf: path)
      Issue.record("accepted")
    } catch {
      #expect(error.code == .badMagic)
      #expect(error.reason.contains("text mode"))
    }
  }

  @Test("An empty file is truncated, whatever it is called", arguments: ["x.strata", "x.bin"])
  func empty(name: String) throws {
    #expect(failure(try directory.write([], to: name)) == .truncated)
  }

  @Test("Empty bytes from memory")
  func emptyBytes() {
    #expect(code { () throws(CheckpointError) in try Checkpoint([UInt8]()) } == .truncated)
  }

  @Test("No file, a directory, a file as directory")
  func noFile() throws {
    #expect(failure(directory.path("none.strata")) == .fileNotFound)
    #expect(failure(directory.path) == .notAFile)
    #expect(failure("/dev/null") == .notAFile)
    let file = try directory.write([1], to: "file")
    #expect(failure(file + "/x.strata") == .fileNotFound)
    #expect(
      code { () throws(CheckpointError) in
        try Checkpoint(mappingImmutableFileAt: directory.path("none.strata"))
      } == .fileNotFound
    )
    #expect(
      code { () throws(CheckpointError) in
        try Checkpoint(mappingImmutableFileAt: directory.path)
      } == .notAFile
    )
  }

  @Test("From a bundle")
  func bundle() throws {
    try directory.write(StrataImage.small.bytes(), to: "model.strata")
    let bundle = try #require(Bundle(path: directory.path))
    #expect(
      try Checkpoint(bundleResource: "model", in: bundle) == load(StrataImage.small.bytes()))
    #expect(
      code { () throws(CheckpointError) in try Checkpoint(bundleResource: "none", in: bundle) }
        == .fileNotFound)
  }

  @Test("Formats by name and by path")
  func lookup() {
    let formats = [any CheckpointFormat].builtIn
    #expect(formats.format(named: "strata")?.name == "strata")
    #expect(formats.format(named: "hdf5") == nil)
    #expect(formats.format(forPath: "/a.strata/b")?.name == nil)
    #expect(formats.format(forPath: "/a.b/c.Strata")?.name == "strata")
  }
}
