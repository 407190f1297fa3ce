public import Checkpoints

// Goldens that a checkpoint carries, and running the parts of a model that they were recorded from.

extension Verification {
  /// The arithmetic of a run.
  public enum Precision: String, Sendable, CaseIterable {
    /// The kernels.
    case float32
    /// The reference in float64.
    case reference
  }

  /// Runs the modules of a checkpoint that goldens were recorded from, and compares.
  ///
  /// Goldens without prefix are those of the whole model, or of its only recurrent module; goldens called
  /// `encoder.rnn.input` and so on are those of that module. Tensors outside the modules do not matter.
  /// - Throws: `goldenMismatch` when a golden does not fit the model, and what loading the model throws.
  public init(
    _ contents: CheckpointContents, goldens: StateDict, options: ModelOptions = ModelOptions(),
    tolerance: Tolerance = .standard, precision: Precision = .float32, file: String? = nil
  ) throws(CheckpointError) {
    let mapping = try ParameterMapping(of: contents, options: options, file: file)
    try self.init(
      try Self.parts(of: mapping, goldens, file: file), goldens: goldens,
      tolerance: tolerance, precision: precision)
    unchecked = mapping.description.modules.filter { !isShown($0, goldens) }.map(\.name)
  }

  /// Runs the parts of a model that goldens were recorded from, and compares.
  init(
    _ parts: [GoldenPart], goldens: StateDict, tolerance: Tolerance, precision: Precision
  ) throws(CheckpointError) {
    var results = StateDict()
    var assumptions: [ParameterMapping.Assumption] = []
    for part in parts {
      try part.requireSound(goldens)
      for (name, tensor) in try part.results(goldens, precision) { results[name] = tensor }
      assumptions += part.blueprint.assumptions.filter { !assumptions.contains($0) }
    }
    try self.init(results, against: goldens, tolerance: tolerance)
    self.assumptions = assumptions
    // Where PyTorch's own error allows nearly everything, insides of layers are still to be what their
    // own step makes of the recorded states.
    guard rows.contains(where: { ($0.bound ?? 0) > Self.looseBound }) else { return }
    for part in parts {
      guard let divergence = try Divergence.first(of: part, in: goldens),
        let name = divergence.insideName(prefix: part.insidePrefix(divergence.place.module))
      else { continue }
      for index in rows.indices where rows[index].name == name { rows[index].isPassed = false }
    }
  }

  /// A bound that only goldens of chaotic networks, or damaged ones, lead to.
  private static let looseBound = 1e-3

  /// Whether a result of the golden depends on a module.
  private func isShown(_ module: ModelDescription.Module, _ goldens: StateDict) -> Bool {
    let names = Set(rows.map(\.name))
    func has(_ results: [String], of path: String) -> Bool {
      // Without a prefix they are the whole model's.
      results.contains { names.contains($0) || names.contains("\(path).\($0)") }
    }
    switch module.kind {
    case .recurrent: return has(["output", "h_n"], of: module.name)
    case .head: return has(["y"], of: module.inputs[0])
    case .embedding:
      return goldens.contains { name, golden in
        (name == "input" || name.hasSuffix(".input")) && !golden.dtype.isFloatingPoint
      }
    case .unknown: return false
    }
  }

  /// Checks that goldens fit the modules of a checkpoint, without running them.
  /// - Throws: `goldenMismatch`, `tokenOutOfRange`.
  public static func check(
    _ goldens: StateDict, fit contents: CheckpointContents, options: ModelOptions = ModelOptions()
  ) throws(CheckpointError) {
    let mapping = try ParameterMapping(of: contents, options: options)
    var shapes: [String: Shape] = [:]
    for part in try parts(of: mapping, goldens, file: nil) {
      let call = try EvaluationCall(goldens, prefix: part.prefix, part.blueprint)
      shapes.merge(EvaluationResults<Float>(call, part.blueprint).shapes) { first, _ in first }
    }
    var hasResult = false
    for (name, golden) in goldens {
      let base = name.hasSuffix(float64Suffix) ? String(name.dropLast(float64Suffix.count)) : name
      guard isResult(base), !isInsideLayers(base) else { continue }
      hasResult = true
      guard let shape = shapes[base] else {
        throw CheckpointError(
          .goldenMismatch, tensor: name, "the model gives no such result\(wayOut(base))")
      }
      guard golden.shape == shape else {
        throw CheckpointError(
          .goldenMismatch, tensor: name,
          "\(golden.shape), the model gives \(shape)\(wayOut(base, golden.shape, shape))")
      }
    }
    guard hasResult else {
      throw CheckpointError(.goldenMismatch, "the golden has none of output, h_n, c_n, y")
    }
  }

  /// The parts of a model that goldens were recorded from.
  /// - Parameter stacks: The recurrent modules that count; nil for all.
  /// - Throws: `goldenMismatch` when there is none.
  static func parts(
    of mapping: ParameterMapping, _ goldens: StateDict,
    among stacks: Set<String>? = nil, file: String?
  ) throws(CheckpointError) -> [GoldenPart] {
    try mapping.requireComplete()
    let all = mapping.description.modules.filter { $0.recurrent != nil }
    guard !all.isEmpty else {
      throw CheckpointError(.goldenMismatch, "the model has no recurrent module to run")
    }
    var parts: [GoldenPart] = []
    func add(_ part: ModelBlueprint.Part, _ prefix: String) throws(CheckpointError) {
      parts.append(
        GoldenPart(
          prefix: prefix, blueprint: try ModelBlueprint(mapping, part, file: file)))
    }
    for module in all where stacks?.contains(module.name) ?? true {
      let own = module.name.isEmpty ? [] : [module.name + "."]
      // Without a prefix they are the only recurrent module's.
      let prefixes = (all.count == 1 ? [""] : []) + own
      guard let prefix = prefixes.first(where: { goldens[$0 + "input"] != nil }),
        let input = goldens[prefix + "input"]
      else { continue }
      try add(
        .recurrent(
          module.name, embedding: !input.dtype.isFloatingPoint,
          head: goldens[prefix + "y"] != nil), prefix)
    }
    // Or those of a chain of several, which must be all that there is.
    let isChain = zip(all, all.dropFirst()).allSatisfy { $1.inputs == [$0.name] }
    if all.count > 1, isChain, stacks.map({ $0.count == all.count }) ?? true,
      goldens["input"] != nil
    {
      try add(.chain, "")
    }
    guard !parts.isEmpty else {
      let names = all.map { $0.name.isEmpty || all.count == 1 ? "input" : "\($0.name).input" }
      throw CheckpointError(
        .goldenMismatch, tensor: "input",
        "the golden has no input of this model: a tensor called \(names.joined(separator: " or "))")
    }
    return parts
  }
}

extension Divergence {
  /// The tensor in which it was seen, when it was seen inside a layer.
  fileprivate func insideName(prefix: String) -> String? {
    guard evidence == .layers, let layer = place.layer, let gate = place.gate else { return nil }
    let what = ["c": "c", "h": "output"][gate] ?? "gates"
    return "\(prefix)\(what)_l\(layer)" + (place.direction == .reverse ? "_reverse" : "")
  }
}

/// A part of a model that goldens were recorded from.
struct GoldenPart {
  /// What stands before their names.
  let prefix: String
  let blueprint: ModelBlueprint

  /// What stands before the names of a module's insides.
  fileprivate func insidePrefix(_ module: String) -> String {
    blueprint.stacks.count == 1 ? prefix : module + "."
  }

  /// Checks that goldens can prove something: no NaN, and of the two states of an LSTM not one alone.
  /// - Throws: `goldenMismatch`.
  func requireSound(_ goldens: StateDict) throws(CheckpointError) {
    for (name, tensor) in goldens where name.hasPrefix(prefix) && tensor.dtype.isFloatingPoint {
      let base =
        name.hasSuffix(Verification.float64Suffix)
        ? String(name.dropLast(Verification.float64Suffix.count)) : name
      let last = base.dropFirst(prefix.count)
      guard ["input", "h_0", "c_0"].contains(last) || Verification.isResult(base) else { continue }
      let values = try tensor.doubles()
      let count = values.count { $0.isNaN }
      guard let place = values.firstIndex(where: \.isNaN) else { continue }
      throw CheckpointError(
        .goldenMismatch, tensor: name,
        "NaN at \(tensor.shape.index(at: place)), \(count) in all: nothing can be compared with it; "
          + "record the golden from a model that gives numbers")
    }
    for stack in blueprint.stacks where stack.configuration.kind == .lstm {
      let path = blueprint.stacks.count == 1 ? prefix : stack.name + "."
      let (hidden, cell) = (path + "h_0", path + "c_0")
      guard (goldens[hidden] == nil) != (goldens[cell] == nil) else { continue }
      let (missing, other) = goldens[hidden] == nil ? (hidden, cell) : (cell, hidden)
      throw CheckpointError(
        .goldenMismatch, tensor: missing,
        "not here, though \(other) is: an LSTM begins with both, or with zeros")
    }
  }

  /// Runs the part; what goes on inside layers is given where the goldens have it.
  func results(
    _ goldens: StateDict, _ precision: Verification.Precision
  ) throws(CheckpointError) -> StateDict {
    let allLayers = goldens.contains { Verification.isInsideLayers($0.name) }
    switch precision {
    case .float32:
      return try SequenceModel(blueprint).evaluate(goldens, prefix: prefix, allLayers: allLayers)
    case .reference:
      return try ReferenceModel(blueprint).evaluate(goldens, prefix: prefix, allLayers: allLayers)
    }
  }
}

extension SequenceModel {
  /// Runs the model on the goldens that its checkpoint carries, and compares with PyTorch's results
  /// within the tolerance that they were sealed with.
  ///
  /// The weights are read once more from the checkpoint, module by module.
  /// - Returns: The comparison, every tensor of it passed.
  /// - Throws: `notVerified`, naming the tensors that differ and by how much; `goldenMismatch` when the
  ///   checkpoint carries no golden of this model.
  @discardableResult
  public func selfTest() throws(CheckpointError) -> Verification {
    guard !blueprint.contents.goldens.isEmpty else {
      throw CheckpointError(
        .goldenMismatch, "the checkpoint carries no golden of this model: convert with --golden")
    }
    let goldens = try StateDict(reading: blueprint.contents.goldens)
    let parts = try Verification.parts(
      of: blueprint.mapping, goldens, among: Set(blueprint.stacks.map(\.name)), file: nil)
    // The checkpoint may carry goldens of other models too.
    var own = StateDict()
    for (name, golden) in goldens {
      let isOwn = parts.contains { part in
        part.prefix.isEmpty
          ? !name.contains(".") || part.blueprint.stacks.contains { name.hasPrefix($0.name + ".") }
          : name.hasPrefix(part.prefix)
      }
      if isOwn { own[name] = golden }
    }
    let verification = try Verification(
      parts, goldens: own, tolerance: blueprint.goldenTolerance, precision: .float32)
    let failed = verification.rows.filter { !$0.isPassed }
    guard failed.isEmpty else {
      let words = failed.map { "\($0.name) is off by \($0.largestError) at \($0.position)" }
      throw CheckpointError(
        .notVerified, tensor: failed[0].name,
        "not PyTorch's result (\(failed[0].reference)): \(words.joined(separator: "; "))")
    }
    return verification
  }
}

extension Verification.Tolerance {
  /// The metadata key of the tolerance that goldens are sealed with.
  public static let metadataKey = "strata_golden_tolerance"

  /// The tolerance in text, `standard` or `atol=1e-06 rtol=1e-06`.
  public var sealed: String {
    switch self {
    case .standard: "standard"
    case .elementwise(let absolute, let relative): "atol=\(absolute) rtol=\(relative)"
    }
  }

  /// The tolerance that a checkpoint's metadata seal; `standard` where they say nothing.
  /// - Throws: `metadataInvalid`.
  public init(sealedIn metadata: [String: String]) throws(CheckpointError) {
    guard let text = metadata[Self.metadataKey], text != "standard" else {
      self = .standard
      return
    }
    let parts = text.split(separator: " ")
    guard parts.count == 2, parts[0].hasPrefix("atol="), parts[1].hasPrefix("rtol="),
      let absolute = Double(parts[0].dropFirst(5)), absolute >= 0, absolute.isFinite,
      let relative = Double(parts[1].dropFirst(5)), relative >= 0, relative.isFinite
    else {
      throw CheckpointError(
        .metadataInvalid, "\(Self.metadataKey) is \"\(text)\", not standard or atol=… rtol=…")
    }
    self = .elementwise(absolute: absolute, relative: relative)
  }
}
