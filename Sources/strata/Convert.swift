import ArgumentParser
import Checkpoints
import RecurrentNetworks

struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert", abstract: "Convert a checkpoint into another format.",
    discussion: """
      Names are sorted out in this order: --key, --include, --exclude, --prefix; then the wrappers \
      are removed, module. at the front and _orig_mod. anywhere; then --rename, one after the other. \
      Then weight norms (weight_hh_l0_g and _v, or parametrizations.weight_hh_l0.original0 and 1) and \
      WeightDrop (weight_hh_l0_raw) are folded into the parameters that they are.

      Options of --set: nonlinearity=tanh|relu, gru_reset=before|after, \
      sigmoid=logistic|hard_keras2|hard_torch, batch_first=true|false, embedding=NAME|none, \
      chain=NAME,NAME|none, cells=separate|stack, head=NAME|none, \
      head_activation=none|sigmoid|tanh|relu|softmax, head_input=all|last|h_n, fold=auto|none. They \
      say what shapes cannot tell; without them the file's own notes count, then those of the file given \
      with --golden, and what nothing tells is assumed and reported; of gru_reset and sigmoid, which is as in PyTorch, not.

      What verify names when numbers differ is undone with gate_order=LETTERS (the file's order, of i f g \
      o or r z n), transpose=true|false, bias=swapped, direction=swapped, layer_order=2,0,1 (for each \
      layer its index in the file), projection=ignored and forget_bias=VALUE, which write the weights in \
      PyTorch's layout, and with state=given|swapped|zero, which says what given initial states are; \
      bias=merged is known and refused for a GRU, whose biases cannot be taken apart again.

      hdf5_layout=flat|nested is how names are written to HDF5, \
      npz_void2=bf16|refuse what elements of two bytes without a type are in npz and npy files, \
      read and written.

      Where the output has a place for text, it tells where it comes from: the names and SHA-256 of the \
      files that were read, the tool's version, the options, and what was assumed. What is only packed \
      otherwise keeps the word of its input.
      """)

  @Argument(help: "The file to read.")
  var input: String

  @Argument(help: "The file to write.")
  var output: String

  @Option(
    help: ArgumentHelp("The input's format, instead of what its content says.", valueName: "f"))
  var from: String?

  @Option(help: ArgumentHelp("The output's format, instead of what its name says.", valueName: "f"))
  var to: String?

  @OptionGroup var reading: InputOptions

  @OptionGroup var names: NameOptions

  @Option(
    help: ArgumentHelp(
      "Convert floating-point tensors to F64, F32, F16 or BF16, rounding to nearest even.",
      valueName: "t"))
  var dtype: String?

  @Option(
    help: ArgumentHelp(
      "How tensors are compressed: none or deflate, which strata, hdf5 and npz files can; when left out none, but within one format as they "
        + "were.", valueName: "none|deflate"),
    transform: { text in
      switch text {
      case "none": .none
      case "deflate": .deflate
      default: throw ValidationError("must be none or deflate")
      }
    })
  var compress: WriteOptions.Compression?

  @Option(
    help: ArgumentHelp("Seal the goldens of this file into the output.", valueName: "file"))
  var golden: String?

  @Option(
    help: ArgumentHelp(
      "Spread the output over files of at most this many bytes of tensors: 5000000000, 500MB, 2GiB.",
      valueName: "bytes"),
    transform: ByteCount.parse)
  var shardSize: Int?

  @Flag(help: "Refuse NaN and infinities.")
  var rejectNonfinite = false

  @Flag(help: "Replace an existing output.")
  var force = false

  @OptionGroup var options: OutputOptions

  func validate() throws { try OutputFile.check(output) }

  func run() throws {
    let rules = try NameRules(names)
    let settings = try SetOptions(reading.set, .converting)
    let target = try targetFormat()
    guard shardSize == nil || target.canShard else {
      throw ValidationError("--shard-size: a \(target.name) file is always one file")
    }
    guard compress != .deflate || target.canCompress else {
      throw ValidationError(
        "--compress deflate: a \(target.name) file holds tensors as they are; deflated they can be in "
          + Strata.formats.filter(\.canCompress).map(\.name).joined(separator: ", "))
    }
    let dtype = try targetDType()
    let source = try sourceFormat()

    var options = ReadOptions(npzVoid2: settings.npzVoid2, stateDict: .everything)
    let reader = try CheckpointReader(file: input, options, as: source)
    let key: String
    do {
      key = try reader.contents.path(of: reading.stateDict)
    } catch {
      throw error.located(file: input)
    }
    var plan = try ConversionPlan(reader.contents, key: key, rules, file: input)
    options.stateDict = .only
    if let golden { try plan.seal(goldensOf: golden, options, settings.model) }
    try plan.describe(
      settings.model, isUnchanged: rules.isIdentity && reading.set.isEmpty, file: input)
    if let dtype { try plan.convert(to: dtype) }
    if rejectNonfinite { try plan.rejectNonFinite(file: input) }
    if target.holdsMetadata {
      try plan.trace(reader, changes: changes, packing: packing, to: target)
    }

    let progress = Progress(bytes: plan.byteCount, self.options)
    defer { progress?.end() }
    try (progress?.watching(plan.contents) ?? plan.contents).write(
      to: output, format: target,
      options: WriteOptions(
        compression: compress ?? (reader.format == target.name ? .asStored : .none),
        hdf5Layout: settings.hdf5Layout ?? .flat, replacesExisting: force,
        npzVoid2: settings.npzVoid2, shardSize: shardSize),
      sources: reader.files + (plan.golden?.files ?? []))

    let report = ConversionReport(
      input: input, output: output, from: reader.format, to: target, plan)
    try Output(self.options).report(report) { report.words(plan) }
  }

  /// The options that say what the output holds, as on a command line; files without their directories.
  private var changes: [String] {
    Self.arguments([
      ("--key", [reading.key].compactMap(\.self)), ("--include", names.include),
      ("--exclude", names.exclude), ("--prefix", [names.prefix].compactMap(\.self)),
      ("--rename", names.rename),
      ("--set", reading.set.filter { !SetOptions.isPacking($0) }),
      ("--dtype", [dtype].compactMap(\.self)),
      ("--golden", [golden?.fileName].compactMap(\.self)),
    ])
  }

  /// The options that say how it is packed, and what is refused.
  private var packing: [String] {
    Self.arguments([
      ("--set", reading.set.filter(SetOptions.isPacking)),
      ("--compress", [compress?.rawValue].compactMap(\.self)),
      ("--shard-size", [shardSize.map(String.init)].compactMap(\.self)),
    ]) + (rejectNonfinite ? ["--reject-nonfinite"] : [])
  }

  private static func arguments(_ options: [(name: String, values: [String])]) -> [String] {
    options.flatMap { option in option.values.flatMap { [option.name, $0] } }
  }

  private func sourceFormat() throws -> (any CheckpointFormat)? {
    guard let from else { return nil }
    guard let format = Strata.formats.format(named: from) else {
      throw ValidationError("--from '\(from)': unknown format")
    }
    return format
  }

  private func targetFormat() throws -> any CheckpointFormat {
    if let to {
      guard let format = Strata.formats.format(named: to) else {
        throw ValidationError("--to '\(to)': unknown format")
      }
      return format
    }
    guard let format = Strata.formats.format(forPath: output) else {
      throw ValidationError(
        "'\(output)': the extension names no format; say it with --to "
          + Strata.formats.map(\.name).joined(separator: "|"))
    }
    return format
  }

  private func targetDType() throws -> DType? {
    guard let dtype else { return nil }
    guard let type = DType(rawValue: dtype.uppercased()), type.isFloatingPoint else {
      throw ValidationError("--dtype '\(dtype)': must be F64, F32, F16 or BF16")
    }
    return type
  }
}
