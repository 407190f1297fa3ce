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
    _ contents: CheckpointContents, goldens: StateDict, tolerance: Tolerance = .standard,
    precision: Precision = .float32, file: String? = nil
  ) throws(CheckpointError) {
    let mapping = try ParameterMapping(of: contents, file: file)
    try mapping.requireComplete()
    var results = StateDict()
    var assumptions: [ParameterMapping.Assumption] = []
    for part in try Self.parts(of: mapping, goldens) {
      let blueprint = try ModelBlueprint(contents, mapping, part.part, file: file)
      for (name, tensor) in try blueprint.results(goldens, prefix: part.prefix, precision) {
        results[name] = tensor
      }
      assumptions += blueprint.assumptions.filter { !assumptions.contains($0) }
    }
    try self.init(results, against: goldens, tolerance: tolerance)
    self.assumptions = assumptions
    let names = Set(rows.map(\.name))
    unchecked = mapping.description.modules.filter { module in
      switch module.kind {
      case .recurrent:
        !names.contains { $0 == "output" || $0 == "h_n" || $0.hasPrefix(module.name) }
      case .head: !names.contains { $0 == "y" || $0.hasSuffix(".y") }
      case .embedding: goldens["input"]?.dtype.isFloatingPoint ?? true
      case .unknown: true
      }
    }.map(\.name)
  }

  /// Checks that goldens fit the modules of a checkpoint, without running them.
  /// - Throws: `goldenMismatch`, `tokenOutOfRange`.
  public static func check(
    _ goldens: StateDict, fit contents: CheckpointContents, options: ModelOptions = ModelOptions()
  ) throws(CheckpointError) {
    let mapping = try ParameterMapping(of: contents, options: options)
    try mapping.requireComplete()
    for part in try parts(of: mapping, goldens) {
      let blueprint = try ModelBlueprint(contents, mapping, part.part, file: nil)
      let call = try EvaluationCall(goldens, prefix: part.prefix, blueprint)
      let shapes = EvaluationResults<Float>(call, blueprint).shapes
      for (name, shape) in shapes {
        for golden in [name, name + "_f64"] {
          guard let found = goldens[golden]?.shape, found != shape else { continue }
          throw CheckpointError(
            .goldenMismatch, tensor: golden, "\(found), the model gives \(shape)")
        }
      }
    }
    guard goldens.contains(where: { isResult($0.name) }) else {
      throw CheckpointError(.goldenMismatch, "the golden has none of output, h_n, c_n, y")
    }
  }

  /// The recurrent modules that goldens were recorded from, with what stands before their names.
  private static func parts(
    of mapping: ParameterMapping, _ goldens: StateDict
  ) throws(CheckpointError) -> [(prefix: String, part: ModelBlueprint.Part)] {
    let recurrent = mapping.description.modules.filter { $0.recurrent != nil }
    var parts: [(prefix: String, part: ModelBlueprint.Part)] = []
    func add(_ module: String, _ prefix: String) -> Bool {
      guard let input = goldens[prefix + "input"] else { return false }
      let part = ModelBlueprint.Part.recurrent(
        module, embedding: !input.dtype.isFloatingPoint, head: goldens[prefix + "y"] != nil)
      parts.append((prefix, part))
      return true
    }
    for module in recurrent {
      if recurrent.count == 1, add(module.name, "") { continue }
      if !module.name.isEmpty { _ = add(module.name, module.name + ".") }
    }
    // A chain of several that was recorded as one.
    if recurrent.count > 1, goldens["input"] != nil { parts.append(("", .chain)) }
    guard !recurrent.isEmpty else {
      throw CheckpointError(.goldenMismatch, "the model has no recurrent module to run")
    }
    guard !parts.isEmpty else {
      let names = recurrent.map { $0.name.isEmpty ? "input" : "\($0.name).input" }
      throw CheckpointError(
        .goldenMismatch, tensor: "input",
        "the golden has no input of a recurrent module (\(names.joined(separator: ", ")))")
    }
    return parts
  }
}

extension ModelBlueprint {
  /// Runs the model on the inputs of a golden; what goes on inside layers is given where the golden has
  /// it.
  func results(
    _ goldens: StateDict, prefix: String, _ precision: Verification.Precision
  ) throws(CheckpointError) -> StateDict {
    let allLayers = goldens.contains { Verification.isInsideLayers($0.name) }
    switch precision {
    case .float32:
      return try SequenceModel(self).evaluate(goldens, prefix: prefix, allLayers: allLayers)
    case .reference:
      return try ReferenceModel(self).evaluate(goldens, prefix: prefix, allLayers: allLayers)
    }
  }
}

extension SequenceModel {
  /// Runs the model on the goldens that its checkpoint carries, and compares with PyTorch's results
  /// within the tolerance that they were sealed with.
  /// - Returns: The comparison, every tensor of it passed.
  /// - Throws: `notVerified`, naming the tensors that differ and by how much; `goldenMismatch` when the
  ///   checkpoint carries no golden of this model.
  @discardableResult
  public func selfTest() throws(CheckpointError) -> Verification {
    var goldens = StateDict()
    for golden in blueprint.goldens { try goldens.append(golden.read(), named: golden.name) }
    let names = [""] + blueprint.stacks.map { $0.name + "." }
    let takesTokens = blueprint.embedding != nil
    let isFitting = { (prefix: String) in
      goldens[prefix + "input"].map { $0.dtype.isFloatingPoint != takesTokens } ?? false
    }
    guard let prefix = names.first(where: isFitting) else {
      throw CheckpointError(
        .goldenMismatch, "the checkpoint carries no golden of this model: convert with --golden")
    }
    let allLayers = goldens.contains { Verification.isInsideLayers($0.name) }
    let results = try evaluate(goldens, prefix: prefix, allLayers: allLayers)
    // The file may carry goldens of other models too, and of the single modules of this one.
    var own = StateDict()
    for (name, golden) in goldens {
      let isOwn = prefix.isEmpty ? !name.contains(".") : name.hasPrefix(prefix)
      if isOwn || results[name] != nil { own[name] = golden }
    }
    let verification = try Verification(
      results, against: own, tolerance: blueprint.goldenTolerance)
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
