/// A way in which weights and formulas differ between frameworks, spelled as the option that undoes it:
/// `--set gate_order=iofg`.
///
/// What a convention says of the weights is undone while a file is read (`RearrangedContents`), so that
/// everything behind that knows PyTorch's layout alone; what it says of the arithmetic the runtimes do.
public enum Convention: Hashable, Sendable {
  /// The gates stand one below the other in this order, of the letters i f g o or r z n: Keras has `ifgo`
  /// and `zrn`, ONNX `iofg` and `zrn`.
  case gateOrder(String)
  /// Matrices are [inputs, outputs], as in Keras.
  case transpose
  /// What became of the two biases of a gate.
  case bias(Bias)
  /// Where a GRU applies its reset gate.
  case gruReset(RecurrentConfiguration.GRUReset)
  /// The activation of an RNN.
  case nonlinearity(RecurrentConfiguration.Nonlinearity)
  /// Whether inputs and outputs are [batch, steps, features].
  case batchFirst(Bool)
  /// The weights of both directions are exchanged.
  case directionSwapped
  /// For each layer its index in the file.
  case layerOrder([Int])
  /// What the given initial states are.
  case state(RecurrentConfiguration.GivenState)
  /// A projection stands in the file, but h is not multiplied with it.
  case projectionIgnored
  /// What is added to the bias of an LSTM's forget gate: 1 in TensorFlow's old cells.
  case forgetBias(Double)
  /// The sigmoid of the gates.
  case sigmoid(RecurrentConfiguration.Sigmoid)

  /// What became of b_ih and b_hh.
  public enum Bias: String, Sendable, CaseIterable {
    /// They were added up. That cannot be undone in a GRU, where b_hn is multiplied with r.
    case merged
    /// Each stands in the other's place.
    case swapped
  }

  /// The order of the gates in PyTorch; nil for an RNN, which has one.
  package static func gates(of kind: RecurrentConfiguration.Kind) -> String? {
    switch kind {
    case .rnn: nil
    case .lstm: "ifgo"
    case .gru: "rzn"
    }
  }

  /// The kind whose gates these letters are, each of them once; nil for other letters.
  static func kind(ofGates letters: String) -> RecurrentConfiguration.Kind? {
    RecurrentConfiguration.Kind.allCases.first { gates(of: $0)?.sorted() == letters.sorted() }
  }

  /// The option and its value, `gate_order=iofg`.
  public var setting: String {
    switch self {
    case .gateOrder(let letters): "gate_order=\(letters)"
    case .transpose: "transpose=true"
    case .bias(let bias): "bias=\(bias.rawValue)"
    case .gruReset(let reset): "gru_reset=\(reset.rawValue)"
    case .nonlinearity(let nonlinearity): "nonlinearity=\(nonlinearity.rawValue)"
    case .batchFirst(let flag): "batch_first=\(flag)"
    case .directionSwapped: "direction=swapped"
    case .layerOrder(let order): "layer_order=\(order.map(String.init).joined(separator: ","))"
    case .state(let state): "state=\(state.rawValue)"
    case .projectionIgnored: "projection=ignored"
    case .forgetBias(let value): "forget_bias=\(value)"
    case .sigmoid(let sigmoid): "sigmoid=\(sigmoid.rawValue)"
    }
  }

  /// Whether weights, options or both can be changed so that the model computes what was recorded.
  ///
  /// Only the biases of a GRU cannot be taken apart again.
  public var canBeUndone: Bool { self != .bias(.merged) }
}

extension Convention: CustomStringConvertible {
  /// What is the case, in a sentence without its full stop.
  public var description: String {
    switch self {
    case .gateOrder(let letters):
      let kind = Self.kind(ofGates: letters)?.rawValue.uppercased() ?? ""
      let spaced = letters.map(String.init).joined(separator: " ")
      let origin = Self.origins[letters].map { "\($0) order (\(spaced))" } ?? "the order \(spaced)"
      return "The \(kind) gates are in \(origin)"
    case .transpose: return "The matrices are transposed, [inputs, outputs]"
    case .bias(.merged): return "The two biases of the GRU were merged into one"
    case .bias(.swapped): return "The biases b_ih and b_hh of the GRU are exchanged"
    case .gruReset(.before): return "The reset gate of the GRU acts before the product W_hn h"
    case .gruReset(.after): return "The reset gate of the GRU acts after the product W_hn h"
    case .nonlinearity(let nonlinearity):
      return "The activation of the RNN is \(nonlinearity.rawValue)"
    case .batchFirst(true): return "The golden is [batch, steps, features]"
    case .batchFirst(false): return "The golden is [steps, batch, features]"
    case .directionSwapped: return "The two directions are exchanged"
    case .layerOrder(let order):
      return "The layers stand in another order: \(order.map(String.init).joined(separator: ", "))"
    case .state(.swapped): return "h_0 and c_0 of the golden are exchanged"
    case .state(.zero): return "The golden was recorded from a zero state, not from its h_0"
    case .state(.given): return "The golden was recorded from the state that it gives"
    case .projectionIgnored: return "The golden was recorded without the projection"
    case .forgetBias(let value):
      return "\(value) is added to the bias of the forget gate and missing in the weights"
    case .sigmoid(.hardKeras2):
      return "The gates use Keras 2's hard sigmoid, 0.2 x + 0.5 cut to 0 … 1"
    case .sigmoid(.hardTorch): return "The gates use the hard sigmoid x / 6 + 0.5 cut to 0 … 1"
    case .sigmoid(.logistic): return "The gates use the logistic sigmoid"
    }
  }

  /// Whose order of gates it is, where that is well known.
  private static let origins = ["iofg": "ONNX", "zrn": "ONNX and Keras"]
}
