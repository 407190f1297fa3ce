import Checkpoints
import RecurrentNetworks

/// The spectral radius of what leads from a state to the next one, gate by gate.
struct RecurrentSpectra {
  struct Entry: Encodable {
    var tensor: String
    var layer: Int
    var direction: String
    var gate: String?
    var value: Double
    /// Whether it is only estimated, as for large matrices.
    var estimated: Bool
  }

  private(set) var entries: [Entry] = []
  private(set) var findings: [Finding] = []
  /// What was not computed, and why.
  private(set) var notComputed: [String] = []

  /// Beyond which a radius is worth a word: of an RNN with tanh and with relu, of a candidate, of the
  /// other gates.
  private static let (tanhLimit, reluLimit, candidateLimit, gateLimit) = (1.5, 1.1, 2.0, 4.0)
  private static let (rnnLeast, gateLeast) = (0.1, 0.01)

  /// Adds W_hh of a layer; with a projection W_hr · W_hh, which has the same eigenvalues as W_hh · W_hr
  /// but for zeros.
  /// - Throws: what reading them throws.
  mutating func add(
    _ tensor: StoredTensor, projection: StoredTensor?, _ configuration: RecurrentConfiguration,
    layer: Int, _ direction: ParameterName.Direction
  ) throws(CheckpointError) {
    let (units, state) = (configuration.hiddenSize, configuration.stateSize)
    guard tensor.shape.dimensions == [configuration.kind.gateCount * units, state] else { return }
    guard units <= SpectralRadius.largestSize else {
      notComputed.append(
        "the spectral radius of \(tensor.name): \(units) units, computed up to "
          + "\(SpectralRadius.largestSize)")
      return
    }
    let dtype = try tensor.readableDType()
    let gates = Convention.gates(of: configuration.kind)?.map(String.init) ?? [""]
    let reduced = try projection?.read().doubles()
    for (index, gate) in gates.enumerated() {
      let size = units * state * dtype.size
      let block = try Tensor(
        dtype: dtype, shape: try Shape([units, state]),
        bytes: try tensor.bytes(in: (index * size)..<((index + 1) * size))
      ).doubles()
      let matrix =
        reduced.map { SpectralRadius.product($0, block, state, units, state) } ?? block
      guard let radius = SpectralRadius(matrix, size: state) else {
        notComputed.append("the spectral radius of \(tensor.name): it is not finite")
        return
      }
      let entry = Entry(
        tensor: tensor.name, layer: layer, direction: direction.word,
        gate: gate.isEmpty ? nil : gate, value: radius.value, estimated: radius.isEstimated)
      entries.append(entry)
      note(entry, configuration)
    }
  }

  private mutating func note(_ entry: Entry, _ configuration: RecurrentConfiguration) {
    let value = entry.value
    let text = (entry.estimated ? "about " : "") + value.shortText
    let isCandidate = entry.gate == "g" || entry.gate == "n"
    let isRelu = configuration.kind == .rnn && configuration.nonlinearity == .relu
    let words: String
    let severity: Finding.Severity
    switch entry.gate {
    case nil where value > (isRelu ? Self.reluLimit : Self.tanhLimit):
      severity = .warning
      words =
        isRelu
        ? "far above 1, and relu bounds nothing: the hidden state can explode"
        : "far above 1: small states grow so many times a step until tanh stops them, and gradients "
          + "explode"
    case nil where value < Self.rnnLeast:
      severity = .note
      words = "near 0: what was read is forgotten within a step or two"
    case .some where isCandidate && value > Self.candidateLimit:
      severity = .note
      words =
        "above 1: the candidate amplifies the state; tanh and the gates bound it, the gradients not"
    case .some where !isCandidate && value > Self.gateLimit:
      severity = .note
      words = "large: the state itself throws this gate open and shut"
    case .some where value < Self.gateLeast:
      severity = .note
      words = "near 0: the state has no say in it beyond a step"
    default: return
    }
    let matrix = configuration.projectionSize > 0 ? "W_hr · W_hh" : "W_hh"
    findings.append(
      Finding(
        tensor: entry.tensor, layer: entry.layer, direction: entry.direction, gate: entry.gate,
        kind: .spectralRadius, severity: severity, value: value,
        words: "spectral radius of \(matrix) \(text), \(words)"))
  }
}
