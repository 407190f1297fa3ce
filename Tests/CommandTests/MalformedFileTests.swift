import Checkpoints
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

/// Every row of the table of hostile inputs, through the tool: status 2, the code, the file's name, no
/// file left behind, nothing run, at once and in little memory.
///
/// At once means with little processor time: nothing in the tool waits for anything. `tools/trust.d/malformed`
/// has the tool alone on the machine, and a second on the clock for each file.
@Suite struct MalformedFileTests {
  /// The memory that a run may have resident: 64 MiB beside the program itself, and whatever a sanitizer
  /// takes.
  private static let mostMemory = Sanitizer.isOn ? Int.max : 128 << 20

  /// Runs the tool on a file, in a directory that has to stay as it is.
  private func run(_ arguments: [String]) throws -> (result: ToolResult, peak: Int) {
    let directory = try TemporaryDirectory()
    var peak = 0
    var time = Duration.zero
    let result = try Tool.run(Tool.path, arguments + ["--json"], in: directory.path) { process in
      peak = max(peak, residentBytes(of: process))
      time = max(time, processorTime(of: process))
    }
    #expect(time < .seconds(1) * Sanitizer.slowness, "\(result)")
    #expect(try directory.names() == [], "\(result)")
    return (result, peak)
  }

  @Test(arguments: MalformedFile.all.filter { !$0.isAccepted })
  func refused(file: MalformedFile) throws {
    let options = file.fault == .nonfinite ? ["--reject-nonfinite"] : []
    let (result, peak) = try run(["convert", file.path, "x.strata"] + options)
    #expect(result.status == 2, "\(file): \(result)")
    let object = try #require(try result.object()["error"] as? [String: Any], "\(file)")
    #expect(object["code"] as? String == file.code, "\(file): \(result)")
    // A shard's fault is told with the shard's name.
    let folder = try #require(file.path.split(separator: "/").dropLast().last)
    let place = try #require(object["file"] as? String)
    #expect(place == file.path || folder.hasSuffix(".sharded") && place.contains(folder))
    #expect(result.errors.hasPrefix("error: \(place): "), "\(file): \(result)")
    #expect(result.errors.filter { $0 == "\n" }.count == 1, "\(file): \(result)")
    if let tensor = file.tensor { #expect(object["tensor"] as? String == tensor, "\(file)") }
    #expect(peak < Self.mostMemory, "\(file): \(peak >> 20) MiB")
  }

  /// A model that contradicts itself or its tensors is not run, and the library says so as the tool does.
  @Test(arguments: MalformedFile.all.filter { $0.fault == .model })
  func notLoaded(file: MalformedFile) throws {
    do throws(CheckpointError) {
      _ = try SequenceModel(contentsOf: file.path)
      Issue.record("\(file) was loaded")
    } catch {
      #expect(error.code.rawValue == file.code, "\(file): \(error)")
      #expect(error.file == file.path, "\(file): \(error)")
    }
    #expect(try run(["bench", file.path]).result.code == file.code, "\(file)")
  }

  /// What is the file's fault is told by `inspect` too; what is one tensor's is not.
  @Test(arguments: MalformedFile.all.filter { !$0.isAccepted })
  func inspected(file: MalformedFile) throws {
    let (result, _) = try run(["inspect", file.path])
    // A small file is read whole, and its checksums are checked.
    let unsound = ["checksumMismatch", "decompressMismatch", "hole"]
    guard file.fault != .file, file.format != "hdf5", !unsound.contains(file.code) else {
      #expect(result.status == 2, "\(file): \(result)")
      #expect(try result.code == file.code, "\(file): \(result)")
      return
    }
    #expect(result.status == 0, "\(file): \(result)")
    let tensors = try #require(try result.object()["tensors"] as? [[String: Any]])
    if let tensor = file.tensor {
      #expect(tensors.contains { $0["name"] as? String == tensor }, "\(file): \(result)")
    }
  }

  /// What only looks odd is converted, and its names cannot steer a terminal.
  @Test(arguments: MalformedFile.all.filter(\.isAccepted))
  func accepted(file: MalformedFile) throws {
    let bench = try Workbench()
    let report = try bench.json("convert", file.path, "x.strata")
    #expect(report["from"] as? String == file.format)
    let words = try bench.succeed("inspect", "x.strata").output
    #expect(words.unicodeScalars.allSatisfy { $0 == "\n" || $0.value >= 32 }, "\(file)")
    #expect(!words.unicodeScalars.contains("\u{202E}"), "\(file)")
  }

  /// Options that turn a refusal into a reading.
  @Test func leftOut() throws {
    let bench = try Workbench()
    for file in MalformedFile.all
    where file.fault == .tensor && file.code != "checksumMismatch" && file.tensor == "x" {
      let result = try Tool.run(
        ["convert", file.path, "x.strata", "--exclude", "^x$", "--force", "--json"],
        in: bench.directory)
      #expect(result.status == 0, "\(file): \(result)")
    }
  }
}
