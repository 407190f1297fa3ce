internal import Checkpoints

/// Each step of each layer from what was recorded of the step before it and of the layer below.
struct StepwiseComparison {
  private let model: ReferenceModel
  private let call: EvaluationCall
  private let golden: RecordedRun
  private let part: GoldenPart
  private let goldens: StateDict

  init(
    _ model: ReferenceModel, _ call: EvaluationCall, _ golden: RecordedRun, _ part: GoldenPart,
    _ goldens: StateDict
  ) {
    self.model = model
    self.call = call
    self.golden = golden
    self.part = part
    self.goldens = goldens
  }

  /// The first divergence, and its rank among those of all layers.
  func first() throws(CheckpointError) -> (divergence: Divergence, rank: Int)? {
    guard var input = try input() else { return nil }
    var rank = 0
    for (stack, module) in part.blueprint.stacks.enumerated() {
      let configuration = module.configuration
      for layer in 0..<configuration.layerCount {
        var sides: [[[[Double]]]] = []
        var found: (divergence: Divergence, index: Int)?
        for direction in configuration.directions {
          guard let hidden = try golden.inside("output", stack, layer, direction) else {
            return nil
          }
          sides.append(hidden)
          let place = try first(stack, layer, direction, input, hidden)
          if let place, found.map({ place.index < $0.index }) ?? true { found = place }
        }
        if let found { return (found.divergence, rank + found.index) }
        rank += call.steps
        input = (0..<call.batchSize).map { lane in
          (0..<call.steps).map { step in sides.flatMap { $0[lane][step] } }
        }
      }
    }
    return nil
  }

  /// The input of the first layer, [sequence][step][features].
  private func input() throws(CheckpointError) -> [[[Double]]]? {
    let values: [Double]
    switch call.input {
    case .features(let tensor): values = try tensor.doubles()
    case .tokens(let tokens): values = try model.embedded(tokens)
    }
    return (0..<call.batchSize).map { lane in
      (0..<call.steps).map { call.row(values, $0, lane, width: part.blueprint.stackInputSize) }
    }
  }

  private func first(
    _ stack: Int, _ layer: Int, _ direction: ParameterName.Direction, _ input: [[[Double]]],
    _ hidden: [[[Double]]]
  ) throws(CheckpointError) -> (divergence: Divergence, index: Int)? {
    let configuration = part.blueprint.stacks[stack].configuration
    let cell = try golden.inside("c", stack, layer, direction)
    // An LSTM cannot be followed without its cell states.
    guard configuration.kind != .lstm || cell != nil else { return nil }
    let gates = try golden.inside("gates", stack, layer, direction)
    let letters = Convention.gates(of: configuration.kind)?.map(String.init) ?? []
    let slot = layer * configuration.directionCount + direction.rawValue

    var course = ErrorCourse(count: call.steps)
    /// The steps that differ, and what of the first one does.
    var different: Set<Int> = []
    var differentAtFirst: Set<String> = []
    /// For the first step: what differs, by gate and then by size.
    var found: (index: Int, part: Int, error: Double, place: Divergence.Place, Double, Double)?
    for lane in 0..<call.batchSize {
      var h = try initial(call.hidden[stack], slot, lane, configuration.stateSize)
      var c = try initial(call.cell[stack], slot, lane, configuration.hiddenSize)
      for (index, step) in call.order(direction, lane).enumerated() {
        let computed = model.step(
          stack, layer, direction, input: input[lane][step], hidden: &h, cell: &c)
        var parts: [(name: String, values: [Double], golden: [Double])] = []
        if let gates, !letters.isEmpty, gates[lane][step].count == computed.count {
          let size = configuration.hiddenSize
          for (place, letter) in letters.enumerated() {
            let range = (place * size)..<((place + 1) * size)
            parts.append((letter, Array(computed[range]), Array(gates[lane][step][range])))
          }
        }
        if let cell, configuration.kind == .lstm { parts.append(("c", c, cell[lane][step])) }
        parts.append(("h", h, hidden[lane][step]))
        for (number, part) in parts.enumerated() {
          for unit in part.values.indices {
            let (value, expected) = (part.values[unit], part.golden[unit])
            let error = abs(value - expected)
            course.add(error, at: index)
            guard Divergence.differs(value, expected) else { continue }
            different.insert(index)
            if index == 0 { differentAtFirst.insert(part.name) }
            if let known = found {
              let order = (known.index, known.part)
              guard (index, number) < order || (index, number) == order && error > known.error
              else { continue }
            }
            let place = Divergence.Place(
              module: self.part.blueprint.stacks[stack].name, layer: layer, direction: direction,
              step: step, gate: part.name, sequence: lane, unit: unit)
            found = (index, number, error, place, expected, value)
          }
        }
        // The next step goes on from what was recorded.
        h = hidden[lane][step]
        if let cell, configuration.kind == .lstm { c = cell[lane][step] }
      }
    }
    guard let found else { return nil }
    // From recorded states nothing goes on by itself: a formula that is wrong is wrong at every step, a
    // state that is wrong once and in every gate.
    let isEverywhere = 2 * different.count > call.steps - found.index
    let isState =
      different == [0] && call.steps > 1 && differentAtFirst.count == max(1, letters.count + 1)
      && (call.hidden[stack] != nil || call.cell[stack] != nil || letters.isEmpty)
    let pattern: Divergence.Pattern =
      isState ? .state : found.index <= 1 && isEverywhere ? .convention : .fault
    return (
      Divergence(
        place: found.place, expected: found.4, computed: found.5,
        errorBefore: course.before(found.index), errorAfter: course.after(found.index),
        pattern: pattern, evidence: .layers), found.index
    )
  }

  private func initial(
    _ state: Tensor?, _ slot: Int, _ lane: Int, _ size: Int
  ) throws(CheckpointError) -> [Double] {
    guard let state else { return Array(repeating: 0, count: size) }
    let start = (slot * call.batchSize + lane) * size
    return Array(try state.doubles()[start..<(start + size)])
  }
}
