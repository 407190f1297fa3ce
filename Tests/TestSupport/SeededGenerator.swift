/// SplitMix64: the same numbers for the same seed on every machine.
///
/// Put the generator itself into the comment of an expectation, `"\(generator)"`, to print its seed.
public struct SeededGenerator: RandomNumberGenerator, Sendable, CustomStringConvertible {
  /// What it started from.
  public let seed: UInt64
  private var state: UInt64

  /// Starts from a seed.
  public init(seed: UInt64) {
    self.seed = seed
    self.state = seed
  }

  /// The next 64 random bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = state
    bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
    return bits ^ bits >> 31
  }

  /// The seed, for people who want the same numbers again.
  public var description: String { "seed \(seed)" }
}
