import Foundation
import TestSupport
import Testing

/// What a user sees of how files are written: signals, permission bits, leftovers, pipes.
@Suite struct AtomicWriteTests {
  let bench: Workbench

  init() throws {
    bench = try Workbench()
    try bench.take("gru-zero-state")
  }

  /// Writes a file whose conversion takes a while: 64 MiB of zeros.
  private func takeLarge() throws {
    let size = 1 << 26
    var header = #"{"w":{"dtype":"F32","shape":[\#(size / 4)],"data_offsets":[0,\#(size)]}}"#
    while header.utf8.count % 8 != 0 { header += " " }
    var file = Data()
    for shift in 0..<8 { file.append(UInt8(truncatingIfNeeded: header.utf8.count >> (8 * shift))) }
    file.append(contentsOf: header.utf8)
    file.append(Data(count: size))
    try file.write(to: URL(fileURLWithPath: bench.directory.path("large.safetensors")))
  }

  private func hiddenFiles() -> [String] {
    (try? bench.directory.names().filter { $0.hasPrefix(".") && $0.hasSuffix(".tmp") }) ?? []
  }

  /// Runs `convert large.safetensors out.strata --compress deflate` behind shell commands, and calls
  /// `body` once when the hidden file is there.
  private func convert(
    after commands: String = ":", whenWriting body: (Int32) throws -> Void
  ) throws -> ToolResult {
    var isDone = false
    return try Tool.run(
      "/bin/sh",
      [
        "-c", commands + #"; exec "$0" "$@""#, Tool.path, "convert", "large.safetensors",
        "out.strata", "--compress", "deflate", "--force", "--quiet",
      ], in: bench.directory.path
    ) { process in
      guard !isDone, !hiddenFiles().isEmpty else { return }
      isDone = true
      do { try body(process) } catch { Issue.record(error) }
    }
  }

  @Test(
    "A signal to stop: its status, nothing left behind, the target as it was",
    arguments: [SIGINT, SIGTERM, SIGHUP])
  func stopped(signal number: Int32) throws {
    try takeLarge()
    try bench.directory.write([1, 2, 3], to: "out.strata")
    // Whoever runs the tests in the background may ignore interrupts, and so would the tool.
    signal(number, SIG_DFL)
    let result = try convert { kill($0, number) }
    #expect(result.status == 128 + number, "\(result)")
    #expect(result.output + result.errors == "")
    #expect(try bench.directory.read("out.strata") == [1, 2, 3])
    #expect(hiddenFiles() == [])
  }

  @Test(
    "A signal that nohup and the like ignore does not stop the tool", arguments: ["INT", "HUP"])
  func ignored(name: String) throws {
    try takeLarge()
    var wasSent = false
    let result = try convert(after: "trap '' \(name)") {
      wasSent = true
      kill($0, name == "INT" ? SIGINT : SIGHUP)
    }
    #expect(wasSent)
    #expect(result.status == 0, "\(result)")
    #expect(try bench.directory.read("out.strata").count > 0)
    #expect(hiddenFiles() == [])
  }

  @Test("While it is written, a file is its owner's alone")
  func privacy() throws {
    try takeLarge()
    // On a busy machine the look may come when the file is written and about to get its name: then again.
    var bits: Int?
    for _ in 0..<5 where bits != 0o600 {
      let result = try convert(after: "umask 000") { _ in bits = try permissions(hiddenFiles()[0]) }
      #expect(result.status == 0, "\(result)")
    }
    #expect(bits == 0o600)
    #expect(try permissions("out.strata") == 0o666)
  }

  @Test(
    "A new file has the bits that the process's mask leaves", arguments: ["strata", "h5", "npz"])
  func mask(format: String) throws {
    for (mask, bits) in [("022", 0o644), ("027", 0o640), ("077", 0o600)] {
      let name = "m\(mask).\(format)"
      let result = try Tool.run(
        "/bin/sh",
        ["-c", #"umask \#(mask); exec "$0" "$@""#, Tool.path, "convert", "model.h5", name],
        in: bench.directory.path)
      #expect(result.status == 0, "\(result)")
      #expect(try permissions(name) == bits)
    }
  }

  @Test("A replaced file keeps its bits", arguments: ["strata", "h5", "pt"])
  func bitsOfReplaced(format: String) throws {
    for bits in [0o400, 0o604, 0o664, 0o755] {
      let name = "m.\(format)"
      try bench.directory.write([1], to: name)
      try FileManager.default.setAttributes(
        [.posixPermissions: bits], ofItemAtPath: bench.directory.path(name))
      try bench.succeed("convert", "model.h5", name, "--force")
      #expect(try permissions(name) == bits)
      try FileManager.default.removeItem(atPath: bench.directory.path(name))
    }
  }

  @Test("What killed processes left is removed, and nothing else", arguments: [true, false])
  func leftovers(sharded: Bool) throws {
    let ended = "2147483646"
    let target = sharded ? "m-00001-of-00006.safetensors" : "m.safetensors"
    let stale = ".\(target).\(ended).1a2b3c.tmp"
    let others = [
      ".\(target).\(getpid()).1a2b3c.tmp",  // of a process that runs
      ".other.safetensors.\(ended).1a2b3c.tmp", ".\(target).notes.tmp", ".\(target).\(ended).tmp",
      ".\(target).\(ended).not-ours.tmp", "\(target).\(ended).1a2b3c.tmp",
    ]
    for name in others + [stale] { try bench.directory.write([1], to: name) }
    try bench.succeed(
      "convert", "model.h5", "m.safetensors", "--shard-size", sharded ? "200" : "1000000")
    let names = try bench.directory.names()
    #expect(!names.contains(stale))
    for name in others { #expect(names.contains(name), "\(name)") }
    #expect(names.contains(target))
  }

  @Test("Pipes and standard streams are refused, and never waited for")
  func pipes() throws {
    unsafe mkfifo(bench.directory.path("pipe.strata"), 0o600)
    unsafe mkfifo(bench.directory.path("pipe.h5"), 0o600)
    for force in [[], ["--force"]] {
      for target in ["pipe.strata", "pipe.h5"] {
        let result = try Tool.run(
          ["convert", "model.h5", target, "--json"] + force, in: bench.directory)
        #expect(result.status == 2, "\(result)")
        #expect(try result.code == "notAFile", "\(result)")
      }
    }
    for source in ["pipe.strata", "pipe.h5", "-"] {
      let fault = try bench.fail("convert", source, "m.strata", code: "notAFile")
      #expect(fault.reason.contains("at random"), "\(fault)")
      try bench.fail("inspect", source, code: "notAFile")
      try bench.fail("verify", source, code: "notAFile")
      try bench.fail("run", "model.h5", "--input", source, "--output", "r.h5", code: "notAFile")
    }
    for arguments in [
      ["convert", "model.h5", "-"], ["convert", "model.h5", "-", "--to", "strata"],
      ["run", "model.h5", "--input", "golden.h5", "--output", "-"],
    ] {
      let result = try Tool.run(arguments, in: bench.directory)
      #expect(result.status == 64 && result.errors.contains("standard output"), "\(result)")
    }
    // Standard output that is a pipe, by its name.
    let result = try Tool.run(
      "/bin/sh",
      [
        "-c", #"("$0" convert model.h5 /dev/stdout --to strata --force; echo $? >&2) | cat"#,
        Tool.path,
      ], in: bench.directory.path)
    #expect(result.output == "" && result.errors.hasSuffix("2\n"), "\(result)")
    #expect(result.errors.contains("not a regular file"), "\(result)")
    try bench.succeed("convert", "model.h5", "./-", "--to", "strata")
    #expect(try bench.directory.names().contains("-"))
  }

  private func permissions(_ name: String) throws -> Int? {
    let path = bench.directory.path(name)
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    return (attributes[.posixPermissions] as? NSNumber)?.intValue
  }
}
