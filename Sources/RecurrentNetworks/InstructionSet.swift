internal import CRecurrentKernels

/// A set of kernels, compiled for one instruction set.
///
/// All give the same bits.
public struct InstructionSet: Hashable, Sendable, CustomStringConvertible {
  private let index: Int

  /// The sets that this processor can run, the fastest first.
  public static var available: [InstructionSet] {
    var sets: [InstructionSet] = []
    while unsafe strata_kernels_at(sets.count) != nil {
      sets.append(InstructionSet(index: sets.count))
    }
    return sets
  }

  /// The fastest.
  public static var fastest: InstructionSet { InstructionSet(index: 0) }

  /// `avx512`, `avx2` or `portable`.
  public var description: String { unsafe String(cString: kernels.pointee.name) }

  /// The kernels.
  @unsafe
  var kernels: UnsafePointer<strata_kernels> {
    guard let kernels = unsafe strata_kernels_at(index) else {
      preconditionFailure("kernels that this processor cannot run")
    }
    return unsafe kernels
  }
}
