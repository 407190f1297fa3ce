/// The files of PyTorch: what `torch.save` writes and wrote, TorchScript and `torch.export` archives.
///
/// A checkpoint that Hugging Face's tools spread over several files is opened by its index,
/// `pytorch_model.bin.index.json`.
///
/// Pickles are run by a machine that can only build inert values, so that nothing in a file is ever
/// executed. The page `Checkpoints.docc/PyTorchFormat.md` tells what is read of which variant.
public struct PyTorchFormat: CheckpointFormat {
  /// Makes the format.
  public init() {}

  /// `pytorch`.
  public var name: String { "pytorch" }

  /// `pt`, and what else people call such files; `tar` was usual for checkpoints of long ago, which are
  /// no tar files.
  public var fileExtensions: [String] { ["pt", "pth", "ckpt", "bin", "pt2", "ptl", "tar", "pkl"] }

  /// A state dict has no place for goldens.
  public var holdsGoldens: Bool { false }

  /// Whether the file is a zip archive but no npz, a pickle, a tar file with a checkpoint's members, or
  /// an index of such files.
  public func recognizes(_ source: ByteSource) throws(CheckpointError) -> Bool {
    if try Self.isFile(source) { return true }
    return try ShardIndex.kind(of: source) == .pytorch
  }

  /// Whether it is a file that can hold tensors itself.
  static func isFile(_ source: ByteSource) throws(CheckpointError) -> Bool {
    try Container(of: source) != nil
  }

  /// Reads the directory and the pickle, and checks every tensor's place; reads no tensor.
  /// - Throws: the codes of the page `PyTorchFormat`.
  public func open(
    _ source: ByteSource, options: ReadOptions
  ) throws(CheckpointError) -> CheckpointContents {
    switch try Container(of: source) {
    case .distributed: throw Self.distributed
    case .zip: return try openZip(source)
    case .pickle: return try openLegacy(source)
    case .tar: return try openTar(source)
    case nil:
      guard source.count > 0 else {
        throw CheckpointError(.truncated, offset: 0, "the file is empty")
      }
      if try ShardIndex.kind(of: source) != nil {
        return try ShardIndex(source).contents(source)
      }
      // An archive behind something else is told to be just that.
      if try Self.endsAsArchive(source) { return try openZip(source) }
      throw CheckpointError(
        .badMagic, offset: 0, "the file begins neither as a zip archive nor as a pickle of PyTorch")
    }
  }

  /// What the files are wrapped in.
  private enum Container {
    case zip
    case pickle
    case tar
    /// A part of a checkpoint of torch.distributed, in which archives stand one behind the other.
    case distributed

    init?(of source: ByteSource) throws(CheckpointError) {
      let start = try source.prefix(TarHeader.size).array
      // Nothing in such a file says so but its name.
      if source.path?.hasSuffix(".distcp") == true {
        self = .distributed
      } else if start.starts(with: [0x50, 0x4B, 0x03, 0x04]) {
        guard try !NPZFormat().recognizes(source) else { return nil }
        self = .zip
      } else if start.count > 2, start[0] == PickleOpcode.proto.rawValue, (2...5).contains(start[1])
      {
        self = .pickle
      } else if TarHeader.isCheckpoint(start) {
        self = .tar
      } else {
        return nil
      }
    }
  }

  /// What to say of a directory that `torch.distributed.checkpoint` wrote, of which either kind of file
  /// makes no sense alone.
  static let distributed = CheckpointError(
    .unsupportedVariant,
    """
    a part of a directory of torch.distributed.checkpoint; in Python: \
    torch.distributed.checkpoint.format_utils.dcp_to_torch_save("the directory", "out.pt")
    """)

  /// Whether a zip archive's end record stands at the end.
  private static func endsAsArchive(_ source: ByteSource) throws(CheckpointError) -> Bool {
    let size = Zip.Size.endRecord
    guard source.count >= size else { return false }
    let end = try source.bytes(in: (source.count - size)..<source.count)
    return end.integer(at: 0, as: UInt32.self) == Zip.Signature.endRecord
  }

  /// Contents of what a pickle gave.
  static func contents(
    _ tree: TorchTree, _ reader: inout TorchTensorReader
  ) throws(CheckpointError) -> CheckpointContents {
    var contents = CheckpointContents(
      moduleRecords: tree.moduleRecords, ignored: tree.ignored)
    contents.tensors.reserveCapacity(tree.tensors.count)
    reader.reserveCapacity(tree.tensors.count)
    for (name, tensor) in tree.tensors {
      contents.tensors.append(try reader.tensor(tensor, named: name))
    }
    contents.stateDicts = tree.stateDicts.map { found in
      let bytes = contents.tensors[found.tensors].reduce(0) {
        $0 + $1.shape.elementCount * ($1.dtype?.size ?? 0)
      }
      return NestedStateDict(
        path: found.path, tensorCount: found.tensors.count, byteCount: bytes,
        holdsRecurrentWeights: contents.tensors[found.tensors].contains {
          NestedStateDict.isRecurrentWeight($0.name)
        })
    }
    return contents
  }
}
