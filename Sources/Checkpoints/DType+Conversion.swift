// Conversions between dtypes. A value that the target has stays that value; a floating-point target
// rounds once, to nearest, ties to even; an integer target refuses what it does not have.
//
// NaN keeps its sign and the upper bits of its payload and becomes quiet, as processors do it.

extension Tensor {
  /// The tensor in another dtype; the very same tensor when the dtype is its own.
  ///
  /// Floating-point targets round once, to nearest even, and overflow to infinity. Integer and bool
  /// targets take only values that they can represent; bool counts as 0 and 1.
  /// - Throws: `notRepresentable`, naming the first element that does not fit.
  public func converted(to target: DType) throws(CheckpointError) -> Tensor {
    guard target != dtype else { return self }
    let converted = try bytes.converted(from: dtype, to: target, firstElement: 0)
    return try Tensor(dtype: target, shape: shape, bytes: converted)
  }
}

extension Bytes {
  /// Elements of `source`, little-endian, as elements of `target`.
  ///
  /// `firstElement` is the position of the first one in its tensor, for errors.
  package func converted(
    from source: DType, to target: DType, firstElement: Int
  ) throws(CheckpointError) -> Bytes {
    let count = self.count / source.size
    return try unsafe Bytes(count: count * target.size) { output throws(CheckpointError) in
      try unsafe withUnsafeBytes { input throws(CheckpointError) in
        for index in 0..<count {
          let value = unsafe Number(input, index, source)
          guard unsafe value.store(into: output, index, target) else {
            throw CheckpointError(
              .notRepresentable,
              "element \(firstElement + index) is \(value), which \(target.rawValue) does not have")
          }
        }
      }
    }
  }
}

/// One element on its way from one dtype to another, exactly.
private enum Number: CustomStringConvertible {
  case real(Double)
  case signed(Int64)
  case unsigned(UInt64)

  var description: String {
    switch self {
    case .real(let value): value.description
    case .signed(let value): value.description
    case .unsigned(let value): value.description
    }
  }

  @inline(__always)
  init(_ buffer: UnsafeRawBufferPointer, _ index: Int, _ dtype: DType) {
    @inline(__always)
    func load<T: FixedWidthInteger>(_ type: T.Type) -> T {
      T(
        littleEndian: unsafe buffer.loadUnaligned(
          fromByteOffset: index * MemoryLayout<T>.size, as: T.self))
    }
    switch dtype {
    case .float64: self = .real(Double(bitPattern: load(UInt64.self)))
    case .float32: self = .real(.init(widening: UInt64(load(UInt32.self)), .binary32))
    case .float16: self = .real(.init(widening: UInt64(load(UInt16.self)), .binary16))
    case .bfloat16: self = .real(.init(widening: UInt64(load(UInt16.self)), .bfloat16))
    case .int64: self = .signed(load(Int64.self))
    case .int32: self = .signed(Int64(load(Int32.self)))
    case .int16: self = .signed(Int64(load(Int16.self)))
    case .int8: self = .signed(Int64(load(Int8.self)))
    case .uint64: self = .unsigned(load(UInt64.self))
    case .uint32: self = .unsigned(UInt64(load(UInt32.self)))
    case .uint16: self = .unsigned(UInt64(load(UInt16.self)))
    case .uint8: self = .unsigned(UInt64(load(UInt8.self)))
    case .bool: self = .unsigned(load(UInt8.self) == 0 ? 0 : 1)
    }
  }

  /// Whether the target has the value, which then stands in `buffer`.
  @inline(__always)
  func store(into buffer: UnsafeMutableRawBufferPointer, _ index: Int, _ dtype: DType) -> Bool {
    @inline(__always)
    func put<T: FixedWidthInteger>(_ value: T) -> Bool {
      unsafe buffer.storeBytes(
        of: value.littleEndian, toByteOffset: index * MemoryLayout<T>.size, as: T.self)
      return true
    }
    @inline(__always)
    func putExactly<T: FixedWidthInteger>(_ type: T.Type) -> Bool {
      let exact: T? =
        switch self {
        case .real(let value): T(exactly: value)
        case .signed(let value): T(exactly: value)
        case .unsigned(let value): T(exactly: value)
        }
      return exact.map(put) ?? false
    }
    switch dtype {
    case .float64: return put(double.bitPattern)
    case .float32: return put(UInt32(truncatingIfNeeded: narrowed(to: .binary32)))
    case .float16: return put(UInt16(truncatingIfNeeded: narrowed(to: .binary16)))
    case .bfloat16: return put(UInt16(truncatingIfNeeded: narrowed(to: .bfloat16)))
    case .int64: return putExactly(Int64.self)
    case .int32: return putExactly(Int32.self)
    case .int16: return putExactly(Int16.self)
    case .int8: return putExactly(Int8.self)
    case .uint64: return putExactly(UInt64.self)
    case .uint32: return putExactly(UInt32.self)
    case .uint16: return putExactly(UInt16.self)
    case .uint8: return putExactly(UInt8.self)
    case .bool:
      switch self {
      case .real(0), .signed(0), .unsigned(0): return put(UInt8(0))
      case .real(1), .signed(1), .unsigned(1): return put(UInt8(1))
      default: return false
      }
    }
  }

  private var double: Double {
    switch self {
    case .real(let value): value
    case .signed(let value): Double(value)
    case .unsigned(let value): Double(value)
    }
  }

  private func narrowed(to format: BinaryFormat) -> UInt64 {
    switch self {
    case .real(let value): value.narrowed(to: format)
    case .signed(let value):
      Double(oddRounding: value.magnitude).narrowed(to: format)
        | (value < 0 ? format.signBit : 0)
    case .unsigned(let value): Double(oddRounding: value).narrowed(to: format)
    }
  }
}

/// A binary interchange format narrower than binary64, by the widths of its fields.
private struct BinaryFormat {
  let exponentBits: Int
  let fractionBits: Int

  static let binary32 = BinaryFormat(exponentBits: 8, fractionBits: 23)
  static let binary16 = BinaryFormat(exponentBits: 5, fractionBits: 10)
  static let bfloat16 = BinaryFormat(exponentBits: 8, fractionBits: 7)

  var bias: Int { 1 << (exponentBits - 1) - 1 }
  var largestExponent: Int { 1 << exponentBits - 1 }
  var signBit: UInt64 { 1 << UInt64(exponentBits + fractionBits) }
  var fractionMask: UInt64 { 1 << UInt64(fractionBits) - 1 }
}

extension Double {
  private static var fractionBits: Int { 52 }
  private static var fractionMask: UInt64 { 1 << 52 - 1 }

  /// The value of a narrower pattern, exactly.
  fileprivate init(widening pattern: UInt64, _ format: BinaryFormat) {
    let sign = pattern & format.signBit == 0 ? 0 : UInt64(1) << 63
    let exponent = Int(pattern >> UInt64(format.fractionBits)) & format.largestExponent
    let fraction = pattern & format.fractionMask
    let shift = UInt64(Double.fractionBits - format.fractionBits)
    switch exponent {
    case 0:
      // A subnormal is a small integer times the smallest one; the product is exact in binary64.
      let unit = Double(
        sign: .plus, exponent: 1 - format.bias - format.fractionBits, significand: 1)
      self.init(bitPattern: (Double(fraction) * unit).bitPattern | sign)
    case format.largestExponent:
      let quiet = fraction == 0 ? 0 : UInt64(1) << 51
      self.init(bitPattern: sign | 0x7FF << 52 | fraction << shift | quiet)
    default:
      let biased = UInt64(exponent - format.bias + 1023)
      self.init(bitPattern: sign | biased << 52 | fraction << shift)
    }
  }

  /// An integer, of which bits below the 53rd are folded into the last one.
  ///
  /// Rounding that to any format of at most 51 fraction bits gives what rounding the integer itself
  /// would give.
  fileprivate init(oddRounding value: UInt64) {
    let surplus = UInt64(max(0, 64 - value.leadingZeroBitCount - 53))
    let lost = value & (1 << surplus - 1)
    let kept = value >> surplus | (lost == 0 ? 0 : 1)
    self = Double(kept) * Double(sign: .plus, exponent: Int(surplus), significand: 1)
  }

  /// The pattern of the nearest value in a narrower format, ties to even.
  fileprivate func narrowed(to format: BinaryFormat) -> UInt64 {
    let sign = self.sign == .minus ? format.signBit : 0
    let fraction = bitPattern & Double.fractionMask
    let exponent = Int(bitPattern >> 52 & 0x7FF)
    let infinity = UInt64(format.largestExponent) << UInt64(format.fractionBits)
    let shift = Double.fractionBits - format.fractionBits
    if exponent == 0x7FF {
      let quiet = UInt64(1) << UInt64(format.fractionBits - 1)
      return sign | infinity | (fraction == 0 ? 0 : fraction >> UInt64(shift) | quiet)
    }
    // Subnormals of binary64 lie below half the smallest value of every narrower format.
    guard exponent != 0 else { return sign }
    let significand = fraction | 1 << 52
    let biased = exponent - 1023 + format.bias
    // A target exponent below 1 is a subnormal: more of the significand is shifted out.
    let drop = shift + max(0, 1 - biased)
    guard drop <= 53 else { return sign }
    let kept = significand >> UInt64(drop)
    let rest = significand & (1 << UInt64(drop) - 1)
    let half = UInt64(1) << UInt64(drop - 1)
    let rounded = kept + (rest > half || (rest == half && kept & 1 == 1) ? 1 : 0)
    // The leading bit of `rounded` adds to the exponent field, and a carry out of it likewise.
    let base = UInt64(max(biased, 1) - 1) << UInt64(format.fractionBits)
    return sign | min(base + rounded, infinity)
  }
}
