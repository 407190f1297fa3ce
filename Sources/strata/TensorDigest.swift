import Checkpoints
import Crypto

/// The SHA-256 of a tensor's decoded bytes, taken in piece by piece.
///
/// With dtype and shape it stands for the tensor: whoever looks for the same bits reads every tensor
/// once.
struct TensorDigest {
  private var hash = SHA256()

  /// Takes in the next bytes.
  mutating func update(_ piece: Bytes) {
    piece.withBytes { bytes in
      unsafe bytes.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
    }
  }

  /// What tensors of the same bits have in common.
  struct Value: Hashable {
    var dtype: DType
    var shape: Shape
    fileprivate var bytes: [UInt8]
  }

  func value(_ dtype: DType, _ shape: Shape) -> Value {
    Value(dtype: dtype, shape: shape, bytes: Array(hash.finalize()))
  }

  /// Reads a tensor.
  /// - Throws: what reading it throws.
  static func value(of tensor: StoredTensor) throws(CheckpointError) -> Value {
    var digest = TensorDigest()
    try tensor.forEachPiece { piece in digest.update(piece) }
    return digest.value(try tensor.readableDType(), tensor.shape)
  }
}
