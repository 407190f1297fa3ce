import Checkpoints
import RecurrentNetworks

/// Everything that a report shows, as `--json` prints it.
///
/// A number on the page names its place in here as its `data-key`: `parity.tensors.0.max_abs`.
struct ReportData: Encodable {
  /// Name and version of the tool.
  var tool: String
  /// The model's file, without its directory.
  var file: String
  var format: String
  /// The size of the file.
  var bytes: Int
  /// The number of values in the state dict.
  var parameters: Int
  var network: NetworkOutline
  var weights: WeightGallery
  /// What `verify` tells; absent without a golden.
  var parity: VerificationReport?
  /// What the model does on the golden's input; absent without a golden.
  var run: GoldenRun?
  var assumed: [Assumed]
  /// The tensors outside every module.
  var leftOver: [String]
  var ignored: [String]
  /// Why the recurrent modules alone are shown, where it is open what stands before and behind them.
  var fault: String?

  enum CodingKeys: String, CodingKey {
    case tool, file, format, bytes, parameters, network, weights, parity, run, assumed
    case leftOver = "left_over"
    case ignored, fault
  }

  /// Reads the model and runs it on the golden.
  /// - Throws: what is wrong with the model, or why the golden does not fit it.
  init(
    _ reader: CheckpointReader, _ golden: ModelGolden?, file: String
  ) throws(CheckpointError) {
    let contents = reader.contents
    tool = "strata \(Strata.version)"
    self.file = file.fileName
    format = reader.format
    bytes = reader.byteCount
    parameters = contents.tensors.reduce(0) { $0 + $1.shape.elementCount }
    ignored = contents.ignored
    do throws(CheckpointError) {
      let mapping: ParameterMapping
      (mapping, fault) = try Self.mapping(of: contents)
      try mapping.requireComplete()
      network = try NetworkOutline(mapping.description.modules)
      guard !network.chains.isEmpty else {
        throw CheckpointError(
          .parameterMissing,
          "no recurrent module is here: no tensor is called weight_ih_l0 or weight_ih")
      }
      weights = try WeightGallery(mapping.description.modules, mapping.contents)
      assumed = mapping.assumptions.map(Assumed.init)
      leftOver = mapping.leftOver
    } catch {
      throw error.located(file: file)
    }
    guard let golden else { return }
    do throws(CheckpointError) {
      let verification = try Verification(
        contents, goldens: golden.tensors, tolerance: golden.tolerance, file: file)
      // What the golden does not touch is assumed all the same.
      let shown = Assumed.list(verification.assumptions, .float32)
      assumed += shown.filter { new in
        !assumed.contains { $0.option == new.option && $0.value == new.value }
      }
      let diagnosis =
        verification.isPassed
        ? nil
        : try Diagnosis(
          of: contents, goldens: golden.tensors, tolerance: golden.tolerance, file: file)
      parity = VerificationReport(verification, isGiven: false, assumed: shown, diagnosis)
      run = try GoldenRun(contents, golden, file: file)
    } catch {
      throw golden.located(error, modelFile: file)
    }
  }

  /// The modules; where it is open what stands at their ends, the recurrent ones, and why.
  private static func mapping(
    of contents: CheckpointContents
  ) throws(CheckpointError) -> (ParameterMapping, fault: String?) {
    do {
      return (try ParameterMapping(of: contents), nil)
    } catch {
      guard error.code == .ambiguousModel else { throw error }
      var options = ModelOptions()
      options.head = "none"
      options.embedding = "none"
      return (try ParameterMapping(of: contents, options: options), error.reason)
    }
  }
}
