internal import Synchronization

/// The elements of a tensor that is computed from another one as a whole.
///
/// It is computed when it is first read, and kept until its last byte was read.
private final class ComputedBytes: TensorBytes {
  private let source: StoredTensor
  private let compute: @Sendable (Tensor) throws(CheckpointError) -> Tensor
  private let known = Mutex<Bytes?>(nil)

  init(
    _ source: StoredTensor,
    _ compute: @escaping @Sendable (Tensor) throws(CheckpointError) -> Tensor
  ) {
    self.source = source
    self.compute = compute
  }

  func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    try known.withLock { known throws(CheckpointError) in
      let bytes: Bytes
      if let known { bytes = known } else { bytes = try compute(source.read()).bytes }
      known = range.upperBound == bytes.count ? nil : bytes
      return bytes[range]
    }
  }

  func verify(count: Int) throws(CheckpointError) { try source.verify() }
}

extension StoredTensor {
  /// A tensor of the same name and dtype that is computed from this one, as a whole, when it is read.
  ///
  /// `compute` gives a tensor of this dtype and of `shape`.
  package func computed(
    shape: Shape, _ compute: @escaping @Sendable (Tensor) throws(CheckpointError) -> Tensor
  ) -> StoredTensor {
    // What cannot be read says so itself.
    guard let dtype else { return self }
    return StoredTensor(
      name: name, dtype: dtype, shape: shape, storedByteCount: shape.byteCount(of: dtype),
      encoding: "raw", file: file, contents: ComputedBytes(self, compute))
  }

  /// A matrix with rows and columns exchanged.
  package func transposed() -> StoredTensor {
    precondition(shape.rank == 2, "only a matrix is transposed")
    let (rows, columns) = (shape[0], shape[1])
    guard let transposed = try? Shape([columns, rows]) else { return self }
    return computed(shape: transposed) { tensor throws(CheckpointError) in
      let size = tensor.dtype.size
      let bytes = unsafe Bytes(count: tensor.bytes.count) { output in
        unsafe tensor.bytes.withUnsafeBytes { input in
          for row in 0..<rows {
            for column in 0..<columns {
              let source = (row * columns + column) * size
              let target = (column * rows + row) * size
              for byte in 0..<size { unsafe output[target + byte] = input[source + byte] }
            }
          }
        }
      }
      return try Tensor(dtype: tensor.dtype, shape: transposed, bytes: bytes)
    }
  }
}
