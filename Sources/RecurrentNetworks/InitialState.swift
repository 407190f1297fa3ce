/// What a sequence begins with.
public enum InitialState: Hashable, Sendable {
  /// Zeros, PyTorch's default.
  case zero
  /// Independent numbers from N(0, deviation²), the same bits on every platform for the same seed.
  ///
  /// Numbers are drawn stack by stack, first all of h, [layers × directions, batch, features], then all
  /// of c. ``NormalNumbers`` says how.
  case normal(deviation: Double, seed: UInt64)
}

extension InitialState {
  /// The state of every stack of a model.
  func states(of blueprint: ModelBlueprint, batchSize: Int) -> [RecurrentState] {
    let zero = blueprint.stacks.map { RecurrentState($0.configuration, batchSize: batchSize) }
    guard case .normal(let deviation, let seed) = self else { return zero }
    var numbers = NormalNumbers(seed: seed)
    return zero.map { zero in
      var state = zero
      state.hidden = zero.hidden.map { _ in numbers.next(deviation: deviation) }
      state.cell = zero.cell.map { _ in numbers.next(deviation: deviation) }
      return state
    }
  }
}

/// Normally distributed numbers from a seed, in float64 by correctly rounded operations alone, so that
/// every platform draws the same bits.
///
/// SplitMix64 gives 64-bit words; u = (word >> 11) · 2^−53 is uniform in [0, 1). Box and Muller's
/// transformation makes two numbers of two words: with r = √(−2 ln(1 − u₁)), the first is
/// r · cos(2π u₂), the second r · sin(2π u₂). Each is multiplied by the deviation and rounded to
/// float32. The logarithm and the cosine are this type's own.
public struct NormalNumbers: Sendable {
  private var state: UInt64
  private var spare: Double?

  /// Begins with a seed.
  public init(seed: UInt64) { state = seed }

  /// The next number of N(0, deviation²).
  public mutating func next(deviation: Double) -> Float { Float(deviation * next()) }

  /// The next number of N(0, 1).
  public mutating func next() -> Double {
    if let spare {
      self.spare = nil
      return spare
    }
    let radius = (-2 * Self.logarithm(1 - uniform())).squareRoot()
    let turn = uniform()
    spare = radius * Self.cosine(ofTurn: turn - 0.25)
    return radius * Self.cosine(ofTurn: turn)
  }

  /// A number from 0 to below 1.
  private mutating func uniform() -> Double { Double(word() >> 11) * 0x1p-53 }

  /// SplitMix64.
  private mutating func word() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
    return word ^ word >> 31
  }

  /// ln x for 0 < x ≤ 1: the exponent's share and 2 artanh((m − 1) / (m + 1)) of a mantissa m near 1,
  /// as a power series.
  static func logarithm(_ x: Double) -> Double {
    var exponent = Int(x.exponent)
    var mantissa = x.significand
    if mantissa > 1.4142135623730951 {
      mantissa /= 2
      exponent += 1
    }
    let ratio = (mantissa - 1) / (mantissa + 1)
    let square = ratio * ratio
    // |ratio| < 0.172, so that the term of power 23 is below 2^-58 of the first.
    var sum = 0.0
    for power in stride(from: 23, through: 1, by: -2) { sum = sum * square + 1 / Double(power) }
    return Double(exponent) * 0.6931471805599453 + 2 * ratio * sum
  }

  /// cos(2π t), exact in its symmetries: t is brought to an eighth of a turn, then a power series.
  static func cosine(ofTurn turn: Double) -> Double {
    var turn = turn.magnitude
    turn -= turn.rounded(.down)
    if turn > 0.5 { turn = 1 - turn }
    let isNegative = turn > 0.25
    if isNegative { turn = 0.5 - turn }
    let value = turn <= 0.125 ? series(turn, from: 0) : series(0.25 - turn, from: 1)
    return isNegative ? -value : value
  }

  /// The cosine's series (`first` 0) or the sine's (`first` 1) at 2π `turn`.
  private static func series(_ turn: Double, from first: Int) -> Double {
    let angle = 6.283185307179586 * turn
    let square = angle * angle
    var sum = 1.0
    for power in stride(from: first + 18, to: first, by: -2) {
      sum = 1 - sum * square / Double(power * (power - 1))
    }
    return first == 0 ? sum : sum * angle
  }
}
