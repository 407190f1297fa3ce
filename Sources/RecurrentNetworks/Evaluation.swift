public import Checkpoints

// Running a model on tensors in PyTorch's shapes, by the names of goldens: `input`, `h_0`, `c_0` in,
// `output`, `h_n`, `c_n`, `y` out.

extension SequenceModel {
  /// Runs the model on named tensors.
  /// - Parameters:
  ///   - inputs: `input` as [steps, batch, I], [batch, steps, I] in a batch-first model, or [steps, I];
  ///     `h_0` and `c_0` as PyTorch takes them, absent for zeros. In a model of several stacks, states
  ///     are called `STACK.h_0`.
  ///   - threads: How many threads share the sequences of a batch.
  ///   - chunk: How many steps go through the model in one call; nil for all.
  /// - Returns: `output`, `h_n`, `c_n` of an LSTM, and `y` of a model with a head, in float32 and in
  ///   PyTorch's shapes; with the prefix that `input` has.
  /// - Throws: `goldenMismatch` when a tensor is missing or does not fit, `notStreamable` when `chunk`
  ///   is given for a bidirectional model.
  public func evaluate(
    _ inputs: StateDict, threads: Int = 1, chunk: Int? = nil
  ) throws(CheckpointError) -> StateDict {
    let call = try EvaluationCall(inputs, blueprint)
    if chunk != nil, blueprint.isBidirectional {
      throw CheckpointError(
        .notStreamable, "a bidirectional model takes the whole sequence in one call")
    }
    let session = makeSession(batchSize: call.batchSize, threads: threads)
    var states = session.state
    for index in states.indices {
      if let hidden = call.hidden[index] { states[index].hidden = try hidden.floats() }
      if let cell = call.cell[index] { states[index].cell = try cell.floats() }
    }
    session.state = states

    var pieces = EvaluationOutput<Float>(call, blueprint)
    let input = try call.input.floats()
    for start in stride(from: 0, to: call.steps, by: chunk ?? call.steps) {
      let steps = start..<min(start + (chunk ?? call.steps), call.steps)
      var output = [Float](
        repeating: 0,
        count: recurrentOutputShape(steps: steps.count, batchSize: call.batchSize).elementCount)
      let piece = call.rows(input, steps, width: blueprint.inputSize)
      if blueprint.head != nil {
        var head = [Float](
          repeating: 0,
          count: outputShape(steps: steps.count, batchSize: call.batchSize).elementCount)
        var outputSpan = output.mutableSpan
        var headSpan = head.mutableSpan
        try session.run(piece.span, recurrentOutput: &outputSpan, into: &headSpan)
        pieces.append(head: head, steps)
      } else {
        try session.run(piece, into: &output)
      }
      pieces.append(output: output, steps)
    }
    return try pieces.results(
      hidden: session.state.map(\.hidden), cell: session.state.map(\.cell),
      tensor: { Tensor($0, shape: $1) })
  }
}

extension ReferenceModel {
  /// Runs the model on named tensors, as `SequenceModel.evaluate(_:threads:chunk:)`; the results are
  /// float64.
  /// - Throws: `goldenMismatch` when a tensor is missing or does not fit.
  public func evaluate(_ inputs: StateDict) throws(CheckpointError) -> StateDict {
    let call = try EvaluationCall(inputs, blueprint)
    let input = try call.input.doubles()
    var hidden: [[[Double]]] = []
    var cell: [[[Double]]] = []
    var outputs: [[[Double]]] = []
    var heads: [[[Double]]] = []
    for stack in blueprint.stacks.indices {
      hidden.append(try call.hidden[stack]?.rows() ?? [])
      cell.append(try call.cell[stack]?.rows() ?? [])
    }
    var finals: [[State]] = []
    for lane in 0..<call.batchSize {
      let states = blueprint.stacks.indices.map { stack in
        var state = State(blueprint.stacks[stack].configuration)
        for slot in state.hidden.indices {
          let row = slot * call.batchSize + lane
          if !hidden[stack].isEmpty { state.hidden[slot] = hidden[stack][row] }
          if !cell[stack].isEmpty { state.cell[slot] = cell[stack][row] }
        }
        return state
      }
      let sequence = (0..<call.steps).map { call.row(input, $0, lane, width: blueprint.inputSize) }
      let result = run(sequence, from: states)
      outputs.append(result.output)
      if let head = result.head { heads.append(head) }
      finals.append(result.states)
    }

    var pieces = EvaluationOutput<Double>(call, blueprint)
    pieces.append(output: call.joined(outputs), 0..<call.steps)
    if !heads.isEmpty { pieces.append(head: call.joined(heads), 0..<call.steps) }
    func gathered(_ part: KeyPath<State, [[Double]]>) -> [[Double]] {
      blueprint.stacks.indices.map { stack in
        finals[0][stack][keyPath: part].indices.flatMap { slot in
          finals.flatMap { $0[stack][keyPath: part][slot] }
        }
      }
    }
    return try pieces.results(
      hidden: gathered(\.hidden), cell: gathered(\.cell), tensor: { Tensor($0, shape: $1) })
  }
}

/// The inputs of a call, found and checked.
struct EvaluationCall {
  let input: Tensor
  let steps: Int
  let batchSize: Int
  /// Whether there is a batch dimension.
  let isBatched: Bool
  let isBatchFirst: Bool
  /// `h_0` and `c_0` of every stack, or nil for zeros.
  let hidden: [Tensor?]
  let cell: [Tensor?]
  /// What stands before the names: the stack's path and a dot, or nothing.
  let prefix: String

  init(_ inputs: StateDict, _ blueprint: ModelBlueprint) throws(CheckpointError) {
    let prefixes = [""] + blueprint.stacks.map { $0.name + "." }
    guard let prefix = prefixes.first(where: { inputs[$0 + "input"] != nil }),
      let input = inputs[prefix + "input"]
    else {
      throw CheckpointError(.goldenMismatch, tensor: "input", "no such tensor")
    }
    let shape = input.shape
    let size = blueprint.inputSize
    isBatched = shape.rank == 3
    isBatchFirst = isBatched && blueprint.isBatchFirst
    guard shape.rank == 2 || shape.rank == 3, shape[shape.rank - 1] == size,
      shape.elementCount > 0, input.dtype.isFloatingPoint
    else {
      let batched = blueprint.isBatchFirst ? "[batch, steps, \(size)]" : "[steps, batch, \(size)]"
      throw CheckpointError(
        .goldenMismatch, tensor: prefix + "input",
        "\(input.dtype.rawValue) \(shape), expected floats \(batched) or [steps, \(size)]")
    }
    self.input = input
    self.prefix = prefix
    steps = isBatchFirst ? shape[1] : shape[0]
    batchSize = !isBatched ? 1 : isBatchFirst ? shape[0] : shape[1]

    var states: [String: [Tensor?]] = ["h_0": [], "c_0": []]
    for stack in blueprint.stacks {
      for (name, size) in [
        ("h_0", stack.configuration.stateSize), ("c_0", stack.configuration.hiddenSize),
      ] {
        let names = [stack.name + "." + name] + (blueprint.stacks.count == 1 ? [name] : [])
        let found = names.first { inputs[$0] != nil }
        let tensor = found.flatMap { inputs[$0] }
        let expected = Self.stateShape(
          stack.configuration, size: size, isBatched ? batchSize : nil)
        if let tensor {
          guard name == "h_0" || stack.configuration.kind == .lstm,
            tensor.shape == expected, tensor.dtype.isFloatingPoint
          else {
            throw CheckpointError(
              .goldenMismatch, tensor: found,
              stack.configuration.kind != .lstm && name == "c_0"
                ? "only an LSTM has a cell state"
                : "\(tensor.dtype.rawValue) \(tensor.shape), expected floats \(expected)")
          }
        }
        states[name]?.append(tensor)
      }
    }
    hidden = states["h_0"] ?? []
    cell = states["c_0"] ?? []
  }

  static func stateShape(
    _ configuration: RecurrentConfiguration, size: Int, _ batchSize: Int?
  ) -> Shape {
    let layers = configuration.layerCount * configuration.directionCount
    return batchSize.map { [layers, $0, size] } ?? [layers, size]
  }

  /// The position of a row of features in the input's or the output's order.
  private func position(_ step: Int, _ lane: Int, of steps: Int) -> Int {
    isBatchFirst ? lane * steps + step : step * batchSize + lane
  }

  /// The features of one step of one sequence.
  func row<Value>(_ values: [Value], _ step: Int, _ lane: Int, width: Int) -> [Value] {
    let start = position(step, lane, of: steps) * width
    return Array(values[start..<(start + width)])
  }

  /// The features of some steps of all sequences, in the input's order.
  func rows<Value>(_ values: [Value], _ steps: Range<Int>, width: Int) -> [Value] {
    if steps.count == self.steps { return values }
    return isBatchFirst
      ? (0..<batchSize).flatMap { lane in
        steps.flatMap { row(values, $0, lane, width: width) }
      }
      : Array(
        values[(steps.lowerBound * batchSize * width)..<(steps.upperBound * batchSize * width)])
  }

  /// Rows by sequence and step in the output's order.
  func joined<Value>(_ rows: [[[Value]]]) -> [Value] {
    let steps = rows[0].count
    return isBatchFirst || steps == 1
      ? rows.flatMap { $0.flatMap(\.self) }
      : (0..<steps).flatMap { step in rows.flatMap { $0[step] } }
  }
}

/// The outputs of a call while they come in.
struct EvaluationOutput<Value> {
  private let call: EvaluationCall
  private let blueprint: ModelBlueprint
  /// For each sequence what came so far, or for time-major everything in the first.
  private var outputs: [[Value]]
  private var heads: [[Value]]

  init(_ call: EvaluationCall, _ blueprint: ModelBlueprint) {
    self.call = call
    self.blueprint = blueprint
    let count = call.isBatchFirst ? call.batchSize : 1
    outputs = Array(repeating: [], count: count)
    heads = outputs
  }

  mutating func append(output: [Value], _ steps: Range<Int>) {
    Self.append(output, to: &outputs)
  }

  mutating func append(head: [Value], _ steps: Range<Int>) {
    // A head on the last step has its last word when the last steps were run.
    if blueprint.head?.configuration.input == .all {
      Self.append(head, to: &heads)
    } else {
      heads = [head]
    }
  }

  private static func append(_ values: [Value], to lanes: inout [[Value]]) {
    let width = values.count / lanes.count
    for lane in lanes.indices { lanes[lane] += values[(lane * width)..<((lane + 1) * width)] }
  }

  /// The results under their names.
  func results(
    hidden: [[Value]], cell: [[Value]], tensor: ([Value], Shape) -> Tensor
  ) throws(CheckpointError) -> StateDict {
    var results = StateDict()
    results[call.prefix + "output"] = tensor(
      outputs.flatMap(\.self), sequenceShape(blueprint.recurrentOutputSize))
    for (index, stack) in blueprint.stacks.enumerated() {
      let configuration = stack.configuration
      let prefix = blueprint.stacks.count == 1 ? call.prefix : stack.name + "."
      let batchSize = call.isBatched ? call.batchSize : nil
      results[prefix + "h_n"] = tensor(
        hidden[index],
        EvaluationCall.stateShape(configuration, size: configuration.stateSize, batchSize))
      if configuration.kind == .lstm {
        results[prefix + "c_n"] = tensor(
          cell[index],
          EvaluationCall.stateShape(configuration, size: configuration.hiddenSize, batchSize))
      }
    }
    if let head = blueprint.head?.configuration {
      let shape: Shape =
        head.input == .all
        ? sequenceShape(head.outputSize)
        : call.isBatched ? [call.batchSize, head.outputSize] : [head.outputSize]
      results[call.prefix + "y"] = tensor(heads.flatMap(\.self), shape)
    }
    return results
  }

  private func sequenceShape(_ size: Int) -> Shape {
    if !call.isBatched { return [call.steps, size] }
    return call.isBatchFirst
      ? [call.batchSize, call.steps, size] : [call.steps, call.batchSize, size]
  }
}

extension Tensor {
  /// The values by rows of the last dimension.
  fileprivate func rows() throws(CheckpointError) -> [[Double]] {
    let values = try doubles()
    let width = shape[shape.rank - 1]
    return stride(from: 0, to: values.count, by: width).map { Array(values[$0..<($0 + width)]) }
  }
}
