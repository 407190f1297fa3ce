/// What stands at the end of a zip archive: where its directory is.
struct ZipEndRecord {
  /// The bytes of the directory.
  let directory: Range<Int>
  /// How many records it holds.
  let recordCount: Int

  /// The longest comment that a 16-bit length allows.
  private static let largestComment = 1 << 16 - 1

  /// Finds the end record, and the ZIP64 one where there is one; the directory must end where they
  /// begin.
  /// - Throws: `truncated`, `badMagic`, `zipAmbiguous`.
  init(_ source: ByteSource) throws(CheckpointError) {
    let tailStart = max(0, source.count - Zip.Size.endRecord - Self.largestComment)
    let tail = try source.bytes(in: tailStart..<source.count)
    let place = try Self.find(in: tail, at: tailStart, source)
    let offset = tailStart + place

    var reader = ByteReader(tail[(place + 4)..<tail.count], at: offset + 4)
    let disk = try reader.integer(UInt16.self, "disk")
    let directoryDisk = try reader.integer(UInt16.self, "disk of the directory")
    let countHere = try reader.integer(UInt16.self, "number of records here")
    let count = try reader.integer(UInt16.self, "number of records")
    let size = try reader.integer(UInt32.self, "size of the directory")
    let start = try reader.integer(UInt32.self, "place of the directory")
    guard disk == 0, directoryDisk == 0, countHere == count else {
      throw CheckpointError(
        .zipAmbiguous, offset: offset,
        "an end record of one disk of several: disk \(disk), directory on \(directoryDisk), "
          + "\(countHere) of \(count) entries here")
    }

    var found = Found(
      count: UInt64(count), size: UInt64(size), start: UInt64(start), end: offset)
    if let wide = try Self.wideRecord(source, before: offset) {
      // Every field of the short record says the same, or that the wide one does.
      guard count == .max || wide.count == count, size == .max || wide.size == size,
        start == .max || wide.start == start
      else {
        throw CheckpointError(
          .zipAmbiguous, offset: offset,
          "the end record tells of \(count) entries in \(size) bytes at \(start), the ZIP64 one of "
            + "\(wide.count) in \(wide.size) at \(wide.start)")
      }
      found = wide
    }
    (directory, recordCount) = try found.checked()
  }

  /// The facts of either record.
  private struct Found {
    var count: UInt64
    var size: UInt64
    var start: UInt64
    /// Where the record begins.
    var end: Int

    /// The directory, which must end where the record begins, and hold so many records.
    func checked() throws(CheckpointError) -> (Range<Int>, Int) {
      let (sum, overflow) = start.addingReportingOverflow(size)
      guard !overflow, sum == UInt64(end) else {
        throw CheckpointError(
          .zipAmbiguous, offset: end,
          "a directory of \(size) bytes at \(start) does not end at \(end), where the end record "
            + "begins")
      }
      guard count <= size / UInt64(Zip.Size.directoryRecord) else {
        throw CheckpointError(
          .zipAmbiguous, offset: end, "\(count) entries in a directory of \(size) bytes")
      }
      return (Int(start)..<end, Int(count))
    }
  }

  /// The place of the end record in the archive's last bytes, which must be the only one that could be
  /// meant.
  private static func find(
    in tail: Bytes, at tailStart: Int, _ source: ByteSource
  ) throws(CheckpointError) -> Int {
    let candidates = tail.places(of: Zip.Signature.endRecord)
      .filter { $0 + Zip.Size.endRecord <= tail.count }
    guard let last = candidates.last else {
      guard try source.prefix(2).array == Array("PK".utf8) else {
        throw CheckpointError(.badMagic, offset: 0, "no zip archive: it does not begin with PK")
      }
      throw CheckpointError(
        .truncated, offset: source.count, "a zip archive without its end record")
    }
    func end(of place: Int) -> Int {
      place + Zip.Size.endRecord + Int(tail.integer(at: place + 20, as: UInt16.self))
    }
    guard end(of: last) == tail.count else {
      throw CheckpointError(
        .zipAmbiguous, offset: tailStart + last,
        "the end record tells of an end at \(tailStart + end(of: last)), the file has "
          + "\(source.count) bytes")
    }
    let comment = tail[(last + Zip.Size.endRecord)..<tail.count].array
    let holdsLetters = zip(comment, comment.dropFirst()).contains { $0 == 0x50 && $1 == 0x4B }
    // An earlier record whose comment is the rest of the file is as good as the last one.
    let others = candidates.dropLast().filter { end(of: $0) == tail.count }
    guard others.isEmpty, !holdsLetters else {
      throw CheckpointError(
        .zipAmbiguous, offset: tailStart + (others.first ?? last),
        "the archive's comment holds the letters PK, with which records begin")
    }
    return last
  }

  /// The ZIP64 end record, when its locator stands before the end record at `offset`.
  private static func wideRecord(
    _ source: ByteSource, before offset: Int
  ) throws(CheckpointError) -> Found? {
    let locatorStart = offset - Zip.Size.end64Locator
    guard locatorStart >= 0 else { return nil }
    var locator = ByteReader(try source.bytes(in: locatorStart..<offset), at: locatorStart)
    guard try locator.integer(UInt32.self, "signature") == Zip.Signature.end64Locator else {
      return nil
    }
    let disk = try locator.integer(UInt32.self, "disk")
    let start = try locator.integer(UInt64.self, "place of the ZIP64 end record")
    let diskCount = try locator.integer(UInt32.self, "number of disks")
    guard disk == 0, diskCount <= 1 else {
      throw CheckpointError(
        .zipAmbiguous, offset: locatorStart,
        "a ZIP64 locator of disk \(disk) of \(diskCount), one was expected")
    }
    let largestStart = locatorStart - Zip.Size.end64Record
    guard largestStart >= 0, start <= UInt64(largestStart) else {
      throw CheckpointError(
        .zipAmbiguous, offset: locatorStart,
        "a ZIP64 end record at \(start) is not before its locator at \(locatorStart)")
    }
    let range = Int(start)..<(Int(start) + Zip.Size.end64Record)
    var record = ByteReader(try source.bytes(in: range), at: range.lowerBound)
    let signature = try record.integer(UInt32.self, "signature")
    let size = try record.integer(UInt64.self, "size of the ZIP64 end record")
    guard signature == Zip.Signature.end64Record, size == UInt64(locatorStart - Int(start) - 12)
    else {
      throw CheckpointError(
        .zipAmbiguous, offset: range.lowerBound,
        "no ZIP64 end record that ends at \(locatorStart), where its locator begins")
    }
    _ = try record.integer(UInt32.self, "versions")
    let disks = try record.integer(UInt64.self, "disks")
    let countHere = try record.integer(UInt64.self, "number of records here")
    let count = try record.integer(UInt64.self, "number of records")
    guard disks == 0, countHere == count else {
      throw CheckpointError(
        .zipAmbiguous, offset: range.lowerBound,
        "a ZIP64 end record of one disk of several: \(countHere) of \(count) entries here")
    }
    return Found(
      count: count,
      size: try record.integer(UInt64.self, "size of the directory"),
      start: try record.integer(UInt64.self, "place of the directory"),
      end: range.lowerBound)
  }
}

extension Bytes {
  /// Where a signature occurs, ascending.
  fileprivate func places(of signature: UInt32) -> [Int] {
    guard count >= 4 else { return [] }
    let first = UInt8(truncatingIfNeeded: signature)
    return unsafe withUnsafeBytes { buffer in
      (0...(count - 4)).filter { place in
        guard unsafe buffer[place] == first else { return false }
        let found = unsafe buffer.loadUnaligned(fromByteOffset: place, as: UInt32.self)
        return UInt32(littleEndian: found) == signature
      }
    }
  }
}
