import CHDF5
import Checkpoints

/// An attribute that can be told as text.
struct HDF5Attribute {
  var name = ""
  var text: String
  /// The value, where it is one integer.
  var integer: Int?
  /// The texts, where it is any number of them.
  var texts: [String] = []
}

/// Reads the attributes of objects of one file.
struct HDF5AttributeReader {
  /// Longer arrays of numbers are data, not metadata.
  private static let largestArray = 1024

  private let source: ByteSource
  private(set) var heap: HDF5GlobalHeap

  init(of file: hid_t, _ source: ByteSource) throws(CheckpointError) {
    self.source = source
    self.heap = try HDF5GlobalHeap(of: file, source)
  }

  /// The attributes of an object by name, and the names of those that cannot be told as text.
  /// - Throws: `attributeInvalid`.
  mutating func attributes(
    of object: borrowing HDF5Handle
  ) throws(CheckpointError) -> (readable: [HDF5Attribute], ignored: [String]) {
    var readable: [HDF5Attribute] = []
    var ignored: [String] = []
    for name in try Self.names(of: object) {
      do {
        let attribute = try HDF5Handle(
          unsafe H5Aopen(object.id, name, strata_h5_default()), "it cannot be opened")
        if var value = try value(of: attribute) {
          value.name = name
          readable.append(value)
        } else {
          ignored.append(name)
        }
      } catch {
        throw CheckpointError(.attributeInvalid, "attribute \(name): \(error.reason)")
      }
    }
    return (readable, ignored)
  }

  private static func names(of object: borrowing HDF5Handle) throws(CheckpointError) -> [String] {
    var names: [String?] = []
    var index: UInt64 = 0
    let status = unsafe withUnsafeMutablePointer(to: &names) { names in
      unsafe H5Aiterate2(
        object.id, H5_INDEX_NAME, H5_ITER_NATIVE, &index,
        { _, name, _, names in
          if let name = unsafe name, let names = unsafe names {
            unsafe names.assumingMemoryBound(to: [String?].self).pointee
              .append(String(validatingCString: name))
          }
          return 0
        }, names)
    }
    try HDF5Library.check(status, "the attributes cannot be listed", code: .attributeInvalid)
    let valid = names.compactMap(\.self)
    guard valid.count == names.count else {
      throw CheckpointError(.attributeInvalid, "the name of an attribute is not UTF-8")
    }
    return valid.sorted()
  }

  /// The value as text, without a name; nil when it is neither text nor a number nor a short list of
  /// those.
  private mutating func value(
    of attribute: borrowing HDF5Handle
  ) throws(CheckpointError) -> HDF5Attribute? {
    let type = try HDF5Handle(H5Aget_type(attribute.id), "its type cannot be read")
    let space = try HDF5Handle(H5Aget_space(attribute.id), "its shape cannot be read")
    let isNull = H5Sget_simple_extent_type(space.id) == H5S_NULL
    let shape = try Shape(space.dimensions())
    if H5Tget_class(type.id) == H5T_STRING {
      if isNull { return HDF5Attribute(text: "") }
      guard shape.rank <= 1 || shape.elementCount == 1 else { return nil }
      let texts = try strings(of: attribute, type, count: shape.elementCount)
      let text = texts.count == 1 ? texts[0] : try CanonicalJSON.encode(texts)
      return HDF5Attribute(text: text, texts: texts)
    }
    // What is no element of a tensor is no metadata either.
    guard let element = try? HDF5ElementType(type), !isNull, shape.rank <= 1,
      shape.elementCount <= Self.largestArray
    else { return nil }
    var bytes = try read(attribute, as: type, count: shape.elementCount * element.dtype.size)
    if element.isBigEndian { bytes = bytes.byteSwapped(elementSize: element.dtype.size) }
    let texts = try bytes.texts(of: element.dtype)
    guard texts.count == 1 else {
      // JSON has no number that is not finite.
      let items = texts.map { $0.hasSuffix("nan") || $0.hasSuffix("inf") ? "\"\($0)\"" : $0 }
      return HDF5Attribute(text: "[\(items.joined(separator: ","))]")
    }
    return HDF5Attribute(text: texts[0], integer: Int(texts[0]))
  }

  private func read(
    _ attribute: borrowing HDF5Handle, as type: borrowing HDF5Handle, count: Int
  ) throws(CheckpointError) -> Bytes {
    guard count > 0 else { return Bytes([UInt8]()) }
    return try unsafe Bytes(count: count) { buffer throws(CheckpointError) in
      try HDF5Library.check(
        unsafe H5Aread(attribute.id, type.id, buffer.baseAddress), "it cannot be read")
    }
  }

  // MARK: Text

  private mutating func strings(
    of attribute: borrowing HDF5Handle, _ type: borrowing HDF5Handle, count: Int
  ) throws(CheckpointError) -> [String] {
    let isVariable = H5Tis_variable_str(type.id) > 0
    let size = isVariable ? heap.referenceSize : H5Tget_size(type.id)
    let (total, overflow) = size.multipliedReportingOverflow(by: count)
    guard size > 0, !overflow, total <= source.count else {
      throw CheckpointError(
        .attributeInvalid, "\(count) strings of \(size) bytes in a file of \(source.count)")
    }
    let bytes: Bytes
    if isVariable {
      // As opaque bytes, which `HDF5Library` has registered a conversion to.
      let opaque = try HDF5Handle(H5Tcreate(H5T_OPAQUE, size), "no opaque type")
      bytes = try read(attribute, as: opaque, count: total)
    } else {
      bytes = try read(attribute, as: type, count: total)
    }
    var texts: [String] = []
    for start in stride(from: 0, to: total, by: size) {
      let item = bytes[start..<(start + size)]
      texts.append(
        isVariable ? try heap.string(at: item) : try Self.fixed(item, H5Tget_strpad(type.id)))
    }
    return texts
  }

  private static func fixed(
    _ bytes: Bytes, _ padding: H5T_str_t
  ) throws(CheckpointError) -> String {
    var characters = bytes.array[...]
    switch padding {
    case H5T_STR_NULLTERM: characters = characters.prefix { $0 != 0 }
    case H5T_STR_NULLPAD: while characters.last == 0 { characters.removeLast() }
    case H5T_STR_SPACEPAD:
      while characters.last == UInt8(ascii: " ") { characters.removeLast() }
    default: throw CheckpointError(.attributeInvalid, "text padded in an unknown way")
    }
    guard let text = String(validating: characters, as: UTF8.self) else {
      throw CheckpointError(.attributeInvalid, "a text is not UTF-8")
    }
    return text
  }
}

extension Bytes {
  /// The elements as decimal text; floats as short as gives back the same number.
  fileprivate func texts(of dtype: DType) throws(CheckpointError) -> [String] {
    func all<T: FixedWidthInteger>(_ type: T.Type, _ text: (T) -> String) -> [String] {
      stride(from: 0, to: count, by: MemoryLayout<T>.size).map {
        text(integer(at: $0, as: type))
      }
    }
    return switch dtype {
    case .float64: all(UInt64.self) { Double(bitPattern: $0).description }
    case .float32: all(UInt32.self) { Float(bitPattern: $0).description }
    case .float16, .bfloat16:
      try Tensor(dtype: dtype, shape: Shape([count / 2]), bytes: self).floats().map(\.description)
    case .int64: all(Int64.self, \.description)
    case .int32: all(Int32.self, \.description)
    case .int16: all(Int16.self, \.description)
    case .int8: all(Int8.self, \.description)
    case .uint64: all(UInt64.self, \.description)
    case .uint32: all(UInt32.self, \.description)
    case .uint16: all(UInt16.self, \.description)
    case .uint8: all(UInt8.self, \.description)
    case .bool: all(UInt8.self) { $0 == 0 ? "false" : "true" }
    }
  }
}
