import Checkpoints
import RecurrentNetworks

/// What the model does on the input of a golden: hidden states over time, and what its gates do.
struct GoldenRun: Encodable {
  /// A part of the model with an input of its own.
  struct Part: Encodable {
    /// The recurrent modules that run.
    var modules: [String]
    var steps: Int
    var sequences: Int
  }

  /// The hidden states of a layer in one direction, for the first sequence.
  struct HiddenStates: Encodable {
    var module: String
    var layer: Int
    var direction: String
    /// The largest finite magnitude, where the colours end.
    var largest: Double
    /// Units from top to bottom, steps from left to right.
    var heatMap: HeatMap

    enum CodingKeys: String, CodingKey {
      case module, layer, direction, largest
      case heatMap = "heat_map"
    }
  }

  /// The gates of all layers.
  struct Activity: Encodable {
    /// A value above it counts as high.
    var above = 0.9
    /// A value of a sigmoid below it counts as low; one of tanh below −`above`.
    var below = 0.1
    var gates: [GateActivity] = []
  }

  /// What the values of a gate are, over all units, steps and sequences.
  struct GateActivity: Encodable {
    var module: String
    var layer: Int
    var direction: String
    var gate: String
    var activation: String
    /// The fraction of values above the upper threshold: the gate is open.
    var high: Double
    /// The fraction of values below the lower threshold: the gate is shut.
    var low: Double
    var mean: Double
  }

  /// The golden's file, without its directory; the model's own where it is sealed in.
  var file: String
  /// Whether the model carries the golden.
  var sealed: Bool
  var parts: [Part] = []
  var hiddenStates: [HiddenStates] = []
  /// How many layers in one direction are left out of the pictures.
  var omittedLayers = 0
  var activity = Activity()
  var errors: ErrorsOverTime

  enum CodingKeys: String, CodingKey {
    case file, sealed, parts
    case hiddenStates = "hidden_states"
    case omittedLayers = "omitted_layers"
    case activity, errors
  }

  /// How many layers in one direction are drawn.
  private static let layerLimit = 24

  /// Runs the parts that the golden was recorded from.
  /// - Throws: `goldenMismatch`, and what loading the model throws.
  init(
    _ contents: CheckpointContents, _ golden: ModelGolden, file: String
  ) throws(CheckpointError) {
    self.file = golden.file.fileName
    sealed = golden.isSealed
    let traces = try GoldenTrace.traces(of: contents, golden.tensors, file: file)
    errors = try ErrorsOverTime(traces)
    // A module may have an input of its own and be a part of a chain as well.
    var seen: Set<GoldenTrace.Place> = []
    for trace in traces {
      parts.append(
        Part(
          modules: trace.blueprint.stacks.map(\.name), steps: trace.steps,
          sequences: trace.batchSize))
      for place in trace.places {
        guard seen.insert(place.anywhere).inserted else { continue }
        if hiddenStates.count < Self.layerLimit {
          try addHiddenStates(of: place, trace)
        } else {
          omittedLayers += 1
        }
        try addActivity(of: place, trace)
      }
    }
  }

  private mutating func addHiddenStates(
    of place: GoldenTrace.Place, _ trace: GoldenTrace
  ) throws(CheckpointError) {
    guard let steps = try trace.rows(.hidden, at: place, ofSequence: 0) else { return }
    let units = steps[0].indices.map { unit in steps.map { $0[unit] }[...] }
    let largest = steps.reduce(0.0) { largest, row in
      row.reduce(largest) { $1.isFinite ? max($0, $1.magnitude) : $0 }
    }
    hiddenStates.append(
      HiddenStates(
        module: place.module, layer: place.layer, direction: place.direction.text,
        largest: largest, heatMap: HeatMap(units, limit: .states)))
  }

  private mutating func addActivity(
    of place: GoldenTrace.Place, _ trace: GoldenTrace
  ) throws(CheckpointError) {
    let gates = Gate.gates(of: trace.blueprint.stacks[place.stack].configuration)
    var tallies = gates.map { _ in (high: 0, low: 0, sum: 0.0, count: 0) }
    for lane in 0..<trace.batchSize {
      guard let rows = try trace.rows(.gates, at: place, ofSequence: lane) else { return }
      for row in rows {
        let size = row.count / gates.count
        for (unit, value) in row.enumerated() {
          let gate = unit / size
          let shut = gates[gate].activation == "sigmoid" ? activity.below : -activity.above
          tallies[gate].high += value > activity.above ? 1 : 0
          tallies[gate].low += value < shut ? 1 : 0
          tallies[gate].sum += value
          tallies[gate].count += 1
        }
      }
    }
    for (gate, tally) in zip(gates, tallies) {
      activity.gates.append(
        GateActivity(
          module: place.module, layer: place.layer, direction: place.direction.text,
          gate: gate.letter, activation: gate.activation,
          high: Double(tally.high) / Double(tally.count),
          low: Double(tally.low) / Double(tally.count), mean: tally.sum / Double(tally.count)))
    }
  }
}
