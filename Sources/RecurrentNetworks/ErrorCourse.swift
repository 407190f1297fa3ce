/// The largest error of each step in the order of computing.
struct ErrorCourse {
  private(set) var errors: [Double]

  init(count: Int) { errors = Array(repeating: 0, count: count) }

  mutating func add(_ error: Double, at index: Int) {
    errors[index] = max(errors[index], error.isNaN ? .infinity : error)
  }

  func before(_ index: Int) -> Double { errors[..<index].max() ?? 0 }
  func after(_ index: Int) -> Double { errors[index...].max() ?? 0 }

  /// What errors of a run that goes on from its own states look like, first too large at an index.
  func pattern(from first: Int) -> Divergence.Pattern {
    let largest = errors.max() ?? 0
    // Rounding grows by a factor from step to step, not from nothing to something.
    if first > 0, errors[first - 1] > 0, largest < 1e-3, errors[first] < 16 * errors[first - 1] {
      return .rounding
    }
    if first == 0, errors.count > 1, (errors.last ?? 0) <= largest / 20 { return .state }
    // From zero states a wrong W_hh shows with the second step.
    return first <= 1 ? .convention : .fault
  }
}
