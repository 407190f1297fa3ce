import TestSupport
import Testing

@testable import Checkpoints

/// Pickles that are put together by hand, instruction by instruction.
@Suite struct PickleMachineTests {
  private static func text(_ text: String) -> [UInt8] {
    [0x58] + UInt32(text.utf8.count).bytes + Array(text.utf8)
  }

  private static func global(_ module: String, _ name: String) -> [UInt8] {
    Array("c\(module)\n\(name)\n".utf8)
  }

  /// Runs instructions in which no persistent id stands for anything.
  private func run(
    _ instructions: [UInt8], protocol version: UInt8 = 2
  ) throws(CheckpointError) -> (value: PickleValue, heap: PickleHeap) {
    let bytes = [0x80, version] + instructions
    let source = ByteSource(Bytes(bytes))
    var machine = PickleMachine(PickleInput(source, in: 0..<bytes.count)) {
      id, heap throws(CheckpointError) in
      heap.add(.storage(try heap.storage(named: id).storage))
    }
    let value = try machine.run()
    return (value, machine.heap)
  }

  private func code(_ instructions: [UInt8]) -> CheckpointError.Code? {
    do throws(CheckpointError) {
      _ = try run(instructions)
      return nil
    } catch {
      return error.code
    }
  }

  /// A value as Python prints it.
  private func spelled(_ instructions: [UInt8]) throws -> String {
    let (value, heap) = try run(instructions)
    return spelled(value, heap)
  }

  private func spelled(_ value: PickleValue, _ heap: PickleHeap) -> String {
    func list(_ values: [PickleValue]) -> String {
      values.map { spelled($0, heap) }.joined(separator: ", ")
    }
    switch value {
    case .none: return "None"
    case .bool(let flag): return flag ? "True" : "False"
    case .int(let number): return "\(number)"
    case .float(let number): return "\(number)"
    case .object: break
    }
    switch heap[value] {
    case .text(let text): return "'\(text)'"
    case .bytes(let count): return "<\(count) bytes>"
    case .tuple(let values): return "(\(list(values)))"
    case .list(let values): return "[\(list(values))]"
    case .set(let values): return "{\(list(values))}"
    case .dictionary:
      let items = heap.items(of: value) ?? []
      return "{"
        + items.map { "\(spelled($0.key, heap)): \(spelled($0.value, heap))" }.joined(
          separator: ", ")
        + "}"
    case .global(let global): return "\(global)"
    case .record(let record): return "\(record.type)(\(list(record.arguments)))"
    case .bigInteger(let bytes): return "<\(bytes.count) byte integer>"
    default: return "?"
    }
  }

  // MARK: Values

  @Test(arguments: [
    ([0x4E, 0x2E], "None"),
    ([0x88, 0x2E], "True"),
    ([0x4A, 0xFE, 0xFF, 0xFF, 0xFF, 0x2E], "-2"),
    ([0x4B, 0xFF, 0x2E], "255"),
    ([0x4D, 0xFF, 0xFF, 0x2E], "65535"),
    ([0x8A, 0, 0x2E], "0"),
    ([0x8A, 1, 0xFF, 0x2E], "-1"),
    ([0x8A, 2, 0xFF, 0, 0x2E], "255"),
    ([0x8A, 8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x2E], "-9223372036854775808"),
    ([0x8A, 9, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0x2E], "<9 byte integer>"),
    ([0x8B, 1, 0, 0, 0, 7, 0x2E], "7"),
    ([0x47, 0x3F, 0xF8, 0, 0, 0, 0, 0, 0, 0x2E], "1.5"),
    ([0x55, 2, 0x61, 0x62, 0x2E], "'ab'"),
    ([0x55, 2, 0xFF, 0x62, 0x2E], "<2 bytes>"),
    ([0x8C, 2, 0xC3, 0xA4, 0x2E], "'ä'"),
    // A lone surrogate, as Python writes one that stands in a text.
    ([0x8C, 3, 0xED, 0xA0, 0x80, 0x2E], "<3 bytes>"),
    ([0x43, 2, 1, 2, 0x2E], "<2 bytes>"),
    ([0x96, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0x2E], "<1 bytes>"),
    ([0x29, 0x2E], "()"),
    ([0x4E, 0x85, 0x2E], "(None)"),
    ([0x28, 0x4B, 1, 0x4B, 2, 0x74, 0x2E], "(1, 2)"),
    ([0x28, 0x4B, 1, 0x6C, 0x2E], "[1]"),
    ([0x5D, 0x4B, 1, 0x61, 0x28, 0x4B, 2, 0x4B, 3, 0x65, 0x2E], "[1, 2, 3]"),
    ([0x28, 0x4B, 1, 0x4B, 2, 0x64, 0x2E], "{1: 2}"),
    // The later value of a key counts, at the place of the first; True is 1.
    ([0x7D, 0x28, 0x4B, 1, 0x4B, 2, 0x4B, 3, 0x4B, 4, 0x88, 0x4B, 5, 0x75, 0x2E], "{1: 5, 3: 4}"),
    ([0x8F, 0x28, 0x4B, 1, 0x90, 0x2E], "{1}"),
    ([0x28, 0x4B, 1, 0x91, 0x2E], "{1}"),
    ([0x4B, 1, 0x32, 0x86, 0x2E], "(1, 1)"),
    ([0x4B, 1, 0x71, 7, 0x30, 0x68, 7, 0x2E], "1"),
    ([0x4B, 1, 0x94, 0x30, 0x6A, 0, 0, 0, 0, 0x2E], "1"),
    ([0x28, 0x4B, 1, 0x31, 0x4E, 0x2E], "None"),
    ([0x95, 2, 0, 0, 0, 0, 0, 0, 0, 0x4E, 0x2E], "None"),
    // Protocol 0.
    (Array("I12\n.".utf8), "12"), (Array("I01\n.".utf8), "True"), (Array("L5L\n.".utf8), "5"),
    (Array("F1.5\n.".utf8), "1.5"), (Array("S'ab'\n.".utf8), "'ab'"),
    (Array("Vab\np3\n0g3\n.".utf8), "'ab'"),
  ])
  func valuesAreBuilt(instructions: [UInt8], printed: String) throws {
    #expect(try spelled(instructions) == printed)
  }

  /// Were the list copied whenever it grows, this would be 80 GB.
  @Test(
    arguments: [([0x5D], [0x4B, 1, 0x61]), ([0x8F], [0x28, 0x4B, 1, 0x90])] as [([UInt8], [UInt8])])
  func longListsTakeLinearTime(start: [UInt8], step: [UInt8]) throws {
    let count = 100_000
    let steps = [[UInt8]](repeating: step, count: count).joined()
    let time = try processorTime {
      let (value, heap) = try run(start + steps + [0x2E])
      switch heap[value] {
      case .list(let elements), .set(let elements): #expect(elements.count == count)
      default: Issue.record("neither a list nor a set")
      }
    }
    #expect(time < .seconds(20) * Sanitizer.slowness)
  }

  @Test func unknownClassesAreRecords() throws {
    let call = Self.global("mine", "Thing") + [0x4B, 1, 0x85, 0x52, 0x2E]
    #expect(try spelled(call) == "mine.Thing(1)")
    let made = Self.global("mine", "Thing") + [0x4B, 1, 0x85, 0x81, 0x7D, 0x62, 0x2E]
    #expect(try spelled(made) == "mine.Thing(1)")
    let named = Self.text("mine") + Self.text("Outer.Inner") + [0x93, 0x2E]
    #expect(try spelled(named) == "mine.Outer.Inner")
  }

  @Test func orderedDictionariesOfPython2AreMadeOfPairs() throws {
    let pairs = [0x5D, 0x5D] + Self.text("a") + [0x61, 0x4B, 1, 0x61, 0x61]
    let call = Self.global("collections", "OrderedDict") + pairs + [0x85, 0x52, 0x2E]
    #expect(try spelled(call) == "{'a': 1}")
  }

  @Test func attributesOfADictionaryAreLeftOut() throws {
    let made = Self.global("collections", "OrderedDict") + [0x29, 0x52]
    #expect(try spelled(made + [0x7D, 0x62, 0x2E]) == "{}")
    // A plain dictionary has none.
    #expect(code([0x7D, 0x7D, 0x62, 0x2E]) == .pickleTypeError)
  }

  @Test func longTextIsOnlyCounted() throws {
    let text = Self.text(String(repeating: "x", count: 1 << 17))
    #expect(try spelled(text + [0x2E]) == "<131072 bytes>")
  }

  /// A window of the input ends within an instruction wherever it can.
  @Test func inputIsReadThroughAWindow() throws {
    for padding in (1 << 16) - 16..<(1 << 16) + 4 {
      let filler = Self.text(String(repeating: "x", count: padding - 7))
      #expect(try spelled(filler + [0x30] + Self.text("abcdef") + [0x2E]) == "'abcdef'")
    }
  }

  // MARK: What is refused

  @Test(arguments: [
    ("os", "system"), ("posix", "system"), ("nt", "system"), ("sys", "exit"), ("os.path", "join"),
    ("subprocess", "Popen"), ("builtins", "eval"), ("__builtin__", "eval"), ("builtins", "exec"),
    ("builtins", "__import__"), ("builtins", "open"), ("builtins", "compile"),
    ("importlib", "import_module"), ("socket", "socket"), ("shutil", "rmtree"),
    ("runpy", "run_path"),
    ("pty", "spawn"), ("ctypes", "CDLL"), ("pickle", "loads"), ("marshal", "loads"),
    ("operator", "attrgetter"), ("torch.serialization", "os.system"), ("torch", "load"),
    ("webbrowser", "open"), ("code", "interact"), ("types", "CodeType"),
  ])
  func dangerousNamesAreRefusedWhereTheyStand(module: String, name: String) {
    let named = Self.global(module, name)
    #expect(code(named + [0x30, 0x4E, 0x2E]) == .forbiddenGlobal)
    #expect(
      code(Self.text(module) + Self.text(name) + [0x93, 0x30, 0x4E, 0x2E]) == .forbiddenGlobal)
  }

  @Test(arguments: [
    ("argparse", "Namespace"), ("pathlib", "PosixPath"), ("datetime", "datetime"),
    ("numpy.core.multiarray", "_reconstruct"), ("builtins", "range"), ("builtins", "slice"),
    ("functools", "partial"), ("code.model", "Net"), ("test.model", "Net"),
    ("types", "SimpleNamespace"),
    ("osprey", "Model"), ("system", "Model"), ("torch.nn.modules.rnn", "LSTM"),
  ])
  func harmlessNamesAreNotRefused(module: String, name: String) throws {
    #expect(try spelled(Self.global(module, name) + [0x2E]) == "\(module).\(name)")
  }

  /// `getattr` on what `object` leaves.
  private static func attribute(_ object: [UInt8], _ name: String) -> [UInt8] {
    global("__builtin__", "getattr") + object + text(name) + [0x86, 0x52]
  }

  @Test func attributesAreNamesAlone() throws {
    let thing = Self.global("mine", "Thing")
    let object = thing + [0x29, 0x81]
    for (instructions, printed) in [
      (Self.attribute(Self.global("torch._C", "_VariableFunctionsClass"), "tanh"), "torch.tanh"),
      (Self.attribute(thing, "Inner"), "mine.Thing.Inner"),
      (Self.attribute(object, "hook"), "mine.Thing.hook"),
      (Self.attribute(object, "__call__"), "mine.Thing.__call__"),
      (Self.attribute([0x5D], "append"), "builtins.list.append"),
      (Self.attribute(Self.attribute(object, "child"), "hook"), "mine.Thing.child.hook"),
      // They are called, and made objects of, as any unknown class.
      (Self.attribute(object, "hook") + [0x29, 0x52], "mine.Thing.hook()"),
      (Self.attribute(thing, "Inner") + [0x29, 0x81, 0x7D, 0x62], "mine.Thing.Inner()"),
    ] {
      #expect(try spelled(instructions + [0x2E]) == printed)
    }
  }

  @Test func attributesThatReachEverythingAreRefused() throws {
    let object = Self.global("mine", "Thing") + [0x29, 0x81]
    let getattr = Self.global("builtins", "getattr")
    for instructions in [
      Self.attribute(Self.global("torch", "Size"), "mro"),
      Self.attribute(object, "__class__"),
      Self.attribute(Self.attribute(object, "__init__"), "__globals__"),
      Self.attribute(Self.global("torch.serialization", "os"), "system"),
      Self.attribute(Self.global("torch._C", "_VariableFunctions"), "load"),
      getattr + Self.text("a") + [0x85, 0x52],
      getattr + object + [0x4B, 1, 0x86, 0x52],
      getattr + object + Self.text("a") + [0x4E, 0x87, 0x52],
      getattr + object + Self.text("a") + [0x86, 0x81],
    ] {
      #expect(code(instructions + [0x2E]) == .forbiddenGlobal)
    }
    let error = #expect(throws: CheckpointError.self) {
      try run(Self.attribute(Self.global("torch.serialization", "os"), "system") + [0x2E])
    }
    #expect(error?.reason.contains("torch.serialization.os.system") == true)
  }

  /// Each name is longer than the one before.
  @Test func attributesOfAttributesWithoutEndAreRefused() {
    let start = Self.global("builtins", "getattr") + [0x71, 0] + Self.text("child") + [0x71, 1]
    let step: [UInt8] = [0x71, 2, 0x30, 0x68, 0, 0x68, 2, 0x68, 1, 0x86, 0x52]
    func nested(_ count: Int) -> [UInt8] {
      start + [0x30, 0x30] + Self.global("mine", "Thing")
        + [[UInt8]](repeating: step, count: count).joined() + [0x2E]
    }
    #expect(code(nested(1000)) == nil)
    #expect(code(nested(5000)) == .nestingLimit)
  }

  @Test func offsetAndNameStandInTheError() throws {
    let error = #expect(throws: CheckpointError.self) {
      try run([0x4E, 0x30] + Self.global("os", "system") + [0x2E])
    }
    #expect(error?.offset == 4)
    #expect(error?.reason.contains("os.system") == true)
  }

  @Test(
    arguments: [
      ([0x2E], .pickleMalformed),
      ([0x4E], .pickleMalformed),
      ([0x4E, 0x4E, 0x2E], .pickleMalformed),
      ([0x4A, 1, 2], .pickleMalformed),
      ([0x30, 0x2E], .pickleMalformed),
      ([0x4B, 1, 0x86, 0x2E], .pickleMalformed),
      ([0x4E, 0x28, 0x85, 0x2E], .pickleMalformed),
      ([0x7D, 0x4B, 1, 0x75, 0x2E], .pickleMalformed),
      ([0x7D, 0x28, 0x4B, 1, 0x75, 0x2E], .pickleMalformed),
      ([0x68, 0, 0x2E], .pickleMalformed),
      ([0xFF, 0x2E], .pickleMalformed),
      ([0x80, 9, 0x4E, 0x2E], .pickleMalformed),
      ([0x58, 1, 0, 0, 0, 0xFF, 0x2E], .pickleMalformed),
      ([0x58, 9, 0, 0, 0, 0x61, 0x2E], .lengthOutOfRange),
      ([0x8D, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x2E], .lengthOutOfRange),
      ([0x8B, 0xFF, 0xFF, 0xFF, 0xFF, 0x2E], .lengthOutOfRange),
      ([0x95, 9, 0, 0, 0, 0, 0, 0, 0, 0x2E], .lengthOutOfRange),
      // SETITEM on a list, APPEND on a dictionary, ADDITEMS on a list, an unhashable key.
      ([0x5D, 0x4B, 1, 0x4B, 2, 0x73, 0x2E], .pickleTypeError),
      ([0x7D, 0x4B, 1, 0x61, 0x2E], .pickleTypeError),
      ([0x5D, 0x28, 0x4B, 1, 0x90, 0x2E], .pickleTypeError),
      ([0x7D, 0x5D, 0x4B, 1, 0x73, 0x2E], .pickleTypeError),
      ([0x5D, 0x7D, 0x62, 0x2E], .pickleTypeError),
      ([0x4B, 1, 0x4B, 2, 0x93, 0x2E], .pickleTypeError),
      // REDUCE and NEWOBJ of what is no name, OBJ, EXT1, buffers, a persistent id of no storage.
      ([0x7D, 0x29, 0x52, 0x2E], .forbiddenOpcode),
      ([0x4E, 0x29, 0x81, 0x2E], .forbiddenOpcode),
      ([0x28, 0x6F, 0x2E], .forbiddenOpcode),
      ([0x82, 1, 0x2E], .forbiddenOpcode),
      ([0x97, 0x2E], .forbiddenOpcode),
      ([0x29, 0x51, 0x2E], .forbiddenOpcode),
      (Array("imine\nThing\n.".utf8), .forbiddenOpcode),
      (Array("ios\nsystem\n.".utf8), .forbiddenGlobal),
      (Array("Itwelve\n.".utf8), .pickleMalformed),
    ] as [([UInt8], CheckpointError.Code)])
  func faultsHaveTheirCodes(instructions: [UInt8], expected: CheckpointError.Code) {
    #expect(code(instructions) == expected)
  }

  /// Every beginning of a pickle is one without STOP, and none traps.
  @Test func everyTruncationIsRefused() throws {
    let whole =
      Self.global("collections", "OrderedDict") + [0x29, 0x52, 0x28] + Self.text("name")
      + [0x47, 0, 0, 0, 0, 0, 0, 0, 0, 0x75, 0x2E]
    #expect(code(whole) == nil)
    for end in 0..<whole.count { #expect(code(Array(whole[..<end])) == .pickleMalformed) }
  }

  /// Random instructions end in a value or an error, whatever they are.
  @Test func randomBytesNeverTrap() throws {
    var generator = SeededGenerator(seed: 11)
    let opcodes = (0...255).compactMap { PickleOpcode(rawValue: UInt8($0))?.rawValue }
    for _ in 0..<20_000 {
      let bytes = (0..<Int.random(in: 1...40, using: &generator)).map { _ in
        Bool.random(using: &generator)
          ? opcodes[Int.random(in: 0..<opcodes.count, using: &generator)]
          : UInt8.random(in: 0...8, using: &generator)
      }
      guard let (value, heap) = try? run(bytes + [0x2E]) else { continue }
      _ = try? TorchTree(value, in: heap)
    }
  }
}

extension FixedWidthInteger {
  /// The bytes, the lowest first.
  fileprivate var bytes: [UInt8] {
    (0..<(Self.bitWidth / 8)).map { UInt8(truncatingIfNeeded: self >> Self(8 * $0)) }
  }
}
