/// Where the bytes of a file come from: an open file, a mapping, or memory.
///
/// Read at random.
public struct ByteSource: Sendable {
  private enum Origin: Sendable {
    case file(FileDescriptor)
    case memory(Bytes)
  }

  private let origin: Origin
  /// The path, or nil for bytes from memory.
  public let path: String?
  /// The number of bytes.
  public let count: Int
  /// Where the bytes begin in the file: not at 0 for a file inside a file.
  private let start: Int
  /// Whether the checksums of tensors are to be checked as they are read.
  let checksData: Bool

  /// Opens a file.
  ///
  /// Its bytes are copied as they are read.
  /// - Throws: `fileNotFound`, `notAFile`, `notReadable`.
  public init(contentsOf path: String) throws(CheckpointError) {
    let file = try FileDescriptor.reading(path)
    self.origin = .file(file)
    self.path = path
    self.count = try file.status().size
    self.start = 0
    self.checksData = true
  }

  /// Maps a file, which must not change in place as long as the source or anything read from it
  /// lives; renaming another file over it is safe.
  ///
  /// With `checksData` false the checksums of directories are checked, those of tensors are not.
  /// - Throws: `fileNotFound`, `notAFile`, `notReadable`.
  public init(
    mappingImmutableFileAt path: String, checksData: Bool = true
  ) throws(CheckpointError) {
    let file = try FileDescriptor.reading(path)
    self.count = try file.status().size
    self.origin = .memory(try file.mapped(count: count))
    self.path = path
    self.start = 0
    self.checksData = checksData
  }

  /// Takes bytes from memory.
  public init(_ bytes: Bytes) {
    self.origin = .memory(bytes)
    self.path = nil
    self.count = bytes.count
    self.start = 0
    self.checksData = true
  }

  private init(_ range: Range<Int>, of whole: ByteSource) {
    self.origin = whole.origin
    self.path = whole.path
    self.count = range.count
    self.start = whole.start + range.lowerBound
    self.checksData = whole.checksData
  }

  /// A file that stands inside this one; errors count its bytes from its own start.
  func part(_ range: Range<Int>) -> ByteSource {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "part out of bounds")
    return ByteSource(range, of: self)
  }

  /// The bytes of `range`; no copy when they stand in memory already.
  /// - Throws: `truncated` when the file is shorter than `range` or became shorter; `fileChanged` when it
  ///   was written to since it was opened; `notReadable`.
  public func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    guard range.lowerBound >= 0, range.upperBound <= count else {
      throw CheckpointError(
        .truncated, file: path, offset: count,
        "the file ends here, bytes up to \(range.upperBound) are needed")
    }
    switch origin {
    case .file(let file): return try file.bytes(at: start + range.lowerBound, count: range.count)
    case .memory(let bytes): return bytes[(start + range.lowerBound)..<(start + range.upperBound)]
    }
  }

  /// The file called `name` in the same directory, opened as this one was.
  ///
  /// Whether the name may be trusted is the caller's concern.
  /// - Throws: `fileNotFound`, `notAFile`, `notReadable`.
  func sibling(_ name: String) throws(CheckpointError) -> ByteSource {
    guard let path else {
      throw CheckpointError(
        .fileNotFound, "the content stands in memory and names another file, \(name)")
    }
    let directory = path.lastIndex(of: "/").map { path[...$0] } ?? ""
    let sibling = String(directory) + name
    if case .memory = origin {
      return try ByteSource(mappingImmutableFileAt: sibling, checksData: checksData)
    }
    return try ByteSource(contentsOf: sibling)
  }

  /// The first bytes, at most `count` of them: what a format is recognised by.
  /// - Throws: `notReadable`.
  public func prefix(_ count: Int) throws(CheckpointError) -> Bytes {
    try bytes(in: 0..<min(count, self.count))
  }

  /// Calls `body` with the number of the open file; nil when the source is none, or a part of one.
  package func withDescriptor<Result>(
    _ body: (Int32) throws(CheckpointError) -> Result
  ) throws(CheckpointError) -> Result? {
    guard case .file(let file) = origin, start == 0, try file.status().size == count else {
      return nil
    }
    return try file.withNumber(body)
  }

  /// Checks that the file was not written to since it was opened; for bytes that somebody else read of it.
  /// - Throws: `fileChanged`, `notReadable`.
  package func checkUnchanged() throws(CheckpointError) {
    if case .file(let file) = origin { try file.checkUnchanged() }
  }

  /// The bytes in memory, when they are all there.
  package var memory: Bytes? {
    if case .memory(let bytes) = origin { bytes[start..<(start + count)] } else { nil }
  }
}
