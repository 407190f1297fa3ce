internal import CRecurrentKernels

// How a call is divided among the threads of a session.

extension Session {
  @unsafe
  func divide(_ call: Call, _ pool: WorkerPool) {
    let division =
      unsafe forcedDivision
      ?? Division(
        layers, steps: call.steps, batchSize: batchSize, threads: threads,
        isBidirectional: isBidirectional, hasLengths: call.lengths != nil,
        hasProjection: hasProjection)
    // Every thread works on memory of its own, or meets the others.
    nonisolated(unsafe) let session = self
    nonisolated(unsafe) let shared = unsafe call
    let (threads, batchSize) = (threads, batchSize)
    switch division {
    case .none:
      unsafe runLanes(0..<batchSize, 0, .none, call)
    case .lanes:
      pool.run { thread in
        let lanes = (thread * batchSize / threads)..<((thread + 1) * batchSize / threads)
        unsafe session.runLanes(lanes, thread, .lanes, shared)
      }
    case .directions, .units:
      pool.run { unsafe session.runLanes(0..<batchSize, $0, division, shared) }
    case .layers:
      let crossings =
        self.crossings
        ?? LayerCrossings(
          layers: layers.count, pieceSteps: Self.crossingSteps, batchSize: batchSize,
          rowWidth: rowWidth)
      self.crossings = crossings
      crossings.reset()
      pool.run { unsafe session.runLayers($0, crossings, shared) }
    }
  }

  /// The longest piece that layers on different threads hand to each other.
  private static let crossingSteps = 32

  /// Runs every `threads`th layer from one on, a piece at a time, as pieces come.
  private func runLayers(_ thread: Int, _ crossings: LayerCrossings, _ call: Call) {
    let floatState = strata_enter_float_state()
    defer { strata_restore_float_state(floatState) }
    // While the first piece is in the first layer, and the last in the last one, a thread has nothing to do:
    // pieces are short, but long enough that few sequences have their terms made for some steps at once.
    let steps = unsafe call.steps
    let length = min(
      batchSize > Int(STRATA_ROWS) / 2 ? max(steps / 64, 1) : max(steps / 16, 4), Self.crossingSteps
    )
    let pieces = (steps + length - 1) / length
    let share = unsafe Share(
      lanes: 0..<batchSize, lengths: nil, order: nil, thread: thread, division: .layers)
    for diagonal in 0..<(pieces + layers.count - 1) {
      for index in stride(from: thread, to: layers.count, by: threads) {
        let number = diagonal - index
        guard (0..<pieces).contains(number) else { continue }
        let piece = (number * length)..<min((number + 1) * length, steps)
        crossings.waitToRun(index, number)
        let source =
          unsafe index == 0
          ? inputRows(piece, share.lanes, isFirst: true, call) : crossings.rows(index - 1, number)
        var target = unsafe crossings.rows(index, number)
        if index == layers.count - 1, let rows = unsafe recurrentRows(piece, call) {
          unsafe target = unsafe rows
        }
        unsafe runLayer(index, piece, share, call, from: source, to: target)
        if index == layers.count - 1, let head = unsafe call.head {
          unsafe runHead(piece, share.lanes, target, call, into: head)
        }
        crossings.finish(index, number)
      }
    }
  }
}

/// The outputs that layers on different threads hand to each other: a few pieces of each layer.
final class LayerCrossings {
  /// How many pieces a layer may be ahead of the next.
  private static let depth = 4

  private let outputs: [FloatMemory]
  private let finished: [Milestones]
  private let pieceSteps: Int
  private let batchSize: Int
  private let rowWidth: Int

  init(layers: Int, pieceSteps: Int, batchSize: Int, rowWidth: Int) {
    self.pieceSteps = pieceSteps
    self.batchSize = batchSize
    self.rowWidth = rowWidth
    outputs = (0..<layers).map { _ in
      FloatMemory(count: Self.depth * pieceSteps * batchSize * rowWidth)
    }
    finished = (0..<layers).map { _ in Milestones() }
  }

  func reset() { for milestones in finished { milestones.reset() } }

  /// The rows of a layer's output of a piece.
  @unsafe
  func rows(_ layer: Int, _ piece: Int) -> Rows {
    unsafe Rows(
      base: outputs[layer].base + piece % Self.depth * pieceSteps * batchSize * rowWidth,
      strides: (step: batchSize * rowWidth, lane: rowWidth))
  }

  /// Waits until the input of a piece is there, and room for its output.
  func waitToRun(_ layer: Int, _ piece: Int) {
    if layer > 0 { finished[layer - 1].wait(for: piece + 1) }
    if layer + 1 < finished.count { finished[layer + 1].wait(for: piece + 1 - Self.depth) }
  }

  func finish(_ layer: Int, _ piece: Int) { finished[layer].reach(piece + 1) }
}
