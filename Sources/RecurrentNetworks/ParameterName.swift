/// A parameter's name as PyTorch spells it: `encoder.rnn.weight_ih_l0_reverse`.
///
/// Cells have names without a layer: `cells.0.weight_ih`.
///
/// Source: the *Variables* sections of `torch.nn.RNN`, `LSTM`, `GRU` and their cells.
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
  /// The layer, counted from the input; 0 in a cell.
  public var layer: Int
  /// The direction; forward in a cell.
  public var direction: Direction
  /// Whether the module is a cell, whose names have no layer: `cell.weight_ih`.
  public var isCell = false

  /// Puts a name of a stack together.
  public init(module: String = "", kind: Kind, layer: Int, direction: Direction = .forward) {
    self.module = module
    self.kind = kind
    self.layer = layer
    self.direction = direction
  }

  /// Puts a name of a cell together.
  public init(module: String = "", ofCell kind: Kind) {
    self.init(module: module, kind: kind, layer: 0)
    isCell = true
  }
}

extension ParameterName: LosslessStringConvertible {
  /// Parses a name; nil when it is none of a recurrent module.
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
    // A cell has no projection.
    if let kind = Kind(rawValue: String(name)), kind != .projectionWeight {
      self.kind = kind
      layer = 0
      isCell = true
      return
    }
    if name.hasSuffix("_reverse") {
      direction = .reverse
      name = name.dropLast("_reverse".count)
    }
    guard let kind = Kind.allCases.first(where: { name.hasPrefix($0.rawValue + "_l") }) else {
      return nil
    }
    self.kind = kind
    let digits = name.dropFirst(kind.rawValue.count + "_l".count)
    guard let layer = Int(digits), layer >= 0, String(layer) == digits else { return nil }
    self.layer = layer
  }

  /// The name as PyTorch spells it.
  public var description: String {
    let name = (module.isEmpty ? "" : module + ".") + kind.rawValue
    if isCell { return name }
    return name + "_l\(layer)" + (direction == .reverse ? "_reverse" : "")
  }
}
