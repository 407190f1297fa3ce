internal import CRecurrentKernels

/// State and scratch memory of one stack for a batch.
final class StackMemory {
  private let configuration: RecurrentConfiguration
  private let batchSize: Int
  /// h by layer and direction: [layers × directions, batch, padded], and where the next one is made.
  private let hidden: FloatMemory
  private let next: FloatMemory
  /// r ∘ h likewise; empty but for a GRU whose reset gate comes before the product.
  private let resetHidden: FloatMemory
  /// c likewise; empty but for an LSTM.
  private let cell: FloatMemory
  /// What goes into a projection, [layers × directions, batch, padded]; empty without.
  private let unprojected: FloatMemory
  private let hiddenRow: Int
  private let cellRow: Int

  init(_ configuration: RecurrentConfiguration, batchSize: Int) {
    self.configuration = configuration
    self.batchSize = batchSize
    // 16 more, so that rows of a power of two do not all fall into the same places of a cache.
    hiddenRow = PackedWeights.padded(configuration.stateSize) + 16
    cellRow = PackedWeights.padded(configuration.hiddenSize) + 16
    let rows = configuration.layerCount * configuration.directionCount * batchSize
    hidden = FloatMemory(count: rows * hiddenRow)
    next = FloatMemory(count: rows * hiddenRow)
    resetHidden = FloatMemory(
      count: configuration.kind == .gru && configuration.gruReset == .before ? rows * hiddenRow : 0)
    cell = FloatMemory(count: configuration.kind == .lstm ? rows * cellRow : 0)
    unprojected = FloatMemory(count: configuration.projectionSize > 0 ? rows * cellRow : 0)
  }

  /// The memory of a layer in one direction, from the first lane on, as the kernels take it.
  @unsafe
  func kernelState(_ layer: Int, _ direction: ParameterName.Direction) -> strata_state {
    let row = (layer * configuration.directionCount + direction.rawValue) * batchSize
    return unsafe strata_state(
      hidden: hidden.base + row * hiddenRow, next: next.base + row * hiddenRow,
      reset: resetHidden.count > 0 ? resetHidden.base + row * hiddenRow : nil,
      hidden_stride: hiddenRow,
      cell: cell.count > 0 ? cell.base + row * cellRow : nil,
      unprojected: unprojected.count > 0 ? unprojected.base + row * cellRow : nil,
      cell_stride: cellRow, is_zero: true)
  }

  // MARK: State

  func reset() {
    hidden.fill(0)
    cell.fill(0)
  }

  func state(_ configuration: RecurrentConfiguration, batchSize: Int) -> RecurrentState {
    var state = RecurrentState(configuration, batchSize: batchSize)
    state.hidden = hidden.rows(width: state.hiddenSize, stride: hiddenRow)
    state.cell = cell.rows(width: state.cellSize, stride: cellRow)
    return state
  }

  func set(_ state: RecurrentState) {
    hidden.setRows(state.hidden, width: state.hiddenSize, stride: hiddenRow)
    cell.setRows(state.cell, width: state.cellSize, stride: cellRow)
  }

  /// Copies h of the last layer, directions one behind the other, into [batch, directions × features].
  func copyFinalState(of lanes: Range<Int>, into target: FloatMemory) {
    let width = configuration.stateSize
    let directions = configuration.directionCount
    for direction in 0..<directions {
      let slot = (configuration.layerCount - 1) * directions + direction
      for lane in lanes {
        let source = unsafe hidden.base + (slot * batchSize + lane) * hiddenRow
        unsafe (target.base + lane * configuration.outputSize + direction * width)
          .update(from: source, count: width)
      }
    }
  }
}
