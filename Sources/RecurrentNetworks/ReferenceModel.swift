public import Checkpoints

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#elseif canImport(Android)
  internal import Android
#endif

/// A model in float64, written to be obviously right: what the fast one is measured against.
///
/// Sequences run one after the other, as in the formulas of PyTorch's pages on `RNN`, `LSTM` and `GRU`.
public struct ReferenceModel: Sendable {
  /// What the model is.
  public let blueprint: ModelBlueprint

  private let stacks: [[Layer]]
  private let headWeight: Matrix?
  private let headBias: [Double]?
  private let embedding: Matrix?

  /// Loads the weights of a blueprint.
  /// - Throws: what reading a tensor throws, `dtypeUnsupported`.
  public init(_ blueprint: ModelBlueprint) throws(CheckpointError) {
    self.blueprint = blueprint
    stacks = try blueprint.stacks.map { stack throws(CheckpointError) in
      try Self.layers(of: stack, blueprint)
    }
    embedding = try blueprint.embedding.map { embedding throws(CheckpointError) in
      let table = try blueprint.parameter("\(embedding.name).weight")
      return Matrix(table, try table.doubles())
    }
    if let head = blueprint.head {
      let weight = try blueprint.parameter("\(head.name).weight")
      headWeight = Matrix(weight, try weight.doubles())
      headBias =
        head.configuration.hasBias
        ? try blueprint.parameter("\(head.name).bias").doubles() : nil
    } else {
      headWeight = nil
      headBias = nil
    }
  }

  /// One sequence's state in one stack: h and c by layer and direction.
  public struct State: Hashable, Sendable {
    /// h, [layers × directions][P or H].
    public var hidden: [[Double]]
    /// c, [layers × directions][H]; without meaning but for an LSTM.
    public var cell: [[Double]]

    /// Zeros.
    public init(_ configuration: RecurrentConfiguration) {
      let layers = configuration.layerCount * configuration.directionCount
      hidden = Array(
        repeating: Array(repeating: 0, count: configuration.stateSize), count: layers)
      cell = Array(
        repeating: Array(repeating: 0, count: configuration.hiddenSize), count: layers)
    }
  }

  /// What a sequence gives.
  public struct Result: Hashable, Sendable {
    /// The last stack's output, [steps][features].
    public var output: [[Double]]
    /// The head's output, [steps][features], or one row for a head on the last step; nil without head.
    public var head: [[Double]]?
    /// The final state of every stack.
    public var states: [State]
    /// What went on inside, layer by layer of every stack, forward before reverse.
    public var layers: [LayerResult] = []
  }

  /// What went on inside one layer in one direction, at every step.
  public struct LayerResult: Hashable, Sendable {
    /// The place of the stack in the model.
    public var stack: Int
    /// The layer.
    public var layer: Int
    /// The direction.
    public var direction: ParameterName.Direction
    /// h, [steps][P or H].
    public var hidden: [[Double]]
    /// c, [steps][H]; empty rows but for an LSTM.
    public var cell: [[Double]]
    /// The gates after their activation, [steps][gates × H]; empty rows for an RNN.
    public var gates: [[Double]]
  }

  /// Looks tokens up, [tokens × features].
  /// - Throws: `tokenOutOfRange`.
  func embedded(_ tokens: [Int]) throws(CheckpointError) -> [Double] {
    guard let embedding else { preconditionFailure("a model without embedding takes no tokens") }
    var values: [Double] = []
    for (position, token) in tokens.enumerated() {
      guard embedding.rows.indices.contains(token) else {
        throw CheckpointError(
          .tokenOutOfRange, tensor: "input",
          "token \(token) at position \(position), the vocabulary has \(embedding.rows.count)")
      }
      values += embedding.rows[token]
    }
    return values
  }

  /// Runs one sequence, [steps][inputSize], from a state of every stack.
  ///
  /// With a length, the steps behind it are padding: they give zeros and change no state.
  public func run(
    _ sequence: [[Double]], length: Int? = nil, from states: [State]
  ) -> Result {
    let own = 0..<(length ?? sequence.count)
    var result = Result(output: sequence, head: nil, states: states)
    for (stack, layers) in stacks.enumerated() {
      let configuration = blueprint.stacks[stack].configuration
      for layer in 0..<configuration.layerCount {
        let input = result.output
        result.output = Array(
          repeating: Array(repeating: 0, count: configuration.outputSize), count: input.count)
        for direction in configuration.directions {
          let slot = layer * configuration.directionCount + direction.rawValue
          let column = direction.rawValue * configuration.stateSize
          var hidden = states[stack].hidden[slot]
          var cell = states[stack].cell[slot]
          var inside = LayerResult(
            stack: stack, layer: layer, direction: direction, sizesOf: configuration,
            steps: input.count)
          for step in direction == .forward ? Array(own) : own.reversed() {
            let gates = layers[slot].step(configuration, input[step], &hidden, &cell)
            // Forward comes first, so its features stand before those of reverse.
            result.output[step].replaceSubrange(column..<(column + hidden.count), with: hidden)
            inside.hidden[step] = hidden
            if configuration.kind == .lstm { inside.cell[step] = cell }
            if configuration.kind != .rnn { inside.gates[step] = gates }
          }
          result.states[stack].hidden[slot] = hidden
          result.states[stack].cell[slot] = cell
          result.layers.append(inside)
        }
      }
    }
    result.head = headOutput(result, last: own.upperBound - 1)
    return result
  }

  /// One step of one layer in one direction from a given input and state: replaces the state, and gives
  /// the gates after their activation.
  func step(
    _ stack: Int, _ layer: Int, _ direction: ParameterName.Direction, input: [Double],
    hidden: inout [Double], cell: inout [Double]
  ) -> [Double] {
    let configuration = blueprint.stacks[stack].configuration
    let slot = layer * configuration.directionCount + direction.rawValue
    return stacks[stack][slot].step(configuration, input, &hidden, &cell)
  }

  private func headOutput(_ result: Result, last: Int) -> [[Double]]? {
    guard let head = blueprint.head?.configuration, let headWeight,
      let stack = blueprint.stacks.last?.configuration, let state = result.states.last
    else { return nil }
    let inputs =
      switch head.input {
      case .all: result.output
      case .last: [result.output[last]]
      case .finalState: [Array(state.hidden.suffix(stack.directionCount).joined())]
      }
    return inputs.map { activated((headWeight * $0).adding(headBias), head.activation) }
  }

  private func activated(
    _ values: [Double], _ activation: HeadConfiguration.Activation
  ) -> [Double] {
    switch activation {
    case .none: return values
    case .sigmoid: return values.map(logistic)
    case .tanh: return values.map { tanh($0) }
    case .relu: return values.map(relu)
    case .softmax:
      let largest = values.reduce(-Double.infinity) { $0 > $1 || $0.isNaN ? $0 : $1 }
      let powers = values.map { exp($0 - largest) }
      let total = powers.reduce(0, +)
      return powers.map { $0 / total }
    }
  }

  // MARK: Layers

  private static func layers(
    of stack: ModelBlueprint.Stack, _ blueprint: ModelBlueprint
  ) throws(CheckpointError) -> [Layer] {
    var layers: [Layer] = []
    for layer in 0..<stack.configuration.layerCount {
      for direction in stack.configuration.directions {
        func gates(_ kind: ParameterName.Kind) throws(CheckpointError) -> [Matrix]? {
          let tensor = try blueprint.parameter(kind, of: stack, layer: layer, direction)
          guard let tensor else { return nil }
          let rows = try Matrix(tensor, tensor.doubles()).rows
          let hidden = stack.configuration.hiddenSize
          return (0..<stack.configuration.kind.gateCount).map {
            Matrix(rows: Array(rows[($0 * hidden)..<(($0 + 1) * hidden)]))
          }
        }
        guard let inputWeights = try gates(.inputWeight),
          let hiddenWeights = try gates(.hiddenWeight)
        else { preconditionFailure("a layer without its weights") }
        let projection = try blueprint.parameter(
          .projectionWeight, of: stack, layer: layer, direction)
        layers.append(
          Layer(
            inputWeights: inputWeights, hiddenWeights: hiddenWeights,
            inputBiases: try gates(.inputBias)?.map(\.column),
            hiddenBiases: try gates(.hiddenBias)?.map(\.column),
            projection: try projection.map { tensor throws(CheckpointError) in
              Matrix(tensor, try tensor.doubles())
            }))
      }
    }
    return layers
  }
}

extension ReferenceModel.LayerResult {
  /// Zeros, as padding has them.
  fileprivate init(
    stack: Int, layer: Int, direction: ParameterName.Direction,
    sizesOf configuration: RecurrentConfiguration, steps: Int
  ) {
    func zeros(_ size: Int) -> [[Double]] {
      Array(repeating: Array(repeating: 0, count: size), count: steps)
    }
    self.init(
      stack: stack, layer: layer, direction: direction, hidden: zeros(configuration.stateSize),
      cell: zeros(configuration.recordedCellSize), gates: zeros(configuration.recordedGateSize))
  }
}

/// One layer in one direction, gate by gate in PyTorch's order.
private struct Layer: Sendable {
  var inputWeights: [Matrix]
  var hiddenWeights: [Matrix]
  var inputBiases: [[Double]]?
  var hiddenBiases: [[Double]]?
  var projection: Matrix?

  /// One step: replaces h and c, and gives the gates after their activation.
  func step(
    _ configuration: RecurrentConfiguration, _ input: [Double], _ hidden: inout [Double],
    _ cell: inout [Double]
  ) -> [Double] {
    // W_ih x + b_ih and W_hh h + b_hh of every gate.
    let fromInput = inputWeights.indices.map {
      (inputWeights[$0] * input).adding(inputBiases?[$0])
    }
    let fromHidden = hiddenWeights.indices.map {
      (hiddenWeights[$0] * hidden).adding(hiddenBiases?[$0])
    }
    func sum(_ gate: Int) -> [Double] { zip(fromInput[gate], fromHidden[gate]).map { $0 + $1 } }
    let sigmoid: (Double) -> Double =
      switch configuration.sigmoid {
      case .logistic: logistic
      case .hardKeras2: { clip(0.2 * $0 + 0.5) }
      case .hardTorch: { clip($0 / 6 + 0.5) }
      }

    switch configuration.kind {
    case .rnn:
      hidden = sum(0).map(configuration.nonlinearity == .tanh ? { tanh($0) } : relu)
      return []
    case .lstm:
      let i = sum(0).map(sigmoid)
      let f = sum(1).map(sigmoid)
      let g = sum(2).map { tanh($0) }
      let o = sum(3).map(sigmoid)
      cell = cell.indices.map { f[$0] * cell[$0] + i[$0] * g[$0] }
      hidden = cell.indices.map { o[$0] * tanh(cell[$0]) }
      if let projection { hidden = projection * hidden }
      return [i, f, g, o].flatMap(\.self)
    case .gru:
      let r = sum(0).map(sigmoid)
      let z = sum(1).map(sigmoid)
      let fromReset =
        switch configuration.gruReset {
        case .after: r.indices.map { r[$0] * fromHidden[2][$0] }
        case .before:
          (hiddenWeights[2] * r.indices.map { r[$0] * hidden[$0] }).adding(hiddenBiases?[2])
        }
      let n = r.indices.map { tanh(fromInput[2][$0] + fromReset[$0]) }
      hidden = n.indices.map { (1 - z[$0]) * n[$0] + z[$0] * hidden[$0] }
      return [r, z, n].flatMap(\.self)
    }
  }
}

/// Rows of numbers.
private struct Matrix: Sendable {
  var rows: [[Double]]

  init(rows: [[Double]]) { self.rows = rows }

  /// The values of a matrix [rows, columns], or of a vector as one column.
  init(_ tensor: Tensor, _ values: [Double]) {
    let columns = tensor.shape.rank == 2 ? tensor.shape[1] : 1
    rows = (0..<tensor.shape[0]).map { Array(values[($0 * columns)..<(($0 + 1) * columns)]) }
  }

  var column: [Double] { rows.map { $0[0] } }

  static func * (matrix: Matrix, vector: [Double]) -> [Double] {
    matrix.rows.map { row in
      var sum = 0.0
      for (index, weight) in row.enumerated() { sum += weight * vector[index] }
      return sum
    }
  }
}

extension [Double] {
  /// The vector and a bias, where there is one.
  fileprivate func adding(_ bias: [Double]?) -> [Double] {
    guard let bias else { return self }
    return zip(self, bias).map { $0 + $1 }
  }
}

private func logistic(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

/// x between 0 and 1; NaN stays NaN.
private func clip(_ x: Double) -> Double { x < 0 ? 0 : x > 1 ? 1 : x }

private func relu(_ x: Double) -> Double { x < 0 ? 0 : x }
