#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// A checkpoint in memory: state dict, metadata, and what else a file may tell about the model.
public struct Checkpoint: Sendable, Equatable {
  /// The parameters, in order.
  public var stateDict: StateDict
  /// Free text by key.
  public var metadata: [String: String]
  /// The modules that the file tells about.
  public var moduleRecords: [ModuleRecord]
  /// The model description, canonical JSON; `RecurrentNetworks` reads it.
  public var modelDescription: String?
  /// Recorded inputs and outputs.
  public var goldens: StateDict

  /// Puts a checkpoint together.
  public init(
    stateDict: StateDict, metadata: [String: String] = [:], moduleRecords: [ModuleRecord] = [],
    modelDescription: String? = nil, goldens: StateDict = StateDict()
  ) {
    self.stateDict = stateDict
    self.metadata = metadata
    self.moduleRecords = moduleRecords
    self.modelDescription = modelDescription
    self.goldens = goldens
  }

  /// Loads a file of any of `formats`: copies every byte and checks every checksum, so that whatever
  /// happens to the file afterwards does not matter.
  /// - Throws: `fileNotFound`, `notAFile`, `notReadable`, `unknownFormat`, or what is wrong inside.
  public init(
    contentsOf path: String, formats: [any CheckpointFormat] = .builtIn,
    options: ReadOptions = ReadOptions()
  ) throws(CheckpointError) {
    try self.init(CheckpointReader(contentsOf: path, formats: formats, options: options))
  }

  /// Loads the file at a file URL, as `init(contentsOf:formats:options:)` with its path.
  public init(
    contentsOf url: URL, formats: [any CheckpointFormat] = .builtIn,
    options: ReadOptions = ReadOptions()
  ) throws(CheckpointError) {
    try self.init(contentsOf: url.path, formats: formats, options: options)
  }

  /// Loads a file's bytes from memory and checks every checksum.
  /// - Throws: `unknownFormat`, or what is wrong inside.
  public init(
    _ data: Data, formats: [any CheckpointFormat] = .builtIn,
    options: ReadOptions = ReadOptions()
  ) throws(CheckpointError) {
    try self.init(CheckpointReader(ByteSource(Bytes(data)), formats: formats, options: options))
  }

  /// Loads a file's bytes from memory and checks every checksum.
  /// - Throws: `unknownFormat`, or what is wrong inside.
  public init(
    _ bytes: [UInt8], formats: [any CheckpointFormat] = .builtIn,
    options: ReadOptions = ReadOptions()
  ) throws(CheckpointError) {
    try self.init(CheckpointReader(ByteSource(Bytes(bytes)), formats: formats, options: options))
  }

  /// How much of a mapped file is checked before it is used.
  public enum MappedVerification: Sendable {
    /// Every byte.
    case all
    /// The directory alone; the tensors' bytes are taken as they are.
    case directory
  }

  /// Maps a file: tensors that are stored raw are used where they stand, without a copy.
  ///
  /// The file must not change in place as long as the checkpoint or a tensor of it lives: changed
  /// bytes would change the tensors, and a shortened file ends the process with SIGBUS. Renaming
  /// another file over it is safe. Meant for local files that nobody writes to, such as those of a
  /// signed bundle.
  /// - Throws: as `init(contentsOf:formats:options:)`.
  public init(
    mappingImmutableFileAt path: String, verify: MappedVerification = .all,
    formats: [any CheckpointFormat] = .builtIn
  ) throws(CheckpointError) {
    let source = try ByteSource(mappingImmutableFileAt: path, checksData: verify == .all)
    try self.init(CheckpointReader(source, formats: formats))
  }

  /// Reads every tensor of an open file.
  /// - Throws: what is wrong with a tensor.
  public init(_ reader: CheckpointReader) throws(CheckpointError) {
    let contents = reader.contents
    self.init(
      stateDict: try StateDict(reading: contents.tensors), metadata: contents.metadata,
      moduleRecords: contents.moduleRecords, modelDescription: contents.modelDescription,
      goldens: try StateDict(reading: contents.goldens))
  }

  /// The checkpoint as contents that can be written.
  public var contents: CheckpointContents {
    CheckpointContents(
      tensors: stateDict.map { StoredTensor($0.tensor, named: $0.name) },
      goldens: goldens.map { StoredTensor($0.tensor, named: $0.name) },
      metadata: metadata, moduleRecords: moduleRecords, modelDescription: modelDescription)
  }

  /// Writes the checkpoint; the file is whole or absent.
  /// - Throws: `exists`, `notWritable`, `dtypeUnsupported`, `badName`.
  public func write(
    to path: String, format: any CheckpointFormat = StrataFormat(),
    options: WriteOptions = WriteOptions()
  ) throws(CheckpointError) {
    try contents.write(to: path, format: format, options: options)
  }
}
