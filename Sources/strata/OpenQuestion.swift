import Checkpoints
import RecurrentNetworks

/// What a file does not tell, and the option of `--set` that says it.
struct OpenQuestion: Encodable {
  /// The option; `key` is that of the command line.
  var option: String
  /// What it can say.
  var values: [String]
  /// What is assumed as long as nobody says it.
  var assumed: String?
  var words: String

  var line: String {
    let choice = values.isEmpty ? "" : " (\(values.joined(separator: ", ")))"
    return "\(option)\(choice): \(words)" + (assumed.map { "; assumed: \($0)" } ?? "")
  }

  /// The questions that the tensors of a model leave open.
  static func all(
    of mapping: ParameterMapping, isPyTorch: Bool
  ) -> [OpenQuestion] {
    var questions = mapping.assumptions.compactMap(OpenQuestion.init)
    let stacks = mapping.description.modules.compactMap(\.recurrent)
    let metadata = mapping.contents.metadata
    // A description says what deviates, so what it does not say is not open.
    func isOpen(_ option: String) -> Bool {
      mapping.contents.modelDescription == nil
        && !metadata.keys.contains {
          $0 == option || $0.hasSuffix(".\(option)") || $0.hasSuffix("@\(option)")
        }
    }
    let origin =
      isPyTorch
      ? "PyTorch's own; weights that were renamed may want the other" : "tensors do not tell"
    if stacks.contains(where: { $0.kind == .gru }), isOpen("gru_reset") {
      questions.append(
        OpenQuestion(
          option: "gru_reset", values: words(RecurrentConfiguration.GRUReset.self),
          assumed: "after",
          words: "whether the reset gate acts after or before the product W_hn h: \(origin)"))
    }
    if stacks.contains(where: { $0.kind != .rnn }), isOpen("sigmoid") {
      questions.append(
        OpenQuestion(
          option: "sigmoid", values: words(RecurrentConfiguration.Sigmoid.self),
          assumed: "logistic",
          words: "the sigmoid of the gates: \(origin)"))
    }
    if !stacks.isEmpty, isOpen("state") {
      questions.append(
        OpenQuestion(
          option: "state", values: words(RecurrentConfiguration.GivenState.self), assumed: "given",
          words: "what a golden's h_0 and c_0 are"))
    }
    return questions
  }

  private static func words<Value: RawRepresentable & CaseIterable>(
    _ type: Value.Type
  ) -> [String] where Value.RawValue == String { type.allCases.map(\.rawValue) }

  private init(option: String, values: [String], assumed: String? = nil, words: String) {
    (self.option, self.values, self.assumed, self.words) = (option, values, assumed, words)
  }

  /// Something that was assumed; nil for what concerns a conversion only.
  private init?(_ assumption: ParameterMapping.Assumption) {
    option = assumption.option
    assumed = assumption.value
    switch option {
    case "nonlinearity":
      values = Self.words(RecurrentConfiguration.Nonlinearity.self)
      words = "tensors do not tell the activation of an RNN"
    case "batch_first":
      values = ["true", "false"]
      words = "whether inputs and outputs are [batch, steps, features]"
    case "head_activation":
      values = Self.words(HeadConfiguration.Activation.self)
      words = "what follows the output layer"
    case "head_input":
      values = Self.words(HeadConfiguration.Input.self)
      words = "whether the output layer takes every step, the last one, or the final state"
    case "head", "embedding":
      values = [assumption.value, "none"]
      words = "its shape alone tells that \(assumption.value) is the \(option)"
    case "chain":
      values = [assumption.value, "none"]
      words = "their sizes alone tell that these modules follow each other"
    default: return nil
    }
  }

  /// What can be meant where a model can be read in several ways.
  /// - Parameter error: What the mapping says about it.
  static func ambiguities(
    _ contents: CheckpointContents, _ error: CheckpointError
  ) -> [OpenQuestion] {
    // An answer that a trial shows to lead out; how many are tried is bounded.
    let layers = contents.tensors.lazy
      .filter { $0.shape.rank == 2 && $0.name.hasSuffix(".weight") }
      .map { String($0.name.dropLast(".weight".count)) }.prefix(16)
    var questions: [OpenQuestion] = []
    let choices = [
      ("head", Array(layers) + ["none"]), ("embedding", Array(layers) + ["none"]),
      ("cells", ["stack", "separate"]),
    ]
    for (option, values) in choices {
      let ways = values.filter { value in
        var options = ModelOptions()
        return options.set(option, to: value) == nil
          && (try? ParameterMapping(of: contents, options: options)) != nil
      }
      guard !ways.isEmpty else { continue }
      questions.append(OpenQuestion(option: option, values: ways, words: error.reason))
    }
    if questions.isEmpty {
      questions = [OpenQuestion(option: "include", values: [], words: error.reason)]
    }
    return questions
  }

  /// Which of several state dicts is meant.
  static func key(_ places: [String], of contents: CheckpointContents) -> OpenQuestion {
    OpenQuestion(
      option: "key", values: places,
      words: "several state dicts, of which --key chooses one; all of them are looked at")
  }
}
