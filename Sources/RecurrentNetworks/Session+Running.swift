internal import CRecurrentKernels

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

  /// What one thread does of a call.
  @unsafe
  struct Share {
    let lanes: Range<Int>
    /// Of these lanes: each sequence's own steps, and the lanes in the order of falling length; nil when
    /// all steps are.
    let lengths: UnsafePointer<Int>?
    let order: UnsafePointer<Int>?
    /// The number of the thread, and how the call is divided.
    let thread: Int
    let division: Division
  }

  @unsafe
  func run(_ call: Call) {
    let isWhole = unsafe isBidirectional || call.lengths != nil
    if isWhole, unsafe call.steps > pieceSteps {
      pieceSteps = unsafe call.steps
      layerOutputs = Self.layerOutputs(
        steps: pieceSteps, batchSize: batchSize, rowWidth: rowWidth)
    }
    if let pool {
      unsafe divide(call, pool)
    } else {
      unsafe runLanes(0..<batchSize, 0, .none, call)
    }
    layers.isZero = false
    progress = isWhole ? .ended : .streaming
  }

  /// How rows of `size` features follow each other in what the caller gives and gets.
  func strides(_ size: Int, steps: Int) -> (step: Int, lane: Int) {
    model.blueprint.isBatchFirst ? (size, steps * size) : (batchSize * size, size)
  }

  /// Runs the call for some lanes on the calling thread.
  @unsafe
  func runLanes(_ lanes: Range<Int>, _ thread: Int, _ division: Division, _ call: Call) {
    let floatState = strata_enter_float_state()
    defer { strata_restore_float_state(floatState) }
    guard let lengths = unsafe call.lengths else {
      return unsafe runPieces(
        Share(lanes: lanes, lengths: nil, order: nil, thread: thread, division: division), call)
    }
    let own = Array(lengths[lanes])
    let order = own.indices.sorted { (own[$1], $0) < (own[$0], $1) }
    unsafe own.withUnsafeBufferPointer { own in
      unsafe order.withUnsafeBufferPointer { order in
        unsafe runPieces(
          Share(
            lanes: lanes, lengths: own.baseAddress, order: order.baseAddress, thread: thread,
            division: division), call)
      }
    }
  }

  private func runPieces(_ share: Share, _ call: Call) {
    for start in stride(from: 0, to: unsafe call.steps, by: pieceSteps) {
      unsafe runPiece(start..<min(start + pieceSteps, call.steps), share, call)
    }
  }

  /// Whether threads share what they read and write, and have to wait for each other between layers.
  private func meet(_ share: Share) {
    switch unsafe share.division {
    case .directions, .units: pool?.meet()
    case .none, .lanes, .layers: break
    }
  }

  /// Rows of one of the two buffers of layers' outputs.
  private func layerRows(_ memory: FloatMemory) -> Rows {
    unsafe Rows(base: memory.base, strides: (step: batchSize * rowWidth, lane: rowWidth))
  }

  /// The rows of the model's input for a piece: the caller's, or looked up in the embedding by the first
  /// thread.
  @unsafe
  func inputRows(_ piece: Range<Int>, _ lanes: Range<Int>, isFirst: Bool, _ call: Call) -> Rows {
    guard let features = unsafe call.features else {
      let rows = unsafe layerRows(layerOutputs.1)
      if isFirst, let tokens = unsafe call.tokens {
        unsafe embed(tokens, piece, lanes, of: call.steps, into: rows)
      }
      return unsafe rows
    }
    let strides = strides(model.blueprint.stackInputSize, steps: unsafe call.steps)
    return unsafe Rows(
      base: UnsafeMutablePointer(mutating: features) + piece.lowerBound * strides.step,
      strides: strides)
  }

  /// The rows of the last stack's output for a piece, where the caller wants it.
  @unsafe
  func recurrentRows(_ piece: Range<Int>, _ call: Call) -> Rows? {
    guard let recurrent = unsafe call.recurrent else { return nil }
    let strides = strides(model.blueprint.recurrentOutputSize, steps: unsafe call.steps)
    return unsafe Rows(base: recurrent + piece.lowerBound * strides.step, strides: strides)
  }

  /// Runs a piece of the steps through all layers and the head.
  private func runPiece(_ piece: Range<Int>, _ share: Share, _ call: Call) {
    let isAlone = unsafe share.thread == 0 || share.division == .lanes
    var source = unsafe inputRows(piece, share.lanes, isFirst: isAlone, call)
    if unsafe call.tokens != nil { unsafe meet(share) }
    var writesFirst = true
    var index = 0
    while index < layers.count {
      let stack = layers[index].stack
      let configuration = model.stacks[stack].configuration
      let directions = configuration.directionCount
      var target = unsafe layerRows(writesFirst ? layerOutputs.0 : layerOutputs.1)
      if index + directions == layers.count, let rows = unsafe recurrentRows(piece, call) {
        unsafe target = unsafe rows
      }
      for direction in 0..<directions
      where unsafe share.division != .directions || share.thread == direction {
        unsafe runLayer(index + direction, piece, share, call, from: source, to: target)
      }
      unsafe meet(share)
      unsafe source = unsafe target
      writesFirst.toggle()
      index += directions
    }
    if isAlone, let head = unsafe call.head {
      unsafe runHead(piece, share.lanes, source, call, into: head)
    }
    unsafe meet(share)
  }

  /// Runs a piece of the steps through one layer in one direction.
  @unsafe
  func runLayer(
    _ index: Int, _ piece: Range<Int>, _ share: Share, _ call: Call, from source: Rows,
    to target: Rows
  ) {
    let place = layers[index]
    let stage = unsafe layers.stages + index
    let (layer, lane) = unsafe (stage.pointee.layer, share.lanes.lowerBound)
    let column = unsafe target.column(place.direction.rawValue * layer.state_size)
    var state = unsafe stage.pointee.state
    unsafe state.is_zero = unsafe state.is_zero && piece.lowerBound == 0
    unsafe state.hidden += lane * state.hidden_stride
    unsafe state.next += lane * state.hidden_stride
    if let reset = unsafe state.reset {
      unsafe state.reset = unsafe reset + lane * state.hidden_stride
    }
    if let cell = unsafe state.cell { unsafe state.cell = unsafe cell + lane * state.cell_stride }
    if let unprojected = unsafe state.unprojected {
      unsafe state.unprojected = unsafe unprojected + lane * state.cell_stride
    }
    let units = unsafe units(of: layer.hidden_size, share)
    let none = unsafe strata_rows(base: nil, step_stride: 0, lane_stride: 0)
    let inside = unsafe call.recorder?.inside(
      place.stack, place.layer, place.direction, from: piece.lowerBound)
    let pool = unsafe share.division == .units ? pool : nil
    var run = unsafe strata_run(
      steps: piece.count, lanes: share.lanes.count, lengths: share.lengths, order: share.order,
      reverse: place.direction == .reverse, input: source.constRows(from: lane),
      output: column.rows(from: lane), cells: inside?.cells?.rows(from: lane) ?? none,
      gates: inside?.gates?.rows(from: lane) ?? none, terms: terms[share.thread].base,
      first_unit: units.lowerBound, end_unit: units.upperBound,
      wait: pool == nil ? nil : meetThreads, context: pool?.context)
    unsafe kernels.pointee.run_layer(&stage.pointee.layer, &state, &run)
    guard let recorder = unsafe call.recorder else { return }
    // Every thread would copy the same.
    unsafe meet(share)
    if unsafe share.division != .units || share.thread == 0 {
      unsafe recorder.takeHidden(
        place.stack, place.layer, place.direction, piece, share.lanes, from: column)
    }
  }

  /// The units of a layer that a thread computes.
  private func units(of size: Int, _ share: Share) -> Range<Int> {
    guard unsafe share.division == .units else { return 0..<size }
    let panel = Int(STRATA_PANEL)
    let panels = (size + panel - 1) / panel
    func bound(_ thread: Int) -> Int { min(panels * thread / threads * panel, size) }
    return unsafe bound(share.thread)..<bound(share.thread + 1)
  }

  // MARK: One sequence, step by step

  /// Whether a call may go step by step: a few steps that threads would not share, or weights that stay
  /// near.
  ///
  /// Otherwise the terms of the input are made for many steps at once.
  func mayStep(_ steps: Int) -> Bool {
    (steps < 4 && (pool == nil || layers.productCount * steps < Division.leastProducts))
      || layers.byteCount <= 32 << 10
  }

  /// Runs the steps of one sequence through the whole model in one call of the kernels.
  @unsafe
  func runChain(
    _ steps: Int, _ input: UnsafePointer<Float>?, _ output: UnsafeMutablePointer<Float>?
  ) {
    let floatState = strata_enter_float_state()
    unsafe kernels.pointee.run_chain(
      layers.stages, layers.count, layers.head, steps, input, output)
    strata_restore_float_state(floatState)
    layers.isZero = false
  }

  // MARK: Embedding and head

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

  @unsafe
  func runHead(
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
    guard let head = unsafe layers.head else { return }
    unsafe kernels.pointee.run_linear(
      head, steps, lanes.count, input.constRows(from: lanes.lowerBound),
      target.rows(from: lanes.lowerBound))
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
}
