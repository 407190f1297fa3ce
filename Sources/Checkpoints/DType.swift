/// The type of a tensor's elements, named as safetensors names it.
public enum DType: String, Sendable, CaseIterable {
  /// IEEE 754 binary64.
  case float64 = "F64"
  /// IEEE 754 binary32.
  case float32 = "F32"
  /// IEEE 754 binary16.
  case float16 = "F16"
  /// The upper half of a binary32: 8 exponent bits, 7 fraction bits.
  case bfloat16 = "BF16"
  /// Signed integer of 64 bits.
  case int64 = "I64"
  /// Signed integer of 32 bits.
  case int32 = "I32"
  /// Signed integer of 16 bits.
  case int16 = "I16"
  /// Signed integer of 8 bits.
  case int8 = "I8"
  /// Unsigned integer of 64 bits.
  case uint64 = "U64"
  /// Unsigned integer of 32 bits.
  case uint32 = "U32"
  /// Unsigned integer of 16 bits.
  case uint16 = "U16"
  /// Unsigned integer of 8 bits.
  case uint8 = "U8"
  /// One byte, 0 or 1.
  case bool = "BOOL"

  /// Bytes of one element.
  public var size: Int {
    switch self {
    case .float64, .int64, .uint64: 8
    case .float32, .int32, .uint32: 4
    case .float16, .bfloat16, .int16, .uint16: 2
    case .int8, .uint8, .bool: 1
    }
  }

  /// Whether elements are floating-point numbers.
  public var isFloatingPoint: Bool {
    switch self {
    case .float64, .float32, .float16, .bfloat16: true
    default: false
    }
  }
}
