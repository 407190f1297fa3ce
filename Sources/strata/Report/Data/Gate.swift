import RecurrentNetworks

/// A gate of a cell, or the only sum of an RNN.
struct Gate: Hashable, Encodable {
  /// PyTorch's letter; `h` for the sum of an RNN.
  var letter: String
  /// What it does, in a word or two.
  var role: String
  /// `sigmoid`, `tanh` or `relu`.
  var activation: String

  /// The gates of a module in PyTorch's order.
  static func gates(of configuration: RecurrentConfiguration) -> [Gate] {
    switch configuration.kind {
    case .rnn:
      [Gate(letter: "h", role: "hidden state", activation: configuration.nonlinearity.rawValue)]
    case .lstm:
      [
        Gate(letter: "i", role: "input gate", activation: "sigmoid"),
        Gate(letter: "f", role: "forget gate", activation: "sigmoid"),
        Gate(letter: "g", role: "cell candidate", activation: "tanh"),
        Gate(letter: "o", role: "output gate", activation: "sigmoid"),
      ]
    case .gru:
      [
        Gate(letter: "r", role: "reset gate", activation: "sigmoid"),
        Gate(letter: "z", role: "update gate", activation: "sigmoid"),
        Gate(letter: "n", role: "candidate", activation: "tanh"),
      ]
    }
  }
}
