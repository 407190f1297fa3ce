import ArgumentParser
import Checkpoints
import RecurrentNetworks

/// `--precision`, `--init`: texts of the command line as values.
enum ModelArguments {
  /// float32 or reference.
  static func precision(_ text: String) throws -> Verification.Precision {
    guard let precision = Verification.Precision(rawValue: text) else {
      throw ValidationError("must be float32 or reference")
    }
    return precision
  }

  /// zero, or normal:SIGMA:SEED.
  static func initialState(_ text: String) throws -> InitialState {
    if text == "zero" { return .zero }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "normal", let deviation = Double(parts[1]),
      Float(deviation).isFinite, deviation >= 0, let seed = UInt64(parts[2])
    else { throw ValidationError("must be zero or normal:SIGMA:SEED") }
    return .normal(deviation: deviation, seed: seed)
  }
}

extension ModelBlueprint {
  /// The model of a file in any format of the tool.
  init(file path: String, _ options: ReadOptions, module: String?) throws(CheckpointError) {
    let reader = try CheckpointReader(file: path, options)
    try self.init(reader.contents, module: module, file: path)
  }
}

extension Assumed {
  /// What an arithmetic takes for granted about a model: float32 narrows float64 weights.
  static func list(
    _ assumptions: [ParameterMapping.Assumption], _ precision: Verification.Precision
  ) -> [Assumed] {
    assumptions.filter { precision == .float32 || $0.option != "dtype" }.map(Assumed.init)
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
