/// The dimensions of a tensor, outermost first, with an element count that is known to fit.
///
/// A scalar has no dimension and one element; a dimension of 0 makes an empty tensor.
public struct Shape: Hashable, Sendable {
  /// The most dimensions a shape may have: HDF5's limit, and far above what networks use.
  public static let maximumRank = 32

  /// The sizes, outermost first.
  public let dimensions: [Int]
  /// The product of all dimensions.
  public let elementCount: Int

  /// Checks dimensions that come from outside.
  ///
  /// The product must fit even without the dimensions that are 0, so that no zero can hide an
  /// overflow from later arithmetic.
  /// - Throws: `rankLimit`, `badInteger` for a negative size, `shapeOverflow`.
  public init(_ dimensions: [Int]) throws(CheckpointError) {
    guard dimensions.count <= Self.maximumRank else {
      throw CheckpointError(
        .rankLimit, "\(dimensions.count) dimensions, at most \(Self.maximumRank) are allowed")
    }
    var product = 1
    for size in dimensions {
      guard size >= 0 else {
        throw CheckpointError(.badInteger, "negative dimension in shape \(dimensions)")
      }
      let (next, overflow) = product.multipliedReportingOverflow(by: max(size, 1))
      // 8 is the largest dtype: what fits here fits in bytes, whatever the dtype.
      guard !overflow, next <= Int.max / 8 else {
        throw CheckpointError(.shapeOverflow, "shape \(dimensions) has more bytes than 2^63")
      }
      product = next
    }
    self.dimensions = dimensions
    self.elementCount = dimensions.contains(0) ? 0 : product
  }

  /// The number of dimensions.
  public var rank: Int { dimensions.count }

  /// The size of dimension `index`, counted from the outermost.
  public subscript(index: Int) -> Int { dimensions[index] }

  /// The bytes that elements of `dtype` in this shape take.
  public func byteCount(of dtype: DType) -> Int { elementCount * dtype.size }

  /// The multi-dimensional index of the element that stands at `position` in row-major order.
  public func index(at position: Int) -> [Int] {
    var rest = position
    var index: [Int] = []
    for size in dimensions.reversed() {
      index.append(rest % size)
      rest /= size
    }
    return index.reversed()
  }
}

extension Shape: ExpressibleByArrayLiteral {
  /// A shape written in source; traps where `init(_:)` would throw.
  public init(arrayLiteral elements: Int...) {
    do {
      try self.init(elements)
    } catch {
      preconditionFailure(error.reason)
    }
  }
}

extension Shape: CustomStringConvertible {
  /// The dimensions as PyTorch prints them, `[4, 2, 3]`.
  public var description: String { dimensions.description }
}
