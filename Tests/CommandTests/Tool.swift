import Foundation
import TestSupport
import Testing

/// What a run of the tool left behind.
struct ToolResult: CustomStringConvertible {
  var arguments: [String]
  var status: Int32
  var output: String
  var errors: String

  var description: String {
    "strata \(arguments.joined(separator: " ")): status \(status)\n\(output)\(errors)"
  }

  /// Everything on stdout as one JSON object; fails when it is anything else.
  func object(sourceLocation: SourceLocation = #_sourceLocation) throws -> [String: Any] {
    #expect(output.hasSuffix("}\n"), "\(self)", sourceLocation: sourceLocation)
    let object = try? JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any]
    return try #require(object, "no JSON object: \(self)", sourceLocation: sourceLocation)
  }

  /// The code of the fault that `--json` told.
  var code: String? {
    get throws { (try object()["error"] as? [String: Any])?["code"] as? String }
  }
}

/// The executable `strata`, run as a process of its own.
enum Tool {
  /// The executable, which SwiftPM builds beside the test bundle.
  static let path: String = {
    #if os(macOS)
      let bundle = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") } ?? .main
      return bundle.bundleURL.deletingLastPathComponent().appendingPathComponent("strata").path
    #else
      return URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("strata").path
    #endif
  }()

  /// Runs the tool in a directory.
  static func run(_ arguments: [String], in directory: TemporaryDirectory) throws -> ToolResult {
    try run(path, arguments, in: directory.path)
  }

  /// Runs any executable.
  ///
  /// Its streams go through files: pipes can fill up, and can be inherited by whatever other tests
  /// start at the same time.
  static func run(
    _ executable: String, _ arguments: [String], in directory: String,
    environment: [String: String]? = nil, whileRunning: (Int32) -> Void = { _ in }
  ) throws -> ToolResult {
    let streams = try TemporaryDirectory()
    let (output, errors) = (
      try streams.write([], to: "output"), try streams.write([], to: "errors")
    )
    let process = Process()
    process.executableURL = URL(fileURLWithPath: executable)
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: directory)
    if let environment { process.environment = environment }
    process.standardInput = FileHandle.nullDevice
    let outputHandle = try #require(FileHandle(forWritingAtPath: output))
    let errorHandle = try #require(FileHandle(forWritingAtPath: errors))
    process.standardOutput = outputHandle
    process.standardError = errorHandle
    try process.run()
    while process.isRunning {
      whileRunning(process.processIdentifier)
      usleep(2000)
    }
    process.waitUntilExit()
    try outputHandle.close()
    try errorHandle.close()
    // A process that a signal ended has no status of its own.
    let status =
      process.terminationReason == .exit
      ? process.terminationStatus : 128 + process.terminationStatus
    let result = ToolResult(
      arguments: arguments, status: status,
      output: String(decoding: try streams.read("output"), as: UTF8.self),
      errors: String(decoding: try streams.read("errors"), as: UTF8.self))
    // tools/sanitize looks for reports on its own stream: a test may expect an error, and get another.
    let isReport = ["Sanitizer", "runtime error"].contains { result.errors.contains($0) }
    if Sanitizer.isOn, isReport {
      try FileHandle.standardError.write(contentsOf: Data("\(result)\n".utf8))
    }
    return result
  }
}

/// A directory with the tool at hand.
struct Workbench {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Runs the tool.
  func strata(_ arguments: String...) throws -> ToolResult {
    try Tool.run(arguments, in: directory)
  }

  /// Runs the tool, which must succeed and print nothing on stderr.
  @discardableResult
  func succeed(
    _ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> ToolResult {
    let result = try Tool.run(arguments, in: directory)
    try #require(result.status == 0, "\(result)", sourceLocation: sourceLocation)
    #expect(result.errors == "", "\(result)", sourceLocation: sourceLocation)
    return result
  }

  /// Runs the tool with `--json`; it must succeed, and stdout must be one object.
  @discardableResult
  func json(
    _ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> [String: Any] {
    let result = try Tool.run(arguments + ["--json"], in: directory)
    try #require(result.status == 0, "\(result)", sourceLocation: sourceLocation)
    #expect(result.errors == "", "\(result)", sourceLocation: sourceLocation)
    return try result.object(sourceLocation: sourceLocation)
  }

  /// A fault as the tool tells it.
  struct Fault {
    /// The line on stderr, without its end.
    var line: String
    /// The object below `error`.
    var object: [String: Any]
    /// The whole object.
    var report: [String: Any]

    var reason: String { object["reason"] as? String ?? "" }
  }

  /// Runs the tool without and with `--json`; both must fail alike, with one line on stderr, the code
  /// in the object, and every file in the directory as it was.
  @discardableResult
  func fail(
    _ arguments: String..., code: String, status: Int32 = 2,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Fault {
    let before = try snapshot()
    let words = try Tool.run(arguments, in: directory)
    #expect(words.status == status, "\(words)", sourceLocation: sourceLocation)
    #expect(words.output == "", "\(words)", sourceLocation: sourceLocation)
    let lines = words.errors.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count == 2 && lines.last == "", "\(words)", sourceLocation: sourceLocation)
    #expect(words.errors.hasPrefix("error: "), "\(words)", sourceLocation: sourceLocation)
    #expect(
      words.errors.unicodeScalars.allSatisfy {
        $0 == "\n" || $0.properties.generalCategory != .control
      },
      "\(words)", sourceLocation: sourceLocation)

    let json = try Tool.run(arguments + ["--json"], in: directory)
    #expect(json.status == status, "\(json)", sourceLocation: sourceLocation)
    #expect(json.errors == words.errors, "\(json)", sourceLocation: sourceLocation)
    let report = try json.object(sourceLocation: sourceLocation)
    let object = try #require(report["error"] as? [String: Any], sourceLocation: sourceLocation)
    #expect(object["code"] as? String == code, "\(json)", sourceLocation: sourceLocation)
    #expect(
      Set(object.keys) == ["code", "file", "tensor", "offset", "reason"], "\(json)",
      sourceLocation: sourceLocation)
    #expect(
      Set(report.keys).isSubset(of: ["error", "missing", "unexpected", "nearest", "mismatched"]),
      "\(json)",
      sourceLocation: sourceLocation)
    #expect(try snapshot() == before, "\(words)", sourceLocation: sourceLocation)
    return Fault(line: String(lines[0]), object: object, report: report)
  }

  /// Every file and directory by name, hidden ones too, with the contents of files.
  func snapshot() throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: directory.path) {
      files[name] = FileManager.default.contents(atPath: directory.path(name)) ?? Data("/".utf8)
    }
    return files
  }

  /// Puts a copy of a case's model and golden into the directory: as `model.h5` and `golden.h5`, or as
  /// `NAME.h5` and `NAME-golden.h5`.
  func take(_ fixture: String, as name: String? = nil) throws {
    for (source, target) in [
      ("model.h5", name.map { "\($0).h5" }), ("golden.h5", name.map { "\($0)-golden.h5" }),
    ] {
      try FileManager.default.copyItem(
        atPath: Fixtures.path("pytorch/\(fixture)/\(source)"),
        toPath: directory.path(target ?? source))
    }
  }
}

/// The cases under fixtures/pytorch.
let cases: [String] = {
  let names = try? FileManager.default.contentsOfDirectory(atPath: Fixtures.path("pytorch"))
  return (names ?? []).filter { !$0.hasPrefix(".") }.sorted()
}()
