import Checkpoints
import RecurrentNetworks

extension ParameterMapping {
  /// The recurrent modules alone, without what stands before and behind them.
  init(
    stacksOf contents: CheckpointContents, options: ModelOptions = ModelOptions()
  ) throws(CheckpointError) {
    var options = options
    options.head = "none"
    options.embedding = "none"
    try self.init(of: contents, options: options)
  }
}

/// Where a parameter stands: its module, and in a recurrent one the layer, the direction and the gates
/// whose rows stand one below the other in it.
struct ParameterPlace {
  /// The path of the module.
  let module: String
  /// The parameter of a recurrent module; nil in an embedding or a head.
  let parameter: ParameterName?
  /// The letters of the gates in PyTorch's order; empty where there is one block.
  let gates: [String]

  /// Nil for a tensor outside of every module.
  init?(_ name: String, _ shape: Shape, in description: ModelDescription) {
    if let parameter = ParameterName(name),
      let configuration = description[parameter.module]?.recurrent
    {
      module = parameter.module
      self.parameter = parameter
      let letters = Convention.gates(of: configuration.kind) ?? ""
      let isWhole =
        parameter.kind != .projectionWeight && shape.rank > 0
        && shape[0] == letters.count * configuration.hiddenSize
      gates = isWhole ? letters.map(String.init) : []
      return
    }
    let path = name.lastIndex(of: ".").map { String(name[..<$0]) } ?? ""
    guard let module = description[path] else { return nil }
    self.module = module.name
    parameter = nil
    gates = []
  }

  var layer: Int? { parameter?.layer }

  /// `forward` or `reverse`.
  var direction: String? { parameter.map { $0.direction.word } }

  /// The gate in which an element stands, of a parameter of so many.
  func gate(ofElement position: Int, of count: Int) -> String? {
    gates.isEmpty || count == 0 ? nil : gates[position / (count / gates.count)]
  }
}

extension ParameterName.Direction {
  /// `forward` or `reverse`.
  var word: String { self == .reverse ? "reverse" : "forward" }
}

/// What the gates are called, for people.
enum GateName {
  private static let words = [
    "i": "input gate", "f": "forget gate", "g": "cell candidate", "o": "output gate",
    "r": "reset gate", "z": "update gate", "n": "candidate",
  ]

  /// The name of a gate's letter.
  static func words(_ letter: String) -> String { words[letter] ?? letter }
}

/// `layer 1 reverse, forget gate`: as much of it as is known.
func placeWords(layer: Int?, direction: String?, gate: String?) -> String {
  var parts: [String] = []
  if let layer { parts.append("layer \(layer)" + (direction == "reverse" ? " reverse" : "")) }
  if let gate { parts.append(GateName.words(gate)) }
  return parts.joined(separator: ", ")
}
