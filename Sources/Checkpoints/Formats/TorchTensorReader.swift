/// Makes tensors of what a pickle describes, each checked against its storage.
struct TorchTensorReader {
  /// The bytes under a storage's name in the file.
  struct StorageBytes {
    var contents: any TensorBytes
    var byteCount: Int
    var isBigEndian = false
  }

  /// What all tensors together may take beyond 1032 times the file: 1 GiB.
  private static let expansionAllowance = 1 << 30

  /// The path, for errors.
  private let file: String?
  /// The bytes of the file, which bound what it may expand to.
  private let fileByteCount: Int
  /// Finds the bytes of a storage by its name.
  private let locate: (String) throws(CheckpointError) -> StorageBytes
  /// Storages that were found before: what was checked of them is shared.
  private var found: [String: StorageBytes] = [:]
  private var byteCount = 0

  /// Reads tensors of a file whose storages `locate` finds.
  init(
    _ source: ByteSource,
    locate: @escaping (String) throws(CheckpointError) -> StorageBytes
  ) {
    self.file = source.path
    self.fileByteCount = source.count
    self.locate = locate
  }

  /// Makes room for the storages of `count` tensors.
  mutating func reserveCapacity(_ count: Int) { found.reserveCapacity(count) }

  /// The tensor that is called `name`.
  /// - Throws: `sizeMismatch`, `strideOutOfRange`, `expansionLimit`, and what is wrong with the shape.
  mutating func tensor(
    _ tensor: TorchTensor, named name: String
  ) throws(CheckpointError) -> StoredTensor {
    do throws(CheckpointError) {
      guard tensor.size.allSatisfy({ $0 >= 0 }) else {
        throw CheckpointError(.strideOutOfRange, "a negative dimension in shape \(tensor.size)")
      }
      let shape = try Shape(tensor.size)
      switch tensor.elements {
      case .unreadable(let reason):
        return refused(tensor, name, shape, .unsupportedVariant, reason)
      case .strided(let storage, let offset, let strides):
        return try strided(
          tensor, name, shape, storage, offset: offset, strides: strides)
      }
    } catch {
      throw error.located(file: file, tensor: name)
    }
  }

  private mutating func strided(
    _ tensor: TorchTensor, _ name: String, _ shape: Shape, _ storage: TorchStorage, offset: Int,
    strides: [Int]
  ) throws(CheckpointError) -> StoredTensor {
    let type = tensor.type ?? storage.type
    let bytes = try self.bytes(of: storage)
    guard let dtype = type.dtype else {
      return refused(tensor, name, shape, .dtypeUnsupported, type.refusal, bytes)
    }
    guard !tensor.isNegated || dtype.isFloatingPoint else {
      return refused(
        tensor, name, shape, .unsupportedVariant,
        "a tensor with its bit 'neg' set: in Python, save t.resolve_neg() in its place", bytes)
    }
    guard strides.count == shape.rank else {
      throw CheckpointError(
        .strideOutOfRange, "\(shape.rank) dimensions with \(strides.count) strides")
    }
    let layout = try StridedLayout(
      offset: offset, shape: shape, strides: strides, elementSize: type.size,
      storageCount: storage.count * storage.type.size / type.size, start: storage.start)
    byteCount += shape.byteCount(of: dtype)
    // Tied weights and views may count several times; copies of copies without end may not.
    guard (byteCount - Self.expansionAllowance) / Deflate.largestExpansion <= fileByteCount else {
      throw CheckpointError(
        .expansionLimit,
        "the tensors up to this one make \(byteCount) bytes of a file of \(fileByteCount)")
    }
    return StoredTensor(
      name: name, dtype: dtype, shape: shape,
      storedByteCount: min(shape.byteCount(of: dtype), bytes.byteCount), encoding: "raw",
      file: file,
      contents: StridedBytes(
        of: layout, elementSize: type.size, in: bytes.contents, byteCount: bytes.byteCount,
        isBigEndian: bytes.isBigEndian, isNegated: tensor.isNegated))
  }

  private func refused(
    _ tensor: TorchTensor, _ name: String, _ shape: Shape, _ code: CheckpointError.Code,
    _ reason: String, _ bytes: StorageBytes? = nil
  ) -> StoredTensor {
    let refusal = CheckpointError(
      code, file: file, tensor: name, "\(reason), or leave it out with --exclude")
    return StoredTensor(
      name: name, dtype: nil, dtypeName: tensor.type?.name ?? "unknown", shape: shape,
      storedByteCount: bytes?.byteCount ?? 0, encoding: "raw", file: file,
      contents: RefusedBytes(refusal: refusal, storage: bytes), refusal: refusal)
  }

  private mutating func bytes(of storage: TorchStorage) throws(CheckpointError) -> StorageBytes {
    let bytes: StorageBytes
    if let known = found[storage.key] { bytes = known } else { bytes = try locate(storage.key) }
    found[storage.key] = bytes
    guard storage.type.size > 0 else { return bytes }
    let (size, overflow) = storage.wholeCount.multipliedReportingOverflow(by: storage.type.size)
    // A storage that was made by viewing another dtype may have bytes beyond its last whole element.
    guard !overflow, size <= bytes.byteCount, bytes.byteCount - size < storage.type.size else {
      throw CheckpointError(
        .sizeMismatch,
        """
        the storage '\(storage.key)' has \(storage.wholeCount) elements of \
        \(storage.type.size) bytes, the file holds \(bytes.byteCount) bytes of it
        """)
    }
    return bytes
  }
}

/// The bytes of a tensor that is listed but not read: they can only be checked.
private struct RefusedBytes: TensorBytes {
  let refusal: CheckpointError
  let storage: TorchTensorReader.StorageBytes?

  func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes { throw refusal }

  func verify(count: Int) throws(CheckpointError) {
    try storage?.contents.verify(count: storage?.byteCount ?? 0)
  }
}

/// The bytes of a storage that stands in the file as it is, without a checksum.
struct StorageRange: TensorBytes {
  let source: ByteSource
  let start: Int

  func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    try source.bytes(in: (start + range.lowerBound)..<(start + range.upperBound))
  }

  /// There is nothing to compare with.
  func verify(count: Int) {}
}

extension TorchDType {
  /// Why tensors of it are not read, and the way out.
  fileprivate var refusal: String {
    let wayOut =
      if name.hasPrefix("complex") {
        "torch.view_as_real(t)"
      } else if name.hasPrefix("q") {
        "t.dequantize()"
      } else if name.hasPrefix("float") {
        "t.float()"
      } else {
        "t as another dtype"
      }
    return "the dtype \(name) is not read: in Python, save \(wayOut) in its place"
  }
}
