import Checkpoints
import RecurrentNetworks

/// Where modules of the input stand in the output, learnt from what became of their tensors; and what
/// speaks of modules by their paths, told anew.
struct ModulePaths {
  /// Modules that have tensors themselves, with the paths that those have now: one, unless they part.
  private var paths: [String: [String]] = [:]
  /// Modules around them, as far as their paths end alike.
  private var outer: [String: String] = [:]
  /// Modules that have recurrent parameters themselves.
  private var recurrent: Set<String> = []
  /// Where parameters went that changed their own names, by their modules.
  private var strayed: [String: [String]] = [:]
  /// What metadata say of the root's module, but would say of others too.
  private var factsOfRoot: [String: String] = [:]
  /// What spoke of modules that are kept, but can no longer be told, in words.
  private(set) var lost: [String] = []

  /// Takes a tensor that is kept under a name in.
  mutating func add(_ source: String, _ target: String) {
    // The parts of a parametrised tensor belong to the module that has the tensor.
    let parameter = Parametrization(source)?.parameter ?? source
    var (old, new) = (
      Self.split(parameter), Self.split(Parametrization(target)?.parameter ?? target)
    )
    // A parameter that changed its own name says nothing of its module.
    guard old.name == new.name else {
      if ParameterName(target) != nil {
        Self.add(new.module, to: &strayed[old.module, default: []])
      }
      return
    }
    if ParameterName(parameter) != nil { recurrent.insert(old.module) }
    let isKnown = paths[old.module] != nil
    Self.add(new.module, to: &paths[old.module, default: []])
    guard !isKnown else { return }
    while !old.module.isEmpty, !new.module.isEmpty {
      (old, new) = (Self.split(old.module), Self.split(new.module))
      guard old.name == new.name, outer[old.module] == nil else { return }
      outer[old.module] = new.module
    }
  }

  private static func add(_ path: String, to paths: inout [String]) {
    if !paths.contains(path) { paths.append(path) }
  }

  /// The path in the output; nil when nothing of the module is kept.
  subscript(path: String) -> String? { paths[path]?.first ?? outer[path] }

  private static func split(_ name: String) -> (module: String, name: String) {
    guard let dot = name.lastIndex(of: ".") else { return ("", name) }
    return (String(name[..<dot]), String(name[name.index(after: dot)...]))
  }

  /// Metadata with the paths of the output: `head`, `encoder.rnn.head_input`, `chain`.
  ///
  /// What speaks of modules that are left out is left out, other metadata stay.
  mutating func metadata(_ source: [String: String]) -> [String: String] {
    var metadata: [String: String] = [:]
    var ofRoot: [String: String] = [:]
    // In order, so that the same input gives the same output.
    for (key, value) in source.sorted(by: { $0.key < $1.key }) {
      let mark = key.lastIndex { $0 == "." || $0 == "@" }
      let module = mark.map { String(key[..<$0]) } ?? ""
      let fact = mark.map { String(key[key.index(after: $0)...]) } ?? key
      guard Self.facts.contains(fact) else {
        metadata[key] = value
        continue
      }
      guard let new = renamed(value, fact: fact) else { continue }
      guard !module.isEmpty else {
        if new.isEmpty, !value.isEmpty {
          lost.append("\(key)=\(value), which is the root now")
        } else {
          metadata[key] = new
        }
        continue
      }
      // An attribute of a group counts for every module inside; nearer ones come first.
      var old = [module]
      if mark.map({ key[$0] == "@" }) == true {
        old += paths.keys.filter { $0.hasPrefix(module + ".") }.sorted()
      }
      for path in old.flatMap({ paths[$0] ?? outer[$0].map { [$0] } ?? [] }) {
        if path.isEmpty {
          ofRoot[fact] = ofRoot[fact] ?? new
        } else {
          metadata["\(path).\(fact)"] = metadata["\(path).\(fact)"] ?? new
        }
      }
    }
    for (fact, value) in ofRoot {
      // A name without a path counts for every module: the others keep what it said of them.
      let others = Set(recurrent.flatMap { paths[$0] ?? [] }).filter {
        !$0.isEmpty && metadata["\($0).\(fact)"] == nil
      }
      guard let general = metadata[fact] else {
        if others.isEmpty { metadata[fact] = value } else { factsOfRoot[fact] = value }
        continue
      }
      for path in others { metadata["\(path).\(fact)"] = general }
      metadata[fact] = value
    }
    return metadata
  }

  private static let facts = [
    "head", "embedding", "chain", "head_input", "head_activation", "nonlinearity", "gru_reset",
    "sigmoid", "batch_first",
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
  ///
  /// Where several come to stand at one path, as a wrapper and what it wraps do, the one counts whose
  /// recurrent parameters stand there. `metadata` comes first: what it cannot tell of the root alone is
  /// noted here.
  mutating func records(_ source: [ModuleRecord]) -> [ModuleRecord] {
    var records: [(record: ModuleRecord, source: ModuleRecord, rank: Int)] = []
    var places: [String: Int] = [:]
    for note in source {
      let rank = recurrent.contains(note.path) ? 2 : paths[note.path] == nil ? 0 : 1
      for path in paths[note.path] ?? outer[note.path].map({ [$0] }) ?? [] {
        var entry = (record: note, source: note, rank: rank)
        entry.record.path = path
        guard let place = places[path] else {
          places[path] = records.count
          records.append(entry)
          continue
        }
        if rank > records[place].rank { swap(&entry, &records[place]) }
        // A module without tensors of its own has no options that count.
        guard entry.rank > 0, !entry.source.options.isEmpty,
          entry.source.options != records[place].source.options
        else { continue }
        lost.append(
          "the options of \(Self.shown(entry.source)), where \(Self.shown(records[place].source)) "
            + "stands now")
      }
      if let strayed = strayed[note.path]?.filter({ !(paths[note.path] ?? []).contains($0) }),
        !strayed.isEmpty, !note.options.isEmpty
      {
        lost.append(
          "the options of \(Self.shown(note)), whose parameters have got other names")
      }
    }
    if !factsOfRoot.isEmpty {
      let place = places[""] ?? records.count
      if place == records.count {
        let note = ModuleRecord(path: "", type: "", options: [:])
        records.append((record: note, source: note, rank: 0))
      }
      for (fact, value) in factsOfRoot { records[place].record.options[fact] = .string(value) }
    }
    return records.map(\.record)
  }

  private static func shown(_ note: ModuleRecord) -> String {
    "\(note.path.isEmpty ? "the root" : note.path) (\(note.type))"
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
    guard let path = self[module] ?? paths[NameRules.unwrapped(module)]?.first else {
      // The golden's file may have been renamed already.
      return paths.values.contains { $0.contains(NameRules.unwrapped(module)) }
        ? NameRules.unwrapped(name) : nil
    }
    return path.isEmpty ? result : "\(path).\(result)"
  }
}
