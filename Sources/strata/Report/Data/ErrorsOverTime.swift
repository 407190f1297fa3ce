import Checkpoints
import RecurrentNetworks

/// How far the hidden states of every layer are from PyTorch's, step by step.
struct ErrorsOverTime: Encodable {
  /// One layer in one direction against one reference.
  struct Series: Encodable {
    var module: String
    var layer: Int
    var direction: String
    /// The tensor of the golden.
    var tensor: String
    /// `float32` or `float64`.
    var reference: String
    /// The largest error, and the first step that has it.
    var largest: Double
    var at: Int
    /// The largest error in as many steps as `steps_per_point`, from the first step on.
    var values: [Double]
    var stepsPerPoint: Int

    enum CodingKeys: String, CodingKey {
      case module, layer, direction, tensor, reference, largest, at, values
      case stepsPerPoint = "steps_per_point"
    }
  }

  var series: [Series]
  /// Whether the golden has every layer; otherwise there is the last one alone.
  var isComplete: Bool
  /// How many steps the longest input has.
  var steps: Int
  /// The powers of ten between which all errors lie but those that are 0 or not finite.
  var low: Double
  var high: Double

  enum CodingKeys: String, CodingKey {
    case series
    case isComplete = "complete"
    case steps, low, high
  }

  init(_ traces: [GoldenTrace]) throws(CheckpointError) {
    series = []
    // A module may be recorded alone and as a part of a chain as well.
    var seen: Set<String> = []
    var shown: Set<GoldenTrace.Place> = []
    var all: Set<GoldenTrace.Place> = []
    for trace in traces {
      all.formUnion(trace.places.map(\.anywhere))
      for errors in try trace.errors() {
        shown.insert(errors.place.anywhere)
        guard seen.insert("\(errors.tensor) \(errors.place.direction)").inserted else { continue }
        series.append(Series(errors))
      }
    }
    isComplete = shown == all
    steps = traces.reduce(0) { max($0, $1.steps) }
    let errors = series.flatMap(\.values).filter { $0 > 0 && $0.isFinite }
    low = LogScale.powerOfTen(below: errors.min() ?? 1e-8)
    high = LogScale.powerOfTen(above: errors.max() ?? 1e-7)
    if low == high { low /= 10 }
  }
}

extension ErrorsOverTime.Series {
  fileprivate init(_ errors: GoldenTrace.Errors) {
    module = errors.place.module
    layer = errors.place.layer
    direction = errors.place.direction.text
    tensor = errors.tensor
    reference = errors.reference
    largest = errors.bySteps.max() ?? 0
    at = errors.bySteps.firstIndex(of: largest) ?? 0
    let length = max(1, (errors.bySteps.count + Self.pointLimit - 1) / Self.pointLimit)
    stepsPerPoint = length
    values = stride(from: 0, to: errors.bySteps.count, by: length).map {
      errors.bySteps[$0..<min($0 + length, errors.bySteps.count)].max() ?? 0
    }
  }

  /// The most points of a line.
  private static let pointLimit = 240
}

extension GoldenTrace.Place {
  /// The layer, in whichever part of a model it stands.
  var anywhere: Self {
    var place = self
    place.stack = 0
    return place
  }
}
