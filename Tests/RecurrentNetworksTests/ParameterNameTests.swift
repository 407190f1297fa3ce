import RecurrentNetworks
import TestSupport
import Testing

@Suite struct ParameterNameTests {
  @Test(
    "Every kind, layer, direction and module prints as PyTorch spells it",
    arguments: ["", "rnn", "encoder.rnn", "module.0.größe"], [0, 1, 9, 10, 123])
  func spelling(module: String, layer: Int) throws {
    let spellings: [ParameterName.Kind: String] = [
      .inputWeight: "weight_ih", .hiddenWeight: "weight_hh", .inputBias: "bias_ih",
      .hiddenBias: "bias_hh", .projectionWeight: "weight_hr",
    ]
    #expect(spellings.count == ParameterName.Kind.allCases.count)
    for (kind, spelling) in spellings {
      for direction in ParameterName.Direction.allCases {
        let prefix = module.isEmpty ? "" : module + "."
        let text = prefix + spelling + "_l\(layer)" + (direction == .reverse ? "_reverse" : "")
        let name = ParameterName(module: module, kind: kind, layer: layer, direction: direction)
        #expect(name.description == text)
        #expect(ParameterName(text) == name)
      }
    }
  }

  @Test(
    "A cell's names have no layer, and no projection",
    arguments: ["", "cell", "decoder.cells.0"])
  func cells(module: String) {
    let prefix = module.isEmpty ? "" : module + "."
    for kind in ParameterName.Kind.allCases {
      let text = prefix + kind.rawValue
      guard kind != .projectionWeight else {
        #expect(ParameterName(text) == nil)
        continue
      }
      let name = ParameterName(module: module, ofCell: kind)
      #expect(name.isCell && name.layer == 0 && name.direction == .forward)
      #expect(name.description == text)
      #expect(ParameterName(text) == name)
      #expect(name != ParameterName(module: module, kind: kind, layer: 0))
    }
  }

  @Test(
    "What PyTorch never writes is no parameter name",
    arguments: [
      "", ".", "weight", "weight_ih_", "weight_ih_reverse", "weight_hr", "weight_ih_l",
      "weight_ih_l00", "weight_ih_l01", "weight_ih_l-1",
      "weight_ih_l+1", "weight_ih_l 1", "weight_ih_l1 ", "weight_ih_l0_rev",
      "weight_ih_l0_reverse_reverse",
      "weight_ih_l_reverse", "weight_ih_l0_REVERSE", ".weight_ih_l0", "weight_ih_l0.",
      "weight_ih_l0.weight",
      "weight_ih_l0x", "xweight_ih_l0", "Weight_ih_l0", "weight_ho_l0", "bias_hr_l0",
      "weight_ih_l１",
      "weight_ih_l99999999999999999999", "weight_ih_l0\u{0}", "rnn/weight_ih_l0",
      "weight_ih_l0_raw",
    ])
  func refusals(text: String) {
    #expect(ParameterName(text) == nil)
  }

  @Test(
    "Printing and parsing are inverse, on random names", arguments: 1...5 as ClosedRange<UInt64>)
  func roundTrip(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let pieces = ["a", "rnn", "0", "layer_norm", "weight_ih_l0", "ü", "_reverse", " "]
    for _ in 0..<200 {
      let path = (0..<Int.random(in: 0...3, using: &generator)).map { _ in
        pieces[Int.random(in: 0..<pieces.count, using: &generator)]
      }
      let kinds = ParameterName.Kind.allCases
      let name = ParameterName(
        module: path.joined(separator: "."),
        kind: kinds[Int.random(in: 0..<kinds.count, using: &generator)],
        layer: Int.random(in: 0...(.max), using: &generator),
        direction: Bool.random(using: &generator) ? .forward : .reverse)
      #expect(ParameterName(name.description) == name, "\(generator)")
    }
  }

  @Test func forwardStandsBeforeReverse() {
    #expect(ParameterName.Direction.forward < .reverse)
    #expect(!(ParameterName.Direction.reverse < .forward))
  }
}
