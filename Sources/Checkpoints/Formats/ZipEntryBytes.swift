internal import Synchronization

/// The content of a stored entry, read where it stands in the file.
final class ZipStoredBytes: TensorBytes {
  private let entry: ZipArchive.Entry
  private let source: ByteSource
  /// How far the content was checked.
  private let check: Mutex<Check>

  private struct Check {
    var isDone: Bool
    /// The checksum of the first `count` bytes.
    var checksum = CRC32()
    var count = 0
  }

  init(_ entry: ZipArchive.Entry, _ source: ByteSource) {
    self.entry = entry
    self.source = source
    self.check = Mutex(Check(isDone: !source.checksData))
  }

  func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    if let piece = try uncheckedPiece(in: range) { return piece.bytes }
    return try read(range)
  }

  func piece(in range: Range<Int>) throws(CheckpointError) -> TensorPiece {
    if let piece = try uncheckedPiece(in: range) { return piece }
    return TensorPiece(try read(range))
  }

  /// The bytes of a range that carries the check on; nil once everything is checked, and then no lock is
  /// needed.
  private func uncheckedPiece(
    in range: Range<Int>
  ) throws(CheckpointError) -> TensorPiece? {
    try check.withLock { check throws(CheckpointError) -> TensorPiece? in
      guard !check.isDone else { return nil }
      guard range.lowerBound == check.count else {
        try finish(&check)
        return nil
      }
      let piece = TensorPiece(try read(range))
      try take(piece, &check)
      return piece
    }
  }

  func verify(count: Int) throws(CheckpointError) {
    try check.withLock { check throws(CheckpointError) in try finish(&check) }
  }

  /// Checks what was not checked yet.
  private func finish(_ check: inout Check) throws(CheckpointError) {
    guard !check.isDone else { return }
    if check.count == entry.count { check = Check(isDone: false) }
    repeat {
      let end = min(check.count + StoredTensor.pieceSize, entry.count)
      try take(TensorPiece(try read(check.count..<end)), &check)
    } while check.count < entry.count
  }

  private func take(_ piece: TensorPiece, _ check: inout Check) throws(CheckpointError) {
    check.checksum.append(piece)
    check.count += piece.bytes.count
    guard check.count == entry.count else { return }
    try entry.compare(check.checksum)
    check.isDone = true
  }

  private func read(_ range: Range<Int>) throws(CheckpointError) -> Bytes {
    try entry.checkRange(range)
    let start = entry.dataOffset + range.lowerBound
    return try source.bytes(in: start..<(start + range.count))
  }
}

/// The content of a deflated entry, inflated as it is read.
///
/// Reading goes on where the last read stopped. With a step back the whole entry is inflated and kept, unless
/// it is too large for that; then it begins anew, as long as that stays in proportion to what is asked for.
final class ZipInflatedBytes: TensorBytes {
  private let entry: ZipArchive.Entry
  private let source: ByteSource
  private let whole: ZipWholeEntry
  private let reading = Mutex(Reading())
  /// Whether the whole content was checked once.
  private let isChecked: Mutex<Bool>

  private struct Reading: ~Copyable {
    var stream: ZipInflation?
    /// How many bytes were asked for, and how many were inflated for that.
    var given = 0
    var inflated = 0
  }

  /// The largest entry that is kept.
  private static let largestKept = 64 << 20
  /// How often an entry, and what was asked for, may be inflated.
  private static let mostInflations = 8

  init(_ entry: ZipArchive.Entry, _ source: ByteSource, keeping whole: ZipWholeEntry) {
    self.entry = entry
    self.source = source
    self.whole = whole
    self.isChecked = Mutex(false)
  }

  func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    try entry.checkRange(range)
    return try reading.withLock { reading throws(CheckpointError) in
      reading.given += range.count
      if let bytes = whole.bytes(of: entry) { return bytes[range] }
      let position = reading.stream?.position
      let isStepBack = position ?? 0 > range.lowerBound
      let isKept = isStepBack && entry.count <= Self.largestKept
      if position == nil || isStepBack { reading.stream = try ZipInflation(entry, source) }
      // After an error nothing is kept.
      guard var inflation = reading.stream.take() else {
        preconditionFailure("an inflation that was begun")
      }
      reading.inflated += (isKept ? entry.count : range.upperBound) - inflation.position
      guard reading.inflated / Self.mostInflations <= entry.count + reading.given else {
        throw CheckpointError(
          .expansionLimit, offset: entry.headerOffset,
          "the deflated entry \(entry.name) would have to be inflated over and over for tensors that lie "
            + "in it backwards; save the file anew, or pack it without compression")
      }
      if isKept {
        let bytes = try inflation.read(entry.count)
        isChecked.withLock { $0 = true }
        whole.keep(bytes, of: entry)
        return bytes[range]
      }
      try inflation.skip(to: range.lowerBound)
      let bytes = try inflation.read(range.count)
      if inflation.isChecked { isChecked.withLock { $0 = true } }
      // At the end nothing is left to go on with.
      if inflation.position < entry.count { reading.stream = consume inflation }
      return bytes
    }
  }

  func verify(count: Int) throws(CheckpointError) {
    guard !isChecked.withLock({ $0 }) else { return }
    var inflation = try ZipInflation(entry, source)
    try inflation.skip(to: entry.count)
    // An empty entry has an end to be checked as well.
    _ = try inflation.read(0)
    isChecked.withLock { $0 = true }
  }
}

/// The content of the entry of an archive that was last inflated as a whole.
final class ZipWholeEntry: Sendable {
  private let kept = Mutex<(place: Int, bytes: Bytes)?>(nil)

  /// The content of an entry, if it is this one.
  func bytes(of entry: ZipArchive.Entry) -> Bytes? {
    kept.withLock { $0?.place == entry.headerOffset ? $0?.bytes : nil }
  }

  /// Keeps the content of an entry in place of another one's.
  func keep(_ bytes: Bytes, of entry: ZipArchive.Entry) {
    kept.withLock { $0 = (entry.headerOffset, bytes) }
  }
}

/// A deflated entry while it is inflated: bounded memory, forward only.
private struct ZipInflation: ~Copyable {
  private let entry: ZipArchive.Entry
  private let source: ByteSource
  private var inflater: Inflater
  private var checksum = CRC32()
  /// How many bytes were decoded.
  private(set) var position = 0
  /// Whether the end was reached and everything found as announced.
  private(set) var isChecked = false
  private var input = Bytes([UInt8]())
  /// How many stored bytes were taken from the file.
  private var inputEnd = 0

  /// Stored bytes that are taken from the file at a time.
  private static let inputSize = 1 << 17

  init(_ entry: ZipArchive.Entry, _ source: ByteSource) throws(CheckpointError) {
    self.entry = entry
    self.source = source
    self.inflater = try Inflater()
  }

  mutating func skip(to end: Int) throws(CheckpointError) {
    while position < end { _ = try read(min(end - position, StoredTensor.pieceSize)) }
  }

  mutating func read(_ count: Int) throws(CheckpointError) -> Bytes {
    let bytes = try unsafe Bytes(count: count) { output throws(CheckpointError) in
      var done = 0
      while done < count {
        let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: output[done...])
        let produced = unsafe try step(into: rest)
        guard produced > 0 || !inflater.isAtEnd else {
          throw fault("gives \(position + done) bytes, \(entry.count) were announced")
        }
        done += produced
      }
    }
    checksum.update(bytes)
    position += count
    if position == entry.count, !isChecked { try finish() }
    return bytes
  }

  /// Decodes once, taking more from the file when nothing is left of what was taken.
  private mutating func step(
    into output: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) -> Int {
    if input.count == 0, inputEnd < entry.storedCount {
      let end = min(inputEnd + Self.inputSize, entry.storedCount)
      input = try source.bytes(in: (entry.dataOffset + inputEnd)..<(entry.dataOffset + end))
      inputEnd = end
    }
    let (consumed, produced) = try unsafe inflater.decode(input, into: output)
    input = input[consumed..<input.count]
    guard produced > 0 || consumed > 0 || inflater.isAtEnd else {
      throw fault("has no end in its \(entry.storedCount) bytes")
    }
    return produced
  }

  /// Checks that stream and stored bytes end with the last byte that was announced.
  private mutating func finish() throws(CheckpointError) {
    while !inflater.isAtEnd {
      var surplus = 0
      _ = try unsafe Bytes(count: 1) { output throws(CheckpointError) in
        surplus = unsafe try step(into: output)
      }
      guard surplus == 0 else { throw fault("gives more than the \(entry.count) bytes announced") }
    }
    guard input.count == 0, inputEnd == entry.storedCount else {
      throw fault(
        "ends \(entry.storedCount - inputEnd + input.count) bytes before its stored bytes do")
    }
    if source.checksData { try entry.compare(checksum) }
    isChecked = true
  }

  private func fault(_ rule: String) -> CheckpointError {
    CheckpointError(
      .decompressMismatch, offset: entry.dataOffset, "the entry \(entry.name) \(rule)")
  }
}

extension ZipArchive.Entry {
  /// Compares the checksum of the content; 0 stands for none.
  fileprivate func compare(_ found: CRC32) throws(CheckpointError) {
    guard checksum == 0 || found.value == checksum else {
      throw CheckpointError(
        .checksumMismatch, offset: dataOffset,
        "the entry \(name) has checksum \(found.value), \(checksum) was announced")
    }
  }

  fileprivate func checkRange(_ range: Range<Int>) throws(CheckpointError) {
    guard range.lowerBound >= 0, range.upperBound <= count else {
      throw CheckpointError(
        .lengthOutOfRange, offset: headerOffset,
        "bytes up to \(range.upperBound) of the entry \(name), which has \(count)")
    }
  }
}
