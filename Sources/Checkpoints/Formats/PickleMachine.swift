/// Python's pickle machine, able to build inert things only: values, containers, tensors that are not
/// read yet, and records of what a class was called with.
///
/// Nothing that a pickle names is looked up, imported or called, so that nothing can be executed.
/// Protocols 2 to 5, as `pickletools` documents them. Every instruction is checked against the end of
/// the input, and containers take only what their type allows.
struct PickleMachine {
  /// The bounds of what a pickle may build, far above what checkpoints need: one of 10^5 tensors has
  /// about 3 · 10^6 objects.
  enum Limit {
    static let objects = 1 << 24
    static let memo = 1 << 24
    static let stack = 1 << 24
    /// All text together.
    static let textBytes = 1 << 28
    /// Longer text is no name, and only counted.
    static let text = 1 << 16
    static let integerBytes = 1 << 12
    static let globalName = 1 << 12
    /// The names of attributes all together, of which a few instructions make long ones.
    static let attributeBytes = 1 << 24
    /// Containers inside each other.
    static let depth = 256
  }

  /// What a pickle's persistent ids stand for.
  typealias PersistentLoad =
    (_ id: PickleValue, PickleHeap) throws(CheckpointError) -> PickleValue

  /// What the values of the pickle name.
  let heap: PickleHeap
  /// Where the instructions come from; after a run, what stands behind the pickle.
  private(set) var input: PickleInput

  private let persistentLoad: PersistentLoad
  var stack: [PickleValue] = []
  private var marks: [Int] = []
  /// The memo's entries from 0 on; those of a writer that leaves numbers out stand apart.
  private var memo: [PickleValue] = []
  private var sparseMemo: [Int: PickleValue] = [:]
  private var textBytes = 0
  var attributeBytes = 0
  /// The one empty tuple.
  private lazy var emptyTuple = heap.add(.tuple([]))

  /// Prepares to run one pickle, adding to a heap.
  init(
    _ input: PickleInput, heap: PickleHeap = PickleHeap(),
    persistentLoad: @escaping PersistentLoad
  ) {
    self.input = input
    self.heap = heap
    self.persistentLoad = persistentLoad
  }

  /// Runs the pickle up to its STOP and gives the value that it leaves.
  /// - Throws: `pickleMalformed`, `pickleTypeError`, `forbiddenGlobal`, `forbiddenOpcode`,
  ///   `lengthOutOfRange`, `nestingLimit`, `unsupportedVariant`, each with the offset of the instruction.
  mutating func run() throws(CheckpointError) -> PickleValue {
    while true {
      let at = input.offset
      do throws(CheckpointError) {
        let byte = try input.byte()
        guard let opcode = PickleOpcode(rawValue: byte) else {
          throw CheckpointError(
            .pickleMalformed, "0x\(String(byte, radix: 16)) is no instruction of a pickle")
        }
        if opcode == .stop { return try result() }
        try execute(opcode)
        guard heap.count <= Limit.objects, stack.count <= Limit.stack else {
          throw CheckpointError(
            .nestingLimit, "the pickle builds more than \(Limit.objects) objects")
        }
      } catch {
        throw error.located(offset: at)
      }
    }
  }

  private mutating func result() throws(CheckpointError) -> PickleValue {
    let value = try pop()
    guard stack.isEmpty, marks.isEmpty else {
      throw CheckpointError(
        .pickleMalformed, "STOP leaves \(stack.count) values behind, expected none")
    }
    return value
  }

  // MARK: Instructions

  private mutating func execute(_ opcode: PickleOpcode) throws(CheckpointError) {
    switch opcode {
    case .mark: marks.append(stack.count)
    case .stop: break
    case .pop:
      // The writer drops the elements of a tuple that holds itself, and their mark, like this.
      if marks.last == stack.count { marks.removeLast() } else { _ = try pop() }
    case .popMark: _ = try popToMark()
    case .duplicate: stack.append(try top())

    case .none: stack.append(.none)
    case .newTrue: stack.append(.bool(true))
    case .newFalse: stack.append(.bool(false))
    case .binInt: stack.append(.int(Int(try input.integer(Int32.self))))
    case .binInt1: stack.append(.int(Int(try input.byte())))
    case .binInt2: stack.append(.int(Int(try input.integer(UInt16.self))))
    case .long1: try long(input.length(UInt8.self))
    case .long4: try long(input.length(Int32.self))
    case .binFloat:
      stack.append(.float(Double(bitPattern: try input.integer(UInt64.self).byteSwapped)))
    case .binString: try text(input.length(Int32.self), isText: false)
    case .shortBinString: try text(input.length(UInt8.self), isText: false)
    case .binUnicode: try text(input.length(UInt32.self))
    case .shortBinUnicode: try text(input.length(UInt8.self))
    case .binUnicode8: try text(input.length(UInt64.self))
    case .binBytes: try bytes(input.length(UInt32.self))
    case .shortBinBytes: try bytes(input.length(UInt8.self))
    case .binBytes8, .byteArray8: try bytes(input.length(UInt64.self))

    case .emptyTuple: stack.append(emptyTuple)
    case .tuple: push(.tuple(try popToMark()))
    case .tuple1: push(.tuple(try pop(1)))
    case .tuple2: push(.tuple(try pop(2)))
    case .tuple3: push(.tuple(try pop(3)))
    case .emptyList: push(.list([]))
    case .list: push(.list(try popToMark()))
    case .append: try append(pop(1))
    case .appends: try append(popToMark())
    case .emptyDict: push(.dictionary(PickleDictionary(takesAttributes: false)))
    case .dict:
      let items = try popToMark()
      push(.dictionary(PickleDictionary(takesAttributes: false)))
      try set(items)
    case .setItem: try set(pop(2))
    case .setItems: try set(popToMark())
    case .emptySet: push(.set([]))
    case .addItems: try add(popToMark())
    case .frozenSet: push(.set(try popToMark()))

    case .binGet: stack.append(try remembered(Int(input.byte())))
    case .longBinGet: stack.append(try remembered(Int(input.integer(UInt32.self))))
    case .binPut: try remember(Int(input.byte()))
    case .longBinPut: try remember(Int(input.integer(UInt32.self)))
    case .memoize: try remember(memo.count + sparseMemo.count)

    case .global: try global()
    case .stackGlobal: try stackGlobal()
    case .reduce: try reduce()
    case .build: try build()
    case .newObject: try newObject()
    case .newObjectEx: try newObjectEx()
    case .binPersistentID: stack.append(try persistentLoad(pop(), heap))

    case .proto:
      let version = try input.byte()
      guard version <= 5 else {
        throw CheckpointError(
          .pickleMalformed, "pickle protocol \(version), there are 0 to 5")
      }
    case .frame: _ = try input.length(UInt64.self)

    case .instance:
      try global()
      throw forbidden(opcode)
    case .object, .extension1, .extension2, .extension4, .persistentID, .nextBuffer,
      .readOnlyBuffer:
      throw forbidden(opcode)

    case .int, .long, .float, .string, .unicode, .get, .put:
      try execute(opcode, text: input.line(atMost: Limit.text))
    }
  }

  private func forbidden(_ opcode: PickleOpcode) -> CheckpointError {
    CheckpointError(
      .forbiddenOpcode, "the instruction \(opcode) stands in no checkpoint and is not followed")
  }

  /// The instructions of protocol 0, whose argument is a line of text.
  private mutating func execute(
    _ opcode: PickleOpcode, text line: [UInt8]
  ) throws(CheckpointError) {
    let text = String(decoding: line, as: UTF8.self)
    func malformed() -> CheckpointError {
      CheckpointError(.pickleMalformed, "\(opcode) with '\(text.prefix(32))', expected a number")
    }
    switch opcode {
    case .int where text == "00" || text == "01": stack.append(.bool(text == "01"))
    case .int, .long:
      guard let number = Int(text.hasSuffix("L") ? String(text.dropLast()) : text) else {
        throw malformed()
      }
      stack.append(.int(number))
    case .float:
      guard let number = Double(text) else { throw malformed() }
      stack.append(.float(number))
    case .get, .put:
      guard let number = Int(text), number >= 0 else { throw malformed() }
      if opcode == .get { stack.append(try remembered(number)) } else { try remember(number) }
    default:
      // Text in quotes, or as it is; names have no escapes.
      let content = opcode == .string ? String(text.dropFirst().dropLast()) : text
      push(content.contains("\\") ? .bytes(count: line.count) : .text(content))
    }
  }

  // MARK: The stack

  /// Adds an object to the heap and pushes it.
  mutating func push(_ object: PickleObject) {
    stack.append(heap.add(object))
  }

  func top() throws(CheckpointError) -> PickleValue {
    guard let value = stack.last, stack.count > marks.last ?? 0 else { throw underflow(1) }
    return value
  }

  mutating func pop() throws(CheckpointError) -> PickleValue {
    let value = try top()
    stack.removeLast()
    return value
  }

  /// The uppermost values, the top one last.
  mutating func pop(_ count: Int) throws(CheckpointError) -> [PickleValue] {
    guard stack.count - (marks.last ?? 0) >= count else { throw underflow(count) }
    // Not a slice, with which the whole stack would be copied.
    let values = Array(stack[(stack.count - count)...])
    stack.removeLast(count)
    return values
  }

  /// The values above the uppermost mark, which goes away.
  mutating func popToMark() throws(CheckpointError) -> [PickleValue] {
    guard let mark = marks.popLast() else {
      throw CheckpointError(.pickleMalformed, "there is no MARK on the stack")
    }
    return try pop(stack.count - mark)
  }

  private func underflow(_ count: Int) -> CheckpointError {
    let found = stack.count - (marks.last ?? 0)
    return CheckpointError(
      .pickleMalformed, "the instruction needs \(count) values on the stack, there are \(found)")
  }

  // MARK: The memo

  private mutating func remember(_ number: Int) throws(CheckpointError) {
    let value = try top()
    if number < memo.count {
      memo[number] = value
    } else if number == memo.count, sparseMemo.isEmpty {
      memo.append(value)
    } else {
      sparseMemo[number] = value
    }
    guard memo.count + sparseMemo.count <= Limit.memo else {
      throw CheckpointError(.nestingLimit, "the pickle remembers more than \(Limit.memo) values")
    }
  }

  private func remembered(_ number: Int) throws(CheckpointError) -> PickleValue {
    if number < memo.count { return memo[number] }
    guard let value = sparseMemo[number] else {
      throw CheckpointError(.pickleMalformed, "the memo has no entry \(number)")
    }
    return value
  }

  // MARK: Values

  /// A two's complement integer of `count` bytes, the lowest first.
  private mutating func long(_ count: Int) throws(CheckpointError) {
    guard count <= MemoryLayout<Int>.size else {
      guard count <= Limit.integerBytes else {
        throw CheckpointError(.nestingLimit, "an integer of \(count) bytes")
      }
      return push(.bigInteger(Array(try input.bytes(count))))
    }
    var value = 0
    var shift = 0
    var isNegative = false
    for byte in try input.bytes(count) {
      value |= Int(byte) << shift
      shift += 8
      isNegative = byte & 0x80 != 0
    }
    if isNegative, shift < Int.bitWidth { value |= -1 << shift }
    stack.append(.int(value))
  }

  /// Text; or, where it does not say so, bytes of Python 2 that are mostly text.
  private mutating func text(_ count: Int, isText: Bool = true) throws(CheckpointError) {
    guard count <= Limit.text else { return try bytes(count) }
    textBytes += count
    guard textBytes <= Limit.textBytes else {
      throw CheckpointError(
        .nestingLimit, "the pickle holds more than \(Limit.textBytes) bytes of text")
    }
    let bytes = try input.bytes(count)
    if let text = String(validating: bytes, as: UTF8.self) {
      push(.text(text))
    } else {
      // Python writes lone surrogates, which are no UTF-8, as if they were; they begin with this byte.
      guard !isText || bytes.contains(0xED) else {
        throw CheckpointError(.pickleMalformed, "a text of \(count) bytes is not UTF-8")
      }
      push(.bytes(count: count))
    }
  }

  private mutating func bytes(_ count: Int) throws(CheckpointError) {
    input.skip(count)
    push(.bytes(count: count))
  }

  // MARK: Names

  private mutating func global() throws(CheckpointError) {
    let module = try input.line(atMost: Limit.globalName)
    let name = try input.line(atMost: Limit.globalName)
    guard let module = String(validating: module, as: UTF8.self),
      let name = String(validating: name, as: UTF8.self)
    else {
      throw CheckpointError(.pickleMalformed, "the name of a class is not UTF-8")
    }
    try push(PickleGlobal(module: module, name: name))
  }

  private mutating func stackGlobal() throws(CheckpointError) {
    let parts = try pop(2)
    guard let module = heap.text(parts[0]), let name = heap.text(parts[1]) else {
      throw CheckpointError(.pickleTypeError, "STACK_GLOBAL needs two texts, module and name")
    }
    try push(PickleGlobal(module: module, name: name))
  }

  private mutating func push(_ global: PickleGlobal) throws(CheckpointError) {
    if let danger = global.danger { throw CheckpointError(.forbiddenGlobal, danger) }
    push(.global(global))
  }
}
