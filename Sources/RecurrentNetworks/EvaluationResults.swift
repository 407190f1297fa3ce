internal import Checkpoints

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
