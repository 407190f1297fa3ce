extension PyTorchFormat {
  /// What a state dict has no place for.
  public func dropped(from contents: CheckpointContents) -> [String] {
    var dropped: [String] = []
    if !contents.metadata.isEmpty { dropped.append("\(contents.metadata.count) metadata entries") }
    if !contents.moduleRecords.isEmpty {
      dropped.append("\(contents.moduleRecords.count) module records")
    }
    if contents.modelDescription != nil { dropped.append("the model description") }
    if !contents.goldens.isEmpty { dropped.append("\(contents.goldens.count) goldens") }
    return dropped
  }

  /// Writes the tensors as the state dict that `torch.save(model.state_dict(), path)` would write: an
  /// uncompressed archive that `torch.load(path, weights_only=True)` reads.
  /// - Throws: `badName`, `duplicateName`, `notWritable`, or what reading a tensor throws.
  public func write(
    _ contents: CheckpointContents, to file: borrowing AtomicFile, options: WriteOptions
  ) throws(CheckpointError) -> [UInt32] {
    var pickle = TorchPickleWriter()
    var names: Set<String> = []
    for (index, tensor) in contents.tensors.enumerated() {
      guard !tensor.name.isEmpty, !tensor.name.utf8.contains(0) else {
        throw CheckpointError(
          .badName, tensor: tensor.name, "the name of a tensor is empty or holds a NUL")
      }
      guard names.insert(tensor.name).inserted else {
        throw CheckpointError(.duplicateName, tensor: tensor.name, "the name occurs twice")
      }
      try pickle.append(
        tensor.name, try tensor.readableDType(), tensor.shape, storage: String(index))
    }

    var zip = ZipWriter(alignment: 64)
    try zip.add(Archive.pickle, Bytes(pickle.finished()), to: file)
    try zip.add(Archive.byteOrder, Bytes(Array("little".utf8)), to: file)
    var checksums: [UInt32] = []
    for (index, tensor) in contents.tensors.enumerated() {
      let count = tensor.shape.byteCount(of: try tensor.readableDType())
      try zip.add(Archive.storage(index), count: count, to: file) { write throws(CheckpointError) in
        checksums.append(try tensor.forEachPiece(write))
      }
    }
    try zip.add(Archive.version, Bytes(Array("3\n".utf8)), to: file)
    try zip.finish(file)
    return checksums
  }

  /// The entries, in the directory that torch names `archive` where it knows no better.
  private enum Archive {
    static let pickle = "archive/data.pkl"
    static let byteOrder = "archive/byteorder"
    static let version = "archive/version"
    static func storage(_ index: Int) -> String { "archive/data/\(index)" }
  }
}

/// Writes the pickle of an ordered dictionary of tensors, with protocol 2 and the instructions that
/// `torch.load(weights_only=True)` follows.
///
/// The memo holds only the handful of names that every tensor repeats, so that it never needs more than
/// one byte for a number.
struct TorchPickleWriter {
  private var output = ByteWriter()
  private var memo: [String: UInt8] = [:]

  init() {
    append(.proto)
    output.append(UInt8(2))
    appendGlobal("collections", "OrderedDict")
    append(.emptyTuple)
    append(.reduce)
    append(.mark)
  }

  /// The finished pickle.
  consuming func finished() -> [UInt8] {
    append(.setItems)
    append(.stop)
    return output.array
  }

  /// Appends a tensor that has a storage for itself.
  /// - Throws: `badName` for a name of 2^32 bytes.
  mutating func append(
    _ name: String, _ dtype: DType, _ shape: Shape, storage key: String
  ) throws(CheckpointError) {
    guard UInt32(exactly: name.utf8.count) != nil else {
      throw CheckpointError(.badName, "a name of \(name.utf8.count) bytes")
    }
    let type = TorchDType.written(dtype)
    appendText(name)
    // Younger dtypes have no storage class: the storage is one of bytes, and the dtype stands beside.
    appendGlobal("torch._utils", type.storage == nil ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2")
    append(.mark)
    appendStorage(type.storage, key, shape.elementCount * (type.storage == nil ? dtype.size : 1))
    appendInteger(0)
    appendTuple(shape.dimensions)
    appendTuple(shape.contiguousStrides)
    append(.newFalse)
    appendGlobal("collections", "OrderedDict")
    append(.emptyTuple)
    append(.reduce)
    if type.storage == nil { appendGlobal("torch", type.name) }
    append(.tuple)
    append(.reduce)
  }

  /// The persistent id of a storage.
  private mutating func appendStorage(_ type: String?, _ key: String, _ count: Int) {
    append(.mark)
    remembering("storage") { $0.appendText("storage") }
    if let type {
      appendGlobal("torch", type)
    } else {
      appendGlobal("torch.storage", "UntypedStorage")
    }
    appendText(key)
    remembering("cpu") { $0.appendText("cpu") }
    appendInteger(count)
    append(.tuple)
    append(.binPersistentID)
  }

  private mutating func append(_ opcode: PickleOpcode) {
    output.append(opcode.rawValue)
  }

  private mutating func appendText(_ text: String) {
    append(.binUnicode)
    output.append(UInt32(text.utf8.count))
    output.append(contentsOf: text.utf8)
  }

  private mutating func appendInteger(_ value: Int) {
    if let small = Int32(exactly: value) {
      append(.binInt)
      output.append(small)
    } else {
      append(.long1)
      output.append(UInt8(MemoryLayout<Int64>.size))
      output.append(Int64(value))
    }
  }

  private mutating func appendTuple(_ values: [Int]) {
    append(.mark)
    for value in values { appendInteger(value) }
    append(.tuple)
  }

  private mutating func appendGlobal(_ module: String, _ name: String) {
    remembering("\(module) \(name)") {
      $0.append(.global)
      $0.output.append(contentsOf: "\(module)\n\(name)\n".utf8)
    }
  }

  /// Appends a value, or takes it from the memo where it was put before.
  private mutating func remembering(_ key: String, _ body: (inout Self) -> Void) {
    if let number = memo[key] {
      append(.binGet)
      output.append(number)
    } else {
      body(&self)
      let number = UInt8(memo.count)
      memo[key] = number
      append(.binPut)
      output.append(number)
    }
  }
}

extension Shape {
  /// The strides, in elements, of a tensor whose elements follow each other.
  fileprivate var contiguousStrides: [Int] {
    var strides: [Int] = []
    var stride = 1
    for size in dimensions.reversed() {
      strides.append(stride)
      stride *= max(size, 1)
    }
    return strides.reversed()
  }
}
