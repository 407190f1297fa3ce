import Checkpoints
import RecurrentNetworks
import TestSupport
import Testing

@Suite struct EvaluationTests {
  @Test func noFixtureIsMissing() {
    #expect(Goldens.cases.count >= 75)
  }

  @Test("The float32 runtime gives PyTorch's numbers", arguments: Goldens.cases)
  func float32(name: String) throws {
    let golden = try Goldens.golden(name)
    let results = try SequenceModel(Goldens.blueprint(name)).evaluate(golden)
    let tolerance = Goldens.tolerance(.float32)
    let verification = try Verification(
      results, against: golden,
      tolerance: .elementwise(absolute: tolerance, relative: tolerance))
    expectPassed(verification)
    #expect(Set(verification.rows.map(\.reference)) == ["float32", "float64"])
    #expect(verification.rows.count == 2 * results.count)
    expectPassed(try Verification(results, against: golden))
  }

  @Test("The float64 reference gives PyTorch's float64 numbers", arguments: Goldens.cases)
  func float64(name: String) throws {
    let golden = try Goldens.golden(name)
    let results = try ReferenceModel(Goldens.blueprint(name)).evaluate(golden)
    var recorded = StateDict()
    for (name, tensor) in golden where name.hasSuffix("_f64") { recorded[name] = tensor }
    let tolerance = Goldens.tolerance(.float64)
    let verification = try Verification(
      results, against: recorded,
      tolerance: .elementwise(absolute: tolerance, relative: tolerance))
    expectPassed(verification)
    #expect(verification.rows.count == results.count)
    #expect(results.allSatisfy { $0.tensor.dtype == .float64 })
  }

  private func expectPassed(
    _ verification: Verification, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for row in verification.rows {
      #expect(
        row.isPassed,
        "\(row.name) against \(row.reference): \(row.largestError) at \(row.position)",
        sourceLocation: sourceLocation)
    }
  }

  @Test("The worked example, number by number", arguments: [false, true])
  func workedExample(batchFirst: Bool) throws {
    let name = batchFirst ? "example-batch-first" : "example-time-major"
    let golden = try Goldens.golden(name)
    let model = try SequenceModel(Goldens.blueprint(name))
    let input = try #require(golden["input"])
    // 0.1, 0.2, … 2.4 as [4, 2, 3]; batch first, the same sequences.
    let expected: [Float] = try Tensor(
      (0..<24).map { Double($0 + 1) / 10 }, shape: [24]
    ).floats()
    var order = Array(0..<24)
    if batchFirst {
      order = []
      for lane in 0..<2 {
        for step in 0..<4 { order += (0..<3).map { (step * 2 + lane) * 3 + $0 } }
      }
    }
    #expect(input.shape == (batchFirst ? [2, 4, 3] : [4, 2, 3]))
    #expect(
      zip(try input.floats(), order).allSatisfy { abs($0 - expected[$1]) <= 2 * expected[$1].ulp })

    let results = try model.evaluate(golden)
    let output = try #require(results["output"])
    let final = try #require(results["h_n"])
    #expect(output.shape == (batchFirst ? [2, 4, 5] : [4, 2, 5]))
    #expect(final.shape == [2, 2, 5])
    let values = try output.floats()
    let last =
      batchFirst ? Array(values[15..<20] + values[35..<40]) : Array(values[30..<40])
    #expect(last.bits == Array(try final.floats()[10..<20]).bits)
  }

  @Test func bothLayoutsOfTheExampleAgree() throws {
    let major = try SequenceModel(Goldens.blueprint("example-time-major"))
      .evaluate(Goldens.golden("example-time-major"))
    let first = try SequenceModel(Goldens.blueprint("example-batch-first"))
      .evaluate(Goldens.golden("example-batch-first"))
    #expect(major["h_n"] == first["h_n"])
    let (a, b) = (
      try #require(major["output"]).floats(), try #require(first["output"]).floats()
    )
    for step in 0..<4 {
      for lane in 0..<2 {
        let (major, first) = ((step * 2 + lane) * 5, (lane * 4 + step) * 5)
        #expect(Array(a[major..<(major + 5)]).bits == Array(b[first..<(first + 5)]).bits)
      }
    }
  }

  @Test("The prefix that the input has, the results have")
  func prefix() throws {
    let network = Network(RecurrentConfiguration(.lstm, 3, 5))
    let model = try network.model()
    let inputs = try network.inputs(steps: 4, batch: 2, states: false)
    var prefixed = StateDict()
    prefixed["rnn0.input"] = inputs["input"]
    let plain = try model.evaluate(inputs)
    let results = try model.evaluate(prefixed)
    #expect(plain.map(\.name) == ["output", "h_n", "c_n"])
    #expect(results.map(\.name) == ["rnn0.output", "rnn0.h_n", "rnn0.c_n"])
    #expect(results.map(\.tensor) == plain.map(\.tensor))
  }

  @Test("Two stacks name their states, in float32 and float64")
  func statesOfTwoStacks() throws {
    let network = Network(
      RecurrentConfiguration(.gru, 3, 5), RecurrentConfiguration(.lstm, 5, 4, layers: 2),
      head: HeadConfiguration(4, 2, .sigmoid))
    let inputs = try network.inputs(steps: 4, batch: 3)
    let fast = try network.model().evaluate(inputs)
    let reference = try ReferenceModel(network.blueprint()).evaluate(inputs)
    let names = ["output", "rnn0.h_n", "rnn1.h_n", "rnn1.c_n", "y"]
    #expect(fast.map(\.name) == names)
    #expect(reference.map(\.name) == names)
    #expect(fast.map(\.tensor.shape) == reference.map(\.tensor.shape))
    expectPassed(
      try Verification(
        fast, against: reference, tolerance: .elementwise(absolute: 1e-6, relative: 1e-6)))
    // A state that is given is used.
    var without = inputs
    without["rnn0.h_0"] = nil
    #expect(try network.model().evaluate(without)["output"] != fast["output"])
    without = inputs
    without["rnn1.c_0"] = nil
    #expect(try network.model().evaluate(without)["output"] != fast["output"])
  }

  @Test("Inputs that do not fit are golden mismatches that name the tensor")
  func mismatches() throws {
    let network = Network(RecurrentConfiguration(.lstm, 3, 5, layers: 2))
    let gru = Network(RecurrentConfiguration(.gru, 3, 5))
    let model = try network.model()
    let reference = try ReferenceModel(network.blueprint())
    let good = try network.inputs(steps: 4, batch: 2)
    let faults: [(name: String, tensor: Tensor?)] = [
      ("input", nil), ("input", .zeros([4, 2, 4])), ("input", .zeros([3])),
      ("input", .zeros([0, 2, 3])), ("input", .zeros([1, 4, 2, 3])),
      ("input", Tensor([Int64](repeating: 0, count: 24), shape: [4, 2, 3])),
      ("rnn0.h_0", .zeros([1, 2, 5])), ("rnn0.h_0", .zeros([2, 3, 5])),
      ("rnn0.h_0", .zeros([2, 5])),
      ("rnn0.c_0", .zeros([2, 2, 4])),
      ("rnn0.c_0", Tensor([Int64](repeating: 0, count: 20), shape: [2, 2, 5])),
    ]
    for (name, tensor) in faults {
      var inputs = good
      inputs[name] = tensor
      #expect(expectFault(.goldenMismatch) { _ = try model.evaluate(inputs) }?.tensor == name)
      #expect(expectFault(.goldenMismatch) { _ = try reference.evaluate(inputs) }?.tensor == name)
    }
    var inputs = try gru.inputs(steps: 4, batch: 2)
    inputs["c_0"] = .zeros([1, 2, 5])
    expectFault(.goldenMismatch) { _ = try gru.model().evaluate(inputs) }
  }
}
