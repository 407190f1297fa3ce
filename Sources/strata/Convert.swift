import ArgumentParser
import Checkpoints
import RecurrentNetworks

struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert", abstract: "Convert a checkpoint into another format.",
    discussion: """
      Names are sorted out in this order: --key, --include, --exclude, --prefix; then the wrappers \
      module. and _orig_mod. are removed; then --rename, one after the other.

      Options of --set: nonlinearity=tanh|relu, batch_first=true|false, embedding=NAME|none, \
      chain=NAME,NAME|none, cells=separate|stack, head=NAME|none, \
      head_activation=none|sigmoid|tanh|relu|softmax, head_input=all|last|h_n, \
      hdf5_layout=flat|nested. They say what shapes cannot tell; without them the file's own notes \
      count, and what nothing tells is assumed and reported.
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

  @OptionGroup var names: NameOptions

  @Option(
    help: ArgumentHelp("Say something about the model; see above.", valueName: "option=value"))
  var set: [String] = []

  @Option(
    help: ArgumentHelp(
      "Convert floating-point tensors to F64, F32, F16 or BF16, rounding to nearest even.",
      valueName: "t"))
  var dtype: String?

  @Option(
    help: ArgumentHelp(
      "How tensors are compressed: none or deflate; when left out none, but within one format as they "
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

  @Flag(help: "Refuse NaN and infinities.")
  var rejectNonfinite = false

  @Flag(help: "Replace an existing output.")
  var force = false

  @OptionGroup var options: OutputOptions

  func run() throws {
    let rules = try NameRules(names)
    let settings = try SetOptions(set)
    let target = try targetFormat()
    let dtype = try targetDType()
    var readable = Strata.formats
    if let from {
      guard let format = Strata.formats.format(named: from) else {
        throw ValidationError("--from '\(from)': unknown format")
      }
      readable = [ForcedFormat(base: format)]
    }

    let reader = try CheckpointReader(contentsOf: input, formats: readable)
    var plan = try ConversionPlan(reader.contents, rules, file: input)
    if let golden {
      try plan.seal(goldensOf: golden)
    }
    try plan.describe(settings.model, isUnchanged: rules.isIdentity && set.isEmpty, file: input)
    if let dtype { try plan.convert(to: dtype) }
    if rejectNonfinite { try plan.rejectNonFinite(file: input) }

    let progress = Progress(bytes: plan.byteCount, options)
    defer { progress?.end() }
    try (progress?.watching(plan.contents) ?? plan.contents).write(
      to: output, format: target,
      options: WriteOptions(
        compression: compress ?? (reader.format == target.name ? .asStored : .none),
        hdf5Layout: settings.hdf5Layout ?? .flat, replacesExisting: force),
      sources: [input] + (golden.map { [$0] } ?? []))

    let report = ConversionReport(
      input: input, output: output, from: reader.format, to: target.name, plan,
      dropped: target.dropped(from: plan.contents))
    try Output(options).report(report) { report.words(plan) }
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

/// A format that recognises everything: the user said so.
private struct ForcedFormat: CheckpointFormat {
  let base: any CheckpointFormat

  var name: String { base.name }
  var fileExtensions: [String] { base.fileExtensions }

  func recognizes(_ source: ByteSource) -> Bool { true }

  func open(
    _ source: ByteSource, options: ReadOptions
  ) throws(CheckpointError) -> CheckpointContents {
    try base.open(source, options: options)
  }

  func dropped(from contents: CheckpointContents) -> [String] { base.dropped(from: contents) }

  func write(
    _ contents: CheckpointContents, to file: borrowing AtomicFile, options: WriteOptions
  ) throws(CheckpointError) -> [UInt32] {
    try base.write(contents, to: file, options: options)
  }
}
