/// An open checkpoint file: its directory is validated, its tensors are read when asked for.
///
/// The file stays open as long as the reader or one of its tensors lives.
public struct CheckpointReader: Sendable {
  /// The path, or nil for bytes from memory.
  public let path: String?
  /// The name of the format, `strata` or `hdf5`.
  public let format: String
  /// The number of bytes of the file.
  public let byteCount: Int
  /// The bytes of the file.
  package let source: ByteSource
  /// The paths of all files that are read: of this one, and of those that an index names.
  public var files: [String] {
    [path].compactMap(\.self) + contents.otherSources.compactMap(\.path)
  }
  /// What the file holds.
  public let contents: CheckpointContents

  /// Opens a file of any of `formats`, recognised by its content.
  /// - Throws: `fileNotFound`, `notAFile`, `notReadable`, `unknownFormat`, or what is wrong inside;
  ///   `ambiguousModel` when the file holds several state dicts and `options` choose none of them.
  public init(
    contentsOf path: String, formats: [any CheckpointFormat] = .builtIn,
    options: ReadOptions = ReadOptions()
  ) throws(CheckpointError) {
    try self.init(ByteSource(contentsOf: path), formats: formats, options: options)
  }

  /// Opens bytes of any of `formats`, recognised by their content.
  /// - Throws: `unknownFormat`, or what is wrong inside; `ambiguousModel` as above.
  public init(
    _ source: ByteSource, formats: [any CheckpointFormat] = .builtIn,
    options: ReadOptions = ReadOptions()
  ) throws(CheckpointError) {
    let format = try formats.format(of: source)
    do {
      self.contents = try format.open(source, options: options).choosing(options.stateDict)
    } catch {
      throw error.located(file: source.path)
    }
    self.path = source.path
    self.source = source
    self.format = format.name
    self.byteCount = source.count
  }

  /// The tensors of the state dict, in order.
  public var tensors: [StoredTensor] { contents.tensors }

  /// The tensor of the state dict called `name`.
  public subscript(name: String) -> StoredTensor? { contents[name] }
}
