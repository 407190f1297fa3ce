import ArgumentParser
import Checkpoints
import RecurrentNetworks

struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run a model on the tensors of a file.",
    discussion: """
      The input file holds input, and perhaps h_0 and c_0, in PyTorch's shapes; without them the state \
      begins at zero. The output file gets output, h_n, c_n of an LSTM, and y of a model with a head.
      """)

  @Argument(help: "The model.")
  var model: String

  @Option(help: ArgumentHelp("The file with the inputs.", valueName: "file"))
  var input: String

  @Option(help: ArgumentHelp("The file for the results.", valueName: "file"))
  var output: String

  @Option(help: ArgumentHelp("How many threads share the sequences of a batch.", valueName: "n"))
  var threads = 1

  @Option(
    help: ArgumentHelp(
      "Run this many steps in each call; the result is the same.", valueName: "steps"))
  var chunk: Int?

  @Option(help: "The arithmetic: float32 (the kernels) or reference (float64).")
  var precision: Precision = .float32

  @Flag(help: "Replace an existing output.")
  var force = false

  @OptionGroup var options: OutputOptions

  func validate() throws {
    guard threads > 0 else { throw ValidationError("--threads must be at least 1") }
    guard chunk ?? 1 > 0 else { throw ValidationError("--chunk must be at least 1") }
    guard Strata.formats.format(forPath: output) != nil else {
      throw ValidationError("'\(output)': the extension names no format")
    }
  }

  func run() throws {
    let blueprint = try ModelBlueprint(file: model)
    try refuse(target: output, amongInputs: [model])
    let inputs = try Checkpoint(contentsOf: input, formats: Strata.formats).stateDict
    let results: StateDict
    do {
      results = try precision.evaluate(blueprint, inputs, threads: threads, chunk: chunk)
    } catch {
      throw error.located(file: error.code == .goldenMismatch ? input : model)
    }
    guard let format = Strata.formats.format(forPath: output) else { return }
    try Checkpoint(stateDict: results).contents.write(
      to: output, format: format, options: WriteOptions(replacesExisting: force), source: input)
    let report = RunReport(
      output: output,
      tensors: results.map {
        RunReport.Entry(
          name: $0.name, dtype: $0.tensor.dtype.rawValue, shape: $0.tensor.shape.dimensions)
      },
      assumed: precision.assumptions(blueprint))
    Output(options).report(report) { report.words }
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
