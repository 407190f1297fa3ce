import ArgumentParser
import Checkpoints
import RecurrentNetworks

/// The arithmetic of a run.
enum Precision: String, ExpressibleByArgument, CaseIterable {
  /// The kernels.
  case float32
  /// The reference in float64.
  case reference

  /// What this arithmetic takes for granted about a model: float32 narrows float64 weights.
  func assumptions(_ blueprint: ModelBlueprint) -> [Assumed] {
    blueprint.assumptions.filter { self == .float32 || $0.option != "dtype" }.map(Assumed.init)
  }

  /// Runs a model on named tensors.
  func evaluate(
    _ blueprint: ModelBlueprint, _ inputs: StateDict, threads: Int = 1, chunk: Int? = nil
  ) throws(CheckpointError) -> StateDict {
    // Running them all to their padded end would give other numbers without a word.
    if let lengths = inputs.first(where: { $0.name.split(separator: ".").last == "lengths" }) {
      throw CheckpointError(
        .goldenMismatch, tensor: lengths.name,
        "this version runs sequences of one length only; leave the tensor out where all have the "
          + "input's length")
    }
    switch self {
    case .float32:
      return try SequenceModel(blueprint).evaluate(inputs, threads: threads, chunk: chunk)
    case .reference:
      return try ReferenceModel(blueprint).evaluate(inputs)
    }
  }
}

extension [Assumed] {
  /// Lines for people, each behind a line break.
  var words: String {
    map {
      let reason =
        $0.option == "dtype"
        ? "the float32 runtime narrows float64 weights" : "nothing says it; convert with --set"
      return "\n" + "assumed: \($0.option)=\($0.value) (\(reason))".escaped
    }.joined()
  }
}

extension ModelBlueprint {
  /// The model of a file in any format of the tool.
  init(file path: String) throws(CheckpointError) {
    let reader = try CheckpointReader(contentsOf: path, formats: Strata.formats)
    try self.init(reader.contents, file: path)
  }
}
