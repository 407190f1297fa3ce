import Checkpoints
import TestSupport
import Testing

/// A file that breaks one rule while all of its checksums are right.
struct Malformed: Sendable, CustomTestStringConvertible {
  var rule: String
  var code: CheckpointError.Code
  var bytes: [UInt8]
  var testDescription: String { rule }

  init(_ rule: String, _ code: CheckpointError.Code, _ change: (inout StrataImage) -> Void) {
    self.rule = rule
    self.code = code
    var image = StrataImage.small
    change(&image)
    self.bytes = image.bytes()
  }

  init(_ rule: String, _ code: CheckpointError.Code, bytes: [UInt8]) {
    self.rule = rule
    self.code = code
    self.bytes = bytes
  }

  /// The stored bytes of a deflated chunk, and a shape for them.
  private static func deflate(_ image: inout StrataImage, _ stored: [UInt8], _ shape: [UInt64]) {
    image.parts[0].chunks = [stored]
    image.stateDict[0].encoding = 1
    image.stateDict[0].dimensions = shape
  }

  private static func section(_ kind: UInt32, flags: UInt32 = 0) -> StrataImage.Section {
    StrataImage.Section(kind: kind, flags: flags, payload: [1, 2, 3])
  }

  static let header: [Malformed] = [
    .init("N1: no byte", .truncated, bytes: []),
    .init("N1: the magic alone", .truncated, bytes: Array(StrataImage.small.bytes()[..<12])),
    .init("N2: one byte more", .trailingData, bytes: StrataImage.small.bytes() + [0]),
    .init(
      "N2: a second file",
      .trailingData,
      bytes: StrataImage.small.bytes() + StrataImage.small.bytes()
    ),
    .init(
      "N3: another magic",
      .badMagic,
      bytes: Array("PK\u{3}\u{4}".utf8) + [UInt8](repeating: 0, count: 99)
    ),
    .init(
      "N3: line ends converted",
      .badMagic,
      bytes: [0x89] + Array("STRATA".utf8) + [0x0A] + StrataImage.small.bytes()[9...]
    ),
    .init(
      "N3: line ends converted to CRLF",
      .badMagic,
      bytes: [0x89] + Array("STRATA".utf8) + [0x0D, 0x0D, 0x0A] + StrataImage.small.bytes()[9...]
    ),
    .init("N3: seven bits", .badMagic, bytes: [0x09] + StrataImage.small.bytes()[1...]),
    .init("N4: major version", .unsupportedVersion) { $0.major = 2 },
    .init("N4: major version 0", .unsupportedVersion) { $0.major = 0 },
    .init("N4: required flag", .unsupportedVersion) { $0.requiredFlags = 1 << 31 },
    .init("N5: swapped", .wrongEndian) { $0.mark = 0x3412 },
    .init("N6: directory of 2^63", .lengthOutOfRange) { $0.directoryLength = 1 << 63 },
    .init("N6: directory of 2^64 − 64", .lengthOutOfRange) { $0.directoryLength = ~63 },
    .init("N6: directory beyond the end", .lengthOutOfRange) { $0.directoryLength = 1 << 20 },
    .init("N6: no multiple of 64", .lengthOutOfRange) { $0.directoryLength = 65 },
    .init("a file of 2^63", .lengthOutOfRange) { $0.fileLength = 1 << 63 },
    .init("longer announced", .truncated) { $0.fileLength = 1 << 40 },
    .init("shorter announced", .trailingData) { $0.fileLength = 128 },
    .init("nothing announced", .trailingData) { $0.fileLength = 0 },
    .init("N13: reserved field", .hole) { $0.reserved = 1 },
    .init("N13: last reserved field", .hole) { $0.lastReserved = 1 << 63 },
  ]

  static let sections: [Malformed] = [
    .init("2^32 − 1 sections", .countExceedsFile) { $0.sectionCount = .max },
    .init("one section too few", .hole) { $0.sectionCount = 3 },
    .init("kinds descend", .metadataInvalid) { $0.changeSections = { $0.swapAt(0, 1) } },
    .init("a kind twice", .metadataInvalid) { $0.changeSections = { $0.insert($0[1], at: 1) } },
    .init("kind 0", .metadataInvalid) {
      $0.changeSections = { $0.insert(Self.section(0), at: 0) }
    },
    .init("no part table", .metadataInvalid) {
      $0.parts = []
      $0.stateDict = []
      $0.goldens = []
      $0.changeSections = { $0.remove(at: 0) }
    },
    .init("no state dict", .metadataInvalid) {
      $0.parts = []
      $0.goldens = []
      $0.changeSections = { $0.remove(at: 1) }
    },
    .init("unknown required section", .unsupportedVersion) {
      $0.changeSections = { $0.append(Self.section(99, flags: 1)) }
    },
    .init("reserved section flag", .hole) { $0.changeSections = { $0[3].flags = 2 } },
    .init("section of 2^63", .lengthOutOfRange) {
      $0.changeSections = { $0[3].length = 1 << 63 }
    },
    .init("section beyond the directory", .lengthOutOfRange) {
      $0.changeSections = { $0[3].length = 1000 }
    },
    .init("bytes behind a payload", .hole) { $0.changeSections = { $0[3].payload.append(0) } },
    .init("bytes behind the tensors", .hole) {
      $0.changeSections = { $0[1].payload += [0, 0, 0, 0] }
    },
    .init("N13: padding of a section", .hole) {
      $0.metadata[0].value.append(0x21)
      $0.changeSections = { $0[3].padding = 1 }
    },
    .init("N13: padding of the directory", .hole) { $0.directoryTail = [0, 0, 1] },
    .init("N13: 64 zeros at the directory's end", .hole) {
      $0.directoryTail = [UInt8](repeating: 0, count: 64)
    },
  ]

  static let parts: [Malformed] = [
    .init("N7: 2^32 − 1 parts", .countExceedsFile) { $0.partCount = .max },
    .init("N7: 2^32 − 1 chunks", .countExceedsFile) { $0.parts[2].chunkCount = .max },
    .init("N13: reserved field of a part", .hole) { $0.parts[1].reserved = 1 },
    .init("N11: length of a part", .sizeMismatch) { $0.parts[0].length = 7 },
    .init("N11: a part of 2^63 − 1", .sizeMismatch) { $0.parts[0].length = 1 << 63 - 1 },
    .init("a part of 2^63", .lengthOutOfRange) { $0.parts[0].length = 1 << 63 },
    .init("a chunk of no byte", .sizeMismatch) { $0.parts[0].chunks.append([]) },
    .init("N12: a part begins too early", .overlap) { $0.parts[1].shift = -64 },
    .init("N12: parts exchanged", .overlap) {
      $0.parts[1].shift = 64
      $0.parts[2].shift = -64
      $0.parts[0].shift = -64
    },
    .init("N13: a part begins too late", .hole) { $0.parts[1].gap = 64 },
    .init("N13: bytes behind the parts", .hole) { $0.dataTail = [UInt8](repeating: 0, count: 64) },
    .init("N13: padding of a part", .hole) { $0.parts[0].padding = 1 },
    .init("N14: misaligned", .misaligned) { $0.parts[1].shift = 8 },
    .init("N13: part of no tensor", .hole) { $0.parts.append(.init(chunks: [[1]])) },
    .init("a part begins where the file ends", .lengthOutOfRange) { $0.missing = 64 },
    .init("a part ends behind the file", .lengthOutOfRange) {
      $0.parts[1].chunks = [[UInt8](repeating: 7, count: 128)]
      $0.stateDict[1].dimensions = [128]
      $0.missing = 128
    },
    .init("the padding ends behind the file", .lengthOutOfRange) { $0.missing = 1 },
    .init("only the header of a file", .lengthOutOfRange) { $0.missing = 3 * 64 },
  ]

  static let tensors: [Malformed] = [
    .init("N7: 2^32 − 1 tensors", .countExceedsFile) { $0.tensorCount = .max },
    .init("one tensor too few", .hole) { $0.tensorCount = 1 },
    .init("an entry of 20 bytes", .lengthOutOfRange) { $0.stateDict[0].length = 20 },
    .init("an entry of 0 bytes", .lengthOutOfRange) { $0.stateDict[0].length = 0 },
    .init("an entry of 2^32 − 8 bytes", .lengthOutOfRange) { $0.stateDict[0].length = ~7 },
    .init("an entry of 25 bytes", .lengthOutOfRange) { $0.stateDict[0].length = 25 },
    .init("8 bytes too many in an entry", .hole) {
      $0.stateDict[0].further = [UInt8](repeating: 0, count: 8)
    },
    .init("N13: padding of an entry", .hole) { $0.stateDict[0].padding = 1 },
    .init("N9: a dimension of 2^64 − 1", .shapeOverflow) { $0.stateDict[0].dimensions = [.max] },
    .init("N9: a product of 2^64", .shapeOverflow) {
      $0.stateDict[0].dimensions = [1 << 32, 1 << 32]
    },
    .init("N9: bytes of 2^63", .shapeOverflow) { $0.stateDict[0].dimensions = [1 << 60] },
    .init("N9: 0 hides an overflow", .shapeOverflow) {
      $0.stateDict[0].dimensions = [0, 1 << 62, 1 << 62]
    },
    .init("N10: rank 255", .rankLimit) { $0.stateDict[0].rank = 255 },
    .init("N10: rank 33", .rankLimit) {
      $0.stateDict[0].dimensions = [UInt64](repeating: 1, count: 33)
    },
    .init("rank beyond the entry", .countExceedsFile) { $0.stateDict[0].rank = 32 },
    .init("65,535 parts", .countExceedsFile) { $0.stateDict[0].partCount = .max },
    .init("N11: shape too large", .sizeMismatch) { $0.stateDict[0].dimensions = [7] },
    .init("N11: shape too small", .sizeMismatch) { $0.stateDict[0].dimensions = [5] },
    .init("N11: empty shape with data", .sizeMismatch) { $0.stateDict[0].dimensions = [0] },
    .init("N11: 2^59 elements", .sizeMismatch) { $0.stateDict[0].dimensions = [1 << 59] },
    .init("N11: another dtype", .sizeMismatch) { $0.stateDict[0].dtype = 3 },
    .init("N12: one part, two tensors", .overlap) { $0.stateDict[1].references[0].part = 0 },
    .init("N12: a part of state dict and golden", .overlap) {
      $0.goldens[0].references[0].part = 0
    },
    .init("an unknown part", .lengthOutOfRange) { $0.stateDict[0].references[0].part = 3 },
    .init("N13: reserved field of a reference", .hole) {
      $0.stateDict[0].references[0].reserved = 1
    },
    .init("N15: a name twice", .duplicateName) { $0.stateDict[1].name = $0.stateDict[0].name },
    .init("N15: two spellings of a name", .duplicateName) {
      $0.stateDict[0].name = Array("gr\u{F6}\u{DF}e".utf8)
      $0.stateDict[1].name = Array("gro\u{308}\u{DF}e".utf8)
    },
    .init("N16: no name", .badName) { $0.stateDict[0].name = [] },
    .init("N16: 1025 bytes", .badName) {
      $0.stateDict[0].name = [UInt8](repeating: 0x61, count: 1025)
    },
    .init("N16: invalid UTF-8", .badName) { $0.stateDict[0].name = [0x61, 0xFF] },
    .init("N16: a surrogate", .badName) { $0.stateDict[0].name = [0xED, 0xA0, 0x80] },
    .init("N16: overlong", .badName) { $0.stateDict[0].name = [0xC1, 0xA1] },
    .init("N16: NUL", .badName) { $0.goldens[0].name = [0x61, 0, 0x62] },
    .init("name beyond the entry", .lengthOutOfRange) { $0.stateDict[0].nameLength = .max },
  ]

  static let encodings: [Malformed] = [
    .init("a chunk size of 0", .lengthOutOfRange) { $0.stateDict[0].parameters = [0, 0, 0, 0] },
    .init("a chunk size of 12", .lengthOutOfRange) { $0.stateDict[0].parameters = [12, 0, 0, 0] },
    .init("a chunk size of 2^24 + 8", .lengthOutOfRange) {
      $0.stateDict[0].parameters = [8, 0, 0, 1]
    },
    .init("parameters of 3 bytes", .sizeMismatch) { $0.stateDict[0].parameters = [0, 1, 0] },
    .init("parameters of 5 bytes", .sizeMismatch) { $0.stateDict[0].parameters = [0, 1, 0, 0, 0] },
    .init("more chunks than needed", .sizeMismatch) {
      $0.parts[0].chunks = [[1, 2, 3], [4, 5, 6]]
    },
    .init("N19: 2^20 bytes out of 8", .expansionLimit) {
      Self.deflate(&$0, [UInt8](repeating: 0, count: 8), [1 << 20])
    },
    .init("N19: one byte above the limit", .expansionLimit) {
      Self.deflate(&$0, [UInt8](repeating: 0, count: 8), [1032 * 8 + 65])
    },
    .init("N20: exactly the limit", .decompressMismatch) {
      Self.deflate(&$0, [UInt8](repeating: 0, count: 8), [1032 * 8 + 64])
    },
    .init("N20: no stream", .decompressMismatch) { Self.deflate(&$0, [1, 2, 3], [6]) },
    .init("N20: fewer bytes", .decompressMismatch) { Self.deflate(&$0, stream, [7]) },
    .init("N20: more bytes", .decompressMismatch) { Self.deflate(&$0, stream, [5]) },
    .init("N20: trailing bytes", .decompressMismatch) { Self.deflate(&$0, stream + [0], [6]) },
    .init("N20: bad Adler-32", .decompressMismatch) {
      Self.deflate(&$0, stream.dropLast() + [stream[stream.count - 1] ^ 1], [6])
    },
    .init("N20: no Adler-32", .decompressMismatch) {
      Self.deflate(&$0, Array(stream.dropLast(4)), [6])
    },
  ]

  /// A zlib stream of 1, 2, 3, 4, 5, 6, stored: head, one last block, its length and the length's
  /// complement, the bytes, Adler-32.
  static let stream: [UInt8] = [
    0x78, 0x01, 1, 6, 0, 0xF9, 0xFF, 1, 2, 3, 4, 5, 6, 0x00, 0x3E, 0x00, 0x16,
  ]

  static let texts: [Malformed] = [
    .init("metadata keys descend", .metadataInvalid) {
      $0.metadata = [(Array("b".utf8), []), (Array("a".utf8), [])]
    },
    .init("a metadata key twice", .metadataInvalid) {
      $0.metadata = [(Array("a".utf8), []), (Array("a".utf8), [])]
    },
    .init("two spellings of a metadata key", .metadataInvalid) {
      $0.metadata = [(Array("o\u{308}".utf8), []), (Array("\u{F6}".utf8), [])]
    },
    .init("a metadata value that is not UTF-8", .metadataInvalid) {
      $0.metadata = [(Array("a".utf8), [0xFF])]
    },
    .init("a metadata key beyond the section", .lengthOutOfRange) {
      $0.changeSections = { $0[3].payload[8] = 200 }
    },
    .init("N7: 2^32 − 1 metadata entries", .countExceedsFile) {
      $0.changeSections = { $0[3].payload.replaceSubrange(0..<4, with: [0xFF, 0xFF, 0xFF, 0xFF]) }
    },
    .init("a model description that is not UTF-8", .metadataInvalid) {
      $0.modelDescription = [0x22, 0xFF, 0x22]
    },
  ]

  static let opaque: [Malformed] = [
    .init("N21: 10^5 deep", .metadataInvalid) {
      $0.moduleRecords = [UInt8](repeating: 0x5B, count: 100_000)
    },
    .init("N21: 10^5 deep and closed", .metadataInvalid) {
      $0.moduleRecords =
        [UInt8](repeating: 0x5B, count: 100_000) + [UInt8](repeating: 0x5D, count: 100_000)
    },
    .init("N21: NaN", .metadataInvalid) {
      $0.moduleRecords = Array(#"[{"options":{"a":NaN},"path":"","type":""}]"#.utf8)
    },
    .init("module records that are none", .metadataInvalid) {
      $0.moduleRecords = Array(#"{"path":""}"#.utf8)
    },
  ]

  static let all = header + sections + parts + tensors + encodings + texts + opaque
}

@Suite("StrataFormat+Reading")
struct StrataReadingTests {
  @Test("The image is a sound file, and so is its deflated twin")
  func sound() throws {
    let checkpoint = try load(StrataImage.small.bytes())
    #expect(checkpoint.stateDict.map(\.name) == ["w", "bias"])
    #expect(checkpoint.stateDict["w"]?.shape == [2, 3])
    #expect(checkpoint.goldens["output"]?.bytes.array == [12])
    #expect(checkpoint.metadata == ["key": "value"])
    #expect(try load(Self.deflated.bytes()) == checkpoint)
  }

  static var deflated: StrataImage {
    var image = StrataImage.small
    image.parts[0].chunks = [Malformed.stream]
    image.stateDict[0].encoding = 1
    return image
  }

  @Test("Each rule has its code", arguments: Malformed.all)
  func malformed(file: Malformed) throws {
    do throws(CheckpointError) {
      try load(file.bytes)
      Issue.record("accepted")
    } catch {
      #expect(error.code == file.code, "\(error)")
      // JSON has places, but no bytes of the file.
      if !Malformed.opaque.contains(where: { $0.rule == file.rule }) {
        #expect(error.offset != nil, "\(error)")
      }
    }
  }

  @Test("Errors name file and tensor")
  func named() throws {
    let directory = try TemporaryDirectory()
    let file = try #require(Malformed.encodings.first { $0.rule.contains("bad Adler") })
    let path = try directory.write(file.bytes, to: "x.strata")
    do throws(CheckpointError) {
      _ = try Checkpoint(contentsOf: path)
      Issue.record("accepted")
    } catch {
      #expect(error.file == path)
      #expect(error.tensor == "w")
    }
  }

  @Test("A bool that is neither 0 nor 1 keeps its bits and counts as 1")
  func bool() throws {
    var image = StrataImage.small
    image.stateDict[0].dtype = 13
    let tensor = try #require(try load(image.bytes()).stateDict["w"])
    #expect(tensor.bytes.array == [1, 2, 3, 4, 5, 6])
    #expect(try tensor.integers() == [1, 1, 1, 1, 1, 1])
  }

  @Test("The offset of an error lies in the entry that is wrong")
  func offsets() throws {
    // Header, part table of three parts, section head, count, and the entry of "w".
    let section = 64 + (16 + 8 + 3 * 32)
    let entry = section + 16 + 8 + 56
    func offset(_ change: (inout StrataImage) -> Void) -> Int {
      do throws(CheckpointError) {
        try load(Malformed("", .hole, change).bytes)
        return -1
      } catch {
        return error.offset ?? -1
      }
    }
    #expect((entry..<(entry + 48)).contains(offset { $0.stateDict[1].rank = 255 }))
    #expect((entry..<(entry + 48)).contains(offset { $0.stateDict[1].dimensions = [6] }))
    #expect((entry..<(entry + 48)).contains(offset { $0.stateDict[1].name = Array("b\0as".utf8) }))
    #expect((entry..<(entry + 48)).contains(offset { $0.stateDict[1].name = [0xFF, 1, 2, 3] }))
    #expect(offset { $0.changeSections = { $0[1].payload[4] = 1 } } == section + 16 + 4)
    #expect(offset { $0.changeSections = { $0[1].flags = 3 } } == section)
  }

  // MARK: Later versions

  @Test(
    "An unknown dtype, encoding, storage, layout, role or count of parts spoils one tensor",
    arguments: 0..<7
  )
  func unreadable(which: Int) throws {
    var image = StrataImage.small
    switch which {
    case 0: image.stateDict[0].dtype = 14
    case 1: image.stateDict[0].encoding = 2
    case 2: image.stateDict[0].storage = 4
    case 3: image.stateDict[0].layout = 1
    case 4: image.stateDict[0].references[0].role = 1
    case 5:
      image.parts.append(.init(chunks: [[1, 2, 3]]))
      image.stateDict[0].references.append((role: 1, reserved: 0, part: 3))
    default: image.stateDict[0].dtype = 0
    }
    if which < 2 { image.stateDict[0].parameters = [1, 2, 3] }
    let reader = try CheckpointReader(ByteSource(Bytes(image.bytes())))
    #expect(reader.tensors.map(\.name) == ["w", "bias"])
    let spoiled = try #require(reader["w"])
    #expect(spoiled.dtype == nil)
    #expect(spoiled.shape == [2, 3])
    #expect(code { () throws(CheckpointError) in try spoiled.read() } == .encodingUnsupported)
    #expect(try reader["bias"]?.read().bytes.array == [7, 8, 9, 10, 11])
    try reader.contents.verify()

    var bytes = image.bytes()
    bytes[bytes.count - 64 * image.parts.count] ^= 1
    let damaged = try CheckpointReader(ByteSource(Bytes(bytes)))
    #expect(
      code { () throws(CheckpointError) in try damaged.contents.verify() } == .checksumMismatch
    )
  }

  @Test("An unknown optional section is skipped and listed, and its part is checked")
  func optionalSection() throws {
    var image = StrataImage.small
    image.parts.append(.init(chunks: [[1, 2, 3], [4]]))
    image.changeSections = { $0.append(.init(kind: 77, payload: [1, 2, 3, 4, 5])) }
    let reader = try CheckpointReader(ByteSource(Bytes(image.bytes())))
    #expect(reader.contents.ignored.count == 1)
    #expect(reader.contents.ignored.first?.contains("77") == true)
    #expect(try Checkpoint(reader) == load(StrataImage.small.bytes()))
    var bytes = image.bytes()
    bytes[bytes.count - 1] = 1
    #expect(code { () throws(CheckpointError) in try load(bytes) } == .checksumMismatch)
  }

  @Test("Optional flags and a higher minor version with longer entries are accepted")
  func minorVersion() throws {
    var image = StrataImage.small
    image.optionalFlags = .max
    image.minor = 7
    image.stateDict[0].further = Array(1...21)
    image.stateDict[1].padding = 9
    #expect(try load(image.bytes()) == load(StrataImage.small.bytes()))
  }

  @Test("Chunks of any allowed size", arguments: [8, 16, 1 << 24])
  func chunkSizes(size: Int) throws {
    var image = StrataImage.small
    let array = [UInt8](1...40)
    image.parts[0].chunks = stride(from: 0, to: 40, by: size).map {
      Array(array[$0..<min($0 + size, 40)])
    }
    image.stateDict[0].parameters = StrataImage.little(UInt32(size))
    image.stateDict[0].dimensions = [40]
    let reader = try CheckpointReader(ByteSource(Bytes(image.bytes())))
    let stored = try #require(reader["w"])
    for lower in 0...40 {
      for upper in lower...40 {
        #expect(try stored.bytes(in: lower..<upper).array == Array(array[lower..<upper]))
      }
    }
  }

  // MARK: Every bit and every length

  static let sweeps = ["raw": StrataImage.small.bytes(), "deflate": deflated.bytes()]

  @Test("Every single flipped bit is refused, with its place", arguments: sweeps.keys.sorted())
  func flips(name: String) throws {
    let sound = try #require(Self.sweeps[name])
    let dataStart = sound.count - 3 * 64
    for byte in sound.indices {
      for bit in 0..<8 {
        var bytes = sound
        bytes[byte] ^= 1 << UInt8(bit)
        do throws(CheckpointError) {
          try load(bytes)
          Issue.record("bit \(bit) of byte \(byte) may flip")
        } catch {
          let code: CheckpointError.Code = byte < 12 ? .badMagic : .checksumMismatch
          let offset = byte < 64 ? 0 : byte < dataStart ? 64 : byte / 64 * 64
          guard error.code == code, error.offset == offset else {
            Issue.record("bit \(bit) of byte \(byte): \(error.code.rawValue): \(error)")
            continue
          }
        }
        if code({ () throws(CheckpointError) in try Checkpoint(bytes) }) == nil {
          Issue.record("bit \(bit) of byte \(byte) may flip when the format is detected")
        }
      }
    }
  }

  @Test("Every truncation is refused", arguments: sweeps.keys.sorted())
  func truncations(name: String) throws {
    let sound = try #require(Self.sweeps[name])
    for count in 0..<sound.count {
      do throws(CheckpointError) {
        try load(Array(sound[..<count]))
        Issue.record("\(count) bytes are accepted")
      } catch {
        #expect(error.code == .truncated && error.offset == count, "\(count): \(error)")
      }
    }
  }
}
