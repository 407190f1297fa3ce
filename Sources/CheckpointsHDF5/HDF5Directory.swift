import Checkpoints

/// What an HDF5 file holds, without the tensors' bytes: what a walk through the file finds, and what
/// an isolated reader tells about it.
struct HDF5Directory: Sendable {
  /// A dataset.
  struct Entry: Sendable {
    var name: String
    var isGolden: Bool
    var elementType: HDF5ElementType
    var shape: Shape
    /// The bytes that the elements take in the file.
    var storedByteCount: Int
    var encoding: Encoding
    /// Where the elements stand in one run of the file; nil when they go through libhdf5.
    var offset: Int?

    /// The number of decoded bytes.
    var byteCount: Int { shape.byteCount(of: elementType.dtype) }
  }

  /// How elements are stored, as it is shown.
  enum Encoding: String {
    case raw, chunked, deflate
  }

  /// Tensors before goldens, each in their order.
  var entries: [Entry] = []
  var metadata: [String: String] = [:]
  /// The module records, a JSON array.
  var moduleRecords: String?
  /// The model description, JSON.
  var modelDescription: String?
  var ignored: [String] = []

  // MARK: Checking

  /// What deflate can give at most for each stored byte.
  static let mostExpansion = 1032

  /// Checks what must be true of every file, whoever has told the directory: names, sizes and places.
  /// - Throws: `duplicateName`, `sizeMismatch`, `extentOutOfFile`, `totalExpansion`.
  func check(in source: ByteSource) throws(CheckpointError) {
    var names: [Bool: Set<String>] = [:]
    // No overflow: a file has fewer bytes than 2^63, and 1032 times as many are cut off there.
    let (product, isHuge) = source.count.multipliedReportingOverflow(by: Self.mostExpansion)
    var room = isHuge ? Int.max : product
    for entry in entries {
      do throws(CheckpointError) {
        guard names[entry.isGolden, default: []].insert(entry.name).inserted else {
          throw CheckpointError(
            .duplicateName,
            "two datasets have this name once slashes are read as dots; rename one of them")
        }
        try entry.checkPlace(in: source)
        guard entry.byteCount <= room else {
          throw CheckpointError(
            .totalExpansion,
            "with it the tensors take more than \(Self.mostExpansion) times the \(source.count) "
              + "bytes of the file; the file is a bomb, or one dataset has very many names")
        }
        room -= entry.byteCount
      } catch {
        throw error.located(tensor: entry.name)
      }
    }
    try checkOverlap()
  }

  /// No two runs of the file share bytes, unless they are one dataset with two names: tied weights.
  private func checkOverlap() throws(CheckpointError) {
    let runs = entries.compactMap { entry in
      entry.offset.flatMap { offset in
        entry.byteCount > 0 ? (range: offset..<(offset + entry.byteCount), name: entry.name) : nil
      }
    }.sorted { $0.range.lowerBound < $1.range.lowerBound }
    for (before, after) in zip(runs, runs.dropFirst())
    where before.range.overlaps(after.range) && before.range != after.range {
      throw CheckpointError(
        .extentOutOfFile, tensor: after.name, offset: after.range.lowerBound,
        "the data stand within those of \(before.name); the file is damaged")
    }
  }

  // MARK: Contents

  /// The contents of the file; `library` gives the bytes of an entry that has no offset.
  /// - Throws: `metadataInvalid` for module records that are none.
  func contents(
    of source: ByteSource, library: (Int) -> any TensorBytes
  ) throws(CheckpointError) -> CheckpointContents {
    var contents = CheckpointContents(
      metadata: metadata, modelDescription: modelDescription, ignored: ignored)
    if let moduleRecords {
      contents.moduleRecords = try CanonicalJSON.decode(
        [ModuleRecord].self, from: moduleRecords, "attribute \(HDF5Format.modulesAttribute)")
    }
    for (index, entry) in entries.enumerated() {
      let type = entry.elementType
      let bytes: any TensorBytes =
        if let offset = entry.offset {
          ContiguousBytes(
            source: source, offset: offset, elementSize: type.dtype.size,
            isBigEndian: type.isBigEndian)
        } else {
          UnchangedBytes(source: source, bytes: library(index))
        }
      let tensor = StoredTensor(
        name: entry.name, dtype: type.dtype, shape: entry.shape,
        storedByteCount: entry.storedByteCount, encoding: entry.encoding.rawValue,
        file: source.path, contents: bytes)
      if entry.isGolden { contents.goldens.append(tensor) } else { contents.tensors.append(tensor) }
    }
    return contents
  }
}

extension HDF5Directory.Entry {
  /// Checks that the stored bytes are of the file.
  fileprivate func checkPlace(in source: ByteSource) throws(CheckpointError) {
    guard storedByteCount >= 0, storedByteCount <= source.count else {
      throw CheckpointError(
        .extentOutOfFile, "\(storedByteCount) stored bytes in a file of \(source.count)")
    }
    guard let offset else { return }
    guard storedByteCount == byteCount else {
      throw CheckpointError(
        .sizeMismatch, "\(storedByteCount) stored bytes, the shape takes \(byteCount)")
    }
    guard offset >= 0, offset <= source.count, byteCount <= source.count - offset else {
      throw CheckpointError(
        .extentOutOfFile, offset: offset,
        "\(byteCount) bytes at \(offset) reach behind the end of the file at \(source.count)")
    }
  }
}
