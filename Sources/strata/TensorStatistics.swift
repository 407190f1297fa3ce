import Checkpoints

/// Figures of a tensor's values, in one pass of bounded memory.
struct TensorStatistics: Encodable {
  /// The least finite value; NaN when there is none.
  private(set) var min = Double.nan
  /// The largest finite value; NaN when there is none.
  private(set) var max = Double.nan
  /// The mean of the finite values.
  private(set) var mean = Double.nan
  /// The standard deviation of the finite values, divided by their number.
  private(set) var deviation = Double.nan
  /// How many values are NaN.
  private(set) var nan = 0
  /// How many values are infinite.
  private(set) var infinite = 0

  enum CodingKeys: String, CodingKey {
    case min, max, mean, deviation, nan
    case infinite = "inf"
  }

  /// How many finite values of a tensor are infinite in another floating-point dtype.
  /// - Throws: what reading it throws.
  static func overflowing(
    _ tensor: StoredTensor, in dtype: DType
  ) throws(CheckpointError) -> Int {
    let infinite = try infinite(in: tensor.converted(to: dtype))
    return infinite == 0 ? 0 : try infinite - Self.infinite(in: tensor)
  }

  private static func infinite(in tensor: StoredTensor) throws(CheckpointError) -> Int {
    let dtype = try tensor.readableDType()
    var count = 0
    try tensor.forEachPiece { piece throws(CheckpointError) in
      let values = try Tensor(
        dtype: dtype, shape: try Shape([piece.count / dtype.size]), bytes: piece
      ).doubles()
      for value in values where value.isInfinite { count += 1 }
    }
    return count
  }

  // Welford's running mean and sum of squared differences.
  private var count = 0.0
  private var squares = 0.0

  /// Of no value yet.
  init() {}

  /// Reads the tensor.
  /// - Throws: what reading it throws.
  init(_ tensor: StoredTensor) throws(CheckpointError) {
    try tensor.converted(to: .float64).forEachPiece { piece throws(CheckpointError) in
      add(
        try Tensor(
          dtype: .float64, shape: try Shape([piece.count / DType.float64.size]), bytes: piece
        ).doubles())
    }
  }

  /// Takes in further values.
  mutating func add(_ values: [Double]) {
    var mean = count > 0 ? mean : 0
    for value in values {
      guard value.isFinite else {
        if value.isNaN { nan += 1 } else { infinite += 1 }
        continue
      }
      count += 1
      let difference = value - mean
      mean += difference / count
      squares += difference * (value - mean)
      min = min <= value ? min : value
      max = max >= value ? max : value
    }
    guard count > 0 else { return }
    self.mean = mean
    deviation = (squares / count).squareRoot()
  }
}
