internal import Checkpoints
internal import CRecurrentKernels

/// One `nn.RNN`, `nn.LSTM` or `nn.GRU` with its weights: immutable, shared by threads.
public final class StackedRNN: Sendable {
  /// The path of its parameters in the checkpoint.
  public let name: String
  /// Sizes and options.
  public let configuration: RecurrentConfiguration

  /// Layer by layer, forward before reverse.
  private let layers: [Layer]

  struct Layer: Sendable {
    let inputSize: Int
    let weights: PackedWeights
    let projection: PackedWeights?
  }

  /// Reads and packs the weights of a stack.
  init(_ stack: ModelBlueprint.Stack, of blueprint: ModelBlueprint) throws(CheckpointError) {
    let configuration = stack.configuration
    var layers: [Layer] = []
    for layer in 0..<configuration.layerCount {
      for direction in configuration.directions {
        let projection = try blueprint.parameter(
          .projectionWeight, of: stack, layer: layer, direction)
        layers.append(
          Layer(
            inputSize: configuration.inputSize(ofLayer: layer),
            weights: try .layer(layer, direction, of: stack, blueprint),
            projection: try projection?.floats().packedMatrix(
              rows: configuration.projectionSize, columns: configuration.hiddenSize)))
      }
    }
    self.name = stack.name
    self.configuration = configuration
    self.layers = layers
  }

  /// The kernels' name for the cell.
  private var cell: strata_cell {
    switch (configuration.kind, configuration.nonlinearity, configuration.gruReset) {
    case (.rnn, .tanh, _): STRATA_RNN_TANH
    case (.rnn, .relu, _): STRATA_RNN_RELU
    case (.lstm, _, _): STRATA_LSTM
    case (.gru, _, .after): STRATA_GRU
    case (.gru, _, .before): STRATA_GRU_RESET_BEFORE
    }
  }

  /// The slope of the gates' sigmoid, as the kernels take it.
  private var hardSlope: Float {
    switch configuration.sigmoid {
    case .logistic: 0
    case .hardKeras2: 0.2
    case .hardTorch: 1.0 / 6
    }
  }

  /// A layer in one direction as the kernels take it; its pointers live as long as this does.
  @unsafe
  func kernelLayer(_ layer: Int, _ direction: ParameterName.Direction) -> strata_layer {
    let packed = layers[layer * configuration.directionCount + direction.rawValue]
    return unsafe strata_layer(
      cell: cell, input_size: packed.inputSize, hidden_size: configuration.hiddenSize,
      state_size: configuration.stateSize, weights: packed.weights.floats,
      projection: packed.projection?.floats,
      has_finite_state_weights: packed.weights.hasFiniteStateWeights, hard_slope: hardSlope)
  }
}

extension [Float] {
  fileprivate func packedMatrix(rows: Int, columns: Int) -> PackedWeights {
    .linear(self, bias: nil, rows: rows, columns: columns)
  }
}
