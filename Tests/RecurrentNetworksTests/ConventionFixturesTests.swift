import Checkpoints
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

/// Modules of other conventions than PyTorch's, computed with PyTorch's operations: fixtures/conventions.
@Suite struct ConventionFixturesTests {
  static let cases: [String] = {
    let names = try? FileManager.default.contentsOfDirectory(atPath: Fixtures.path("conventions"))
    return (names ?? []).filter { !$0.hasPrefix(".") }.sorted()
  }()

  private func read(_ name: String, _ file: String) throws -> Checkpoint {
    try Checkpoint(
      contentsOf: Fixtures.path("conventions/\(name)/\(file).h5"), formats: Goldens.formats)
  }

  /// What the golden says as `--set` would.
  private func options(_ golden: Checkpoint) throws -> ModelOptions {
    var options = ModelOptions()
    for name in ["gru_reset", "sigmoid"] {
      guard let value = golden.metadata[name] else { continue }
      #expect(options.set(name, to: value) == nil)
    }
    #expect(options != ModelOptions())
    return options
  }

  private func isInside(_ golden: StateDict) -> Bool {
    golden.contains { $0.name.hasPrefix("gates_l") }
  }

  private func expect(
    _ results: StateDict, _ golden: StateDict, suffix: String, within tolerance: Double
  ) throws {
    var count = 0
    for (name, expected) in golden where name.hasSuffix("_f64") == (suffix == "_f64") {
      let base = suffix.isEmpty ? name : String(name.dropLast(suffix.count))
      guard let result = results[base] else {
        #expect(["input", "lengths", "h_0", "c_0"].contains(base), "\(base)")
        continue
      }
      #expect(result.shape == expected.shape, "\(base)")
      for (value, exact) in zip(try result.doubles(), try expected.doubles()) {
        #expect(abs(value - exact) <= tolerance * (1 + abs(exact)), "\(base)")
      }
      count += 1
    }
    #expect(count == results.count)
  }

  @Test func allAreThere() {
    for what in ["lstm-hard-keras2", "lstm-hard-torch", "gru-before", "gru-before-hard-torch"] {
      for end in ["l1-uni", "l3-bi", "lengths", "unbatched", "batch-first"] {
        #expect(Self.cases.contains("\(what)-\(end)"))
      }
    }
  }

  @Test("The float32 runtime gives PyTorch's numbers", arguments: cases)
  func float32(name: String) throws {
    let golden = try read(name, "golden")
    let model = try SequenceModel(
      ModelBlueprint(read(name, "model").contents, options: options(golden)))
    let isInside = isInside(golden.stateDict)
    for threads in [1, 2] {
      let results = try model.evaluate(golden.stateDict, threads: threads, allLayers: isInside)
      try expect(results, golden.stateDict, suffix: "", within: 1e-6)
      try expect(results, golden.stateDict, suffix: "_f64", within: 1e-6)
    }
  }

  @Test("The float64 reference gives PyTorch's float64 numbers", arguments: cases)
  func float64(name: String) throws {
    let golden = try read(name, "golden")
    let model = try ReferenceModel(
      ModelBlueprint(read(name, "model").contents, options: options(golden)))
    let results = try model.evaluate(golden.stateDict, allLayers: isInside(golden.stateDict))
    try expect(results, golden.stateDict, suffix: "_f64", within: 1e-12)
  }

  @Test("With PyTorch's own conventions the numbers are others", arguments: cases)
  func ownConventions(name: String) throws {
    let verification = try Verification(
      read(name, "model").contents, goldens: read(name, "golden").stateDict,
      tolerance: .elementwise(absolute: 1e-3, relative: 1e-3))
    #expect(!verification.isPassed)
  }

  @Test(
    "Infinite gates are at their ends, NaN stays",
    arguments: RecurrentConfiguration.Sigmoid.allCases)
  func special(sigmoid: RecurrentConfiguration.Sigmoid) throws {
    // A GRU of one unit whose z is the sigmoid of its input, and n 0: h = z h.
    let dict: StateDict = [
      "weight_ih_l0": Tensor([0, 1, 0] as [Float], shape: [3, 1]),
      "weight_hh_l0": Tensor([0, 0, 0] as [Float], shape: [3, 1]),
    ]
    var options = ModelOptions()
    options.sigmoid = sigmoid
    for reset in RecurrentConfiguration.GRUReset.allCases {
      options.gruReset = reset
      let blueprint = try ModelBlueprint(Checkpoint(stateDict: dict).contents, options: options)
      let inputs: [Float] = [-200, -3, -2.5, 0, 2.5, 3, 200, .nan]
      for input in inputs {
        let arguments: StateDict = [
          "input": Tensor([input], shape: [1, 1, 1]),
          "h_0": Tensor([1] as [Float], shape: [1, 1, 1]),
        ]
        let fast = try #require(SequenceModel(blueprint).evaluate(arguments)["h_n"]).doubles()[0]
        let exact = try #require(ReferenceModel(blueprint).evaluate(arguments)["h_n"]).doubles()[0]
        #expect(abs(fast - exact) < 1e-7 || fast.isNaN && exact.isNaN, "\(input)")
        guard sigmoid != .logistic, abs(input) >= 3 else { continue }
        #expect(fast == (input > 0 ? 1 : 0))
      }
    }
  }
}
