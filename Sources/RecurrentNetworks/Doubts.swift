internal import Checkpoints

/// What is unclear about the ends of a model's chains, and the options that would decide it.
struct Doubts {
  private var words: [String] = []
  /// The first layer that is in doubt between two modules.
  private var tensor: String?
  private var heads: [String] = []
  private var embeddings: [String] = []

  /// How many layers are tried by name: an error is for a person.
  private static let mostNames = 4

  var isEmpty: Bool { words.isEmpty }

  /// A chain can be read in several ways.
  mutating func add(_ readings: [ChainReader.Reading]) {
    words.append(ChainReader.words(readings))
    for reading in readings {
      if let head = reading.head { Self.add(head.name, to: &heads) }
      if let embedding = reading.embedding { Self.add(embedding.name, to: &embeddings) }
    }
  }

  /// A layer fits two recurrent modules.
  mutating func add(
    _ layer: ModelDescription.Module, of first: String, and second: String, isHead: Bool
  ) {
    if tensor == nil, words.isEmpty { tensor = "\(layer.name).weight" }
    let name = words.isEmpty ? "the layer" : layer.name
    let modules = [first, second].map { $0.isEmpty ? "the root" : $0 }
    words.append("\(name) fits \(modules[0]) and \(modules[1])")
    if isHead {
      Self.add(layer.name, to: &heads)
    } else {
      Self.add(layer.name, to: &embeddings)
    }
  }

  private static func add(_ name: String, to names: inout [String]) {
    if !names.contains(name), names.count < mostNames { names.append(name) }
  }

  /// The error that tells everything in doubt, and only such ways out as lead out.
  /// - Parameter isDecided: Whether nothing is in doubt with other options.
  func error(
    decidedBy options: ModelOptions, hasCells: Bool, _ isDecided: (ModelOptions) -> Bool
  ) -> CheckpointError {
    var choices: [(option: String, value: String)] = []
    if hasCells, options.cells == nil, options.chain == nil { choices.append(("cells", "stack")) }
    if !heads.isEmpty { choices += (heads + ["none"]).map { ("head", $0) } }
    if !embeddings.isEmpty { choices += (embeddings + ["none"]).map { ("embedding", $0) } }
    // What the user said already stays said.
    choices.removeAll { options.says($0.option) }
    func leadsOut(_ choices: [(option: String, value: String)]) -> Bool {
      var options = options
      for choice in choices { _ = options.set(choice.option, to: choice.value) }
      return isDecided(options)
    }
    func text(_ choices: [(option: String, value: String)]) -> String {
      choices.map { "--set \($0.option)=\($0.value)" }.joined(separator: " ")
    }
    var ways = choices.filter { leadsOut([$0]) }.map { text([$0]) }
    if ways.isEmpty {
      for (index, first) in choices.enumerated() {
        for second in choices[(index + 1)...]
        where second.option != first.option && leadsOut([first, second]) {
          ways.append(text([first, second]))
        }
      }
    }
    if ways.isEmpty { ways = ["one model at a time: --include or --prefix"] }
    return CheckpointError(
      .ambiguousModel, tensor: tensor,
      "\(words.joined(separator: "; ")): decide with \(ways.joined(separator: ", "))")
  }
}
