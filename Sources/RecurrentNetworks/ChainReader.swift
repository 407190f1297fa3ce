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

  /// The best reading.
  /// - Throws: `ambiguousModel`; `parameterMissing` or `shapeMismatch` when a layer that is told by name
  ///   is not there or does not fit.
  func reading(of chain: [ModelDescription.Module]) throws(CheckpointError) -> Reading {
    guard let first = chain.first, let last = chain.last else { return Reading() }
    let toldEmbedding = toldEmbedding(of: first)
    let toldHead = toldHead(of: last)
    let embeddings = candidates(told: toldEmbedding, of: chain) { embedding($0, before: first) }
    let heads = candidates(told: toldHead, of: chain) { head($0, behind: last) }
    if let toldEmbedding, toldEmbedding != "none", embeddings.isEmpty {
      throw doesNotFit(toldEmbedding, to: "give the inputs of", first.recurrent?.inputSize)
    }
    // A head that is told for the whole file need fit only one of its models.
    if let toldHead, toldHead != "none", heads.isEmpty,
      !chains.contains(where: { other in
        other.last.map { head(toldHead, behind: $0) != nil } ?? false
      })
    {
      throw doesNotFit(toldHead, to: "take the outputs of", last.recurrent?.outputSize)
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
    guard best.count <= 1 else { throw ambiguous(best, last) }
    return best.first ?? Reading()
  }

  /// Any of the modules, or none unless it was told which.
  private static func choices(
    _ modules: [ModelDescription.Module], isTold: Bool
  ) -> [ModelDescription.Module?] {
    modules.map { $0 } + (isTold && !modules.isEmpty ? [] : [nil])
  }

  /// Whether the file or the user says that a module is the embedding.
  func isToldEmbedding(_ name: String, of chain: [ModelDescription.Module]) -> Bool {
    chain.first.flatMap { toldEmbedding(of: $0) } == name
  }

  /// Whether the file or the user says that a module is the head.
  func isToldHead(_ name: String, of chain: [ModelDescription.Module]) -> Bool {
    chain.last.flatMap { toldHead(of: $0) } == name
  }

  private func toldEmbedding(of stack: ModelDescription.Module) -> String? {
    options.embedding ?? facts.describedEmbedding(of: stack.name)
      ?? facts.text("embedding", of: stack.name)
  }

  private func toldHead(of stack: ModelDescription.Module) -> String? {
    options.head ?? facts.describedHead(of: stack.name)
      ?? facts.text("head", of: stack.name)
  }

  /// The modules that could stand at an end: the one that is told, or all that fit.
  private func candidates(
    told: String?, of chain: [ModelDescription.Module],
    _ make: (String) -> ModelDescription.Module?
  ) -> [ModelDescription.Module] {
    if told == "none" { return [] }
    if let told { return make(told).map { [$0] } ?? [] }
    return facts.contents.tensors.compactMap { tensor in
      guard let path = tensor.name.removing(suffix: ".weight"), belongs(path, to: chain) else {
        return nil
      }
      return make(path)
    }
  }

  /// Whether a layer may belong to a chain: `encoder.fc` belongs to `encoder.rnn` where there is one.
  private func belongs(_ path: String, to chain: [ModelDescription.Module]) -> Bool {
    guard let dot = path.lastIndex(of: ".") else { return true }
    let parent = path[...dot]
    let near = { (chain: [ModelDescription.Module]) in
      chain.contains { $0.name.hasPrefix(parent) }
    }
    return near(chain) || !chains.contains(where: near)
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

  private func ambiguous(
    _ readings: [Reading], _ last: ModelDescription.Module
  ) -> CheckpointError {
    let words = readings.map { reading in
      [
        reading.embedding.map { "\($0.name) as the embedding" },
        reading.head.map { "\($0.name) as the head" },
      ].compactMap(\.self).joined(separator: " and ")
    }
    var ways: [String] = []
    if let head = readings.compactMap(\.head?.name).first {
      ways += ["--set head=\(head)", "--set head=none"]
    }
    if let embedding = readings.compactMap(\.embedding?.name).first {
      ways += ["--set embedding=\(embedding)", "--set embedding=none"]
    }
    return CheckpointError(
      .ambiguousModel,
      "the model can be read in \(readings.count) ways: \(words.joined(separator: "; ")); decide with "
        + ways.joined(separator: ", "))
  }

  private func doesNotFit(_ told: String, to what: String, _ size: Int?) -> CheckpointError {
    let features = "to \(what) the recurrent module, \(size ?? 0) features"
    guard let found = facts.tensors["\(told).weight"] else {
      return CheckpointError(
        .parameterMissing, tensor: "\(told).weight", "no such layer \(features)")
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
