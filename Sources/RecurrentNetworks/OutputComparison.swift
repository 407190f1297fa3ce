internal import Checkpoints

/// The output and the final states of a run beside those that were recorded.
struct OutputComparison {
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
