import Checkpoints
import Testing

@Suite("StateDict")
struct StateDictTests {
  let one = Tensor([Float(1)], shape: [])
  let two = Tensor([Float(2)], shape: [])

  @Test("Order is kept; a new value keeps its place; nil removes")
  func order() throws {
    var dict = StateDict()
    for name in ["z", "a", "m"] { try dict.append(one, named: name) }
    dict["z"] = two
    dict["b"] = one
    #expect(dict.map(\.name) == ["z", "a", "m", "b"])
    #expect(dict["z"] == two)
    dict["a"] = nil
    #expect(dict.map(\.name) == ["z", "m", "b"])
    #expect(dict["a"] == nil)
    dict["unknown"] = nil
    #expect(dict.count == 3)
  }

  @Test(
    "Names are texts: two spellings are one name",
    arguments: [
      ("a", "a"), ("gr\u{F6}\u{DF}e", "gro\u{308}\u{DF}e"),
      ("\u{1E9B}\u{323}", "\u{17F}\u{323}\u{307}"),
      ("\u{212B}", "\u{C5}"),
    ]
  )
  func duplicates(first: String, second: String) throws {
    var dict = StateDict()
    try dict.append(one, named: first)
    #expect(
      code { () throws(CheckpointError) in try dict.append(two, named: second) } == .duplicateName
    )
    #expect(dict[second] == one)
  }

  @Test("Order counts for equality")
  func equality() {
    #expect(["a": one, "b": two] as StateDict == ["a": one, "b": two])
    #expect(["a": one, "b": two] as StateDict != ["b": two, "a": one])
    #expect(["a": one] as StateDict != ["a": two])
  }
}
