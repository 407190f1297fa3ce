internal import CRecurrentKernels
internal import Dispatch

// How a call goes through the layers: a piece of the steps at a time through all of them.

extension Session {
  /// One call's arguments, checked: the whole batch's, from the first step on.
  @unsafe
  struct Call {
    /// The input; one of the two is there.
    let features: UnsafePointer<Float>?
    let tokens: UnsafePointer<Int>?
    let steps: Int
    /// Each sequence's own steps; nil when all are.
    let lengths: [Int]?
    /// Where the last stack's output goes, if it is asked for.
    let recurrent: UnsafeMutablePointer<Float>?
    /// Where the head's output goes.
    let head: UnsafeMutablePointer<Float>?
    let recorder: LayerRecorder?
  }

  @unsafe
  func run(_ call: Call) {
    let isWhole = unsafe isBidirectional || call.lengths != nil
    if isWhole, unsafe call.steps > pieceSteps {
      pieceSteps = unsafe call.steps
      layerOutputs = Self.layerOutputs(
        steps: pieceSteps, batchSize: batchSize, rowWidth: rowWidth)
    }
    if threads == 1 {
      unsafe runLanes(0..<batchSize, call)
    } else {
      // Sequences are independent of each other: every thread works on memory of its own.
      nonisolated(unsafe) let session = self
      nonisolated(unsafe) let shared = unsafe call
      let (threads, batchSize) = (threads, batchSize)
      DispatchQueue.concurrentPerform(iterations: threads) { thread in
        let lanes = (thread * batchSize / threads)..<((thread + 1) * batchSize / threads)
        unsafe session.runLanes(lanes, shared)
      }
    }
    progress = isWhole ? .ended : .streaming
  }

  /// How rows of `size` features follow each other in what the caller gives and gets.
  private func strides(_ size: Int, steps: Int) -> (step: Int, lane: Int) {
    model.blueprint.isBatchFirst ? (size, steps * size) : (batchSize * size, size)
  }

  private func runLanes(_ lanes: Range<Int>, _ call: Call) {
    let floatState = strata_enter_float_state()
    defer { strata_restore_float_state(floatState) }
    for start in stride(from: 0, to: unsafe call.steps, by: pieceSteps) {
      unsafe runPiece(start..<min(start + pieceSteps, call.steps), lanes, call)
    }
  }

  /// Runs a piece of the steps through all layers and the head.
  private func runPiece(_ piece: Range<Int>, _ lanes: Range<Int>, _ call: Call) {
    var source: Rows
    var writesFirst = true
    let width = model.blueprint.stackInputSize
    if let tokens = unsafe call.tokens {
      unsafe source = unsafe Rows(
        base: layerOutputs.1.base, strides: (step: batchSize * rowWidth, lane: rowWidth))
      unsafe embed(tokens, piece, lanes, of: call.steps, into: source)
    } else if let features = unsafe call.features {
      let strides = strides(width, steps: unsafe call.steps)
      unsafe source = unsafe Rows(
        base: UnsafeMutablePointer(mutating: features) + piece.lowerBound * strides.step,
        strides: strides)
    } else {
      return
    }
    // Indices: without optimisation, going through an array allocates.
    for index in 0..<model.stacks.count {
      let stack = model.stacks[index]
      let size = stack.configuration.outputSize
      for layer in 0..<stack.configuration.layerCount {
        let isLast =
          index == model.stacks.count - 1 && layer == stack.configuration.layerCount - 1
        var target = unsafe Rows(
          base: (writesFirst ? layerOutputs.0 : layerOutputs.1).base,
          strides: (step: batchSize * rowWidth, lane: rowWidth))
        if isLast, let recurrent = unsafe call.recurrent {
          let strides = strides(size, steps: unsafe call.steps)
          unsafe target = unsafe Rows(
            base: recurrent + piece.lowerBound * strides.step, strides: strides)
        }
        // Not `directions`: an array allocates.
        for place in 0..<stack.configuration.directionCount {
          let direction = place == 0 ? ParameterName.Direction.forward : .reverse
          unsafe memories[index].run(
            StackMemory.LayerRun(
              stack: stack, layer: layer, direction: direction, steps: piece.count, lanes: lanes,
              lengths: call.lengths,
              inside: call.recorder?.inside(index, layer, direction, from: piece.lowerBound)),
            instructionSet, from: source,
            to: target.column(direction.rawValue * stack.configuration.stateSize))
          unsafe call.recorder?.takeHidden(
            index, layer, direction, piece, lanes,
            from: target.column(direction.rawValue * stack.configuration.stateSize))
        }
        unsafe source = unsafe target
        writesFirst.toggle()
      }
    }
    if let head = unsafe call.head { unsafe runHead(piece, lanes, source, call, into: head) }
  }

  /// Looks the tokens of a piece up.
  private func embed(
    _ tokens: UnsafePointer<Int>, _ piece: Range<Int>, _ lanes: Range<Int>, of steps: Int,
    into target: Rows
  ) {
    let strides = strides(1, steps: steps)
    unsafe model.withEmbedding { table, width in
      for step in piece {
        for lane in lanes {
          let token = unsafe tokens[step * strides.step + lane * strides.lane]
          unsafe target.row(step - piece.lowerBound, lane).update(
            from: table + token * width, count: width)
        }
      }
    }
  }

  private func runHead(
    _ piece: Range<Int>, _ lanes: Range<Int>, _ output: Rows, _ call: Call,
    into head: UnsafeMutablePointer<Float>
  ) {
    guard let configuration = model.blueprint.head?.configuration else { return }
    let steps = unsafe call.steps
    let rows = unsafe Rows(base: head, strides: (0, configuration.outputSize))
    switch configuration.input {
    case .all:
      let strides = strides(configuration.outputSize, steps: steps)
      let target = unsafe Rows(base: head + piece.lowerBound * strides.step, strides: strides)
      unsafe runHead(piece.count, lanes, output, into: target)
    case .last:
      guard piece.upperBound == steps else { return }
      for lane in lanes {
        let last = unsafe (call.lengths?[lane] ?? steps) - 1 - piece.lowerBound
        var input = unsafe output
        unsafe input.base += last * output.strides.step
        unsafe runHead(1, lane..<(lane + 1), input, into: rows)
      }
    case .finalState:
      guard piece.upperBound == steps else { return }
      memories[memories.count - 1].copyFinalState(of: lanes, into: finalState)
      let input = unsafe Rows(
        base: finalState.base, strides: (0, model.blueprint.recurrentOutputSize))
      unsafe runHead(1, lanes, input, into: rows)
    }
  }

  private func runHead(_ steps: Int, _ lanes: Range<Int>, _ input: Rows, into target: Rows) {
    unsafe model.withHead { head in
      unsafe withUnsafePointer(to: head) {
        unsafe instructionSet.kernels.pointee.run_linear(
          $0, steps, lanes.count, input.constRows(from: lanes.lowerBound),
          target.rows(from: lanes.lowerBound))
      }
    }
  }
}

/// Rows of floats by step and lane.
@unsafe
struct Rows {
  var base: UnsafeMutablePointer<Float>
  var strides: (step: Int, lane: Int)

  /// The row of a step and a lane.
  func row(_ step: Int, _ lane: Int) -> UnsafeMutablePointer<Float> {
    unsafe base + step * strides.step + lane * strides.lane
  }

  /// The rows from a column on.
  func column(_ column: Int) -> Rows {
    unsafe Rows(base: base + column, strides: strides)
  }

  /// The rows from a lane on, as the kernels take them.
  func rows(from lane: Int) -> strata_rows {
    unsafe strata_rows(
      base: base + lane * strides.lane, step_stride: strides.step, lane_stride: strides.lane)
  }

  func constRows(from lane: Int) -> strata_const_rows {
    unsafe strata_const_rows(
      base: base + lane * strides.lane, step_stride: strides.step, lane_stride: strides.lane)
  }

  /// The same rows, the last of `steps` first.
  func reversed(steps: Int) -> Rows {
    unsafe Rows(
      base: base + (steps - 1) * strides.step, strides: (-strides.step, strides.lane))
  }
}
