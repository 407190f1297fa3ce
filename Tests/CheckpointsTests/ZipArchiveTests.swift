import Foundation
import TestSupport
import Testing

@testable import Checkpoints

@Suite("ZipArchive")
struct ZipArchiveTests {
  private static func archive(_ bytes: [UInt8]) throws(CheckpointError) -> ZipArchive {
    try ZipArchive(ByteSource(Bytes(bytes)))
  }

  /// Opens an archive and reads every entry.
  private static func contents(_ bytes: [UInt8]) throws(CheckpointError) -> [String: [UInt8]] {
    let archive = try archive(bytes)
    var contents: [String: [UInt8]] = [:]
    for entry in archive.entries {
      contents[entry.name] = try archive.contents(of: entry, atMost: 1 << 20).array
    }
    return contents
  }

  private static let small = ["a/one": Array("first content".utf8), "a/two": [1, 2, 3, 4, 5]]
  /// "abcabcabc…" as one block with a fixed code, made by `zlib.compressobj(wbits=-15)` of Python.
  private static let deflated: (stream: [UInt8], content: [UInt8]) = (
    [0x4B, 0x4C, 0x4A, 0x4E, 0x1C, 0x45, 0xC4, 0x21, 0x00],
    (0..<300).map { Array("abc".utf8)[$0 % 3] }
  )

  // MARK: What writers do

  @Test("Entries in the directory's order, found by name")
  func entries() throws {
    var image = ZipImage.small
    image.entries.append(.init("a/deep/", []))
    image.entries.append(.init("none", []))
    let archive = try Self.archive(image.bytes())
    #expect(archive.entries.map(\.name) == ["a/one", "a/two", "none"])
    #expect(archive["a/two"]?.count == 5)
    #expect(archive["a/deep/"] == nil)
    #expect(try Self.contents(image.bytes()) == Self.small.merging(["none": []]) { a, _ in a })
    #expect(try Self.archive(ZipImage().bytes()).entries.isEmpty)
  }

  @Test(
    "Sizes behind the data, with and without signature, in 32 and 64 bits",
    arguments: [true, false], [true, false])
  func descriptors(signature: Bool, wide: Bool) throws {
    let bytes = ZipImage.small {
      for index in 0...1 { $0.entries[index].describe(signature: signature, wide: wide) }
    }
    #expect(try Self.contents(bytes) == Self.small)
  }

  @Test("Sizes in ZIP64 fields, needed or not")
  func wideSizes() throws {
    let bytes = ZipImage.small {
      $0.entries[0].local.extra = ZipImage.wideField(13, 13)
      ($0.entries[0].local.count, $0.entries[0].local.storedCount) = (.max, .max)
      $0.entries[0].central.extra = ZipImage.wideField(13)
      $0.entries[0].central.count = .max
      // A descriptor, and numbers of which none is known yet.
      $0.entries[1].describe(wide: true)
      $0.entries[1].local.extra = ZipImage.wideField(0, 0)
      ($0.entries[1].local.count, $0.entries[1].local.storedCount) = (.max, .max)
      let place = UInt64(30 + 5 + 20 + 13)
      $0.entries[1].central.extra = ZipImage.wideField(5, 5, place)
      $0.entries[1].place = .max
      $0.wide = .init()
      ($0.count, $0.size, $0.start) = (.max, .max, .max)
    }
    #expect(try Self.contents(bytes) == Self.small)
    #expect(try Self.contents(ZipImage.small { $0.wide = .init() }) == Self.small)
  }

  @Test("Padding in extra fields, a comment, file modes")
  func harmless() throws {
    let bytes = ZipImage.small {
      $0.entries[0].local.extra = ZipImage.field(0x4246, [UInt8](repeating: 0x5A, count: 60))
      $0.entries[1].local.extra = [0, 0, 0]
      $0.entries[1].central.extra = ZipImage.field(0x7075, [1, 0, 0, 0, 0] + Array("a/two".utf8))
      $0.entries[0].attributes = 0o100644 << 16
      $0.comment = Array("a comment".utf8)
    }
    #expect(try Self.contents(bytes) == Self.small)
  }

  @Test("A missing checksum is accepted and counted")
  func missingChecksum() throws {
    let bytes = ZipImage.small { $0.entries[0].change { $0.checksum = 0 } }
    #expect(try Self.contents(bytes) == Self.small)
    #expect(try Self.archive(bytes).uncheckedCount == 1)
    #expect(try Self.archive(ZipImage.small.bytes()).uncheckedCount == 0)
  }

  // MARK: What is refused

  struct Refused: Sendable, CustomTestStringConvertible {
    var rule: String
    var code: CheckpointError.Code
    var bytes: [UInt8]
    var testDescription: String { rule }

    init(
      _ rule: String, _ code: CheckpointError.Code, _ change: (inout ZipImage) -> Void
    ) {
      self.rule = rule
      self.code = code
      self.bytes = ZipImage.small(change)
    }
  }

  static let refused: [Refused] = [
    Refused("P11 two entries of one name", .duplicateEntry) { $0.entries.append($0.entries[0]) },
    Refused("P12 name", .zipAmbiguous) { $0.entries[0].local.name = Array("a/onE".utf8) },
    Refused("P12 length of name", .zipAmbiguous) { $0.entries[0].local.name = Array("a/".utf8) },
    Refused("P12 size", .zipAmbiguous) { $0.entries[0].central.count = 14 },
    Refused("P12 both sizes", .zipAmbiguous) {
      ($0.entries[0].central.count, $0.entries[0].central.storedCount) = (14, 14)
    },
    Refused("P12 checksum", .zipAmbiguous) { $0.entries[1].local.checksum += 1 },
    Refused("P12 method", .zipAmbiguous) { $0.entries[1].local.method = 8 },
    Refused("P12 flags", .zipAmbiguous) { $0.entries[1].local.flags = 8 },
    Refused("P12 zero sizes without the flag", .zipAmbiguous) {
      ($0.entries[1].local.count, $0.entries[1].local.storedCount) = (0, 0)
    },
    Refused("P12 descriptor missing", .zipAmbiguous) { $0.entries[0].change { $0.flags = 8 } },
    Refused("P12 descriptor's size", .zipAmbiguous) {
      $0.entries[0].describe()
      $0.entries[0].descriptor[8] += 1
    },
    Refused("P12 descriptor's checksum", .zipAmbiguous) {
      $0.entries[1].describe(wide: true)
      $0.entries[1].descriptor[4] ^= 1
    },
    Refused("P12 descriptor's signature", .zipAmbiguous) {
      $0.entries[1].describe()
      $0.entries[1].descriptor[0] = 0
    },
    Refused("P12 descriptor of an odd length", .zipAmbiguous) {
      $0.entries[0].describe()
      $0.entries[0].descriptor.append(0)
    },
    Refused("P13 one local header for two", .overlap) {
      $0.entries[1].place = 0
      $0.entries[1].data = []
    },
    Refused("P13 data over the next entry", .overlap) {
      $0.entries[0].change { ($0.count, $0.storedCount) = (20, 20) }
    },
    Refused("P13 data over the directory", .overlap) {
      $0.entries[1].change { ($0.count, $0.storedCount) = (20, 20) }
    },
    Refused("P14 checksum", .checksumMismatch) { $0.entries[0].change { $0.checksum ^= 1 } },
    Refused("P15 prefix", .zipAmbiguous) { $0.prefix = Array("#!/bin/sh\n".utf8) },
    Refused("P15 bytes between entries", .zipAmbiguous) { $0.entries[1].gap = [0] },
    Refused("P15 bytes before the directory", .zipAmbiguous) { $0.gap = [0] },
    Refused("P15 bytes behind the directory", .zipAmbiguous) { $0.directoryTail = [0] },
    Refused("P15 bytes behind the end", .zipAmbiguous) { $0.suffix = [0] },
    Refused("P15 comment holding PK", .zipAmbiguous) { $0.comment = Array("xPKx".utf8) },
    Refused("P15 two end records", .zipAmbiguous) { $0.suffix = ZipImage().bytes() },
    Refused("P15 an end record in the comment", .zipAmbiguous) {
      $0.comment = ZipImage.small.bytes().suffix(22)
    },
    Refused("P15 two archives", .zipAmbiguous) { $0.prefix = ZipImage.small.bytes() },
    Refused("P15 count too small", .zipAmbiguous) { $0.count = 1 },
    Refused("P15 count too large", .zipAmbiguous) { $0.count = 3 },
    Refused("P15 count absurd", .zipAmbiguous) { $0.count = 60000 },
    Refused("P15 directory elsewhere", .zipAmbiguous) { $0.start = 7 },
    Refused("P15 directory of another size", .zipAmbiguous) { $0.size = 46 },
    Refused("P15 ZIP64 of another count", .zipAmbiguous) { $0.wide = .init(count: 3) },
    Refused("P15 ZIP64 of absurd count", .zipAmbiguous) {
      $0.wide = .init(count: 1 << 62)
      $0.count = .max
    },
    Refused("P15 ZIP64 of absurd size", .zipAmbiguous) {
      $0.wide = .init(size: .max)
      $0.size = .max
    },
    Refused("P15 ZIP64 of absurd start", .zipAmbiguous) {
      $0.wide = .init(start: .max)
      $0.start = .max
    },
    Refused("P15 ZIP64 elsewhere", .zipAmbiguous) { $0.wide = .init(place: 3) },
    Refused("P15 ZIP64 absurdly far", .zipAmbiguous) { $0.wide = .init(place: .max) },
    Refused("P15 ZIP64 of another length", .zipAmbiguous) { $0.wide = .init(recordSize: 45) },
    Refused("P15 ZIP64 missing", .zipAmbiguous) { $0.start = .max },
    Refused("P15 ZIP64 field missing", .zipAmbiguous) { $0.entries[0].central.count = .max },
    Refused("P15 ZIP64 field disagreeing", .zipAmbiguous) {
      $0.entries[0].central.extra = ZipImage.wideField(14)
    },
    Refused("P15 ZIP64 field absurd", .lengthOutOfRange) {
      $0.entries[0].central.extra = ZipImage.wideField(.max, .max)
      ($0.entries[0].central.count, $0.entries[0].central.storedCount) = (.max, .max)
    },
    Refused("P15 ZIP64 field twice", .zipAmbiguous) {
      $0.entries[0].central.extra = ZipImage.wideField(13) + ZipImage.wideField(13)
      $0.entries[0].central.count = .max
    },
    Refused("P15 local ZIP64 field disagreeing", .zipAmbiguous) {
      $0.entries[0].local.extra = ZipImage.wideField(14)
      $0.entries[0].local.count = .max
    },
    Refused("P15 extra field cut off", .zipAmbiguous) {
      $0.entries[0].central.extra = [1, 0, 20, 0, 1]
    },
    Refused("P15 second name", .zipAmbiguous) {
      $0.entries[0].central.extra = ZipImage.field(0x7075, [1, 0, 0, 0, 0, 0x61])
    },
    Refused("P15 local header elsewhere", .zipAmbiguous) { $0.entries[1].place = 50 },
    Refused("P15 no local header", .zipAmbiguous) { $0.entries[0].local.name += [0] },
    Refused("P15 stored with two sizes", .zipAmbiguous) {
      $0.entries[0].change { $0.count = 12 }
    },
    Refused("P15 directory with data", .zipAmbiguous) {
      $0.entries[0].change { $0.name = Array("a/".utf8) }
    },
    Refused("P16 encrypted", .zipUnsupported) { $0.entries[0].change { $0.flags = 1 } },
    Refused("P16 strongly encrypted", .zipUnsupported) { $0.entries[0].change { $0.flags = 64 } },
    Refused("P16 method 99", .zipUnsupported) { $0.entries[0].change { $0.method = 99 } },
    Refused("P17 ../x", .unsafePath) { $0.entries[0].change { $0.name = Array("../x".utf8) } },
    Refused("P17 a/..", .unsafePath) { $0.entries[0].change { $0.name = Array("a/..".utf8) } },
    Refused("P17 absolute", .unsafePath) { $0.entries[0].change { $0.name = Array("/x".utf8) } },
    Refused("P17 backslash", .unsafePath) {
      $0.entries[0].change { $0.name = Array(#"a\..\x"#.utf8) }
    },
    Refused("P17 drive", .unsafePath) { $0.entries[0].change { $0.name = Array("C:/x".utf8) } },
    Refused("P17 symbolic link", .unsafePath) { $0.entries[0].attributes = 0o120777 << 16 },
    Refused("P17 pipe", .unsafePath) { $0.entries[0].attributes = 0o010644 << 16 },
    Refused("no UTF-8", .badName) { $0.entries[0].change { $0.name = [0xFF] } },
    Refused("NUL", .badName) { $0.entries[0].change { $0.name = [0x61, 0] } },
    Refused("no name", .badName) { $0.entries[0].change { $0.name = [] } },
    Refused("deflate cannot do that", .expansionLimit) {
      $0.entries[0].change {
        $0.method = 8
        $0.count = 13 * 1032 + 65
      }
    },
    Refused("comment cut off", .zipAmbiguous) {
      $0.comment = [1, 2]
      $0.commentLength = 3
    },
  ]

  @Test("Each rule has its code", arguments: refused)
  func refusal(_ refused: Refused) {
    #expect(
      code { () throws(CheckpointError) in try Self.contents(refused.bytes) } == refused.code)
  }

  /// A letter, a colon and a slash are a drive; whatever else has a colon is a name like any other.
  @Test("A colon is no drive", arguments: ["m:1/data.pkl", "C:x", "1:/x", "ab:/x", "C:", "a/b:/x"])
  func colons(name: String) throws {
    var image = ZipImage.small
    image.entries[0].change { $0.name = Array(name.utf8) }
    #expect(try Self.archive(image.bytes()).entries[0].name == name)
  }

  @Test("No zip, and every truncation")
  func truncations() throws {
    for bytes in [[], [1, 2, 3], Array("PICKLE".utf8)] as [[UInt8]] {
      #expect(code { () throws(CheckpointError) in try Self.archive(bytes) } == .badMagic)
    }
    let whole = ZipImage.small.bytes()
    for count in 2..<whole.count {
      let code = code { () throws(CheckpointError) in try Self.archive(Array(whole[..<count])) }
      #expect(code == .truncated, "\(count)")
    }
  }

  @Test("A flipped bit is refused, or changes nothing that is read")
  func flips() throws {
    var image = ZipImage.small
    image.entries[0].describe()
    image.entries.append(
      .init("c", deflated: Self.deflated.stream, of: Self.deflated.content))
    let sound = image.bytes()
    let expected = try Self.contents(sound)
    for byte in sound.indices {
      for bit in 0..<8 {
        var bytes = sound
        bytes[byte] ^= 1 << UInt8(bit)
        guard let found = try? Self.contents(bytes) else { continue }
        #expect(found == expected, "byte \(byte), bit \(bit)")
      }
    }
  }

  // MARK: Deflated entries

  @Test("Deflated entries, whole and in pieces")
  func inflating() throws {
    let image = ZipImage(entries: [
      .init("c", deflated: Self.deflated.stream, of: Self.deflated.content)
    ])
    let archive = try Self.archive(image.bytes())
    let entry = try #require(archive["c"])
    #expect(try archive.contents(of: entry, atMost: 300).array == Self.deflated.content)
    #expect(
      code { () throws(CheckpointError) in try archive.contents(of: entry, atMost: 299) }
        == .lengthOutOfRange)
    let bytes = archive.bytes(of: entry)
    for range in [0..<10, 10..<11, 50..<300, 0..<300, 299..<300, 7..<7] {
      #expect(try bytes.bytes(in: range).array == Array(Self.deflated.content[range]))
    }
    #expect(
      code { () throws(CheckpointError) in try bytes.bytes(in: 0..<301) } == .lengthOutOfRange)
    try bytes.verify(count: 300)
  }

  @Test("Z6: another size than announced, a damaged stream, bytes behind it")
  func wrongSizes() {
    let (stream, content) = Self.deflated
    var entries: [ZipImage.Entry] = [
      .init("c", deflated: stream, of: Array(content.dropLast())),
      .init("c", deflated: stream, of: content + [0]),
      .init("c", deflated: stream, of: []),
      .init("c", deflated: stream + [0], of: content),
      .init("c", deflated: [7] + stream, of: content),
      .init("c", deflated: [], of: []),
    ]
    for count in 1..<stream.count {
      entries.append(.init("c", deflated: Array(stream[..<count]), of: content))
    }
    for entry in entries {
      let bytes = ZipImage(entries: [entry]).bytes()
      #expect(
        code { () throws(CheckpointError) in try Self.contents(bytes) } == .decompressMismatch)
    }
  }

  @Test("A format may allow less than deflate can do")
  func expansion() throws {
    let content = [UInt8](repeating: 0, count: 1 << 20)
    let stream = Array(try Deflate.compressed(Bytes(content)).array.dropFirst(2).dropLast(4))
    let source = ByteSource(
      Bytes(ZipImage(entries: [.init("c", deflated: stream, of: content)]).bytes()))
    #expect(
      code { () throws(CheckpointError) in try ZipArchive(source, largestExpansion: 100) }
        == .zipUnsupported)
    let archive = try ZipArchive(source)
    #expect(try archive.contents(of: archive.entries[0], atMost: 1 << 20).array == content)
  }

  @Test("Pieces from front to back inflate once, a step back begins anew")
  func sequential() throws {
    var generator = SeededGenerator(seed: 3)
    let content = (0..<(3 << 20)).map { _ in UInt8.random(in: 0..<16, using: &generator) }
    let stream = Array(try Deflate.compressed(Bytes(content)).array.dropFirst(2).dropLast(4))
    let archive = try Self.archive(
      ZipImage(entries: [.init("c", deflated: stream, of: content)]).bytes())
    let bytes = archive.bytes(of: archive.entries[0])
    // Inflating all before each piece would be 3000 times 1.5 MiB: far beyond this time.
    let time = try processorTime {
      for start in Swift.stride(from: 0, to: content.count, by: 1024) {
        let piece = try bytes.bytes(in: start..<(start + 1024))
        #expect(piece.array == Array(content[start..<(start + 1024)]))
      }
    }
    #expect(time < .seconds(60) * Sanitizer.slowness)
    for _ in 0..<10 {
      let range = randomRange(content.count, using: &generator)
      #expect(try bytes.bytes(in: range).array == Array(content[range]), "\(generator)")
    }
  }

  // MARK: Checksums

  @Test("A wrong checksum shows with the last piece, with the first one elsewhere, and ever after")
  func checksums() throws {
    let archive = try Self.archive(ZipImage.small { $0.entries[0].change { $0.checksum ^= 1 } })
    let entry = archive.entries[0]
    func code(_ bytes: any TensorBytes, _ range: Range<Int>) -> CheckpointError.Code? {
      CheckpointsTests.code { () throws(CheckpointError) in try bytes.bytes(in: range) }
    }
    let sequential = archive.bytes(of: entry)
    #expect(code(sequential, 0..<5) == nil)
    #expect(code(sequential, 5..<12) == nil)
    #expect(code(sequential, 12..<13) == .checksumMismatch)
    #expect(code(sequential, 0..<1) == .checksumMismatch)
    #expect(code(archive.bytes(of: entry), 1..<2) == .checksumMismatch)
    #expect(
      CheckpointsTests.code { () throws(CheckpointError) in
        try archive.bytes(of: entry).verify(count: 13)
      } == .checksumMismatch)
  }

  @Test("What was checked is not read again")
  func checkedOnce() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write(ZipImage.small.bytes(), to: "x.zip")
    // A change that the file's time tells would be an error by itself.
    func setTime() throws {
      let time = Date(timeIntervalSince1970: 1_000_000_000)
      try FileManager.default.setAttributes([.modificationDate: time], ofItemAtPath: path)
    }
    try setTime()
    let archive = try ZipArchive(ByteSource(contentsOf: path))
    let entry = archive.entries[0]
    let checked = archive.bytes(of: entry)
    #expect(try checked.bytes(in: 2..<7).array == Array("rst c".utf8))
    let file = try #require(FileHandle(forWritingAtPath: path))
    try file.seek(toOffset: UInt64(entry.dataOffset))
    try file.write(contentsOf: [0x46])
    try file.close()
    try setTime()
    #expect(try checked.bytes(in: 0..<3).array == Array("Fir".utf8))
    #expect(
      code { () throws(CheckpointError) in
        try archive.bytes(of: entry).bytes(in: 2..<3)
      } == .checksumMismatch)
  }

  @Test("Many entries take linear time")
  func many() throws {
    let image = ZipImage(entries: (0..<20000).map { .init("n/\($0)", [UInt8($0 & 255)]) })
    let bytes = image.bytes()
    let time = try processorTime {
      let archive = try Self.archive(bytes)
      #expect(archive.entries.count == 20000)
      #expect(archive["n/19999"]?.count == 1)
    }
    #expect(time < .seconds(60) * Sanitizer.slowness)
  }
}
