internal import Checkpoints
internal import CRecurrentKernels

/// Weights in the order in which the kernels read them: the panels of CRecurrentKernels.h.
///
/// Immutable once made; shared by all sessions of a model.
struct PackedWeights: Sendable {
  private let bytes: Bytes
  /// Of a layer: whether every weight that meets the state is finite.
  private(set) var hasFiniteStateWeights = false

  private init(bytes: Bytes) { self.bytes = bytes }

  private static let panel = Int(STRATA_PANEL)
  private static let halfPanel = Int(STRATA_HALF_PANEL)

  /// The length of a row of state in which panels are written whole.
  static func padded(_ size: Int) -> Int { (size + panel - 1) / panel * panel }

  /// Where a panel begins, in units, and how wide it is.
  private struct Panel {
    let start: Int
    let width: Int

    /// The panel that holds a unit of so many.
    init(of unit: Int, in units: Int) {
      start = unit / panel * panel
      width = units - start > halfPanel ? panel : halfPanel
    }
  }

  /// All outputs of the panels that hold so many.
  private static func paddedOutputs(_ outputs: Int) -> Int {
    let last = Panel(of: outputs - 1, in: outputs)
    return last.start + last.width
  }

  /// The packed floats, which live as long as this does.
  @unsafe
  var floats: UnsafePointer<Float> {
    unsafe bytes.withUnsafeBytes { buffer in
      guard let base = unsafe buffer.assumingMemoryBound(to: Float.self).baseAddress else {
        preconditionFailure("a layer without weights")
      }
      return unsafe base
    }
  }

  /// Packs one layer in one direction.
  ///
  /// Parameters are read one at a time.
  /// - Throws: what reading a parameter throws.
  static func layer(
    _ layer: Int, _ direction: ParameterName.Direction, of stack: ModelBlueprint.Stack,
    _ blueprint: ModelBlueprint
  ) throws(CheckpointError) -> PackedWeights {
    let configuration = stack.configuration
    let kind = configuration.kind
    let gates = kind.gateCount
    let hidden = configuration.hiddenSize
    let input = configuration.inputSize(ofLayer: layer)
    let state = configuration.stateSize
    let accumulators = kind == .gru ? 4 : gates
    // Floats for each unit.
    let floats = accumulators + (input + state) * gates
    // A GRU's state adds to r, z and its own n, so that accumulators stand side by side either way.
    let inputGates = kind == .gru ? [2, 0, 1] : Array(0..<gates)

    func parameter(_ kind: ParameterName.Kind) throws(CheckpointError) -> [Float]? {
      try blueprint.parameter(kind, of: stack, layer: layer, direction)?.floats()
    }
    var isFinite = false
    var weights = try packed(floats: paddedOutputs(hidden) * floats) {
      packed throws(CheckpointError) in
      let inputBias = try parameter(.inputBias)
      let hiddenBias = try parameter(.hiddenBias)
      for unit in 0..<hidden {
        let panel = Panel(of: unit, in: hidden)
        let start = panel.start * floats + unit - panel.start
        for (column, gate) in inputGates.enumerated() {
          let row = gate * hidden + unit
          let first = inputBias?[row] ?? 0
          let second = hiddenBias?[row] ?? 0
          if kind == .gru, gate == 2 {
            packed[start] = first
            packed[start + 3 * panel.width] = second
          } else {
            packed[start + column * panel.width] = first + second
          }
        }
      }
      func pack(
        _ weight: [Float]?, columns: Int, of gateOrder: [Int], behind offset: Int
      ) {
        guard let weight else { preconditionFailure("a layer without its weights") }
        for unit in 0..<hidden {
          let panel = Panel(of: unit, in: hidden)
          let start = panel.start * floats + unit - panel.start + offset * panel.width
          for (place, gate) in gateOrder.enumerated() {
            let row = (gate * hidden + unit) * columns
            for column in 0..<columns {
              packed[start + (column * gates + place) * panel.width] = weight[row + column]
            }
          }
        }
      }
      pack(try parameter(.inputWeight), columns: input, of: inputGates, behind: accumulators)
      let hiddenWeight = try parameter(.hiddenWeight)
      // Infinities and NaN have the largest exponent.
      let infinity = Float.infinity.bitPattern
      let largest = hiddenWeight?.reduce(UInt32(0)) { max($0, $1.bitPattern & Int32.max.magnitude) }
      isFinite = largest.map { $0 < infinity } ?? false
      pack(
        hiddenWeight, columns: state, of: Array(0..<gates), behind: accumulators + input * gates)
    }
    weights.hasFiniteStateWeights = isFinite
    return weights
  }

  /// Packs a matrix [rows, columns] and a bias [rows].
  static func linear(
    _ weight: [Float], bias: [Float]?, rows: Int, columns: Int
  ) -> PackedWeights {
    let floats = 1 + columns
    return packed(floats: paddedOutputs(rows) * floats) { packed in
      for row in 0..<rows {
        let panel = Panel(of: row, in: rows)
        let start = panel.start * floats + row - panel.start
        packed[start] = bias?[row] ?? 0
        for column in 0..<columns {
          packed[start + (1 + column) * panel.width] = weight[row * columns + column]
        }
      }
    }
  }

  /// Packs the matrix of a head: one of few rows stays as it is.
  static func head(
    _ weight: [Float], bias: [Float]?, rows: Int, columns: Int
  ) -> PackedWeights {
    guard rows < Int(STRATA_FEW_ROWS) else {
      return linear(weight, bias: bias, rows: rows, columns: columns)
    }
    let stride = padded(columns)
    return packed(floats: rows * (stride + 1)) { packed in
      for row in 0..<rows {
        packed[rows * stride + row] = bias?[row] ?? 0
        for column in 0..<columns {
          packed[row * stride + column] = weight[row * columns + column]
        }
      }
    }
  }

  /// Zeros, and what `fill` puts over them.
  private static func packed<Failure: Error>(
    floats: Int, fill: (inout MutableSpan<Float>) throws(Failure) -> Void
  ) throws(Failure) -> PackedWeights {
    let size = MemoryLayout<Float>.stride
    let bytes = try unsafe Bytes(count: floats * size) { buffer throws(Failure) in
      let values = unsafe buffer.bindMemory(to: Float.self)
      unsafe values.initialize(repeating: 0)
      var span = unsafe MutableSpan(_unsafeElements: values)
      try fill(&span)
    }
    return PackedWeights(bytes: bytes)
  }
}
