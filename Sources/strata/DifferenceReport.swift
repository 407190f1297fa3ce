import Checkpoints
import RecurrentNetworks

/// What `diff` reports.
struct DifferenceReport: Encodable {
  /// One of the two files.
  struct Side {
    var contents: CheckpointContents
    var holdsMetadata: Bool
    var holdsGoldens: Bool
  }

  struct Renaming: Encodable {
    var from: String
    var to: String
  }

  struct Change: Encodable {
    var name: String
    /// What differs: `dtype F32 to F16`, `shape [3] to [4]`, `values`.
    var what: String
    /// The largest difference of values, where the shape is the same.
    var maxAbs: Double?
    /// ‖a − b‖ / ‖a‖.
    var relativeNorm: Double?
    /// The index of the largest difference.
    var at: [Int]?
    /// `widening` or `narrowing`, where B's values are A's in another dtype, rounded to nearest.
    var conversion: String?
    /// The module, and in a recurrent one where the largest difference falls.
    var module: String?
    var layer: Int?
    var direction: String?
    var gate: String?
    /// Every gate of the parameter.
    var gates: [GateChange]?

    enum CodingKeys: String, CodingKey {
      case name, what
      case maxAbs = "max_abs"
      case relativeNorm = "relative_norm"
      case at, conversion, module, layer, direction, gate, gates
    }
  }

  /// By how much the rows of one gate differ.
  struct GateChange: Encodable {
    var gate: String
    var maxAbs: Double
    var relativeNorm: Double

    enum CodingKeys: String, CodingKey {
      case gate
      case maxAbs = "max_abs"
      case relativeNorm = "relative_norm"
    }
  }

  /// What differs in the recorded inputs and outputs.
  struct GoldenDifference: Encodable {
    var added: [String] = []
    var removed: [String] = []
    var changed: [Change] = []
    /// Whether that makes the files different: not where one of the formats has no place for goldens.
    var counts = false
  }

  var equal: Bool
  var added: [String]
  var removed: [String]
  var renamed: [Renaming] = []
  var changed: [Change] = []
  var options: [OptionDifference] = []
  var metadata: MetadataDifference
  var goldens = GoldenDifference()

  init(
    _ first: Side, _ second: Side, _ tolerance: TensorDifference.Tolerance?
  ) throws(CheckpointError) {
    let outlines = ModelOutline.pair(first.contents, second.contents)
    let compare = TensorComparison(tolerance: tolerance, description: outlines.0.description)
    let pairs = TensorPairs(first.contents.tensors, second.contents.tensors)
    for (tensor, other) in pairs.both {
      if let change = try compare.change(tensor, other) { changed.append(change) }
    }
    renamed = try pairs.renamed().map { Renaming(from: $0, to: $1) }
    let (old, new) = (Set(renamed.map(\.from)), Set(renamed.map(\.to)))
    removed = pairs.onlyFirst.map(\.name).filter { !old.contains($0) }
    added = pairs.onlySecond.map(\.name).filter { !new.contains($0) }

    let paths = Self.paths(renamed)
    options = outlines.0.differences(from: outlines.1, paths.there)
    let names = (Set(first.contents.tensors.map(\.name)), Set(second.contents.tensors.map(\.name)))
    for module in outlines.0.unrecognised(
      in: outlines.1, paths.there,
      where: { path in names.1.contains("\(paths.there[path] ?? path).weight") })
    {
      options.append(
        OptionDifference(module: module.name, option: "module", from: module.line, to: "none"))
    }
    for module in outlines.1.unrecognised(
      in: outlines.0, paths.back,
      where: { path in names.0.contains("\(paths.back[path] ?? path).weight") })
    {
      let path = paths.back[module.name] ?? module.name
      options.append(
        OptionDifference(module: path, option: "module", from: "none", to: module.line))
    }

    metadata = MetadataDifference(
      first.contents.metadata, second.contents.metadata,
      bothHold: first.holdsMetadata && second.holdsMetadata)
    let recorded = TensorPairs(first.contents.goldens, second.contents.goldens)
    goldens.removed = recorded.onlyFirst.map(\.name)
    goldens.added = recorded.onlySecond.map(\.name)
    for (tensor, other) in recorded.both {
      if let change = try compare.change(tensor, other) { goldens.changed.append(change) }
    }
    goldens.counts =
      first.holdsGoldens && second.holdsGoldens
      && !(goldens.added.isEmpty && goldens.removed.isEmpty && goldens.changed.isEmpty)
    equal =
      added.isEmpty && removed.isEmpty && renamed.isEmpty && changed.isEmpty && options.isEmpty
      && !metadata.counts && !goldens.counts
  }

  /// The modules that are called otherwise, by their paths in A and in B.
  private static func paths(
    _ renamed: [Renaming]
  ) -> (there: [String: String], back: [String: String]) {
    func module(_ name: String) -> String {
      name.lastIndex(of: ".").map { String(name[..<$0]) } ?? ""
    }
    var (there, back): ([String: String], [String: String]) = ([:], [:])
    for renaming in renamed where module(renaming.from) != module(renaming.to) {
      there[module(renaming.from)] = module(renaming.to)
      back[module(renaming.to)] = module(renaming.from)
    }
    return (there, back)
  }

  var words: String {
    var lines = removed.map { "only in A: \($0)" } + added.map { "only in B: \($0)" }
    lines += renamed.map { "renamed: \($0.from) → \($0.to)" }
    lines += changed.map { "changed: \($0.words)" }
    lines += options.map(\.words)
    lines += metadata.words
    lines += goldens.removed.map { "golden only in A: \($0)" }
    lines += goldens.added.map { "golden only in B: \($0)" }
    lines += goldens.changed.map { "golden changed: \($0.words)" }
    // What does not count is told before the verdict.
    if equal { lines.append("no difference" + (lines.isEmpty ? "" : " that counts")) }
    return lines.map(\.escaped).joined(separator: "\n")
  }
}

extension DifferenceReport.Change {
  var words: String {
    var text = "\(name): \(what)"
    if let conversion {
      text += conversion == "widening" ? ", the same values" : ", rounded to the nearest"
    }
    if let maxAbs, conversion != "widening" {
      text += ", by at most \(maxAbs.shortText)"
      if let at { text += " at \(at)" }
      if let relativeNorm { text += ", relative norm \(relativeNorm.shortText)" }
    }
    let place = placeWords(layer: layer, direction: direction, gate: gate)
    if !place.isEmpty { text += "; \(place)" }
    if let gates, conversion != "widening" {
      text += " (relative norms: "
      text += gates.map { "\($0.gate) \($0.relativeNorm.shortText)" }.joined(separator: ", ") + ")"
    }
    return text
  }
}
