extension SafetensorsFormat {
  /// Writes contents into an empty file.
  ///
  /// The keys of the header keep the order of the state dict, the data stand by falling size of their
  /// elements, each tensor at a multiple of its own.
  /// - Throws: `badName`, `duplicateName`, `metadataInvalid`, `headerLength`, `notWritable`, or what
  ///   reading a tensor throws.
  public func write(
    _ contents: CheckpointContents, to file: borrowing AtomicFile, options: WriteOptions
  ) throws(CheckpointError) -> [UInt32] {
    let layout = try Layout(contents.tensors)
    // Metadata may get known while the tensors are written, but how long they are is known.
    let dataStart = Self.lengthSize + (try header(contents, layout).utf8.count)

    var checksums: [UInt32] = []
    for (tensor, range) in zip(contents.tensors, layout.ranges) {
      var position = dataStart + range.lowerBound
      checksums.append(
        try tensor.forEachPiece { piece throws(CheckpointError) in
          try file.write(piece, at: position)
          position += piece.count
        })
    }
    let header = try header(try contents.settled(), layout)
    var start = ByteWriter()
    start.append(UInt64(header.utf8.count))
    start.append(contentsOf: header.utf8)
    try file.write(Bytes(start.array), at: 0)
    return checksums
  }

  /// Where the tensors stand in the data, in their order.
  private struct Layout {
    private(set) var ranges: [Range<Int>]
    private(set) var end = 0

    init(_ tensors: [StoredTensor]) throws(CheckpointError) {
      var seen: Set<String> = []
      var sizes: [(element: Int, count: Int)] = []
      for tensor in tensors {
        guard tensor.name != metadataKey else {
          throw CheckpointError(
            .badName, tensor: tensor.name,
            "safetensors has no tensor of this name, which is that of the metadata; rename it")
        }
        guard seen.insert(tensor.name).inserted else {
          throw CheckpointError(.duplicateName, tensor: tensor.name, "the name occurs twice")
        }
        let dtype = try tensor.readableDType()
        sizes.append((dtype.size, tensor.shape.byteCount(of: dtype)))
      }
      ranges = Array(repeating: 0..<0, count: sizes.count)
      let order = sizes.indices.sorted {
        (sizes[$1].element, $0) < (sizes[$0].element, $1)
      }
      for index in order {
        let (next, overflow) = end.addingReportingOverflow(sizes[index].count)
        guard !overflow else {
          throw CheckpointError(
            .shapeOverflow, tensor: tensors[index].name, "all tensors have more bytes than 2^63")
        }
        ranges[index] = end..<next
        end = next
      }
    }
  }

  private func header(
    _ contents: CheckpointContents, _ layout: Layout
  ) throws(CheckpointError) -> String {
    var members: [String] = []
    let metadata = try Self.metadata(contents)
    if !metadata.isEmpty {
      let texts = metadata.map {
        CanonicalJSON.quoted($0.key) + ":" + CanonicalJSON.quoted($0.text)
      }
      members.append("\"\(Self.metadataKey)\":{\(texts.joined(separator: ","))}")
    }
    for (tensor, range) in zip(contents.tensors, layout.ranges) {
      let shape = tensor.shape.dimensions.map(String.init).joined(separator: ",")
      members.append(
        CanonicalJSON.quoted(tensor.name)
          + ":{\"dtype\":\"\(try tensor.readableDType().rawValue)\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(range.lowerBound),\(range.upperBound)]}")
    }
    var header = "{\(members.joined(separator: ","))}"
    header += String(repeating: " ", count: header.utf8.count.padding(to: Self.alignment))
    guard header.utf8.count <= Self.largestHeader else {
      throw CheckpointError(
        .headerLength,
        "the header would have \(header.utf8.count) bytes, safetensors allows "
          + "\(Self.largestHeader); leave tensors or metadata out")
    }
    return header
  }

  /// Text by key, ours included, in the keys' order.
  private static func metadata(
    _ contents: CheckpointContents
  ) throws(CheckpointError) -> [(key: String, text: String)] {
    for key in [modelKey, modulesKey] where contents.metadata[key] != nil {
      throw CheckpointError(
        .metadataInvalid, "the metadata key \(key) is reserved in safetensors files; rename it")
    }
    var metadata = contents.metadata.map { (key: $0.key, text: $0.value) }
    if let description = contents.modelDescription { metadata.append((modelKey, description)) }
    if !contents.moduleRecords.isEmpty {
      metadata.append((modulesKey, try CanonicalJSON.encode(contents.moduleRecords)))
    }
    return metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
  }

  // MARK: Shards

  /// Shards `out-00001-of-00002.safetensors`, … and the index `out.safetensors.index.json`, for a path
  /// that is either the index's or `out.safetensors`; one plain file where that has room for everything
  /// and the path is not the index's.
  ///
  /// Metadata stand in each shard, model description and module records in the first.
  /// - Throws: why a tensor cannot be read.
  public func shardLayout(
    of contents: CheckpointContents, at path: String, options: WriteOptions
  ) throws(CheckpointError) -> ShardLayout? {
    let file = path.split(separator: "/", omittingEmptySubsequences: false).last.map(String.init)
    let name = file ?? ""
    let isIndex = name.lowercased().hasSuffix("." + ShardIndex.fileExtension)
    guard isIndex || options.shardSize != nil else { return nil }
    var runs = try contents.runs(ofAtMost: options.shardSize ?? .max)
    if runs.isEmpty { runs = [[]] }
    guard isIndex || runs.count > 1 else { return nil }

    var stem = name
    for suffix in ["." + ShardIndex.fileExtension, "." + fileExtensions[0]] {
      guard stem.lowercased().hasSuffix(suffix) else { continue }
      stem = String(stem.dropLast(suffix.count))
      break
    }
    var shards: [ShardLayout.Shard] = []
    for (place, run) in runs.enumerated() {
      var part = CheckpointContents(tensors: run, metadata: contents.metadata)
      part.pendingMetadata = contents.pendingMetadata
      if place == 0 {
        part.modelDescription = contents.modelDescription
        part.moduleRecords = contents.moduleRecords
      }
      let number = "\(Self.fiveDigits(place + 1))-of-\(Self.fiveDigits(runs.count))"
      shards.append(
        ShardLayout.Shard(name: "\(stem)-\(number).\(fileExtensions[0])", contents: part))
    }
    return ShardLayout(
      shards: shards, indexName: "\(stem).\(ShardIndex.fileExtension)",
      index: Bytes(Array(try ShardIndex.text(of: shards).utf8)))
  }

  private static func fiveDigits(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
  }
}

extension ShardIndex {
  /// The index of shards, as Hugging Face's tools write it but for the order of the tensors, which is
  /// that of the state dict.
  fileprivate static func text(
    of shards: [ShardLayout.Shard]
  ) throws(CheckpointError) -> String {
    var size = 0
    var lines: [String] = []
    for shard in shards {
      for tensor in shard.contents.tensors {
        // No file system holds what would overflow here; writing it fails soon enough.
        size &+= tensor.shape.byteCount(of: try tensor.readableDType())
        let file = CanonicalJSON.quoted(shard.name)
        lines.append("    \(CanonicalJSON.quoted(tensor.name)): \(file)")
      }
    }
    let map = lines.isEmpty ? "{}" : "{\n\(lines.joined(separator: ",\n"))\n  }"
    return """
      {
        "\(metadataKey)": {
          "\(sizeKey)": \(size)
        },
        "\(mapKey)": \(map)
      }

      """
  }
}
