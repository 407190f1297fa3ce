internal import Checkpoints
internal import CRecurrentKernels

/// Weights in the order in which the kernels read them: the panels of CRecurrentKernels.h.
///
/// Immutable once made; shared by all sessions of a model.
struct PackedWeights: Sendable {
  private let bytes: Bytes

  private init(bytes: Bytes) { self.bytes = bytes }

  private static let panel = Int(STRATA_PANEL)

  /// The number of panels that hold this many outputs.
  private static func panels(_ outputs: Int) -> Int { (outputs + panel - 1) / panel }

  /// The length of a row of state in which panels are written whole.
  static func padded(_ size: Int) -> Int { panels(size) * panel }

  /// Calls `body` with the packed floats.
  func withFloats<Result>(_ body: (UnsafePointer<Float>) -> Result) -> Result {
    unsafe bytes.withUnsafeBytes { buffer in
      guard let base = unsafe buffer.assumingMemoryBound(to: Float.self).baseAddress else {
        preconditionFailure("a layer without weights")
      }
      return unsafe body(base)
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
    let places = blueprint.convention.places(of: kind)
    let accumulators = kind == .gru ? 4 : gates
    let floats = panel * (accumulators + (input + state) * gates)

    func parameter(_ kind: ParameterName.Kind) throws(CheckpointError) -> [Float]? {
      try blueprint.parameter(kind, of: stack, layer: layer, direction)?.floats()
    }
    return try packed(floats: panels(hidden) * floats) { packed throws(CheckpointError) in
      let inputBias = try parameter(.inputBias)
      let hiddenBias = try parameter(.hiddenBias)
      for unit in 0..<hidden {
        let start = unit / panel * floats + unit % panel
        for gate in 0..<gates {
          let row = places[gate] * hidden + unit
          let first = inputBias?[row] ?? 0
          let second = hiddenBias?[row] ?? 0
          if kind == .gru, gate == 2 {
            packed[start + 2 * panel] = first
            packed[start + 3 * panel] = second
          } else {
            packed[start + gate * panel] = first + second
          }
        }
      }
      func pack(
        _ weight: [Float]?, columns: Int, behind offset: Int
      ) {
        guard let weight else { preconditionFailure("a layer without its weights") }
        for unit in 0..<hidden {
          let start = unit / panel * floats + unit % panel + offset * panel
          for gate in 0..<gates {
            let row = (places[gate] * hidden + unit) * columns
            for column in 0..<columns {
              packed[start + (column * gates + gate) * panel] = weight[row + column]
            }
          }
        }
      }
      pack(try parameter(.inputWeight), columns: input, behind: accumulators)
      pack(try parameter(.hiddenWeight), columns: state, behind: accumulators + input * gates)
    }
  }

  /// Packs a matrix [rows, columns] and a bias [rows].
  static func linear(
    _ weight: [Float], bias: [Float]?, rows: Int, columns: Int
  ) -> PackedWeights {
    let floats = panel * (1 + columns)
    return packed(floats: panels(rows) * floats) { packed in
      for row in 0..<rows {
        let start = row / panel * floats + row % panel
        packed[start] = bias?[row] ?? 0
        for column in 0..<columns {
          packed[start + (1 + column) * panel] = weight[row * columns + column]
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
