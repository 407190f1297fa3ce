import Checkpoints
import RecurrentNetworks
import Testing

@Suite struct VerificationTests {
  private func tensor(_ values: [Double], _ shape: Shape? = nil) -> Tensor {
    Tensor(values, shape: shape ?? [1, 1, 3])
  }

  private func verification(
    _ values: [Double], against golden: [Double],
    _ tolerance: Verification.Tolerance = .elementwise(absolute: 0.25, relative: 0.5)
  ) throws -> Verification {
    try Verification(
      ["output": tensor(values)], against: ["output": tensor(golden)], tolerance: tolerance)
  }

  static let nan = Double.nan
  static let inf = Double.infinity

  @Test(
    "|a − b| ≤ atol + rtol · |b|, element by element",
    arguments: [
      ([1, 2, 4], [1, 2, 4], true), ([1.75, 2, 4], [1, 2, 4], true),
      ([1.76, 2, 4], [1, 2, 4], false), ([0.25, 2, 4], [1, 2, 4], true),
      ([0.24, 2, 4], [1, 2, 4], false),
      // What is allowed at 4 is not at 1; the bound is the golden's, not the result's.
      ([1, 2, 6.25], [1, 2, 4], true), ([1, 2, 6.26], [1, 2, 4], false),
      ([3, 2, 4], [1, 2, 4], false),
      ([-1, 2, 4], [-1.5, 2, 4], true), ([0.25, 2, 4], [0, 2, 4], true),
      ([0.26, 2, 4], [0, 2, 4], false), ([-0.0, 2, 4], [0, 2, 4], true),
      // NaN equals NaN alone, an infinity itself alone.
      ([nan, 2, 4], [nan, 2, 4], true), ([nan, 2, 4], [1, 2, 4], false),
      ([1, 2, 4], [nan, 2, 4], false), ([inf, 2, 4], [inf, 2, 4], true),
      ([inf, 2, 4], [-inf, 2, 4], false), ([1, 2, 4], [inf, 2, 4], false),
      ([inf, 2, 4], [1, 2, 4], false), ([nan, 2, 4], [inf, 2, 4], false),
    ])
  func elementwise(values: [Double], golden: [Double], passes: Bool) throws {
    let verification = try verification(values, against: golden)
    #expect(verification.isPassed == passes)
    #expect(verification.rows.map(\.isPassed) == [passes])
    #expect(!verification.usesFloat64)
    // The standard of a golden without float64 is 1e-5 and 1e-5: exact ones pass, these others not.
    let standard = try self.verification(values, against: golden, .standard)
    #expect(standard.isPassed == (standard.rows[0].largestError == 0))
    #expect(standard.rows[0].bound == nil)
  }

  @Test("No tolerance at all asks for the same value")
  func exact() throws {
    let none = Verification.Tolerance.elementwise(absolute: 0, relative: 0)
    #expect(try verification([1, 2, 3], against: [1, 2, 3], none).isPassed)
    #expect(try !verification([1, 2, 3.0.nextUp], against: [1, 2, 3], none).isPassed)
  }

  @Test("The largest errors, and where they are")
  func errors() throws {
    let golden = tensor([1, 2, 0, 4, 5, 6, 7, 100], [2, 2, 2])
    let values = tensor([1, 2.5, 0.125, 4, 5, 6, 7, 101], [2, 2, 2])
    let row = try Verification(["y": values], against: ["y": golden]).rows[0]
    #expect(row.name == "y")
    #expect(row.reference == "float32")
    #expect(row.largestError == 1)
    #expect(row.position == [1, 1, 1])
    // 0.5 / 2; where the golden is 0, no error is relative.
    #expect(row.largestRelativeError == 0.25)
    let nan = try verification([1, .nan, 7], against: [1, 2, 3]).rows[0]
    #expect(nan.largestError == .infinity)
    #expect(nan.position == [0, 0, 1])
    #expect(nan.largestRelativeError == .infinity)
  }

  @Test(
    "With float64 recorded, four times PyTorch's own error is allowed, and at least 1e-6",
    arguments: [
      // PyTorch's own error, ours to float64, ours to float32, whether each passes
      (1e-3, 3.9e-3, true, true), (1e-3, -3.9e-3, true, true), (1e-3, 4.1e-3, false, true),
      (1e-3, -4.1e-3, false, false), (1e-3, 5.9e-3, false, true), (1e-3, 6.1e-3, false, false),
      (0, 0.9e-6, true, true), (0, 1.1e-6, false, false), (1e-8, 0.99e-6, true, true),
      (1e-8, 1.02e-6, false, false),
    ])
  func standard(own: Double, error: Double, wide: Bool, narrow: Bool) throws {
    let exact = [1.0, 2, 3]
    let verification = try Verification(
      ["h_n": tensor([1, 2 + error, 3])],
      against: ["h_n": tensor([1, 2 + own, 3]), "h_n_f64": tensor(exact)])
    #expect(verification.usesFloat64)
    #expect(verification.rows.map(\.name) == ["h_n", "h_n"])
    #expect(verification.rows.map(\.reference) == ["float32", "float64"])
    #expect(verification.rows.map(\.isPassed) == [narrow, wide])
    #expect(verification.isPassed == (narrow && wide))
    let allowed = max(1e-6, 4 * own)
    for (bound, expected) in zip(verification.rows.map(\.bound), [allowed + own, allowed]) {
      #expect(abs((bound ?? 0) - expected) <= 1e-15)
    }
  }

  @Test("Float64 alone is compared with the least bound")
  func wideAlone() throws {
    for (error, passes) in [(0.9e-6, true), (1.1e-6, false)] {
      let verification = try Verification(
        ["y": tensor([1 + error, 2, 3])], against: ["y_f64": tensor([1, 2, 3])])
      #expect(verification.rows.map(\.reference) == ["float64"])
      #expect(verification.isPassed == passes)
    }
  }

  @Test("Where a golden and its float64 are NaN, the result must be")
  func notANumber() throws {
    let golden: StateDict = ["y": tensor([.nan, 2, 3]), "y_f64": tensor([.nan, 2, 3])]
    #expect(try Verification(["y": tensor([.nan, 2, 3])], against: golden).isPassed)
    #expect(try !Verification(["y": tensor([1, 2, 3])], against: golden).isPassed)
    #expect(try !Verification(["y": tensor([.nan, .nan, 3])], against: golden).isPassed)
    // PyTorch's float32 is NaN and float64 is not: then nothing can be allowed without bound.
    let odd: StateDict = ["y": tensor([.nan, 2, 3]), "y_f64": tensor([1, 2, 3])]
    #expect(try !Verification(["y": tensor([50, 2, 3])], against: odd).isPassed)
  }

  @Test("What a golden asks for and the model does not give is a mismatch that names it")
  func mismatches() throws {
    let results: StateDict = ["output": tensor([1, 2, 3])]
    let faults: [(golden: StateDict, name: String?)] = [
      (["output": tensor([1, 2, 3]), "y": tensor([1, 2, 3])], "y"),
      (["y_f64": tensor([1, 2, 3])], "y_f64"), (["c_n": tensor([1, 2, 3])], "c_n"),
      (["rnn.output": tensor([1, 2, 3])], "rnn.output"),
      (["output": tensor([1, 2, 3], [3])], "output"),
      (["output": tensor([1, 2], [1, 1, 2])], "output"),
      (["output": Tensor([1, 2, 3] as [Int64], shape: [1, 1, 3])], "output"),
      ([:], nil), (["input": tensor([1, 2, 3]), "h_0": tensor([1, 2, 3])], nil),
    ]
    for (golden, name) in faults {
      let error = expectFault(.goldenMismatch) { _ = try Verification(results, against: golden) }
      #expect(error?.tensor == name)
    }
  }

  @Test("Inputs are no results, and results without a golden are no fault")
  func ignored() throws {
    let results: StateDict = [
      "rnn.output": tensor([1, 2, 3]), "rnn.h_n": tensor([1, 2, 3]), "y": tensor([1, 2, 3]),
    ]
    let golden: StateDict = [
      "rnn.input": tensor([9, 9, 9]), "rnn.h_0": tensor([9, 9, 9]),
      "rnn.output": tensor([1, 2, 3]),
    ]
    let verification = try Verification(results, against: golden)
    #expect(verification.rows.map(\.name) == ["rnn.output"])
    #expect(verification.isPassed)
  }
}
