/// A zip archive whose directory, local headers and extents are validated and agree.
///
/// An archive that two readers could understand in two ways is refused: the entries stand one behind
/// the other from the first byte, then the directory, then the end record, and every fact that is told
/// twice is told the same. Source: PKWARE's APPNOTE.TXT, sections 4.3 to 4.5.
package struct ZipArchive: Sendable {
  /// How an entry's bytes are stored.
  package enum Method: Sendable {
    /// As they are.
    case stored
    /// As a raw deflate stream.
    case deflated
  }

  /// A file in the archive.
  package struct Entry: Hashable, Sendable {
    /// The name, a relative path.
    package var name: String
    /// How the bytes are stored.
    package var method: Method
    /// The decoded bytes.
    package var count: Int
    /// The bytes in the archive.
    package var storedCount: Int
    /// The CRC-32 of the decoded bytes; 0 also where the writer left it out.
    package var checksum: UInt32
    /// Where the stored bytes begin.
    package var dataOffset: Int
    /// Where the local header begins.
    package var headerOffset: Int
  }

  /// The entries in the directory's order, those of directories left out.
  package let entries: [Entry]
  private let places: [String: Int]
  private let source: ByteSource
  private let whole = ZipWholeEntry()

  /// Validates an archive; reads the directory and the local headers, but no entry.
  ///
  /// `largestExpansion` is how many times its stored bytes a deflated entry may give, for formats whose
  /// writers never come near what deflate can do.
  /// - Throws: `truncated`, `badMagic`, `zipAmbiguous`, `zipUnsupported`, `duplicateEntry`, `overlap`,
  ///   `lengthOutOfRange`, `unsafePath`, `badName`, `expansionLimit`, `decompressMismatch`.
  package init(
    _ source: ByteSource, largestExpansion: Int = Deflate.largestExpansion
  ) throws(CheckpointError) {
    let end = try ZipEndRecord(source)
    var records = try ZipDirectory(source, end).records
    for record in records { try record.checkExpansion(largest: largestExpansion) }
    try ZipLocalHeaders.check(&records, in: source, end: end.directory.lowerBound)
    let entries = records.filter { !$0.isDirectory }.map(\.entry)
    var places: [String: Int] = [:]
    for (place, entry) in entries.enumerated() { places[entry.name] = place }
    self.entries = entries
    self.places = places
    self.source = source
  }

  /// The entry called `name`.
  package subscript(name: String) -> Entry? {
    places[name].map { entries[$0] }
  }

  /// How many entries hold bytes but no checksum of them: what a format tells as ignored.
  package var uncheckedCount: Int {
    entries.count { $0.count > 0 && $0.checksum == 0 }
  }

  /// The whole content of an entry, inflated and checked.
  /// - Throws: `lengthOutOfRange` when it has more than `limit` bytes; `checksumMismatch`,
  ///   `decompressMismatch`.
  package func contents(of entry: Entry, atMost limit: Int) throws(CheckpointError) -> Bytes {
    guard entry.count <= limit else {
      throw CheckpointError(
        .lengthOutOfRange, file: source.path, offset: entry.headerOffset,
        "the entry \(entry.name) has \(entry.count) bytes, at most \(limit) are read")
    }
    do {
      return try bytes(of: entry).bytes(in: 0..<entry.count)
    } catch {
      throw error.located(file: source.path)
    }
  }

  /// The content of an entry, to be read at any place; stored bytes are not copied where they stand in
  /// memory.
  ///
  /// Read from front to back, an entry is checked on the way, and an error comes with the last piece.
  /// Any other order makes the first read check the whole entry. `verify` checks what was not checked
  /// yet: whoever reads only a part of an entry calls it first. The result of the check is remembered by
  /// the value that this returns; ask once for each entry and share it.
  package func bytes(of entry: Entry) -> any TensorBytes {
    switch entry.method {
    case .stored: ZipStoredBytes(entry, source)
    case .deflated: ZipInflatedBytes(entry, source, keeping: whole)
    }
  }
}

/// The spellings of the format.
enum Zip {
  /// The bit of an entry's external attributes that MS-DOS has for directories.
  static let directoryAttribute: UInt32 = 0x10

  /// How each kind of record begins: the letters PK and two numbers.
  enum Signature {
    static let localHeader: UInt32 = 0x0403_4B50
    static let directoryRecord: UInt32 = 0x0201_4B50
    static let endRecord: UInt32 = 0x0605_4B50
    static let end64Record: UInt32 = 0x0606_4B50
    static let end64Locator: UInt32 = 0x0706_4B50
    static let dataDescriptor: UInt32 = 0x0807_4B50
  }

  /// The sizes of records without what varies.
  enum Size {
    static let localHeader = 30
    static let directoryRecord = 46
    static let endRecord = 22
    static let end64Record = 56
    static let end64Locator = 20
  }

  /// Bits of the flags.
  enum Flag {
    static let encrypted: UInt16 = 1 << 0
    /// Checksum and sizes stand behind the data.
    static let dataDescriptor: UInt16 = 1 << 3
    static let utf8Name: UInt16 = 1 << 11
    /// The bits that change nothing about how an entry is read: how hard deflate tried, and the above.
    static let known: UInt16 = 0b0110 | dataDescriptor | utf8Name
  }

  static let storedMethod: UInt16 = 0
  static let deflatedMethod: UInt16 = 8

  /// Extra fields that matter here.
  enum ExtraField {
    static let zip64: UInt16 = 1
    static let unicodePath: UInt16 = 0x7075
  }
}
