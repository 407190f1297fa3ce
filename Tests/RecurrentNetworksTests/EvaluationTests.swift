import Checkpoints
import RecurrentNetworks
import TestSupport
import Testing

@Suite struct EvaluationTests {
  @Test func noFixtureIsMissing() {
    #expect(Goldens.cases.count >= 124)
  }

  /// The results among the names of a golden.
  private func results(_ golden: StateDict) -> [String] {
    golden.map(\.name).filter { name in
      let last = String(name.split(separator: ".").last ?? "")
      return !last.hasSuffix("_f64")
        && (["output", "h_n", "c_n", "y"].contains(last)
          || ["output_l", "c_l", "gates_l"].contains { last.hasPrefix($0) })
    }
  }

  @Test("The float32 runtime gives PyTorch's numbers", arguments: Goldens.cases)
  func float32(name: String) throws {
    let golden = try Goldens.golden(name)
    let contents = try Goldens.modelReader(name).contents
    let bound = Goldens.tolerance(.float32)
    // Training grows the weights, and with them what rounding does to any float32 result: PyTorch's own
    // is further than 1e-6 from its float64 there, so that only a multiple of its error can be asked.
    let tolerance: Verification.Tolerance =
      Goldens.trained.contains(name)
      ? .standard : .elementwise(absolute: bound, relative: bound)
    let verification = try Verification(contents, goldens: golden, tolerance: tolerance)
    expectPassed(verification)
    let names = results(golden)
    #expect(!names.isEmpty)
    for reference in ["float32", "float64"] {
      let rows = verification.rows.filter { $0.reference == reference }
      #expect(Set(rows.map(\.name)) == Set(names))
      #expect(rows.count == names.count)
    }
    expectPassed(try Verification(contents, goldens: golden))
  }

  @Test("The float64 reference gives PyTorch's float64 numbers", arguments: Goldens.cases)
  func float64(name: String) throws {
    let golden = try Goldens.golden(name)
    let tolerance = Goldens.tolerance(.float64)
    let verification = try Verification(
      Goldens.modelReader(name).contents, goldens: golden,
      tolerance: .elementwise(absolute: tolerance, relative: tolerance), precision: .reference)
    let rows = verification.rows.filter { $0.reference == "float64" }
    #expect(Set(rows.map(\.name)) == Set(results(golden)))
    expectPassed(rows)
  }

  @Test("A trained model's golden is why its tolerance is another", arguments: Goldens.trained)
  func trained(name: String) throws {
    let golden = try Goldens.golden(name)
    let output = try #require(golden["output"]).doubles()
    let wide = try #require(golden["output_f64"]).doubles()
    let error = zip(output, wide).map { abs($0 - $1) }.max() ?? 0
    #expect(error > 1e-6)
  }

  @Test(
    "What goes on inside every layer and direction is compared too",
    arguments: Goldens.cases.filter { $0.hasPrefix("intermediates-") },
    [Verification.Precision.float32, .reference])
  func intermediates(name: String, precision: Verification.Precision) throws {
    let contents = try Goldens.modelReader(name).contents
    let golden = try Goldens.golden(name)
    let stack = try #require(try ModelBlueprint(contents).stacks.first).configuration
    let names = (0..<stack.layerCount).flatMap { layer in
      stack.directions.flatMap { direction in
        let suffix = "_l\(layer)" + (direction == .reverse ? "_reverse" : "")
        return ["output" + suffix] + (stack.kind == .lstm ? ["c" + suffix] : [])
          + (stack.kind == .rnn ? [] : ["gates" + suffix])
      }
    }
    let verification = try Verification(contents, goldens: golden, precision: precision)
    for name in names {
      #expect(
        verification.rows.filter { $0.name == name }.map(\.reference).sorted()
          == ["float32", "float64"], "\(name)")
      // There is something to compare.
      #expect(try #require(golden[name]).doubles().contains { $0 != 0 })
      // A golden that is another one is told.
      var other = golden
      var values = try #require(golden[name]).doubles()
      let position = try #require(values.lastIndex { $0 != 0 })
      values[position] += 1e-3
      other[name] = Tensor(values, shape: try #require(golden[name]).shape)
      // Not the standard, which would take the change for PyTorch's own error.
      let failed = try Verification(
        contents, goldens: other, tolerance: .elementwise(absolute: 1e-5, relative: 1e-5),
        precision: precision
      ).rows.filter { !$0.isPassed }
      #expect(failed.map(\.name) == [name])
    }
    let inside = verification.rows.filter { $0.name.contains("_l") }
    #expect(inside.count == 2 * names.count)
  }

  private func expectPassed(
    _ verification: Verification, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    expectPassed(verification.rows, sourceLocation: sourceLocation)
  }

  private func expectPassed(
    _ rows: [Verification.Row], sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for row in rows {
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
    let results = try model.evaluate(prefixed, prefix: "rnn0.")
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
      ("h_0", .zeros([1, 2, 5])), ("h_0", .zeros([2, 3, 5])),
      ("h_0", .zeros([2, 5])),
      ("c_0", .zeros([2, 2, 4])),
      ("c_0", Tensor([Int64](repeating: 0, count: 20), shape: [2, 2, 5])),
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
