/// Files of Hugging Face's safetensors, also spread over several with an index.
///
/// A file is a length, a JSON header, and the tensors' bytes without a hole. Free text stands in the
/// header's `__metadata__`; its keys `strata_model` and `strata_modules` hold model description and
/// module records, under the names that they have in HDF5 files. Goldens are left out.
///
/// An index (`model.safetensors.index.json`, recognised by its `weight_map`) is read as one checkpoint:
/// it alone decides which files beside it count and which tensors they hold.
///
/// Source: the README and `tensor.rs` of safetensors 0.8; the index as `huggingface_hub` writes it.
public struct SafetensorsFormat: CheckpointFormat {
  /// Makes the format.
  public init() {}

  /// `safetensors`.
  public var name: String { "safetensors" }

  /// `safetensors`, and the ending of an index.
  public var fileExtensions: [String] { ["safetensors", ShardIndex.fileExtension] }

  /// The format has no place for goldens.
  public var holdsGoldens: Bool { false }

  /// The format can be spread over several files.
  public var canShard: Bool { true }

  /// Whether an object begins behind the length, whatever the length is, or the file is an index.
  public func recognizes(_ source: ByteSource) throws(CheckpointError) -> Bool {
    if try Self.looksPlain(source) { return true }
    return try ShardIndex.kind(of: source) == .safetensors
  }

  /// Whether an object begins behind the length.
  static func looksPlain(_ source: ByteSource) throws(CheckpointError) -> Bool {
    let start = try source.prefix(lengthSize + 1).array
    guard start.count > lengthSize, start[lengthSize] == UInt8(ascii: "{") else { return false }
    // Eight characters of a text would be an absurd length as well, but of another kind of file.
    return !start[..<lengthSize].allSatisfy { 0x20...0x7E ~= $0 || 0x09...0x0D ~= $0 }
  }

  /// Parses and validates header or index; reads no tensor.
  /// - Throws: `headerLength`, `headerInvalid`, `duplicateName`, `nestingLimit`, `badInteger`,
  ///   `offsetInvalid`, `coverage`, `sizeMismatch`, `shapeOverflow`, `rankLimit`, `dtypeUnsupported`,
  ///   `metadataInvalid`, `tensorLimit`; for an index also `unsafePath`, `fileNotFound`,
  ///   `parameterMissing` and `parameterUnexpected`.
  public func open(
    _ source: ByteSource, options: ReadOptions
  ) throws(CheckpointError) -> CheckpointContents {
    var isIndex = false
    if try !Self.looksPlain(source) {
      // A malformed index is known by its name alone.
      isIndex = source.path?.lowercased().hasSuffix(".json") == true
      if !isIndex { isIndex = try ShardIndex.kind(of: source) != nil }
    }
    return try isIndex ? ShardIndex(source).contents(source) : Self.contents(of: source)
  }

  /// Goldens have no place.
  public func dropped(from contents: CheckpointContents) -> [String] {
    contents.goldens.isEmpty ? [] : ["\(contents.goldens.count) goldens"]
  }

  // The constants of the format.

  static let metadataKey = "__metadata__"
  /// The metadata's key for the module records, a JSON array.
  static let modulesKey = "strata_modules"
  /// The metadata's key for the model description, JSON.
  static let modelKey = "strata_model"
  /// The bytes of the length.
  static let lengthSize = 8
  static let largestHeader = 100_000_000
  /// The header is padded with spaces to a multiple of this.
  static let alignment = 8

  /// The dtypes of safetensors that are none of ours, with the bits of an element.
  static let otherDTypes: [String: Int] = [
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "C64": 64,
  ]
}
