/// numpy's npy files: one array, without a name.
///
/// The tensor is called after the file, `weights` for `weights.npy`, or `arr_0` where there is no path.
/// Only a checkpoint of exactly one tensor can be written.
///
/// Source: numpy's `numpy/lib/format.py`; versions 1.0, 2.0 and 3.0 are read, 1.0 is written.
public struct NPYFormat: CheckpointFormat {
  /// Makes the format.
  public init() {}

  /// `npy`.
  public var name: String { "npy" }

  /// `npy`.
  public var fileExtensions: [String] { ["npy"] }

  /// The format has no place for goldens.
  public var holdsGoldens: Bool { false }

  /// The array has no name but its file's.
  public var holdsNames: Bool { false }

  /// Whether the file begins with 0x93, NUMPY and a number that a version could have.
  public func recognizes(_ source: ByteSource) throws(CheckpointError) -> Bool {
    let start = try source.prefix(NPYHeader.magic.count + 1).array
    return start.count > NPYHeader.magic.count && start.dropLast() == NPYHeader.magic[...]
      && start[NPYHeader.magic.count] < 0x20
  }

  /// Reads the header; reads no element.
  /// - Throws: `badMagic`, `truncated`, `unsupportedVersion`, `headerLength`, `headerInvalid`,
  ///   `badInteger`, `nestingLimit`, `rankLimit`, `shapeOverflow`, `sizeMismatch`.
  public func open(
    _ source: ByteSource, options: ReadOptions
  ) throws(CheckpointError) -> CheckpointContents {
    let bytes = StoredRegion(source, at: 0)
    let array = try NPYArray(bytes, count: source.count, at: 0, options)
    return CheckpointContents(tensors: [
      array.tensor(
        named: Self.name(of: source.path), bytes, count: source.count, storedCount: source.count,
        encoding: "raw", file: source.path)
    ])
  }

  /// The name of a file without its extension.
  private static func name(of path: String?) -> String {
    guard let name = path?.split(separator: "/").last else { return "arr_0" }
    let stem = name.lastIndex(of: ".").map { name[..<$0] } ?? name
    return String(stem.isEmpty ? name : stem)
  }

  /// Everything but the array.
  public func dropped(from contents: CheckpointContents) -> [String] {
    NPZFormat.droppedText(from: contents)
  }

  /// Writes the only tensor into an empty file.
  /// - Throws: `notWritable` when there is not exactly one; `dtypeUnsupported`, or what reading it
  ///   throws.
  public func write(
    _ contents: CheckpointContents, to file: borrowing AtomicFile, options: WriteOptions
  ) throws(CheckpointError) -> [UInt32] {
    guard contents.tensors.count == 1 else {
      throw CheckpointError(
        .notWritable,
        "a npy file holds one array, these are \(contents.tensors.count) tensors: write npz instead"
      )
    }
    let header = try NPZFormat.header(of: contents.tensors[0], options)
    try file.write(Bytes(header), at: 0)
    var end = header.count
    let checksum = try contents.tensors[0].forEachPiece { piece throws(CheckpointError) in
      try file.write(piece, at: end)
      end += piece.count
    }
    return [checksum]
  }
}
