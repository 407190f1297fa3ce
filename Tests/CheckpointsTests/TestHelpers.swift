import Checkpoints
import TestSupport

extension Tensor {
  /// A tensor of bit patterns, one for each element.
  init(_ dtype: DType, patterns: [UInt64], shape: Shape) throws(CheckpointError) {
    var bytes: [UInt8] = []
    for pattern in patterns {
      for byte in 0..<dtype.size {
        bytes.append(UInt8(truncatingIfNeeded: pattern >> UInt64(8 * byte)))
      }
    }
    try self.init(dtype: dtype, shape: shape, bytes: Bytes(bytes))
  }

  /// The bit pattern of each element.
  var patterns: [UInt64] {
    let bytes = bytes.array
    return (0..<shape.elementCount).map { element in
      (0..<dtype.size).reduce(0) { $0 | UInt64(bytes[element * dtype.size + $1]) << UInt64(8 * $1) }
    }
  }
}

/// The code of the error that `body` throws; nil when it throws none.
func code<Result>(_ body: () throws(CheckpointError) -> Result) -> CheckpointError.Code? {
  do {
    _ = try body()
    return nil
  } catch {
    return error.code
  }
}

/// A range within 0..<count, empty ones too.
func randomRange(_ count: Int, using generator: inout SeededGenerator) -> Range<Int> {
  let a = Int.random(in: 0...count, using: &generator)
  let b = Int.random(in: 0...count, using: &generator)
  return min(a, b)..<max(a, b)
}
