import Foundation
import TestSupport
import Testing

@testable import Checkpoints

@Suite("ZipWriter")
struct ZipWriterTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  static let contents: [(name: String, bytes: [UInt8])] = [
    ("a", []), ("b/größe", [1, 2, 3]), ("c", [UInt8](repeating: 7, count: 100_000)),
    ("d", Array("abcd".utf8)),
  ]

  private func write(
    _ name: String, _ method: ZipArchive.Method = .stored, alignment: Int = 64
  ) throws -> String {
    let file = try AtomicFile(directory.path(name), replacingExisting: false)
    var writer = ZipWriter(alignment: alignment)
    for (name, bytes) in Self.contents {
      try writer.add(name, method, count: bytes.count, to: file) { write throws(CheckpointError) in
        // In two pieces.
        try write(Bytes(Array(bytes[..<(bytes.count / 3)])))
        try write(Bytes(Array(bytes[(bytes.count / 3)...])))
      }
    }
    try writer.finish(file)
    try file.commit { _ in }
    return directory.path(name)
  }

  @Test("What is written is read", arguments: [ZipArchive.Method.stored, .deflated])
  func roundTrip(method: ZipArchive.Method) throws {
    let archive = try ZipArchive(ByteSource(contentsOf: write("x.zip", method)))
    #expect(archive.entries.map(\.name) == Self.contents.map(\.name))
    for (entry, content) in zip(archive.entries, Self.contents) {
      #expect(entry.method == method)
      #expect(try archive.contents(of: entry, atMost: 1 << 20).array == content.bytes)
      #expect(entry.dataOffset % 64 == 0)
    }
    #expect(archive.uncheckedCount == 0)
    if method == .deflated { #expect(archive.entries[2].storedCount < 1000) }
  }

  @Test("Every alignment, from every remainder", arguments: [1, 2, 4, 8, 16, 64])
  func alignment(alignment: Int) throws {
    let file = try AtomicFile(directory.path("x"), replacingExisting: false)
    var writer = ZipWriter(alignment: alignment)
    for count in 0..<70 {
      try writer.add("\(count)", Bytes([UInt8](repeating: 1, count: count)), to: file)
    }
    try writer.finish(file)
    try file.commit { _ in }
    let archive = try ZipArchive(ByteSource(contentsOf: directory.path("x")))
    #expect(archive.entries.map(\.count) == Array(0..<70))
    #expect(archive.entries.allSatisfy { $0.dataOffset % alignment == 0 })
  }

  @Test("The same entries give the same bytes", arguments: [ZipArchive.Method.stored, .deflated])
  func reproducible(method: ZipArchive.Method) throws {
    let first = try write("1", method)
    let second = try write("2", method)
    #expect(try directory.read("1") == directory.read("2"))
    #expect(first != second)
  }

  @Test("More entries than 16 bits count")
  func many() throws {
    let file = try AtomicFile(directory.path("x"), replacingExisting: false)
    var writer = ZipWriter(alignment: 1)
    let byte = Bytes([1])
    for count in 0..<65536 { try writer.add("\(count)", byte, to: file) }
    try writer.finish(file)
    try file.commit { _ in }
    let archive = try ZipArchive(ByteSource(contentsOf: directory.path("x")))
    #expect(archive.entries.count == 65536)
    #expect(archive["65535"]?.count == 1)
  }

  @Test(
    "Names that no archive may have",
    arguments: [
      ("", CheckpointError.Code.badName), ("a\u{0}", .badName),
      (String(repeating: "n", count: 65536), .badName), ("../x", .unsafePath), ("/x", .unsafePath),
      ("a/../x", .unsafePath), ("C:/x", .unsafePath), (#"..\x"#, .unsafePath),
      ("c", .duplicateName),
    ])
  func badNames(name: String, expected: CheckpointError.Code) throws {
    let file = try AtomicFile(directory.path("x"), replacingExisting: false)
    var writer = ZipWriter()
    try writer.add("c", Bytes([1]), to: file)
    do {
      try writer.add(name, Bytes([1]), to: file)
      Issue.record("\(name) was written")
    } catch {
      #expect(error.code == expected)
    }
  }

  @Test("Fewer or more bytes than announced", arguments: [0, 4, 6])
  func wrongCount(count: Int) throws {
    let file = try AtomicFile(directory.path("x"), replacingExisting: false)
    var writer = ZipWriter()
    do {
      try writer.add("c", count: 5, to: file) { write throws(CheckpointError) in
        try write(Bytes([UInt8](repeating: 0, count: count)))
      }
      Issue.record("\(count) bytes were written")
    } catch {
      #expect(error.code == .sizeMismatch)
    }
  }
}
