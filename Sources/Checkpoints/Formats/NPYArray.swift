/// An array of a npy file, wherever the file stands: header, and elements as a tensor's bytes.
struct NPYArray {
  private let header: NPYHeader
  private let dtype: DType?
  private let isBigEndian: Bool
  /// The bytes of an element; nil where they are not known.
  private let elementSize: Int?

  /// Reads the header of a file of `count` bytes, which stands at `offset` in its source, and compares
  /// the size of the data with it.
  /// - Throws: what is wrong with the header; `sizeMismatch`, or what `verify` finds before.
  init(
    _ bytes: any TensorBytes, count: Int, at offset: Int, _ options: ReadOptions
  ) throws(CheckpointError) {
    header = try NPYHeader(bytes, count: count, at: offset)
    let type = NPYType(header.descr)
    isBigEndian = type?.isBigEndian ?? false
    if header.descr == NPYType.void2, options.npzVoid2 == .bf16 {
      dtype = .bfloat16
      elementSize = 2
    } else {
      dtype = header.holdsObjects ? nil : type?.dtype
      elementSize = dtype?.size
    }
    guard let elementSize else { return }
    let wanted = header.shape.elementCount * elementSize
    guard wanted == count - header.end else {
      // An archive that announces a wrong size for the file is the deeper fault.
      try bytes.verify(count: count)
      throw CheckpointError(
        .sizeMismatch, offset: offset + header.end,
        "\(count - header.end) bytes of data, but '\(header.descr)' \(header.shape) takes \(wanted)"
      )
    }
  }

  /// The array as a tensor whose file is `bytes`, of which the archive or the disk holds `storedCount`.
  func tensor(
    named name: String, _ bytes: any TensorBytes, count: Int, storedCount: Int, encoding: String,
    file: String?
  ) -> StoredTensor {
    var contents: any TensorBytes = NPYData(base: bytes, offset: header.end, fileCount: count)
    if let elementSize {
      // In one dimension, or in one of more than one element, both orders are one.
      if header.isFortranOrder, header.shape.dimensions.count(where: { $0 > 1 }) > 1,
        header.shape.elementCount > 0
      {
        contents = FortranOrderBytes(contents, shape: header.shape, elementSize: elementSize)
      }
      if isBigEndian, elementSize > 1 {
        contents = SwappedBytes(base: contents, elementSize: elementSize)
      }
    }
    return StoredTensor(
      name: name, dtype: dtype, dtypeName: dtype?.rawValue ?? header.descr, shape: header.shape,
      storedByteCount: storedCount, encoding: encoding, file: file, contents: contents,
      refusal: dtype == nil ? refusal : nil)
  }

  private var refusal: CheckpointError {
    if header.holdsObjects {
      return CheckpointError(
        .objectArray,
        "'\(header.descr)' are Python objects, which are pickled and could be anything; leave the "
          + "array out with --exclude, or save it as numbers")
    }
    if header.descr == NPYType.void2 {
      return CheckpointError(
        .dtypeUnsupported,
        "'\(header.descr)' are two bytes without a type; if they are bfloat16, say so with "
          + "--set npz_void2=bf16")
    }
    return CheckpointError(
      .dtypeUnsupported,
      "'\(header.descr)' is not read; leave the array out with --exclude, or save it as another type "
        + "with array.astype")
  }
}

/// An element type as npy headers spell it: `<f4`, `|b1`.
struct NPYType {
  let dtype: DType
  let isBigEndian: Bool

  /// Two bytes of nothing that numpy knows.
  static let void2 = "|V2"

  /// The types that numpy has, by kind and size.
  private static let dtypes: [(kind: String, dtype: DType)] = [
    ("f8", .float64), ("f4", .float32), ("f2", .float16),
    ("i8", .int64), ("i4", .int32), ("i2", .int16), ("i1", .int8),
    ("u8", .uint64), ("u4", .uint32), ("u2", .uint16), ("u1", .uint8), ("b1", .bool),
  ]

  /// Nil when the spelling is that of none of our dtypes.
  init?(_ descr: String) {
    var kind = descr[...]
    // "=" and none stand for the writer's own order, which for decades has been little-endian.
    if let first = kind.first, "<>=|".contains(first) { kind = kind.dropFirst() }
    guard let known = Self.dtypes.first(where: { $0.kind == kind }) else { return nil }
    dtype = known.dtype
    isBigEndian = descr.first == ">"
  }

  /// The spelling of a dtype.
  /// - Throws: `dtypeUnsupported` for bfloat16, unless it may be written as two bytes of nothing.
  static func descr(
    of dtype: DType, _ void2: ReadOptions.NPZVoid2
  ) throws(CheckpointError) -> String {
    guard let known = dtypes.first(where: { $0.dtype == dtype }) else {
      guard dtype == .bfloat16, void2 == .bf16 else {
        throw CheckpointError(
          .dtypeUnsupported,
          "numpy has no \(dtype.rawValue): convert with --dtype F32, or write two bytes without a "
            + "type with --set npz_void2=bf16")
      }
      return Self.void2
    }
    return (dtype.size == 1 ? "|" : "<") + known.kind
  }
}

/// The bytes behind the header of a npy file.
private struct NPYData: TensorBytes {
  let base: any TensorBytes
  let offset: Int
  /// The bytes of the whole file.
  let fileCount: Int

  func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    try base.bytes(in: (offset + range.lowerBound)..<(offset + range.upperBound))
  }

  func verify(count: Int) throws(CheckpointError) { try base.verify(count: fileCount) }
}

/// Elements whose bytes stand the other way round.
struct SwappedBytes: TensorBytes {
  let base: any TensorBytes
  let elementSize: Int

  func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    // Whole elements around what was asked for.
    let start = range.lowerBound / elementSize * elementSize
    let end = range.upperBound.aligned(to: elementSize)
    let bytes = try base.bytes(in: start..<end)
    let swapped = unsafe Bytes(count: bytes.count) { output in
      unsafe bytes.withUnsafeBytes { input in
        switch elementSize {
        case 2: unsafe Self.swap(input, output, as: UInt16.self)
        case 4: unsafe Self.swap(input, output, as: UInt32.self)
        default: unsafe Self.swap(input, output, as: UInt64.self)
        }
      }
    }
    return swapped[(range.lowerBound - start)..<(range.upperBound - start)]
  }

  func verify(count: Int) throws(CheckpointError) { try base.verify(count: count) }

  private static func swap<Element: FixedWidthInteger>(
    _ input: UnsafeRawBufferPointer, _ output: UnsafeMutableRawBufferPointer, as type: Element.Type
  ) {
    for offset in stride(from: 0, to: input.count, by: MemoryLayout<Element>.size) {
      let element = unsafe input.loadUnaligned(fromByteOffset: offset, as: type)
      unsafe output.storeBytes(of: element.byteSwapped, toByteOffset: offset, as: type)
    }
  }
}
