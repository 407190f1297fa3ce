extension PyTorchFormat {
  /// Opens a tar file of 2016, before 0.1.10: its members hold the object, the tensors that it names by
  /// numbers, and the storages that those name.
  func openTar(_ source: ByteSource) throws(CheckpointError) -> CheckpointContents {
    let members = try TorchTarArchive(source)
    var file = TorchTarReader(source)
    try file.readStorages(in: members["storages"])
    try file.readTensors(in: members["tensors"])
    let values = file.values

    var pickles = PickleSequence(source, in: try members["pickle"])
    let root = try pickles.next { id, heap throws(CheckpointError) in
      // The class of a module comes with its source code.
      if let parts = heap.tuple(id), let type = parts.first, heap.global(type) != nil {
        return type
      }
      guard let object = heap.number(id).flatMap({ values[$0] }) else {
        throw CheckpointError(
          .forbiddenOpcode, "a persistent id of what is no tensor and no storage")
      }
      return heap.add(object)
    }
    let ranges = file.ranges
    let tree = try TorchTree(root, in: pickles.heap)
    var reader = TorchTensorReader(source) { key throws(CheckpointError) in
      guard let range = ranges[key] else {
        throw CheckpointError(.sizeMismatch, "the file holds no storage '\(key)'")
      }
      return TorchTensorReader.StorageBytes(
        contents: StorageRange(source: source, start: range.lowerBound), byteCount: range.count)
    }
    return try Self.contents(tree, &reader)
  }
}

/// The tensors and storages of a tar file, by number.
private struct TorchTarReader {
  private let source: ByteSource
  /// Tensors and storages by the numbers that they had in the process that saved them.
  private(set) var values: [Int: PickleObject] = [:]
  /// Where the storages' elements stand.
  private(set) var ranges: [String: Range<Int>] = [:]

  init(_ source: ByteSource) { self.source = source }

  /// A count, then for each storage its number, place and class, and behind them its elements; last the
  /// storages that are parts of others.
  mutating func readStorages(in range: Range<Int>) throws(CheckpointError) {
    var pickles = PickleSequence(source, in: range)
    for _ in 0..<(try count(&pickles)) {
      guard let parts = pickles.heap.tuple(try pickles.next()), parts.count == 3,
        let number = pickles.heap.number(parts[0]), let type = pickles.heap.global(parts[2])
      else {
        throw CheckpointError(
          .pickleTypeError, offset: pickles.input.offset,
          "a storage is a number, a place and a class")
      }
      let dtype = TorchDType.ofStorage(type.name)
      let at = pickles.input.offset
      let elements = Int(try pickles.input.integer(Int64.self))
      let (size, overflow) = elements.multipliedReportingOverflow(by: dtype.size)
      guard elements >= 0, !overflow, size <= pickles.input.remaining, dtype.size > 0 else {
        throw CheckpointError(
          .sizeMismatch, offset: at,
          "a storage of \(elements) elements of \(type), \(pickles.input.remaining) bytes are left")
      }
      let storage = TorchStorage(key: String(number), type: dtype, count: elements)
      values[number] = .storage(storage)
      ranges[storage.key] = pickles.input.place..<(pickles.input.place + size)
      pickles.input.skip(size)
    }
    try readViews(&pickles)
  }

  private mutating func readViews(_ pickles: inout PickleSequence) throws(CheckpointError) {
    let heap = pickles.heap
    guard let views = heap.sequence(try pickles.next()) else {
      throw CheckpointError(.pickleTypeError, "the parts of storages are no list")
    }
    for view in views {
      guard let parts = heap.sequence(view), parts.count == 4, let number = heap.number(parts[0]),
        let root = heap.number(parts[1]), case .storage(let whole)? = values[root],
        let start = heap.integer(parts[2]), let count = heap.integer(parts[3])
      else {
        throw CheckpointError(
          .pickleTypeError, "a part of a storage is two numbers, an offset and a number of elements"
        )
      }
      values[number] = .storage(try whole.part(start, count))
    }
  }

  /// A count, then for each tensor its number, its storage's number and its class, and behind them rank,
  /// dimensions, strides and offset.
  mutating func readTensors(in range: Range<Int>) throws(CheckpointError) {
    var pickles = PickleSequence(source, in: range)
    for _ in 0..<(try count(&pickles)) {
      guard let parts = pickles.heap.tuple(try pickles.next()), parts.count == 3,
        let number = pickles.heap.number(parts[0]), let key = pickles.heap.number(parts[1]),
        case .storage(let storage)? = values[key]
      else {
        throw CheckpointError(
          .pickleTypeError, offset: pickles.input.offset, "a tensor is two numbers and a class")
      }
      let at = pickles.input.offset
      let rank = Int(try pickles.input.integer(Int32.self))
      _ = try pickles.input.integer(UInt32.self)
      guard (0...Shape.maximumRank).contains(rank) else {
        throw CheckpointError(
          .rankLimit, offset: at, "\(rank) dimensions, at most \(Shape.maximumRank) are allowed")
      }
      var numbers: [Int] = []
      for _ in 0...(2 * rank) { numbers.append(Int(try pickles.input.integer(Int64.self))) }
      values[number] = .tensor(
        TorchTensor(
          type: storage.type, size: Array(numbers[..<rank]),
          elements: .strided(
            storage, offset: numbers[2 * rank], strides: Array(numbers[rank..<(2 * rank)]))))
    }
  }

  private func count(_ pickles: inout PickleSequence) throws(CheckpointError) -> Int {
    guard case .int(let count) = try pickles.next(), count >= 0 else {
      throw CheckpointError(.pickleTypeError, "a number of objects is expected first")
    }
    return count
  }
}

extension PickleHeap {
  /// The number that an object had in the process that saved it; old pickles write it as text.
  fileprivate func number(_ value: PickleValue) -> Int? {
    if case .int(let number) = value { number } else { text(value).flatMap { Int($0) } }
  }
}
