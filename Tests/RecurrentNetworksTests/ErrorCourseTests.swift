import Testing

@testable import RecurrentNetworks

/// What the errors of successive steps are taken for.
@Suite struct ErrorCourseTests {
  private func pattern(_ errors: [Double], from first: Int) -> Divergence.Pattern {
    var course = ErrorCourse(count: errors.count)
    for (index, error) in errors.enumerated() { course.add(error, at: index) }
    return course.pattern(from: first)
  }

  @Test("An error that grows from step to step is rounding")
  func rounding() {
    #expect(pattern([1e-7, 3e-7, 9e-7, 2e-6, 6e-6], from: 3) == .rounding)
    // Not when it comes at once, nor when it becomes large.
    #expect(pattern([1e-7, 1e-7, 1e-7, 2e-6, 6e-6], from: 3) == .fault)
    #expect(pattern([0, 0, 0, 2e-6, 6e-6], from: 3) == .fault)
    #expect(pattern([1e-7, 3e-7, 9e-7, 2e-6, 2e-3], from: 3) == .fault)
  }

  @Test("An error that is there at once and fades is one of the state")
  func state() {
    #expect(pattern([0.2, 0.1, 0.05, 0.02, 0.005], from: 0) == .state)
    #expect(pattern([0.2, 0.1, 0.05, 0.02, 0.02], from: 0) == .convention)
  }

  @Test("One that is there at once and stays is the weights'; later ones have another cause")
  func conventionAndFault() {
    #expect(pattern([0.2, 0.3, 0.2, 0.3], from: 0) == .convention)
    // W_hh has nothing to do in the first step from zeros.
    #expect(pattern([1e-8, 0.3, 0.2, 0.3], from: 1) == .convention)
    #expect(pattern([1e-8, 1e-8, 0.3, 0.3], from: 2) == .fault)
    #expect(pattern([1e-8, 1e-8, .nan, 0], from: 2) == .fault)
  }
}
