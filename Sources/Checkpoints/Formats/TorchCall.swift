/// A call of one of torch's functions that rebuild tensors.
struct TorchCall {
  let function: PickleGlobal
  let arguments: [PickleValue]
  let heap: PickleHeap

  /// The tensor of the arguments storage, offset, size, strides, as all of torch's functions begin.
  ///
  /// `dtype` is the place of the dtype, where the storage has none; `metadata` that of the bits that are
  /// beside the elements.
  /// - Throws: `pickleTypeError`.
  func tensor(dtype: Int? = nil, metadata: Int? = nil) throws(CheckpointError) -> TorchTensor {
    if let first = arguments.first, case .record(let record)? = heap[first],
      record.type.name == "_load_from_bytes"
    {
      throw CheckpointError(
        .unsupportedVariant,
        """
        the pickle was written by pickle.dump, which puts a file of its own into each storage; \
        in Python: torch.save(pickle.load(open("in.pkl", "rb")), "out.pt")
        """)
    }
    guard arguments.count >= 4, case .storage(let storage)? = heap[arguments[0]],
      let offset = heap.integer(arguments[1]), let size = integers(2), let strides = integers(3)
    else { throw fault("a storage, an offset, a size and strides") }
    var type = storage.type
    if let dtype {
      guard let named = self.dtype(dtype) else { throw fault("a dtype as argument \(dtype)") }
      type = named
    }
    return TorchTensor(
      type: type, size: size, elements: .strided(storage, offset: offset, strides: strides),
      isNegated: metadata.map(isNegated) ?? false)
  }

  /// The tensor of a call that says of which kind it is, but whose elements are not read; nil for a call
  /// that gives no tensor.
  func unreadableTensor() -> TorchTensor? {
    switch function.name {
    case "_rebuild_qtensor":
      unreadable(
        "a quantised tensor: in Python, save t.dequantize() in its place", storageType, integers(2))
    case "_rebuild_sparse_tensor", "_rebuild_sparse_csr_tensor":
      unreadable(
        "a sparse tensor: in Python, save t.to_dense() in its place",
        parts(1).compactMap(heap.tensor).last?.type, parts(1).lazy.compactMap(sizes).first)
    case "_rebuild_nested_tensor":
      unreadable(
        "a nested tensor: in Python, save torch.nested.to_padded_tensor(t, 0.0) in its place",
        arguments.first.flatMap(heap.tensor)?.type, nil)
    case "_rebuild_meta_tensor_no_storage":
      unreadable(
        "a tensor on the device 'meta', which has no elements: give the module weights before it is saved",
        dtype(0), integers(1))
    case "_rebuild_device_tensor_from_numpy", "_rebuild_xla_tensor",
      "_rebuild_device_tensor_from_cpu_tensor":
      unreadable(
        "a tensor of a device without storages: in Python, save t.cpu() in its place", dtype(1),
        arguments.first.flatMap(heap.tensor)?.size)
    case "_rebuild_wrapper_subclass":
      unreadable("a tensor that wraps others", dtype(1), integers(2))
    case "UninitializedParameter", "UninitializedBuffer":
      unreadable(
        "a parameter of a lazy module that has never run: run the module once before it is saved",
        dtype(2), nil)
    case "DTensor":
      wrapped(TorchTensor(type: nil, size: [], elements: .unreadable("")), in: function)
    default: nil
    }
  }

  /// The tensor of a class whose elements stand in other tensors, in a way that the class alone knows.
  func wrapped(_ tensor: TorchTensor, in type: PickleGlobal) -> TorchTensor {
    let wayOut =
      switch type.name {
      case "DTensor": "save t.full_tensor() in its place"
      case "AsyncCollectiveTensor": "save t.wait() in its place"
      default: "save it as a plain tensor, t.dequantize() or t.to_dense() where its class has that"
      }
    return unreadable(
      "a tensor of the class \(type): in Python, \(wayOut)", tensor.type, tensor.size)
  }

  /// What to say when the arguments are not those of the function.
  func fault(_ expected: String) -> CheckpointError {
    CheckpointError(.pickleTypeError, "\(function) takes \(expected), found something else")
  }

  private func unreadable(_ reason: String, _ type: TorchDType?, _ size: [Int]?) -> TorchTensor {
    TorchTensor(type: type, size: size ?? [], elements: .unreadable(reason))
  }

  // MARK: Arguments

  private var storageType: TorchDType? {
    guard let first = arguments.first, case .storage(let storage)? = heap[first] else { return nil }
    return storage.type
  }

  /// The elements of an argument that is a tuple.
  private func parts(_ place: Int) -> [PickleValue] {
    place < arguments.count ? heap.tuple(arguments[place]) ?? [] : []
  }

  private func integers(_ place: Int) -> [Int]? {
    place < arguments.count ? sizes(arguments[place]) : nil
  }

  private func sizes(_ value: PickleValue) -> [Int]? {
    guard let elements = heap.sequence(value) else { return nil }
    var sizes: [Int] = []
    for element in elements {
      guard let size = heap.integer(element) else { return nil }
      sizes.append(size)
    }
    return sizes
  }

  private func dtype(_ place: Int) -> TorchDType? {
    guard place < arguments.count, let global = heap.global(arguments[place]),
      global.module == "torch"
    else { return nil }
    return TorchDType.named(global.name)
  }

  /// Whether the bit `neg` is set in what stands beside the elements.
  ///
  /// The other one, `conj`, is that of complex tensors.
  private func isNegated(_ place: Int) -> Bool {
    place < arguments.count && heap.item("neg", of: arguments[place]) == .bool(true)
  }
}
