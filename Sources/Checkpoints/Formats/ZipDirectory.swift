/// The central directory of a zip archive.
struct ZipDirectory {
  /// The records in their order, with names that are checked.
  private(set) var records: [ZipRecord] = []

  /// Far above what a checkpoint needs, and what may be held in memory.
  private static let largestSize = 1 << 26

  /// Parses the directory, which must hold exactly the records that the end record counts.
  /// - Throws: `zipAmbiguous`, `zipUnsupported`, `duplicateEntry`, `unsafePath`, `badName`.
  init(_ source: ByteSource, _ end: ZipEndRecord) throws(CheckpointError) {
    guard end.directory.count <= Self.largestSize else {
      throw CheckpointError(
        .zipUnsupported, offset: end.directory.lowerBound,
        "a directory of \(end.directory.count) bytes, at most \(Self.largestSize) are read")
    }
    var reader = ByteReader(
      try source.bytes(in: end.directory), at: end.directory.lowerBound)
    records.reserveCapacity(end.recordCount)
    var names: Set<[UInt8]> = []
    for _ in 0..<end.recordCount {
      let at = reader.offset
      let record = try zipAmbiguity { () throws(CheckpointError) in
        try ZipRecord(parsing: &reader)
      }
      guard names.insert(Array(record.entry.name.utf8)).inserted else {
        throw CheckpointError(
          .duplicateEntry, offset: at, "the archive has two entries \(record.entry.name)")
      }
      records.append(record)
    }
    guard reader.remaining == 0 else {
      throw CheckpointError(
        .zipAmbiguous, offset: reader.offset,
        "\(reader.remaining) bytes behind the directory's \(records.count) records")
    }
  }
}

/// What the directory tells about an entry.
struct ZipRecord {
  var entry: ZipArchive.Entry
  let nameBytes: [UInt8]
  let flags: UInt16
  let method: UInt16

  /// Whether the entry stands for a directory.
  var isDirectory: Bool { nameBytes.last == UInt8(ascii: "/") }
  /// Whether checksum and sizes stand behind the data.
  var hasDescriptor: Bool { flags & Zip.Flag.dataDescriptor != 0 }

  init(parsing reader: inout ByteReader) throws(CheckpointError) {
    let at = reader.offset
    guard try reader.integer(UInt32.self, "signature") == Zip.Signature.directoryRecord else {
      throw CheckpointError(.zipAmbiguous, offset: at, "no directory record stands here")
    }
    _ = try reader.integer(UInt32.self, "versions")
    flags = try reader.integer(UInt16.self, "flags")
    method = try reader.integer(UInt16.self, "method")
    _ = try reader.integer(UInt32.self, "date")
    let checksum = try reader.integer(UInt32.self, "checksum")
    let storedCount = try reader.integer(UInt32.self, "stored size")
    let count = try reader.integer(UInt32.self, "size")
    let nameLength = Int(try reader.integer(UInt16.self, "length of the name"))
    let extraLength = Int(try reader.integer(UInt16.self, "length of the extra fields"))
    let commentLength = Int(try reader.integer(UInt16.self, "length of the comment"))
    let disk = try reader.integer(UInt16.self, "disk")
    _ = try reader.integer(UInt16.self, "internal attributes")
    let attributes = try reader.integer(UInt32.self, "external attributes")
    let offset = try reader.integer(UInt32.self, "place of the local header")
    nameBytes = try reader.take(nameLength, "name").array
    let extra = try ZipExtraFields(try reader.take(extraLength, "extra fields"), at: reader.offset)
    _ = try reader.take(commentLength, "comment")

    let name = try Self.checkedName(nameBytes, attributes: attributes, at: at)
    func fault(_ code: CheckpointError.Code, _ rule: String) -> CheckpointError {
      CheckpointError(code, offset: at, "the entry \(name) \(rule)")
    }
    guard disk == 0 else { throw fault(.zipUnsupported, "stands on another disk") }
    guard flags & Zip.Flag.encrypted == 0 else { throw fault(.zipUnsupported, "is encrypted") }
    guard flags & ~Zip.Flag.known == 0 else {
      throw fault(.zipUnsupported, "has flags \(flags), of which some are unknown here")
    }
    guard method == Zip.storedMethod || method == Zip.deflatedMethod else {
      throw fault(
        .zipUnsupported, "has method \(method), neither stored (0) nor deflated (8)")
    }
    if let other = extra.unicodePath, other != nameBytes {
      throw fault(.zipAmbiguous, "has another name among its extra fields")
    }
    guard let wide = extra.resolve([count, storedCount, offset]) else {
      throw fault(.zipAmbiguous, "has ZIP64 sizes that contradict the plain ones, or none")
    }
    // What does not fit is out of the file as well, which is checked with the places of all entries.
    let sizes = wide.map { Int(clamping: $0) }
    entry = ZipArchive.Entry(
      name: name, method: method == Zip.storedMethod ? .stored : .deflated, count: sizes[0],
      storedCount: sizes[1], checksum: checksum, dataOffset: 0, headerOffset: sizes[2])
    guard entry.method == .deflated || entry.count == entry.storedCount else {
      throw fault(
        .zipAmbiguous, "is stored as it is, but has \(entry.count) bytes in \(entry.storedCount)")
    }
    guard !isDirectory || entry.count == 0 else {
      throw fault(.zipAmbiguous, "is a directory, but has \(entry.count) bytes")
    }
    // torch.load would read nothing of it, and hand out memory that nobody has written.
    guard attributes & Zip.directoryAttribute == 0 || entry.count == 0 else {
      throw fault(
        .zipAmbiguous, "is a directory by its attributes, but has \(entry.count) bytes")
    }
  }

  /// Checks what inflating could give at most.
  /// - Throws: `expansionLimit` when deflate cannot give so much; `zipUnsupported` above `largest`;
  ///   `decompressMismatch` where there is no stream at all.
  func checkExpansion(largest: Int) throws(CheckpointError) {
    guard entry.method == .deflated else { return }
    func limit(_ factor: Int) -> Int {
      let (product, overflow) = entry.storedCount.multipliedReportingOverflow(by: factor)
      return overflow ? .max : min(product, .max - 64) + Deflate.expansionAllowance
    }
    let rule = "the entry \(entry.name) announces \(entry.count) bytes out of \(entry.storedCount)"
    guard entry.storedCount > 0 else {
      throw CheckpointError(
        .decompressMismatch, offset: entry.headerOffset,
        "the entry \(entry.name) is deflated, but no stream is there")
    }
    // What is small anyway may be as repetitive as it likes.
    guard largest >= Deflate.largestExpansion || entry.count <= max(limit(largest), 1 << 16) else {
      throw CheckpointError(
        .zipUnsupported, offset: entry.headerOffset,
        rule + ", more than \(largest) times as much: no writer of this format does that")
    }
    guard entry.count <= limit(Deflate.largestExpansion) else {
      throw CheckpointError(
        .expansionLimit, offset: entry.headerOffset,
        rule + ", deflate gives \(limit(Deflate.largestExpansion)) at most")
    }
  }

  /// The name, when it leads nowhere but downwards and stands for a file or a directory.
  private static func checkedName(
    _ bytes: [UInt8], attributes: UInt32, at offset: Int
  ) throws(CheckpointError) -> String {
    guard let name = String(validating: bytes, as: UTF8.self), !name.isEmpty,
      !bytes.contains(0)
    else {
      throw CheckpointError(
        .badName, offset: offset, "the name of an entry is empty, no UTF-8, or holds a NUL")
    }
    guard !name.isUnsafePath else {
      throw CheckpointError(
        .unsafePath, offset: offset, "the entry \(name) leads out of its directory")
    }
    // The upper half is Unix's file mode, where the writer has one.
    let kind = attributes >> 16 & 0o170000
    guard [0, 0o100000, 0o040000].contains(kind) else {
      throw CheckpointError(
        .unsafePath, offset: offset,
        "the entry \(name) is a \(kind == 0o120000 ? "symbolic link" : "device or pipe")")
    }
    return name
  }
}

/// Runs `body`; whatever does not fit into its place makes the archive ambiguous.
func zipAmbiguity<Result>(
  _ body: () throws(CheckpointError) -> Result
) throws(CheckpointError) -> Result {
  do {
    return try body()
  } catch {
    var error = error
    if error.code == .lengthOutOfRange { error.code = .zipAmbiguous }
    throw error
  }
}

extension String {
  /// Whether the name, taken as a path below a directory, could lead out of it on any system.
  ///
  /// A colon alone does not: `torch.save(…, "epoch:1.pt")` puts everything into a directory `epoch:1`.
  package var isUnsafePath: Bool {
    let components = utf8.split(omittingEmptySubsequences: false) {
      $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\")
    }
    guard let first = components.first else { return false }
    let hasDrive =
      components.count > 1 && first.count == 2
      && first.last == UInt8(ascii: ":") && first.first.map(\.isASCIILetter) ?? false
    return (first.isEmpty && !isEmpty) || hasDrive
      || components.contains { $0.elementsEqual("..".utf8) }
  }
}

extension UInt8 {
  fileprivate var isASCIILetter: Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self | 0x20)
  }
}
