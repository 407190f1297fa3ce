import Checkpoints

/// The directory as bytes, as an isolated reader hands it over: little-endian integers, and texts with
/// their length before them. It is written and read by the same version of the same program.
extension HDF5Directory {
  /// The bytes.
  var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.append(UInt32(entries.count))
    for entry in entries { entry.encode(to: &writer) }
    writer.append(UInt32(metadata.count))
    for (key, text) in metadata {
      writer.append(text: key)
      writer.append(text: text)
    }
    for text in [moduleRecords, modelDescription] {
      writer.append(UInt8(text == nil ? 0 : 1))
      if let text { writer.append(text: text) }
    }
    writer.append(UInt32(ignored.count))
    for text in ignored { writer.append(text: text) }
    return writer.array
  }

  /// Reads the bytes, which may be anything: whoever parsed a stranger's file may be the stranger's.
  /// - Throws: whatever is wrong with them.
  init(decoding bytes: Bytes) throws(CheckpointError) {
    var reader = ByteReader(bytes)
    for _ in 0..<(try reader.count(of: "datasets", size: Entry.smallestSize)) {
      entries.append(try Entry(from: &reader))
    }
    for _ in 0..<(try reader.count(of: "metadata", size: 8)) {
      let key = try reader.text("a key")
      guard metadata.updateValue(try reader.text("a text"), forKey: key) == nil else {
        throw CheckpointError(.metadataInvalid, "the key \(key) is told twice")
      }
    }
    moduleRecords = try reader.optionalText("the module records")
    modelDescription = try reader.optionalText("the model description")
    for _ in 0..<(try reader.count(of: "notes", size: 4)) {
      ignored.append(try reader.text("a note"))
    }
    guard reader.remaining == 0 else {
      throw CheckpointError(.trailingData, "\(reader.remaining) bytes follow the directory")
    }
  }
}

extension HDF5Directory.Entry {
  /// The bytes of an entry with an empty name and no dimension.
  fileprivate static let smallestSize = 4 + 4 + 1 + 8 + 8

  private static let encodings: [HDF5Directory.Encoding] = [.raw, .chunked, .deflate]
  /// In place of an offset where there is none.
  private static let noOffset = UInt64.max

  fileprivate func encode(to writer: inout ByteWriter) {
    writer.append(text: name)
    writer.append(UInt8(isGolden ? 1 : 0))
    writer.append(UInt8(DType.allCases.firstIndex(of: elementType.dtype) ?? 0))
    writer.append(UInt8(elementType.isBigEndian ? 1 : 0))
    writer.append(UInt8(Self.encodings.firstIndex(of: encoding) ?? 0))
    writer.append(UInt8(shape.rank))
    for size in shape.dimensions { writer.append(UInt64(size)) }
    writer.append(UInt64(storedByteCount))
    writer.append(offset.map(UInt64.init) ?? Self.noOffset)
  }

  fileprivate init(from reader: inout ByteReader) throws(CheckpointError) {
    name = try reader.text("a name")
    isGolden = try reader.choice(of: [false, true], "the table")
    elementType = HDF5ElementType(
      dtype: try reader.choice(of: DType.allCases, "a dtype"),
      isBigEndian: try reader.choice(of: [false, true], "a byte order"))
    encoding = try reader.choice(of: Self.encodings, "an encoding")
    var dimensions: [Int] = []
    for _ in 0..<(try reader.integer(UInt8.self, "a rank")) {
      dimensions.append(try reader.length("a dimension"))
    }
    shape = try Shape(dimensions)
    storedByteCount = try reader.length("the stored bytes")
    let offset = try reader.integer(UInt64.self, "an offset")
    guard offset == Self.noOffset || offset <= UInt64(Int.max) else {
      throw CheckpointError(.lengthOutOfRange, "an offset is \(offset)")
    }
    self.offset = offset == Self.noOffset ? nil : Int(offset)
  }
}

/// A fault that an isolated reader hands over.
extension CheckpointError {
  /// The bytes of code, tensor, offset and reason; the file is the receiver's to name.
  var encoded: [UInt8] {
    var writer = ByteWriter()
    writer.append(text: code.rawValue)
    writer.append(UInt8(tensor == nil ? 0 : 1))
    if let tensor { writer.append(text: tensor) }
    writer.append(offset.map(UInt64.init) ?? UInt64.max)
    writer.append(text: reason)
    return writer.array
  }

  /// Reads the bytes, which may be anything.
  /// - Throws: whatever is wrong with them.
  init(decoding bytes: Bytes) throws(CheckpointError) {
    var reader = ByteReader(bytes)
    let code = try reader.text("a code")
    guard (1...64).contains(code.utf8.count), code.utf8.allSatisfy(\.isLetterOrDigit) else {
      throw CheckpointError(.metadataInvalid, "a code is no word")
    }
    let tensor = try reader.optionalText("a name")
    let offset = try reader.integer(UInt64.self, "an offset")
    self.init(
      Code(rawValue: code), tensor: tensor, offset: Int(exactly: offset),
      try reader.text("a reason"))
  }
}

extension ByteWriter {
  fileprivate mutating func append(text: String) {
    append(UInt32(text.utf8.count))
    append(contentsOf: text.utf8)
  }
}

extension ByteReader {
  fileprivate mutating func text(_ what: String) throws(CheckpointError) -> String {
    try text(length(what, as: UInt32.self), what)
  }

  fileprivate mutating func optionalText(_ what: String) throws(CheckpointError) -> String? {
    try choice(of: [false, true], what) ? try text(what) : nil
  }

  /// The next byte as the place of a value in a list.
  fileprivate mutating func choice<Value>(
    of values: [Value], _ what: String
  ) throws(CheckpointError) -> Value {
    let place = Int(try integer(UInt8.self, what))
    guard values.indices.contains(place) else {
      throw CheckpointError(.metadataInvalid, "\(what) is number \(place)")
    }
    return values[place]
  }
}

extension UInt8 {
  fileprivate var isLetterOrDigit: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: false
    }
  }
}
