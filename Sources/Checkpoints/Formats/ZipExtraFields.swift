/// The extra fields of a zip entry, as far as they matter: the wide sizes and a second name.
struct ZipExtraFields {
  /// The numbers of the ZIP64 field.
  private(set) var wide: [UInt64]?
  /// The name of the Unicode path field.
  private(set) var unicodePath: [UInt8]?

  /// Parses the fields, which begin at `offset` in the file.
  ///
  /// Fewer than four bytes at the end are no field; some writers align with them.
  /// - Throws: `zipAmbiguous` when a field is cut off or occurs twice; `lengthOutOfRange`.
  init(_ bytes: Bytes, at offset: Int) throws(CheckpointError) {
    var reader = ByteReader(bytes, at: offset)
    while reader.remaining >= 4 {
      let at = reader.offset
      let kind = try reader.integer(UInt16.self, "kind of extra field")
      let length = Int(try reader.integer(UInt16.self, "length of extra field"))
      let content = try reader.take(length, "extra field")
      let isSecond: Bool
      switch kind {
      case Zip.ExtraField.zip64:
        isSecond = wide != nil
        // A number of the disk, of four bytes, may follow; the record says that it is 0.
        wide = (0..<(length / 8)).map { content.integer(at: $0 * 8, as: UInt64.self) }
      case Zip.ExtraField.unicodePath:
        isSecond = unicodePath != nil
        // A version and the checksum of the plain name stand before it.
        unicodePath = Array(content.array.dropFirst(5))
      default:
        isSecond = false
      }
      guard !isSecond else {
        throw CheckpointError(.zipAmbiguous, offset: at, "an extra field occurs twice")
      }
    }
  }

  /// The numbers of a record, each as it stands there or, where that is the largest of 32 bits, from
  /// the ZIP64 field; nil when a number is missing or the two contradict each other.
  func resolve(_ plain: [UInt32]) -> [UInt64]? {
    var numbers = plain.map(UInt64.init)
    let missing = plain.indices.filter { plain[$0] == .max }
    guard let wide else { return missing.isEmpty ? numbers : nil }
    if wide.count == missing.count {
      for (index, number) in zip(missing, wide) { numbers[index] = number }
      return numbers
    }
    // Some writers repeat numbers that would fit.
    guard wide.count <= plain.count, missing.allSatisfy({ $0 < wide.count }) else { return nil }
    for (index, number) in wide.enumerated() {
      guard plain[index] == .max || number == plain[index] else { return nil }
      numbers[index] = number
    }
    return numbers
  }
}
