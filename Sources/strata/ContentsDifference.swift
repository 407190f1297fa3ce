import Checkpoints
import RecurrentNetworks

/// In what the metadata of two files differ.
struct MetadataDifference: Encodable {
  struct Change: Encodable {
    var key: String
    var from: String
    var to: String
  }

  /// What only B has.
  var added: [String: String] = [:]
  /// What only A has.
  var removed: [String: String] = [:]
  var changed: [Change] = []
  /// Whether that makes the files different: not where only the provenance differs, nor where one of the
  /// formats has no place for metadata.
  var counts = false

  init(_ first: [String: String], _ second: [String: String], bothHold: Bool) {
    for (key, text) in first {
      guard let other = second[key] else {
        removed[key] = text
        continue
      }
      if other != text { changed.append(Change(key: key, from: text, to: other)) }
    }
    added = second.filter { first[$0.key] == nil }
    changed.sort { $0.key < $1.key }
    let keys = Array(added.keys) + Array(removed.keys) + changed.map(\.key)
    counts = bothHold && keys.contains { $0 != Provenance.metadataKey }
  }

  var words: [String] {
    func short(_ text: String) -> String { text.count > 60 ? text.prefix(60) + "…" : text }
    var lines = removed.sorted { $0.key < $1.key }.map {
      "metadata only in A: \($0.key): \(short($0.value))"
    }
    lines += added.sorted { $0.key < $1.key }.map {
      "metadata only in B: \($0.key): \(short($0.value))"
    }
    lines += changed.map { "metadata: \($0.key): \(short($0.from)) → \(short($0.to))" }
    return lines
  }
}

/// An option of a module that two files say, or let assume, differently.
struct OptionDifference: Encodable {
  /// The module's path in A.
  var module: String
  var option: String
  var from: String
  var to: String

  var words: String {
    "option: \(module.isEmpty ? "" : module + ": ")\(option): \(from) → \(to)"
  }
}

/// The modules of a file by their paths, with the options that tensors do not tell.
struct ModelOutline {
  let description: ModelDescription

  /// The modules of two files, both of them with or both without what stands before and behind the
  /// recurrent ones: where that is unclear in one, there is nothing to compare.
  static func pair(
    _ first: CheckpointContents, _ second: CheckpointContents
  ) -> (ModelOutline, ModelOutline) {
    func outlines(
      _ make: (CheckpointContents) throws(CheckpointError) -> ParameterMapping
    ) -> (ModelOutline, ModelOutline)? {
      guard let one = try? make(first), let other = try? make(second) else { return nil }
      return (
        ModelOutline(description: one.description), ModelOutline(description: other.description)
      )
    }
    return outlines { contents throws(CheckpointError) in try ParameterMapping(of: contents) }
      ?? outlines { contents throws(CheckpointError) in
        try ParameterMapping(stacksOf: contents)
      }
      ?? (
        ModelOutline(description: ModelDescription(modules: [])),
        ModelOutline(description: ModelDescription(modules: []))
      )
  }

  /// What options the other outline has otherwise; `paths` are those of modules that are called
  /// otherwise there.
  func differences(from other: ModelOutline, _ paths: [String: String]) -> [OptionDifference] {
    var differences: [OptionDifference] = []
    var known: Set<String> = []
    func counterpart(_ path: String) -> String { paths[path] ?? path }
    for module in description.modules {
      guard let partner = other.description[counterpart(module.name)] else {
        continue
      }
      known.insert(partner.name)
      let options = Dictionary(uniqueKeysWithValues: Self.options(of: partner, { $0 }))
      for (option, value) in Self.options(of: module, counterpart) {
        guard let another = options[option], another != value else { continue }
        differences.append(
          OptionDifference(module: module.name, option: option, from: value, to: another))
      }
    }
    return differences
  }

  /// The modules that are recognised here and not in the other outline, though their tensors are there.
  func unrecognised(
    in other: ModelOutline, _ paths: [String: String], where holdsTensors: (String) -> Bool
  ) -> [ModelDescription.Module] {
    description.modules.filter { module in
      other.description[paths[module.name] ?? module.name] == nil && holdsTensors(module.name)
    }
  }

  private static func options(
    of module: ModelDescription.Module, _ path: (String) -> String
  ) -> [(String, String)] {
    let inputs = module.inputs.map(path).joined(separator: ", ")
    switch module.kind {
    case .embedding: return [("type", "embedding"), ("inputs", inputs)]
    case .unknown(let type): return [("type", type), ("inputs", inputs)]
    case .recurrent(let recurrent):
      return [
        ("type", recurrent.kind.rawValue), ("inputs", inputs),
        ("nonlinearity", recurrent.nonlinearity.rawValue),
        ("gru_reset", recurrent.gruReset.rawValue), ("sigmoid", recurrent.sigmoid.rawValue),
        ("batch_first", "\(recurrent.isBatchFirst)"), ("state", recurrent.givenState.rawValue),
        ("dropout", "\(recurrent.dropout)"),
      ]
    case .head(let head):
      return [
        ("type", "linear"), ("inputs", inputs), ("head_activation", head.activation.rawValue),
        ("head_input", head.input.rawValue),
      ]
    }
  }
}
