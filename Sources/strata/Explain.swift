import ArgumentParser
import Checkpoints
import RecurrentNetworks

struct Explain: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Tell what network a file holds, what tells it, and what looks suspicious.",
    discussion: """
      From the tensors alone: the modules with the names and shapes that tell what they are; what the file \
      cannot tell, with the option of convert's --set that says it and what is assumed; where the file \
      probably comes from; and what looks suspicious: NaN and infinities, dead units, rows of one \
      value or equal to another, biases that are zero in one of a pair, saturated gates, a forget bias far \
      from 1, a spectral radius of W_hh far above 1 or near 0, values that F16 cannot hold, \
      tensors stored twice, matrices that are transposed. Recurrent weights under the names of Keras, \
      TensorFlow, ONNX, MLX, Flax, Core ML or cuDNN are told by names and shapes.

      An error among the findings is a fault of the weights, a warning may well be one, a note can be \
      meant so. Exit status 0 whatever is found, 2 when the file cannot be read.

      Every tensor is read, a piece at a time. The spectral radius is computed for up to \
      \(SpectralRadius.largestSize) units, beyond \(SpectralRadius.squaredSize) as an estimate.

      A file in which several state dicts may be meant is looked at whole, unless --key chooses one. \
      Option of --set: npz_void2=bf16|refuse, what elements of two bytes without a type are in npz and \
      npy files.
      """)

  @Argument(help: "The file.")
  var file: String

  @OptionGroup var reading: InputOptions

  @OptionGroup var options: OutputOptions

  func run() throws {
    var choice = try reading.reading()
    choice.stateDict = .everything
    let reader = try CheckpointReader(file: file, choice)
    let report: Explanation
    do {
      report = try Explanation(reader, reading.stateDict, file: file, options)
    } catch {
      throw error.located(file: file)
    }
    try Output(options).report(report) { report.words }
  }
}

/// What `explain` reports.
struct Explanation: Encodable {
  /// A parameter that is not as its module needs it.
  struct Fault: Encodable {
    var code: String
    var tensor: String?
    var words: String
  }

  var file: String
  var format: String
  /// Where the state dict stands that is explained; empty for the whole file.
  var key: String
  var modules: [ExplainedModule] = []
  /// Recurrent modules under another framework's names.
  var probable: [ForeignModule]
  var unknown: [OpenQuestion] = []
  var origin: Origin
  var findings: [Finding] = []
  var spectralRadius: [RecurrentSpectra.Entry] = []
  /// What was not computed, and why.
  var notComputed: [String] = []
  /// Tensors outside of every module.
  var leftOver: [String] = []
  /// What keeps the file from being a model.
  var faults: [Fault] = []

  enum CodingKeys: String, CodingKey {
    case file, format, key, modules, probable, unknown, origin, findings
    case spectralRadius = "spectral_radius"
    case notComputed = "not_computed"
    case leftOver = "left_over"
    case faults
  }

  init(
    _ reader: CheckpointReader, _ choice: ReadOptions.StateDictChoice, file: String,
    _ options: OutputOptions
  ) throws(CheckpointError) {
    self.file = file
    format = reader.format
    let all = reader.contents
    let isUnclear = choice == .only && (try? all.path(of: .only)) == nil
    key = isUnclear ? "" : try all.path(of: choice)
    let contents = try all.choosing(key.isEmpty ? .everything : .at(key))
    if isUnclear {
      unknown.append(.key(all.stateDicts.map(\.path), of: contents))
    }
    let recognition = Recognition(contents)
    probable = ForeignModule.all(in: contents.tensors)
    origin = Origin(contents, format: format, probable, recognition.mapping?.folded ?? [])
    unknown += recognition.ambiguities
    if let error = recognition.fault {
      faults.append(Fault(code: error.code.rawValue, tensor: error.tensor, words: error.reason))
    }
    if let mapping = recognition.mapping {
      modules = ExplainedModule.all(of: mapping)
      leftOver = mapping.leftOver
      unknown += OpenQuestion.all(of: mapping, isPyTorch: origin.name.hasPrefix("PyTorch"))
    }
    var examination = Examination(contents, recognition)
    let bytes = examination.contents.tensors.reduce(0) { $0 + $1.storedByteCount }
    let progress = Progress(bytes: bytes, options)
    defer { progress?.end() }
    if let progress { examination.contents = progress.watching(examination.contents) }
    try examination.run()
    findings = recognition.findings + examination.findings
    spectralRadius = examination.spectra
    notComputed = examination.notComputed
  }

  var words: String {
    var lines = ["\(file) (\(format)): \(origin.name): \(origin.reason)"]
    if !key.isEmpty { lines.append("state dict: \(key)") }
    lines += origin.traces.map { "  \($0)" }
    func section(_ title: String, _ entries: [String]) {
      guard !entries.isEmpty else { return }
      lines += ["", title] + entries.map { "  \($0)" }
    }
    lines += modules.isEmpty ? ["", "no recurrent module has PyTorch's names"] : [""]
    lines += modules.flatMap(\.words)
    for module in probable {
      let name = module.name.isEmpty ? "" : "\(module.name): "
      section(
        "\(name)probably \(module.description), \(module.framework.rawValue)",
        module.evidence + module.tensors.map { "\($0.name) \($0.shape): \($0.role)" }
          + (module.settings.isEmpty
            ? [] : ["under PyTorch's names: --set \(module.settings.joined(separator: " --set "))"])
      )
    }
    section("Not in the file:", unknown.map(\.line))
    section("Spectral radius of W_hh:", spectraLines)
    section("Suspicious:", findings.map(\.line))
    section("Not computed:", notComputed)
    section("Faults:", faults.map { ($0.tensor.map { "\($0): " } ?? "") + $0.words })
    section("Outside of every module:", leftOver.isEmpty ? [] : [leftOver.joined(separator: ", ")])
    return lines.map(\.escaped).joined(separator: "\n")
  }

  /// One line for each tensor.
  private var spectraLines: [String] {
    var tensors: [String] = []
    for entry in spectralRadius where tensors.last != entry.tensor { tensors.append(entry.tensor) }
    return tensors.map { tensor in
      let entries = spectralRadius.filter { $0.tensor == tensor }
      let figures = entries.map { entry in
        (entry.gate.map { "\($0) " } ?? "") + (entry.estimated ? "about " : "")
          + entry.value.shortText
      }
      return "\(tensor): \(figures.joined(separator: ", "))"
    }
  }
}
