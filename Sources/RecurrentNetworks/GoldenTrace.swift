package import Checkpoints

/// What goes on inside a part of a model on a golden's input, step by step, in float32, and how far that
/// is from what PyTorch recorded.
package struct GoldenTrace: Sendable {
  /// A layer of a stack in one direction.
  package struct Place: Hashable, Sendable {
    /// The path of the stack.
    package var module: String
    /// The place of the stack in the part.
    package var stack: Int
    /// The layer.
    package var layer: Int
    /// The direction.
    package var direction: ParameterName.Direction
  }

  /// What is recorded of a layer.
  package enum Inside: String, Sendable {
    /// h.
    case hidden = "output"
    /// The gates after their activation.
    case gates
  }

  /// The largest error of a layer's hidden states at every step.
  package struct Errors: Sendable {
    /// The layer.
    package var place: Place
    /// The tensor of the golden.
    package var tensor: String
    /// `float32` or `float64`: what PyTorch computed in.
    package var reference: String
    /// The largest |a − b| over sequences and units, step by step.
    package var bySteps: [Double]
  }

  /// The part of the model.
  package let blueprint: ModelBlueprint
  private let prefix: String
  private let call: EvaluationCall
  private let goldens: StateDict
  private let results: StateDict

  /// Runs the parts of a model that goldens were recorded from.
  /// - Throws: as `Verification` does.
  package static func traces(
    of contents: CheckpointContents, _ goldens: StateDict, file: String?
  ) throws(CheckpointError) -> [GoldenTrace] {
    let mapping = try ParameterMapping(of: contents, file: file)
    return try Verification.parts(of: mapping, goldens, file: file).map {
      part throws(CheckpointError) in try GoldenTrace(part, goldens)
    }
  }

  private init(_ part: GoldenPart, _ goldens: StateDict) throws(CheckpointError) {
    blueprint = part.blueprint
    prefix = part.prefix
    self.goldens = goldens
    call = try EvaluationCall(goldens, prefix: part.prefix, part.blueprint)
    results = try SequenceModel(part.blueprint).evaluate(
      goldens, prefix: part.prefix, allLayers: true)
  }

  /// Steps of the input.
  package var steps: Int { call.steps }

  /// Sequences of the input.
  package var batchSize: Int { call.batchSize }

  /// The own steps of a sequence.
  package func steps(ofSequence lane: Int) -> Int { call.lengths?[lane] ?? call.steps }

  /// Every layer in every direction, from the input to the output.
  package var places: [Place] {
    blueprint.stacks.enumerated().flatMap { index, stack in
      (0..<stack.configuration.layerCount).flatMap { layer in
        stack.configuration.directions.map {
          Place(module: stack.name, stack: index, layer: layer, direction: $0)
        }
      }
    }
  }

  /// What went on in a layer, a row for each own step of a sequence; nil for what a layer does not have.
  package func rows(
    _ inside: Inside, at place: Place, ofSequence lane: Int
  ) throws(CheckpointError) -> [[Double]]? {
    guard let tensor = results[name(inside, at: place)] else { return nil }
    let values = try tensor.doubles()
    let width = values.count / (call.steps * call.batchSize)
    return (0..<steps(ofSequence: lane)).map { call.row(values, $0, lane, width: width) }
  }

  /// How far the hidden states are from PyTorch's, for every layer that the golden has.
  ///
  /// A golden without `output_l{k}` has the last layer's all the same: as `output`, or as a cell's `h_n`.
  package func errors() throws(CheckpointError) -> [Errors] {
    var errors: [Errors] = []
    for place in places {
      let (own, whole) = (name(.hidden, at: place), prefix + (call.isCellCall ? "h_n" : "output"))
      let configuration = blueprint.stacks[place.stack].configuration
      let isLast =
        place.stack == blueprint.stacks.count - 1 && place.layer == configuration.layerCount - 1
      let hasOwn = goldens[own] != nil || goldens[own + Verification.float64Suffix] != nil
      guard hasOwn || isLast, let result = results[own] else { continue }
      let start = hasOwn ? 0 : place.direction.rawValue * configuration.stateSize
      for (suffix, reference) in [("", "float32"), (Verification.float64Suffix, "float64")] {
        let tensor = (hasOwn ? own : whole) + suffix
        guard let golden = goldens[tensor] else { continue }
        errors.append(
          Errors(
            place: place, tensor: tensor, reference: reference,
            bySteps: largestDifferences(
              try result.doubles(), try golden.doubles(), firstColumn: start)))
      }
    }
    return errors
  }

  /// The largest difference at each step, of a layer's values and the columns of a golden that hold them.
  private func largestDifferences(
    _ values: [Double], _ golden: [Double], firstColumn: Int
  ) -> [Double] {
    let rows = call.steps * call.batchSize
    let (width, goldenWidth) = (values.count / rows, golden.count / rows)
    return (0..<call.steps).map { step in
      var largest = 0.0
      for lane in 0..<call.batchSize where step < steps(ofSequence: lane) {
        let own = call.row(values, step, lane, width: width)
        let reference = call.row(golden, step, lane, width: goldenWidth)
        for (index, value) in own.enumerated() {
          largest = max(largest, Verification.difference(value, reference[firstColumn + index]))
        }
      }
      return largest
    }
  }

  /// The name of a layer's values among results and goldens.
  private func name(_ inside: Inside, at place: Place) -> String {
    let path = blueprint.stacks.count == 1 ? prefix : place.module + "."
    let reverse = place.direction == .reverse ? "_reverse" : ""
    return "\(path)\(inside.rawValue)_l\(place.layer)\(reverse)"
  }
}
