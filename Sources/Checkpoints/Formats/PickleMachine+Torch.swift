// What torch's own functions would make of their arguments, as `torch/_utils.py` and
// `torch/_tensor.py` define them.

extension PickleMachine {
  /// The tensor, the size or the list that a call of torch gives; nil for any other call.
  mutating func torchValue(
    _ function: PickleGlobal, _ arguments: [PickleValue]
  ) throws(CheckpointError) -> PickleValue? {
    guard function.module == "torch" || function.module.hasPrefix("torch.") else { return nil }
    let call = TorchCall(function: function, arguments: arguments, heap: heap)
    switch function.name {
    case "_rebuild_tensor": return heap.add(.tensor(try call.tensor()))
    case "_rebuild_tensor_v2": return heap.add(.tensor(try call.tensor(metadata: 6)))
    case "_rebuild_tensor_v3": return heap.add(.tensor(try call.tensor(dtype: 6, metadata: 7)))
    case "_rebuild_parameter", "_rebuild_parameter_with_state", "Parameter", "Buffer":
      // What is wrapped is the value itself; an object without tensor stays an object.
      guard let data = arguments.first, heap.tensor(data) != nil else { return nil }
      return data
    case "_rebuild_from_type", "_rebuild_from_type_v2":
      return try torchSubclass(call)
    case "Size":
      guard let sizes = arguments.first else { return heap.add(.tuple([])) }
      guard let elements = heap.sequence(sizes) else { throw call.fault("a tuple of sizes") }
      return heap.add(.tuple(elements))
    // How TorchScript writes lists whose type is known.
    case "build_intlist", "build_tensorlist", "build_doublelist", "build_boollist",
      "restore_type_tag":
      return arguments.first
    default:
      return call.unreadableTensor().map { heap.add(.tensor($0)) }
    }
  }

  /// A tensor of a class of its own: the tensor inside, whose class is told.
  private mutating func torchSubclass(_ call: TorchCall) throws(CheckpointError) -> PickleValue? {
    guard call.arguments.count >= 3, let type = heap.global(call.arguments[1]) else {
      throw call.fault("a function, a class and arguments")
    }
    let value = try self.call(call.arguments[0], call.arguments[2], instruction: "REDUCE")
    guard let tensor = heap.tensor(value) else { return value }
    switch tensor.elements {
    case .strided where type.isPlainTensor: return value
    case .strided:
      heap.tensorClasses[type, default: 0] += 1
      return value
    case .unreadable:
      // The elements stand in the object's state, in a way that its class alone knows.
      return heap.add(.tensor(call.wrapped(tensor, in: type)))
    }
  }

  /// What an object becomes whose state is that of a tensor of torch before 0.4; nil for any other.
  func torchState(
    _ record: PickleRecord, _ state: PickleValue
  ) throws(CheckpointError) -> PickleObject? {
    guard record.type.isPlainTensor, let parts = heap.tuple(state), let first = parts.first else {
      return nil
    }
    switch heap[first] {
    case .storage where parts.count == 4:
      return .tensor(try TorchCall(function: record.type, arguments: parts, heap: heap).tensor())
    case .tensor(let data): return .tensor(data)
    default: return nil
    }
  }
}

extension PickleHeap {
  /// The tensor that a value is.
  func tensor(_ value: PickleValue) -> TorchTensor? {
    if case .tensor(let tensor)? = self[value] { tensor } else { nil }
  }

  /// The storage that a persistent id names, and what it says beyond that.
  /// - Throws: `forbiddenOpcode` when it names no storage; `pickleTypeError`, `sizeMismatch`,
  ///   `unsupportedVariant`.
  func storage(
    named id: PickleValue
  ) throws(CheckpointError) -> (storage: TorchStorage, rest: ArraySlice<PickleValue>) {
    guard let parts = tuple(id), parts.count >= 5, text(parts[0]) == "storage" else {
      throw CheckpointError(
        .forbiddenOpcode, "a persistent id that names no storage: only torch's own are followed")
    }
    guard let type = global(parts[1]), let key = text(parts[2]), let count = integer(parts[4])
    else {
      throw CheckpointError(
        .pickleTypeError, "a storage is named by class, key, location and number of elements")
    }
    guard type.module == "torch" || type.module.hasPrefix("torch."), type.name.hasSuffix("Storage")
    else {
      throw CheckpointError(
        .forbiddenOpcode, "a persistent id of the class \(type), which is no storage")
    }
    let dtype = TorchDType.ofStorage(type.name)
    guard count >= 0 else {
      throw CheckpointError(.sizeMismatch, "the storage '\(key)' has \(count) elements")
    }
    return (TorchStorage(key: key, type: dtype, count: count), parts[5...])
  }
}

extension PickleGlobal {
  /// Whether it is the class of plain tensors and parameters, by any of its names.
  var isPlainTensor: Bool {
    guard module == "torch" || module.hasPrefix("torch.") else { return false }
    switch name {
    case "Parameter", "Buffer", "Variable", "Tensor": return true
    default: return name.hasSuffix("Tensor") && (module == "torch" || module == "torch.cuda")
    }
  }
}
