import Checkpoints

/// By how much the values of two tensors of one shape differ, as a whole and in each of several blocks
/// of rows, in two passes of bounded memory.
struct TensorDifference {
  /// A block of elements, or all of them.
  struct Part {
    /// The largest |a − b| among the elements that differ by more than the tolerance; infinite where one
    /// of two is NaN or infinite.
    fileprivate(set) var largest: Double?
    /// Where it stands, in row-major order.
    fileprivate(set) var position = 0
    fileprivate var squares = 0.0
    fileprivate var differences = 0.0

    /// ‖a − b‖ / ‖a‖ of the elements that are finite in both.
    var relativeNorm: Double {
      differences == 0 ? 0 : (differences / squares).squareRoot()
    }

    fileprivate mutating func add(_ value: Double, _ other: Double) {
      guard value.isFinite, other.isFinite else { return }
      squares += value * value
      differences += (value - other) * (value - other)
    }

    fileprivate mutating func note(_ difference: Double, at position: Int) {
      guard largest.map({ difference > $0 }) ?? true else { return }
      largest = difference
      self.position = position
    }
  }

  /// How far values may be apart: |a − b| ≤ absolute + relative · |b|.
  typealias Tolerance = (absolute: Double, relative: Double)

  private(set) var whole = Part()
  private(set) var blocks: [Part]

  /// How many elements are compared at a time.
  private static let pieceElements = StoredTensor.pieceSize / DType.float64.size

  /// Compares two tensors of one shape.
  /// - Returns: nil when no element differs, or none by more than the tolerance.
  /// - Throws: what reading them throws.
  init?(
    _ tensor: StoredTensor, _ other: StoredTensor, _ tolerance: Tolerance?, blocks count: Int
  ) throws(CheckpointError) {
    blocks = Array(repeating: Part(), count: count)
    guard try !Self.haveSameBits(tensor, other) else { return nil }
    let types = (try tensor.readableDType(), try other.readableDType())
    let elements = tensor.shape.elementCount
    let blockSize = max(1, elements / max(1, count))
    for start in stride(from: 0, to: elements, by: Self.pieceElements) {
      let range = start..<min(start + Self.pieceElements, elements)
      let piece = try Elements(tensor, types.0, range)
      let counterpart = try Elements(other, types.1, range)
      for index in 0..<range.count {
        let (value, another) = (piece.values[index], counterpart.values[index])
        let position = start + index
        let block = min(position / blockSize, count - 1)
        whole.add(value, another)
        if count > 0 { blocks[block].add(value, another) }
        guard piece.differs(from: counterpart, at: index) else { continue }
        // Other bits of NaN, or -0 for 0, are a difference of 0. Other bits of an integer are at least 1,
        // also where float64 cannot tell.
        let isSame = value == another || (value.isNaN && another.isNaN)
        let difference = isSame ? (types.0.isFloatingPoint ? 0 : 1) : abs(value - another)
        if let tolerance, another.isFinite || difference == 0,
          difference <= tolerance.absolute + tolerance.relative * abs(another)
        {
          continue
        }
        let size = difference.isNaN ? .infinity : difference
        whole.note(size, at: position)
        if count > 0 { blocks[block].note(size, at: position) }
      }
    }
    if whole.largest == nil { return nil }
  }

  /// Whether two tensors have the same dtype and bytes.
  /// - Throws: what reading them throws.
  static func haveSameBits(
    _ tensor: StoredTensor, _ other: StoredTensor
  ) throws(CheckpointError) -> Bool {
    guard try tensor.readableDType() == other.readableDType() else { return false }
    var areSame = true
    var position = 0
    try tensor.forEachPiece { piece throws(CheckpointError) in
      let range = position..<(position + piece.count)
      position = range.upperBound
      // All of it is read all the same: a file that is damaged is told as one.
      let counterpart = try other.bytes(in: range)
      if areSame { areSame = piece == counterpart }
    }
    return areSame
  }
}

/// A few elements of a tensor, as numbers and as bytes.
private struct Elements {
  let values: [Double]
  private let dtype: DType
  private let bytes: Bytes

  init(_ tensor: StoredTensor, _ dtype: DType, _ range: Range<Int>) throws(CheckpointError) {
    self.dtype = dtype
    bytes = try tensor.bytes(in: (range.lowerBound * dtype.size)..<(range.upperBound * dtype.size))
    values = try Tensor(dtype: dtype, shape: try Shape([range.count]), bytes: bytes).doubles()
  }

  /// Whether two elements are not the same, to the bit where they have one dtype.
  func differs(from other: Elements, at index: Int) -> Bool {
    let (value, another) = (values[index], other.values[index])
    let hasOneType = dtype == other.dtype
    if value == another {
      // Only zeros have two encodings, and only integers of 64 bits are rounded on their way to float64.
      if value == 0 { return value.sign != another.sign }
      return hasOneType && !dtype.isFloatingPoint && abs(value) >= 0x1p53
        && bits(index) != other.bits(index)
    }
    if value.isNaN, another.isNaN { return hasOneType && bits(index) != other.bits(index) }
    return true
  }

  private func bits(_ index: Int) -> Bytes {
    bytes[(index * dtype.size)..<((index + 1) * dtype.size)]
  }
}
