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

      When a tensor is outside of it, the conventions of other frameworks are tried: the order of gates, \
      transposed matrices, biases exchanged or merged, the reset gate before the product, tanh for relu, \
      directions, layers or states exchanged, batch_first, a projection that is not applied, a bias of \
      forget gates, hard sigmoids, and common pairs of them. What makes the golden pass is named as the \
      option of convert that undoes it, and the first place that differs is shown. A model that cannot be \
      run on the golden as it is, but can with one of them, is not verified either.

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
    let allowed = tolerance(for: golden)
    let verification: Verification
    do {
      verification = try Verification(
        reader.contents, goldens: golden.tensors, tolerance: allowed, precision: precision,
        file: model)
    } catch {
      let fault = golden.located(error, modelFile: model)
      guard Self.mayBeConvention(error.code) else { throw fault }
      // What cannot be run as it is may be the right model in another layout; else the fault stands.
      let diagnosis = try diagnosis(reader, golden.tensors, allowed)
      guard !diagnosis.conventions.isEmpty else { throw fault }
      let report = VerificationReport(
        fault, tolerance: allowed, isGiven: tolerance.given != nil, diagnosis)
      try Output(options).report(report) { report.words }
      throw ExitCode(1)
    }
    let report = VerificationReport(
      verification, isGiven: tolerance.given != nil,
      assumed: Assumed.list(verification.assumptions, precision),
      verification.isPassed ? nil : try diagnosis(reader, golden.tensors, allowed))
    try Output(options).report(report) { report.words }
    if !verification.isPassed { throw ExitCode(1) }
  }

  /// Whether weights in another layout, or a golden in another order, cause such a fault.
  private static func mayBeConvention(_ code: CheckpointError.Code) -> Bool {
    [.goldenMismatch, .shapeMismatch, .parameterUnexpected, .parameterMissing, .modelInvalid]
      .contains(code)
  }

  private func diagnosis(
    _ reader: CheckpointReader, _ goldens: StateDict, _ tolerance: Verification.Tolerance
  ) throws(CheckpointError) -> Diagnosis {
    let progress = Progress(stepsFor: options)
    defer { progress?.end() }
    return try Diagnosis(
      of: reader.contents, goldens: goldens, tolerance: tolerance, file: model
    ) { done, count in
      progress?.report(done, of: count, "trying conventions")
    }
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
  var unchecked: [String] = []
  var assumed: [Assumed] = []
  /// Why it is not verified.
  var diagnosis: DiagnosisReport?

  enum CodingKeys: String, CodingKey {
    case verified, atol, rtol
    case toleranceSource = "tolerance_source"
    case tensors, assumed, unchecked, diagnosis
  }

  /// What is reported of a model that can be run on its golden in another convention only.
  init(
    _ fault: CheckpointError, tolerance: Verification.Tolerance, isGiven: Bool,
    _ diagnosis: Diagnosis
  ) {
    verified = false
    (atol, rtol, toleranceSource) = Self.told(tolerance, usesFloat64: false, isGiven: isGiven)
    tensors = []
    self.diagnosis = DiagnosisReport(diagnosis)
    self.diagnosis?.obstacle = fault.description
  }

  private static func told(
    _ tolerance: Verification.Tolerance, usesFloat64: Bool, isGiven: Bool
  ) -> (Double, Double, String) {
    switch tolerance {
    case .elementwise(let absolute, let relative):
      (absolute, relative, isGiven ? "given by --atol and --rtol" : "sealed into the model")
    case .standard where usesFloat64:
      (
        Verification.standardFloor, 0,
        "the golden's float64 values: at most 1e-6, or 4 times PyTorch's own error, for each tensor"
      )
    case .standard:
      (
        Verification.standardElementwise, Verification.standardElementwise,
        "the default: the golden has no float64 values"
      )
    }
  }

  init(
    _ verification: Verification, isGiven: Bool, assumed: [Assumed],
    _ diagnosis: Diagnosis? = nil
  ) {
    self.assumed = assumed
    unchecked = verification.unchecked
    verified = verification.isPassed
    (atol, rtol, toleranceSource) = Self.told(
      verification.tolerance, usesFloat64: verification.usesFloat64, isGiven: isGiven)
    self.diagnosis = diagnosis.map(DiagnosisReport.init)
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
    return (tensors.isEmpty ? "" : table.text + "\n\n")
      + "\(verdict); tolerance: \(bound)\(toleranceSource)"
      + (diagnosis.map { "\n" + $0.words } ?? "")
      + assumed.words
      + unchecked.map { "\n" + "not checked: \($0), of which the golden has no result".escaped }
      .joined()
  }
}

/// Why a golden is not verified, as `verify` reports it.
struct DiagnosisReport: Encodable {
  /// The first place that differs.
  struct Place: Encodable {
    var module: String
    var layer: Int?
    var direction: String?
    var step: Int?
    var gate: String?
    var sequence: Int
    var unit: Int
    var expected: Double
    var got: Double
    var errorBefore: Double
    var errorAfter: Double
    var pattern: String
    var evidence: String
    /// In words.
    fileprivate var words: String

    enum CodingKeys: String, CodingKey {
      case module, layer, direction, step, gate, sequence, unit, expected, got
      case errorBefore = "error_before"
      case errorAfter = "error_after"
      case pattern, evidence
    }

    /// Every key is there, null where nothing is known.
    func encode(to encoder: any Encoder) throws {
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(module, forKey: .module)
      try values.encode(layer, forKey: .layer)
      try values.encode(direction, forKey: .direction)
      try values.encode(step, forKey: .step)
      try values.encode(gate, forKey: .gate)
      try values.encode(sequence, forKey: .sequence)
      try values.encode(unit, forKey: .unit)
      try values.encode(expected, forKey: .expected)
      try values.encode(got, forKey: .got)
      try values.encode(errorBefore, forKey: .errorBefore)
      try values.encode(errorAfter, forKey: .errorAfter)
      try values.encode(pattern, forKey: .pattern)
      try values.encode(evidence, forKey: .evidence)
    }
  }

  /// The conventions, each as the option of `--set` that undoes it.
  var conventions: [String]
  var firstDivergence: Place?
  var explanation: String
  /// How many candidates were tried.
  var tried: Int
  /// Why the model cannot be run on the golden as it is.
  var obstacle: String?

  enum CodingKeys: String, CodingKey {
    case conventions
    case firstDivergence = "first_divergence"
    case explanation, tried, obstacle
  }

  /// `first_divergence` is there always, null where nothing is known.
  func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(conventions, forKey: .conventions)
    try values.encode(firstDivergence, forKey: .firstDivergence)
    try values.encode(explanation, forKey: .explanation)
    try values.encode(tried, forKey: .tried)
    try values.encodeIfPresent(obstacle, forKey: .obstacle)
  }

  init(_ diagnosis: Diagnosis) {
    conventions = diagnosis.conventions.map(\.setting)
    firstDivergence = diagnosis.firstDivergence.map(Place.init)
    explanation = diagnosis.explanation
    tried = diagnosis.tried.count
  }

  var words: String {
    var lines: [String] = []
    if let obstacle { lines.append("as it is: \(obstacle)") }
    // Where nothing explains it, the explanation begins with it.
    if let firstDivergence, !conventions.isEmpty {
      lines.append("first difference: \(firstDivergence.words)")
    }
    lines.append(explanation)
    return lines.map(\.escaped).joined(separator: "\n")
  }
}

extension DiagnosisReport.Place {
  init(_ divergence: Divergence) {
    let place = divergence.place
    module = place.module
    layer = place.layer
    direction = place.direction.map { $0 == .reverse ? "reverse" : "forward" }
    step = place.step
    gate = place.gate
    sequence = place.sequence
    unit = place.unit
    expected = divergence.expected
    got = divergence.computed
    errorBefore = divergence.errorBefore
    errorAfter = divergence.errorAfter
    pattern = divergence.pattern.rawValue
    evidence = divergence.evidence.rawValue
    words =
      "\(place): expected \(expected.shortText), got \(got.shortText); error \(errorBefore.shortText) "
      + "before, \(errorAfter.shortText) from there on"
  }
}
