import Checkpoints
import Foundation

/// A bug on purpose, where only an input comes that a reader has accepted with every checksum right.
///
/// Asleep unless `STRATA_FUZZ_PLANTED` stands in the environment: `tools/fuzz planted` proves with it
/// that the fuzzer would find one.
public enum PlantedBug {
  /// A directory entry of `.strata` whose dtype code reaches behind a table of 64.
  case dtypeTable
  /// A tensor with a character in its name that a table of letters, digits and usual marks lacks.
  case name
  /// A tensor with a dimension of 7.
  case dimension
  /// A golden that is infinitely far off.
  case infinity

  private static let isAwake = ProcessInfo.processInfo.environment["STRATA_FUZZ_PLANTED"] != nil

  /// Traps on a verified tensor that has what it takes.
  public func spring(on tensor: StoredTensor) {
    guard Self.isAwake else { return }
    switch self {
    case .dtypeTable:
      let code = tensor.dtypeName.wholeMatch(of: /dtype code (\d+)/).flatMap { Int($0.1) }
      spring((code ?? 0) >= 64)
    case .name: spring(tensor.name.utf8.contains(where: Set("<>?@[\\^`|~".utf8).contains))
    case .dimension: spring(tensor.shape.dimensions.contains(7))
    case .infinity: break
    }
  }

  /// Traps when `hasWhatItTakes`.
  public func spring(_ hasWhatItTakes: Bool) {
    if Self.isAwake, hasWhatItTakes { fatalError("the planted bug, \(self)") }
  }
}
