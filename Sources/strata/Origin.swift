import Checkpoints
import RecurrentNetworks

/// Where a file probably comes from, and what tells it.
struct Origin: Encodable {
  var name: String
  var reason: String
  /// What stood around the model when it was saved, and what was done to the file since.
  var traces: [String] = []

  /// The best guess, from the most telling signs to the least.
  init(
    _ contents: CheckpointContents, format: String, _ foreign: [ForeignModule],
    _ folded: [FoldedParameter]
  ) {
    let signs = Signs(contents, format: format, foreign, folded)
    (name, reason) = signs.framework ?? ("unknown", "no name or text is typical of a framework")
    traces = signs.traces
  }
}

/// The signs of frameworks in a file.
private struct Signs {
  let contents: CheckpointContents
  let format: String
  let foreign: [ForeignModule]
  let folded: [FoldedParameter]

  init(
    _ contents: CheckpointContents, format: String, _ foreign: [ForeignModule],
    _ folded: [FoldedParameter]
  ) {
    (self.contents, self.format, self.foreign, self.folded) = (contents, format, foreign, folded)
  }

  private func name(where isMeant: (String) -> Bool) -> String? {
    contents.tensors.lazy.map(\.name).first(where: isMeant)
  }

  private var kerasVersion: String? {
    contents.metadata.first { $0.key == "keras_version" || $0.key.hasSuffix("@keras_version") }?
      .value
  }

  var framework: (String, String)? {
    if let told = telling { return told }
    if let module = foreign.first {
      return ("\(module.framework.rawValue)\(suffix(of: module))", foreignReason(module))
    }
    return torch ?? general
  }

  /// What the metadata say outright.
  private var telling: (String, String)? {
    if let kerasVersion, foreign.isEmpty || foreign[0].framework.rawValue.hasPrefix("Keras") {
      let major = kerasVersion.prefix { $0 != "." }
      return (
        "Keras \(major)" + (format == "hdf5" ? " HDF5" : ""),
        "the file says keras_version \(kerasVersion)"
      )
    }
    if contents.metadata["format"] == "mlx" { return ("MLX", "the metadata say format: mlx") }
    if contents.metadata["format"] == "flax" {
      return ("Flax", "the metadata say format: flax, as Hugging Face's transformers write it")
    }
    if contents.metadata["format"] == "tf" {
      return ("TensorFlow", "the metadata say format: tf, as Hugging Face's transformers write it")
    }
    return nil
  }

  private func suffix(of module: ForeignModule) -> String {
    switch module.framework {
    case .keras2, .keras3: format == "hdf5" ? " HDF5" : ""
    case .flax: "/JAX"
    case .cuDNN: " flat weights"
    default: ""
    }
  }

  private func foreignReason(_ module: ForeignModule) -> String {
    let names = module.tensors.prefix(3).map(\.name).joined(separator: ", ")
    let shapes = module.tensors.prefix(2).map { "\($0.shape)" }.joined(separator: " and ")
    return "names \(names) with shapes \(shapes)"
  }

  /// The parameter names of `torch.nn`, and of libraries around it.
  private var torch: (String, String)? {
    if let drop = folded.first(where: { $0.rule == .weightDrop }) {
      let library = drop.name.contains(".module.") ? "fastai or awd-lstm-lm" : "awd-lstm-lm"
      return ("PyTorch, \(library)", "\(drop.sources[0]) is the raw weight of a WeightDrop")
    }
    guard let name = name(where: { ParameterName($0) != nil }) ?? folded.first?.name else {
      return nil
    }
    if contents.metadata["format"] == "pt" {
      return (
        "PyTorch, Hugging Face",
        "the metadata say format: pt, as transformers write it; \(name) is a name of torch.nn"
      )
    }
    if let record = contents.moduleRecords.first(where: { $0.type.hasPrefix("torch.nn") }) {
      return (
        "PyTorch",
        "the file says that \(record.path.isEmpty ? "the root" : record.path) is a \(record.type)"
      )
    }
    if name.hasPrefix("rec."), self.name(where: { $0 == "lin.weight" }) != nil {
      return (
        "PyTorch, GuitarML",
        "rec and lin are the modules of its models; \(name) is a name of torch.nn"
      )
    }
    return ("PyTorch", "\(name) is a name of torch.nn")
  }

  /// What other names are typical of.
  private var general: (String, String)? {
    if let name = name(where: {
      $0.contains(".ATTRIBUTES/VARIABLE_VALUE") || $0.contains("VARIABLE_VALUE")
    }) {
      return ("TensorFlow checkpoint", "\(name) is a name of tf.train.Checkpoint")
    }
    if let name = name(where: {
      $0.contains("_layer_checkpoint_dependencies") || $0.contains(".vars.")
    }) {
      return (
        "Keras 3" + (format == "hdf5" ? " HDF5" : ""),
        "\(name) numbers its variables as Keras 3 does"
      )
    }
    if let name = name(where: { $0.hasSuffix(":0") }) {
      return (
        "TensorFlow or Keras 2" + (format == "hdf5" ? " HDF5" : ""),
        "\(name) ends in an output number"
      )
    }
    if let name = name(where: { $0.hasSuffix(".kernel") || $0.hasSuffix("/kernel") }) {
      return ("Flax or Keras", "\(name): both call a dense layer's matrix kernel")
    }
    if contents.metadata["format"] == "pt" { return ("PyTorch", "the metadata say format: pt") }
    if format == "pytorch" { return ("PyTorch", "torch.save writes such files") }
    return nil
  }

  var traces: [String] {
    var traces: [String] = []
    // The names that a conversion takes its wrappers from.
    let wrapped = contents.tensors.lazy.map(\.name).filter { NameRules.unwrapped($0) != $0 }
    func trace(_ part: String, _ wrapper: String, where isMeant: ([Substring]) -> Bool) {
      guard let name = wrapped.first(where: { isMeant($0.split(separator: ".")) }) else { return }
      traces.append("\(wrapper): \(name) stands behind \(part).")
    }
    trace("module", "DataParallel or DistributedDataParallel") { parts in
      parts.first { $0 != "_orig_mod" } == "module"
    }
    trace("_orig_mod", "torch.compile") { $0.contains("_orig_mod") }
    if let name = name(where: { $0.hasPrefix("_forward_module.") }) {
      traces.append("Lightning Fabric: \(name) stands behind _forward_module.")
    }
    if let line = contents.ignored.first(where: { $0.contains("pytorch-lightning_version") }) {
      traces.append("PyTorch Lightning: \(line)")
    }
    for part in folded where part.rule == .weightNorm {
      traces.append(
        "weight_norm: \(part.sources.joined(separator: " and ")) are the halves of \(part.name)")
    }
    for step in (try? Provenance(contents.metadata))?.steps ?? [] {
      for source in step.sources {
        traces.append("converted by \(step.tool) from \(source.name) (\(source.format))")
      }
    }
    return traces
  }
}
