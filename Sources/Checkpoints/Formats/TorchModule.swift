/// A module in a pickle: an object of a class of `torch.nn`, or derived from one, or of TorchScript.
struct TorchModule {
  /// Its class, as the pickle names it.
  let type: PickleGlobal
  /// Whether it is a module of TorchScript.
  let isScript: Bool
  /// Its own parameters and buffers, named and ordered as `state_dict()` does.
  private(set) var tensors: [(name: String, tensor: TorchTensor)] = []
  /// The modules that it consists of, in order.
  private(set) var children: [(name: String, value: PickleValue)] = []
  /// Its plain attributes.
  private(set) var options: [String: ModuleRecord.Option] = [:]
  /// Its attributes that are tensors but, as in `state_dict()`, no part of it.
  private(set) var otherTensors: [String] = []
  /// Its attributes that are neither plain nor tensors.
  private(set) var otherAttributes = 0

  /// Looks at an object; nil when it is no module.
  init?(_ record: PickleRecord, in heap: PickleHeap) {
    guard let state = record.state, let attributes = heap.items(of: state) else { return nil }
    type = record.type
    isScript = type.isScriptClass
    if isScript {
      for attribute in attributes {
        guard let name = heap.text(attribute.key) else { continue }
        if let tensor = heap.tensor(attribute.value) {
          tensors.append((name, tensor))
        } else if case .record(let child)? = heap[attribute.value], child.type.isScriptClass {
          guard !child.type.isPacked else {
            tensors.append((name, .packed(in: child.packedType(in: heap))))
            continue
          }
          children.append((name, attribute.value))
        } else {
          add(attribute.value, named: name, in: heap)
        }
      }
      return
    }

    guard let modules = heap.item("_modules", of: state).flatMap(heap.items) else { return nil }
    let parameters = heap.item("_parameters", of: state).flatMap(heap.items) ?? []
    let buffers = heap.item("_buffers", of: state).flatMap(heap.items) ?? []
    let hidden = heap.item("_non_persistent_buffers_set", of: state).map(heap.texts) ?? []
    let kept = buffers.filter { heap.text($0.key).map { !hidden.contains($0) } ?? false }
    for item in parameters + kept {
      guard let name = heap.text(item.key), let tensor = heap.tensor(item.value) else { continue }
      tensors.append((name, tensor))
    }
    for module in modules {
      if let name = heap.text(module.key) { children.append((name, module.value)) }
    }
    for attribute in attributes {
      guard let name = heap.text(attribute.key) else { continue }
      if !addPacked(attribute.value, named: name, in: heap) {
        add(attribute.value, named: name, in: heap)
      }
    }
  }

  /// Takes an attribute that keeps weights to itself, which `state_dict()` gives as well: an object of
  /// torch's own libraries or, in quantised modules, a tensor of quantised numbers.
  private mutating func addPacked(
    _ value: PickleValue, named name: String, in heap: PickleHeap
  ) -> Bool {
    switch heap[value] {
    case .record(let record) where record.type.isPacked:
      tensors.append((name, .packed(in: record.packedType(in: heap))))
    case .tensor(let tensor) where type.isQuantized && tensor.isUnreadable:
      tensors.append((name, tensor))
    default: return false
    }
    return true
  }

  /// Takes an attribute for an option when it is plain; private ones, and whether the module was being
  /// trained, are none.
  private mutating func add(_ value: PickleValue, named name: String, in heap: PickleHeap) {
    guard !name.hasPrefix("_"), name != "training" else { return }
    switch value {
    case .none: break
    case .bool(let flag): options[name] = .bool(flag)
    case .int(let number): options[name] = .number(Double(number))
    case .float(let number): options[name] = .number(number)
    case .object:
      if let text = heap.text(value) {
        options[name] = .string(text)
      } else if heap.tensor(value) != nil {
        otherTensors.append(name)
      } else {
        otherAttributes += 1
      }
    }
  }

  /// The class as users write it: `torch.nn.LSTM` for `torch.nn.modules.rnn.LSTM`.
  var publicTypeName: String {
    var parts = type.description.split(separator: ".").map(String.init)
    if isScript {
      // TorchScript tells classes of one name apart by a number.
      parts.removeAll { $0 == "__torch__" || $0.hasPrefix("___torch_mangle_") }
    }
    if parts.count == 5, parts[..<3] == ["torch", "nn", "modules"] { parts.removeSubrange(2...3) }
    return parts.joined(separator: ".")
  }
}

extension PickleGlobal {
  /// Whether it is a class of a TorchScript archive.
  var isScriptClass: Bool { module == "__torch__" || module.hasPrefix("__torch__.") }

  /// Whether it is a class of quantised modules, of `torch.nn.quantized` as of `torch.ao.nn.quantized`.
  fileprivate var isQuantized: Bool {
    module.hasPrefix("torch.") && module.split(separator: ".").contains("quantized")
  }

  /// Whether it is a class of torch's own libraries, whose state only those can read.
  var isPacked: Bool {
    module.hasPrefix("__torch__.torch.classes")
      || (name == "ScriptObject" && (module == "torch" || module == "torch._C"))
  }
}

extension PickleRecord {
  /// The class of an object of torch's own libraries, which `torch.save` writes into its state.
  func packedType(in heap: PickleHeap) -> String {
    let name = state.flatMap(heap.tuple)?.last.flatMap(heap.text)
    return (name ?? type.description).replacing("__torch__.", with: "")
  }
}

extension PickleHeap {
  /// The texts in a set.
  fileprivate func texts(_ value: PickleValue) -> Set<String> {
    guard case .set(let elements)? = self[value] else { return [] }
    return Set(elements.compactMap(text))
  }
}
