import Checkpoints
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

@Suite struct NormalNumbersTests {
  // Recorded from a computation of its own, in Python with mpmath and 60 digits: SplitMix64 in integers;
  // u = (word >> 11) / 2^53 exactly; √(−2 ln(1 − u₁)) · cos(2π u₂) and · sin(2π u₂); rounded to float64
  // at the end alone. The float32 are 0.1 (the float64) times that, rounded to float64, then to float32.
  static let recorded: [(seed: UInt64, numbers: [Double], narrow: [UInt32])] = [
    (
      0,
      [
        -1.8839083333524405, 0.8645068595575147, 0.22760793546360525, -0.04211268468683919,
        -0.22143788059715488, 0.4193328265559854,
      ],
      [0xBE40_E987, 0x3DB1_0D0F, 0x3CBA_74D8, 0xBB89_FEAE, 0xBCB5_66E4, 0x3D2B_C23C]
    ),
    (
      1,
      [
        -0.03426732179185144, -1.2926085332373185, -2.500067493369868, 0.9114665864092965,
        0.08772246831488642, -1.0803847120292231,
      ],
      [0xBB60_9307, 0xBE04_5CF5, 0xBE80_00E2, 0x3DBA_AB19, 0x3C0F_B978, 0xBDDD_4346]
    ),
    (
      42,
      [
        0.8822489062222689, 1.3884732852877073, -0.4508498757188602, 0.670716440902429,
        0.1883526341159316, -0.20510403042316838,
      ],
      [0x3DB4_AF40, 0x3E0E_2DFE, 0xBD38_AB09, 0x3D89_5CDC, 0x3C9A_4C69, 0xBCA8_056F]
    ),
    (
      .max,
      [
        1.8068959422111863, -1.1057498531933316, -0.6297152468309085, 0.314727766708529,
        0.7070683797835631, -1.3948070493501652,
      ],
      [0x3E39_06B1, 0xBDE2_7523, 0xBD80_F737, 0x3D00_E999, 0x3D90_CEBF, 0xBE0E_D408]
    ),
  ]

  @Test("The numbers are those of the formula", arguments: 0..<4)
  func recorded(index: Int) {
    let (seed, numbers, narrow) = Self.recorded[index]
    var generator = NormalNumbers(seed: seed)
    for number in numbers {
      let found = generator.next()
      #expect(abs(found - number) <= 4 * number.ulp, "seed \(seed)")
    }
    generator = NormalNumbers(seed: seed)
    let found = narrow.map { _ in generator.next(deviation: 0.1).bitPattern }
    #expect(found == narrow, "seed \(seed)")
  }

  @Test("The hundred thousandth number of seed 42 is still that of the formula")
  func far() {
    var generator = NormalNumbers(seed: 42)
    for _ in 0..<99_998 { _ = generator.next() }
    #expect(abs(generator.next() - -0.5522934312727256) <= 4e-16)
    #expect(abs(generator.next() - 1.998955733475654) <= 1e-15)
  }

  @Test("The logarithm and the cosine are Foundation's within 1e-15", arguments: [0, 7, 1 << 40])
  func logarithmAndCosine(seed: UInt64) {
    var words = SeededGenerator(seed: seed)
    var numbers = NormalNumbers(seed: seed)
    var (logarithm, cosine, sine) = (0.0, 0.0, 0.0)
    for _ in 0..<100_000 {
      let first = Double(words.next() >> 11) * 0x1p-53
      var turn = Double(words.next() >> 11) * 0x1p-53
      let (a, b) = (numbers.next(), numbers.next())
      // r² = a² + b² = −2 ln(1 − u₁).
      let expected = log(1 - first)
      let square = a * a + b * b
      if expected == 0 {
        #expect(square == 0)
        continue
      }
      logarithm = max(logarithm, abs((-square / 2 - expected) / expected))
      // An exact turn back leaves the angle's own rounding small.
      if turn > 0.5 { turn -= 1 }
      let radius = (-2 * expected).squareRoot()
      cosine = max(cosine, abs(a / radius - cos(2 * Double.pi * turn)))
      sine = max(sine, abs(b / radius - sin(2 * Double.pi * turn)))
    }
    #expect(logarithm <= 1e-15)
    #expect(cosine <= 1e-15)
    #expect(sine <= 1e-15)
  }

  @Test("A million numbers have the moments of N(0, 1)")
  func moments() {
    let count = 1_000_000
    var generator = NormalNumbers(seed: 2026)
    var sums = [0.0, 0.0, 0.0, 0.0]
    var inside = 0
    var (former, product) = (0.0, 0.0)
    for _ in 0..<count {
      let number = generator.next()
      var power = 1.0
      for index in 0..<4 {
        power *= number
        sums[index] += power
      }
      if abs(number) < 1 { inside += 1 }
      product += number * former
      former = number
    }
    let moments = sums.map { $0 / Double(count) }
    // Five standard errors: √(1, 2, 15, 96) / 1000.
    let expected = [0.0, 1, 0, 3]
    let errors = [1.0, 1.415, 3.873, 9.798]
    for index in 0..<4 {
      #expect(abs(moments[index] - expected[index]) <= 5 * errors[index] / 1000)
    }
    #expect(abs(Double(inside) / Double(count) - 0.682689492137086) <= 5 * 0.000466)
    #expect(abs(product / Double(count)) <= 0.005)
  }

  @Test("The same seed gives the same bits, another one others")
  func repeated() {
    func bits(_ seed: UInt64) -> [UInt64] {
      var generator = NormalNumbers(seed: seed)
      return (0..<1000).map { _ in generator.next().bitPattern }
    }
    #expect(bits(5) == bits(5))
    #expect(bits(5) != bits(6))
    #expect(Set(bits(5)).count == 1000)
  }

  // MARK: States

  @Test("States are drawn stack by stack, h before c")
  func states() throws {
    let network = Network(
      RecurrentConfiguration(.lstm, 3, 5, layers: 2, projection: 2),
      RecurrentConfiguration(.gru, 2, 4), RecurrentConfiguration(.lstm, 4, 3))
    let session = try network.model().makeSession(batchSize: 3)
    session.reset(to: .normal(deviation: 0.25, seed: 42))
    var generator = NormalNumbers(seed: 42)
    for state in session.state {
      #expect(state.hidden.bits == state.hidden.map { _ in generator.next(deviation: 0.25) }.bits)
      #expect(state.cell.bits == state.cell.map { _ in generator.next(deviation: 0.25) }.bits)
    }
    let drawn = session.state
    session.reset(to: .normal(deviation: 0.25, seed: 43))
    #expect(session.state != drawn)
    session.reset(to: .normal(deviation: 0.25, seed: 42))
    #expect(session.state == drawn)
    session.reset(to: .normal(deviation: 0, seed: 42))
    #expect(session.state.allSatisfy { $0.hidden.allSatisfy { $0 == 0 } })
    session.reset(to: .zero)
    #expect(session.state == session.model.makeSession(batchSize: 3).state)
  }

  @Test("Both runtimes begin with the same drawn state", arguments: SessionTests.all)
  func bothRuntimes(network: Network) throws {
    let inputs = try network.inputs(steps: 5, batch: 2, states: false)
    let initial = InitialState.normal(deviation: 0.5, seed: 7)
    let results = try network.model().evaluate(inputs, initial: initial)
    let reference = try ReferenceModel(network.blueprint()).evaluate(inputs, initial: initial)
    let verification = try Verification(
      results, against: reference, tolerance: .elementwise(absolute: 1e-5, relative: 1e-5))
    #expect(verification.isPassed)
    #expect(try results != network.model().evaluate(inputs))
    // A state that is given counts more than one that is drawn.
    let given = try network.inputs(steps: 5, batch: 2)
    let model = try network.model()
    #expect(try model.evaluate(given, initial: initial) == model.evaluate(given))
  }

  @Test("A session that was reset to a drawn state runs as evaluation does")
  func sessionAndEvaluation() throws {
    let network = Network(RecurrentConfiguration(.lstm, 3, 5, bidirectional: true))
    let model = try network.model()
    let inputs = try network.inputs(steps: 5, batch: 2, states: false)
    let initial = InitialState.normal(deviation: 1, seed: 8)
    let session = model.makeSession(batchSize: 2)
    let input = try #require(inputs["input"]).floats()
    _ = try session.output(input)
    // The reset begins a new sequence.
    session.reset(to: initial)
    let output = try session.output(input)
    let expected = try #require(try model.evaluate(inputs, initial: initial)["output"]).floats()
    #expect(output.bits == expected.bits)
  }
}
