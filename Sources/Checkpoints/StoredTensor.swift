/// The decoded bytes of a tensor, wherever they stand.
///
/// Formats implement it; so do conversions.
public protocol TensorBytes: Sendable {
  /// The bytes of `range`, counted in the tensor's elements in row-major order, little-endian.
  /// - Throws: whatever is wrong with the bytes, or with reading them.
  func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes

  /// The bytes of `range` with their checksums.
  func piece(in range: Range<Int>) throws(CheckpointError) -> TensorPiece

  /// Checks every stored byte against its checksum, as far as the format has one. `count` is the
  /// number of decoded bytes.
  func verify(count: Int) throws(CheckpointError)

  /// The CRC-32 of the `count` decoded bytes, every one of them read and checked.
  func checksum(count: Int) throws(CheckpointError) -> UInt32
}

extension TensorBytes {
  /// Computes the checksums of the bytes.
  public func piece(in range: Range<Int>) throws(CheckpointError) -> TensorPiece {
    TensorPiece(try bytes(in: range))
  }

  /// Reads everything, a piece at a time.
  public func checksum(count: Int) throws(CheckpointError) -> UInt32 {
    var checksum = CRC32()
    for start in stride(from: 0, to: count, by: StoredTensor.pieceSize) {
      checksum.update(try bytes(in: start..<min(start + StoredTensor.pieceSize, count)))
    }
    return checksum.value
  }

  /// Reads everything, a piece at a time.
  public func verify(count: Int) throws(CheckpointError) {
    for start in stride(from: 0, to: count, by: StoredTensor.pieceSize) {
      _ = try bytes(in: start..<min(start + StoredTensor.pieceSize, count))
    }
  }
}

/// A tensor that is known by name, dtype and shape, and whose bytes are read when asked for.
///
/// It keeps what it reads from open; a file may be renamed or removed meanwhile.
public struct StoredTensor: Sendable {
  /// How many bytes are handled at a time where a tensor is streamed: 4 MiB.
  public static let pieceSize = 4 << 20

  /// The name.
  public var name: String
  /// The element type, or nil when this version does not know the file's code for it or its
  /// encoding: the tensor is listed but cannot be read.
  public let dtype: DType?
  /// The element type as it is shown: the dtype's name, or the unknown code.
  public let dtypeName: String
  /// The dimensions.
  public let shape: Shape
  /// The number of bytes that the tensor takes in its file.
  public let storedByteCount: Int
  /// How the bytes are stored: `raw`, `deflate`, ….
  public let encoding: String

  private let contents: any TensorBytes
  /// Why the tensor cannot be read, where more is known than that its code is unknown.
  private let refusal: CheckpointError?
  /// The path of the file, for errors; nil for bytes from memory.
  package let file: String?

  /// Describes a tensor.
  ///
  /// `dtypeName` is needed where `dtype` is nil, and `refusal` says there why the tensor cannot be read
  /// and what to do instead.
  public init(
    name: String, dtype: DType?, dtypeName: String? = nil, shape: Shape, storedByteCount: Int,
    encoding: String, file: String?, contents: any TensorBytes, refusal: CheckpointError? = nil
  ) {
    self.name = name
    self.dtype = dtype
    self.dtypeName = dtypeName ?? dtype?.rawValue ?? "unknown"
    self.shape = shape
    self.storedByteCount = storedByteCount
    self.encoding = encoding
    self.file = file
    self.contents = contents
    self.refusal = refusal
  }

  /// A tensor in memory.
  public init(_ tensor: Tensor, named name: String) {
    self.init(
      name: name, dtype: tensor.dtype, shape: tensor.shape, storedByteCount: tensor.bytes.count,
      encoding: "raw", file: nil, contents: tensor.bytes)
  }

  /// The dtype of a tensor that is to be read.
  /// - Throws: why this version cannot read it, `encodingUnsupported` for an unknown code.
  public func readableDType() throws(CheckpointError) -> DType {
    guard let dtype else {
      if let refusal { throw refusal.located(file: file, tensor: name) }
      throw CheckpointError(
        .encodingUnsupported, file: file, tensor: name,
        "\(dtypeName) stored as \(encoding) is unknown to this version")
    }
    return dtype
  }

  /// The tensor under the rest of its name; nil when the name does not begin so.
  func removingPrefix(_ prefix: String) -> StoredTensor? {
    guard name.hasPrefix(prefix), name.utf8.count > prefix.utf8.count else { return nil }
    var tensor = self
    tensor.name = String(name.dropFirst(prefix.count))
    return tensor
  }

  /// The decoded bytes of `range`.
  /// - Throws: what the format finds wrong, with file and tensor named.
  public func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    do {
      return try contents.bytes(in: range)
    } catch {
      throw error.located(file: file, tensor: name)
    }
  }

  /// The whole tensor.
  /// - Throws: what the format finds wrong, with file and tensor named.
  public func read() throws(CheckpointError) -> Tensor {
    let dtype = try readableDType()
    let bytes = try bytes(in: 0..<shape.byteCount(of: dtype))
    return try Tensor(dtype: dtype, shape: shape, bytes: bytes)
  }

  /// Hands the decoded bytes to `body`, in order, at most `pieceSize` at a time, and gives their
  /// CRC-32.
  @discardableResult
  public func forEachPiece(
    _ body: (Bytes) throws(CheckpointError) -> Void
  ) throws(CheckpointError) -> UInt32 {
    try forEachCheckedPiece { piece throws(CheckpointError) in try body(piece.bytes) }
  }

  /// Hands the decoded bytes to `body` likewise, with the checksums of their blocks.
  func forEachCheckedPiece(
    _ body: (TensorPiece) throws(CheckpointError) -> Void
  ) throws(CheckpointError) -> UInt32 {
    var pieces = ReadAhead(contents, count: shape.byteCount(of: try readableDType()))
    var checksum = CRC32()
    while let piece = try nextPiece(&pieces) {
      try body(piece)
      checksum.append(piece)
    }
    return checksum.value
  }

  private func nextPiece(_ pieces: inout ReadAhead) throws(CheckpointError) -> TensorPiece? {
    do {
      return try pieces.piece()
    } catch {
      throw error.located(file: file, tensor: name)
    }
  }

  /// The CRC-32 of the decoded bytes, every one of them read and checked.
  func checksum() throws(CheckpointError) -> UInt32 {
    do {
      return try contents.checksum(count: shape.byteCount(of: try readableDType()))
    } catch {
      throw error.located(file: file, tensor: name)
    }
  }

  /// Checks every stored byte, also of a tensor that cannot be decoded.
  public func verify() throws(CheckpointError) {
    do {
      try contents.verify(count: dtype.map(shape.byteCount) ?? 0)
    } catch {
      throw error.located(file: file, tensor: name)
    }
  }

  /// The tensor converted to another dtype while it is read.
  /// - Throws: `encodingUnsupported`; reading throws `notRepresentable` where a value does not fit.
  public func converted(to target: DType) throws(CheckpointError) -> StoredTensor {
    let source = try readableDType()
    guard source != target else { return self }
    return StoredTensor(
      name: name, dtype: target, shape: shape, storedByteCount: shape.byteCount(of: target),
      encoding: "raw", file: file,
      contents: ConvertedBytes(base: contents, source: source, target: target))
  }
}

extension StateDict {
  /// Reads every tensor.
  /// - Throws: `duplicateName`, and what is wrong with a tensor.
  public init(reading tensors: [StoredTensor]) throws(CheckpointError) {
    self.init()
    for tensor in tensors { try append(tensor.read(), named: tensor.name) }
  }
}

extension Bytes: TensorBytes {
  /// The bytes of `range`, not copied.
  public func bytes(in range: Range<Int>) -> Bytes { self[range] }

  /// Bytes in memory have no checksum.
  public func verify(count: Int) {}
}

/// Bytes in another dtype.
///
/// Ranges must begin and end between elements, as all pieces do.
private struct ConvertedBytes: TensorBytes {
  let base: any TensorBytes
  let source: DType
  let target: DType

  func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    let elements = (range.lowerBound / target.size)..<(range.upperBound / target.size)
    let bytes = try base.bytes(
      in: (elements.lowerBound * source.size)..<(elements.upperBound * source.size))
    return try bytes.converted(from: source, to: target, firstElement: elements.lowerBound)
  }
}
