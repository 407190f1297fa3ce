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

  /// Loads the weights of a blueprint.
  /// - Throws: what reading a tensor throws, `dtypeUnsupported`.
  public init(_ blueprint: ModelBlueprint) throws(CheckpointError) {
    self.blueprint = blueprint
    stacks = try blueprint.stacks.map { stack throws(CheckpointError) in
      try Self.layers(of: stack, blueprint)
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
  }

  /// Runs one sequence, [steps][inputSize], from a state of every stack.
  public func run(_ sequence: [[Double]], from states: [State]) -> Result {
    var result = Result(output: sequence, head: nil, states: states)
    for (stack, layers) in stacks.enumerated() {
      let configuration = blueprint.stacks[stack].configuration
      for layer in 0..<configuration.layerCount {
        let input = result.output
        result.output = Array(repeating: [], count: input.count)
        for direction in configuration.directions {
          let slot = layer * configuration.directionCount + direction.rawValue
          var hidden = states[stack].hidden[slot]
          var cell = states[stack].cell[slot]
          let steps = input.indices
          for step in direction == .forward ? Array(steps) : steps.reversed() {
            layers[slot].step(configuration, input[step], &hidden, &cell)
            // Forward comes first, so its features stand before those of reverse.
            result.output[step] += hidden
          }
          result.states[stack].hidden[slot] = hidden
          result.states[stack].cell[slot] = cell
        }
      }
    }
    result.head = headOutput(result)
    return result
  }

  private func headOutput(_ result: Result) -> [[Double]]? {
    guard let head = blueprint.head?.configuration, let headWeight,
      let stack = blueprint.stacks.last?.configuration, let state = result.states.last,
      let last = result.output.last
    else { return nil }
    let inputs =
      switch head.input {
      case .all: result.output
      case .last: [last]
      case .finalState: [Array(state.hidden.suffix(stack.directionCount).joined())]
      }
    return inputs.map { activated(headWeight * $0 + headBias, head.activation) }
  }

  private func activated(
    _ values: [Double], _ activation: HeadConfiguration.Activation
  ) -> [Double] {
    switch activation {
    case .none: return values
    case .sigmoid: return values.map(sigmoid)
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
        let places = blueprint.convention.places(of: stack.configuration.kind)
        func gates(_ kind: ParameterName.Kind) throws(CheckpointError) -> [Matrix]? {
          let tensor = try blueprint.parameter(kind, of: stack, layer: layer, direction)
          guard let tensor else { return nil }
          let rows = try Matrix(tensor, tensor.doubles()).rows
          let hidden = stack.configuration.hiddenSize
          return places.map { Matrix(rows: Array(rows[($0 * hidden)..<(($0 + 1) * hidden)])) }
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

/// One layer in one direction, gate by gate in PyTorch's order.
private struct Layer: Sendable {
  var inputWeights: [Matrix]
  var hiddenWeights: [Matrix]
  var inputBiases: [[Double]]?
  var hiddenBiases: [[Double]]?
  var projection: Matrix?

  /// One step: replaces h and c.
  func step(
    _ configuration: RecurrentConfiguration, _ input: [Double], _ hidden: inout [Double],
    _ cell: inout [Double]
  ) {
    // W_ih x + b_ih and W_hh h + b_hh of every gate.
    let fromInput = inputWeights.indices.map { inputWeights[$0] * input + inputBiases?[$0] }
    let fromHidden = hiddenWeights.indices.map { hiddenWeights[$0] * hidden + hiddenBiases?[$0] }
    func sum(_ gate: Int) -> [Double] { zip(fromInput[gate], fromHidden[gate]).map { $0 + $1 } }

    switch configuration.kind {
    case .rnn:
      hidden = sum(0).map(configuration.nonlinearity == .tanh ? { tanh($0) } : relu)
    case .lstm:
      let i = sum(0).map(sigmoid)
      let f = sum(1).map(sigmoid)
      let g = sum(2).map { tanh($0) }
      let o = sum(3).map(sigmoid)
      cell = cell.indices.map { f[$0] * cell[$0] + i[$0] * g[$0] }
      hidden = cell.indices.map { o[$0] * tanh(cell[$0]) }
      if let projection { hidden = projection * hidden }
    case .gru:
      let r = sum(0).map(sigmoid)
      let z = sum(1).map(sigmoid)
      let n = r.indices.map { tanh(fromInput[2][$0] + r[$0] * fromHidden[2][$0]) }
      hidden = n.indices.map { (1 - z[$0]) * n[$0] + z[$0] * hidden[$0] }
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

/// Adds a bias, where there is one.
private func + (vector: [Double], bias: [Double]?) -> [Double] {
  guard let bias else { return vector }
  return zip(vector, bias).map { $0 + $1 }
}

private func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

private func relu(_ x: Double) -> Double { x < 0 ? 0 : x }
