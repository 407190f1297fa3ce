internal import Synchronization

/// The elements g · v / ‖v‖ of a weight norm, with the bits that `torch._weight_norm` gives on the CPU.
///
/// PyTorch sums the squares in an order of its own, which differs with the dimension:
/// - for the first dimension in lanes as wide as an AVX2 register (8 float32, 4 float64, 16 halves), which
///   are then added crosswise, float64 one after the other;
/// - for the last dimension one after the other with fused multiply-adds (by one thread; several threads
///   add their sums up);
/// - for others in lanes that are added one after the other, what does not fill the lanes last, and norm
///   and quotient are rounded to the tensor's dtype.
///
/// Sums of halves are float32. `tools/make_fold_fixtures.py --measure` compares with the PyTorch that is
/// there: over the first and the last dimension every bit is the same, over others 99 of 100 tensors are and
/// elements are at most 3 units in the last place off.
///
/// Source: ATen/native/cpu/WeightNormKernel.cpp, ReduceOpsKernel.cpp and cpu/vec/functional_base.h.
final class WeightNormBytes<Real: FoldedReal>: TensorBytes {
  private let direction: StoredTensor
  private let magnitude: StoredTensor
  private let dtype: DType
  private let groups: Groups
  private let order: SquareSums<Real>.Order
  /// g / ‖v‖ by place of the dimension, once it is known.
  private let scales = Mutex<[Real]?>(nil)

  init(_ direction: StoredTensor, _ magnitude: StoredTensor, _ dtype: DType, _ dimension: Int?) {
    self.direction = direction
    self.magnitude = magnitude
    self.dtype = dtype
    groups = Groups(direction.shape, dimension)
    order =
      switch dimension {
      case 0: .rows
      case direction.shape.rank - 1: .columns
      default: .others
      }
  }

  func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    let scales = try scales.withLock { known throws(CheckpointError) in
      if let known { return known }
      let computed = try computedScales()
      known = computed
      return computed
    }
    var values = try values(direction.bytes(in: range))
    let first = range.lowerBound / dtype.size
    groups.forEachRun(of: first..<(first + values.count)) { run, group, _ in
      let scale = scales[group]
      for index in run { values[index - first] *= scale }
    }
    return try tensor(values).bytes
  }

  func verify(count: Int) throws(CheckpointError) {
    try direction.verify()
    try magnitude.verify()
  }

  private func computedScales() throws(CheckpointError) -> [Real] {
    var sums = SquareSums<Real>(
      order, groups: groups.count, of: groups.size, isHalf: dtype.size == 2)
    var start = 0
    try direction.forEachPiece { piece throws(CheckpointError) in
      let values = try values(piece)
      groups.forEachRun(of: start..<(start + values.count)) { run, group, position in
        sums.add(values[(run.lowerBound - start)..<(run.upperBound - start)], group, from: position)
      }
      start += values.count
    }
    var norms = (0..<groups.count).map { sums.total(of: $0).squareRoot() }
    if order == .others { norms = try values(tensor(norms).bytes) }
    let scales = zip(try values(magnitude.read().bytes), norms).map { $0 / $1 }
    return order == .others ? try values(tensor(scales).bytes) : scales
  }

  private func values(_ bytes: Bytes) throws(CheckpointError) -> [Real] {
    let shape = try Shape([bytes.count / dtype.size])
    return try Real.values(of: Tensor(dtype: dtype, shape: shape, bytes: bytes))
  }

  private func tensor(_ values: [Real]) throws(CheckpointError) -> Tensor {
    try Real.tensor(values).converted(to: dtype)
  }
}

/// The type in which a dtype's values are computed with.
protocol FoldedReal: BinaryFloatingPoint, Sendable {
  /// A tensor's elements.
  static func values(of tensor: Tensor) throws(CheckpointError) -> [Self]
  /// A tensor of one dimension.
  static func tensor(_ values: [Self]) -> Tensor
}

extension Float: FoldedReal {
  static func values(of tensor: Tensor) throws(CheckpointError) -> [Float] { try tensor.floats() }
  static func tensor(_ values: [Float]) -> Tensor { Tensor(values, shape: [values.count]) }
}

extension Double: FoldedReal {
  static func values(of tensor: Tensor) throws(CheckpointError) -> [Double] { try tensor.doubles() }
  static func tensor(_ values: [Double]) -> Tensor { Tensor(values, shape: [values.count]) }
}

/// The elements of a tensor by their place in one dimension.
private struct Groups {
  /// The places of the dimension.
  let count: Int
  /// How many elements each has.
  let size: Int
  /// How many elements of one place stand side by side.
  private let width: Int

  init(_ shape: Shape, _ dimension: Int?) {
    count = dimension.map { shape[$0] } ?? 1
    size = count == 0 ? 0 : shape.elementCount / count
    width = dimension.map { shape.dimensions[($0 + 1)...].reduce(1, *) } ?? shape.elementCount
  }

  /// Calls `body` with every run of elements side by side that share a place, the place, and how many of
  /// its elements stand before the run.
  func forEachRun(of elements: Range<Int>, _ body: (Range<Int>, Int, Int) -> Void) {
    var start = elements.lowerBound
    while start < elements.upperBound {
      let (block, offset) = start.quotientAndRemainder(dividingBy: width)
      let end = min(start + width - offset, elements.upperBound)
      let (outer, group) = block.quotientAndRemainder(dividingBy: count)
      body(start..<end, group, outer * width + offset)
      start = end
    }
  }
}

/// Sums of squares in PyTorch's order.
private struct SquareSums<Real: FoldedReal> {
  enum Order { case rows, columns, others }

  private let order: Order
  /// How many elements a sum has.
  private let size: Int
  private let width: Int
  /// The width of the lanes, of which halves have twice as many.
  private let registerWidth: Int
  private var lanes: [Real]
  /// The squares that do not fill the lanes, where they are added last.
  private var rests: [Real]

  init(_ order: Order, groups: Int, of size: Int, isHalf: Bool) {
    self.order = order
    self.size = size
    registerWidth = 32 / MemoryLayout<Real>.size
    width = order == .columns ? 1 : isHalf ? 2 * registerWidth : registerWidth
    lanes = Array(repeating: 0, count: groups * width)
    rests = order == .others ? lanes : []
  }

  mutating func add(_ values: ArraySlice<Real>, _ group: Int, from position: Int) {
    let first = group * width
    if order == .columns {
      for value in values { lanes[first].addProduct(value, value) }
      return
    }
    let full = order == .rows ? size : size - size % width
    for (position, value) in zip(position..., values) {
      // The width is a power of two.
      let lane = first + position & (width - 1)
      if position < full { lanes[lane] += value * value } else { rests[lane] = value * value }
    }
  }

  func total(of group: Int) -> Real {
    var sums = Array(lanes[(group * width)..<((group + 1) * width)])
    if width > registerWidth {
      sums = (0..<registerWidth).map { sums[$0] + sums[$0 + registerWidth] }
    }
    if order == .rows, size >= width, Real.self == Float.self {
      while sums.count > 1 {
        let half = sums.count / 2
        sums = (0..<half).map { sums[$0] + sums[$0 + half] }
      }
      return sums[0]
    }
    var total = sums.dropFirst().reduce(sums[0], +)
    if order == .others {
      for index in 0..<(size % width) { total += rests[group * width + index] }
    }
    return total
  }
}
