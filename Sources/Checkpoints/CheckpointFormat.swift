/// A file format: how it is recognised, opened and written.
public protocol CheckpointFormat: Sendable {
  /// The name for `--from` and `--to`, `strata` or `hdf5`.
  var name: String { get }
  /// The usual extensions of its files, without the dot, the first one preferred.
  var fileExtensions: [String] { get }

  /// Whether the content is of this format. Extensions do not count.
  func recognizes(_ source: ByteSource) throws(CheckpointError) -> Bool

  /// Parses and validates the whole directory, but reads no tensor.
  /// - Throws: what is wrong with the file.
  func open(_ source: ByteSource) throws(CheckpointError) -> CheckpointContents

  /// What of `contents` files of this format cannot hold, in words; it is left out.
  func dropped(from contents: CheckpointContents) -> [String]

  /// Writes contents into an empty file.
  /// - Returns: the CRC-32 of every tensor's decoded bytes as they were written, tensors before
  ///   goldens, in order; the file is read back and compared with them.
  /// - Throws: `dtypeUnsupported`, `badName`, `notWritable`, or what reading a tensor throws.
  func write(
    _ contents: CheckpointContents, to file: borrowing AtomicFile, options: WriteOptions
  ) throws(CheckpointError) -> [UInt32]
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
    replacesExisting: Bool = false
  ) {
    self.compression = compression
    self.hdf5Layout = hdf5Layout
    self.replacesExisting = replacesExisting
  }
}

extension [any CheckpointFormat] {
  /// The formats that need nothing beyond `Checkpoints`.
  public static var builtIn: Self { [StrataFormat()] }

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
    let name = path.split(separator: "/").last ?? ""
    guard let dot = name.lastIndex(of: ".") else { return nil }
    let suffix = name[name.index(after: dot)...].lowercased()
    return first { $0.fileExtensions.contains(suffix) }
  }

  /// The format called `name`.
  public func format(named name: String) -> (any CheckpointFormat)? {
    first { $0.name == name }
  }
}
