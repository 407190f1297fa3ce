internal import Checkpoints

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
