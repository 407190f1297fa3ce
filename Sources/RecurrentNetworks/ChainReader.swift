internal import Checkpoints

/// Finds what stands before and behind a chain of recurrent modules: an embedding, and an output layer.
///
/// Both are matrices called `PATH.weight`; the one has as many columns as the first module has inputs,
/// the other as many as the last has outputs. Of all readings the one that leaves the fewest tensors over
/// counts; two of the same rank are ambiguous.
struct ChainReader {
  let facts: ModuleFacts
  let options: ModelOptions
  let chains: [[ModelDescription.Module]]

  /// What was found, and the tensors that it takes.
  struct Reading {
    var embedding: ModelDescription.Module?
    var head: ModelDescription.Module?
    var tensors: [String] = []
  }

  /// Where recurrent modules stand: the chains by every path above one of their modules.
  private let places: [Substring: Set<Int>]

  init(facts: ModuleFacts, options: ModelOptions, chains: [[ModelDescription.Module]]) {
    self.facts = facts
    self.options = options
    self.chains = chains
    var places: [Substring: Set<Int>] = ["": Set(chains.indices)]
    for (index, chain) in chains.enumerated() {
      for module in chain {
        var path = module.name[...]
        while !path.isEmpty {
          places[path, default: []].insert(index)
          path = Self.outer(path)
        }
      }
    }
    self.places = places
  }

  /// The best readings, of which there is more than one where nothing tells which is meant.
  /// - Throws: `parameterMissing` or `shapeMismatch` when a layer that is told by name is not there or
  ///   does not fit.
  func readings(ofChain index: Int) throws(CheckpointError) -> [Reading] {
    let chain = chains[index]
    guard let first = chain.first, let last = chain.last else { return [] }
    let toldEmbedding = toldEmbedding(ofChain: index)
    let toldHead = toldHead(ofChain: index)
    let embeddings = candidates(told: toldEmbedding, ofChain: index) {
      embedding($0, before: first)
    }
    var heads = candidates(told: toldHead, ofChain: index) { head($0, behind: last) }
    heads.removeAll { isNearer($0.name, toOtherThan: index) }
    // What is told for the whole file need fit only one of its models.
    for told in [options.embedding, embeddings.isEmpty ? toldEmbedding : nil].compactMap(\.self)
    where told != "none" && (told != options.embedding || !isEmbeddingAnywhere(told)) {
      throw doesNotFit(told, to: "give the inputs of", first.recurrent?.inputSize)
    }
    for told in [options.head, heads.isEmpty ? toldHead : nil].compactMap(\.self)
    where told != "none" && !isHeadAnywhere(told) {
      throw doesNotFit(told, to: "take the outputs of", last.recurrent?.outputSize)
    }

    var readings: [Reading] = []
    for embedding in Self.choices(embeddings, isTold: toldEmbedding != nil) {
      for head in Self.choices(heads, isTold: toldHead != nil) {
        if let embedding, embedding.name == head?.name { continue }
        let tensors = [embedding, head].compactMap(\.self).flatMap { names(of: $0.name) }
        readings.append(Reading(embedding: embedding, head: head, tensors: tensors))
      }
    }
    let most = readings.map(\.tensors.count).max() ?? 0
    let best = readings.filter { $0.tensors.count == most }
    return best
  }

  /// Any of the modules, or none unless it was told which.
  private static func choices(
    _ modules: [ModelDescription.Module], isTold: Bool
  ) -> [ModelDescription.Module?] {
    modules.map { $0 } + (isTold && !modules.isEmpty ? [] : [nil])
  }

  /// Whether the file or the user says that a module is the embedding.
  func isToldEmbedding(_ name: String, ofChain index: Int) -> Bool {
    toldEmbedding(ofChain: index) == name
  }

  /// Whether the file or the user says that a module is the head.
  func isToldHead(_ name: String, ofChain index: Int) -> Bool { toldHead(ofChain: index) == name }

  /// What the user says, unless it is another chain's: there the file's word counts.
  private func toldEmbedding(ofChain index: Int) -> String? {
    guard let stack = chains[index].first else { return nil }
    if let told = options.embedding, told == "none" || embedding(told, before: stack) != nil {
      return told
    }
    return facts.describedEmbedding(of: stack.name) ?? facts.text("embedding", of: stack.name)
  }

  /// What the user says, likewise.
  private func toldHead(ofChain index: Int) -> String? {
    guard let stack = chains[index].last else { return nil }
    if let told = options.head,
      told == "none"
        || head(told, behind: stack) != nil && !isNearer(told, toOtherThan: index)
    {
      return told
    }
    return facts.describedHead(of: stack.name) ?? facts.text("head", of: stack.name)
  }

  private func isEmbeddingAnywhere(_ path: String) -> Bool {
    chains.contains { chain in chain.first.map { embedding(path, before: $0) != nil } ?? false }
  }

  private func isHeadAnywhere(_ path: String) -> Bool {
    chains.contains { chain in chain.last.map { head(path, behind: $0) != nil } ?? false }
  }

  /// The modules that could stand at an end: the one that is told, or all that fit.
  private func candidates(
    told: String?, ofChain index: Int, _ make: (String) -> ModelDescription.Module?
  ) -> [ModelDescription.Module] {
    if told == "none" { return [] }
    if let told { return make(told).map { [$0] } ?? [] }
    return facts.contents.tensors.compactMap { tensor in
      guard let path = tensor.name.removing(suffix: ".weight"), belongs(path, toChain: index)
      else { return nil }
      return make(path)
    }
  }

  /// Whether a layer may belong to a chain: `encoder.head.fc` belongs to `encoder.rnn` where there is
  /// one, and to any chain where none stands under a path that is above it.
  private func belongs(_ path: String, toChain index: Int) -> Bool {
    var outer = Self.outer(path[...])
    while true {
      if let near = places[outer] { return near.contains(index) }
      outer = Self.outer(outer)
    }
  }

  /// Whether a layer does not belong to a chain, but to another one as whose head it fits.
  private func isNearer(_ path: String, toOtherThan index: Int) -> Bool {
    guard !belongs(path, toChain: index) else { return false }
    return chains.indices.contains { other in
      belongs(path, toChain: other)
        && chains[other].last.map { head(path, behind: $0) != nil } ?? false
    }
  }

  /// The path around another; empty around the outermost ones.
  private static func outer(_ path: Substring) -> Substring {
    path[..<(path.lastIndex(of: ".") ?? path.startIndex)]
  }

  private func embedding(
    _ path: String, before stack: ModelDescription.Module
  ) -> ModelDescription.Module? {
    guard let table = facts.tensors["\(path).weight"]?.shape, table.rank == 2, table[0] > 0,
      table[1] == stack.recurrent?.inputSize, facts.tensors["\(path).bias"] == nil,
      facts.record(path)?.isEmbedding ?? true
    else { return nil }
    return ModelDescription.Module(
      name: path, inputs: [ModelDescription.modelInput],
      kind: .embedding(EmbeddingConfiguration(vocabularySize: table[0], size: table[1])))
  }

  private func head(
    _ path: String, behind stack: ModelDescription.Module
  ) -> ModelDescription.Module? {
    guard let weight = facts.tensors["\(path).weight"]?.shape, weight.rank == 2, weight[0] > 0,
      weight[1] == stack.recurrent?.outputSize,
      facts.record(path)?.isLinear ?? true
    else { return nil }
    let bias = facts.tensors["\(path).bias"]
    guard bias == nil || bias?.shape.dimensions == [weight[0]] else { return nil }
    var head = HeadConfiguration(inputSize: weight[1], outputSize: weight[0])
    head.hasBias = bias != nil
    return ModelDescription.Module(name: path, inputs: [stack.name], kind: .head(head))
  }

  /// The tensors of a layer.
  private func names(of path: String) -> [String] {
    ["\(path).weight", "\(path).bias"].filter { facts.tensors[$0] != nil }
  }

  // MARK: Errors

  /// What is unclear about several readings, in words.
  static func words(_ readings: [Reading]) -> String {
    let words = readings.map { reading in
      [
        reading.embedding.map { "\($0.name) as the embedding" },
        reading.head.map { "\($0.name) as the head" },
      ].compactMap(\.self).joined(separator: " and ")
    }
    return "the model can be read in \(readings.count) ways: \(words.joined(separator: "; "))"
  }

  private func doesNotFit(_ told: String, to what: String, _ size: Int?) -> CheckpointError {
    let features = "to \(what) the recurrent module, \(size ?? 0) features"
    guard let found = facts.tensors["\(told).weight"] else {
      let disguise = Disguise(of: "\(told).weight", among: Set(facts.tensors.keys))
      return CheckpointError(
        .parameterMissing, tensor: "\(told).weight",
        "no such layer \(features)" + (disguise.map { "; \($0)" } ?? ""))
    }
    let bias = facts.tensors["\(told).bias"].map { ", bias \($0.shape)" } ?? ""
    return CheckpointError(
      .shapeMismatch, tensor: found.name,
      "shape \(found.shape)\(bias): no layer \(features)")
  }
}

extension String {
  fileprivate func removing(suffix: String) -> String? {
    hasSuffix(suffix) ? String(dropLast(suffix.count)) : nil
  }
}
