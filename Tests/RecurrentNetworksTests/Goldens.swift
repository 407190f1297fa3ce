import Checkpoints
import CheckpointsHDF5
import Foundation
import RecurrentNetworks
import TestSupport

/// What PyTorch computed: fixtures/pytorch.
enum Goldens {
  static let formats: [any CheckpointFormat] = .builtIn + [HDF5Format()]

  /// The names of the cases, those of the directories.
  static let cases: [String] = {
    let names = try? FileManager.default.contentsOfDirectory(atPath: Fixtures.path("pytorch"))
    return (names ?? []).filter { !$0.hasPrefix(".") }.sorted()
  }()

  /// The cases whose weights were trained, not just initialised.
  static let trained = ["char-model"]

  static func modelPath(_ name: String) -> String { Fixtures.path("pytorch/\(name)/model.h5") }

  static func modelReader(_ name: String) throws -> CheckpointReader {
    try CheckpointReader(contentsOf: modelPath(name), formats: formats)
  }

  static func blueprint(_ name: String) throws -> ModelBlueprint {
    try ModelBlueprint(modelReader(name).contents, file: modelPath(name))
  }

  /// Inputs and results.
  static func golden(_ name: String) throws -> StateDict {
    try Checkpoint(contentsOf: Fixtures.path("pytorch/\(name)/golden.h5"), formats: formats)
      .stateDict
  }

  /// How far a result may be off, |a − b| ≤ tolerance + tolerance · |b|.
  static func tolerance(_ dtype: DType) -> Double {
    switch dtype {
    case .float64: 1e-12
    default: 1e-6
    }
  }
}
