import Checkpoints
import RecurrentNetworks

/// What `convert` is going to write, and what it has to tell about it.
struct ConversionPlan {
  private(set) var contents: CheckpointContents
  private(set) var renamed: [Renaming] = []
  private(set) var mapping: ParameterMapping?
  private var paths = ModulePaths()
  private var keepsPaths = true
  private var goldenFile: String?

  struct Renaming: Encodable {
    var from: String
    var to: String
  }

  /// Chooses and renames tensors, and the paths that speak of them.
  /// - Throws: `duplicateName` when two tensors get one name, `parameterMissing` when none is left.
  init(_ source: CheckpointContents, _ rules: NameRules, file: String) throws(CheckpointError) {
    contents = source
    contents.tensors = []
    var origins: [String: String] = [:]
    for var tensor in source.tensors {
      guard let name = rules.name(for: tensor.name) else { continue }
      if let other = origins.updateValue(tensor.name, forKey: name) {
        throw CheckpointError(
          .duplicateName, file: file, tensor: name,
          "\(other) and \(tensor.name) would both get this name")
      }
      if name != tensor.name { renamed.append(Renaming(from: tensor.name, to: name)) }
      paths.add(tensor.name, name)
      tensor.name = name
      contents.tensors.append(tensor)
    }
    guard !contents.tensors.isEmpty || source.tensors.isEmpty else {
      throw CheckpointError(
        .parameterMissing, file: file, "none of the \(source.tensors.count) tensors is chosen")
    }
    // What speaks of modules stays as it is while their paths do.
    keepsPaths = rules.isIdentity && renamed.isEmpty
    guard !keepsPaths else { return }
    contents.moduleRecords = paths.records(source.moduleRecords)
    contents.metadata = paths.metadata(source.metadata)
    contents.modelDescription = try source.modelDescription.flatMap {
      json throws(CheckpointError) in try paths.description(json)
    }
    setGoldens(source.goldens)
  }

  /// Puts a golden file's tensors beside the model.
  /// - Throws: what is wrong with the file.
  mutating func seal(goldensOf path: String) throws(CheckpointError) {
    let reader = try CheckpointReader(contentsOf: path, formats: Strata.formats)
    goldenFile = path
    setGoldens(reader.tensors)
    contents.metadata[Verification.Tolerance.metadataKey] =
      try Verification.Tolerance(sealedIn: reader.contents.metadata).sealed
  }

  /// Takes goldens over, with the paths that their modules have now.
  private mutating func setGoldens(_ goldens: [StoredTensor]) {
    contents.goldens = goldens.compactMap { golden in
      guard !keepsPaths else { return golden }
      var golden = golden
      guard let name = paths.golden(golden.name) else {
        contents.ignored.append("golden \(golden.name), whose module is left out")
        return nil
      }
      golden.name = name
      return golden
    }
  }

  /// The bytes of the state dict.
  var byteCount: Int {
    contents.tensors.reduce(0) { $0 + ($1.dtype.map($1.shape.byteCount) ?? 0) }
  }

  /// Recognises the modules and writes them down.
  ///
  /// A description that is there already stays as it is when nothing was changed.
  /// - Throws: `MappingFault`, `ambiguousModel`, `metadataInvalid`, `modelInvalid`.
  mutating func describe(_ options: ModelOptions, isUnchanged: Bool, file: String) throws {
    let mapping = try ParameterMapping(of: contents, options: options, file: file)
    self.mapping = mapping
    do {
      try mapping.requireComplete()
    } catch {
      throw MappingFault(first: error, mapping: mapping)
    }
    if !keepsPaths { dropResultsOfHeads(mapping) }
    if let goldenFile { try checkGoldens(of: goldenFile, options) }
    if isUnchanged, renamed.isEmpty, contents.modelDescription != nil { return }
    contents.modelDescription =
      mapping.description.modules.isEmpty ? nil : try mapping.description.json
  }

  /// Leaves out results of heads that were left out.
  private mutating func dropResultsOfHeads(_ mapping: ParameterMapping) {
    let fed = mapping.description.modules.flatMap { module -> [String] in
      if case .head = module.kind { return module.inputs }
      return []
    }
    for golden in contents.goldens {
      let parts = golden.name.split(separator: ".")
      guard parts.last == "y" || parts.last == "y_f64" else { continue }
      let module = parts.dropLast().joined(separator: ".")
      guard module.isEmpty ? fed.isEmpty : !fed.contains(module) else { continue }
      contents.goldens.removeAll { $0.name == golden.name }
      contents.ignored.append("golden \(golden.name), whose head is left out")
    }
  }

  /// - Throws: `goldenMismatch` when the goldens are not of this model.
  private func checkGoldens(
    of file: String, _ options: ModelOptions
  ) throws(CheckpointError) {
    do {
      try Verification.check(StateDict(reading: contents.goldens), fit: contents, options: options)
    } catch {
      throw error.located(file: file)
    }
  }

  /// Converts the floating-point tensors of the state dict.
  mutating func convert(to dtype: DType) throws(CheckpointError) {
    contents.tensors = try contents.tensors.map { tensor throws(CheckpointError) in
      guard try tensor.readableDType().isFloatingPoint else { return tensor }
      return try tensor.converted(to: dtype)
    }
  }

  /// - Throws: `nonFinite`, naming the tensor and how many values.
  func rejectNonFinite(file: String) throws(CheckpointError) {
    for tensor in contents.tensors where tensor.dtype?.isFloatingPoint == true {
      let statistics = try TensorStatistics(tensor)
      guard statistics.nan + statistics.infinite == 0 else {
        throw CheckpointError(
          .nonFinite, file: file, tensor: tensor.name,
          "\(statistics.nan) NaN and \(statistics.infinite) infinite values")
      }
    }
  }
}

/// What was taken for granted.
struct Assumed: Encodable {
  var option: String
  var value: String

  init(_ assumption: ParameterMapping.Assumption) {
    option = assumption.option
    value = assumption.value
  }
}

/// What `convert` reports.
struct ConversionReport: Encodable {
  var input: String
  var output: String
  var from: String
  var to: String
  var taken: [String]
  var renamed: [ConversionPlan.Renaming]
  var folded: [String] = []
  var assumed: [Assumed]
  var missing: [String]
  var unexpected: [String]
  var mismatched: [MismatchReport]
  var leftOver: [String]
  var ignored: [String]
  var dropped: [String]

  enum CodingKeys: String, CodingKey {
    case input, output, from, to, taken, renamed, folded, assumed, missing, unexpected, mismatched
    case leftOver = "left_over"
    case ignored, dropped
  }

  init(
    input: String, output: String, from: String, to: String, _ plan: ConversionPlan,
    dropped: [String]
  ) {
    self.input = input
    self.output = output
    self.from = from
    self.to = to
    self.dropped = dropped
    let mapping = plan.mapping
    taken = mapping?.taken ?? []
    renamed = plan.renamed
    assumed = mapping?.assumptions.map(Assumed.init) ?? []
    missing = mapping?.missing ?? []
    unexpected = mapping?.unexpected ?? []
    mismatched = mapping?.mismatched.map(MismatchReport.init) ?? []
    leftOver = mapping?.leftOver ?? []
    ignored = plan.contents.ignored
  }

  /// The report for people.
  func words(_ plan: ConversionPlan) -> String {
    var lines = [
      "\(input) (\(from)) → \(output) (\(to)): ".escaped
        + "\(plan.contents.tensors.count) tensors, \(plan.byteCount.byteText)"
    ]
    let modules = plan.mapping?.description.modules ?? []
    lines += modules.map { "  \($0.line)" }
    if modules.isEmpty { lines.append("  no recurrent module was recognised") }
    lines += renamed.map { "  renamed: \($0.from) → \($0.to)".escaped }
    lines += assumed.map {
      "  assumed: \($0.option)=\($0.value) (nothing says it; decide with --set)"
    }
    if !leftOver.isEmpty {
      lines.append("  left over, carried along: \(leftOver.joined(separator: ", "))".escaped)
    }
    if !plan.contents.goldens.isEmpty {
      lines.append(
        "  goldens: \(plan.contents.goldens.map(\.name).joined(separator: ", "))".escaped)
    }
    lines += ignored.map { "  ignored: \($0)".escaped }
    lines += dropped.map { "  dropped: \($0)".escaped }
    return lines.joined(separator: "\n")
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
