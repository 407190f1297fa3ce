/// The state of one stack: h, and for an LSTM c, of every layer, direction and sequence.
public struct RecurrentState: Hashable, Sendable {
  /// h: [layers × directions, batch, P or H], layer by layer, forward before reverse.
  public var hidden: [Float]
  /// c of an LSTM: [layers × directions, batch, H]; empty for other kinds.
  public var cell: [Float]
  /// The stack's directions, 1 or 2.
  public let directionCount: Int
  /// The sequences.
  public let batchSize: Int
  /// Features of h.
  public let hiddenSize: Int
  /// Features of c; 0 without.
  public let cellSize: Int

  /// A state of zeros.
  public init(_ configuration: RecurrentConfiguration, batchSize: Int) {
    let layers = configuration.layerCount * configuration.directionCount
    directionCount = configuration.directionCount
    self.batchSize = batchSize
    hiddenSize = configuration.stateSize
    cellSize = configuration.kind == .lstm ? configuration.hiddenSize : 0
    hidden = Array(repeating: 0, count: layers * batchSize * hiddenSize)
    cell = Array(repeating: 0, count: layers * batchSize * cellSize)
  }

  /// h of one layer and direction, [batch, P or H].
  public func hidden(
    layer: Int, direction: ParameterName.Direction = .forward
  ) -> ArraySlice<Float> {
    slice(of: hidden, layer, direction, width: batchSize * hiddenSize)
  }

  /// c of one layer and direction, [batch, H].
  public func cell(
    layer: Int, direction: ParameterName.Direction = .forward
  ) -> ArraySlice<Float> {
    slice(of: cell, layer, direction, width: batchSize * cellSize)
  }

  private func slice(
    of values: [Float], _ layer: Int, _ direction: ParameterName.Direction, width: Int
  ) -> ArraySlice<Float> {
    let start = (layer * directionCount + direction.rawValue) * width
    return values[start..<(start + width)]
  }

  /// The state of one sequence of the batch.
  public func lane(_ lane: Int) -> RecurrentState {
    var state = RecurrentState(self, batchSize: 1)
    for slot in 0..<(hidden.count / (batchSize * hiddenSize)) {
      let row = slot * batchSize + lane
      state.hidden += hidden[(row * hiddenSize)..<((row + 1) * hiddenSize)]
      state.cell += cell[(row * cellSize)..<((row + 1) * cellSize)]
    }
    return state
  }

  /// Replaces the state of one sequence of the batch by that of a batch of one.
  public mutating func setLane(_ lane: Int, to state: RecurrentState) {
    precondition(self.lane(lane).matches(state), "a state of other sizes")
    for slot in 0..<(hidden.count / (batchSize * hiddenSize)) {
      let row = slot * batchSize + lane
      for column in 0..<hiddenSize {
        hidden[row * hiddenSize + column] = state.hidden[slot * hiddenSize + column]
      }
      for column in 0..<cellSize {
        cell[row * cellSize + column] = state.cell[slot * cellSize + column]
      }
    }
  }

  /// An empty state of the sizes of another.
  private init(_ other: RecurrentState, batchSize: Int) {
    hidden = []
    cell = []
    directionCount = other.directionCount
    self.batchSize = batchSize
    hiddenSize = other.hiddenSize
    cellSize = other.cellSize
  }

  /// Whether a state has the same sizes.
  func matches(_ other: RecurrentState) -> Bool {
    hidden.count == other.hidden.count && cell.count == other.cell.count
      && batchSize == other.batchSize && hiddenSize == other.hiddenSize
      && cellSize == other.cellSize && directionCount == other.directionCount
  }
}
