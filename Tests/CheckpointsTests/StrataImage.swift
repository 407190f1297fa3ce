/// A .strata file put together from the article's byte tables, without the writer's code, so that
/// every field can be made wrong while every checksum stays right.
struct StrataImage: Sendable {
  var mark: UInt16 = 0x1234
  var major: UInt16 = 1
  var minor: UInt16 = 0
  var reserved: UInt16 = 0
  var requiredFlags: UInt32 = 0
  var optionalFlags: UInt32 = 0
  var lastReserved: UInt64 = 0
  /// Announced instead of the true ones.
  var sectionCount: UInt32?
  var fileLength: UInt64?
  var directoryLength: UInt64?

  var parts: [Part] = []
  var partCount: UInt32?
  var stateDict: [Entry] = []
  var tensorCount: UInt32?
  var goldens: [Entry] = []
  var modelDescription: [UInt8]?
  var moduleRecords: [UInt8]?
  var metadata: [(key: [UInt8], value: [UInt8])] = []
  /// The last word on the sections, in their order.
  var changeSections: @Sendable (inout [Section]) -> Void = { _ in }
  /// Behind the directory's last section, before it is padded to a multiple of 64.
  var directoryTail: [UInt8] = []
  /// Behind the last part, with the file's length counting it.
  var dataTail: [UInt8] = []
  /// How many bytes are cut off at the end, with the file's length counting it.
  var missing = 0

  struct Part: Sendable {
    /// Stored bytes, by chunk.
    var chunks: [[UInt8]]
    /// Added to the offset in the table; the bytes stay where they are.
    var shift: Int64 = 0
    /// Zeros before the part, with its offset counting them.
    var gap = 0
    var length: UInt64?
    var chunkCount: UInt32?
    var reserved: UInt32 = 0
    var padding: UInt8 = 0
  }

  struct Entry: Sendable {
    var dtype: UInt16 = 12
    var storage: UInt16?
    var encoding: UInt16 = 0
    var layout: UInt16 = 0
    var rank: UInt16?
    var dimensions: [UInt64]
    var references: [(role: UInt16, reserved: UInt16, part: UInt32)]
    var partCount: UInt16?
    var parameters: [UInt8] = StrataImage.little(UInt32(1 << 20))
    var name: [UInt8]
    var nameLength: UInt32?
    /// Behind the name, before the padding.
    var further: [UInt8] = []
    var padding: UInt8 = 0
    var length: UInt32?

    init(_ name: String, _ dimensions: [UInt64], part: UInt32) {
      self.name = Array(name.utf8)
      self.dimensions = dimensions
      self.references = [(0, 0, part)]
    }
  }

  struct Section: Sendable {
    var kind: UInt32
    var flags: UInt32 = 0
    var length: UInt64?
    var payload: [UInt8]
    var padding: UInt8 = 0
  }

  // MARK: Bytes

  static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    (0..<(T.bitWidth / 8)).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
  }

  /// The CRC-32 bit by bit, as it is defined.
  static func crc32(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    ~bytes.reduce(~0) { crc, byte in
      (0..<8).reduce(crc ^ UInt32(byte)) { crc, _ in crc >> 1 ^ (crc & 1 == 0 ? 0 : 0xEDB8_8320) }
    }
  }

  private static func pad(_ bytes: inout [UInt8], to alignment: Int, with byte: UInt8 = 0) {
    while bytes.count % alignment != 0 { bytes.append(byte) }
  }

  /// The whole file.
  func bytes() -> [UInt8] {
    let size = directory(dataStart: 0, checksums: parts.map { $0.chunks.map { _ in 0 } }).count
    let (data, checksums) = dataArea()
    let directory = directory(dataStart: UInt64(64 + size), checksums: checksums)
    var header: [UInt8] = [0x89] + Array("STRATA".utf8) + [0x0D, 0x0A, 0x1A, 0x0A, 0]
    header += Self.little(mark) + Self.little(major) + Self.little(minor) + Self.little(reserved)
    header += Self.little(requiredFlags) + Self.little(optionalFlags)
    header += Self.little(
      sectionCount ?? UInt32(sections(dataStart: 0, checksums: checksums).count)
    )
    header += Self.little(fileLength ?? UInt64(64 + directory.count + data.count))
    header += Self.little(directoryLength ?? UInt64(directory.count))
    header += Self.little(Self.crc32(directory[...])) + Self.little(lastReserved)
    header += Self.little(Self.crc32(header[...]))
    return header + directory + data
  }

  private func dataArea() -> (data: [UInt8], checksums: [[UInt32]]) {
    var data: [UInt8] = []
    var checksums: [[UInt32]] = []
    for part in parts {
      data += [UInt8](repeating: 0, count: part.gap)
      var starts: [Int] = []
      for chunk in part.chunks {
        starts.append(data.count)
        data += chunk
      }
      if !part.chunks.isEmpty { Self.pad(&data, to: 64, with: part.padding) }
      let ends = starts.dropFirst() + [data.count]
      checksums.append(zip(starts, ends).map { Self.crc32(data[$0..<$1]) })
    }
    return ((data + dataTail).dropLast(missing), checksums)
  }

  private func directory(dataStart: UInt64, checksums: [[UInt32]]) -> [UInt8] {
    var directory: [UInt8] = []
    for section in sections(dataStart: dataStart, checksums: checksums) {
      directory += Self.little(section.kind) + Self.little(section.flags)
      directory += Self.little(section.length ?? UInt64(section.payload.count)) + section.payload
      Self.pad(&directory, to: 8, with: section.padding)
    }
    directory += directoryTail
    Self.pad(&directory, to: 64)
    return directory
  }

  private func sections(dataStart: UInt64, checksums: [[UInt32]]) -> [Section] {
    var sections = [
      Section(kind: 1, flags: 1, payload: partTable(dataStart: dataStart, checksums: checksums)),
      Section(kind: 2, flags: 1, payload: Self.tensorTable(stateDict, count: tensorCount)),
    ]
    if !goldens.isEmpty { sections.append(Section(kind: 3, payload: Self.tensorTable(goldens))) }
    if let modelDescription { sections.append(Section(kind: 4, payload: modelDescription)) }
    if let moduleRecords { sections.append(Section(kind: 5, payload: moduleRecords)) }
    if !metadata.isEmpty {
      var payload = Self.little(UInt32(metadata.count)) + Self.little(UInt32(0))
      for (key, value) in metadata {
        payload += Self.little(UInt32(key.count)) + Self.little(UInt32(value.count)) + key + value
      }
      sections.append(Section(kind: 6, payload: payload))
    }
    changeSections(&sections)
    return sections
  }

  private func partTable(dataStart: UInt64, checksums: [[UInt32]]) -> [UInt8] {
    var table = Self.little(partCount ?? UInt32(parts.count)) + Self.little(UInt32(0))
    var end = dataStart
    for (part, checksums) in zip(parts, checksums) {
      let stored = part.chunks.reduce(0) { $0 + UInt64($1.count) }
      end += UInt64(part.gap)
      table += Self.little(UInt64(bitPattern: Int64(bitPattern: end) &+ part.shift))
      table += Self.little(part.length ?? stored)
      table +=
        Self.little(part.chunkCount ?? UInt32(part.chunks.count)) + Self.little(part.reserved)
      for (chunk, checksum) in zip(part.chunks, checksums) {
        table += Self.little(UInt32(chunk.count)) + Self.little(checksum)
      }
      end = (end + stored + 63) / 64 * 64
    }
    return table
  }

  private static func tensorTable(_ entries: [Entry], count: UInt32? = nil) -> [UInt8] {
    var table = little(count ?? UInt32(entries.count)) + little(UInt32(0))
    for entry in entries {
      var fields = little(entry.dtype) + little(entry.storage ?? entry.dtype)
      fields += little(entry.encoding) + little(entry.layout)
      fields += little(entry.rank ?? UInt16(entry.dimensions.count))
      fields += little(entry.partCount ?? UInt16(entry.references.count))
      fields += little(entry.nameLength ?? UInt32(entry.name.count))
      fields += little(UInt32(entry.parameters.count))
      for size in entry.dimensions { fields += little(size) }
      for reference in entry.references {
        fields += little(reference.role) + little(reference.reserved) + little(reference.part)
      }
      fields += entry.parameters + entry.name + entry.further
      while (fields.count + 4) % 8 != 0 { fields.append(entry.padding) }
      table += little(entry.length ?? UInt32(fields.count + 4)) + fields
    }
    return table
  }

  // MARK: A small file to begin with

  /// Two tensors of bytes, [2, 3] and [5], a golden and metadata.
  static var small: StrataImage {
    var image = StrataImage()
    image.parts = [
      Part(chunks: [[1, 2, 3, 4, 5, 6]]), Part(chunks: [[7, 8, 9, 10, 11]]), Part(chunks: [[12]]),
    ]
    image.stateDict = [Entry("w", [2, 3], part: 0), Entry("bias", [5], part: 1)]
    image.goldens = [Entry("output", [], part: 2)]
    image.metadata = [(Array("key".utf8), Array("value".utf8))]
    return image
  }
}
