/// A tensor in memory: dtype, shape, and its elements in row-major order, little-endian.
public struct Tensor: Sendable, Equatable {
  /// The type of the elements.
  public let dtype: DType
  /// The dimensions, outermost first.
  public let shape: Shape
  /// The elements, `shape.elementCount × dtype.size` bytes.
  public let bytes: Bytes

  /// Puts bytes into a shape.
  /// - Throws: `sizeMismatch` when shape and dtype do not give the number of bytes.
  public init(dtype: DType, shape: Shape, bytes: Bytes) throws(CheckpointError) {
    guard shape.byteCount(of: dtype) == bytes.count else {
      throw CheckpointError(
        .sizeMismatch,
        "\(bytes.count) bytes, but \(dtype.rawValue) \(shape) takes \(shape.byteCount(of: dtype))")
    }
    self.dtype = dtype
    self.shape = shape
    self.bytes = bytes
  }

  /// A float32 tensor; `values` in row-major order must be as many as the shape has elements.
  public init(_ values: [Float], shape: Shape) {
    self.init(values, as: .float32, shape: shape, pattern: \.bitPattern)
  }

  /// A float64 tensor; `values` in row-major order must be as many as the shape has elements.
  public init(_ values: [Double], shape: Shape) {
    self.init(values, as: .float64, shape: shape, pattern: \.bitPattern)
  }

  /// An int64 tensor; `values` in row-major order must be as many as the shape has elements.
  public init(_ values: [Int64], shape: Shape) {
    self.init(values, as: .int64, shape: shape, pattern: \.self)
  }

  private init<Element, Pattern: FixedWidthInteger>(
    _ values: [Element], as dtype: DType, shape: Shape, pattern: (Element) -> Pattern
  ) {
    precondition(
      values.count == shape.elementCount, "\(values.count) values for shape \(shape)")
    self.dtype = dtype
    self.shape = shape
    self.bytes = unsafe Bytes(count: values.count * dtype.size) { buffer in
      for (index, value) in values.enumerated() {
        unsafe buffer.storeBytes(
          of: pattern(value).littleEndian, toByteOffset: index * dtype.size, as: Pattern.self)
      }
    }
  }

  /// The elements as float32, rounded to nearest even where the dtype is wider.
  /// - Throws: `notRepresentable` never occurs for floats; integers are rounded as well.
  public func floats() throws(CheckpointError) -> [Float] {
    let converted = try converted(to: .float32)
    return converted.elements { (pattern: UInt32) in Float(bitPattern: pattern) }
  }

  /// The elements as float64; exact for every dtype but 64-bit integers, which are rounded.
  public func doubles() throws(CheckpointError) -> [Double] {
    let converted = try converted(to: .float64)
    return converted.elements { (pattern: UInt64) in Double(bitPattern: pattern) }
  }

  /// The elements as integers.
  /// - Throws: `notRepresentable` for a fraction or a number beyond int64.
  public func integers() throws(CheckpointError) -> [Int64] {
    try converted(to: .int64).elements { (pattern: Int64) in pattern }
  }

  private func elements<Pattern: FixedWidthInteger, Element>(
    _ make: (Pattern) -> Element
  ) -> [Element] {
    unsafe bytes.withUnsafeBytes { buffer in
      (0..<shape.elementCount).map { index in
        make(
          Pattern(
            littleEndian: unsafe buffer.loadUnaligned(
              fromByteOffset: index * dtype.size, as: Pattern.self)))
      }
    }
  }
}
