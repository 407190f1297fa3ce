internal import Checkpoints

/// The tensors that bear the parameter names of one module.
struct StackTensors {
  let module: String
  var shapes: [ParameterName: Shape] = [:]
  var order: [ParameterName] = []

  init(module: String) { self.module = module }

  mutating func append(_ name: ParameterName, _ shape: Shape) {
    shapes[name] = shape
    order.append(name)
  }

  /// Whether the names are those of a cell; where both kinds occur, the others are unexpected.
  private var isCell: Bool { order.allSatisfy(\.isCell) }

  /// Kind and sizes.
  ///
  /// Where layers contradict each other the reading that most of them share wins, so that the odd
  /// one out is reported and not the others.
  func inferredConfiguration() -> RecurrentConfiguration? {
    // No module has more layers than tensors: what lies farther behind is no layer of it.
    guard let layers = order.map(\.layer).filter({ $0 < order.count }).max() else { return nil }
    var votes: [(kind: RecurrentConfiguration.Kind, hidden: Int, projection: Int, count: Int)] = []
    for name in order.sorted(by: { ($0.layer, $0.direction) < ($1.layer, $1.direction) })
    where name.kind == .hiddenWeight && name.isCell == isCell {
      var projectionName = name
      projectionName.kind = .projectionWeight
      guard let weight = shapes[name], weight.rank == 2 else { continue }
      // Only an LSTM has a projection, and only to fewer features.
      let projection = shapes[projectionName].flatMap {
        $0.rank == 2 && $0[1] > weight[1] && $0[1] == weight[0] / 4 ? $0 : nil
      }
      let hidden = projection?[1] ?? weight[1]
      guard hidden > 0, weight[0] % hidden == 0,
        let kind = RecurrentConfiguration.Kind.allCases.first(where: {
          $0.gateCount == weight[0] / hidden
        })
      else { continue }
      let reading = (kind, hidden, projection == nil ? 0 : weight[1])
      if let index = votes.firstIndex(where: {
        ($0.kind, $0.hidden, $0.projection) == reading
      }) {
        votes[index].count += 1
      } else {
        votes.append((kind: reading.0, hidden: reading.1, projection: reading.2, count: 1))
      }
    }
    // Among equals the first: that of the lowest layer.
    guard let most = votes.map(\.count).max(), let vote = votes.first(where: { $0.count == most })
    else { return nil }

    var first = ParameterName(module: module, kind: .inputWeight, layer: 0)
    first.isCell = isCell
    var reverse = first
    reverse.direction = .reverse
    guard let input = shapes[first] ?? shapes[reverse], input.rank == 2 else { return nil }
    var configuration = RecurrentConfiguration(
      kind: vote.kind, inputSize: input[1], hiddenSize: vote.hidden)
    configuration.isCell = isCell
    configuration.layerCount = layers + 1
    configuration.projectionSize = vote.projection
    configuration.isBidirectional = order.contains { $0.direction == .reverse }
    configuration.hasBias = order.contains { $0.kind == .inputBias || $0.kind == .hiddenBias }
    return input[1] > 0 ? configuration : nil
  }

  /// The weights without which nothing can be inferred.
  func essentialsMissing() -> [String] {
    let essential: [ParameterName.Kind] = [.inputWeight, .hiddenWeight]
    let names = essential.map { kind in
      isCell
        ? ParameterName(module: module, ofCell: kind)
        : ParameterName(module: module, kind: kind, layer: 0)
    }
    return names.filter { shapes[$0] == nil }.map(\.description)
  }

  /// What is wrong when both weights are there, but of shapes that no module has.
  func impossibleShapes() -> CheckpointError {
    let weights = order.filter {
      [.inputWeight, .hiddenWeight].contains($0.kind) && $0.layer == 0 && $0.direction == .forward
    }
    let words = weights.map { "\($0) \(shapes[$0] ?? [])" }
    return CheckpointError(
      .shapeMismatch, tensor: weights.first?.description,
      "\(words.joined(separator: " and ")) make no RNN, LSTM or GRU: the rows of weight_hh must be 1, 4 or "
        + "3 times the hidden size")
  }
}
