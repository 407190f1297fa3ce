import Checkpoints
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

/// An app that needs `Checkpoints` and `RecurrentNetworks` only builds, links and runs where neither
/// libhdf5 nor pkg-config can be found.
///
/// Its code is that of the README.
@Suite struct LinkageTests {
  private let manifest = """
    // swift-tools-version: 6.2
    import PackageDescription

    let package = Package(
      name: "app",
      platforms: [.macOS(.v15)],
      dependencies: [.package(name: "strata", path: "PACKAGE")],
      targets: [
        .executableTarget(
          name: "app",
          dependencies: [
            .product(name: "Checkpoints", package: "strata"),
            .product(name: "RecurrentNetworks", package: "strata"),
          ])
      ])
    """

  /// What stands behind the README's lines: what they computed, and the other library.
  private let program = """
    import Checkpoints

    let checkpoint = try Checkpoint(contentsOf: "model.strata")
    print(checkpoint.stateDict.count)
    print((output + hidden).map { String($0.bitPattern) }.joined(separator: " "))
    """

  /// The Swift code under "## Load" in the README.
  private func readme() throws -> String {
    let text = try String(contentsOfFile: Fixtures.package + "/README.md", encoding: .utf8)
    let section = try #require(
      text.components(separatedBy: "\n## ").first { $0.hasPrefix("Load\n") })
    let blocks = section.components(separatedBy: "```swift\n").dropFirst()
    #expect(blocks.count == 1)
    return try #require(blocks.first?.components(separatedBy: "\n```").first)
  }

  @Test func appWithoutHDF5() throws {
    let bench = try Workbench()
    try bench.take("example-time-major")
    try bench.succeed("convert", "model.h5", "model.strata")
    let environment = try environment(bench)
    try bench.directory.write(
      Array(manifest.replacingOccurrences(of: "PACKAGE", with: Fixtures.package).utf8),
      to: "Package.swift")
    try FileManager.default.createDirectory(
      atPath: bench.directory.path("Sources/app"), withIntermediateDirectories: true)
    try bench.directory.write(
      Array("\(try readme())\n\n\(program)\n".utf8), to: "Sources/app/main.swift")

    let swift = try #require(Self.find("swift"))
    let scratch = bench.directory.path("scratch")
    let build = try Tool.run(
      swift, ["build", "--package-path", bench.directory.path, "--scratch-path", scratch],
      in: bench.directory.path, environment: environment)
    try #require(build.status == 0, "\(build)")

    // It runs, and gives what the runtime of this process gives.
    let app = scratch + "/debug/app"
    let run = try Tool.run(app, [], in: bench.directory.path)
    #expect(run.status == 0, "\(run)")
    let model = try SequenceModel(contentsOf: bench.directory.path("model.strata"))
    let session = model.makeSession(batchSize: 1)
    let input = [Float](repeating: 0.5, count: 12)
    var (first, output) = ([Float](repeating: 0, count: 20), [Float](repeating: 0, count: 20))
    try session.run(input, into: &first)
    try session.run(input, into: &output)
    #expect(first != output)
    let hidden = session.state[0].hidden(layer: 1)
    // The last step's output is the last layer's state.
    #expect(Array(output.suffix(5)) == Array(hidden))
    let values = (output + hidden).map { String($0.bitPattern) }
    #expect(run.output == "8\n\(values.joined(separator: " "))\n")

    // What it is linked to.
    #if os(macOS)
      let libraries = try Tool.run("/usr/bin/otool", ["-L", app], in: bench.directory.path)
    #else
      let libraries = try Tool.run(
        try #require(Self.find("ldd")), [app], in: bench.directory.path)
    #endif
    #expect(libraries.status == 0, "\(libraries)")
    #expect(libraries.output.contains("libz"), "\(libraries)")
    #expect(!libraries.output.lowercased().contains("hdf5"), "\(libraries)")
    let objects = try FileManager.default.subpathsOfDirectory(atPath: scratch)
    #expect(!objects.contains { $0.contains("CheckpointsHDF5") && $0.hasSuffix(".o") })
  }

  /// An environment in which the compiler's tools are found, and pkg-config is not.
  private func environment(_ bench: Workbench) throws -> [String: String] {
    let tools = bench.directory.path("tools")
    try FileManager.default.createDirectory(atPath: tools, withIntermediateDirectories: false)
    for name in ["git", "ld", "ld.gold", "ar", "env", "sh", "xcrun", "uname"] {
      guard let path = Self.find(name) else { continue }
      try FileManager.default.createSymbolicLink(
        atPath: "\(tools)/\(name)", withDestinationPath: path)
    }
    var environment = ProcessInfo.processInfo.environment.filter {
      ["HOME", "USER", "LANG", "TMPDIR", "DEVELOPER_DIR", "SDKROOT"].contains($0.key)
    }
    environment["PATH"] = tools
    environment["PKG_CONFIG_LIBDIR"] = tools
    environment["PKG_CONFIG_PATH"] = tools
    for name in ["pkg-config", "pkgconf", "h5cc", "brew"] {
      #expect(!FileManager.default.fileExists(atPath: "\(tools)/\(name)"))
    }
    return environment
  }

  /// An executable of the PATH.
  private static func find(_ name: String) -> String? {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    return path.split(separator: ":").map { "\($0)/\(name)" }
      .first { FileManager.default.isExecutableFile(atPath: $0) }
  }
}
