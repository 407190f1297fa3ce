import Checkpoints
import RecurrentNetworks

/// Where modules of the input stand in the output, learnt from what became of their tensors; and what
/// speaks of modules by their paths, told anew.
struct ModulePaths {
  /// Modules that have tensors themselves.
  private var paths: [String: String] = [:]
  /// Modules around them, as far as their paths end alike.
  private var outer: [String: String] = [:]

  /// Takes a tensor that is kept under a name in.
  mutating func add(_ source: String, _ target: String) {
    var (old, new) = (Self.split(source), Self.split(target))
    // A parameter that changed its own name says nothing of its module.
    guard old.name == new.name, paths.updateValue(new.module, forKey: old.module) == nil else {
      return
    }
    while !old.module.isEmpty, !new.module.isEmpty {
      (old, new) = (Self.split(old.module), Self.split(new.module))
      guard old.name == new.name, outer[old.module] == nil else { return }
      outer[old.module] = new.module
    }
  }

  /// The path in the output; nil when nothing of the module is kept.
  subscript(path: String) -> String? { paths[path] ?? outer[path] }

  private static func split(_ name: String) -> (module: String, name: String) {
    guard let dot = name.lastIndex(of: ".") else { return ("", name) }
    return (String(name[..<dot]), String(name[name.index(after: dot)...]))
  }

  /// Metadata with the paths of the output: `head`, `encoder.rnn.head_input`, `chain`.
  ///
  /// What speaks of modules that are left out is left out, other metadata stay.
  func metadata(_ source: [String: String]) -> [String: String] {
    var metadata: [String: String] = [:]
    for (key, value) in source {
      let (module, fact) = Self.split(key)
      guard Self.facts.contains(fact) else {
        metadata[key] = value
        continue
      }
      guard let path = module.isEmpty ? "" : self[module], let value = renamed(value, fact: fact)
      else { continue }
      metadata[path.isEmpty ? fact : "\(path).\(fact)"] = value
    }
    return metadata
  }

  private static let facts = [
    "head", "embedding", "chain", "head_input", "head_activation", "nonlinearity", "batch_first",
  ]

  private func renamed(_ value: String, fact: String) -> String? {
    switch fact {
    case "head", "embedding":
      return value == "none" ? value : self[value]
    case "chain":
      guard let chain = try? CanonicalJSON.decode([String].self, from: value, fact) else {
        return nil
      }
      // Of a chain whose modules are not all kept, those that are may still follow each other; the
      // shapes will tell.
      let renamed = chain.compactMap { self[$0] }
      return renamed.count == chain.count ? try? CanonicalJSON.encode(renamed) : nil
    default:
      return value
    }
  }

  /// The notes of modules that are kept.
  func records(_ source: [ModuleRecord]) -> [ModuleRecord] {
    source.compactMap { record in
      var record = record
      guard let path = self[record.path] else { return nil }
      record.path = path
      return record
    }
  }

  /// A description of the modules that are kept; what took its input from another takes the model's.
  func description(_ json: String) throws(CheckpointError) -> String? {
    var description = try ModelDescription(json: json)
    description.modules = description.modules.compactMap { module in
      guard let path = self[module.name] else { return nil }
      var module = module
      module.name = path
      module.inputs = module.inputs.map { self[$0] ?? ModelDescription.modelInput }
      return module
    }
    return description.modules.isEmpty ? nil : try description.json
  }

  /// The golden's name in the output: the path before it renamed; nil when its module is left out.
  func golden(_ name: String) -> String? {
    let (module, result) = Self.split(name)
    guard !module.isEmpty else { return name }
    guard let path = self[module] ?? paths[NameRules.unwrapped(module)] else {
      // The golden's file may have been renamed already.
      return paths.values.contains(NameRules.unwrapped(module)) ? NameRules.unwrapped(name) : nil
    }
    return path.isEmpty ? result : "\(path).\(result)"
  }
}
