import Checkpoints
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

/// An app that needs `Checkpoints` and `RecurrentNetworks` only builds, links and runs where neither
/// libhdf5 nor pkg-config can be found.
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

  private let program = """
    import Checkpoints
    import RecurrentNetworks

    @main
    struct App {
      static func main() throws {
        let checkpoint = try Checkpoint(contentsOf: CommandLine.arguments[1])
        let model = try SequenceModel(contentsOf: CommandLine.arguments[1])
        let session = model.makeSession(batchSize: 2)
        let input = (1...24).map { Float($0) / 10 }
        var output = [Float](repeating: 0, count: 40)
        try session.run(input, into: &output)
        print(checkpoint.stateDict.count, output.map { String($0.bitPattern) }.joined(separator: " "))
      }
    }
    """

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
    try bench.directory.write(Array(program.utf8), to: "Sources/app/App.swift")

    let swift = try #require(Self.find("swift"))
    let scratch = bench.directory.path("scratch")
    let build = try Tool.run(
      swift, ["build", "--package-path", bench.directory.path, "--scratch-path", scratch],
      in: bench.directory.path, environment: environment)
    try #require(build.status == 0, "\(build)")

    // It runs, and gives what the runtime of this process gives.
    let app = scratch + "/debug/app"
    let run = try Tool.run(app, ["model.strata"], in: bench.directory.path)
    #expect(run.status == 0, "\(run)")
    let model = try SequenceModel(contentsOf: bench.directory.path("model.strata"))
    var output = [Float](repeating: 0, count: 40)
    try model.makeSession(batchSize: 2).run((1...24).map { Float($0) / 10 }, into: &output)
    #expect(run.output == "8 \(output.map { String($0.bitPattern) }.joined(separator: " "))\n")

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
