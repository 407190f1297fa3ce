public import Checkpoints
internal import CRecurrentKernels
internal import Dispatch

/// The state and the working memory of one stream, or of one batch of sequences.
///
/// A session belongs to one thread at a time. `run(_:into:)` carries its state from call to call, so
/// that a sequence may come in pieces of any length: the result is the same, bit for bit. With one
/// thread it allocates nothing, takes no lock and waits for nothing, so that it may be called from an
/// audio callback; a model with a bidirectional stack allocates when a sequence is longer than all
/// before it.
public final class Session {
  /// The model.
  public let model: SequenceModel
  /// How many sequences run side by side.
  public let batchSize: Int
  /// The kernels that are used.
  public let instructionSet: InstructionSet

  private let threads: Int
  private var memories: [StackMemory]
  /// Outputs of layers between layers, [steps of a piece, batch, widest layer's features], written in
  /// turn.
  ///
  /// Rows have one width whatever the layer, so that threads in different layers keep to their lanes.
  private var layerOutputs: (FloatMemory, FloatMemory)
  private let rowWidth: Int
  private let isBidirectional: Bool
  /// What a head on h_n reads, [batch, features].
  private let finalState: FloatMemory
  private var pieceSteps: Int
  /// Whether the state is what an earlier call left.
  private var continues = false

  /// Steps that go through all layers before the next ones do, in models that need not see the end.
  private static let streamedSteps = 32

  init(
    _ model: SequenceModel, batchSize: Int, threads: Int, instructionSet: InstructionSet
  ) {
    precondition(batchSize > 0 && threads > 0, "at least one sequence and one thread")
    self.model = model
    self.batchSize = batchSize
    self.threads = min(threads, batchSize)
    self.instructionSet = instructionSet
    memories = model.stacks.map { StackMemory($0.configuration, batchSize: batchSize) }
    pieceSteps = Self.streamedSteps
    rowWidth = model.stacks.map(\.configuration.outputSize).max() ?? 0
    isBidirectional = model.blueprint.isBidirectional
    layerOutputs = Self.layerOutputs(
      steps: pieceSteps, batchSize: batchSize, rowWidth: rowWidth)
    finalState = FloatMemory(count: batchSize * model.blueprint.recurrentOutputSize)
  }

  private static func layerOutputs(
    steps: Int, batchSize: Int, rowWidth: Int
  ) -> (FloatMemory, FloatMemory) {
    let count = steps * batchSize * rowWidth
    return (FloatMemory(count: count), FloatMemory(count: count))
  }

  // MARK: State

  /// The state of every stack.
  ///
  /// A state that is set is where the next call begins; it must have the sizes of the one that it
  /// replaces.
  public var state: [RecurrentState] {
    get {
      zip(model.stacks, memories).map { $1.state($0.configuration, batchSize: batchSize) }
    }
    set {
      let zero = model.stacks.map { RecurrentState($0.configuration, batchSize: batchSize) }
      precondition(
        newValue.count == zero.count && zip(newValue, zero).allSatisfy { $0.matches($1) },
        "a state of other sizes than the session's")
      for (memory, state) in zip(memories, newValue) { memory.set(state) }
      continues = false
    }
  }

  /// Sets the state to zero: the next call begins new sequences.
  public func reset() {
    for memory in memories { memory.reset() }
    continues = false
  }

  // MARK: Running

  /// Runs any number of steps.
  /// - Parameters:
  ///   - input: [steps, batch, inputSize], or [batch, steps, inputSize] in a batch-first model.
  ///   - output: As `SequenceModel.outputShape(steps:batchSize:)`: the head's output, or without a head
  ///     the last stack's.
  /// - Throws: `shapeMismatch` when a size does not fit, `notStreamable` when a bidirectional model is
  ///   to go on from an earlier call.
  public func run(
    _ input: Span<Float>, into output: inout MutableSpan<Float>
  ) throws(CheckpointError) {
    let steps = try steps(of: input.count)
    try check(
      "output", output.count, outputCount(steps),
      model.outputShape(steps: steps, batchSize: batchSize))
    let hasHead = model.blueprint.head != nil
    unsafe input.withUnsafeBufferPointer { input in
      unsafe output.withUnsafeMutableBufferPointer { output in
        unsafe run(
          input.baseAddress, steps: steps, recurrent: hasHead ? nil : output.baseAddress,
          head: hasHead ? output.baseAddress : nil)
      }
    }
  }

  /// Runs any number of steps and gives the last stack's output as well as the head's.
  /// - Parameters:
  ///   - input: [steps, batch, inputSize], or [batch, steps, inputSize] in a batch-first model.
  ///   - recurrentOutput: As `SequenceModel.recurrentOutputShape(steps:batchSize:)`.
  ///   - output: As `SequenceModel.outputShape(steps:batchSize:)`; the model must have a head.
  /// - Throws: As `run(_:into:)`.
  public func run(
    _ input: Span<Float>, recurrentOutput: inout MutableSpan<Float>,
    into output: inout MutableSpan<Float>
  ) throws(CheckpointError) {
    precondition(model.blueprint.head != nil, "a model without head has one output")
    let steps = try steps(of: input.count)
    try check(
      "output", output.count, outputCount(steps),
      model.outputShape(steps: steps, batchSize: batchSize))
    try check(
      "recurrent output", recurrentOutput.count,
      steps * batchSize * model.blueprint.recurrentOutputSize,
      model.recurrentOutputShape(steps: steps, batchSize: batchSize))
    unsafe input.withUnsafeBufferPointer { input in
      unsafe recurrentOutput.withUnsafeMutableBufferPointer { recurrent in
        unsafe output.withUnsafeMutableBufferPointer { output in
          unsafe run(
            input.baseAddress, steps: steps, recurrent: recurrent.baseAddress,
            head: output.baseAddress)
        }
      }
    }
  }

  /// Runs any number of steps on arrays, as `run(_:into:)`; `output` must have its size already.
  public func run(_ input: [Float], into output: inout [Float]) throws(CheckpointError) {
    var span = output.mutableSpan
    try run(input.span, into: &span)
  }

  private func steps(of count: Int) throws(CheckpointError) -> Int {
    let step = batchSize * model.blueprint.inputSize
    guard count > 0, count % step == 0 else {
      throw CheckpointError(
        .shapeMismatch,
        "an input of \(count) values, no multiple of \(batchSize) sequences × "
          + "\(model.blueprint.inputSize) features")
    }
    guard !continues || !isBidirectional else {
      throw CheckpointError(
        .notStreamable,
        "a bidirectional model takes the whole sequence in one call; reset the session for a new one"
      )
    }
    return count / step
  }

  /// The elements of `SequenceModel.outputShape(steps:batchSize:)`: a shape allocates.
  private func outputCount(_ steps: Int) -> Int {
    guard let head = model.blueprint.head?.configuration else {
      return steps * batchSize * model.blueprint.recurrentOutputSize
    }
    return (head.input == .all ? steps : 1) * batchSize * head.outputSize
  }

  private func check(
    _ what: String, _ count: Int, _ expected: Int, _ shape: @autoclosure () -> Shape
  ) throws(CheckpointError) {
    guard count == expected else {
      throw CheckpointError(
        .shapeMismatch, "an \(what) of \(count) values, expected \(shape())")
    }
  }

  @unsafe
  private func run(
    _ input: UnsafePointer<Float>?, steps: Int, recurrent: UnsafeMutablePointer<Float>?,
    head: UnsafeMutablePointer<Float>?
  ) {
    guard let input = unsafe input else { return }
    if isBidirectional, steps > pieceSteps {
      pieceSteps = steps
      layerOutputs = Self.layerOutputs(steps: steps, batchSize: batchSize, rowWidth: rowWidth)
    }
    let call = unsafe Call(input: input, steps: steps, recurrent: recurrent, head: head)
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
    continues = true
  }

  /// One call's arguments.
  ///
  /// The whole batch's, from the first step on.
  @unsafe
  private struct Call {
    let input: UnsafePointer<Float>
    let steps: Int
    let recurrent: UnsafeMutablePointer<Float>?
    let head: UnsafeMutablePointer<Float>?
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
    var strides = self.strides(model.blueprint.inputSize, steps: unsafe call.steps)
    var source = unsafe call.input + piece.lowerBound * strides.step
    var writesFirst = true
    // Indices: without optimisation, going through an array allocates.
    for index in 0..<model.stacks.count {
      let stack = model.stacks[index]
      let size = stack.configuration.outputSize
      for layer in 0..<stack.configuration.layerCount {
        let isLast =
          index == model.stacks.count - 1 && layer == stack.configuration.layerCount - 1
        var target = unsafe (writesFirst ? layerOutputs.0 : layerOutputs.1).base
        var targetStrides = (step: batchSize * rowWidth, lane: rowWidth)
        if isLast, let recurrent = unsafe call.recurrent {
          targetStrides = self.strides(size, steps: unsafe call.steps)
          unsafe target = unsafe recurrent + piece.lowerBound * targetStrides.step
        }
        // Not `directions`: an array allocates.
        for place in 0..<stack.configuration.directionCount {
          let direction = place == 0 ? ParameterName.Direction.forward : .reverse
          let column = place * stack.configuration.stateSize
          unsafe memories[index].run(
            stack, layer, direction, steps: piece.count, lanes, instructionSet,
            from: Rows(base: UnsafeMutablePointer(mutating: source), strides: strides),
            to: Rows(base: target + column, strides: targetStrides))
        }
        unsafe source = unsafe UnsafePointer(target)
        strides = targetStrides
        writesFirst.toggle()
      }
    }
    if let head = unsafe call.head {
      let output = unsafe Rows(base: UnsafeMutablePointer(mutating: source), strides: strides)
      unsafe runHead(piece, lanes, output, of: call.steps, into: head)
    }
  }

  private func runHead(
    _ piece: Range<Int>, _ lanes: Range<Int>, _ output: Rows, of steps: Int,
    into head: UnsafeMutablePointer<Float>
  ) {
    guard let configuration = model.blueprint.head?.configuration else { return }
    var input = unsafe output
    var count = 1
    var target = unsafe Rows(base: head, strides: (0, configuration.outputSize))
    switch configuration.input {
    case .all:
      count = piece.count
      let strides = strides(configuration.outputSize, steps: steps)
      unsafe target = unsafe Rows(base: head + piece.lowerBound * strides.step, strides: strides)
    case .last:
      guard piece.upperBound == steps else { return }
      unsafe input.base += (piece.count - 1) * output.strides.step
    case .finalState:
      guard piece.upperBound == steps else { return }
      memories[memories.count - 1].copyFinalState(of: lanes, into: finalState)
      unsafe input = unsafe Rows(
        base: finalState.base, strides: (0, model.blueprint.recurrentOutputSize))
    }
    unsafe model.withHead { head in
      unsafe withUnsafePointer(to: head) {
        unsafe instructionSet.kernels.pointee.run_linear(
          $0, count, lanes.count, input.constRows(from: lanes.lowerBound),
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
