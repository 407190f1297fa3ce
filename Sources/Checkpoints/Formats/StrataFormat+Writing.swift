extension StrataFormat {
  /// Writes contents into an empty file.
  /// - Throws: `badName`, `duplicateName`, `notWritable`, or what reading a tensor throws.
  public func write(
    _ contents: CheckpointContents, to file: borrowing AtomicFile, options: WriteOptions
  ) throws(CheckpointError) -> [UInt32] {
    let tables = [contents.tensors, contents.goldens]
    for table in tables { try Self.checkNames(table.map(\.name)) }

    let tensors = tables.flatMap(\.self)
    let encodings: [Encoding] = tensors.map { options.deflates($0) ? .shuffledDeflate : .raw }
    var parts: [Part] = []
    for tensor in tensors {
      let count = tensor.shape.byteCount(of: try tensor.readableDType())
      parts.append(
        Part(offset: 0, chunks: Array(repeating: Chunk(count: 0, checksum: 0), count: count.chunks))
      )
    }

    // The directory stands before the data but tells their sizes and checksums. Its own size depends
    // on numbers of chunks alone, so the data can be written first.
    let dataStart = Self.headerSize + (try directory(contents, parts, encodings).count)

    var checksums: [UInt32] = []
    var end = dataStart
    for (index, tensor) in tensors.enumerated() {
      parts[index] = Part(offset: end, chunks: [])
      let size = try tensor.readableDType().size
      let checksum = try tensor.forEachCheckedPiece { piece throws(CheckpointError) in
        for (block, known) in piece.checksums.enumerated() {
          let start = block * Self.chunkSize
          let decoded = piece.bytes[start..<min(start + Self.chunkSize, piece.bytes.count)]
          let stored =
            switch encodings[index] {
            case .raw: decoded
            case .shuffledDeflate:
              try Deflate.compressed(Deflate.shuffled(decoded, elementSize: size))
            }
          try file.write(stored, at: end)
          end += stored.count
          let checksum = encodings[index] == .raw ? known : CRC32(stored).value
          parts[index].chunks.append(Chunk(count: stored.count, checksum: checksum))
        }
      }
      checksums.append(checksum)
      try pad(&parts[index], to: file, &end)
    }

    let contents = try contents.settled()
    let directory = try directory(contents, parts, encodings)
    try file.write(Bytes(directory), at: Self.headerSize)
    try file.write(
      Bytes(header(directory, sections: sections(contents, parts, encodings).count, end: end)),
      at: 0
    )
    return checksums
  }

  /// Fills up to the next multiple of the alignment; the last chunk's checksum takes the zeros in.
  private func pad(
    _ part: inout Part, to file: borrowing AtomicFile, _ end: inout Int
  ) throws(CheckpointError) {
    let zeros = Bytes([UInt8](repeating: 0, count: end.padding(to: Self.alignment)))
    guard let last = part.chunks.indices.last, zeros.count > 0 else { return }
    try file.write(zeros, at: end)
    end += zeros.count
    var checksum = CRC32(resuming: part.chunks[last].checksum)
    checksum.update(zeros)
    part.chunks[last].checksum = checksum.value
  }

  // MARK: Header and directory

  private func header(_ directory: [UInt8], sections: Int, end: Int) -> [UInt8] {
    var header = ByteWriter()
    header.append(contentsOf: Magic.bytes)
    header.append(Self.byteOrderMark)
    header.append(Self.majorVersion)
    header.append(Self.minorVersion)
    header.append(UInt16(0))
    header.append(UInt32(0))  // required flags
    header.append(UInt32(0))  // optional flags
    header.append(UInt32(sections))
    header.append(UInt64(end))
    header.append(UInt64(directory.count))
    header.append(CRC32(Bytes(directory)).value)
    header.append(UInt64(0))
    header.append(CRC32(Bytes(header.array)).value)
    return header.array
  }

  private func directory(
    _ contents: CheckpointContents, _ parts: [Part], _ encodings: [Encoding]
  ) throws(CheckpointError) -> [UInt8] {
    var directory = ByteWriter()
    for section in try sections(contents, parts, encodings) {
      directory.append(section.kind.rawValue)
      directory.append(section.isRequired ? Self.sectionIsRequired : 0)
      directory.append(UInt64(section.payload.count))
      directory.append(contentsOf: section.payload)
      directory.pad(to: 8)
    }
    directory.pad(to: Self.alignment)
    return directory.array
  }

  private struct Section {
    var kind: SectionKind
    var isRequired = false
    var payload: [UInt8]
  }

  /// The sections by kind; those that would say nothing are left out.
  private func sections(
    _ contents: CheckpointContents, _ parts: [Part], _ encodings: [Encoding]
  ) throws(CheckpointError) -> [Section] {
    var sections = [
      Section(kind: .parts, isRequired: true, payload: partTable(parts)),
      Section(
        kind: .stateDict, isRequired: true,
        payload: try tensorTable(contents.tensors, firstPart: 0, encodings)),
    ]
    if !contents.goldens.isEmpty {
      let table = try tensorTable(contents.goldens, firstPart: contents.tensors.count, encodings)
      sections.append(Section(kind: .goldens, payload: table))
    }
    if let description = contents.modelDescription {
      sections.append(Section(kind: .modelDescription, payload: Array(description.utf8)))
    }
    if !contents.moduleRecords.isEmpty {
      let records = try CanonicalJSON.encode(contents.moduleRecords)
      sections.append(Section(kind: .moduleRecords, payload: Array(records.utf8)))
    }
    if !contents.metadata.isEmpty {
      sections.append(Section(kind: .metadata, payload: metadataTable(contents.metadata)))
    }
    return sections
  }

  private func partTable(_ parts: [Part]) -> [UInt8] {
    var table = ByteWriter()
    table.append(UInt32(parts.count))
    table.append(UInt32(0))
    for part in parts {
      table.append(UInt64(part.offset))
      table.append(UInt64(part.count))
      table.append(UInt32(part.chunks.count))
      table.append(UInt32(0))
      for chunk in part.chunks {
        table.append(UInt32(chunk.count))
        table.append(chunk.checksum)
      }
    }
    return table.array
  }

  private func tensorTable(
    _ tensors: [StoredTensor], firstPart: Int, _ encodings: [Encoding]
  ) throws(CheckpointError) -> [UInt8] {
    var table = ByteWriter()
    table.append(UInt32(tensors.count))
    table.append(UInt32(0))
    for (index, tensor) in tensors.enumerated() {
      let dtype = try tensor.readableDType()
      guard let code = Self.dtypeCodes.first(where: { $0.dtype == dtype })?.code else {
        preconditionFailure("a dtype without a code")
      }
      let name = Array(tensor.name.utf8)
      var entry = ByteWriter()
      entry.append(code)
      entry.append(code)
      entry.append(encodings[firstPart + index].rawValue)
      entry.append(Self.rowMajorLayout)
      entry.append(UInt16(tensor.shape.rank))
      entry.append(UInt16(1))
      entry.append(UInt32(name.count))
      entry.append(UInt32(MemoryLayout<UInt32>.size))
      for size in tensor.shape.dimensions { entry.append(UInt64(size)) }
      entry.append(Self.dataRole)
      entry.append(UInt16(0))
      entry.append(UInt32(firstPart + index))
      entry.append(UInt32(Self.chunkSize))
      entry.append(contentsOf: name)

      let length = (MemoryLayout<UInt32>.size + entry.count).aligned(to: 8)
      table.append(UInt32(length))
      table.append(contentsOf: entry.array)
      table.pad(to: 8)
    }
    return table.array
  }

  private func metadataTable(_ metadata: [String: String]) -> [UInt8] {
    var table = ByteWriter()
    table.append(UInt32(metadata.count))
    table.append(UInt32(0))
    let entries = metadata.map { (key: Array($0.key.utf8), value: Array($0.value.utf8)) }
    for entry in entries.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      table.append(UInt32(entry.key.count))
      table.append(UInt32(entry.value.count))
      table.append(contentsOf: entry.key)
      table.append(contentsOf: entry.value)
    }
    return table.array
  }

  // MARK: Shared with reading

  /// A run of stored bytes in the data area.
  struct Part: Sendable {
    var offset: Int
    var chunks: [Chunk]

    /// The stored bytes without padding.
    var count: Int { chunks.reduce(0) { $0 + $1.count } }
  }

  /// A piece of a part that is checked on its own.
  struct Chunk: Sendable {
    var count: Int
    /// Over the stored bytes, and in the last chunk of a part over the padding behind them as well.
    var checksum: UInt32
  }

  /// Checks the names of one table, whose entries stand at `offsets` if it comes from a file.
  /// - Throws: `badName`, `duplicateName`.
  static func checkNames(_ names: [String], offsets: [Int]? = nil) throws(CheckpointError) {
    var seen: Set<String> = []
    for (index, name) in names.enumerated() {
      let count = name.utf8.count
      guard count > 0, count <= largestName, !name.utf8.contains(0) else {
        throw CheckpointError(
          .badName, tensor: name, offset: offsets?[index],
          "a name has 1 to \(largestName) bytes and no NUL; this one has \(count) bytes")
      }
      guard seen.insert(name).inserted else {
        throw CheckpointError(
          .duplicateName, tensor: name, offset: offsets?[index], "the name occurs twice")
      }
    }
  }
}

extension Int {
  /// How many chunks hold this many decoded bytes.
  fileprivate var chunks: Int {
    (self + StrataFormat.chunkSize - 1) / StrataFormat.chunkSize
  }
}
