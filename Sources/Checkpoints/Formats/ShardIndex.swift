/// The index of a checkpoint that is spread over several files, as Hugging Face's tools write one beside
/// safetensors files and beside files of `torch.save`.
struct ShardIndex {
  /// The ending of the name of an index of safetensors files.
  static let fileExtension = "safetensors.index.json"
  /// The key that tells which file holds a tensor.
  static let mapKey = "weight_map"
  static let metadataKey = "metadata"
  static let sizeKey = "total_size"

  /// The tensors in their order and the names of the files that hold them.
  let places: [(tensor: String, file: String)]
  /// Text and what else the index says of itself.
  private var contents = CheckpointContents()

  /// Above this a JSON file is no index.
  private static let largestSize = SafetensorsFormat.largestHeader

  /// The kinds of files that an index names.
  enum Kind {
    case safetensors
    /// Files of `torch.save`.
    case pytorch
  }

  /// The endings of files of `torch.save`; Hugging Face's own is the first.
  private static let pytorchExtensions = [".bin", ".pt", ".pth"]

  /// What an index names; nil for a source that is no object with a weight map.
  static func kind(of source: ByteSource) throws(CheckpointError) -> Kind? {
    guard source.count <= largestSize else { return nil }
    let isObject = try source.prefix(64).array.first { $0 > 0x20 } == UInt8(ascii: "{")
    guard isObject else { return nil }
    // Also in a text that turns out to be malformed: then opening says why.
    let wanted = Array("\"\(mapKey)\"".utf8)
    let bytes = try source.bytes(in: 0..<source.count).array
    let namesMap = bytes.indices.contains { place in
      bytes[place] == wanted[0] && bytes[place...].starts(with: wanted)
    }
    guard namesMap else { return nil }
    guard let index = try? ShardIndex(source), !index.places.isEmpty else { return .safetensors }
    let isPyTorch = index.places.allSatisfy { place in
      pytorchExtensions.contains { place.file.lowercased().hasSuffix($0) }
    }
    return isPyTorch ? .pytorch : .safetensors
  }

  /// Parses an index.
  /// - Throws: `headerLength`, `headerInvalid`, `duplicateName`, `nestingLimit`, `tensorLimit`,
  ///   `unsafePath` when a file would stand in another directory.
  init(_ source: ByteSource) throws(CheckpointError) {
    guard source.count <= Self.largestSize else {
      throw CheckpointError(
        .headerLength, offset: 0,
        "an index of \(source.count) bytes, at most \(Self.largestSize) are read")
    }
    let json = try StrictJSON(source.bytes(in: 0..<source.count))
    _ = try json.members("the index")
    guard let map = json[Self.mapKey] else {
      throw CheckpointError(.headerInvalid, offset: 0, "the index has no \(Self.mapKey)")
    }
    var places: [(tensor: String, file: String)] = []
    for (tensor, value) in try map.members(Self.mapKey) {
      let file = try value.string("the file of \(tensor)")
      guard Self.isPlainName(file) else {
        throw CheckpointError(
          .unsafePath, tensor: tensor, offset: value.offset,
          "the index names the file \"\(file)\", which is no plain name in its own directory")
      }
      places.append((tensor, file))
    }
    self.places = places
    for (key, value) in try json[Self.metadataKey]?.members(Self.metadataKey) ?? [] {
      if value.kind == .string {
        contents.metadata[key] = try value.string(key)
      } else if key != Self.sizeKey {
        contents.ignored.append("\(key) of the index")
      }
    }
  }

  /// Whether a name can only be that of a file in the same directory.
  private static func isPlainName(_ name: String) -> Bool {
    !name.isEmpty && name != "." && !name.isUnsafePath
      && !name.utf8.contains { [0, UInt8(ascii: "/"), UInt8(ascii: "\\")].contains($0) }
  }

  /// Everything that the files hold, as one checkpoint in the index's order.
  /// - Throws: `fileNotFound` for a file that is not there, `parameterMissing` for a tensor that its
  ///   file does not hold, `parameterUnexpected` for one that the index does not name there, and what
  ///   is wrong with a file.
  func contents(_ source: ByteSource) throws(CheckpointError) -> CheckpointContents {
    var contents = contents
    var wanted: [String: [String]] = [:]
    var order: [String] = []
    for place in places {
      if wanted[place.file] == nil { order.append(place.file) }
      wanted[place.file, default: []].append(place.tensor)
    }
    var found: [String: StoredTensor] = [:]
    var shards: [String: ByteSource] = [:]
    for file in order {
      let shard = try source.sibling(file)
      shards[file] = shard
      do {
        let part = try Self.open(shard)
        let names = wanted[file] ?? []
        try Self.compare(part.tensors.map(\.name), wanted: names)
        for tensor in part.tensors { found[tensor.name] = tensor }
        contents.take(part, from: file)
      } catch {
        throw error.located(file: shard.path)
      }
    }
    contents.tensors = places.compactMap { found[$0.tensor] }
    contents.otherSources = order.sorted().compactMap { shards[$0] }
    return contents
  }

  /// What a file holds, which is no index itself.
  private static func open(_ shard: ByteSource) throws(CheckpointError) -> CheckpointContents {
    guard try !SafetensorsFormat.looksPlain(shard), try PyTorchFormat.isFile(shard) else {
      return try SafetensorsFormat.contents(of: shard)
    }
    return try PyTorchFormat().open(shard).choosing(.only)
  }

  /// A file must hold what the index names there, and nothing else.
  private static func compare(_ names: [String], wanted: [String]) throws(CheckpointError) {
    let held = Set(names)
    for name in wanted where !held.contains(name) {
      throw CheckpointError(
        .parameterMissing, tensor: name,
        "the index names the tensor in this file, which does not hold it")
    }
    let named = Set(wanted)
    for name in names where !named.contains(name) {
      throw CheckpointError(
        .parameterUnexpected, tensor: name,
        "the file holds the tensor, but the index does not name it there")
    }
  }
}

extension CheckpointContents {
  /// Takes over what a file says beside its tensors; where files differ, the first one counts.
  fileprivate mutating func take(_ part: CheckpointContents, from file: String) {
    for (key, text) in part.metadata.sorted(by: { $0.key < $1.key }) {
      if let known = metadata[key], known != text {
        ignored.append("metadata \(key) of \(file), which another file says otherwise")
      } else {
        metadata[key] = text
      }
    }
    if modelDescription == nil { modelDescription = part.modelDescription }
    if moduleRecords.isEmpty { moduleRecords = part.moduleRecords }
    ignored += part.ignored.map { "\($0), in \(file)" }
  }
}
