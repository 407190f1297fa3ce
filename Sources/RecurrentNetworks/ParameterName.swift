/// A parameter's name as PyTorch spells it: `encoder.rnn.weight_ih_l0_reverse`.
///
/// Source: the *Variables* sections of `torch.nn.RNN`, `LSTM` and `GRU`.
public struct ParameterName: Hashable, Sendable {
  /// What a parameter is.
  public enum Kind: String, Sendable, CaseIterable {
    /// W_ih, [gates × hidden, input].
    case inputWeight = "weight_ih"
    /// W_hh, [gates × hidden, output of the layer].
    case hiddenWeight = "weight_hh"
    /// b_ih, [gates × hidden].
    case inputBias = "bias_ih"
    /// b_hh, [gates × hidden].
    case hiddenBias = "bias_hh"
    /// W_hr, [projection, hidden].
    case projectionWeight = "weight_hr"
  }

  /// The way a layer reads its sequence.
  public enum Direction: Int, Sendable, CaseIterable, Comparable {
    /// From the first step to the last.
    case forward
    /// From the last step to the first.
    case reverse

    /// Forward comes first, as everywhere in PyTorch.
    public static func < (left: Direction, right: Direction) -> Bool {
      left.rawValue < right.rawValue
    }
  }

  /// The path of the module, without a dot at its end; empty at the root.
  public var module: String
  /// What the parameter is.
  public var kind: Kind
  /// The layer, counted from the input.
  public var layer: Int
  /// The direction.
  public var direction: Direction

  /// Puts a name together.
  public init(module: String = "", kind: Kind, layer: Int, direction: Direction = .forward) {
    self.module = module
    self.kind = kind
    self.layer = layer
    self.direction = direction
  }
}

extension ParameterName: LosslessStringConvertible {
  /// Parses a name; nil when it is none of a recurrent stack.
  public init?(_ description: String) {
    var name = description[...]
    module = ""
    if let dot = name.lastIndex(of: ".") {
      module = String(name[..<dot])
      name = name[name.index(after: dot)...]
      // `.weight_ih_l0` has no module, yet is no name at the root either.
      if module.isEmpty { return nil }
    }
    direction = .forward
    if name.hasSuffix("_reverse") {
      direction = .reverse
      name = name.dropLast("_reverse".count)
    }
    guard let kind = Kind.allCases.first(where: { name.hasPrefix($0.rawValue + "_l") }) else {
      return nil
    }
    self.kind = kind
    let digits = name.dropFirst(kind.rawValue.count + "_l".count)
    guard let layer = Int(digits), String(layer) == digits else { return nil }
    self.layer = layer
  }

  /// The name as PyTorch spells it.
  public var description: String {
    let suffix = direction == .reverse ? "_reverse" : ""
    return (module.isEmpty ? "" : module + ".") + kind.rawValue + "_l\(layer)" + suffix
  }
}

extension String {
  /// Whether the name stands before another, runs of digits compared as numbers: `l2` before `l10`.
  package func precedesNaturally(_ other: String) -> Bool {
    var left = self[...]
    var right = other[...]
    while let a = left.first, let b = right.first {
      if a.isASCIIDigit, b.isASCIIDigit {
        let first = left.prefix { $0.isASCIIDigit }
        let second = right.prefix { $0.isASCIIDigit }
        let one = first.drop { $0 == "0" }
        let two = second.drop { $0 == "0" }
        if one != two { return one.count == two.count ? one < two : one.count < two.count }
        left = left.dropFirst(first.count)
        right = right.dropFirst(second.count)
      } else if a != b {
        return a < b
      } else {
        left = left.dropFirst()
        right = right.dropFirst()
      }
    }
    if left.isEmpty, right.isEmpty { return self < other }
    return left.isEmpty
  }
}

extension Character {
  fileprivate var isASCIIDigit: Bool { "0"..."9" ~= self }
}
