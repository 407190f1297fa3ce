/// A file format: how it is recognised, opened and written.
public protocol CheckpointFormat: Sendable {
  /// The name for `--from` and `--to`, `strata` or `hdf5`.
  var name: String { get }
  /// The usual extensions of its files, without the first dot, the preferred one first.
  var fileExtensions: [String] { get }

  /// Whether the content is of this format. Extensions do not count.
  func recognizes(_ source: ByteSource) throws(CheckpointError) -> Bool

  /// Parses and validates the whole directory, but reads no tensor.
  /// - Throws: what is wrong with the file.
  func open(
    _ source: ByteSource, options: ReadOptions
  ) throws(CheckpointError) -> CheckpointContents

  /// What of `contents` files of this format cannot hold, in words; it is left out.
  func dropped(from contents: CheckpointContents) -> [String]

  /// Whether files hold goldens; where not, they are left out.
  var holdsGoldens: Bool { get }

  /// Whether files hold the names of their tensors.
  var holdsNames: Bool { get }

  /// Whether tensors can be compressed, as `WriteOptions.compression` asks for; where not, they are
  /// stored plainly.
  var canCompress: Bool { get }

  /// Whether a checkpoint can be spread over several files, as `WriteOptions.shardSize` asks for.
  var canShard: Bool { get }

  /// How contents for `path` are spread over several files; nil for one plain file.
  /// - Throws: why a tensor cannot be written.
  func shardLayout(
    of contents: CheckpointContents, at path: String, options: WriteOptions
  ) throws(CheckpointError) -> ShardLayout?

  /// Writes contents into an empty file.
  /// - Returns: the CRC-32 of every tensor's decoded bytes as they were written, tensors before
  ///   goldens, if the format holds them, in order; the file is read back and compared with them.
  /// - Throws: `dtypeUnsupported`, `badName`, `notWritable`, or what reading a tensor throws.
  func write(
    _ contents: CheckpointContents, to file: borrowing AtomicFile, options: WriteOptions
  ) throws(CheckpointError) -> [UInt32]
}

extension CheckpointFormat {
  /// Opens a source, leaving every choice as it usually is.
  public func open(_ source: ByteSource) throws(CheckpointError) -> CheckpointContents {
    try open(source, options: ReadOptions())
  }

  /// Files hold goldens, unless a format says otherwise.
  public var holdsGoldens: Bool { true }

  /// Files hold names, unless a format says otherwise.
  public var holdsNames: Bool { true }

  /// Tensors are stored plainly, unless a format says otherwise.
  public var canCompress: Bool { false }

  /// A checkpoint is one file, unless a format says otherwise.
  public var canShard: Bool { false }

  /// A checkpoint is one file, unless a format says otherwise.
  public func shardLayout(
    of contents: CheckpointContents, at path: String, options: WriteOptions
  ) throws(CheckpointError) -> ShardLayout? { nil }
}

/// How a file is read, where its format leaves a choice.
public struct ReadOptions: Hashable, Sendable {
  /// What elements of two bytes without a type are (`|V2` in the header of a npy file).
  public enum NPZVoid2: String, Sendable, CaseIterable {
    /// Nothing that is known: the tensor is refused by name.
    case refuse
    /// bfloat16, as `ml_dtypes` leaves it behind.
    case bf16
  }

  /// Which of the state dicts of a nested file is meant.
  public enum StateDictChoice: Hashable, Sendable {
    /// The only one, or the only one with weights of a recurrent module; others are an error that lists
    /// them.
    case only
    /// The tensors below a path, `state_dict` or `a.b.c`, in whatever format.
    case at(String)
    /// Every tensor of the file, under its whole path.
    case everything
  }

  /// What elements of two bytes without a type are.
  public var npzVoid2: NPZVoid2
  /// Which of the state dicts of a nested file is meant.
  public var stateDict: StateDictChoice

  /// Chooses how a file is read.
  public init(npzVoid2: NPZVoid2 = .refuse, stateDict: StateDictChoice = .only) {
    self.npzVoid2 = npzVoid2
    self.stateDict = stateDict
  }
}

/// How a file is written.
public struct WriteOptions: Sendable {
  /// How tensors are compressed.
  public enum Compression: String, Sendable, CaseIterable {
    /// Not at all.
    case none
    /// Bytes shuffled, then zlib's deflate, in chunks.
    case deflate
    /// Each tensor as it is stored where it comes from: deflate where it was deflated.
    case asStored
  }

  /// How names with dots become HDF5 objects.
  public enum HDF5Layout: String, Sendable, CaseIterable {
    /// One dataset `lstm.weight_ih_l0` at the root.
    case flat
    /// A dataset `weight_ih_l0` in a group `lstm`.
    case nested
  }

  /// How tensors are compressed.
  public var compression: Compression
  /// How names become HDF5 objects.
  public var hdf5Layout: HDF5Layout
  /// Whether an existing target is replaced.
  public var replacesExisting: Bool
  /// How npz and npy files hold bfloat16: not at all, or as elements of two bytes without a type.
  public var npzVoid2: ReadOptions.NPZVoid2
  /// The most bytes of tensors that one file takes where a format spreads a checkpoint over several;
  /// nil for one file.
  public var shardSize: Int?

  /// Whether a tensor is deflated.
  package func deflates(_ tensor: StoredTensor) -> Bool {
    switch compression {
    case .none: false
    case .deflate: true
    case .asStored: tensor.encoding == Compression.deflate.rawValue
    }
  }

  /// Chooses how a file is written.
  public init(
    compression: Compression = .none, hdf5Layout: HDF5Layout = .flat,
    replacesExisting: Bool = false, npzVoid2: ReadOptions.NPZVoid2 = .refuse,
    shardSize: Int? = nil
  ) {
    self.compression = compression
    self.hdf5Layout = hdf5Layout
    self.replacesExisting = replacesExisting
    self.npzVoid2 = npzVoid2
    self.shardSize = shardSize
  }
}

extension [any CheckpointFormat] {
  /// The formats that need nothing beyond `Checkpoints`.
  public static var builtIn: Self {
    // The length of a safetensors header may happen to begin as a pickle or an archive does, but no
    // pickle and no archive has a brace behind its first eight bytes.
    [StrataFormat(), SafetensorsFormat(), PyTorchFormat(), NPZFormat(), NPYFormat()]
  }

  /// The format of a file: by content, or by extension where no content is recognised.
  /// - Throws: `truncated` for an empty file, `unknownFormat`.
  public func format(of source: ByteSource) throws(CheckpointError) -> any CheckpointFormat {
    for format in self where try format.recognizes(source) { return format }
    if let path = source.path, let format = format(forPath: path) { return format }
    guard source.count > 0 else {
      throw CheckpointError(.truncated, file: source.path, offset: 0, "the file is empty")
    }
    throw CheckpointError(
      .unknownFormat, file: source.path,
      "the content is of no known format (\(map(\.name).joined(separator: ", ")))")
  }

  /// The format that a path's extension names.
  public func format(forPath path: String) -> (any CheckpointFormat)? {
    let name = (path.split(separator: "/").last ?? "").lowercased()
    return first { $0.fileExtensions.contains { name.hasSuffix("." + $0) } }
  }

  /// The format called `name`.
  public func format(named name: String) -> (any CheckpointFormat)? {
    first { $0.name == name }
  }
}
