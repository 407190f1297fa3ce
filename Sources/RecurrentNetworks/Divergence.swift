internal import Checkpoints

/// Where a model first leaves what was recorded, and what it looks like from there on.
///
/// A golden that carries what goes on inside layers (`output_l0`, `c_l0`, `gates_l0`) tells the very gate:
/// each step of each layer is computed in float64 from the recorded input and state of that step, so that
/// no fault hides behind the one before it. Others tell as much as the last layer's output and the final
/// states show.
public struct Divergence: Hashable, Sendable {
  /// A place in a model.
  public struct Place: Hashable, Sendable {
    /// The recurrent module; empty for one at the root.
    public var module: String
    /// The layer; nil where the golden does not tell.
    public var layer: Int?
    /// The direction; nil where the golden does not tell.
    public var direction: ParameterName.Direction?
    /// The step of the input; nil where the golden does not tell.
    public var step: Int?
    /// The gate by its letter, i f g o or r z n; `c` and `h` for the states, `y` for the head; nil where
    /// the golden does not tell.
    public var gate: String?
    /// The sequence of the batch.
    public var sequence = 0
    /// The hidden unit, or the feature.
    public var unit = 0
  }

  /// What errors look like, step after step in the order in which they are computed.
  public enum Pattern: String, Sendable, CaseIterable {
    /// They grow slowly from next to nothing.
    case rounding
    /// They are there from the first step to the last: another formula, or other weights.
    case convention
    /// They are there at the first step alone, or fade from there: another initial state.
    case state
    /// They stand behind the ends of sequences, or begin there.
    case lengths
    /// They begin in the middle.
    case fault
  }

  /// What the golden could be asked.
  public enum Evidence: String, Sendable, CaseIterable {
    /// Hidden states and gates of every layer.
    case layers
    /// The last layer's output, and final states.
    case output
  }

  /// Where it is.
  public var place: Place
  /// What was recorded there.
  public var expected: Double
  /// What the model computes.
  public var computed: Double
  /// The largest error before that place, of what the golden shows.
  public var errorBefore: Double
  /// The largest error from there on.
  public var errorAfter: Double
  /// What the errors look like.
  public var pattern: Pattern
  /// What it was concluded from.
  public var evidence: Evidence

  /// |a − b| up to which numbers agree here, and the same for each |b|.
  static let tolerance = 1e-5

  /// Whether a number is not the one that was recorded.
  static func differs(_ value: Double, _ golden: Double) -> Bool {
    !(abs(value - golden) <= tolerance * (1 + abs(golden))) && value != golden
  }
}

extension Divergence.Place: CustomStringConvertible {
  /// The place in words, `layer 1 reverse, step 37, forget gate`.
  public var description: String {
    if gate == "y" { return "the output layer" + (step.map { ", step \($0)" } ?? "") }
    var words: [String] = []
    if let layer {
      let side = direction == .reverse ? " reverse" : ""
      words.append((module.isEmpty ? "" : "\(module), ") + "layer \(layer)\(side)")
    } else if !module.isEmpty {
      words.append(module)
    }
    if let step { words.append("step \(step)") }
    if let gate { words.append(Self.names[gate] ?? gate) }
    return words.isEmpty ? "somewhere" : words.joined(separator: ", ")
  }

  private static let names = [
    "i": "input gate", "f": "forget gate", "g": "cell gate", "o": "output gate", "r": "reset gate",
    "z": "update gate", "n": "new gate", "c": "cell state", "h": "hidden state",
  ]
}

// MARK: - Finding it

extension Divergence {
  /// Finds the first place at which a part of a model leaves its golden.
  /// - Returns: nil where nothing that the golden shows differs.
  /// - Throws: what running the part throws.
  static func first(
    of part: GoldenPart, in goldens: StateDict
  ) throws(CheckpointError) -> Divergence? {
    let model = try ReferenceModel(part.blueprint)
    let call = try EvaluationCall(goldens, prefix: part.prefix, part.blueprint)
    let results = try model.evaluate(goldens, prefix: part.prefix, allLayers: true)
    let own = try RecordedRun(results, call, part)
    // What was recorded in either precision may be where it differs.
    var found: [(divergence: Divergence, rank: Int)] = []
    for suffix in ["", Verification.float64Suffix] {
      let golden = try RecordedRun(goldens, suffix: suffix, call, part)
      guard let place = try StepwiseComparison(model, call, golden, part, goldens).first()
      else { continue }
      found.append(place)
    }
    if let first = found.min(by: { $0.rank < $1.rank }) { return first.divergence }
    for suffix in ["", Verification.float64Suffix] {
      let golden = try RecordedRun(goldens, suffix: suffix, call, part)
      if let place = try OutputComparison(own, golden, call, part).first() { return place }
    }
    return nil
  }
}
