/// A zip archive while it is written: entries one behind the other, then the directory.
///
/// Sizes and checksums stand in the local headers, patched once they are known, so that no reader needs
/// data descriptors; wide sizes only where they are needed. The date is 1980-01-01: the same entries
/// give the same bytes, deflated ones for one build of zlib.
package struct ZipWriter {
  /// How far the archive was written.
  package private(set) var end = 0
  private let alignment: Int
  private var records: [Record] = []
  private var names: Set<String> = []

  /// The kind of extra field that PyTorch aligns with.
  private static let paddingField: UInt16 = 0x4246
  /// 1980-01-01 00:00, the first moment that the format knows.
  private static let date: UInt32 = 1 << 21 | 1 << 16
  /// Entries from here on are written with wide sizes: deflate may make them a little larger.
  private static let wideCount = 0xF000_0000

  private struct Record {
    var name: [UInt8]
    var method: ZipArchive.Method
    var checksum: UInt32 = 0
    var storedCount: Int
    var count: Int
    var headerOffset: Int

    var isWide: Bool { count >= ZipWriter.wideCount }
  }

  /// Begins an archive in an empty file; the data of each entry begin at a multiple of `alignment`.
  package init(alignment: Int = 64) {
    self.alignment = alignment
  }

  /// Writes an entry of `count` decoded bytes, which `body` hands over in order.
  /// - Throws: `badName`, `unsafePath`, `duplicateName`, `notWritable`; `sizeMismatch` when `body`
  ///   hands over more or fewer bytes; what `body` throws.
  package mutating func add(
    _ name: String, _ method: ZipArchive.Method = .stored, count: Int,
    to file: borrowing AtomicFile,
    _ body: (_ write: (Bytes) throws(CheckpointError) -> Void) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    try check(name)
    var record = Record(
      name: Array(name.utf8), method: method, storedCount: count, count: count, headerOffset: end)
    let header = localHeader(record)
    let dataOffset = end + header.count
    try file.write(Bytes(header), at: end)

    var position = dataOffset
    var checksum = CRC32()
    var given = 0
    switch method {
    case .stored:
      try body { piece throws(CheckpointError) in
        try file.write(piece, at: position)
        position += piece.count
        given += piece.count
        checksum.update(piece)
      }
    case .deflated:
      var deflater = try Deflater()
      try body { piece throws(CheckpointError) in
        try deflater.encode(piece, isLast: false) { stored throws(CheckpointError) in
          try file.write(stored, at: position)
          position += stored.count
        }
        given += piece.count
        checksum.update(piece)
      }
      try deflater.encode(Bytes([UInt8]()), isLast: true) { stored throws(CheckpointError) in
        try file.write(stored, at: position)
        position += stored.count
      }
    }
    guard given == count else {
      throw CheckpointError(
        .sizeMismatch, "the entry \(name) was to have \(count) bytes, it has \(given)")
    }
    record.checksum = checksum.value
    record.storedCount = position - dataOffset
    try file.write(Bytes(localHeader(record)), at: end)
    records.append(record)
    end = position
  }

  /// Writes an entry from bytes in memory.
  /// - Throws: `badName`, `unsafePath`, `duplicateName`, `notWritable`.
  package mutating func add(
    _ name: String, _ bytes: Bytes, to file: borrowing AtomicFile
  ) throws(CheckpointError) {
    try add(name, count: bytes.count, to: file) { write throws(CheckpointError) in
      try write(bytes)
    }
  }

  /// Writes the directory, behind which the archive ends.
  package mutating func finish(_ file: borrowing AtomicFile) throws(CheckpointError) {
    var writer = ByteWriter()
    for record in records { append(record, to: &writer) }
    let start = end
    let size = writer.count
    let isWide = records.count >= Int(UInt16.max) || start + size >= Int(UInt32.max)
    if isWide {
      writer.append(Zip.Signature.end64Record)
      writer.append(UInt64(Zip.Size.end64Record - 12))
      writer.append(Self.version(isWide: true))
      writer.append(Self.version(isWide: true))
      writer.append(UInt64(0))  // disks
      writer.append(UInt64(records.count))
      writer.append(UInt64(records.count))
      writer.append(UInt64(size))
      writer.append(UInt64(start))
      writer.append(Zip.Signature.end64Locator)
      writer.append(UInt32(0))  // disk
      writer.append(UInt64(start + size))
      writer.append(UInt32(1))  // disks
    }
    writer.append(Zip.Signature.endRecord)
    writer.append(UInt32(0))  // disks
    let count = UInt16(clamping: records.count)
    writer.append(count)
    writer.append(count)
    writer.append(UInt32(clamping: size))
    writer.append(UInt32(clamping: start))
    writer.append(UInt16(0))  // comment
    try file.write(Bytes(writer.array), at: end)
    end += writer.count
  }

  private mutating func check(_ name: String) throws(CheckpointError) {
    guard !name.isEmpty, name.utf8.count < 1 << 16, !name.utf8.contains(0) else {
      throw CheckpointError(
        .badName, tensor: name,
        "a zip entry's name has 1 to 65535 bytes and no NUL; this one has \(name.utf8.count)")
    }
    guard !name.isUnsafePath else {
      throw CheckpointError(
        .unsafePath, tensor: name, "a zip entry of this name would lead out of its directory")
    }
    guard names.insert(name).inserted else {
      throw CheckpointError(.duplicateName, tensor: name, "the name occurs twice in the archive")
    }
  }

  // MARK: Records

  private static func version(isWide: Bool) -> UInt16 { isWide ? 45 : 20 }

  /// The header before the data, padded so that they begin at a multiple of the alignment.
  private func localHeader(_ record: Record) -> [UInt8] {
    var extra = ByteWriter()
    if record.isWide {
      extra.append(Zip.ExtraField.zip64)
      extra.append(UInt16(16))
      extra.append(UInt64(record.count))
      extra.append(UInt64(record.storedCount))
    }
    let dataOffset =
      record.headerOffset + Zip.Size.localHeader + record.name.count + extra.count
    var padding = dataOffset.padding(to: alignment)
    // A field takes four bytes at least.
    while padding > 0, padding < 4 { padding += alignment }
    if padding > 0 {
      extra.append(Self.paddingField)
      extra.append(UInt16(padding - 4))
      extra.append(contentsOf: repeatElement(0, count: padding - 4))
    }
    var header = ByteWriter()
    header.append(Zip.Signature.localHeader)
    header.append(Self.version(isWide: record.isWide))
    appendFacts(of: record, to: &header)
    header.append(UInt16(extra.count))
    header.append(contentsOf: record.name)
    header.append(contentsOf: extra.array)
    return header.array
  }

  private func append(_ record: Record, to writer: inout ByteWriter) {
    let isFar = record.headerOffset >= Int(UInt32.max)
    var extra = ByteWriter()
    if record.isWide || isFar {
      extra.append(Zip.ExtraField.zip64)
      extra.append(UInt16((record.isWide ? 16 : 0) + (isFar ? 8 : 0)))
      if record.isWide {
        extra.append(UInt64(record.count))
        extra.append(UInt64(record.storedCount))
      }
      if isFar { extra.append(UInt64(record.headerOffset)) }
    }
    let version = Self.version(isWide: record.isWide || isFar)
    writer.append(Zip.Signature.directoryRecord)
    writer.append(version)
    writer.append(version)
    appendFacts(of: record, to: &writer)
    writer.append(UInt16(extra.count))
    writer.append(UInt16(0))  // comment
    writer.append(UInt16(0))  // disk
    writer.append(UInt16(0))  // internal attributes
    writer.append(UInt32(0))  // external attributes
    writer.append(isFar ? .max : UInt32(record.headerOffset))
    writer.append(contentsOf: record.name)
    writer.append(contentsOf: extra.array)
  }

  /// What header and directory tell alike, from the flags to the length of the name.
  private func appendFacts(of record: Record, to writer: inout ByteWriter) {
    let isASCII = record.name.allSatisfy { $0 < 0x80 }
    writer.append(isASCII ? 0 : Zip.Flag.utf8Name)
    writer.append(record.method == .stored ? Zip.storedMethod : Zip.deflatedMethod)
    writer.append(Self.date)
    writer.append(record.checksum)
    writer.append(record.isWide ? .max : UInt32(record.storedCount))
    writer.append(record.isWide ? .max : UInt32(record.count))
    writer.append(UInt16(record.name.count))
  }
}
