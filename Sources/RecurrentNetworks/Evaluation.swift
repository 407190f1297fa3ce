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
  ///   - threads: How many threads a call may use.
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

extension [Double] {
  /// The values in rows of `width`.
  fileprivate func rows(_ width: Int) -> [[Double]] {
    stride(from: 0, to: count, by: Swift.max(width, 1)).map { Array(self[$0..<($0 + width)]) }
  }
}
