internal import Checkpoints

/// Where a model first leaves what was recorded, and what it looks like from there on.
///
/// A golden that carries what goes on inside layers (`output_l0`, `c_l0`, `gates_l0`) tells the very gate:
/// each step of each layer is computed in float64 from the recorded input and state of that step, so that
/// no fault hides behind the one before it. Others tell as much as the last layer's output and the final
/// states show.
public struct Divergence: Hashable, Sendable {
  /// A place in a model.
  public struct Place: Hashable, Sendable {
    /// The recurrent module; empty for one at the root.
    public var module: String
    /// The layer; nil where the golden does not tell.
    public var layer: Int?
    /// The direction; nil where the golden does not tell.
    public var direction: ParameterName.Direction?
    /// The step of the input; nil where the golden does not tell.
    public var step: Int?
    /// The gate by its letter, i f g o or r z n; `c` and `h` for the states, `y` for the head; nil where
    /// the golden does not tell.
    public var gate: String?
    /// The sequence of the batch.
    public var sequence = 0
    /// The hidden unit, or the feature.
    public var unit = 0
  }

  /// What errors look like, step after step in the order in which they are computed.
  public enum Pattern: String, Sendable, CaseIterable {
    /// They grow slowly from next to nothing.
    case rounding
    /// They are there from the first step to the last: another formula, or other weights.
    case convention
    /// They are there at the first step alone, or fade from there: another initial state.
    case state
    /// They stand behind the ends of sequences, or begin there.
    case lengths
    /// They begin in the middle.
    case fault
  }

  /// What the golden could be asked.
  public enum Evidence: String, Sendable, CaseIterable {
    /// Hidden states and gates of every layer.
    case layers
    /// The last layer's output, and final states.
    case output
  }

  /// Where it is.
  public var place: Place
  /// What was recorded there.
  public var expected: Double
  /// What the model computes.
  public var computed: Double
  /// The largest error before that place, of what the golden shows.
  public var errorBefore: Double
  /// The largest error from there on.
  public var errorAfter: Double
  /// What the errors look like.
  public var pattern: Pattern
  /// What it was concluded from.
  public var evidence: Evidence

  /// |a − b| up to which numbers agree here, and the same for each |b|.
  static let tolerance = 1e-5

  /// Whether a number is not the one that was recorded.
  static func differs(_ value: Double, _ golden: Double) -> Bool {
    !(abs(value - golden) <= tolerance * (1 + abs(golden))) && value != golden
  }
}

extension Divergence.Place: CustomStringConvertible {
  /// The place in words, `layer 1 reverse, step 37, forget gate`.
  public var description: String {
    if gate == "y" { return "the output layer" + (step.map { ", step \($0)" } ?? "") }
    var words: [String] = []
    if let layer {
      let side = direction == .reverse ? " reverse" : ""
      words.append((module.isEmpty ? "" : "\(module), ") + "layer \(layer)\(side)")
    } else if !module.isEmpty {
      words.append(module)
    }
    if let step { words.append("step \(step)") }
    if let gate { words.append(Self.names[gate] ?? gate) }
    return words.isEmpty ? "somewhere" : words.joined(separator: ", ")
  }

  private static let names = [
    "i": "input gate", "f": "forget gate", "g": "cell gate", "o": "output gate", "r": "reset gate",
    "z": "update gate", "n": "new gate", "c": "cell state", "h": "hidden state",
  ]
}

// MARK: - Finding it

extension Divergence {
  /// Finds the first place at which a part of a model leaves its golden.
  /// - Returns: nil where nothing that the golden shows differs.
  /// - Throws: what running the part throws.
  static func first(
    of part: GoldenPart, in goldens: StateDict
  ) throws(CheckpointError) -> Divergence? {
    let model = try ReferenceModel(part.blueprint)
    let call = try EvaluationCall(goldens, prefix: part.prefix, part.blueprint)
    let results = try model.evaluate(goldens, prefix: part.prefix, allLayers: true)
    let own = try RecordedRun(results, call, part)
    // What was recorded in either precision may be where it differs.
    var found: [(divergence: Divergence, rank: Int)] = []
    for suffix in ["", Verification.float64Suffix] {
      let golden = try RecordedRun(goldens, suffix: suffix, call, part)
      guard let place = try StepwiseComparison(model, call, golden, part, goldens).first()
      else { continue }
      found.append(place)
    }
    if let first = found.min(by: { $0.rank < $1.rank }) { return first.divergence }
    for suffix in ["", Verification.float64Suffix] {
      let golden = try RecordedRun(goldens, suffix: suffix, call, part)
      if let place = try OutputComparison(own, golden, call, part).first() { return place }
    }
    return nil
  }
}

/// Named tensors of a run as rows of numbers by sequence and step.
struct RecordedRun {
  private let tensors: StateDict
  private let suffix: String
  private let call: EvaluationCall
  private let part: GoldenPart

  init(
    _ tensors: StateDict, suffix: String = "", _ call: EvaluationCall, _ part: GoldenPart
  ) throws(CheckpointError) {
    self.tensors = tensors
    self.suffix = suffix
    self.call = call
    self.part = part
  }

  private func prefix(_ stack: Int) -> String {
    part.blueprint.stacks.count == 1 ? part.prefix : part.blueprint.stacks[stack].name + "."
  }

  /// A result of each step, [sequence][step][features]; nil where it is not there.
  func steps(_ name: String, ofStack stack: Int? = nil) throws(CheckpointError) -> [[[Double]]]? {
    let prefix = stack.map { self.prefix($0) } ?? part.prefix
    guard let tensor = tensors[prefix + name + suffix],
      tensor.shape.elementCount % (call.steps * call.batchSize) == 0
    else { return nil }
    let values = try tensor.doubles()
    let width = values.count / (call.steps * call.batchSize)
    return (0..<call.batchSize).map { lane in
      (0..<call.steps).map { call.row(values, $0, lane, width: width) }
    }
  }

  /// What goes on inside a layer.
  func inside(
    _ what: String, _ stack: Int, _ layer: Int, _ direction: ParameterName.Direction
  ) throws(CheckpointError) -> [[[Double]]]? {
    try steps(
      "\(what)_l\(layer)" + (direction == .reverse ? "_reverse" : ""), ofStack: stack)
  }

  /// Final states, [slot][sequence][features]; nil where they are not there.
  func final(_ name: String, ofStack stack: Int) throws(CheckpointError) -> [[[Double]]]? {
    guard let tensor = tensors[prefix(stack) + name + suffix] else { return nil }
    let configuration = part.blueprint.stacks[stack].configuration
    let slots = configuration.layerCount * configuration.directionCount
    let values = try tensor.doubles()
    guard values.count % (slots * call.batchSize) == 0 else { return nil }
    let width = values.count / (slots * call.batchSize)
    return (0..<slots).map { slot in
      (0..<call.batchSize).map { lane in
        let start = (slot * call.batchSize + lane) * width
        return Array(values[start..<(start + width)])
      }
    }
  }

  /// A result that has one row for each sequence, or one for each step.
  func rows(_ name: String) throws(CheckpointError) -> [[Double]]? {
    guard let tensor = tensors[part.prefix + name + suffix],
      let width = tensor.shape.dimensions.last,
      width > 0
    else { return nil }
    let values = try tensor.doubles()
    return stride(from: 0, to: values.count, by: width).map { Array(values[$0..<($0 + width)]) }
  }
}

extension EvaluationCall {
  /// The steps of a sequence in the order in which a direction takes them; padding is none.
  func order(_ direction: ParameterName.Direction, _ lane: Int) -> [Int] {
    let steps = Array(0..<(lengths?[lane] ?? self.steps))
    return direction == .forward ? steps : steps.reversed()
  }
}

/// The largest error of each step in the order of computing.
private struct ErrorCourse {
  private(set) var errors: [Double]

  init(count: Int) { errors = Array(repeating: 0, count: count) }

  mutating func add(_ error: Double, at index: Int) {
    errors[index] = max(errors[index], error.isNaN ? .infinity : error)
  }

  func before(_ index: Int) -> Double { errors[..<index].max() ?? 0 }
  func after(_ index: Int) -> Double { errors[index...].max() ?? 0 }

  /// What errors of a run that goes on from its own states look like, first too large at an index.
  func pattern(from first: Int) -> Divergence.Pattern {
    let largest = errors.max() ?? 0
    // Rounding grows by a factor from step to step, not from nothing to something.
    if first > 0, errors[first - 1] > 0, largest < 1e-3, errors[first] < 16 * errors[first - 1] {
      return .rounding
    }
    if first == 0, errors.count > 1, (errors.last ?? 0) <= largest / 20 { return .state }
    // From zero states a wrong W_hh shows with the second step.
    return first <= 1 ? .convention : .fault
  }
}

/// Each step of each layer from what was recorded of the step before it and of the layer below.
private struct StepwiseComparison {
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

/// The output and the final states of a run beside those that were recorded.
private struct OutputComparison {
  private let own: RecordedRun
  private let golden: RecordedRun
  private let call: EvaluationCall
  private let part: GoldenPart

  init(_ own: RecordedRun, _ golden: RecordedRun, _ call: EvaluationCall, _ part: GoldenPart) {
    self.own = own
    self.golden = golden
    self.call = call
    self.part = part
  }

  func first() throws(CheckpointError) -> Divergence? {
    let layer = try firstLayer()
    if let found = try firstStep(layer) { return found }
    if let layer { return layer.divergence }
    return try head()
  }

  /// The first layer and direction whose final state is another one.
  private func firstLayer() throws(CheckpointError) -> (divergence: Divergence, isLast: Bool)? {
    for (stack, module) in part.blueprint.stacks.enumerated() {
      let configuration = module.configuration
      var before = 0.0
      for slot in 0..<(configuration.layerCount * configuration.directionCount) {
        var found: Divergence?
        var largest = 0.0
        for (name, letter) in [("c_n", "c"), ("h_n", "h")] {
          guard let golden = try golden.final(name, ofStack: stack),
            let own = try own.final(name, ofStack: stack)
          else { continue }
          for lane in 0..<call.batchSize {
            for (unit, expected) in golden[slot][lane].enumerated() {
              let value = own[slot][lane][unit]
              largest = max(largest, abs(value - expected))
              guard Divergence.differs(value, expected),
                found.map({ abs(value - expected) > abs($0.computed - $0.expected) }) ?? true
              else { continue }
              let (layer, side) = slot.quotientAndRemainder(
                dividingBy: configuration.directionCount)
              found = Divergence(
                place: Divergence.Place(
                  module: module.name, layer: layer, direction: side == 0 ? .forward : .reverse,
                  step: nil, gate: letter, sequence: lane, unit: unit),
                expected: expected, computed: value, errorBefore: before, errorAfter: 0,
                pattern: .convention, evidence: .output)
            }
          }
        }
        if var found {
          found.errorAfter = largest
          // The gate is not known, only that a state came out wrong.
          found.place.gate = nil
          let isLast =
            stack == part.blueprint.stacks.count - 1
            && found.place.layer == configuration.layerCount - 1
          return (found, isLast)
        }
        before = max(before, largest)
      }
    }
    return nil
  }

  /// The first step of the output that is another one, with the layer that final states tell.
  private func firstStep(
    _ known: (divergence: Divergence, isLast: Bool)?
  ) throws(CheckpointError) -> Divergence? {
    guard let golden = try golden.steps("output"), let own = try own.steps("output"),
      let last = part.blueprint.stacks.last
    else { return nil }
    let configuration = last.configuration
    var best: (index: Int, divergence: Divergence)?
    for direction in configuration.directions {
      let columns = direction.rawValue * configuration.stateSize
      var course = ErrorCourse(count: call.steps)
      var found: (index: Int, lane: Int, step: Int, unit: Int, Double, Double)?
      var isBehindEnds = true
      var hasZeroTail = false
      for lane in 0..<call.batchSize {
        let end = golden[lane].lastIndex { $0.contains { $0 != 0 } } ?? -1
        hasZeroTail = hasZeroTail || end < call.steps - 1
        let inside = call.order(direction, lane)
        let padding = Array(inside.count..<call.steps)
        for (index, step) in (inside + padding).enumerated() {
          for unit in 0..<configuration.stateSize {
            let expected = golden[lane][step][columns + unit]
            let value = own[lane][step][columns + unit]
            let error = abs(value - expected)
            course.add(error, at: index)
            guard Divergence.differs(value, expected) else { continue }
            if direction == .forward, step <= end { isBehindEnds = false }
            if direction == .reverse, end == call.steps - 1 { isBehindEnds = false }
            if let found, (found.index, -abs(found.4 - found.5)) <= (index, -error) { continue }
            found = (index, lane, step, unit, expected, value)
          }
        }
      }
      guard let found, best.map({ found.index < $0.index }) ?? true else { continue }
      var pattern = course.pattern(from: found.index)
      if hasZeroTail, isBehindEnds { pattern = .lengths }
      var place = Divergence.Place(
        module: last.name, layer: nil, direction: nil, step: found.step, gate: nil,
        sequence: found.lane, unit: found.unit)
      let isOnlyLayer = part.blueprint.stacks.count == 1 && configuration.layerCount == 1
      if isOnlyLayer {
        (place.layer, place.direction) = (0, direction)
      } else if let known {
        place.module = known.divergence.place.module
        (place.layer, place.direction) = (
          known.divergence.place.layer, known.divergence.place.direction
        )
        // Behind a layer of two directions every step depends on every other one.
        if !known.isLast, part.blueprint.isBidirectional { place.step = nil }
      } else if part.blueprint.isBidirectional {
        place.direction = nil
      }
      let divergence = Divergence(
        place: place, expected: found.4, computed: found.5, errorBefore: course.before(found.index),
        errorAfter: course.after(found.index), pattern: pattern, evidence: .output)
      best = (found.index, divergence)
    }
    return best?.divergence
  }

  /// The head, where all before it is right.
  private func head() throws(CheckpointError) -> Divergence? {
    guard let golden = try golden.rows("y"), let own = try own.rows("y") else { return nil }
    var found: Divergence?
    var largest = 0.0
    for (row, (values, expected)) in zip(own, golden).enumerated() {
      for unit in expected.indices where Divergence.differs(values[unit], expected[unit]) {
        largest = max(largest, abs(values[unit] - expected[unit]))
        guard found == nil else { continue }
        let isPerStep = golden.count == call.steps * call.batchSize && call.steps > 1
        let step = call.isBatchFirst ? row % call.steps : row / call.batchSize
        found = Divergence(
          place: Divergence.Place(
            module: part.blueprint.head?.name ?? "", layer: nil, direction: nil,
            step: isPerStep ? step : nil, gate: "y", sequence: 0, unit: unit),
          expected: expected[unit], computed: values[unit], errorBefore: 0, errorAfter: 0,
          pattern: .convention, evidence: .output)
      }
    }
    found?.errorAfter = largest
    return found
  }
}
