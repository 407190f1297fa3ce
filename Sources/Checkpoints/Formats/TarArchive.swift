/// A header of a tar file, POSIX's ustar.
struct TarHeader {
  /// Bytes of a header, and of what everything is padded to.
  static let size = 512

  let name: String
  /// Bytes of the member.
  let count: Int
  /// What kind of member it is: `0` a file, `x` a header that tells more of the next one, ….
  let kind: UInt8

  /// Whether a file that begins with `bytes` is a tar file with one of a checkpoint's members first.
  static func isCheckpoint(_ bytes: [UInt8]) -> Bool {
    guard bytes.count >= size, bytes[257..<262].elementsEqual("ustar".utf8) else { return false }
    // Python's writer may put a header with the exact time before the first member.
    return bytes[156] == UInt8(ascii: "x") || TorchTarArchive.members.contains(text(bytes[0..<100]))
  }

  /// Reads a header; nil for the zeros that end an archive.
  /// - Throws: `checksumMismatch`, `lengthOutOfRange`.
  init?(_ bytes: [UInt8], at offset: Int) throws(CheckpointError) {
    guard bytes.contains(where: { $0 != 0 }) else { return nil }
    let sum = bytes.enumerated().reduce(0) {
      // The checksum's own place counts as blanks.
      $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element))
    }
    guard let checksum = Self.number(bytes[148..<156]), checksum == sum else {
      throw CheckpointError(
        .checksumMismatch, offset: offset, "the header of a member does not match its checksum")
    }
    guard let count = Self.number(bytes[124..<136]) else {
      throw CheckpointError(.lengthOutOfRange, offset: offset, "the size of a member is no number")
    }
    let prefix = Self.text(bytes[345..<500])
    let name = Self.text(bytes[0..<100])
    self.name = prefix.isEmpty ? name : "\(prefix)/\(name)"
    self.count = count
    self.kind = bytes[156]
  }

  private static func text(_ bytes: ArraySlice<UInt8>) -> String {
    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }

  /// Octal digits, or a big-endian number behind a byte 0x80.
  private static func number(_ bytes: ArraySlice<UInt8>) -> Int? {
    if bytes.first == 0x80 {
      guard bytes.dropLast(8).dropFirst().allSatisfy({ $0 == 0 }) else { return nil }
      return Int(exactly: bytes.suffix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }
    let digits = bytes.filter { $0 != 0 && $0 != 32 }
    return digits.isEmpty ? 0 : Int(String(decoding: digits, as: UTF8.self), radix: 8)
  }
}

/// The members of a tar file that PyTorch wrote in 2016.
struct TorchTarArchive {
  /// The members that such a file has.
  static let members = ["sys_info", "pickle", "tensors", "storages"]

  private var ranges: [String: Range<Int>] = [:]

  /// Reads all headers.
  /// - Throws: `truncated`, `unsafePath`, `duplicateEntry`, `checksumMismatch`, `unsupportedVariant`
  ///   when a member is missing.
  init(_ source: ByteSource) throws(CheckpointError) {
    var offset = 0
    // Zeros where a header would stand are the end.
    while let header = try TarHeader(
      source.bytes(in: offset..<(offset + TarHeader.size)).array, at: offset)
    {
      let start = offset + TarHeader.size
      guard header.count <= source.count - start else {
        throw CheckpointError(
          .truncated, offset: source.count,
          "the file ends within the member \(header.name) of \(header.count) bytes")
      }
      try Self.check(header, at: offset)
      if header.kind == 0 || header.kind == UInt8(ascii: "0") {
        guard ranges.updateValue(start..<(start + header.count), forKey: header.name) == nil else {
          throw CheckpointError(
            .duplicateEntry, offset: offset, "two members are called \(header.name)")
        }
      }
      offset = start + header.count.aligned(to: TarHeader.size)
    }
  }

  private static func check(_ header: TarHeader, at offset: Int) throws(CheckpointError) {
    let parts = header.name.split(separator: "/", omittingEmptySubsequences: false)
    guard !header.name.hasPrefix("/"), !parts.contains(".."),
      ["0", "\0", "x", "g", "5"].contains(Character(UnicodeScalar(header.kind)))
    else {
      throw CheckpointError(
        .unsafePath, offset: offset,
        "the member \(header.name) leads out of the archive, or is a link or a device")
    }
  }

  /// Where a member's bytes stand.
  /// - Throws: `unsupportedVariant` when there is none.
  subscript(name: String) -> Range<Int> {
    get throws(CheckpointError) {
      guard let range = ranges[name] else {
        throw CheckpointError(
          .unsupportedVariant,
          "the tar file has no member \(name): unpack it and convert the checkpoint inside")
      }
      return range
    }
  }
}
