public import Checkpoints

/// What one `nn.RNN`, `nn.LSTM` or `nn.GRU` is, or one of their cells: sizes and options.
public struct RecurrentConfiguration: Hashable, Sendable {
  /// The kind of cell.
  public enum Kind: String, Sendable, CaseIterable {
    /// h = tanh or relu of W_ih x + b_ih + W_hh h + b_hh.
    case rnn
    /// Long short-term memory, gates i f g o.
    case lstm
    /// Gated recurrent unit, gates r z n.
    case gru

    /// How many gates stand one below the other in a weight.
    public var gateCount: Int {
      switch self {
      case .rnn: 1
      case .lstm: 4
      case .gru: 3
      }
    }
  }

  /// The activation of an RNN.
  public enum Nonlinearity: String, Sendable, CaseIterable {
    /// Hyperbolic tangent.
    case tanh
    /// max(x, 0).
    case relu
  }

  /// Where the reset gate r of a GRU stands.
  public enum GRUReset: String, Sendable, CaseIterable {
    /// Behind the product: n = tanh(W_in x + b_in + r ∘ (W_hn h + b_hn)).
    ///
    /// So in PyTorch and cuDNN; Keras's `reset_after=True`, ONNX's `linear_before_reset=1`.
    case after
    /// Before the product: n = tanh(W_in x + b_in + W_hn (r ∘ h) + b_hn).
    ///
    /// So in the paper that introduced the GRU ([Cho et al. 2014](https://arxiv.org/abs/1406.1078v3),
    /// equation 8); Keras's `reset_after=False`, ONNX's default, `linear_before_reset=0`.
    case before
  }

  /// The sigmoid σ of an LSTM's gates i f o and of a GRU's r z.
  public enum Sigmoid: String, Sendable, CaseIterable {
    /// 1 / (1 + e^−x).
    case logistic
    /// clip(0.2 x + 0.5, 0, 1), the `hard_sigmoid` of Keras up to version 2, where it was the default of
    /// `recurrent_activation` for long; ONNX's `HardSigmoid` with its default `alpha` and `beta`.
    case hardKeras2 = "hard_keras2"
    /// clip(x / 6 + 0.5, 0, 1), PyTorch's `nn.Hardsigmoid`; Keras's `hard_sigmoid` from version 3 on.
    case hardTorch = "hard_torch"
  }

  /// What initial states are that are given by name, `h_0` and `c_0`.
  public enum GivenState: String, Sendable, CaseIterable {
    /// What their names say.
    case given
    /// Each is the other one; LSTM only.
    case swapped
    /// Without meaning: every run begins with zeros.
    case zero
  }

  /// The kind of cell.
  public var kind: Kind
  /// Features of the input, I.
  public var inputSize: Int
  /// Hidden units, H.
  public var hiddenSize: Int
  /// Whether it is a cell: one layer, forward, whose parameters' names have no layer.
  public var isCell = false
  /// Layers of the stack, L.
  public var layerCount = 1
  /// Features of the projected hidden state, P; 0 without projection.
  ///
  /// LSTM only.
  public var projectionSize = 0
  /// Whether every layer runs in both directions.
  public var isBidirectional = false
  /// Whether there are biases b_ih and b_hh.
  public var hasBias = true
  /// The activation of an RNN; without meaning for other kinds.
  public var nonlinearity = Nonlinearity.tanh
  /// Where a GRU's reset gate stands; without meaning for other kinds.
  public var gruReset = GRUReset.after
  /// The sigmoid of the gates; without meaning for an RNN.
  public var sigmoid = Sigmoid.logistic
  /// Whether inputs and outputs are [batch, steps, features] instead of [steps, batch, features].
  public var isBatchFirst = false
  /// What initial states are that are given by name.
  ///
  /// States that are set in a `Session` are what they are called.
  public var givenState = GivenState.given
  /// The dropout between layers in training.
  ///
  /// Inference does not drop anything.
  public var dropout = 0.0

  /// A stack of one layer, forward, with bias.
  public init(kind: Kind, inputSize: Int, hiddenSize: Int) {
    self.kind = kind
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
  }

  /// Features of h and of one direction's output: P with a projection, else H.
  public var stateSize: Int { projectionSize > 0 ? projectionSize : hiddenSize }

  /// Directions, D: 1 or 2.
  public var directionCount: Int { isBidirectional ? 2 : 1 }

  /// The directions in PyTorch's order.
  public var directions: [ParameterName.Direction] {
    isBidirectional ? [.forward, .reverse] : [.forward]
  }

  /// Features of the output, D × (P or H).
  public var outputSize: Int { directionCount * stateSize }

  /// Features of the input of a layer.
  public func inputSize(ofLayer layer: Int) -> Int { layer == 0 ? inputSize : outputSize }

  /// The name of a parameter.
  func name(
    _ kind: ParameterName.Kind, ofModule module: String, layer: Int,
    _ direction: ParameterName.Direction
  ) -> ParameterName {
    isCell
      ? ParameterName(module: module, ofCell: kind)
      : ParameterName(module: module, kind: kind, layer: layer, direction: direction)
  }

  /// Every parameter with its shape, in PyTorch's order: layer by layer, forward before reverse.
  /// - Throws: `shapeOverflow` for sizes out of this world.
  public func parameters(
    ofModule module: String
  ) throws(CheckpointError) -> [(name: ParameterName, shape: Shape)] {
    let (rows, overflow) = kind.gateCount.multipliedReportingOverflow(by: hiddenSize)
    guard !overflow else {
      throw CheckpointError(.shapeOverflow, "a hidden size of \(hiddenSize)")
    }
    var parameters: [(name: ParameterName, shape: Shape)] = []
    for layer in 0..<layerCount {
      for direction in directions {
        func add(_ kind: ParameterName.Kind, _ dimensions: [Int]) throws(CheckpointError) {
          parameters.append(
            (name(kind, ofModule: module, layer: layer, direction), try Shape(dimensions)))
        }
        try add(.inputWeight, [rows, inputSize(ofLayer: layer)])
        try add(.hiddenWeight, [rows, stateSize])
        if hasBias {
          try add(.inputBias, [rows])
          try add(.hiddenBias, [rows])
        }
        if projectionSize > 0 { try add(.projectionWeight, [projectionSize, hiddenSize]) }
      }
    }
    return parameters
  }
}

extension RecurrentConfiguration: CustomStringConvertible {
  /// The module as PyTorch would print it, `LSTM(3, 5, num_layers=2, bidirectional=True)`, with the options
  /// that PyTorch does not have.
  public var description: String {
    var options = ["\(inputSize)", "\(hiddenSize)"]
    if layerCount != 1 { options.append("num_layers=\(layerCount)") }
    if kind == .rnn, nonlinearity != .tanh {
      options.append("nonlinearity='\(nonlinearity.rawValue)'")
    }
    if kind == .gru, gruReset != .after { options.append("gru_reset='\(gruReset.rawValue)'") }
    if kind != .rnn, sigmoid != .logistic { options.append("sigmoid='\(sigmoid.rawValue)'") }
    if !hasBias { options.append("bias=False") }
    if isBatchFirst { options.append("batch_first=True") }
    if dropout != 0 { options.append("dropout=\(dropout)") }
    if isBidirectional { options.append("bidirectional=True") }
    if projectionSize > 0 { options.append("proj_size=\(projectionSize)") }
    let name = kind.rawValue.uppercased() + (isCell ? "Cell" : "")
    return "\(name)(\(options.joined(separator: ", ")))"
  }
}

/// A table of vectors that tokens are looked up in: `nn.Embedding`.
public struct EmbeddingConfiguration: Hashable, Sendable {
  /// How many tokens there are.
  public var vocabularySize: Int
  /// Features of a token's vector.
  public var size: Int

  /// A table [vocabularySize, size].
  public init(vocabularySize: Int, size: Int) {
    self.vocabularySize = vocabularySize
    self.size = size
  }
}

extension EmbeddingConfiguration: CustomStringConvertible {
  /// The module as PyTorch would print it.
  public var description: String { "Embedding(\(vocabularySize), \(size))" }
}

/// What the output layer y = activation(W h + b) is, and what it is applied to.
public struct HeadConfiguration: Hashable, Sendable {
  /// The activation behind W h + b.
  public enum Activation: String, Sendable, CaseIterable {
    /// None: y is W h + b.
    case none
    /// 1 / (1 + e^−x).
    case sigmoid
    /// Hyperbolic tangent.
    case tanh
    /// max(x, 0).
    case relu
    /// Over the output's features.
    case softmax
  }

  /// What W is multiplied with.
  public enum Input: String, Sendable, CaseIterable {
    /// The output of every step.
    case all
    /// The output of the last step.
    case last
    /// The last layer's final state, directions concatenated.
    case finalState = "h_n"
  }

  /// Features of the input.
  public var inputSize: Int
  /// Features of the output, O.
  public var outputSize: Int
  /// Whether there is a bias.
  public var hasBias = true
  /// The activation.
  public var activation = Activation.none
  /// What it is applied to.
  public var input = Input.all

  /// A linear layer with bias, applied to every step.
  public init(inputSize: Int, outputSize: Int) {
    self.inputSize = inputSize
    self.outputSize = outputSize
  }
}

extension HeadConfiguration: CustomStringConvertible {
  /// The layer as PyTorch would print it, with what follows and precedes it.
  public var description: String {
    var text = "Linear(\(inputSize), \(outputSize)\(hasBias ? "" : ", bias=False"))"
    if activation != .none { text += " + \(activation.rawValue)" }
    switch input {
    case .all: return text
    case .last: return text + " on the last step"
    case .finalState: return text + " on h_n"
    }
  }
}
