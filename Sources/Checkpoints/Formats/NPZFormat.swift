/// numpy's npz files: a zip archive of npy files, stored or deflated.
///
/// The member `a.npy` is the tensor `a`. Files hold nothing but arrays.
///
/// Source: numpy's `numpy/lib/_npyio_impl.py` and `numpy/lib/format.py`.
public struct NPZFormat: CheckpointFormat {
  /// The ending of every array's name.
  static let memberExtension = ".npy"
  private static let largestName = 1024

  /// Makes the format.
  public init() {}

  /// `npz`.
  public var name: String { "npz" }

  /// `npz`.
  public var fileExtensions: [String] { ["npz"] }

  /// Tensors can be deflated, each by itself.
  public var canCompress: Bool { true }

  /// The format has no place for goldens.
  public var holdsGoldens: Bool { false }

  /// Whether the file is a zip archive whose first entry is a npy file.
  public func recognizes(_ source: ByteSource) throws(CheckpointError) -> Bool {
    guard source.count >= Zip.Size.localHeader else { return false }
    let header = try source.prefix(Zip.Size.localHeader)
    guard header.integer(at: 0, as: UInt32.self) == Zip.Signature.localHeader else { return false }
    let length = Int(header.integer(at: 26, as: UInt16.self))
    guard length <= source.count - Zip.Size.localHeader else { return false }
    let name = try source.bytes(in: Zip.Size.localHeader..<(Zip.Size.localHeader + length))
    return name.array.suffix(4).elementsEqual(Self.memberExtension.utf8)
  }

  /// Validates the archive and reads every header; reads no element.
  /// - Throws: what `ZipArchive` finds wrong, `duplicateName`, `badName`; what is wrong with a header,
  ///   with the array named.
  public func open(
    _ source: ByteSource, options: ReadOptions
  ) throws(CheckpointError) -> CheckpointContents {
    let archive: ZipArchive
    do {
      archive = try ZipArchive(source)
    } catch {
      var error = error
      if error.code == .duplicateEntry { error.code = .duplicateName }
      throw error
    }
    let arrays = try Self.arrays(in: archive)
    var contents = CheckpointContents()
    for entry in archive.entries {
      guard let name = arrays[entry.name] else {
        contents.ignored.append("\(entry.name), which is no array")
        continue
      }
      do {
        contents.tensors.append(try Self.tensor(name, entry, archive, source, options))
      } catch {
        throw error.located(tensor: name)
      }
    }
    if archive.uncheckedCount > 0 {
      contents.ignored.append("\(archive.uncheckedCount) entries carry no checksum")
    }
    return contents
  }

  /// The tensors' names by those of their entries.
  private static func arrays(in archive: ZipArchive) throws(CheckpointError) -> [String: String] {
    var arrays: [String: String] = [:]
    for entry in archive.entries {
      func fault(_ code: CheckpointError.Code, _ rule: String) -> CheckpointError {
        CheckpointError(code, tensor: entry.name, offset: entry.headerOffset, rule)
      }
      guard entry.name.hasSuffix(memberExtension) else {
        guard archive[entry.name + memberExtension] == nil else {
          throw fault(.duplicateName, "the archive holds an entry of this name with .npy as well")
        }
        // numpy looks at the content as well.
        let start = try archive.bytes(of: entry).bytes(
          in: 0..<min(entry.count, NPYHeader.magic.count))
        if start.array == NPYHeader.magic { arrays[entry.name] = entry.name }
        continue
      }
      let name = String(entry.name.dropLast(memberExtension.count))
      guard !name.isEmpty, name.utf8.count <= largestName else {
        throw fault(
          .badName, "a name has 1 to \(largestName) bytes; this one has \(name.utf8.count)")
      }
      guard archive[entry.name + memberExtension] == nil else {
        throw fault(.duplicateName, "the archive holds an entry of this name with .npy as well")
      }
      arrays[entry.name] = name
    }
    return arrays
  }

  private static func tensor(
    _ name: String, _ entry: ZipArchive.Entry, _ archive: ZipArchive, _ source: ByteSource,
    _ options: ReadOptions
  ) throws(CheckpointError) -> StoredTensor {
    let bytes = archive.bytes(of: entry)
    let array = try NPYArray(bytes, count: entry.count, at: entry.dataOffset, options)
    // A stored entry goes on where the header ends; an inflater for each array would be much memory.
    return array.tensor(
      named: name, entry.method == .stored ? bytes : archive.bytes(of: entry), count: entry.count,
      storedCount: entry.storedCount,
      encoding: entry.method == .stored ? "raw" : WriteOptions.Compression.deflate.rawValue,
      file: source.path)
  }

  /// Everything but arrays.
  public func dropped(from contents: CheckpointContents) -> [String] {
    Self.droppedText(from: contents)
  }

  /// What a format of nothing but arrays leaves out.
  static func droppedText(from contents: CheckpointContents) -> [String] {
    var dropped: [String] = []
    if !contents.goldens.isEmpty { dropped.append("\(contents.goldens.count) goldens") }
    dropped += contents.metadata.keys.sorted().map { "metadata \($0)" }
    if !contents.moduleRecords.isEmpty {
      dropped.append("\(contents.moduleRecords.count) module records")
    }
    if contents.modelDescription != nil { dropped.append("the model description") }
    return dropped
  }

  /// Writes contents into an empty file.
  ///
  /// The same contents and options give the same bytes, deflated ones for one build of zlib.
  /// - Throws: `badName`, `unsafePath`, `duplicateName`, `dtypeUnsupported`, `notWritable`, or what
  ///   reading a tensor throws.
  public func write(
    _ contents: CheckpointContents, to file: borrowing AtomicFile, options: WriteOptions
  ) throws(CheckpointError) -> [UInt32] {
    var writer = ZipWriter(alignment: NPYHeader.alignment)
    var checksums: [UInt32] = []
    let names = Set(contents.tensors.map(\.name))
    for tensor in contents.tensors {
      do throws(CheckpointError) {
        guard tensor.name.utf8.count <= Self.largestName, !tensor.name.isEmpty else {
          throw CheckpointError(
            .badName,
            "a name has 1 to \(Self.largestName) bytes; this one has \(tensor.name.utf8.count)")
        }
        guard !names.contains(tensor.name + Self.memberExtension) else {
          throw CheckpointError(
            .duplicateName, "numpy cannot tell this name from the same with .npy; rename one")
        }
        checksums.append(try Self.write(tensor, to: &writer, file, options))
      } catch {
        var error = error
        error.tensor = tensor.name
        throw error
      }
    }
    try writer.finish(file)
    return checksums
  }

  private static func write(
    _ tensor: StoredTensor, to writer: inout ZipWriter, _ file: borrowing AtomicFile,
    _ options: WriteOptions
  ) throws(CheckpointError) -> UInt32 {
    let header = try header(of: tensor, options)
    let count = header.count + tensor.shape.byteCount(of: try tensor.readableDType())
    var checksum: UInt32 = 0
    try writer.add(
      tensor.name + memberExtension, options.deflates(tensor) ? .deflated : .stored, count: count,
      to: file
    ) { write throws(CheckpointError) in
      try write(Bytes(header))
      checksum = try tensor.forEachPiece(write)
    }
    return checksum
  }

  /// The header of a tensor's npy file.
  static func header(
    of tensor: StoredTensor, _ options: WriteOptions
  ) throws(CheckpointError) -> [UInt8] {
    do {
      let descr = try NPYType.descr(of: try tensor.readableDType(), options.npzVoid2)
      return NPYHeader.bytes(descr: descr, shape: tensor.shape)
    } catch {
      throw error.located(tensor: tensor.name)
    }
  }
}
