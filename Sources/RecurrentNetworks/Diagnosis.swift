public import Checkpoints

/// Why a model's results are not those of a golden: the conventions of which the one or the other does
/// not know, found by trying them, and the first place that differs.
public struct Diagnosis: Sendable {
  /// What makes the golden pass when it is undone; empty where nothing that was tried does.
  public internal(set) var conventions: [Convention] = []
  /// Where the model first leaves the golden; nil where it cannot even be run as it is.
  public internal(set) var firstDivergence: Divergence?
  /// What was tried, as settings.
  public internal(set) var tried: [[Convention]] = []
  /// Why the model could not be run on the golden, where it could not.
  public internal(set) var obstacle: CheckpointError?

  /// Explains why a golden is not verified.
  /// - Parameters:
  ///   - contents: The checkpoint.
  ///   - goldens: The golden that it fails.
  ///   - tolerance: What it fails by.
  ///   - file: The file's path, for errors.
  ///   - progress: Called with how many candidates were tried and how many there are at most.
  /// - Throws: what reading the weights throws.
  public init(
    of contents: CheckpointContents, goldens: StateDict,
    tolerance: Verification.Tolerance = .standard, file: String? = nil,
    progress: ((Int, Int) -> Void)? = nil
  ) throws(CheckpointError) {
    let search = ConventionSearch(
      contents, goldens: goldens, tolerance: tolerance, progress: progress)
    (conventions, tried) = try search.run()
    do throws(CheckpointError) {
      // What does not fit is told, and cannot be compared.
      _ = try Verification(contents, goldens: goldens, tolerance: tolerance, file: file)
      let mapping = try ParameterMapping(of: contents, file: file)
      for part in try Verification.parts(of: mapping, goldens, file: file)
      where firstDivergence == nil {
        firstDivergence = try Divergence.first(of: part, in: goldens)
      }
    } catch {
      obstacle = error
    }
  }
}

extension Diagnosis {
  /// What is the case and what to do, in sentences.
  public var explanation: String {
    guard !conventions.isEmpty else { return unexplained }
    var sentences = conventions.map { "\($0)." }
    let settings = conventions.filter(\.canBeUndone)
    if settings.count == conventions.count {
      sentences.append(
        "Convert with " + settings.map { "--set \($0.setting)" }.joined(separator: " ") + ".")
    } else {
      sentences.append("\(Convention.mergedAdvice).")
    }
    return sentences.joined(separator: " ")
  }

  private var unexplained: String {
    var sentences: [String] = []
    if let divergence = firstDivergence {
      sentences.append("The first difference is in \(divergence.place): \(divergence.words).")
      sentences.append(divergence.pattern.meaning)
      if divergence.evidence == .output { sentences.append(Divergence.reach) }
    } else if let obstacle {
      sentences.append("The model cannot be run on the golden: \(obstacle.reason).")
    }
    let kinds = Set(tried.map { $0.map(\.family).joined(separator: " with ") }).sorted()
    if !kinds.isEmpty {
      sentences.append(
        "None of \(tried.count) conventions makes it pass; tried were: "
          + kinds.joined(separator: ", ") + ".")
    }
    return sentences.joined(separator: " ")
  }
}

extension Divergence {
  /// The numbers, `expected 0.71, got 0.29; the error is 2e-07 before it and 0.4 from there on`.
  var words: String {
    func short(_ value: Double) -> String {
      // Six digits are what float32 has.
      let scaled = value.magnitude < 1e-4 || value.magnitude >= 1e6
      return scaled || !value.isFinite
        ? "\(Float(value))" : "\((value * 1e6).rounded() / 1e6)"
    }
    return "expected \(short(expected)), got \(short(computed)); the error is at most "
      + "\(Float(errorBefore)) before it and \(Float(errorAfter)) from there on"
  }

  /// How far a golden without insides reaches.
  static let reach =
    "The golden shows outputs and final states only; one with intermediate layers (export with "
    + "intermediates=True) tells the gate and the step."
}

extension Divergence.Pattern {
  /// What it points to, in a sentence.
  var meaning: String {
    switch self {
    case .rounding:
      "The error grows slowly from next to nothing: this is rounding, which large weights amplify."
    case .convention:
      "The error is there from the first steps on: the weights or the formula are others."
    case .state:
      "The error is there at the first step and fades: the initial state is another one."
    case .lengths:
      "The error stands where sequences end: the golden was recorded with other lengths, or with some."
    case .fault:
      "Everything before that is right, so that the formula is: something else happened there."
    }
  }
}

extension Convention {
  /// What is searched when it is, in words.
  var family: String {
    switch self {
    case .gateOrder: "gate order"
    case .transpose: "transposed matrices"
    case .bias(.merged): "merged biases"
    case .bias(.swapped): "exchanged biases"
    case .gruReset: "the reset gate before or after the product"
    case .nonlinearity: "tanh and relu"
    case .batchFirst: "batch_first"
    case .directionSwapped: "exchanged directions"
    case .layerOrder: "order of layers"
    case .state: "initial states exchanged or missing"
    case .projectionIgnored: "projection ignored"
    case .forgetBias: "a forget-gate bias"
    case .sigmoid: "hard sigmoids"
    }
  }
}
