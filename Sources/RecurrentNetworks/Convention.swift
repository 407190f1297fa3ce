/// How the framework that a file comes from lays out its gates.
///
/// Weights are rearranged into PyTorch's layout by the convention while they are packed; everything
/// behind that knows PyTorch's alone.
public struct Convention: Hashable, Sendable {
  /// The framework.
  public var origin: String
  /// The gates of an LSTM in the file's order, of the letters i f g o.
  public var lstmGates: String
  /// The gates of a GRU in the file's order, of the letters r z n.
  public var gruGates: String

  /// Describes a framework's layout.
  public init(origin: String, lstmGates: String = "ifgo", gruGates: String = "rzn") {
    self.origin = origin
    self.lstmGates = lstmGates
    self.gruGates = gruGates
  }

  /// PyTorch's own layout, the identity.
  public static let pytorch = Convention(origin: "PyTorch")

  /// For each gate in PyTorch's order, its place in the file.
  func places(of kind: RecurrentConfiguration.Kind) -> [Int] {
    let (own, file): (String, String) =
      switch kind {
      case .rnn: ("h", "h")
      case .lstm: (Self.pytorch.lstmGates, lstmGates)
      case .gru: (Self.pytorch.gruGates, gruGates)
      }
    let places = own.compactMap { Array(file).firstIndex(of: $0) }
    precondition(
      places.count == own.count && file.count == own.count,
      "gates \(file): each of \(own) must occur once")
    return places
  }
}
