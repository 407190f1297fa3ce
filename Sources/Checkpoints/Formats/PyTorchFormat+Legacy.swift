extension PyTorchFormat {
  /// Opens what `torch.save` wrote before 1.6, and writes still when it is asked to: five pickles, then
  /// the storages in the order of their keys, each with its number of elements.
  ///
  /// The elements are little-endian also where the file says that its machine was not: writers on such
  /// machines turned them, and PyTorch's reader does not look.
  func openLegacy(_ source: ByteSource) throws(CheckpointError) -> CheckpointContents {
    var pickles = PickleSequence(source, in: 0..<source.count)
    let storages = TorchStorageList()

    let magic = try pickles.next()
    guard case .bigInteger(Legacy.magic)? = pickles.heap[magic] else {
      if case .record(let record)? = pickles.heap[magic],
        record.type.module.hasPrefix("torch.distributed.checkpoint")
      {
        throw Self.distributed
      }
      throw CheckpointError(
        .unsupportedVariant, offset: 0,
        """
        a pickle that torch.save did not write, of \(pickles.heap.typeName(magic)); \
        in Python: torch.save(pickle.load(open("in.pkl", "rb")), "out.pt")
        """)
    }
    let version = try pickles.next()
    guard version == .int(Legacy.version) else {
      throw CheckpointError(
        .unsupportedVersion, "the legacy format is not version \(Legacy.version)")
    }
    try Legacy.checkSystem(try pickles.next(), in: pickles.heap)
    let root = try pickles.next { id, heap throws(CheckpointError) in
      try storages.value(of: id, in: heap)
    }
    let keys = try pickles.next()
    guard case .list(let keys)? = pickles.heap[keys] else {
      throw CheckpointError(.pickleTypeError, "the keys of the storages are no list")
    }
    try storages.locate(keys, of: pickles.heap, behind: pickles.input.place, in: source)

    let tree = try TorchTree(root, in: pickles.heap)
    var reader = TorchTensorReader(source) { key throws(CheckpointError) in
      try storages.bytes(of: key, in: source)
    }
    return try Self.contents(tree, &reader)
  }
}

/// What the legacy format is recognised by.
private enum Legacy {
  /// 0x1950A86A20F9469CFC6C, the lowest byte first.
  static let magic: [UInt8] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
  static let version = 1001

  /// Checks what the file says of the machine that wrote it.
  static func checkSystem(_ value: PickleValue, in heap: PickleHeap) throws(CheckpointError) {
    guard case .dictionary? = heap[value] else {
      throw CheckpointError(.pickleTypeError, "what is said of the machine is no dictionary")
    }
    switch heap.item("little_endian", of: value) {
    case nil, .bool: break
    default: throw CheckpointError(.pickleTypeError, "little_endian is neither True nor False")
    }
  }
}

/// Pickles that stand one behind the other and share a heap.
struct PickleSequence {
  let heap = PickleHeap()
  /// What stands behind the last pickle that was run.
  var input: PickleInput

  init(_ source: ByteSource, in range: Range<Int>) {
    input = PickleInput(source, in: range)
  }

  /// Runs the next pickle, in which persistent ids stand for nothing.
  mutating func next() throws(CheckpointError) -> PickleValue {
    try next { id, heap throws(CheckpointError) in
      // There is none but in the object itself; naming a storage elsewhere names nothing.
      _ = try heap.storage(named: id)
      return .none
    }
  }

  /// Runs the next pickle.
  mutating func next(
    persistentLoad: @escaping PickleMachine.PersistentLoad
  ) throws(CheckpointError) -> PickleValue {
    var machine = PickleMachine(input, heap: heap, persistentLoad: persistentLoad)
    let value = try machine.run()
    input = machine.input
    return value
  }
}

/// The storages of a file in which they stand behind the pickles.
private final class TorchStorageList {
  private var storages: [String: TorchStorage] = [:]
  private var ranges: [String: Range<Int>] = [:]

  /// What a persistent id of the legacy format stands for: a storage, a part of one, or the class of a
  /// module, which may come with its source code.
  func value(of id: PickleValue, in heap: PickleHeap) throws(CheckpointError) -> PickleValue {
    if let parts = heap.tuple(id), parts.count >= 2, heap.text(parts[0]) == "module",
      heap.global(parts[1]) != nil
    {
      return parts[1]
    }
    let (named, rest) = try heap.storage(named: id)
    let whole = storages[named.key] ?? named
    storages[named.key] = whole
    guard whole.count == named.count else {
      throw CheckpointError(
        .sizeMismatch,
        "the storage '\(named.key)' has \(whole.count) elements, and \(named.count) elsewhere")
    }
    guard let view = rest.first, view != .none else { return heap.add(.storage(named)) }
    guard let view = heap.tuple(view), view.count == 3, let start = heap.integer(view[1]),
      let count = heap.integer(view[2])
    else {
      throw CheckpointError(.pickleTypeError, "a view is a key, an offset and a number of elements")
    }
    return heap.add(.storage(try named.part(start, count)))
  }

  /// Finds the storages of `keys`, which stand one behind the other from `start` to the end.
  func locate(
    _ keys: [PickleValue], of heap: PickleHeap, behind start: Int, in source: ByteSource
  ) throws(CheckpointError) {
    var place = start
    for key in keys {
      guard let key = heap.text(key) else {
        throw CheckpointError(.pickleTypeError, "the key of a storage is no text")
      }
      guard let storage = storages[key], storage.type.size > 0 else {
        throw CheckpointError(
          .pickleMalformed, "no tensor of a known type has the storage '\(key)'")
      }
      let count = try source.bytes(in: place..<(place + 8)).integer(at: 0, as: Int64.self)
      let (size, overflow) = storage.count.multipliedReportingOverflow(by: storage.type.size)
      guard Int(count) == storage.count, !overflow else {
        throw CheckpointError(
          .sizeMismatch, offset: place,
          "the storage '\(key)' has \(count) elements here, \(storage.count) in the pickle")
      }
      place += 8
      guard size <= source.count - place else {
        throw CheckpointError(
          .truncated, offset: source.count,
          "the file ends within the storage '\(key)' of \(size) bytes")
      }
      guard ranges.updateValue(place..<(place + size), forKey: key) == nil else {
        throw CheckpointError(.duplicateName, offset: place, "two storages have the key '\(key)'")
      }
      place += size
    }
    guard place == source.count else {
      throw CheckpointError(
        .trailingData, offset: place, "\(source.count - place) bytes follow the last storage")
    }
  }

  func bytes(
    of key: String, in source: ByteSource
  ) throws(CheckpointError) -> TorchTensorReader.StorageBytes {
    guard let range = ranges[key] else {
      throw CheckpointError(.sizeMismatch, "the file holds no storage '\(key)'")
    }
    return TorchTensorReader.StorageBytes(
      contents: StorageRange(source: source, start: range.lowerBound), byteCount: range.count)
  }
}
