/// Finds the tensors in what a pickle gives, with the names that they have there.
///
/// A tensor's name is its path: keys, attributes and places, joined by dots. Modules give the names that
/// their `state_dict()` gives.
struct TorchTree {
  /// A tensor and its name.
  typealias Found = (name: String, tensor: TorchTensor)
  /// A mapping that qualifies as a state dict, and which of the tensors are its own.
  typealias FoundStateDict = (path: String, tensors: Range<Int>)

  /// The name of a tensor that was saved alone.
  static let loneName = "tensor"

  private(set) var tensors: [Found] = []
  /// The state dicts; empty when the whole is one.
  private(set) var stateDicts: [FoundStateDict] = []
  private(set) var moduleRecords: [ModuleRecord] = []
  private var notes = TorchNotes()

  private let heap: PickleHeap
  /// The options of a class of TorchScript, which its code tells.
  private let scriptOptions: (PickleGlobal) -> [String: ModuleRecord.Option]
  /// The containers and objects on the way to the present one.
  private var open: Set<PickleValue> = []
  private var visits = 0
  /// How often an object led back to itself.
  private var cuts = 0
  /// Objects inside others that hold no tensor, met below `bareTop`.
  private var bare: Set<PickleValue> = []
  private var bareTop = ""

  /// Where the walk is.
  private struct Place {
    var path = ""
    /// The first name of the path.
    var top = ""
    var depth = 0
    /// Whether the last key is empty.
    var isUnnamed = true
    /// Whether it stands below the state of an optimiser, whose mappings are no state dicts.
    var isOptimizer = false

    func child(_ name: String, isOptimizer: Bool = false) -> Place {
      Place(
        path: depth == 0 ? name : "\(path).\(name)", top: depth == 0 ? name : top, depth: depth + 1,
        isUnnamed: name.isEmpty, isOptimizer: self.isOptimizer || isOptimizer)
    }
  }

  /// Walks over everything below `root`.
  /// - Throws: `nestingLimit` for containers that hold themselves, or hold each other so often that they
  ///   would never end; `badName`, `duplicateName`.
  init(
    _ root: PickleValue, in heap: PickleHeap,
    scriptOptions: @escaping (PickleGlobal) -> [String: ModuleRecord.Option] = { _ in [:] }
  ) throws(CheckpointError) {
    self.heap = heap
    self.scriptOptions = scriptOptions
    if let tensor = heap.tensor(root) {
      tensors = [(Self.loneName, tensor)]
    } else {
      try visit(root, at: Place())
    }
    if stateDicts.contains(where: \.path.isEmpty) { stateDicts = [] }
    try checkNames()
  }

  /// What is not carried along, in words.
  var ignored: [String] { notes.lines(tensorClasses: heap.tensorClasses) }

  // MARK: Containers

  private mutating func visit(_ value: PickleValue, at place: Place) throws(CheckpointError) {
    guard let object = heap[value] else { return note(value, at: place) }
    switch object {
    case .tensor(let tensor): try add(tensor, at: place)
    case .dictionary:
      try enter(value, at: place)
      try visit(heap.items(of: value) ?? [], at: place)
      open.remove(value)
    case .list(let elements), .tuple(let elements), .set(let elements):
      guard !elements.isEmpty else { return note(value, at: place) }
      try enter(value, at: place)
      try visit(elements, at: place)
      open.remove(value)
    case .record(let record): try visit(record, value, at: place)
    default: note(value, at: place)
    }
  }

  private mutating func visit(
    _ elements: [PickleValue], at place: Place
  ) throws(CheckpointError) {
    var plainCount = 0
    for (index, element) in elements.enumerated() {
      // Of a history of a million numbers none needs a name.
      if place.depth > 0, isPlain(element) {
        if element != .none { plainCount += 1 }
      } else if !isKnown(element, at: place) {
        try visit(element, at: place.child(String(index)))
      }
    }
    notes.add(count: plainCount, below: place.top)
  }

  /// Whether a value is one below which nothing can stand.
  private func isPlain(_ value: PickleValue) -> Bool {
    switch heap[value] {
    case nil, .bigInteger, .text, .bytes: true
    default: false
    }
  }

  /// Steps into a container; whoever comes out again removes it from `open`.
  private mutating func enter(_ value: PickleValue, at place: Place) throws(CheckpointError) {
    guard open.insert(value).inserted else {
      throw CheckpointError(.nestingLimit, "\(shown(place)) holds itself")
    }
    visits += 1
    guard place.depth < PickleMachine.Limit.depth else {
      throw CheckpointError(
        .nestingLimit,
        "containers are nested deeper than \(PickleMachine.Limit.depth): at \(place.path.prefix(64))…"
      )
    }
    // Containers may stand at several places, as tied modules do, but not be multiplied without end.
    guard visits <= 16 * heap.count + 1024 else {
      throw CheckpointError(
        .nestingLimit,
        "\(heap.count) objects hold each other so often that a walk meets more than \(visits)")
    }
  }

  private mutating func visit(
    _ items: [(key: PickleValue, value: PickleValue)], at place: Place
  ) throws(CheckpointError) {
    let keys = items.map { heap.text($0.key) }
    let isOptimizer = keys.contains("state") && keys.contains("param_groups")
    if isStateDict(keys, items.map(\.value)), !place.isOptimizer, !isOptimizer {
      let first = tensors.count
      defer { stateDicts.append((place.path, first..<tensors.count)) }
      return try visitItems(items, keys, at: place, isOptimizer: false)
    }
    try visitItems(items, keys, at: place, isOptimizer: isOptimizer)
  }

  private mutating func visitItems(
    _ items: [(key: PickleValue, value: PickleValue)], _ keys: [String?], at place: Place,
    isOptimizer: Bool
  ) throws(CheckpointError) {
    for (index, item) in items.enumerated() {
      let name: String
      if let key = keys[index] {
        name = key
      } else if case .int(let key) = item.key {
        name = String(key)
      } else {
        // A key that is neither text nor a number has no spelling: its place stands for it.
        name = "#\(index)"
      }
      try visit(item.value, at: place.child(name, isOptimizer: isOptimizer))
    }
  }

  /// Whether a mapping is one of names to tensors.
  ///
  /// What a module adds to its own, and parameters that
  /// are None, do not count against it. Single numbers alone, as metrics are, make none.
  private func isStateDict(_ keys: [String?], _ values: [PickleValue]) -> Bool {
    var holdsTensors = false
    for (key, value) in zip(keys, values) {
      guard let key else { return false }
      if let tensor = heap.tensor(value) {
        holdsTensors = holdsTensors || !tensor.isNumber
      } else if value != .none, !key.hasSuffix("_extra_state") {
        return false
      }
    }
    return holdsTensors
  }

  // MARK: Objects

  private mutating func visit(
    _ record: PickleRecord, _ value: PickleValue, at place: Place
  ) throws(CheckpointError) {
    if record.type.isPacked { return try add(.packed(in: record.packedType(in: heap)), at: place) }
    if let module = TorchModule(record, in: heap) {
      let first = tensors.count
      try visit(module, value, at: place)
      if !place.isOptimizer, first < tensors.count {
        stateDicts.append((place.path, first..<tensors.count))
      }
      return
    }
    notes.add(record.type, at: place.top, depth: place.depth)
    // Objects that lead back to themselves, a child that knows its parent, are usual and harmless.
    guard !open.contains(value) else {
      cuts += 1
      return
    }
    let before = (tensors.count, cuts)
    try enter(value, at: place)
    let counted = notes.isSilent
    notes.isSilent = true
    for attributes in record.attributes(in: heap) { try visit(attributes, at: place) }
    try visit(heap.unique(record.items), at: place)
    try visit(record.elements.isEmpty ? record.arguments : record.elements, at: place)
    notes.isSilent = counted
    open.remove(value)
    if counted, before == (tensors.count, cuts) { remember(value, at: place) }
  }

  /// Whether an object has been walked over at this place at the top, without a tensor in it, and would
  /// only be told once more.
  private func isKnown(_ value: PickleValue, at place: Place) -> Bool {
    notes.isSilent && place.top.isIdentical(to: bareTop) && bare.contains(value)
  }

  private mutating func remember(_ value: PickleValue, at place: Place) {
    if !place.top.isIdentical(to: bareTop) {
      bareTop = place.top
      bare.removeAll()
    }
    bare.insert(value)
  }

  private mutating func visit(
    _ module: TorchModule, _ value: PickleValue, at place: Place
  ) throws(CheckpointError) {
    try enter(value, at: place)
    var options = module.options
    if module.isScript { options.merge(scriptOptions(module.type)) { kept, _ in kept } }
    moduleRecords.append(
      ModuleRecord(path: place.path, type: module.publicTypeName, options: options))
    for (name, tensor) in module.tensors { try add(tensor, at: place.child(name)) }
    for (name, child) in module.children {
      guard case .record(let record)? = heap[child] else { continue }
      let place = place.child(name)
      if let module = TorchModule(record, in: heap) {
        try visit(module, child, at: place)
      } else {
        try visit(child, at: place)
      }
    }
    notes.add(module)
    open.remove(value)
  }

  // MARK: Names and notes

  private mutating func add(_ tensor: TorchTensor, at place: Place) throws(CheckpointError) {
    guard !place.isUnnamed, !place.path.utf8.contains(0) else {
      throw CheckpointError(
        .badName, tensor: place.path, "the key of a tensor is empty, or its name holds a NUL")
    }
    tensors.append((place.path, tensor))
  }

  private mutating func note(_ value: PickleValue, at place: Place) {
    guard value != .none else { return }
    notes.add(heap.typeName(value), at: place.top, depth: place.depth)
  }

  private func shown(_ place: Place) -> String {
    place.path.isEmpty ? "the root" : String(place.path.prefix(64))
  }

  private func checkNames() throws(CheckpointError) {
    var seen: Set<String> = Set(minimumCapacity: tensors.count)
    for (name, _) in tensors {
      guard seen.insert(name).inserted else {
        throw CheckpointError(
          .duplicateName, tensor: name,
          "two tensors have this name when their keys are joined by dots")
      }
    }
  }
}

extension PickleRecord {
  /// The mappings of names to values that make up its state.
  func attributes(in heap: PickleHeap) -> [[(key: PickleValue, value: PickleValue)]] {
    guard let state else { return [] }
    if let items = heap.items(of: state) { return [items] }
    // Classes with slots give a pair: attributes, or None, and slots.
    if let pair = heap.tuple(state), pair.count == 2, let slots = heap.items(of: pair[1]) {
      return [heap.items(of: pair[0]) ?? [], slots]
    }
    guard heap[state] != nil else { return [] }
    return [[(.int(0), state)]]
  }
}

extension PickleHeap {
  /// The Python type of a value.
  func typeName(_ value: PickleValue) -> String {
    switch value {
    case .none: return "None"
    case .bool: return "bool"
    case .int: return "int"
    case .float: return "float"
    case .object: break
    }
    switch self[value] {
    case .bigInteger: return "int"
    case .text: return "str"
    case .bytes: return "bytes"
    case .tuple: return "tuple"
    case .list: return "list"
    case .set: return "set"
    case .dictionary: return "dict"
    case .global(let global): return "the name \(global)"
    case .record(let record): return record.type.description
    case .storage: return "storage"
    case .tensor: return "tensor"
    case nil: return "object"
    }
  }
}
