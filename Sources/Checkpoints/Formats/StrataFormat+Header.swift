extension StrataFormat {
  /// The first 64 bytes of a file, checked.
  struct Header {
    var minorVersion: UInt16
    var sectionCount: Int
    var fileLength: Int
    var directoryLength: Int
    var directoryChecksum: UInt32

    init(_ source: ByteSource) throws(CheckpointError) {
      let bytes = try source.prefix(headerSize)
      let magic = Array(bytes.array.prefix(Magic.bytes.count))
      guard Magic.bytes.starts(with: magic) else {
        let text = magic.count > 7 && Array(magic[1..<7]) == Array(Magic.bytes[1..<7])
        throw CheckpointError(
          .badMagic, offset: 0,
          text
            ? "the file was damaged by a transfer in text mode: copy it again in binary mode"
            : "the file does not begin as a .strata file")
      }
      guard bytes.count == headerSize else {
        throw CheckpointError(
          .truncated, offset: bytes.count, "the file ends within its header of \(headerSize) bytes")
      }
      var reader = ByteReader(bytes)
      _ = try reader.take(Magic.bytes.count, "magic")
      let mark = try reader.integer(UInt16.self, "byte order mark")
      guard mark != byteOrderMark.byteSwapped else {
        throw CheckpointError(.wrongEndian, offset: 12, "the header is big-endian")
      }
      let checksum = bytes.integer(at: headerSize - 4, as: UInt32.self)
      guard CRC32(bytes[0..<(headerSize - 4)]).value == checksum, mark == byteOrderMark else {
        throw CheckpointError(
          .checksumMismatch, offset: 0, "the header does not match its checksum")
      }
      let major = try reader.integer(UInt16.self, "major version")
      guard major == majorVersion else {
        throw CheckpointError(
          .unsupportedVersion, offset: 14,
          "major version \(major), this reader knows \(majorVersion)")
      }
      minorVersion = try reader.integer(UInt16.self, "minor version")
      let reserved = try reader.integer(UInt16.self, "reserved field")
      let required = try reader.integer(UInt32.self, "required flags")
      guard required == 0 else {
        throw CheckpointError(
          .unsupportedVersion, offset: 20,
          "required flags 0x\(String(required, radix: 16)) are unknown to this reader")
      }
      _ = try reader.integer(UInt32.self, "optional flags")
      sectionCount = try reader.length("section count", as: UInt32.self)
      fileLength = try reader.length("file length")
      directoryLength = try reader.length("directory length")
      directoryChecksum = try reader.integer(UInt32.self, "directory checksum")
      guard reserved == 0, try reader.integer(UInt64.self, "reserved field") == 0 else {
        throw CheckpointError(.hole, offset: 18, "a reserved field is not zero")
      }
      guard source.count >= fileLength else {
        throw CheckpointError(
          .truncated, offset: source.count,
          "the file has \(source.count) bytes, its header announces \(fileLength)")
      }
      guard source.count == fileLength else {
        throw CheckpointError(
          .trailingData, offset: fileLength,
          "\(source.count - fileLength) bytes follow the end of the file")
      }
      guard directoryLength % alignment == 0, directoryLength <= fileLength - headerSize else {
        throw CheckpointError(
          .lengthOutOfRange, offset: 40,
          "a directory of \(directoryLength) bytes in a file of \(fileLength)")
      }
    }
  }
}
