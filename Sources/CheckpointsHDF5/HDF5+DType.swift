import CHDF5
import Checkpoints

/// The type of a dataset's elements as the file has it.
struct HDF5ElementType: Sendable {
  var dtype: DType
  var isBigEndian: Bool

  init(dtype: DType, isBigEndian: Bool) {
    self.dtype = dtype
    self.isBigEndian = isBigEndian
  }

  /// Understands a type of libhdf5.
  /// - Throws: `typeNotAllowed`, with what it is and what to do about it.
  init(_ type: borrowing HDF5Handle) throws(CheckpointError) {
    let size = H5Tget_size(type.id)
    let order = H5Tget_order(type.id)
    guard H5Tcommitted(type.id) <= 0 else {
      throw Self.refused("a committed datatype, which the dataset shares with other objects")
    }
    let kind = H5Tget_class(type.id)
    switch kind {
    case H5T_INTEGER:
      guard let dtype = Self.integer(type, size: size) else {
        throw Self.refused("an integer that does not fill its \(size) bytes, or of odd size")
      }
      self.dtype = dtype
    case H5T_FLOAT:
      guard let dtype = Self.float(type, size: size) else {
        throw Self.refused("a float of \(size) bytes that is neither IEEE 754 nor bfloat16")
      }
      self.dtype = dtype
    case H5T_ENUM:
      guard try Self.isBool(type) else {
        throw Self.refused("an enumeration other than h5py's bool")
      }
      self.dtype = .bool
    case H5T_STRING: throw Self.refused("text")
    case H5T_COMPOUND: throw Self.refused("a compound")
    case H5T_REFERENCE: throw Self.refused("a reference")
    case H5T_VLEN: throw Self.refused("an array of variable length, in Python a list of objects")
    case H5T_ARRAY: throw Self.refused("an array in each element")
    case H5T_OPAQUE: throw Self.refused("opaque bytes")
    case H5T_BITFIELD: throw Self.refused("a bit field")
    default: throw Self.refused("of an unknown class")
    }
    guard dtype.size == 1 || order == H5T_ORDER_LE || order == H5T_ORDER_BE else {
      throw Self.refused("in a byte order other than little- and big-endian")
    }
    self.isBigEndian = dtype.size > 1 && order == H5T_ORDER_BE
  }

  private static func refused(_ what: String) -> CheckpointError {
    CheckpointError(
      .typeNotAllowed,
      "the elements are \(what); a tensor holds integers of 8 to 64 bits, IEEE floats of 16 to 64 "
        + "bits, bfloat16 or bool: export it as one of those, or leave it out")
  }

  private static func integer(_ type: borrowing HDF5Handle, size: Int) -> DType? {
    guard H5Tget_precision(type.id) == 8 * size, H5Tget_offset(type.id) == 0 else { return nil }
    return switch (size, H5Tget_sign(type.id)) {
    case (1, H5T_SGN_2): .int8
    case (2, H5T_SGN_2): .int16
    case (4, H5T_SGN_2): .int32
    case (8, H5T_SGN_2): .int64
    case (1, H5T_SGN_NONE): .uint8
    case (2, H5T_SGN_NONE): .uint16
    case (4, H5T_SGN_NONE): .uint32
    case (8, H5T_SGN_NONE): .uint64
    default: nil
    }
  }

  /// Where the parts of a float stand, in bits from the lowest.
  private struct FloatLayout: Equatable {
    var sign, exponent, exponentSize, mantissa, mantissaSize, bias: Int
  }

  private static let floats: [(dtype: DType, layout: FloatLayout)] = [
    (.float64, layout(.float64)), (.float32, layout(.float32)), (.float16, layout(.float16)),
    (.bfloat16, layout(.bfloat16)),
  ]

  private static func layout(_ dtype: DType) -> FloatLayout {
    let mantissa =
      switch dtype {
      case .float64: 52
      case .float32: 23
      case .float16: 10
      default: 7
      }
    let exponent = 8 * dtype.size - 1 - mantissa
    return FloatLayout(
      sign: 8 * dtype.size - 1, exponent: mantissa, exponentSize: exponent, mantissa: 0,
      mantissaSize: mantissa, bias: (1 << (exponent - 1)) - 1)
  }

  private static func float(_ type: borrowing HDF5Handle, size: Int) -> DType? {
    var (sign, exponent, exponentSize, mantissa, mantissaSize) = (0, 0, 0, 0, 0)
    guard H5Tget_precision(type.id) == 8 * size, H5Tget_offset(type.id) == 0,
      H5Tget_norm(type.id) == H5T_NORM_IMPLIED,
      unsafe H5Tget_fields(
        type.id, &sign, &exponent, &exponentSize, &mantissa, &mantissaSize) >= 0
    else { return nil }
    let layout = FloatLayout(
      sign: sign, exponent: exponent, exponentSize: exponentSize, mantissa: mantissa,
      mantissaSize: mantissaSize, bias: Int(truncatingIfNeeded: H5Tget_ebias(type.id)))
    return floats.first { $0.dtype.size == size && $0.layout == layout }?.dtype
  }

  /// Whether an enumeration is what h5py makes of numpy's bool: one byte, FALSE = 0, TRUE = 1.
  static func isBool(_ type: borrowing HDF5Handle) throws(CheckpointError) -> Bool {
    let base = try HDF5Handle(H5Tget_super(type.id), "an enumeration has no base type")
    guard H5Tget_class(base.id) == H5T_INTEGER, H5Tget_size(base.id) == 1,
      H5Tget_precision(base.id) == 8, H5Tget_nmembers(type.id) == 2
    else { return false }
    var values: [String: UInt8] = [:]
    for member in 0..<UInt32(2) {
      guard let name = unsafe H5Tget_member_name(type.id, member) else { return false }
      defer { unsafe _ = H5free_memory(name) }
      var value: UInt8 = 0
      guard unsafe H5Tget_member_value(type.id, member, &value) >= 0 else { return false }
      unsafe values[String(cString: name)] = value
    }
    return values == ["FALSE": 0, "TRUE": 1]
  }
}

extension DType {
  /// A new type of libhdf5 for elements in files, little-endian.
  func makeHDF5Type() throws(CheckpointError) -> HDF5Handle {
    let plain: hid_t
    switch self {
    case .float64: plain = strata_h5_f64()
    case .float32: plain = strata_h5_f32()
    case .float16: return try Self.makeHalf(exponent: 5, mantissa: 10, bias: 15)
    case .bfloat16: return try Self.makeHalf(exponent: 8, mantissa: 7, bias: 127)
    case .int64: plain = strata_h5_i64()
    case .int32: plain = strata_h5_i32()
    case .int16: plain = strata_h5_i16()
    case .int8: plain = strata_h5_i8()
    case .uint64: plain = strata_h5_u64()
    case .uint32: plain = strata_h5_u32()
    case .uint16: plain = strata_h5_u16()
    case .uint8: plain = strata_h5_u8()
    case .bool: return try Self.makeBool()
    }
    return try HDF5Handle(H5Tcopy(plain), "no type for \(rawValue)")
  }

  /// A float of 16 bits: libhdf5 has names for these since 1.14.4 and 2.0 only, but all versions
  /// know them by their fields.
  private static func makeHalf(
    exponent: Int, mantissa: Int, bias: Int
  ) throws(CheckpointError) -> HDF5Handle {
    let type = try HDF5Handle(H5Tcopy(strata_h5_f32()), "no type of 16 bits")
    for status in [
      H5Tset_fields(type.id, 15, mantissa, exponent, 0, mantissa),
      H5Tset_ebias(type.id, bias), H5Tset_precision(type.id, 16), H5Tset_size(type.id, 2),
    ] {
      try HDF5Library.check(status, "no type of 16 bits")
    }
    return type
  }

  /// What h5py makes of numpy's bool.
  private static func makeBool() throws(CheckpointError) -> HDF5Handle {
    let type = try HDF5Handle(H5Tenum_create(strata_h5_i8()), "no type for bool")
    for (name, value) in [("FALSE", Int8(0)), ("TRUE", 1)] {
      var value = value
      try HDF5Library.check(unsafe H5Tenum_insert(type.id, name, &value), "no type for bool")
    }
    return type
  }
}

extension Bytes {
  /// The elements with their bytes in the opposite order.
  func byteSwapped(elementSize: Int) -> Bytes {
    unsafe Bytes(count: count) { output in
      unsafe withUnsafeBytes { input in
        for start in stride(from: 0, to: count, by: elementSize) {
          for byte in 0..<elementSize {
            unsafe output[start + byte] = unsafe input[start + elementSize - 1 - byte]
          }
        }
      }
    }
  }
}
