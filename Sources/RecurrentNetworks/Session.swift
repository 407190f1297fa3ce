public import Checkpoints
internal import CRecurrentKernels
internal import Synchronization

/// The state and the working memory of one stream, or of one batch of sequences.
///
/// A session belongs to one thread at a time. `run(_:into:)` carries its state from call to call, so
/// that a sequence may come in pieces of any length: the result is the same, bit for bit. With one
/// thread it allocates nothing, takes no lock and waits for nothing, so that it may be called from an
/// audio callback. Where a whole sequence must be seen in one call — in a bidirectional model, and with
/// lengths — it allocates when a sequence is longer than all before it. With several threads the others
/// are made with the session, sleep between calls and end with it.
@safe
public final class Session {
  /// The model.
  public let model: SequenceModel
  /// How many sequences run side by side.
  public let batchSize: Int
  /// The kernels that are used.
  public let instructionSet: InstructionSet

  let threads: Int
  @unsafe let kernels: UnsafePointer<strata_kernels>
  let memories: [StackMemory]
  let layers: LayerTable
  /// The other threads; nil with one.
  let pool: WorkerPool?
  /// Outputs of the embedding and of layers, [steps of a piece, batch, widest layer's features], written
  /// in turn.
  ///
  /// Rows have one width whatever the layer, so that threads in different layers keep to their lanes.
  var layerOutputs: (FloatMemory, FloatMemory)
  /// Where layers on different threads hand pieces to each other; made when it is first needed.
  var crossings: LayerCrossings?
  /// Terms of the input, for each thread.
  let terms: [FloatMemory]
  let rowWidth: Int
  let isBidirectional: Bool
  /// What a head on h_n reads, [batch, features].
  let finalState: FloatMemory
  /// How many steps go through all layers before the next ones do.
  var pieceSteps: Int
  /// Where the state comes from.
  var progress: Progress {
    get { storedProgress.load(ordering: .relaxed) }
    set { storedProgress.store(newValue, ordering: .relaxed) }
  }
  // No thread shares it: it is atomic because a variable of a class is checked for exclusive access at
  // every use, which a step of a small model would feel.
  private let storedProgress = Atomic(Progress.fresh)

  // Of the blueprint, whose copies would cost more than a step of a small model.
  private let inputWidth: Int
  private let vocabularySize: Int?
  /// Features of the output: of the head, or of the last stack.
  private let outputWidth: Int
  private let hasOutputAtEveryStep: Bool
  private let hasHead: Bool
  let hasProjection: Bool
  /// How calls are divided, for tests of divisions that the shape would not get; nil chooses by shape.
  var forcedDivision: Division?
  /// Whether the kernels can take the whole model for one sequence, step by step.
  let isChain: Bool

  /// The numbers are those of a saved state.
  enum Progress: UInt32, AtomicRepresentable {
    /// It was set, or is zero: new sequences begin.
    case fresh = 0
    /// An earlier call left it in the middle of its sequences.
    case streaming = 1
    /// An earlier call left it at the end of its sequences.
    case ended = 2
  }

  private static let streamedSteps = 32

  init(
    _ model: SequenceModel, batchSize: Int, threads: Int, instructionSet: InstructionSet
  ) {
    precondition(batchSize > 0 && threads > 0, "at least one sequence and one thread")
    self.model = model
    self.batchSize = batchSize
    self.instructionSet = instructionSet
    unsafe kernels = unsafe instructionSet.kernels
    memories = model.stacks.map { StackMemory($0.configuration, batchSize: batchSize) }
    let layers = LayerTable(model, memories)
    self.layers = layers
    let pool = threads > 1 ? WorkerPool(count: threads) : nil
    let threads = pool?.count ?? 1
    self.pool = threads > 1 ? pool : nil
    self.threads = threads
    terms = (0..<threads).map { _ in
      FloatMemory(count: Int(STRATA_ROWS) * layers.termsSize)
    }
    let head = model.blueprint.head?.configuration
    inputWidth = model.blueprint.stackInputSize
    vocabularySize = model.blueprint.embedding?.configuration.vocabularySize
    outputWidth = head?.outputSize ?? model.blueprint.recurrentOutputSize
    hasOutputAtEveryStep = head == nil || head?.input == .all
    hasHead = head != nil
    hasProjection = model.stacks.contains { $0.configuration.projectionSize > 0 }
    isChain =
      batchSize == 1 && vocabularySize == nil && hasOutputAtEveryStep
      && !model.blueprint.isBidirectional
    pieceSteps = Self.streamedSteps
    let widths = model.stacks.map(\.configuration.outputSize) + [model.blueprint.stackInputSize]
    rowWidth = widths.max() ?? 0
    isBidirectional = model.blueprint.isBidirectional
    layerOutputs = Self.layerOutputs(
      steps: pieceSteps, batchSize: batchSize, rowWidth: rowWidth)
    finalState = FloatMemory(count: batchSize * model.blueprint.recurrentOutputSize)
  }

  static func layerOutputs(
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
      layers.isZero = false
      progress = .fresh
    }
  }

  /// The state of every stack for one sequence of the batch.
  ///
  /// Setting it leaves the other sequences as they are, in the middle of what they were at.
  public subscript(lane lane: Int) -> [RecurrentState] {
    get { state.map { $0.lane(lane) } }
    set {
      let former = progress
      var all = state
      for index in all.indices { all[index].setLane(lane, to: newValue[index]) }
      state = all
      progress = former
    }
  }

  /// Sets the state to zero: the next call begins new sequences.
  public func reset() {
    for memory in memories { memory.reset() }
    layers.isZero = true
    progress = .fresh
  }

  /// Sets the state to zero, or to random numbers: the next call begins new sequences.
  public func reset(to initial: InitialState) {
    state = initial.states(of: model.blueprint, batchSize: batchSize)
  }

  /// Sets the state of one sequence of the batch to zero; the others go on.
  public func reset(lane: Int) {
    self[lane: lane] = model.stacks.map { RecurrentState($0.configuration, batchSize: 1) }
  }

  /// A session of the same model that stands where this one does.
  public func copy() -> Session {
    let copy = Session(
      model, batchSize: batchSize, threads: threads, instructionSet: instructionSet)
    copy.state = state
    copy.progress = progress
    return copy
  }

  // MARK: Running

  /// Runs any number of steps.
  /// - Parameters:
  ///   - input: [steps, batch, inputSize], or [batch, steps, inputSize] in a batch-first model.
  ///   - lengths: For each sequence how many of the steps are its own, each 1 to steps, in any order; nil
  ///     when all are. Behind its end a sequence's output is zero, its final state is that at its end, and
  ///     the reverse direction begins there, as with PyTorch's packed sequences.
  ///   - output: As `SequenceModel.outputShape(steps:batchSize:)`: the head's output, or without a head
  ///     the last stack's.
  /// - Throws: `shapeMismatch` when a size or a length does not fit, `notStreamable` when a bidirectional
  ///   model, or a call with lengths, is to go on from an earlier call.
  public func run(
    _ input: Span<Float>, lengths: [Int]? = nil, into output: inout MutableSpan<Float>
  ) throws(CheckpointError) {
    let steps = try steps(of: input.count, lengths: lengths)
    try check(output.count, steps: steps)
    if isChain, lengths == nil, mayStep(steps) {
      unsafe input.withUnsafeBufferPointer { input in
        unsafe output.withUnsafeMutableBufferPointer { output in
          unsafe runChain(steps, input.baseAddress, output.baseAddress)
        }
      }
      progress = .streaming
      return
    }
    unsafe input.withUnsafeBufferPointer { input in
      unsafe output.withUnsafeMutableBufferPointer { output in
        unsafe run(
          Call(
            features: input.baseAddress, tokens: nil, steps: steps, lengths: lengths,
            recurrent: hasHead ? nil : output.baseAddress,
            head: hasHead ? output.baseAddress : nil, recorder: nil))
      }
    }
  }

  /// Runs any number of steps on arrays; `output` must have its size already.
  ///
  /// Otherwise as `run(_:lengths:into:)` on spans.
  public func run(
    _ input: [Float], lengths: [Int]? = nil, into output: inout [Float]
  ) throws(CheckpointError) {
    var span = output.mutableSpan
    try run(input.span, lengths: lengths, into: &span)
  }

  /// Runs any number of steps of a model that begins with an embedding.
  /// - Parameters:
  ///   - tokens: [steps, batch], or [batch, steps] in a batch-first model, each from 0 to below the
  ///     size of the vocabulary.
  ///   - lengths: As in `run(_:lengths:into:)`.
  ///   - output: As in `run(_:lengths:into:)`.
  /// - Throws: `tokenOutOfRange`, and as `run(_:lengths:into:)`.
  public func run(
    tokens: Span<Int>, lengths: [Int]? = nil, into output: inout MutableSpan<Float>
  ) throws(CheckpointError) {
    let steps = try steps(ofTokens: tokens, lengths: lengths)
    try check(output.count, steps: steps)
    unsafe tokens.withUnsafeBufferPointer { tokens in
      unsafe output.withUnsafeMutableBufferPointer { output in
        unsafe run(
          Call(
            features: nil, tokens: tokens.baseAddress, steps: steps, lengths: lengths,
            recurrent: hasHead ? nil : output.baseAddress,
            head: hasHead ? output.baseAddress : nil, recorder: nil))
      }
    }
  }

  /// Runs any number of steps on an array of tokens; `output` must have its size already.
  ///
  /// Otherwise as `run(tokens:lengths:into:)` on spans.
  public func run(
    tokens: [Int], lengths: [Int]? = nil, into output: inout [Float]
  ) throws(CheckpointError) {
    var span = output.mutableSpan
    try run(tokens: tokens.span, lengths: lengths, into: &span)
  }

  /// Runs any number of steps and keeps everything: the last stack's output, the head's, and with
  /// `insideLayers` what went on inside every layer.
  /// - Throws: As the `run` of the same input.
  public func record(
    _ input: RecordedInput, lengths: [Int]? = nil, insideLayers: Bool = false
  ) throws(CheckpointError) -> Recording {
    let steps =
      switch input {
      case .features(let values): try steps(of: values.count, lengths: lengths)
      case .tokens(let tokens): try self.steps(ofTokens: tokens.span, lengths: lengths)
      }
    let recorder = insideLayers ? LayerRecorder(model, steps: steps, batchSize: batchSize) : nil
    var output = [Float](
      repeating: 0,
      count: model.recurrentOutputShape(steps: steps, batchSize: batchSize).elementCount)
    var head = [Float](
      repeating: 0,
      count: model.blueprint.head == nil
        ? 0 : model.outputShape(steps: steps, batchSize: batchSize).elementCount)
    unsafe output.withUnsafeMutableBufferPointer { output in
      unsafe head.withUnsafeMutableBufferPointer { head in
        func run(_ features: UnsafePointer<Float>?, _ tokens: UnsafePointer<Int>?) {
          unsafe self.run(
            Call(
              features: features, tokens: tokens, steps: steps, lengths: lengths,
              recurrent: output.baseAddress, head: head.isEmpty ? nil : head.baseAddress,
              recorder: recorder))
        }
        switch input {
        case .features(let values):
          unsafe values.withUnsafeBufferPointer { unsafe run($0.baseAddress, nil) }
        case .tokens(let tokens):
          unsafe tokens.withUnsafeBufferPointer { unsafe run(nil, $0.baseAddress) }
        }
      }
    }
    return Recording(
      steps: steps, output: output, head: model.blueprint.head == nil ? nil : head,
      layers: recorder?.recordings ?? [])
  }

  // MARK: Checks

  private func steps(of count: Int, lengths: [Int]?) throws(CheckpointError) -> Int {
    guard vocabularySize == nil else {
      throw CheckpointError(
        .shapeMismatch, "the model begins with an embedding: it takes tokens, not features")
    }
    return try steps(count, of: inputWidth, "features", lengths)
  }

  private func steps(
    ofTokens tokens: Span<Int>, lengths: [Int]?
  ) throws(CheckpointError) -> Int {
    guard let vocabularySize else {
      throw CheckpointError(
        .shapeMismatch, "the model has no embedding: it takes features, not tokens")
    }
    for position in tokens.indices where !(0..<vocabularySize ~= tokens[position]) {
      throw CheckpointError(
        .tokenOutOfRange, tensor: "input",
        "token \(tokens[position]) at position \(position), the vocabulary has "
          + "\(vocabularySize)")
    }
    return try steps(tokens.count, of: 1, "token each", lengths)
  }

  private func steps(
    _ count: Int, of width: Int, _ what: String, _ lengths: [Int]?
  ) throws(CheckpointError) -> Int {
    guard count > 0, count % (batchSize * width) == 0 else {
      throw CheckpointError(
        .shapeMismatch,
        "an input of \(count) values, no multiple of \(batchSize) sequences × \(width) \(what)")
    }
    guard progress != .ended, progress == .fresh || lengths == nil else {
      throw CheckpointError(
        .notStreamable,
        "a bidirectional model, and a call with lengths, takes the whole sequence in one call; reset "
          + "the session for a new one")
    }
    let steps = count / (batchSize * width)
    if let lengths {
      guard lengths.count == batchSize else {
        throw CheckpointError(
          .shapeMismatch, tensor: "lengths",
          "\(lengths.count) lengths for \(batchSize) sequences")
      }
      for (lane, length) in lengths.enumerated() where !(1...steps ~= length) {
        throw CheckpointError(
          .shapeMismatch, tensor: "lengths",
          "sequence \(lane) has length \(length), not 1 to \(steps)")
      }
    }
    return steps
  }

  /// Compares the size of an output with `SequenceModel.outputShape(steps:batchSize:)`, without making
  /// that shape unless it is to be told: a shape allocates.
  private func check(_ count: Int, steps: Int) throws(CheckpointError) {
    let expected = (hasOutputAtEveryStep ? steps : 1) * batchSize * outputWidth
    guard count == expected else {
      throw CheckpointError(
        .shapeMismatch,
        "an output of \(count) values, expected "
          + "\(model.outputShape(steps: steps, batchSize: batchSize))")
    }
  }
}
