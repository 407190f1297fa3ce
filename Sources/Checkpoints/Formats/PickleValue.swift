/// A value of a pickle: a small one itself, any other as its place in the heap.
///
/// Values refer to each other by place only, so that containers may hold themselves and a million of
/// them inside each other without a release that recurses.
enum PickleValue: Hashable, Sendable {
  case none
  case bool(Bool)
  case int(Int)
  case float(Double)
  case object(Int)
}

/// What stands at a place of the heap.
enum PickleObject {
  /// An integer beyond 64 bits: its bytes as a two's complement number, the lowest first.
  case bigInteger([UInt8])
  /// Text.
  case text(String)
  /// Bytes, or text longer than any name, of which no use is made.
  case bytes(count: Int)
  case tuple([PickleValue])
  case list([PickleValue])
  case set([PickleValue])
  case dictionary(PickleDictionary)
  /// A class or a function, by name alone; apart, as it would make every object larger.
  indirect case global(PickleGlobal)
  case record(PickleRecord)
  case storage(TorchStorage)
  case tensor(TorchTensor)
}

/// A mapping in the order of its insertion.
final class PickleDictionary {
  /// What was set, in order, keys that were set again included.
  var items: [(key: PickleValue, value: PickleValue)] = []
  /// Whether it is a class of its own, which may have attributes beside its items.
  let takesAttributes: Bool

  init(takesAttributes: Bool) { self.takesAttributes = takesAttributes }
}

/// An object of a class that means nothing here: what it was made with and filled with.
final class PickleRecord {
  let type: PickleGlobal
  /// What its class, or the function that makes it, was called with.
  let arguments: [PickleValue]
  /// What it was filled with; usually a dictionary of its attributes.
  var state: PickleValue?
  /// What was set in it, where it is a kind of dictionary.
  var items: [(key: PickleValue, value: PickleValue)] = []
  /// What was appended to it, where it is a kind of list or set.
  var elements: [PickleValue] = []

  init(type: PickleGlobal, arguments: [PickleValue]) {
    self.type = type
    self.arguments = arguments
  }
}

/// The objects of one or more pickles.
///
/// Not a value to be copied: it owns what the values name.
final class PickleHeap {
  private var objects: [PickleObject] = []
  /// The classes of tensors that were taken for plain ones, with their number.
  var tensorClasses: [PickleGlobal: Int] = [:]

  /// The object that a value names; nil for one that stands for itself.
  subscript(value: PickleValue) -> PickleObject? {
    guard case .object(let place) = value else { return nil }
    return objects[place]
  }

  /// How many objects there are.
  var count: Int { objects.count }

  /// Adds an object.
  func add(_ object: PickleObject) -> PickleValue {
    objects.append(object)
    return .object(objects.count - 1)
  }

  /// Puts another object in the place of one.
  func replace(_ value: PickleValue, with object: PickleObject) {
    guard case .object(let place) = value else { return }
    objects[place] = object
  }

  /// Appends to a list, in place; gives false for anything else.
  ///
  /// Nobody may hold the list meanwhile, not even to look what it is: its elements would be copied, and a
  /// list that grows by a thousand at a time would take the square of its length.
  func append(_ values: [PickleValue], toList value: PickleValue) -> Bool {
    guard case .object(let place) = value, var elements = takeList(place) else { return false }
    elements.append(contentsOf: values)
    objects[place] = .list(elements)
    return true
  }

  /// Adds to a set, in place; gives false for anything else.
  func add(_ values: [PickleValue], toSet value: PickleValue) -> Bool {
    guard case .object(let place) = value, var elements = takeSet(place) else { return false }
    elements.append(contentsOf: values)
    objects[place] = .set(elements)
    return true
  }

  /// The elements of a list, which its place gives away.
  private func takeList(_ place: Int) -> [PickleValue]? {
    guard case .list(let elements) = objects[place] else { return nil }
    objects[place] = .bytes(count: 0)
    return elements
  }

  /// The elements of a set, which its place gives away.
  private func takeSet(_ place: Int) -> [PickleValue]? {
    guard case .set(let elements) = objects[place] else { return nil }
    objects[place] = .bytes(count: 0)
    return elements
  }

  // MARK: Looking at values

  /// The text that a value is.
  func text(_ value: PickleValue) -> String? {
    if case .text(let text)? = self[value] { text } else { nil }
  }

  /// The integer that a value is; one beyond 64 bits counts as the largest or smallest of them, which
  /// no check of a size lets pass.
  func integer(_ value: PickleValue) -> Int? {
    if case .int(let number) = value { return number }
    guard case .bigInteger(let bytes)? = self[value] else { return nil }
    return bytes.last.map { $0 & 0x80 != 0 ? Int.min : Int.max }
  }

  /// The elements of a tuple.
  func tuple(_ value: PickleValue) -> [PickleValue]? {
    if case .tuple(let elements)? = self[value] { elements } else { nil }
  }

  /// The elements of a tuple or a list.
  func sequence(_ value: PickleValue) -> [PickleValue]? {
    switch self[value] {
    case .tuple(let elements), .list(let elements): elements
    default: nil
    }
  }

  /// The class or function that a value names.
  func global(_ value: PickleValue) -> PickleGlobal? {
    if case .global(let global)? = self[value] { global } else { nil }
  }

  /// The items of a dictionary as Python sees them: each key once, at its first place, with its last
  /// value.
  func items(of value: PickleValue) -> [(key: PickleValue, value: PickleValue)]? {
    guard case .dictionary(let dictionary)? = self[value] else { return nil }
    return unique(dictionary.items)
  }

  /// The value that a dictionary holds under a text.
  func item(_ name: String, of value: PickleValue) -> PickleValue? {
    guard case .dictionary(let dictionary)? = self[value] else { return nil }
    return dictionary.items.last { text($0.key).map { $0.isIdentical(to: name) } ?? false }?.value
  }

  /// Items with each key once, at its first place, with its last value.
  func unique(
    _ items: [(key: PickleValue, value: PickleValue)]
  ) -> [(key: PickleValue, value: PickleValue)] {
    // Nearly always all keys are texts, and each is there once.
    var texts: Set<String> = Set(minimumCapacity: items.count)
    if items.allSatisfy({ text($0.key).map { texts.insert($0).inserted } ?? false }) {
      return items
    }
    var places: [PickleKey: Int] = Dictionary(minimumCapacity: items.count)
    var result: [(key: PickleValue, value: PickleValue)] = []
    result.reserveCapacity(items.count)
    for item in items {
      let key = self.key(item.key)
      if let place = places[key] {
        result[place].value = item.value
      } else {
        places[key] = result.count
        result.append(item)
      }
    }
    return result
  }

  /// A key as Python compares it.
  private func key(_ value: PickleValue) -> PickleKey {
    switch value {
    case .bool(let flag): return .number(flag ? 1 : 0)
    case .float(let number): return Int(exactly: number).map { .number($0) } ?? .value(value)
    case .int(let number): return .number(number)
    case .none: return .value(value)
    case .object:
      if let text = text(value) { return .text(Array(text.utf8)) }
      // Other keys name no tensor; that two equal ones may count as two changes nothing.
      return .value(value)
    }
  }
}

/// What makes a key the same key.
private enum PickleKey: Hashable {
  case number(Int)
  /// The bytes: Swift's own equality would take two spellings of one accent for one key.
  case text([UInt8])
  case value(PickleValue)
}

extension String {
  /// Whether both are spelled with the same bytes.
  func isIdentical(to other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}
