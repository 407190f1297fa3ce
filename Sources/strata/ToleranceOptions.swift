import ArgumentParser

/// `--atol` and `--rtol`.
struct ToleranceOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Allow this absolute difference.", valueName: "x"))
  var atol: Double?

  @Option(help: ArgumentHelp("Allow this difference relative to the other value.", valueName: "x"))
  var rtol: Double?

  func validate() throws {
    for (name, value) in [("--atol", atol), ("--rtol", rtol)] {
      guard let value else { continue }
      guard value >= 0, value.isFinite else {
        throw ValidationError("\(name) must be a number of at least 0")
      }
    }
  }

  /// Both, when at least one is given; the other is then 0.
  var given: (absolute: Double, relative: Double)? {
    atol == nil && rtol == nil ? nil : (atol ?? 0, rtol ?? 0)
  }
}
