import ArgumentParser
import Checkpoints

struct Report: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Write a page that shows the network, its weights, and how close it is to PyTorch.",
    discussion: """
      One HTML file that needs no network and no script: the stacked network and the same unrolled over \
      time, histograms, heat maps and singular values of the weights, and, with a golden, hidden states \
      over time, the activity of gates, the parity table and the error at every step. A golden with the \
      layers' own hidden states (export with intermediates=True) shows every layer's error.

      Exit status 0 also where the model is not verified: the page says so. 2 when the golden does not \
      fit the model. --json prints every number of the page.

      --key counts for the model alone. Option of --set: npz_void2=bf16|refuse, what elements of two \
      bytes without a type are in npz and npy files.
      """)

  @Argument(help: "The model.")
  var file: String

  @Option(
    help: ArgumentHelp("The golden; the model's own when left out.", valueName: "file"))
  var golden: String?

  @Option(name: .shortAndLong, help: ArgumentHelp("The page to write.", valueName: "file"))
  var output: String

  @Flag(help: "Replace an existing output.")
  var force = false

  @OptionGroup var reading: InputOptions

  @OptionGroup var options: OutputOptions

  func validate() throws { try OutputFile.check(output) }

  func run() throws {
    let choice = try reading.reading()
    let reader = try CheckpointReader(file: file, choice)
    let golden = try ModelGolden(file: golden, of: reader, modelFile: file, choice)
    try CheckpointContents.check(output, isNoneOf: reader.files + (golden?.files ?? []))
    let data = try ReportData(reader, golden, file: file)
    try write(ReportPage(data).html)
    try Output(options).report(WrittenReport(output: output, data: data)) {
      "\(output): \(data.verdict)".escaped
    }
  }

  /// Writes the page; it is whole or absent.
  private func write(_ html: String) throws(CheckpointError) {
    let bytes = Bytes(Array(html.utf8))
    let file = try AtomicFile(output, replacingExisting: force)
    try file.reserve(bytes.count)
    try file.write(bytes, at: 0)
    try file.commit { written throws(CheckpointError) in
      let source = try ByteSource(contentsOf: written)
      guard try source.bytes(in: 0..<source.count) == bytes else {
        throw CheckpointError(
          .checksumMismatch, file: output, "reads back differently than it was written")
      }
    }
  }
}

/// What `report` prints: the page's numbers, and where it stands.
private struct WrittenReport: Encodable {
  var output: String
  var data: ReportData

  private enum Key: String, CodingKey { case output }

  func encode(to encoder: any Encoder) throws {
    try data.encode(to: encoder)
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(output, forKey: .output)
  }
}

extension ReportData {
  /// What the comparison with PyTorch came to, in words.
  var verdict: String {
    switch parity?.verified {
    case true: "verified against PyTorch"
    case false: "NOT verified against PyTorch"
    case nil: "not compared with PyTorch: there is no golden"
    }
  }
}
