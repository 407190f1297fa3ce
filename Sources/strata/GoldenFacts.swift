import Checkpoints
import RecurrentNetworks

/// What the file of a golden says of the model that it was recorded from, as `export_pytorch.py` writes it.
enum GoldenFacts {
  /// The options that it may say, perhaps behind a module's path.
  static let options = ["chain", "embedding", "head", "head_activation", "head_input"]

  /// Whether the modules that a value names have tensors here.
  static func fits(_ option: String, _ value: String, _ tensors: [StoredTensor]) -> Bool {
    let paths: [String]
    switch option {
    case "head", "embedding": paths = value == "none" ? [] : [value]
    case "chain":
      guard let chain = try? CanonicalJSON.decode([String].self, from: value, option) else {
        return false
      }
      paths = chain
    default: paths = []
    }
    return paths.allSatisfy { path in tensors.contains { $0.name.hasPrefix(path + ".") } }
  }

  /// What is wrong with a value, in words.
  static func fault(_ option: String, _ value: String) -> String? {
    guard option.hasPrefix("head_") else { return nil }
    var options = ModelOptions()
    return options.set(option, to: value.lowercased())
  }
}

extension DType {
  /// Whether every value of another floating-point dtype is one of this as well.
  func holds(_ other: DType) -> Bool {
    switch (self, other) {
    case (.float64, _): true
    case (.float32, _): other != .float64
    default: self == other
    }
  }
}
