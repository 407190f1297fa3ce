import ArgumentParser
import Checkpoints
import RecurrentNetworks

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Run a model on recorded inputs and compare with the recorded outputs.",
    discussion: """
      Without --atol and --rtol: where the golden carries float64 values, the error to float64 may be \
      at most 1e-6, or 4 times PyTorch's own float32 error if that is more; for other tensors \
      |a - b| may be at most 1e-5 + 1e-5 |b|.

      Exit status 1 when a tensor is outside the tolerance, 2 when the golden does not fit the model.

      --key counts for the model alone. Option of --set: npz_void2=bf16|refuse, what elements of two bytes without a type are in npz and \
      npy files.
      """)

  @Argument(help: "The model.")
  var model: String

  @Argument(help: "The golden; the model's own when left out.")
  var golden: String?

  @OptionGroup var tolerance: ToleranceOptions

  @Option(
    help: "The arithmetic: float32 (the kernels) or reference (float64).",
    transform: ModelArguments.precision)
  var precision: Verification.Precision = .float32

  @OptionGroup var reading: InputOptions

  @OptionGroup var options: OutputOptions

  func run() throws {
    let choice = try reading.reading()
    let reader = try CheckpointReader(file: model, choice)
    guard
      let golden = try ModelGolden(file: golden, of: reader, modelFile: model, choice)
    else {
      throw CheckpointError(
        .goldenMismatch, file: model,
        "the model carries no golden: name a golden file, or convert with --golden")
    }
    let verification: Verification
    do {
      verification = try Verification(
        reader.contents, goldens: golden.tensors, tolerance: tolerance(for: golden),
        precision: precision, file: model)
    } catch {
      throw golden.located(error, modelFile: model)
    }
    let report = VerificationReport(
      verification, isGiven: tolerance.given != nil,
      assumed: Assumed.list(verification.assumptions, precision))
    try Output(options).report(report) { report.words }
    if !verification.isPassed { throw ExitCode(1) }
  }

  private func tolerance(for golden: ModelGolden) -> Verification.Tolerance {
    guard let given = tolerance.given else { return golden.tolerance }
    return .elementwise(absolute: given.absolute, relative: given.relative)
  }
}

/// What `verify` reports.
struct VerificationReport: Encodable {
  struct Entry: Encodable {
    var name: String
    var reference: String
    var maxAbs: Double
    var maxRel: Double
    var at: [Int]
    var bound: Double?
    var passed: Bool

    enum CodingKeys: String, CodingKey {
      case name, reference
      case maxAbs = "max_abs"
      case maxRel = "max_rel"
      case at, bound, passed
    }
  }

  var verified: Bool
  var atol: Double
  var rtol: Double
  var toleranceSource: String
  var tensors: [Entry]
  /// Modules of the model that the golden has no result of.
  var unchecked: [String]
  var assumed: [Assumed]

  enum CodingKeys: String, CodingKey {
    case verified, atol, rtol
    case toleranceSource = "tolerance_source"
    case tensors, assumed, unchecked
  }

  init(_ verification: Verification, isGiven: Bool, assumed: [Assumed]) {
    self.assumed = assumed
    unchecked = verification.unchecked
    verified = verification.isPassed
    switch verification.tolerance {
    case .elementwise(let absolute, let relative):
      (atol, rtol) = (absolute, relative)
      toleranceSource = isGiven ? "given by --atol and --rtol" : "sealed into the model"
    case .standard where verification.usesFloat64:
      (atol, rtol) = (Verification.standardFloor, 0)
      toleranceSource =
        "the golden's float64 values: at most 1e-6, or 4 times PyTorch's own error, for each tensor"
    case .standard:
      (atol, rtol) = (Verification.standardElementwise, Verification.standardElementwise)
      toleranceSource = "the default: the golden has no float64 values"
    }
    tensors = verification.rows.map {
      Entry(
        name: $0.name, reference: $0.reference, maxAbs: $0.largestError,
        maxRel: $0.largestRelativeError, at: $0.position, bound: $0.bound, passed: $0.isPassed)
    }
  }

  var words: String {
    var table = TextTable(
      header: ["tensor", "PyTorch's", "largest error", "relative", "at", "allowed", ""],
      numeric: [2, 3, 5])
    table.rows = tensors.map {
      [
        $0.name.escaped, $0.reference, $0.maxAbs.shortText, $0.maxRel.shortText, $0.at.description,
        $0.bound?.shortText ?? "", $0.passed ? "passed" : "FAILED",
      ]
    }
    let verdict = verified ? "verified" : "NOT verified"
    let bound =
      tensors.contains { $0.bound == nil }
      ? "|a - b| <= \(atol.shortText) + \(rtol.shortText) |b|; " : ""
    return "\(table.text)\n\n\(verdict); tolerance: \(bound)\(toleranceSource)"
      + assumed.words
      + unchecked.map { "\n" + "not checked: \($0), of which the golden has no result".escaped }
      .joined()
  }
}
