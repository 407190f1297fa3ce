import Checkpoints
import RecurrentNetworks

/// What `convert` is going to write, and what it has to tell about it.
struct ConversionPlan {
  private(set) var contents: CheckpointContents
  /// Where the state dict stood in a nested file; empty for the whole file.
  let key: String
  /// How many tensors stood there.
  let keyCount: Int
  private(set) var renamed: [Renaming] = []
  /// Expressions of the command line that no name matched.
  let unmatched: [String]
  private(set) var mapping: ParameterMapping?
  private var paths = ModulePaths()
  private var keepsPaths = true
  /// The file whose goldens are sealed in.
  private(set) var golden: CheckpointReader?
  /// What the golden's file says of the model, where the model's own does not.
  private(set) var told: [Told] = []
  /// Tensors with finite values that another dtype made infinite.
  private(set) var overflowed: [Overflow] = []
  /// What is to be known of the output, in words.
  private(set) var notes: [String] = []

  /// A fact about the model that another file than the model's says.
  struct Told: Encodable {
    var option: String
    var value: String
    var source: String
  }

  /// How many finite values of a tensor became infinite.
  struct Overflow: Encodable {
    var name: String
    var values: Int
  }

  struct Renaming: Encodable {
    var from: String
    var to: String
  }

  /// Chooses and renames tensors, and the paths that speak of them.
  /// - Throws: `duplicateName` when two tensors get one name, `parameterMissing` when none is left;
  ///   `ValidationError` as the rules do.
  init(_ source: CheckpointContents, key: String, _ rules: NameRules, file: String) throws {
    self.key = key
    var rules = rules
    let chosen: CheckpointContents
    do {
      chosen = try source.choosing(key.isEmpty ? .everything : .at(key))
    } catch {
      throw error.located(file: file)
    }
    keyCount = chosen.tensors.count
    contents = chosen
    contents.stateDicts = []
    contents.tensors = []
    var origins: [String: String] = [:]
    for var tensor in chosen.tensors {
      let origin = key.isEmpty ? tensor.name : "\(key).\(tensor.name)"
      guard let name = try rules.name(for: tensor.name) else { continue }
      if let other = origins.updateValue(origin, forKey: name) {
        throw CheckpointError(
          .duplicateName, file: file, tensor: name,
          "\(other) and \(origin) would both get this name")
      }
      if name != origin { renamed.append(Renaming(from: origin, to: name)) }
      paths.add(origin, name)
      tensor.name = name
      contents.tensors.append(tensor)
    }
    unmatched = rules.unmatched
    guard !contents.tensors.isEmpty || chosen.tensors.isEmpty else {
      throw CheckpointError(
        .parameterMissing, file: file, "none of the \(chosen.tensors.count) tensors is chosen")
    }
    // What speaks of modules stays as it is while their paths do.
    keepsPaths = rules.isIdentity && renamed.isEmpty
    guard !keepsPaths else { return }
    contents.metadata = paths.metadata(source.metadata)
    contents.moduleRecords = paths.records(source.moduleRecords)
    contents.ignored += paths.lost
    do {
      contents.modelDescription = try source.modelDescription.flatMap {
        json throws(CheckpointError) in try paths.description(json)
      }
    } catch {
      throw error.located(file: file)
    }
    setGoldens(source.goldens)
  }

  /// Puts a golden file's tensors beside the model, and takes from it what the model's own file and the
  /// user do not say: what the head is, what it is applied to and its activation, embedding and chain.
  /// - Throws: what is wrong with the file.
  mutating func seal(
    goldensOf path: String, _ options: ReadOptions, _ model: ModelOptions
  ) throws(CheckpointError) {
    let reader = try CheckpointReader(file: path, options)
    golden = reader
    setGoldens(reader.tensors)
    try takeFacts(reader.contents.metadata, of: path, model)
    contents.metadata[Verification.Tolerance.metadataKey] =
      try Verification.Tolerance(sealedIn: reader.contents.metadata).sealed
  }

  private mutating func takeFacts(
    _ metadata: [String: String], of file: String, _ options: ModelOptions
  ) throws(CheckpointError) {
    // A description tells everything.
    guard contents.modelDescription == nil else { return }
    var paths = paths
    let facts = keepsPaths ? metadata : paths.metadata(metadata)
    for (key, value) in facts.sorted(by: { $0.key < $1.key }) where !value.isEmpty {
      let option = String(key[(key.lastIndex(of: ".").map(key.index(after:)) ?? key.startIndex)...])
      guard GoldenFacts.options.contains(option), !options.says(option),
        option != "chain" || options.cells == nil,
        contents.metadata[key] ?? contents.metadata[option] == nil,
        GoldenFacts.fits(option, value, contents.tensors)
      else { continue }
      if let fault = GoldenFacts.fault(option, value) {
        throw CheckpointError(.metadataInvalid, file: file, "\(key) is \"\(value)\", \(fault)")
      }
      told.append(Told(option: key, value: value, source: file))
    }
    for fact in told { contents.metadata[fact.option] = fact.value }
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

  /// Recognises the modules, folds their parameters and writes them down.
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
    contents = mapping.contents
    if !keepsPaths { dropResultsOfHeads(mapping) }
    if let golden { try checkGoldens(of: golden, options) }
    if isUnchanged, renamed.isEmpty, mapping.folded.isEmpty, contents.modelDescription != nil {
      return
    }
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
    of reader: CheckpointReader, _ options: ModelOptions
  ) throws(CheckpointError) {
    do {
      try Verification.check(
        StateDict(reading: contents.goldens), fit: contents, options: options.rearranged)
    } catch {
      throw error.located(file: reader.path)
    }
  }

  /// Writes down where the contents come from; a .strata file that nothing is asked of stays itself.
  /// - Throws: `metadataInvalid`.
  mutating func trace(
    _ input: CheckpointReader, changes: [String], packing: [String], to target: any CheckpointFormat
  ) throws(CheckpointError) {
    let options = changes + packing
    let isKept =
      options.isEmpty && renamed.isEmpty && mapping?.folded.isEmpty ?? true
      && contents.modelDescription == input.contents.modelDescription
    if isKept, input.format == target.name, target is StrataFormat { return }
    var earlier: [Provenance.Step] = []
    do throws(CheckpointError) {
      earlier = try Provenance(contents.metadata).steps
    } catch {
      contents.ignored.append(
        "\(Provenance.metadataKey), which is no provenance: \(error.reason)")
    }
    let provenance = PendingProvenance(
      after: earlier, of: [input] + (golden.map { [$0] } ?? []), options: options,
      assumed: mapping?.assumptions.map(Assumed.init) ?? [])
    contents.metadata[Provenance.metadataKey] = try provenance.placeholder()
    contents.pendingMetadata[Provenance.metadataKey] = provenance
  }

  /// Converts the floating-point tensors of the state dict.
  mutating func convert(to dtype: DType) throws(CheckpointError) {
    var isNarrowed = false
    contents.tensors = try contents.tensors.map { tensor throws(CheckpointError) in
      let own = try tensor.readableDType()
      guard own.isFloatingPoint, own != dtype else { return tensor }
      isNarrowed = isNarrowed || !dtype.holds(own)
      if !dtype.holds(own) {
        let count = try TensorStatistics.overflowing(tensor, in: dtype)
        if count > 0 { overflowed.append(Overflow(name: tensor.name, values: count)) }
      }
      return try tensor.converted(to: dtype)
    }
    if isNarrowed, !contents.goldens.isEmpty {
      notes.append(
        "the goldens were recorded before the weights were narrowed to \(dtype.rawValue): verify may "
          + "fail")
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
