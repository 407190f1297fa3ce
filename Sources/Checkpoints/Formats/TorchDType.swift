/// The type of a torch tensor's elements, also one that `DType` does not have.
struct TorchDType: Hashable, Sendable {
  /// As torch prints it without its prefix, `float32`.
  let name: String
  /// Bytes of one element; 0 when they are unknown.
  let size: Int
  /// The type here; nil when tensors of it cannot be read.
  let dtype: DType?

  private init(_ name: String, _ size: Int, _ dtype: DType? = nil) {
    self.name = name
    self.size = size
    self.dtype = dtype
  }

  /// Bytes without a type, as storages of newer dtypes are.
  static let untyped = TorchDType("untyped", 1)

  /// The type called so in the module `torch`.
  static func named(_ name: String) -> TorchDType? { byName[name] }

  /// The type of a storage class of torch, `FloatStorage`; one without size for an unknown class.
  static func ofStorage(_ name: String) -> TorchDType {
    byStorage[String(name.dropLast("Storage".count))] ?? TorchDType(name, 0)
  }

  /// The type of a number of c10's ScalarType, as archives of `torch.export` write it.
  ///
  /// torch's `_export/serde/schema.py` counts one further than c10 does.
  static func exported(_ number: Int) -> TorchDType {
    byExportNumber[number] ?? TorchDType("number \(number)", 0)
  }

  /// The type that torch's writer gives tensors of `dtype`: name and storage class.
  ///
  /// A nil class stands for types that are younger than typed storages.
  static func written(_ dtype: DType) -> (name: String, storage: String?) {
    guard let type = byName.values.first(where: { $0.dtype == dtype }) else {
      preconditionFailure("a dtype without a name in torch")
    }
    return (type.name, byStorage.first { $0.value == type }.map { $0.key + "Storage" })
  }

  private static let byName: [String: TorchDType] = {
    let types = [
      TorchDType("float64", 8, .float64), TorchDType("float32", 4, .float32),
      TorchDType("float16", 2, .float16),
      TorchDType("bfloat16", 2, .bfloat16), TorchDType("int64", 8, .int64),
      TorchDType("int32", 4, .int32), TorchDType("int16", 2, .int16), TorchDType("int8", 1, .int8),
      TorchDType("uint64", 8, .uint64), TorchDType("uint32", 4, .uint32),
      TorchDType("uint16", 2, .uint16), TorchDType("uint8", 1, .uint8),
      TorchDType("bool", 1, .bool),
      TorchDType("complex32", 4), TorchDType("complex64", 8), TorchDType("complex128", 16),
      TorchDType("float8_e4m3fn", 1), TorchDType("float8_e5m2", 1),
      TorchDType("float8_e4m3fnuz", 1),
      TorchDType("float8_e5m2fnuz", 1), TorchDType("float8_e8m0fnu", 1),
      TorchDType("float4_e2m1fn_x2", 1), TorchDType("bcomplex32", 4), TorchDType("qint8", 1),
      TorchDType("quint8", 1),
      TorchDType("qint32", 4), TorchDType("quint4x2", 1), TorchDType("quint2x4", 1),
      TorchDType("bits8", 1), TorchDType("bits16", 2), TorchDType("bits1x8", 1),
      TorchDType("bits2x4", 1), TorchDType("bits4x2", 1),
    ]
    var named = Dictionary(uniqueKeysWithValues: types.map { ($0.name, $0) })
    for bits in 1...7 {
      named["int\(bits)"] = TorchDType("int\(bits)", 1)
      named["uint\(bits)"] = TorchDType("uint\(bits)", 1)
    }
    return named
  }()

  private static let byStorage: [String: TorchDType] = {
    let names = [
      "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16",
      "Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8",
      "Bool": "bool", "ComplexFloat": "complex64", "ComplexDouble": "complex128", "QInt8": "qint8",
      "QUInt8": "quint8", "QInt32": "qint32", "QUInt4x2": "quint4x2", "QUInt2x4": "quint2x4",
    ]
    var types = names.compactMapValues { byName[$0] }
    for name in ["Untyped", "_Untyped"] { types[name] = untyped }
    return types
  }()

  private static let byExportNumber: [Int: TorchDType] = {
    let names = [
      1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32",
      8: "float64", 9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16",
      28: "uint16", 29: "float8_e4m3fn", 30: "float8_e5m2", 31: "float8_e4m3fnuz",
      32: "float8_e5m2fnuz", 33: "float8_e8m0fnu", 34: "uint32", 35: "uint64",
    ]
    return names.compactMapValues { byName[$0] }
  }()
}
