import Checkpoints
import RecurrentNetworks

/// What was taken for granted.
struct Assumed: Codable {
  var option: String
  var value: String

  init(_ assumption: ParameterMapping.Assumption) {
    option = assumption.option
    value = assumption.value
  }
}

/// A module with the tensors that it takes.
struct ModuleReport: Encodable {
  var module: ModelDescription.Module
  var tensors: [String]

  private enum Key: String, CodingKey { case tensors }

  /// The module's own keys, and `tensors` beside them.
  func encode(to encoder: any Encoder) throws {
    try module.encode(to: encoder)
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(tensors, forKey: .tensors)
  }

  /// A block for people: the module, and its tensors by what they are called in it.
  var words: [String] {
    let path = module.name.isEmpty ? "" : module.name + "."
    let names = tensors.map { $0.dropFirst(path.count) }.joined(separator: ", ")
    return ["  \(module.line)"] + (names.isEmpty ? [] : ["    \(names)".escaped])
  }
}

/// What `convert` reports.
struct ConversionReport: Encodable {
  var input: String
  var output: String
  var from: String
  var to: String
  /// Where the state dict stood in the input; empty for the whole file.
  var key: String
  var modules: [ModuleReport]
  var taken: [String]
  var renamed: [ConversionPlan.Renaming]
  var folded: [String]
  /// What `fold=none` left apart.
  var unfolded: [String]
  var assumed: [Assumed]
  var missing: [String]
  var unexpected: [String]
  /// Unexpected names, each with the parameter that is spelled most like it.
  var nearest: [String: String?]
  var mismatched: [MismatchReport]
  var leftOver: [String]
  var ignored: [String]
  var dropped: [String]
  /// Expressions of the command line that no name matched.
  var unmatched: [String]
  /// Parameters among what is left over in a form that only PyTorch can use.
  var disguised: [DisguiseReport]
  /// What the golden's file says of the model.
  var told: [ConversionPlan.Told]
  /// Tensors with finite values that became infinite.
  var overflowed: [ConversionPlan.Overflow]
  /// What is to be known of the output.
  var notes: [String]

  enum CodingKeys: String, CodingKey {
    case input, output, from, to, key, modules, taken, renamed, folded, unfolded, assumed, missing
    case unexpected, nearest, mismatched
    case leftOver = "left_over"
    case ignored, dropped, unmatched, disguised, told, overflowed, notes
  }

  init(
    input: String, output: String, from: String, to target: any CheckpointFormat,
    _ plan: ConversionPlan
  ) {
    self.input = input
    self.output = output
    self.from = from
    to = target.name
    dropped = target.dropped(from: plan.contents)
    key = plan.key
    let mapping = plan.mapping
    modules = mapping?.moduleReports ?? []
    taken = mapping?.taken ?? []
    renamed = plan.renamed
    folded = mapping?.folded.map(\.name) ?? []
    unfolded = mapping?.unfolded.map(\.name) ?? []
    assumed = mapping?.assumptions.map(Assumed.init) ?? []
    missing = mapping?.missing ?? []
    unexpected = mapping?.unexpected ?? []
    nearest = mapping?.nearestReport ?? [:]
    mismatched = mapping?.mismatched.map(MismatchReport.init) ?? []
    leftOver = mapping?.leftOver ?? []
    ignored = plan.contents.ignored
    unmatched = plan.unmatched
    disguised = mapping?.disguised.map(DisguiseReport.init) ?? []
    told = plan.told
    overflowed = plan.overflowed
    notes = target.holdsGoldens ? plan.notes : []
  }

  /// The report for people.
  func words(_ plan: ConversionPlan) -> String {
    var lines = [
      "\(input) (\(from)) → \(output) (\(to)): ".escaped
        + "\(plan.contents.tensors.count) tensors, \(plan.byteCount.byteText)"
    ]
    if !key.isEmpty {
      lines.append("  state dict: taken from \(key) (\(plan.keyCount) tensors)".escaped)
    }
    lines += modules.flatMap(\.words)
    if modules.isEmpty { lines.append("  no recurrent module was recognised") }
    // That the key is gone from every name is told by the line above.
    lines += renamed.filter { key.isEmpty || $0.from != "\(key).\($0.to)" }
      .map { "  renamed: \($0.from) → \($0.to)".escaped }
    lines += plan.mapping?.folded.map { "  folded: \($0)".escaped } ?? []
    lines += plan.mapping?.unfolded.map { "  not folded, carried along: \($0)".escaped } ?? []
    lines += assumed.map {
      "  assumed: \($0.option)=\($0.value) (nothing says it; decide with --set)"
    }
    lines += told.map {
      "  told by \($0.source): \($0.option)=\($0.value)".escaped
    }
    if !leftOver.isEmpty {
      lines.append("  left over, carried along: \(leftOver.joined(separator: ", "))".escaped)
    }
    lines += disguised.map { "  not plain, so no part of the model: \($0.reason)".escaped }
    lines += overflowed.map {
      "  became infinite: \($0.values) finite \($0.values == 1 ? "value" : "values") of \($0.name)"
        .escaped
    }
    if !plan.contents.goldens.isEmpty {
      lines.append(
        "  goldens: \(plan.contents.goldens.map(\.name).joined(separator: ", "))".escaped)
    }
    lines += ignored.map { "  ignored: \($0)".escaped }
    lines += dropped.map { "  dropped: \($0)".escaped }
    lines += notes.map { "  note: \($0)".escaped }
    lines += unmatched.map { "  matched nothing: \($0)".escaped }
    return lines.joined(separator: "\n")
  }
}

/// A parameter in a form that only PyTorch can use, as JSON.
struct DisguiseReport: Encodable {
  var name: String
  var reason: String

  init(_ disguised: ParameterMapping.Disguised) {
    name = disguised.name
    reason = disguised.reason
  }
}

extension ParameterMapping {
  /// The modules, each with its tensors.
  var moduleReports: [ModuleReport] {
    description.modules.map { ModuleReport(module: $0, tensors: tensors(of: $0)) }
  }

  /// Every unexpected name, with the nearest expected one or null.
  var nearestReport: [String: String?] {
    Dictionary(unexpected.map { ($0, nearest[$0]) }) { first, _ in first }
  }
}

extension ModelDescription.Module {
  /// One line for people: path and layer.
  var line: String {
    let what =
      switch kind {
      case .embedding(let configuration): configuration.description
      case .recurrent(let configuration): configuration.description
      case .head(let configuration): configuration.description
      case .unknown(let type): "unknown type \(type)"
      }
    return (name.isEmpty ? what : "\(name): \(what)").escaped
  }
}

extension String {
  /// With control characters made visible.
  var escaped: String { escapedForDisplay }
}
