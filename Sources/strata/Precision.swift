import ArgumentParser
import Checkpoints
import RecurrentNetworks

/// The arithmetic of a run.
enum Precision: String, ExpressibleByArgument, CaseIterable {
  /// The kernels.
  case float32
  /// The reference in float64.
  case reference

  /// Runs a model on named tensors.
  func evaluate(
    _ blueprint: ModelBlueprint, _ inputs: StateDict, threads: Int = 1, chunk: Int? = nil
  ) throws(CheckpointError) -> StateDict {
    switch self {
    case .float32:
      try SequenceModel(blueprint).evaluate(inputs, threads: threads, chunk: chunk)
    case .reference:
      try ReferenceModel(blueprint).evaluate(inputs)
    }
  }
}

extension ModelBlueprint {
  /// The model of a file in any format of the tool.
  init(file path: String) throws(CheckpointError) {
    let reader = try CheckpointReader(contentsOf: path, formats: Strata.formats)
    try self.init(reader.contents, file: path)
  }
}
