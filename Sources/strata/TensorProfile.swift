import Checkpoints

/// What one pass over a tensor of floating-point numbers tells of its values, in bounded memory.
struct TensorProfile {
  /// A row of a matrix.
  struct Row {
    /// The sum of the magnitudes.
    var magnitude = 0.0
    /// The sum of the squares.
    var squares = 0.0
    /// The largest value.
    var largest = -Double.infinity
    /// Whether all elements are the first one.
    var isConstant = true
    var first = 0.0
    /// The same for rows of the same bits; for others hardly ever.
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325

    var isZero: Bool { isConstant && first == 0 }

    fileprivate mutating func add(_ value: Double, isFirst: Bool) {
      if isFirst { first = value }
      magnitude += abs(value)
      squares += value * value
      largest = max(largest, value)
      if value != first { isConstant = false }
      // FNV-1a over whole words.
      hash = (hash ^ value.bitPattern) &* 0x0000_0100_0000_01B3
      hash ^= hash >> 29
    }
  }

  let name: String
  let dtype: DType
  let shape: Shape
  private(set) var statistics = TensorStatistics()
  private(set) var digest: TensorDigest.Value
  /// Where the first value stands that is NaN or infinite.
  private(set) var firstNonFinite: Int?
  private(set) var zeros = 0
  /// Finite values beyond the largest of F16.
  private(set) var beyondHalf = 0
  /// Values that F16 has as subnormal numbers or as 0, but that are not 0.
  private(set) var subnormalInHalf = 0
  /// Whether all elements are the first one.
  private(set) var isConstant = true
  /// The largest sum of the magnitudes of a row.
  private(set) var largestRow = 0.0
  private(set) var constantRows = 0
  private(set) var zeroRows = 0
  private(set) var firstConstantRow: Int?
  /// How many rows are the first one again.
  private(set) var rowsLikeFirst = 0
  /// Every row, where they were to be kept.
  private(set) var rows: [Row] = []
  /// Every value of a vector, where they were to be kept.
  private(set) var values: [Double] = []

  private var first: Double?
  private var firstHash: UInt64 = 0
  private var row = Row()
  private var column = 0
  private var position = 0

  private static let largestHalf = 65504.0
  private static let leastNormalHalf = 0x1p-14

  /// Reads the tensor.
  /// - Parameter keepsRows: Whether the rows of a matrix, or the values of a vector, are to be kept.
  /// - Throws: what reading it throws.
  init(_ tensor: StoredTensor, keepsRows: Bool) throws(CheckpointError) {
    name = tensor.name
    dtype = try tensor.readableDType()
    shape = tensor.shape
    let columns = shape.rank == 2 ? shape[1] : 0
    var hash = TensorDigest()
    digest = hash.value(dtype, shape)
    try tensor.forEachPiece { piece throws(CheckpointError) in
      hash.update(piece)
      let values = try Tensor(
        dtype: dtype, shape: try Shape([piece.count / dtype.size]), bytes: piece
      ).doubles()
      statistics.add(values)
      for value in values {
        note(value)
        if columns > 0 { noteInRow(value, of: columns, keepsRows: keepsRows) }
        position += 1
      }
      if keepsRows, shape.rank == 1 { self.values += values }
    }
    digest = hash.value(dtype, shape)
  }

  var rowCount: Int { shape.rank == 2 ? shape[0] : 0 }

  /// Whether every value is 0.
  var isZero: Bool { zeros == shape.elementCount }

  var nonZeros: Int { shape.elementCount - zeros }

  private mutating func note(_ value: Double) {
    if let first {
      // NaN is no value that a tensor would be filled with.
      if value != first { isConstant = false }
    } else {
      first = value
    }
    let magnitude = abs(value)
    if magnitude == 0 { zeros += 1 }
    if !value.isFinite {
      if firstNonFinite == nil { firstNonFinite = position }
    } else if magnitude > Self.largestHalf {
      beyondHalf += 1
    } else if magnitude > 0, magnitude < Self.leastNormalHalf {
      subnormalInHalf += 1
    }
  }

  private mutating func noteInRow(_ value: Double, of columns: Int, keepsRows: Bool) {
    row.add(value, isFirst: column == 0)
    column += 1
    guard column == columns else { return }
    let index = position / columns
    if index == 0 { firstHash = row.hash } else if row.hash == firstHash { rowsLikeFirst += 1 }
    if row.magnitude.isFinite { largestRow = max(largestRow, row.magnitude) }
    if row.isConstant, columns > 1 {
      constantRows += 1
      if row.isZero { zeroRows += 1 }
      if firstConstantRow == nil { firstConstantRow = index }
    }
    if keepsRows { rows.append(row) }
    row = Row()
    column = 0
  }
}
