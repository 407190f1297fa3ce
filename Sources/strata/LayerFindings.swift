import Checkpoints
import RecurrentNetworks

/// The parameters of one layer in one direction, read.
struct LayerProfile {
  let layer: Int
  let direction: ParameterName.Direction
  var parameters: [ParameterName.Kind: TensorProfile] = [:]

  subscript(kind: ParameterName.Kind) -> TensorProfile? { parameters[kind] }

  /// b_ih + b_hh of a unit of a gate; 0 without biases.
  func bias(_ row: Int) -> Double {
    let biases: [ParameterName.Kind] = [.inputBias, .hiddenBias]
    return biases.reduce(0.0) { sum, kind in
      guard let values = parameters[kind]?.values, row < values.count else { return sum }
      return sum + values[row]
    }
  }
}

/// Looks at one layer in one direction, gate by gate and unit by unit.
struct LayerFindings {
  let configuration: RecurrentConfiguration
  let profile: LayerProfile
  /// How large the magnitudes of the inputs can be: 1 behind a layer whose outputs a tanh bounds, infinite
  /// behind one of a relu; for the first layer a supposition.
  let inputBound: Double
  /// Whether nothing tells the nonlinearity.
  let supposesNonlinearity: Bool
  private(set) var findings: [Finding] = []

  /// Where the sigmoid is beyond 0.0025 and 0.9975, and where it is beyond 0.018 and 0.982.
  private static let restsBeyond = 6.0
  private static let stuckBeyond = 4.0
  /// A pre-activation that swings so far leaves little between open and shut.
  private static let steepBeyond = 10.0
  private static let forgetBiasTolerance = 0.5
  /// How many units are told by number.
  private static let mostUnits = 5

  init(
    _ profile: LayerProfile, of configuration: RecurrentConfiguration, inputBound: Double,
    supposesNonlinearity: Bool
  ) {
    self.configuration = configuration
    self.profile = profile
    self.inputBound = inputBound
    self.supposesNonlinearity = supposesNonlinearity
    guard let input = profile[.inputWeight], let hidden = profile[.hiddenWeight],
      input.rows.count == rowCount, hidden.rows.count == rowCount
    else { return }
    noteDeadUnits(input.rows, hidden.rows)
    if configuration.kind == .rnn, configuration.nonlinearity == .relu || supposesNonlinearity {
      noteDeadReluUnits(input.rows, hidden.rows)
    }
    for (index, gate) in gates.enumerated() {
      noteRows(of: input, index, gate)
      noteRows(of: hidden, index, gate)
      if "ifrzo".contains(gate), configuration.kind != .rnn {
        noteSaturation(input.rows, hidden.rows, index, gate)
      }
    }
    noteBiases()
    if configuration.kind == .lstm { noteForgetBias() }
  }

  private var units: Int { configuration.hiddenSize }
  private var rowCount: Int { configuration.kind.gateCount * units }

  /// The letters of the gates; one without a name in an RNN.
  private var gates: [String] {
    Convention.gates(of: configuration.kind)?.map(String.init) ?? [""]
  }

  /// How large the magnitudes of h can be.
  static func stateBound(
    _ configuration: RecurrentConfiguration, _ profile: LayerProfile
  ) -> Double {
    if configuration.kind == .rnn, configuration.nonlinearity == .relu { return .infinity }
    guard configuration.projectionSize > 0 else { return 1 }
    return profile[.projectionWeight]?.largestRow ?? .infinity
  }

  private mutating func find(
    _ kind: Finding.Kind, _ severity: Finding.Severity, in parameter: ParameterName.Kind,
    gate: String? = nil, _ value: Double, _ words: String
  ) {
    guard let tensor = profile[parameter] else { return }
    findings.append(
      Finding(
        tensor: tensor.name, layer: profile.layer, direction: profile.direction.word,
        gate: gate.flatMap { $0.isEmpty ? nil : $0 }, kind: kind, severity: severity, value: value,
        words: words))
  }

  private static func list(_ units: [Int]) -> String {
    let shown = units.prefix(mostUnits).map(String.init).joined(separator: ", ")
    return "unit\(units.count == 1 ? "" : "s") \(shown)\(units.count > mostUnits ? ", …" : "")"
  }

  private mutating func noteDeadUnits(_ input: [TensorProfile.Row], _ hidden: [TensorProfile.Row]) {
    let dead = (0..<units).filter { unit in
      gates.indices.allSatisfy { gate in
        let row = gate * units + unit
        return input[row].isZero && hidden[row].isZero
      }
    }
    guard !dead.isEmpty else { return }
    find(
      .deadUnits, .warning, in: .hiddenWeight, Double(dead.count),
      "\(dead.count) of \(units) units take nothing in, all their weights are zero: \(Self.list(dead))"
    )
  }

  /// h is never negative, so a unit whose weights and biases are not positive stays at 0.
  private mutating func noteDeadReluUnits(
    _ input: [TensorProfile.Row], _ hidden: [TensorProfile.Row]
  ) {
    // Behind a layer of relus the inputs are not negative either.
    let isBehindRelu = profile.layer > 0
    let dead = (0..<units).filter { unit in
      let takesNothing = input[unit].isZero || isBehindRelu && input[unit].largest <= 0
      // A unit without any weight is told as one.
      return takesNothing && !(input[unit].isZero && hidden[unit].isZero)
        && hidden[unit].largest <= 0 && profile.bias(unit) <= 0
    }
    guard !dead.isEmpty else { return }
    let supposed = supposesNonlinearity ? ", should the nonlinearity be relu" : ""
    find(
      .deadReluUnits, supposesNonlinearity ? .note : .warning, in: .hiddenWeight,
      Double(dead.count),
      "\(dead.count) of \(units) units can never fire\(supposed): no weight that reaches them and no bias "
        + "is positive: \(Self.list(dead))")
  }

  private mutating func noteRows(of tensor: TensorProfile, _ gate: Int, _ letter: String) {
    let rows = tensor.rows[(gate * units)..<((gate + 1) * units)]
    guard let kind = ParameterName(tensor.name)?.kind, tensor.shape[1] > 1 else { return }
    let constant = rows.filter(\.isConstant)
    if !constant.isEmpty {
      let zeros = constant.filter(\.isZero).count
      find(
        .constantRows, .warning, in: kind, gate: letter, Double(constant.count),
        "\(constant.count) of \(units) rows hold one value throughout"
          + (zeros > 0 ? ", \(zeros) of them zero" : ""))
    }
    let others = rows.filter { !$0.isConstant }
    let repeated = others.count - Set(others.map(\.hash)).count
    if repeated > 0 {
      find(
        .equalRows, .warning, in: kind, gate: letter, Double(repeated),
        "\(repeated.counted("row")) of \(units) \(repeated == 1 ? "is" : "are") the same as another"
      )
    }
  }

  private mutating func noteBiases() {
    guard let input = profile[.inputBias], let hidden = profile[.hiddenBias],
      input.values.count == rowCount, hidden.values.count == rowCount
    else { return }
    if input.isZero || hidden.isZero {
      let words: String
      switch (input.isZero, hidden.isZero) {
      case (true, true): words = "both biases are zero, as they are before training"
      default:
        words =
          "zero throughout while \(input.isZero ? "bias_hh" : "bias_ih") is not: the two were added up, or "
          + "come from a framework that has one"
      }
      find(.zeroBias, .note, in: input.isZero ? .inputBias : .hiddenBias, 0, words)
      return
    }
    guard configuration.kind == .gru else { return }
    let (gatesPart, candidate) = (hidden.values[..<(2 * units)], hidden.values[(2 * units)...])
    if gatesPart.allSatisfy({ $0 == 0 }), candidate.contains(where: { $0 != 0 }) {
      find(
        .zeroBias, .note, in: .hiddenBias, 0,
        "zero for the gates r and z, but not for n: those were added up, as in MLX")
    }
  }

  private mutating func noteForgetBias() {
    guard profile[.inputBias] != nil || profile[.hiddenBias] != nil, units > 0 else { return }
    let mean = (units..<(2 * units)).reduce(0.0) { $0 + profile.bias($1) } / Double(units)
    guard mean.isFinite, abs(mean - 1) > Self.forgetBiasTolerance else { return }
    let words =
      mean > -Self.forgetBiasTolerance && mean < Self.forgetBiasTolerance
      ? "PyTorch begins near 0, Keras at 1; TensorFlow's old cells add 1 that is not in the weights "
        + "(--set forget_bias=1)"
      : mean > 0 ? "the cell forgets next to nothing" : "the cell forgets quickly"
    find(
      .forgetBias, .note, in: .inputBias, gate: "f", mean,
      "the mean of b_ih + b_hh is \(mean.shortText), far from 1: \(words)")
  }

  private mutating func noteSaturation(
    _ input: [TensorProfile.Row], _ hidden: [TensorProfile.Row], _ gate: Int, _ letter: String
  ) {
    let stateBound = Self.stateBound(configuration, profile)
    var (saturated, steep): ([Int], [Int]) = ([], [])
    var (farthest, widest) = (0.0, 0.0)
    for unit in 0..<units {
      let row = gate * units + unit
      let bias = profile.bias(row)
      let reach = input[row].magnitude * inputBound + hidden[row].magnitude * stateBound
      if abs(bias) > Self.restsBeyond || abs(bias) - reach > Self.stuckBeyond {
        saturated.append(unit)
        if abs(bias) > abs(farthest) { farthest = bias }
      }
      let swing = (input[row].squares + hidden[row].squares).squareRoot()
      if swing > Self.steepBeyond {
        steep.append(unit)
        widest = max(widest, swing)
      }
    }
    let biased: ParameterName.Kind = profile[.inputBias] == nil ? .hiddenBias : .inputBias
    if !saturated.isEmpty {
      find(
        .saturatedGate, .warning, in: biased, gate: letter, Double(saturated.count),
        "\(saturated.count) of \(units) units hardly move: b_ih + b_hh is up to \(farthest.shortText), where "
          + "the sigmoid is flat: \(Self.list(saturated))")
    }
    if !steep.isEmpty {
      find(
        .steepGate, .warning, in: .hiddenWeight, gate: letter, Double(steep.count),
        "the weights of \(steep.count) of \(units) units are so large, norm up to \(widest.shortText), that "
          + "the sigmoid knows little between 0 and 1: \(Self.list(steep))")
    }
  }
}
