internal import Checkpoints

// What the notes of modules mean that files of whole modules bring along: the types and the attributes
// of `torch.nn`.

extension ModuleRecord {
  /// The class without its package and without what parametrizing puts before it.
  private var className: Substring {
    let name = type[(type.lastIndex(of: ".").map(type.index(after:)) ?? type.startIndex)...]
    let parametrized = "Parametrized"
    return name.hasPrefix(parametrized) ? name.dropFirst(parametrized.count) : name
  }

  /// Whether the module looks tokens up; a class of the user's own tells it by its attributes.
  var isEmbedding: Bool {
    className.hasSuffix("Embedding") || options["embedding_dim"] != nil && !isBag
  }

  private var isBag: Bool { className.hasSuffix("EmbeddingBag") }

  /// Whether the module is W x + b.
  var isLinear: Bool {
    className.hasSuffix("Linear") || options["out_features"] != nil && !isBilinear
  }

  private var isBilinear: Bool { options["in1_features"] != nil }

  /// An option as text; the nonlinearity of an RNN stands in its mode as well.
  func text(_ name: String) -> String? {
    if let option = options[name] { return option.description }
    guard name == "nonlinearity", let mode = options["mode"]?.description, mode.hasPrefix("RNN_")
    else { return nil }
    return mode.dropFirst("RNN_".count).lowercased()
  }

  /// What the note says otherwise than tensors do, in words; nil when it says the same.
  func contradiction(to configuration: RecurrentConfiguration) -> String? {
    let cell = configuration.isCell ? "Cell" : ""
    let kinds = RecurrentConfiguration.Kind.allCases.map { $0.rawValue.uppercased() }
    let kind = configuration.kind.rawValue.uppercased()
    if kinds.contains(where: { className == $0 || className == $0 + "Cell" }),
      className != kind + cell
    {
      return "type \(type)"
    }
    if let mode = options["mode"]?.description, kinds.contains(where: { mode.hasPrefix($0) }) {
      let isOther =
        configuration.kind == .rnn
        ? !["RNN", "RNN_TANH", "RNN_RELU"].contains(mode) : mode != kind
      let told = options["nonlinearity"]?.description
      let isTorn = mode.hasPrefix("RNN_") && told.map { "RNN_\($0.uppercased())" != mode } ?? false
      if isOther { return "mode=\(mode)" }
      if isTorn { return "mode=\(mode) and nonlinearity=\(told ?? "")" }
    }
    let sizes = [
      ("input_size", configuration.inputSize), ("hidden_size", configuration.hiddenSize),
      ("num_layers", configuration.layerCount), ("proj_size", configuration.projectionSize),
    ]
    for (name, size) in sizes {
      if let told = options[name], told.description != "\(size)" { return "\(name)=\(told)" }
    }
    let flags = [
      ("bias", configuration.hasBias), ("bidirectional", configuration.isBidirectional),
    ]
    for (name, flag) in flags {
      guard let told = options[name] else { continue }
      let words = flag ? ["true", "1"] : ["false", "0"]
      if !words.contains(told.description.lowercased()) { return "\(name)=\(told)" }
    }
    return nil
  }
}

extension ModuleFacts {
  /// Compares the note of a module with what its tensors make it.
  /// - Throws: `modelInvalid` where they contradict each other.
  func check(
    _ configuration: RecurrentConfiguration, of path: String
  ) throws(CheckpointError) {
    guard let contradiction = record(path)?.contradiction(to: configuration) else { return }
    throw CheckpointError(
      .modelInvalid,
      "module \"\(path)\": the file says \(contradiction), but its tensors make \(configuration)")
  }
}
