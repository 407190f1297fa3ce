extension SafetensorsFormat {
  /// The contents of a plain file.
  static func contents(of source: ByteSource) throws(CheckpointError) -> CheckpointContents {
    let header = try header(source)
    var contents = CheckpointContents()
    var entries: [Entry] = []
    for (key, value) in try header.json.members("the header") {
      if key == metadataKey {
        try contents.takeMetadata(value)
        continue
      }
      do {
        let entry = try Entry(key, value, dataSize: source.count - header.end)
        entries.append(entry)
      } catch {
        throw error.located(tensor: key, offset: value.offset)
      }
    }
    try checkCoverage(entries, dataStart: header.end, end: source.count)
    contents.tensors = entries.map { $0.tensor(source, dataStart: header.end) }
    return contents
  }

  /// The header of a file and where it ends.
  private static func header(
    _ source: ByteSource
  ) throws(CheckpointError) -> (json: StrictJSON, end: Int) {
    guard source.count >= lengthSize else {
      throw CheckpointError(
        .headerLength, offset: 0,
        "the file has \(source.count) bytes, the length of the header takes \(lengthSize)")
    }
    let length = try source.prefix(lengthSize).integer(at: 0, as: UInt64.self)
    guard length <= largestHeader, length <= source.count - lengthSize else {
      throw CheckpointError(
        .headerLength, offset: 0,
        "a header of \(length) bytes in a file of \(source.count); at most \(largestHeader) are read"
      )
    }
    let end = lengthSize + Int(length)
    let bytes = try source.bytes(in: lengthSize..<end)
    guard bytes.count > 0, bytes.integer(at: 0, as: UInt8.self) == UInt8(ascii: "{") else {
      throw CheckpointError(
        .headerInvalid, offset: lengthSize, "the header does not begin with {")
    }
    return (try StrictJSON(bytes, at: lengthSize), end)
  }

  /// The data must be covered from the first byte to the last, without hole or overlap.
  private static func checkCoverage(
    _ entries: [Entry], dataStart: Int, end: Int
  ) throws(CheckpointError) {
    var covered = 0
    let order = entries.sorted {
      ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
    }
    for entry in order {
      guard entry.range.lowerBound == covered else {
        throw CheckpointError(
          .coverage, tensor: entry.name, offset: dataStart + entry.range.lowerBound,
          "begins at byte \(entry.range.lowerBound) of the data, \(covered) was expected: tensors "
            + "leave no hole and do not overlap")
      }
      covered = entry.range.upperBound
    }
    guard covered == end - dataStart else {
      throw CheckpointError(
        .coverage, offset: dataStart + covered,
        "the tensors end at byte \(covered) of the data, which have \(end - dataStart)")
    }
  }

  /// What the header tells about a tensor.
  private struct Entry {
    let name: String
    let dtypeName: String
    let shape: Shape
    let range: Range<Int>

    init(_ name: String, _ value: StrictJSON, dataSize: Int) throws(CheckpointError) {
      self.name = name
      _ = try value.members("the entry")
      func field(_ key: String) throws(CheckpointError) -> StrictJSON {
        guard let field = value[key] else {
          throw CheckpointError(.headerInvalid, offset: value.offset, "the entry has no \(key)")
        }
        return field
      }
      dtypeName = try field("dtype").string("dtype")
      var dimensions: [Int] = []
      for size in try field("shape").elements("shape") {
        dimensions.append(try size.count("a dimension"))
      }
      shape = try Shape(dimensions)
      let offsets = try field("data_offsets").elements("data_offsets")
      guard offsets.count == 2 else {
        throw CheckpointError(
          .headerInvalid, offset: value.offset, "\(offsets.count) data_offsets, 2 were expected")
      }
      let begin = try offsets[0].count("the begin of the data")
      let end = try offsets[1].count("the end of the data")
      guard begin <= end, end <= dataSize else {
        throw CheckpointError(
          .offsetInvalid, offset: value.offset,
          "the data begin at \(begin) and end at \(end), there are \(dataSize) bytes of data")
      }
      range = begin..<end
      try checkSize(at: value.offset)
    }

    /// Compares the bytes with dtype and shape.
    private func checkSize(at offset: Int) throws(CheckpointError) {
      guard
        let width = DType(rawValue: dtypeName).map({ $0.size * 8 })
          ?? SafetensorsFormat.otherDTypes[dtypeName]
      else {
        throw CheckpointError(
          .dtypeUnsupported, offset: offset, "safetensors has no dtype \"\(dtypeName)\"")
      }
      // A shape fits with 8 bytes for each element, but perhaps not with 64 bits.
      let (bits, overflow) = shape.elementCount.multipliedReportingOverflow(by: width)
      let isWhole = width % 8 == 0 || bits % 8 == 0
      guard overflow || isWhole else {
        throw CheckpointError(
          .dtypeUnsupported, offset: offset, "\(dtypeName) \(shape) does not fill whole bytes")
      }
      let wanted = overflow ? shape.elementCount * (width / 8) : bits / 8
      guard wanted == range.count else {
        throw CheckpointError(
          .sizeMismatch, offset: offset,
          "\(range.count) bytes, but \(dtypeName) \(shape) takes \(wanted)")
      }
    }

    func tensor(_ source: ByteSource, dataStart: Int) -> StoredTensor {
      let dtype = DType(rawValue: dtypeName)
      let refusal = CheckpointError(
        .dtypeUnsupported,
        "\(dtypeName) is not read; leave the tensor out with --exclude, or convert it before, with "
          + "tensor.float() or torch.view_as_real(tensor) in PyTorch")
      return StoredTensor(
        name: name, dtype: dtype, dtypeName: dtypeName, shape: shape,
        storedByteCount: range.count, encoding: "raw", file: source.path,
        contents: StoredRegion(source, at: dataStart + range.lowerBound),
        refusal: dtype == nil ? refusal : nil)
    }
  }
}

extension CheckpointContents {
  /// Takes over an object whose values are text, in which two keys are ours.
  mutating func takeMetadata(_ json: StrictJSON) throws(CheckpointError) {
    let what = SafetensorsFormat.metadataKey
    guard json.kind == .object else {
      throw CheckpointError(
        .metadataInvalid, offset: json.offset, "\(what) is \(json.kind), not an object")
    }
    for (key, value) in try json.members(what) {
      guard value.kind == .string else {
        throw CheckpointError(
          .metadataInvalid, offset: value.offset,
          "\(what) has \(key) as \(value.kind), not as a string")
      }
      let text = try value.string(key)
      switch key {
      case SafetensorsFormat.modelKey: modelDescription = text
      case SafetensorsFormat.modulesKey:
        moduleRecords = try CanonicalJSON.decode([ModuleRecord].self, from: text, key)
      default: metadata[key] = text
      }
    }
  }
}
