import Checkpoints
import RecurrentNetworks

/// The golden that a model is compared with: a file's, or the one that the model carries.
struct ModelGolden {
  /// What is recorded.
  var tensors: StateDict
  /// The file in which it stands.
  var file: String
  /// All files that it was read from.
  var files: [String]
  /// Whether the model carries it.
  var isSealed: Bool
  /// How far results may be off unless the user says it.
  var tolerance: Verification.Tolerance

  /// Reads the golden of a file, or the model's own; nil where there is neither.
  /// - Throws: what is wrong with either file.
  init?(
    file: String?, of model: CheckpointReader, modelFile: String, _ options: ReadOptions
  ) throws(CheckpointError) {
    guard let file else {
      guard !model.contents.goldens.isEmpty else { return nil }
      tensors = try StateDict(reading: model.contents.goldens)
      self.file = modelFile
      files = model.files
      isSealed = true
      tolerance = try Verification.Tolerance(sealedIn: model.contents.metadata)
      return
    }
    var choice = options
    choice.stateDict = .only
    let reader = try CheckpointReader(file: file, choice)
    let golden = try Checkpoint(reader).stateDict
    self.file = file
    files = reader.files
    isSealed = false
    tolerance = .standard
    // Where the model lost its wrappers in a conversion, the golden's names lose theirs too.
    guard !model.tensors.contains(where: { NameRules.unwrapped($0.name) != $0.name }) else {
      tensors = golden
      return
    }
    tensors = StateDict()
    for (name, tensor) in golden {
      try tensors.append(tensor, named: NameRules.unwrapped(name))
    }
  }

  /// The fault with the file in which it lies: the golden's, or else the model's.
  func located(_ error: CheckpointError, modelFile: String) -> CheckpointError {
    error.located(
      file: [.goldenMismatch, .tokenOutOfRange].contains(error.code) ? file : modelFile)
  }
}
