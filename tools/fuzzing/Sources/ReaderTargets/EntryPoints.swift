import FuzzSupport
import Foundation

// What libFuzzer calls. Which target it is stands in the environment, so that one program serves all.

extension ReaderTarget {
  /// The target that `STRATA_FUZZ_TARGET` names.
  fileprivate static let chosen: ReaderTarget = {
    let name = ProcessInfo.processInfo.environment["STRATA_FUZZ_TARGET"] ?? ""
    guard let target = ReaderTarget(rawValue: name) else {
      let names = allCases.map(\.rawValue).joined(separator: " ")
      fatalError("STRATA_FUZZ_TARGET is '\(name)', expected one of: \(names)")
    }
    return target
  }()
}

/// Runs the target on one input.
///
/// It returns; anything else is a finding.
@c(LLVMFuzzerTestOneInput)
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  ReaderTarget.chosen.run([UInt8](UnsafeBufferPointer(start: data, count: size)))
  return 0
}

/// Changes an input, `size` bytes of at most `largest`; gives the new size.
@c(LLVMFuzzerCustomMutator)
public func mutate(
  _ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ largest: Int, _ seed: CUnsignedInt
) -> Int {
  mutate(data, size, largest, seed) { input, dice in
    ReaderTarget.chosen.mutated(input, largest: largest, using: &dice)
  }
}
