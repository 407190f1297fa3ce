import Checkpoints
import RecurrentNetworks

/// A module with what tells that it is one, and what tells its sizes.
struct ExplainedModule: Encodable {
  var name: String
  /// As in the model description: `lstm`, `gru_cell`, `linear`.
  var type: String
  var description: String
  var evidence: [String]
  /// The number of its values.
  var parameters: Int

  /// The modules of a mapping.
  static func all(of mapping: ParameterMapping) -> [ExplainedModule] {
    let tensors = Dictionary(mapping.contents.tensors.map { ($0.name, $0.shape) }) { first, _ in
      first
    }
    return mapping.description.modules.map { module in
      ExplainedModule(module, of: mapping, tensors)
    }
  }

  private init(
    _ module: ModelDescription.Module, of mapping: ParameterMapping, _ shapes: [String: Shape]
  ) {
    name = module.name
    parameters = mapping.tensors(of: module).reduce(0) { $0 + (shapes[$1]?.elementCount ?? 0) }
    let evidence = ModuleEvidence(module, of: mapping, shapes)
    self.evidence = evidence.lines
    switch module.kind {
    case .embedding(let configuration):
      (type, description) = ("embedding", configuration.description)
    case .recurrent(let configuration):
      type = configuration.kind.rawValue + (configuration.isCell ? "_cell" : "")
      description = configuration.description
    case .head(let configuration): (type, description) = ("linear", configuration.description)
    case .unknown(let type): (self.type, description) = (type, "a type unknown to this version")
    }
  }

  var words: [String] {
    ["\(name.isEmpty ? description : "\(name): \(description)"), \(parameters) parameters"]
      + evidence.map { "  \($0)" }
  }
}
