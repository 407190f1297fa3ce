import Checkpoints
import RecurrentNetworks

/// From which names and shapes it follows what a module is.
struct ModuleEvidence {
  private(set) var lines: [String] = []
  private let module: ModelDescription.Module
  private let mapping: ParameterMapping
  private let shapes: [String: Shape]

  init(
    _ module: ModelDescription.Module, of mapping: ParameterMapping, _ shapes: [String: Shape]
  ) {
    (self.module, self.mapping, self.shapes) = (module, mapping, shapes)
    switch module.kind {
    case .embedding(let embedding): explain(embedding)
    case .recurrent(let recurrent): explain(recurrent)
    case .head(let head): explain(head)
    case .unknown(let type): lines = ["the file's model description calls it \(type)"]
    }
  }

  private func short(_ name: String) -> String {
    String(name.dropFirst(module.name.isEmpty ? 0 : module.name.count + 1))
  }

  /// The module whose output this one takes, if it takes one's.
  private var previous: ModelDescription.Module? {
    module.inputs.first.flatMap { mapping.description[$0] }
  }

  private func isAssumed(_ option: String) -> Bool {
    mapping.assumptions.contains { $0.option == option }
  }

  private mutating func explain(_ recurrent: RecurrentConfiguration) {
    let names = mapping.tensors(of: module).compactMap { ParameterName($0) }
    let kind = recurrent.kind
    let (gates, units) = (kind.gateCount, recurrent.hiddenSize)
    let folded = mapping.folded.filter { ParameterName($0.name)?.module == module.name }
    lines += folded.map { "folded: \($0)" }
    let title = kind.rawValue.uppercased() + (recurrent.isCell ? "Cell" : "")
    // Where layers contradict each other, the one that the reading follows.
    func has(_ name: ParameterName, _ rows: Int, _ columns: Int) -> Bool {
      shapes[name.description]?.dimensions == [rows, columns]
    }
    if let weight = names.first(where: {
      $0.kind == .hiddenWeight && has($0, gates * units, recurrent.stateSize)
    }) {
      lines.append(
        recurrent.projectionSize > 0
          ? "\(title): \(short(weight.description)) has \(gates) × \(units) rows, and weight_hr \(units) columns"
          : "\(title): \(short(weight.description)) has \(gates) × \(units) rows for \(units) columns"
      )
    }
    if let weight = names.first(where: {
      $0.kind == .inputWeight && $0.layer == 0 && has($0, gates * units, recurrent.inputSize)
    }) {
      lines.append(
        "input size \(recurrent.inputSize): \(short(weight.description)) has \(recurrent.inputSize) columns"
      )
    }
    if recurrent.isCell {
      lines.append("a cell: the names have no layer")
    } else if recurrent.layerCount == 1 {
      lines.append("1 layer: the names end in _l0")
    } else {
      lines.append(
        "\(recurrent.layerCount) layers: names end in \(Self.list((0..<recurrent.layerCount).map { "_l\($0)" }))"
      )
    }
    if recurrent.isBidirectional { lines.append("bidirectional: names end in _reverse") }
    if recurrent.projectionSize > 0,
      let weight = names.first(where: { $0.kind == .projectionWeight })
    {
      lines.append(
        "projection to \(recurrent.projectionSize): \(short(weight.description)) is "
          + "\(shapes[weight.description]?.description ?? "")")
    }
    let biases = names.filter { $0.kind == .inputBias || $0.kind == .hiddenBias }
    lines.append(
      biases.isEmpty
        ? "no bias: there is no bias_ih and no bias_hh"
        : "bias: \(Self.list(biases.prefix(2).map { short($0.description) })) \(biases.count > 1 ? "are" : "is") there"
    )
    explainTold(recurrent)
    explainInput(size: recurrent.inputSize)
  }

  /// `_l0, _l1 and _l2`.
  private static func list(_ words: [String]) -> String {
    let shown = words.count > 6 ? words.prefix(2) + ["…"] + words.suffix(1) : words[...]
    guard shown.count > 1, let last = shown.last else { return shown.joined() }
    return shown.dropLast().joined(separator: ", ") + " and " + last
  }

  /// What shapes cannot tell and something else in the file does.
  private mutating func explainTold(_ recurrent: RecurrentConfiguration) {
    func told(_ option: String, _ value: String) {
      lines.append("\(option)=\(value): the file says it")
    }
    if recurrent.kind == .rnn, !isAssumed("nonlinearity") {
      told("nonlinearity", recurrent.nonlinearity.rawValue)
    }
    if !recurrent.isCell, !isAssumed("batch_first") {
      told("batch_first", "\(recurrent.isBatchFirst)")
    }
    if recurrent.kind == .gru, recurrent.gruReset != .after {
      told("gru_reset", recurrent.gruReset.rawValue)
    }
    if recurrent.kind != .rnn, recurrent.sigmoid != .logistic {
      told("sigmoid", recurrent.sigmoid.rawValue)
    }
  }

  private mutating func explainInput(size: Int) {
    guard let previous else { return }
    let verb: String
    switch previous.kind {
    case .embedding(let embedding): verb = "looks up \(embedding.size) features a token"
    case .recurrent(let recurrent): verb = "puts out \(recurrent.outputSize) features"
    case .head, .unknown: return
    }
    lines.append(
      "takes its input from \(previous.name.isEmpty ? "the root" : previous.name), which \(verb)")
  }

  private mutating func explain(_ embedding: EmbeddingConfiguration) {
    let next = mapping.description.modules.first { $0.inputs == [module.name] }
    lines.append(
      "embedding: \(module.name).weight has \(embedding.size) columns, as many as "
        + "\(next.map { $0.name.isEmpty ? "the recurrent module" : $0.name } ?? "the next module") has inputs, and no bias"
    )
    lines.append("\(embedding.vocabularySize) tokens: its rows")
    lines.append(
      isAssumed("embedding")
        ? "nothing but its shape tells it" : "the file says embedding=\(module.name)")
  }

  private mutating func explain(_ head: HeadConfiguration) {
    let stack =
      previous.map { $0.name.isEmpty ? "the recurrent module" : $0.name } ?? "the module before it"
    lines.append(
      "head: \(module.name).weight has \(head.inputSize) columns, as many as \(stack) has outputs")
    lines.append("\(head.outputSize.counted("output")): its rows")
    lines.append(
      head.hasBias
        ? "bias: \(module.name).bias is there" : "no bias: there is no \(module.name).bias")
    lines.append(
      isAssumed("head") ? "nothing but its shape tells it" : "the file says head=\(module.name)")
    if !isAssumed("head_activation") {
      lines.append("head_activation=\(head.activation.rawValue): the file says it")
    }
    if !isAssumed("head_input") {
      lines.append("head_input=\(head.input.rawValue): the file says it")
    }
  }
}
