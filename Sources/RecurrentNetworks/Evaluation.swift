public import Checkpoints

// Running a model on tensors in PyTorch's shapes, by the names of goldens: `input`, `h_0`, `c_0` and
// `lengths` in; `output`, `h_n`, `c_n`, `y` and what goes on inside layers out.

extension SequenceModel {
  /// Runs the model on named tensors.
  /// - Parameters:
  ///   - inputs: `input` as [steps, batch, I], [batch, steps, I] in a batch-first model, or [steps, I];
  ///     without I and as integers for a model with an embedding; [batch, I] or [I] for a cell. `h_0` and
  ///     `c_0` as PyTorch takes them, absent for `initial`; in a model of several stacks they are called
  ///     `STACK.h_0`. `lengths` as [batch], absent when all sequences are as long as the input.
  ///   - prefix: What stands before the names, `encoder.rnn.`.
  ///   - initial: The state of stacks without `h_0`.
  ///   - threads: How many threads share the sequences of a batch.
  ///   - chunk: How many steps go through the model in one call; nil for all.
  ///   - allLayers: Whether `output_l0`, `c_l0`, `gates_l0_reverse`, … are given as well.
  /// - Returns: `output`, `h_n`, `c_n` of an LSTM, and `y` of a model with a head, in float32 and in
  ///   PyTorch's shapes, under `prefix`.
  /// - Throws: `goldenMismatch` when a tensor is missing or does not fit, `tokenOutOfRange`,
  ///   `notStreamable` when `chunk` is given for a bidirectional model or with lengths.
  public func evaluate(
    _ inputs: StateDict, prefix: String = "", initial: InitialState = .zero, threads: Int = 1,
    chunk: Int? = nil, allLayers: Bool = false
  ) throws(CheckpointError) -> StateDict {
    let call = try EvaluationCall(inputs, prefix: prefix, blueprint)
    if chunk != nil, blueprint.isBidirectional || call.lengths != nil {
      throw CheckpointError(
        .notStreamable,
        "a bidirectional model, and an input with lengths, takes the whole sequence in one call")
    }
    let session = makeSession(batchSize: call.batchSize, threads: threads)
    session.reset(to: initial)
    var states = session.state
    for index in states.indices {
      if let hidden = call.hidden[index] { states[index].hidden = try hidden.floats() }
      if let cell = call.cell[index] { states[index].cell = try cell.floats() }
    }
    session.state = states

    var results = EvaluationResults<Float>(call, blueprint)
    for start in stride(from: 0, to: call.steps, by: chunk ?? call.steps) {
      let steps = start..<min(start + (chunk ?? call.steps), call.steps)
      let input: RecordedInput =
        switch call.input {
        case .features(let tensor):
          .features(call.rows(try tensor.floats(), steps, width: blueprint.stackInputSize))
        case .tokens(let tokens):
          .tokens(call.rows(tokens, steps, width: 1))
        }
      let piece = try session.record(input, lengths: call.lengths, insideLayers: allLayers)
      results.append(piece.output, as: "output", steps)
      if let head = piece.head { results.append(head, as: "y", steps) }
      for layer in piece.layers {
        let name = results.layerName(layer.stack, layer.layer, layer.direction)
        results.append(layer.hidden, as: "output" + name, steps)
        if !layer.cell.isEmpty { results.append(layer.cell, as: "c" + name, steps) }
        if !layer.gates.isEmpty { results.append(layer.gates, as: "gates" + name, steps) }
      }
    }
    return try results.stateDict(
      hidden: session.state.map(\.hidden), cell: session.state.map(\.cell)
    ) { Tensor($0, shape: $1) }
  }
}

extension ReferenceModel {
  /// Runs the model on named tensors, as `SequenceModel.evaluate`; the results are float64.
  /// - Throws: `goldenMismatch` when a tensor is missing or does not fit, `tokenOutOfRange`.
  public func evaluate(
    _ inputs: StateDict, prefix: String = "", initial: InitialState = .zero,
    allLayers: Bool = false
  ) throws(CheckpointError) -> StateDict {
    var inputs = inputs
    // Recorded in the middle of a model, an input may be there in float64.
    if let wide = inputs[prefix + "input_f64"] { inputs[prefix + "input"] = wide }
    let call = try EvaluationCall(inputs, prefix: prefix, blueprint)
    let drawn = initial.states(of: blueprint, batchSize: call.batchSize)
    var hidden: [[[Double]]] = []
    var cell: [[[Double]]] = []
    for (index, stack) in blueprint.stacks.enumerated() {
      let (sizes, state) = (stack.configuration, drawn[index])
      hidden.append(
        (try call.hidden[index]?.doubles() ?? state.hidden.map(Double.init)).rows(sizes.stateSize))
      cell.append(
        (try call.cell[index]?.doubles() ?? state.cell.map(Double.init)).rows(sizes.hiddenSize))
    }
    let features: [Double] =
      switch call.input {
      case .features(let tensor): try tensor.doubles()
      case .tokens(let tokens): try embedded(tokens)
      }

    var lanes: [Result] = []
    for lane in 0..<call.batchSize {
      let states = blueprint.stacks.indices.map { stack in
        var state = State(blueprint.stacks[stack].configuration)
        for slot in state.hidden.indices {
          let row = slot * call.batchSize + lane
          state.hidden[slot] = hidden[stack][row]
          if !cell[stack].isEmpty { state.cell[slot] = cell[stack][row] }
        }
        return state
      }
      let sequence = (0..<call.steps).map {
        call.row(features, $0, lane, width: blueprint.stackInputSize)
      }
      lanes.append(run(sequence, length: call.lengths?[lane], from: states))
    }

    var results = EvaluationResults<Double>(call, blueprint)
    let all = 0..<call.steps
    results.append(call.joined(lanes.map(\.output)), as: "output", all)
    if blueprint.head != nil {
      results.append(call.joined(lanes.map { $0.head ?? [] }), as: "y", all)
    }
    if allLayers {
      for (index, layer) in lanes[0].layers.enumerated() {
        let name = results.layerName(layer.stack, layer.layer, layer.direction)
        func append(_ values: KeyPath<LayerResult, [[Double]]>, as what: String) {
          guard layer[keyPath: values].first?.isEmpty == false else { return }
          results.append(
            call.joined(lanes.map { $0.layers[index][keyPath: values] }), as: what + name, all)
        }
        append(\.hidden, as: "output")
        append(\.cell, as: "c")
        append(\.gates, as: "gates")
      }
    }
    func gathered(_ part: KeyPath<State, [[Double]]>) -> [[Double]] {
      blueprint.stacks.indices.map { stack in
        lanes[0].states[stack][keyPath: part].indices.flatMap { slot in
          lanes.flatMap { $0.states[stack][keyPath: part][slot] }
        }
      }
    }
    return try results.stateDict(hidden: gathered(\.hidden), cell: gathered(\.cell)) {
      Tensor($0, shape: $1)
    }
  }
}

/// The inputs of a call, found and checked.
struct EvaluationCall {
  enum Input {
    case features(Tensor)
    case tokens([Int])
  }

  let input: Input
  let steps: Int
  let batchSize: Int
  /// Whether there is a batch dimension.
  let isBatched: Bool
  let isBatchFirst: Bool
  /// Whether this is one call of a cell, which has no dimension for steps and no `output`.
  let isCellCall: Bool
  /// `h_0` and `c_0` of every stack, where they are given.
  let hidden: [Tensor?]
  let cell: [Tensor?]
  /// Each sequence's own steps, where they are given.
  let lengths: [Int]?
  /// What stands before the names.
  let prefix: String

  init(
    _ inputs: StateDict, prefix: String, _ blueprint: ModelBlueprint
  ) throws(CheckpointError) {
    self.prefix = prefix
    guard let tensor = inputs[prefix + "input"] else {
      throw CheckpointError(.goldenMismatch, tensor: prefix + "input", "no such tensor")
    }
    let takesTokens = blueprint.embedding != nil
    // Dimensions before the features.
    let outer = tensor.shape.rank - (takesTokens ? 0 : 1)
    let size = blueprint.stackInputSize
    isCellCall = blueprint.isCell && outer <= 1
    isBatched = outer == (isCellCall ? 1 : 2)
    isBatchFirst = isBatched && !isCellCall && blueprint.isBatchFirst
    guard outer >= (isCellCall ? 0 : 1), outer <= 2, tensor.shape.elementCount > 0,
      takesTokens || tensor.shape[outer] == size,
      tensor.dtype.isFloatingPoint != takesTokens, tensor.dtype != .bool
    else {
      throw CheckpointError(
        .goldenMismatch, tensor: prefix + "input",
        "\(tensor.dtype.rawValue) \(tensor.shape), expected \(Self.expectation(of: blueprint))")
    }
    let shape = tensor.shape
    steps = isCellCall ? 1 : isBatchFirst ? shape[1] : shape[0]
    batchSize = !isBatched ? 1 : isCellCall || isBatchFirst ? shape[0] : shape[1]
    do {
      input = takesTokens ? .tokens(try tensor.integers().map(Int.init)) : .features(tensor)
    } catch {
      throw error.located(tensor: prefix + "input")
    }

    (hidden, cell) = try Self.states(
      inputs, prefix, blueprint, isBatched ? batchSize : nil, isCellCall: isCellCall)
    lengths = try Self.lengths(inputs, prefix, isBatched ? batchSize : nil, steps: steps)
  }

  private static func expectation(of blueprint: ModelBlueprint) -> String {
    let features = blueprint.embedding == nil ? ", \(blueprint.stackInputSize)" : ""
    let kind = blueprint.embedding == nil ? "floats" : "integer tokens"
    if blueprint.isCell { return "\(kind) [batch\(features)]" }
    let batched = blueprint.isBatchFirst ? "[batch, steps\(features)]" : "[steps, batch\(features)]"
    return "\(kind) \(batched) or [steps\(features)]"
  }

  private static func states(
    _ inputs: StateDict, _ prefix: String, _ blueprint: ModelBlueprint, _ batchSize: Int?,
    isCellCall: Bool
  ) throws(CheckpointError) -> (hidden: [Tensor?], cell: [Tensor?]) {
    if blueprint.stacks.count > 1 {
      for name in ["h_0", "c_0"] where inputs[prefix + name] != nil {
        let names = blueprint.stacks.map { "\($0.name).\(name)" }
        throw CheckpointError(
          .goldenMismatch, tensor: prefix + name,
          "the model has several states: \(names.joined(separator: ", "))")
      }
    }
    var states: (hidden: [Tensor?], cell: [Tensor?]) = ([], [])
    for stack in blueprint.stacks {
      let prefix = blueprint.stacks.count == 1 ? prefix : stack.name + "."
      func find(_ name: String, _ size: Int) throws(CheckpointError) -> Tensor? {
        guard let tensor = inputs[prefix + name] else { return nil }
        guard name == "h_0" || stack.configuration.kind == .lstm else {
          throw CheckpointError(
            .goldenMismatch, tensor: prefix + name, "only an LSTM has a cell state")
        }
        let expected = stateShape(
          stack.configuration, size: size, batchSize, isCellCall: isCellCall)
        guard tensor.shape == expected, tensor.dtype.isFloatingPoint else {
          throw CheckpointError(
            .goldenMismatch, tensor: prefix + name,
            "\(tensor.dtype.rawValue) \(tensor.shape), expected floats \(expected)")
        }
        return tensor
      }
      states.hidden.append(try find("h_0", stack.configuration.stateSize))
      states.cell.append(try find("c_0", stack.configuration.hiddenSize))
    }
    return states
  }

  private static func lengths(
    _ inputs: StateDict, _ prefix: String, _ batchSize: Int?, steps: Int
  ) throws(CheckpointError) -> [Int]? {
    guard let tensor = inputs[prefix + "lengths"] else { return nil }
    func mismatch(_ reason: String) -> CheckpointError {
      CheckpointError(.goldenMismatch, tensor: prefix + "lengths", reason)
    }
    guard let batchSize, tensor.shape == [batchSize], !tensor.dtype.isFloatingPoint else {
      throw mismatch(
        "\(tensor.dtype.rawValue) \(tensor.shape), expected one integer for each sequence")
    }
    let lengths = try tensor.integers().map(Int.init)
    for (lane, length) in lengths.enumerated() where !(1...steps ~= length) {
      throw mismatch("sequence \(lane) has length \(length), not 1 to \(steps)")
    }
    return lengths
  }

  static func stateShape(
    _ configuration: RecurrentConfiguration, size: Int, _ batchSize: Int?, isCellCall: Bool
  ) -> Shape {
    if isCellCall { return batchSize.map { [$0, size] } ?? [size] }
    let layers = configuration.layerCount * configuration.directionCount
    return batchSize.map { [layers, $0, size] } ?? [layers, size]
  }

  /// The position of a row of features in the input's or the output's order.
  private func position(_ step: Int, _ lane: Int) -> Int {
    isBatchFirst ? lane * steps + step : step * batchSize + lane
  }

  /// The features of one step of one sequence.
  func row<Value>(_ values: [Value], _ step: Int, _ lane: Int, width: Int) -> [Value] {
    let start = position(step, lane) * width
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
    isBatchFirst
      ? rows.flatMap { $0.flatMap(\.self) }
      : rows[0].indices.flatMap { step in rows.flatMap { $0[step] } }
  }
}

/// The results of a call while they come in.
struct EvaluationResults<Value> {
  private let call: EvaluationCall
  private let blueprint: ModelBlueprint
  private var names: [String] = []
  /// For each name what came so far: by sequence in a batch-first model, else all in one.
  private var values: [String: [[Value]]] = [:]

  init(_ call: EvaluationCall, _ blueprint: ModelBlueprint) {
    self.call = call
    self.blueprint = blueprint
  }

  /// What stands behind `output` for a layer in one direction, with the stack before it where there are
  /// several: `_l1_reverse`.
  func layerName(_ stack: Int, _ layer: Int, _ direction: ParameterName.Direction) -> String {
    let suffix = "_l\(layer)" + (direction == .reverse ? "_reverse" : "")
    return blueprint.stacks.count == 1 ? suffix : "\(suffix)@\(blueprint.stacks[stack].name)"
  }

  /// Takes values of some steps in the output's order.
  mutating func append(_ piece: [Value], as name: String, _ steps: Range<Int>) {
    let lanes = call.isBatchFirst ? call.batchSize : 1
    if values[name] == nil { names.append(name) }
    // A head on the last step has its last word when the last steps were run.
    if name == "y", blueprint.head?.configuration.input != .all {
      values[name] = [piece]
      return
    }
    let width = piece.count / lanes
    for lane in 0..<lanes {
      values[name, default: Array(repeating: [], count: lanes)][lane] +=
        piece[(lane * width)..<((lane + 1) * width)]
    }
  }

  /// The results under their names, with the final states.
  func stateDict(
    hidden: [[Value]], cell: [[Value]], tensor: ([Value], Shape) -> Tensor
  ) throws(CheckpointError) -> StateDict {
    var results = StateDict()
    func add(_ name: String) {
      guard let values = values[name]?.flatMap(\.self) else { return }
      // A layer of one of several stacks has the stack's path before its name.
      let parts = name.split(separator: "@")
      let prefix = parts.count == 2 ? "\(parts[1])." : call.prefix
      results[prefix + parts[0]] = tensor(
        values,
        shape(of: name, size: values.count / (call.batchSize * (isPerStep(name) ? call.steps : 1))))
    }
    // A cell gives its state and no output.
    if !call.isCellCall { add("output") }
    for (index, stack) in blueprint.stacks.enumerated() {
      let configuration = stack.configuration
      let prefix = blueprint.stacks.count == 1 ? call.prefix : stack.name + "."
      results[prefix + "h_n"] = tensor(
        hidden[index], stateShape(stack, configuration.stateSize))
      if configuration.kind == .lstm {
        results[prefix + "c_n"] = tensor(
          cell[index], stateShape(stack, configuration.hiddenSize))
      }
    }
    add("y")
    for name in names where name != "output" && name != "y" { add(name) }
    return results
  }

  /// The shapes of the results, insides of layers apart, by their names.
  var shapes: [String: Shape] {
    var shapes: [String: Shape] = [:]
    if !call.isCellCall {
      shapes[call.prefix + "output"] = shape(of: "output", size: blueprint.recurrentOutputSize)
    }
    if let head = blueprint.head?.configuration {
      shapes[call.prefix + "y"] = shape(of: "y", size: head.outputSize)
    }
    for stack in blueprint.stacks {
      let prefix = blueprint.stacks.count == 1 ? call.prefix : stack.name + "."
      shapes[prefix + "h_n"] = stateShape(stack, stack.configuration.stateSize)
      if stack.configuration.kind == .lstm {
        shapes[prefix + "c_n"] = stateShape(stack, stack.configuration.hiddenSize)
      }
    }
    return shapes
  }

  private func stateShape(_ stack: ModelBlueprint.Stack, _ size: Int) -> Shape {
    EvaluationCall.stateShape(
      stack.configuration, size: size, call.isBatched ? call.batchSize : nil,
      isCellCall: call.isCellCall)
  }

  /// Whether a result has a row for each step.
  private func isPerStep(_ name: String) -> Bool {
    !call.isCellCall && (name != "y" || blueprint.head?.configuration.input == .all)
  }

  private func shape(of name: String, size: Int) -> Shape {
    let isPerStep = isPerStep(name)
    if !isPerStep { return call.isBatched ? [call.batchSize, size] : [size] }
    if !call.isBatched { return [call.steps, size] }
    return call.isBatchFirst
      ? [call.batchSize, call.steps, size] : [call.steps, call.batchSize, size]
  }
}

extension [Double] {
  /// The values in rows of `width`.
  fileprivate func rows(_ width: Int) -> [[Double]] {
    stride(from: 0, to: count, by: Swift.max(width, 1)).map { Array(self[$0..<($0 + width)]) }
  }
}
