/// The places in the package that tests read, found from where this file was compiled.
public enum Fixtures {
  /// The package's directory.
  public static let package: String = {
    // Three names up from <package>/Tests/TestSupport/Fixtures.swift.
    let names = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    return names.joined(separator: "/")
  }()

  /// The directory `fixtures`.
  public static let directory = package + "/fixtures"

  /// The path of a fixture, `pytorch/lstm/model.h5` for example.
  public static func path(_ name: String) -> String { "\(directory)/\(name)" }
}
