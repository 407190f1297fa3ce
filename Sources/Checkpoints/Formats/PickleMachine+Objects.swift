// The instructions that make and fill objects.

extension PickleMachine {
  // MARK: Filling

  /// Appends to the list on top of the stack, or to a record that may be a kind of list.
  mutating func append(_ values: [PickleValue]) throws(CheckpointError) {
    let target = try top()
    if heap.append(values, toList: target) { return }
    switch heap[target] {
    case .record(let record): record.elements.append(contentsOf: values)
    case let other: throw typeError("APPEND", "a list", other)
    }
  }

  /// Adds to the set on top of the stack.
  mutating func add(_ values: [PickleValue]) throws(CheckpointError) {
    let target = try top()
    for value in values { try checkKey(value) }
    if heap.add(values, toSet: target) { return }
    switch heap[target] {
    case .record(let record): record.elements.append(contentsOf: values)
    case let other: throw typeError("ADDITEMS", "a set", other)
    }
  }

  /// Sets keys, each followed by its value, in the dictionary on top of the stack, or in a record that
  /// may be a kind of dictionary.
  mutating func set(_ values: [PickleValue]) throws(CheckpointError) {
    let target = try top()
    guard values.count.isMultiple(of: 2) else {
      throw CheckpointError(.pickleMalformed, "SETITEMS with a key that has no value")
    }
    var items: [(key: PickleValue, value: PickleValue)] = []
    items.reserveCapacity(values.count / 2)
    for place in stride(from: 0, to: values.count, by: 2) {
      try checkKey(values[place])
      items.append((values[place], values[place + 1]))
    }
    switch heap[target] {
    case .dictionary(let dictionary): dictionary.items.append(contentsOf: items)
    case .record(let record): record.items.append(contentsOf: items)
    case let other: throw typeError("SETITEM", "a dictionary", other)
    }
  }

  private func checkKey(_ key: PickleValue) throws(CheckpointError) {
    switch heap[key] {
    case .list, .dictionary, .set:
      throw CheckpointError(.pickleTypeError, "a list, a dictionary or a set cannot be a key")
    default: break
    }
  }

  private func typeError(
    _ instruction: String, _ expected: String, _ found: PickleObject?
  ) -> CheckpointError {
    CheckpointError(
      .pickleTypeError,
      "\(instruction) works on \(expected), found \(found.map(heap.kind) ?? "a plain value")")
  }

  // MARK: Making

  /// Calls, in name only, what stands below its arguments.
  mutating func reduce() throws(CheckpointError) {
    let parts = try pop(2)
    let value = try call(parts[0], parts[1], instruction: "REDUCE")
    stack.append(value)
  }

  mutating func newObject() throws(CheckpointError) {
    let parts = try pop(2)
    stack.append(try make(parts[0], parts[1], instruction: "NEWOBJ"))
  }

  mutating func newObjectEx() throws(CheckpointError) {
    let parts = try pop(3)
    guard case .dictionary? = heap[parts[2]] else {
      throw typeError("NEWOBJ_EX", "a dictionary of arguments", heap[parts[2]])
    }
    stack.append(try make(parts[0], parts[1], instruction: "NEWOBJ_EX"))
  }

  /// The result of a call: what torch and the standard library build for checkpoints is built, anything
  /// else becomes a record.
  mutating func call(
    _ function: PickleValue, _ arguments: PickleValue, instruction: String
  ) throws(CheckpointError) -> PickleValue {
    let (global, values) = try names(function, arguments, instruction)
    if global.isAttributeAccess { return heap.add(.global(try attribute(values))) }
    if let value = try torchValue(global, values) { return value }
    // No text is put together here: a pickle may hold a million calls.
    switch (global.module, global.name) {
    case ("collections", "OrderedDict"), ("collections", "Counter"), ("builtins", "dict"):
      return heap.add(.dictionary(try dictionary(values.first)))
    case ("collections", "defaultdict"):
      return heap.add(.dictionary(try dictionary(values.dropFirst().first)))
    case ("builtins", "list"): return heap.add(.list(try elements(values)))
    case ("builtins", "tuple"): return heap.add(.tuple(try elements(values)))
    case ("builtins", "set"), ("builtins", "frozenset"):
      return heap.add(.set(try elements(values)))
    case ("builtins", "bytearray"), ("_codecs", "encode"):
      // Bytes of Python 3 in protocol 2, which has none; no tensor is made of them.
      return heap.add(.bytes(count: 0))
    case ("copyreg", "_reconstructor"), ("copyreg", "__newobj__"):
      guard let type = values.first, let named = heap.global(type) else {
        throw CheckpointError(.forbiddenOpcode, "\(global) makes an object of what is no class")
      }
      return heap.add(.record(PickleRecord(type: named, arguments: Array(values.dropFirst()))))
    default:
      return heap.add(.record(PickleRecord(type: global, arguments: values)))
    }
  }

  /// A new object of a class.
  private func make(
    _ type: PickleValue, _ arguments: PickleValue, instruction: String
  ) throws(CheckpointError) -> PickleValue {
    let (global, values) = try names(type, arguments, instruction)
    guard !global.isAttributeAccess else {
      throw CheckpointError(.forbiddenGlobal, "\(instruction) on \(global), which is no class")
    }
    switch (global.module, global.name) {
    case ("collections", "OrderedDict"), ("collections", "Counter"), ("collections", "defaultdict"):
      return heap.add(.dictionary(PickleDictionary(takesAttributes: true)))
    default:
      return heap.add(.record(PickleRecord(type: global, arguments: values)))
    }
  }

  private func names(
    _ function: PickleValue, _ arguments: PickleValue, _ instruction: String
  ) throws(CheckpointError) -> (PickleGlobal, [PickleValue]) {
    guard let global = heap.global(function) else {
      let found = heap[function].map(heap.kind) ?? "a plain value"
      throw CheckpointError(
        .forbiddenOpcode, "\(instruction) on \(found), expected the name of a class or a function")
    }
    guard let values = heap.tuple(arguments) else {
      throw typeError(instruction, "a tuple of arguments", heap[arguments])
    }
    return (global, values)
  }

  /// What `getattr` would give, in name only: bound methods and classes inside classes are pickled so,
  /// and torch's own functions.
  private mutating func attribute(
    _ arguments: [PickleValue]
  ) throws(CheckpointError) -> PickleGlobal {
    guard arguments.count == 2, let name = heap.text(arguments[1]) else {
      throw CheckpointError(
        .forbiddenGlobal,
        "the pickle calls builtins.getattr otherwise than with an object and the name of an attribute"
      )
    }
    let owner =
      switch heap[arguments[0]] {
      case .global(let global): global
      case .record(let record): record.type
      default: PickleGlobal(module: "builtins", name: heap.typeName(arguments[0]))
      }
    // `torch.tanh` is pickled as an attribute of the class that holds all of torch's functions.
    let isFunction = owner.module == "torch._C" && owner.name.hasPrefix("_VariableFunctions")
    let global = isFunction ? PickleGlobal(module: "torch", name: name) : owner.attribute(name)
    attributeBytes += global.name.utf8.count
    guard attributeBytes <= Limit.attributeBytes else {
      throw CheckpointError(
        .nestingLimit, "names of attributes take more than \(Limit.attributeBytes) bytes")
    }
    if let danger = global.danger { throw CheckpointError(.forbiddenGlobal, danger) }
    return global
  }

  /// The elements that a container is made of.
  private func elements(_ arguments: [PickleValue]) throws(CheckpointError) -> [PickleValue] {
    guard let argument = arguments.first else { return [] }
    if case .set(let elements)? = heap[argument] { return elements }
    guard let elements = heap.sequence(argument) else {
      throw typeError("REDUCE", "a list of elements", heap[argument])
    }
    return elements
  }

  /// A dictionary that is made of pairs, as Python 2 writes one, or of another dictionary.
  private func dictionary(_ argument: PickleValue?) throws(CheckpointError) -> PickleDictionary {
    let dictionary = PickleDictionary(takesAttributes: true)
    guard let argument else { return dictionary }
    if case .dictionary(let other)? = heap[argument] {
      dictionary.items = other.items
      return dictionary
    }
    guard let pairs = heap.sequence(argument) else {
      throw typeError("REDUCE", "a dictionary or a list of pairs", heap[argument])
    }
    for pair in pairs {
      guard let pair = heap.sequence(pair), pair.count == 2 else {
        throw CheckpointError(.pickleTypeError, "a dictionary is made of pairs of key and value")
      }
      try checkKey(pair[0])
      dictionary.items.append((pair[0], pair[1]))
    }
    return dictionary
  }

  // MARK: State

  /// Gives the object below the top its state.
  mutating func build() throws(CheckpointError) {
    let state = try pop()
    let target = try top()
    switch heap[target] {
    case .record(let record):
      if let tensor = try torchState(record, state) {
        heap.replace(target, with: tensor)
      } else {
        record.state = state
      }
    case .dictionary(let dictionary) where dictionary.takesAttributes:
      // Attributes such as a state dict's `_metadata`: nothing of a tensor stands there.
      break
    case let other: throw typeError("BUILD", "an object with attributes", other)
    }
  }
}

extension PickleHeap {
  /// What kind of thing an object is, in words.
  func kind(_ object: PickleObject) -> String {
    switch object {
    case .bigInteger: "an integer"
    case .text: "text"
    case .bytes: "bytes"
    case .tuple: "a tuple"
    case .list: "a list"
    case .set: "a set"
    case .dictionary: "a dictionary"
    case .global(let global): "the name \(global)"
    case .record(let record): "an object of \(record.type)"
    case .storage: "a storage"
    case .tensor: "a tensor"
    }
  }
}
