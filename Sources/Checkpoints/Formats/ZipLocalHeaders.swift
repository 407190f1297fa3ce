/// The headers that stand before the entries of a zip archive, compared with the directory.
struct ZipLocalHeaders {
  /// Reads every local header, which must tell what the directory tells, and fills in where the data
  /// begin; headers, data and descriptors must fill the bytes from 0 to `end` without hole or overlap.
  /// - Throws: `lengthOutOfRange`, `zipAmbiguous`, `overlap`.
  static func check(
    _ records: inout [ZipRecord], in source: ByteSource, end: Int
  ) throws(CheckpointError) {
    let order = records.indices.sorted {
      records[$0].entry.headerOffset < records[$1].entry.headerOffset
    }
    for record in records { try record.checkPlace(in: source.count) }
    let starts = order.map { records[$0].entry.headerOffset }
    for (place, start) in starts.enumerated() where place > 0 && starts[place - 1] == start {
      throw CheckpointError(
        .overlap, offset: start,
        "the entries \(records[order[place - 1]].entry.name) and "
          + "\(records[order[place]].entry.name) have one local header")
    }
    guard starts.first ?? end == 0 else {
      throw CheckpointError(
        .zipAmbiguous, offset: 0, "\(starts.first ?? end) bytes stand before the first entry")
    }
    var window = Window(source: source)
    for (place, index) in order.enumerated() {
      let next = place + 1 < starts.count ? starts[place + 1] : end
      try records[index].readLocalHeader(&window, end: end)
      try records[index].checkEnd(&window, next: next)
    }
  }

  /// Small reads close together, answered from one read of the file.
  struct Window {
    let source: ByteSource
    private var bytes = Bytes([UInt8]())
    private var start = 0

    init(source: ByteSource) { self.source = source }

    /// A descriptor, a header with a usual name, and its alignment.
    private static let size = 512

    mutating func bytes(at offset: Int, count: Int) throws(CheckpointError) -> Bytes {
      if offset < start || offset + count > start + bytes.count {
        let end = max(offset + count, min(offset + Self.size, source.count))
        bytes = try source.bytes(in: offset..<end)
        start = offset
      }
      return bytes[(offset - start)..<(offset - start + count)]
    }
  }
}

extension ZipRecord {
  /// Checks that header and data are inside the file at all.
  fileprivate func checkPlace(in fileSize: Int) throws(CheckpointError) {
    let (end, overflow) = entry.headerOffset.addingReportingOverflow(entry.storedCount)
    guard !overflow, end <= fileSize else {
      throw CheckpointError(
        .lengthOutOfRange, offset: min(entry.headerOffset, fileSize),
        "the entry \(entry.name) has \(entry.storedCount) bytes behind \(entry.headerOffset), the "
          + "file has \(fileSize)")
    }
  }

  /// Compares the local header, which must end before `end`, and finds the data behind it.
  fileprivate mutating func readLocalHeader(
    _ window: inout ZipLocalHeaders.Window, end: Int
  ) throws(CheckpointError) {
    let at = entry.headerOffset
    func fault(_ rule: String) -> CheckpointError {
      CheckpointError(
        .zipAmbiguous, offset: at, "the local header of the entry \(entry.name) \(rule)")
    }
    guard at <= end - Zip.Size.localHeader else { throw fault("is not before the directory") }
    var header = ByteReader(
      try window.bytes(at: at, count: Zip.Size.localHeader), at: at)
    guard try header.integer(UInt32.self, "signature") == Zip.Signature.localHeader else {
      throw fault("is not where the directory says")
    }
    _ = try header.integer(UInt16.self, "version")
    let flags = try header.integer(UInt16.self, "flags")
    let method = try header.integer(UInt16.self, "method")
    _ = try header.integer(UInt32.self, "date")
    let checksum = try header.integer(UInt32.self, "checksum")
    let storedCount = try header.integer(UInt32.self, "stored size")
    let count = try header.integer(UInt32.self, "size")
    let nameLength = Int(try header.integer(UInt16.self, "length of the name"))
    let extraLength = Int(try header.integer(UInt16.self, "length of the extra fields"))
    guard nameLength + extraLength <= end - at - Zip.Size.localHeader else {
      throw fault("is not before the directory")
    }
    let rest = try window.bytes(at: at + Zip.Size.localHeader, count: nameLength + extraLength)
    guard rest[0..<nameLength].array == nameBytes else { throw fault("has another name") }
    guard flags == self.flags, method == self.method else {
      throw fault(
        "has flags \(flags) and method \(method), the directory \(self.flags) and \(self.method)")
    }
    let extraStart = at + Zip.Size.localHeader + nameLength
    let extra = try zipAmbiguity { () throws(CheckpointError) in
      try ZipExtraFields(rest[nameLength..<rest.count], at: extraStart)
    }
    entry.dataOffset = extraStart + extraLength

    let wanted = [UInt64(entry.count), UInt64(entry.storedCount), UInt64(entry.checksum)]
    if hasDescriptor && [count, storedCount, checksum].allSatisfy({ $0 == 0 }) {
      // They were not known when the header was written; the descriptor behind the data tells them.
      return
    }
    guard let sizes = extra.resolve([count, storedCount]) else {
      throw fault("has ZIP64 sizes that contradict the plain ones, or none")
    }
    for (found, wanted) in zip(sizes + [UInt64(checksum)], wanted) {
      guard found == wanted || (hasDescriptor && found == 0) else {
        throw fault(
          "tells of \(sizes[0]) bytes in \(sizes[1]) with checksum \(checksum), the directory of "
            + "\(entry.count) in \(entry.storedCount) with \(entry.checksum)")
      }
    }
  }

  /// Checks what stands between the data and the `next` header or the directory: nothing, or a
  /// descriptor.
  fileprivate func checkEnd(
    _ window: inout ZipLocalHeaders.Window, next: Int
  ) throws(CheckpointError) {
    let (end, overflow) = entry.dataOffset.addingReportingOverflow(entry.storedCount)
    guard !overflow, end <= next else {
      throw CheckpointError(
        .overlap, offset: entry.headerOffset,
        "the entry \(entry.name) with its \(entry.storedCount) bytes reaches into what begins at "
          + "\(next)")
    }
    func fault(_ rule: String) -> CheckpointError {
      CheckpointError(.zipAmbiguous, offset: end, "\(rule) behind the entry \(entry.name)")
    }
    guard hasDescriptor else {
      guard end == next else {
        throw fault("\(next - end) bytes that belong to nothing stand")
      }
      return
    }
    // The signature may be missing, and the sizes have 32 or 64 bits.
    guard [12, 16, 20, 24].contains(next - end) else {
      throw fault("\(next - end) bytes, no data descriptor, stand")
    }
    var descriptor = ByteReader(try window.bytes(at: end, count: next - end), at: end)
    if descriptor.remaining % 8 == 0 {
      guard try descriptor.integer(UInt32.self, "signature") == Zip.Signature.dataDescriptor else {
        throw fault("no data descriptor stands")
      }
    }
    let checksum = try descriptor.integer(UInt32.self, "checksum")
    let isWide = descriptor.remaining == 16
    var sizes: [UInt64] = []
    for what in ["stored size", "size"] {
      sizes.append(
        isWide
          ? try descriptor.integer(UInt64.self, what)
          : UInt64(try descriptor.integer(UInt32.self, what)))
    }
    guard checksum == entry.checksum, sizes == [UInt64(entry.storedCount), UInt64(entry.count)]
    else {
      throw fault(
        "a data descriptor that tells of \(sizes[1]) bytes in \(sizes[0]) with checksum "
          + "\(checksum), the directory of \(entry.count) in \(entry.storedCount) with "
          + "\(entry.checksum), stands")
    }
  }
}
