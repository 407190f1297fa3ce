internal import Checkpoints

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
      let first = try find("h_0", stack.configuration.stateSize)
      let second = try find("c_0", stack.configuration.hiddenSize)
      switch stack.configuration.givenState {
      case .given:
        states.hidden.append(first)
        states.cell.append(second)
      case .swapped:
        guard first?.shape == second?.shape else {
          throw CheckpointError(
            .goldenMismatch, tensor: prefix + "h_0",
            "h_0 and c_0 cannot be each other: both have to be there, of one shape")
        }
        states.hidden.append(second)
        states.cell.append(first)
      case .zero:
        states.hidden.append(nil)
        states.cell.append(nil)
      }
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
