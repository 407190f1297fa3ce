import ArgumentParser
import Checkpoints
import RecurrentNetworks

struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run a model on the tensors of a file.",
    discussion: """
      The input file holds input, and perhaps h_0, c_0 and lengths, in PyTorch's shapes. The output file \
      gets output, h_n, c_n of an LSTM, and y of a model with a head; with --all-layers also output_l0, \
      c_l0, gates_l0 and so on.

      --key counts for the model alone. Option of --set: npz_void2=bf16|refuse, what elements of two bytes without a type are in npz and \
      npy files.
      """)

  @Argument(help: "The model.")
  var model: String

  @Option(help: ArgumentHelp("The file with the inputs.", valueName: "file"))
  var input: String

  @Option(help: ArgumentHelp("The file for the results.", valueName: "file"))
  var output: String

  @Option(help: ArgumentHelp("How many threads a call may use.", valueName: "n"))
  var threads = 1

  @Option(
    help: ArgumentHelp(
      "Run this many steps in each call; the result is the same.", valueName: "steps"))
  var chunk: Int?

  @Flag(help: "Write the hidden states, cell states and gates of every layer as well.")
  var allLayers = false

  @Option(
    name: .customLong("init"),
    help: ArgumentHelp(
      "The state where the input has none: zero, or random numbers of N(0, sigma²) from a seed.",
      valueName: "zero|normal:sigma:seed"),
    transform: ModelArguments.initialState)
  var initial: InitialState = .zero

  @Option(
    help: "The arithmetic: float32 (the kernels) or reference (float64).",
    transform: ModelArguments.precision)
  var precision: Verification.Precision = .float32

  @Flag(help: "Replace an existing output.")
  var force = false

  @Option(
    help: ArgumentHelp(
      "The module to load, for a file that holds more than one model.", valueName: "path"))
  var module: String?

  @OptionGroup var reading: InputOptions

  @OptionGroup var options: OutputOptions

  func validate() throws {
    guard threads > 0 else { throw ValidationError("--threads must be at least 1") }
    guard chunk ?? 1 > 0 else { throw ValidationError("--chunk must be at least 1") }
    try OutputFile.check(output)
    guard Strata.formats.format(forPath: output) != nil else {
      throw ValidationError("'\(output)': the extension names no format")
    }
  }

  func run() throws {
    var choice = try reading.reading()
    let modelReader = try CheckpointReader(file: model, choice)
    let blueprint = try ModelBlueprint(modelReader.contents, module: module, file: model)
    choice.stateDict = .only
    let inputReader = try CheckpointReader(file: input, choice)
    let inputs = try Checkpoint(inputReader).stateDict
    if chunk != nil, blueprint.isBidirectional {
      throw CheckpointError(
        .notStreamable, file: model,
        "a bidirectional model takes the whole sequence in one call: leave --chunk out")
    }
    // As goldens of several modules have it: `encoder.rnn.input`.
    let own = blueprint.stacks[0].name + "."
    let prefix = inputs["input"] == nil && inputs[own + "input"] != nil ? own : ""
    let results: StateDict
    do {
      switch precision {
      case .float32:
        results = try SequenceModel(blueprint).evaluate(
          inputs, prefix: prefix, initial: initial, threads: threads, chunk: chunk,
          allLayers: allLayers)
      case .reference:
        results = try ReferenceModel(blueprint).evaluate(
          inputs, prefix: prefix, initial: initial, allLayers: allLayers)
      }
    } catch {
      throw error.located(
        file: [.goldenMismatch, .tokenOutOfRange, .notRepresentable].contains(error.code)
          ? input : model
      )
    }
    guard let format = Strata.formats.format(forPath: output) else { return }
    try Checkpoint(stateDict: results).contents.write(
      to: output, format: format, options: WriteOptions(replacesExisting: force),
      sources: inputReader.files + modelReader.files)
    let report = RunReport(
      output: output,
      tensors: results.map {
        RunReport.Entry(
          name: $0.name, dtype: $0.tensor.dtype.rawValue, shape: $0.tensor.shape.dimensions)
      },
      assumed: Assumed.list(blueprint.assumptions, precision))
    try Output(options).report(report) { report.words }
  }
}

/// What `run` reports.
private struct RunReport: Encodable {
  struct Entry: Encodable {
    var name: String
    var dtype: String
    var shape: [Int]
  }

  var output: String
  var tensors: [Entry]
  var assumed: [Assumed]

  var words: String {
    let entries = tensors.map { "\($0.name) \($0.dtype) \($0.shape)" }
    return "\(output): \(entries.joined(separator: ", "))".escaped + assumed.words
  }
}
