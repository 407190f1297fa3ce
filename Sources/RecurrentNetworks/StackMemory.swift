internal import CRecurrentKernels

/// State and scratch memory of one stack for a batch.
final class StackMemory {
  private let configuration: RecurrentConfiguration
  private let batchSize: Int
  /// h by layer and direction: [layers × directions, batch, padded].
  private let hidden: FloatMemory
  /// c likewise; empty but for an LSTM.
  private let cell: FloatMemory
  private let scratch: FloatMemory

  init(_ configuration: RecurrentConfiguration, batchSize: Int) {
    self.configuration = configuration
    self.batchSize = batchSize
    let layers = configuration.layerCount * configuration.directionCount
    hidden = FloatMemory(count: layers * batchSize * Self.hiddenRow(configuration))
    cell = FloatMemory(
      count: configuration.kind == .lstm
        ? layers * batchSize * Self.cellRow(configuration) : 0)
    scratch = FloatMemory(count: batchSize * Self.scratchRow(configuration))
  }

  private static func hiddenRow(_ configuration: RecurrentConfiguration) -> Int {
    PackedWeights.padded(configuration.stateSize)
  }

  private static func cellRow(_ configuration: RecurrentConfiguration) -> Int {
    PackedWeights.padded(configuration.hiddenSize)
  }

  private static func scratchRow(_ configuration: RecurrentConfiguration) -> Int {
    2 * max(hiddenRow(configuration), cellRow(configuration))
  }

  // MARK: State

  func reset() {
    hidden.fill(0)
    cell.fill(0)
  }

  func state(_ configuration: RecurrentConfiguration, batchSize: Int) -> RecurrentState {
    var state = RecurrentState(configuration, batchSize: batchSize)
    state.hidden = hidden.rows(width: state.hiddenSize, stride: Self.hiddenRow(configuration))
    state.cell = cell.rows(width: state.cellSize, stride: Self.cellRow(configuration))
    return state
  }

  func set(_ state: RecurrentState) {
    hidden.setRows(state.hidden, width: state.hiddenSize, stride: Self.hiddenRow(configuration))
    cell.setRows(state.cell, width: state.cellSize, stride: Self.cellRow(configuration))
  }

  /// Copies h of the last layer, directions one behind the other, into [batch, directions × features].
  func copyFinalState(of lanes: Range<Int>, into target: FloatMemory) {
    let (width, row) = (configuration.stateSize, Self.hiddenRow(configuration))
    let directions = configuration.directionCount
    for direction in 0..<directions {
      let slot = (configuration.layerCount - 1) * directions + direction
      for lane in lanes {
        let source = unsafe hidden.base + (slot * batchSize + lane) * row
        unsafe (target.base + lane * configuration.outputSize + direction * width)
          .update(from: source, count: width)
      }
    }
  }

  // MARK: Running

  /// Runs one layer in one direction over some steps of some lanes.
  func run(
    _ stack: StackedRNN, _ layer: Int, _ direction: ParameterName.Direction, steps: Int,
    _ lanes: Range<Int>, _ instructionSet: InstructionSet, from source: Rows, to target: Rows
  ) {
    let isReverse = direction == .reverse
    let input = unsafe isReverse ? source.reversed(steps: steps) : source
    let output = unsafe isReverse ? target.reversed(steps: steps) : target
    let slot = (layer * configuration.directionCount + direction.rawValue) * batchSize
    let row = slot + lanes.lowerBound
    unsafe stack.withLayer(layer, direction) { kernelLayer in
      unsafe withUnsafePointer(to: kernelLayer) {
        unsafe instructionSet.kernels.pointee.run_layer(
          $0, steps, lanes.count, input.constRows(from: lanes.lowerBound),
          output.rows(from: lanes.lowerBound),
          hidden.base + row * Self.hiddenRow(configuration),
          configuration.kind == .lstm ? cell.base + row * Self.cellRow(configuration) : nil,
          scratch.base + lanes.lowerBound * Self.scratchRow(configuration))
      }
    }
  }
}
