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

  /// Where what goes on inside a layer is put.
  @unsafe
  struct Inside {
    let cells: Rows?
    let gates: Rows?
  }

  /// One layer in one direction over some steps of some lanes.
  @unsafe
  struct LayerRun {
    let stack: StackedRNN
    let layer: Int
    let direction: ParameterName.Direction
    let steps: Int
    let lanes: Range<Int>
    /// Each sequence's own steps; nil when all are.
    let lengths: [Int]?
    let inside: Inside?
  }

  /// Runs a layer.
  ///
  /// Lanes of one length run together; behind its end a lane's output becomes zero.
  @unsafe
  func run(_ run: LayerRun, _ instructionSet: InstructionSet, from source: Rows, to target: Rows) {
    guard let lengths = unsafe run.lengths else {
      unsafe self.run(run, run.lanes, run.steps, instructionSet, from: source, to: target)
      return
    }
    var lane = unsafe run.lanes.lowerBound
    while unsafe lane < run.lanes.upperBound {
      let length = lengths[lane]
      var end = lane + 1
      while unsafe end < run.lanes.upperBound, lengths[end] == length { end += 1 }
      unsafe self.run(run, lane..<end, length, instructionSet, from: source, to: target)
      for step in length..<(unsafe max(length, run.steps)) {
        for lane in lane..<end {
          unsafe target.row(step, lane).update(repeating: 0, count: configuration.stateSize)
        }
      }
      lane = end
    }
  }

  private func run(
    _ run: LayerRun, _ lanes: Range<Int>, _ steps: Int, _ instructionSet: InstructionSet,
    from source: Rows, to target: Rows
  ) {
    let isReverse = unsafe run.direction == .reverse
    func ordered(_ rows: Rows) -> Rows { unsafe isReverse ? rows.reversed(steps: steps) : rows }
    let first = lanes.lowerBound
    let input = unsafe ordered(source).constRows(from: first)
    let output = unsafe ordered(target).rows(from: first)
    let slot =
      unsafe (run.layer * configuration.directionCount + run.direction.rawValue) * batchSize
    let hidden = unsafe self.hidden.base + (slot + first) * Self.hiddenRow(configuration)
    let cell = unsafe self.cell.base + (slot + first) * Self.cellRow(configuration)
    let scratch = unsafe self.scratch.base + first * Self.scratchRow(configuration)
    let runLayer = unsafe instructionSet.kernels.pointee.run_layer
    unsafe run.stack.withLayer(run.layer, run.direction) { layer in
      unsafe withUnsafePointer(to: layer) { layer in
        guard let inside = unsafe run.inside else {
          unsafe runLayer?(
            layer, steps, lanes.count, input, output, hidden,
            configuration.kind == .lstm ? cell : nil, scratch, nil)
          return
        }
        let none = unsafe strata_rows(base: nil, step_stride: 0, lane_stride: 0)
        var rows = unsafe strata_inside(
          cells: inside.cells.map { unsafe ordered($0).rows(from: first) } ?? none,
          gates: inside.gates.map { unsafe ordered($0).rows(from: first) } ?? none)
        unsafe runLayer?(
          layer, steps, lanes.count, input, output, hidden,
          configuration.kind == .lstm ? cell : nil, scratch, &rows)
      }
    }
  }
}
