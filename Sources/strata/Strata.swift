import ArgumentParser
import Checkpoints
import CheckpointsHDF5

/// The tool: parses the command line, runs a subcommand, and turns faults into messages and statuses.
@main
struct Strata: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "strata",
    abstract: "Convert recurrent networks trained in PyTorch, verify them, and run them.",
    discussion: """
      Formats: \(formats.map(\.name).joined(separator: ", ")); a file is recognised by its content.

      Exit status: 0 done, yes, equal; 1 differs, not verified; 2 could not do it; 64 wrong usage.
      """,
    version: version,
    subcommands: [
      Convert.self, Inspect.self, Explain.self, Verify.self, Diff.self, Run.self, Bench.self,
      Report.self,
    ])

  static let version = "0.1.0"

  /// Every format that the tool reads and writes.
  static let formats: [any CheckpointFormat] = .builtIn + [HDF5Format(isolated: true)]

  static func main() {
    // HDF5 files are parsed by this program once more, which can do nothing else.
    HDF5Helper.runIfRequested()
    let arguments = Array(CommandLine.arguments.dropFirst())
    let output = Output(isJSON: arguments.contains("--json"))
    // The parser would complain about whatever stands behind an unknown subcommand.
    let names = configuration.subcommands.compactMap { $0.configuration.commandName }
    let named = arguments.first == "help" ? arguments.dropFirst().first : arguments.first
    if let named, !named.hasPrefix("-"), !(names + ["help"]).contains(named) {
      output.fail(
        usage: "'\(named)': unknown subcommand; there are \(names.joined(separator: ", "))")
    }
    StopSignals.handle()
    do {
      var command = try parseAsRoot(arguments)
      do {
        try command.run()
      } catch let error as CheckpointError {
        output.fail(error)
      } catch let error as MappingFault {
        output.fail(error.first, mapping: error.mapping)
      }
    } catch {
      let status = exitCode(for: error)
      // Help, the version and a subcommand's own status are no faults.
      guard status == .validationFailure else { exit(withError: error) }
      output.fail(usage: message(for: error))
    }
  }
}
