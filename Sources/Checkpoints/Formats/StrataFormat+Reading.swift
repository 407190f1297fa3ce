extension StrataFormat {
  /// Parses and validates header and directory; reads no tensor.
  /// - Throws: the codes that the specification names.
  public func open(
    _ source: ByteSource, options: ReadOptions
  ) throws(CheckpointError) -> CheckpointContents {
    let header = try Header(source)
    let range = Self.headerSize..<(Self.headerSize + header.directoryLength)
    let bytes = try source.bytes(in: range)
    guard CRC32(bytes).value == header.directoryChecksum else {
      throw CheckpointError(
        .checksumMismatch, offset: range.lowerBound,
        "the directory, bytes \(range.lowerBound) to \(range.upperBound), does not match its checksum"
      )
    }
    var directory = Directory(source: source, end: header.fileLength, minor: header.minorVersion)
    try directory.parse(bytes, at: range.lowerBound, sections: header.sectionCount)
    return directory.contents
  }

  /// The directory while it is parsed.
  private struct Directory {
    let source: ByteSource
    /// The end of the file.
    let end: Int
    let minor: UInt16
    var parts: [Part] = []
    var partIsUsed: [Bool] = []
    var contents = CheckpointContents()

    mutating func parse(
      _ bytes: Bytes, at offset: Int, sections count: Int
    ) throws(CheckpointError) {
      var reader = ByteReader(bytes, at: offset)
      guard count <= reader.remaining / 16 else {
        throw CheckpointError(
          .countExceedsFile, offset: 28, "\(count) sections in \(reader.remaining) bytes")
      }
      var sections: [(kind: UInt32, isRequired: Bool, payload: ByteReader)] = []
      for _ in 0..<count {
        let at = reader.offset
        let kind = try reader.integer(UInt32.self, "section kind")
        let flags = try reader.integer(UInt32.self, "section flags")
        let length = try reader.length("section length")
        let last = sections.last?.kind ?? 0
        guard kind > last else {
          throw CheckpointError(
            .metadataInvalid, offset: at, "section kind \(kind) after \(last): kinds ascend")
        }
        guard flags & ~sectionIsRequired == 0 else {
          throw CheckpointError(.hole, offset: at, "reserved section flags in \(flags)")
        }
        let start = reader.offset
        let payload = ByteReader(try reader.take(length, "section"), at: start)
        sections.append((kind, flags == sectionIsRequired, payload))
        try reader.skipPadding(to: 8)
      }
      let rest = reader.remaining
      guard rest < alignment else {
        throw CheckpointError(
          .hole, offset: reader.offset, "\(rest) bytes of the directory belong to no section")
      }
      try reader.skipPadding(to: alignment)
      for kind in [SectionKind.parts, .stateDict] {
        guard sections.contains(where: { $0.kind == kind.rawValue }) else {
          throw CheckpointError(
            .metadataInvalid, offset: offset, "section kind \(kind.rawValue) is missing")
        }
      }
      for index in sections.indices {
        try parse(
          sections[index].kind, isRequired: sections[index].isRequired, &sections[index].payload)
      }
      try checkParts(dataStart: reader.offset)
    }

    private mutating func parse(
      _ kind: UInt32, isRequired: Bool, _ section: inout ByteReader
    ) throws(CheckpointError) {
      switch SectionKind(rawValue: kind) {
      case .parts:
        try parseParts(&section)
      case .stateDict:
        contents.tensors = try parseTensors(&section)
      case .goldens:
        contents.goldens = try parseTensors(&section)
      case .modelDescription:
        contents.modelDescription = try section.text(section.remaining, "model description")
      case .moduleRecords:
        contents.moduleRecords = try CanonicalJSON.decode(
          [ModuleRecord].self, from: try section.text(section.remaining, "module records"),
          "module records")
      case .metadata:
        try parseMetadata(&section)
      case nil:
        guard !isRequired else {
          throw CheckpointError(
            .unsupportedVersion, offset: section.offset,
            "section kind \(kind) is required but unknown to this reader")
        }
        contents.ignored.append("section of kind \(kind)")
        _ = try section.take(section.remaining, "section")
      }
      guard section.remaining == 0 else {
        throw CheckpointError(
          .hole, offset: section.offset,
          "\(section.remaining) bytes at the end of section kind \(kind) belong to nothing")
      }
    }

    // MARK: Parts

    private mutating func parseParts(_ section: inout ByteReader) throws(CheckpointError) {
      let count = try Self.tableCount(&section, of: "parts", size: 24)
      for _ in 0..<count {
        let at = section.offset
        let offset = try section.length("part offset")
        let length = try section.length("part length")
        let chunkCount = try section.integer(UInt32.self, "chunk count")
        let reserved = try section.integer(UInt32.self, "reserved field")
        guard chunkCount <= section.remaining / 8 else {
          throw CheckpointError(
            .countExceedsFile, offset: at, "\(chunkCount) chunks in \(section.remaining) bytes")
        }
        var part = Part(offset: offset, chunks: [])
        for _ in 0..<chunkCount {
          part.chunks.append(
            Chunk(
              count: try section.length("chunk length", as: UInt32.self),
              checksum: try section.integer(UInt32.self, "chunk checksum")))
        }
        guard reserved == 0 else {
          throw CheckpointError(.hole, offset: at, "a reserved field is not zero")
        }
        guard part.count == length, part.chunks.allSatisfy({ $0.count > 0 }) else {
          throw CheckpointError(
            .sizeMismatch, offset: at, "chunks of \(part.count) bytes in a part of \(length)")
        }
        parts.append(part)
      }
      partIsUsed = Array(repeating: false, count: parts.count)
    }

    /// The parts must fill the data area in their order, without hole or overlap, up to its end.
    private func checkParts(dataStart: Int) throws(CheckpointError) {
      var expected = dataStart
      for (index, part) in parts.enumerated() {
        func fault(_ code: CheckpointError.Code, _ rule: String) -> CheckpointError {
          CheckpointError(
            code, offset: part.offset, "part \(index) begins at \(part.offset), \(rule)")
        }
        guard part.offset % alignment == 0 else {
          throw fault(.misaligned, "no multiple of \(alignment)")
        }
        guard part.offset >= expected else { throw fault(.overlap, "within the one before it") }
        guard part.offset == expected else { throw fault(.hole, "\(expected) was expected") }
        guard part.count <= end - expected else {
          throw fault(.lengthOutOfRange, "and ends behind the file's end at \(end)")
        }
        expected = (expected + part.count).aligned(to: alignment)
      }
      guard expected == end else {
        throw CheckpointError(
          expected > end ? .lengthOutOfRange : .hole, offset: min(expected, end),
          "the data end at \(expected), the file at \(end)")
      }
      // Whatever no known tensor refers to belongs to a section that this version skips. Nobody else
      // would check those bytes.
      for (index, part) in parts.enumerated() where !partIsUsed[index] {
        guard !contents.ignored.isEmpty else {
          throw CheckpointError(
            .hole, offset: part.offset, "part \(index) belongs to no tensor")
        }
        try part.verify(in: source)
      }
    }

    // MARK: Tensors

    private mutating func parseTensors(
      _ section: inout ByteReader
    ) throws(CheckpointError) -> [StoredTensor] {
      let count = try Self.tableCount(&section, of: "tensors", size: 24)
      var tensors: [StoredTensor] = []
      var offsets: [Int] = []
      for _ in 0..<count {
        let at = section.offset
        offsets.append(at)
        let length = try section.length("entry length", as: UInt32.self)
        guard length % 8 == 0, length >= 24 else {
          throw CheckpointError(
            .lengthOutOfRange, offset: at,
            "an entry of \(length) bytes: not a multiple of 8, or below 24")
        }
        let start = section.offset
        var entry = ByteReader(try section.take(length - 4, "entry"), at: start)
        tensors.append(try parseTensor(&entry))
        guard minor > minorVersion || entry.remaining < 8 else {
          throw CheckpointError(
            .hole, offset: entry.offset, "\(entry.remaining) bytes of the entry belong to nothing")
        }
        if minor <= minorVersion {
          let padding = try entry.take(entry.remaining, "padding")
          guard padding.array.allSatisfy({ $0 == 0 }) else {
            throw CheckpointError(.hole, offset: entry.offset, "padding is not zero")
          }
        }
      }
      try checkNames(tensors.map(\.name), offsets: offsets)
      return tensors
    }

    private mutating func parseTensor(
      _ entry: inout ByteReader
    ) throws(CheckpointError) -> StoredTensor {
      let at = entry.offset
      let dtypeCode = try entry.integer(UInt16.self, "dtype")
      let storageCode = try entry.integer(UInt16.self, "storage dtype")
      let encodingCode = try entry.integer(UInt16.self, "encoding")
      let layoutCode = try entry.integer(UInt16.self, "layout")
      let rank = try entry.length("rank", as: UInt16.self)
      let partCount = try entry.length("part count", as: UInt16.self)
      let nameLength = try entry.length("name length", as: UInt32.self)
      let parameterLength = try entry.length("parameter length", as: UInt32.self)
      guard rank <= Shape.maximumRank else {
        throw CheckpointError(
          .rankLimit, offset: at, "\(rank) dimensions, at most \(Shape.maximumRank) are allowed")
      }
      guard rank + partCount <= entry.remaining / 8 else {
        throw CheckpointError(
          .countExceedsFile, offset: at,
          "\(rank) dimensions and \(partCount) parts in \(entry.remaining) bytes")
      }
      var dimensions: [UInt64] = []
      for _ in 0..<rank { dimensions.append(try entry.integer(UInt64.self, "dimension")) }
      var references: [(role: UInt16, part: Int)] = []
      for _ in 0..<partCount {
        let role = try entry.integer(UInt16.self, "part role")
        let reserved = try entry.integer(UInt16.self, "reserved field")
        let index = try entry.length("part index", as: UInt32.self)
        guard reserved == 0 else {
          throw CheckpointError(.hole, offset: at, "a reserved field is not zero")
        }
        references.append((role, index))
      }
      let parameters = try entry.take(parameterLength, "parameters")
      let nameBytes = try entry.take(nameLength, "name").array
      guard let name = String(validating: nameBytes, as: UTF8.self) else {
        throw CheckpointError(.badName, offset: at, "a name is not UTF-8")
      }

      do {
        let shape = try Self.shape(dimensions)
        for reference in references { try use(reference.part) }
        let dtype = dtypeCodes.first { $0.code == dtypeCode }?.dtype
        let encoding = Encoding(rawValue: encodingCode)
        guard let dtype, let encoding, storageCode == dtypeCode, layoutCode == rowMajorLayout,
          references.map(\.role) == [dataRole]
        else {
          return unreadable(
            name, shape, references.map(\.part), dtype: dtype, dtypeCode: dtypeCode,
            codes: (storageCode, encodingCode, layoutCode))
        }
        let part = parts[references[0].part]
        let chunkSize = try Self.chunkSize(parameters)
        let bytes = EncodedBytes(
          source: source, part: part, encoding: encoding, elementSize: dtype.size,
          count: shape.byteCount(of: dtype), chunkSize: chunkSize)
        try bytes.check(shape, dtype)
        return StoredTensor(
          name: name, dtype: dtype, shape: shape, storedByteCount: part.count,
          encoding: encoding.name, file: source.path, contents: bytes)
      } catch {
        throw error.located(tensor: name, offset: at)
      }
    }

    /// A tensor with a code that this version does not know: it is listed, and its bytes are checked.
    private func unreadable(
      _ name: String, _ shape: Shape, _ references: [Int], dtype: DType?, dtypeCode: UInt16,
      codes: (storage: UInt16, encoding: UInt16, layout: UInt16)
    ) -> StoredTensor {
      StoredTensor(
        name: name, dtype: nil, dtypeName: dtype?.rawValue ?? "dtype code \(dtypeCode)",
        shape: shape, storedByteCount: references.reduce(0) { $0 + parts[$1].count },
        encoding:
          "storage code \(codes.storage), encoding code \(codes.encoding), layout code \(codes.layout)",
        file: source.path,
        contents: UndecodableBytes(source: source, parts: references.map { parts[$0] }))
    }

    private mutating func use(_ part: Int) throws(CheckpointError) {
      guard parts.indices.contains(part) else {
        throw CheckpointError(.lengthOutOfRange, "part \(part) of \(parts.count)")
      }
      guard !partIsUsed[part] else {
        throw CheckpointError(.overlap, "part \(part) belongs to another tensor already")
      }
      partIsUsed[part] = true
    }

    private static func shape(_ dimensions: [UInt64]) throws(CheckpointError) -> Shape {
      try Shape(
        dimensions.map { value throws(CheckpointError) in
          guard let size = Int(exactly: value) else {
            throw CheckpointError(.shapeOverflow, "a dimension of \(value)")
          }
          return size
        })
    }

    /// The parameters of both encodings: the decoded bytes of a chunk.
    private static func chunkSize(_ parameters: Bytes) throws(CheckpointError) -> Int {
      guard parameters.count == 4 else {
        throw CheckpointError(
          .sizeMismatch, "\(parameters.count) bytes of parameters, 4 were expected")
      }
      let size = Int(parameters.integer(at: 0, as: UInt32.self))
      guard size > 0, size % 8 == 0, size <= largestChunkSize else {
        throw CheckpointError(
          .lengthOutOfRange, "chunks of \(size) bytes: no multiple of 8 up to \(largestChunkSize)")
      }
      return size
    }

    // MARK: Metadata

    private mutating func parseMetadata(_ section: inout ByteReader) throws(CheckpointError) {
      let count = try Self.tableCount(&section, of: "metadata entries", size: 8)
      var last: [UInt8]?
      for _ in 0..<count {
        let at = section.offset
        let keyLength = try section.length("key length", as: UInt32.self)
        let valueLength = try section.length("value length", as: UInt32.self)
        let key = try section.text(keyLength, "metadata key")
        let value = try section.text(valueLength, "metadata value")
        let bytes = Array(key.utf8)
        guard last.map({ $0.lexicographicallyPrecedes(bytes) }) ?? true else {
          throw CheckpointError(.metadataInvalid, offset: at, "metadata keys do not ascend")
        }
        guard contents.metadata.updateValue(value, forKey: key) == nil else {
          throw CheckpointError(.metadataInvalid, offset: at, "a metadata key occurs twice")
        }
        last = bytes
      }
    }

    private static func tableCount(
      _ section: inout ByteReader, of what: String, size: Int
    ) throws(CheckpointError) -> Int {
      let count = try section.count(of: what, size: size)
      let at = section.offset
      guard try section.integer(UInt32.self, "reserved field") == 0 else {
        throw CheckpointError(.hole, offset: at, "a reserved field is not zero")
      }
      return count
    }
  }
}
