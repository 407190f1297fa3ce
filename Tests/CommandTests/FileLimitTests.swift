import Checkpoints
import Foundation
import TestSupport
import Testing

/// A limit on the size of files: an error like any other, and nothing left behind.
@Suite struct FileLimitTests {
  @Test(arguments: ["x.strata", "x.h5", "x.safetensors", "x.npz", "x.pt"])
  func fileSize(target: String) throws {
    let bench = try Workbench()
    // 1.3 MB, and 64 blocks of 512 or 1024 bytes.
    try bench.write(.stack(input: 64, hidden: 256, prefix: "rnn."), to: "a.strata")
    for options in [[], ["--json"]] {
      let result = try Tool.run(
        "/bin/sh",
        ["-c", #"ulimit -f 64; exec "$0" "$@""#, Tool.path, "convert", "a.strata", target]
          + options,
        in: bench.directory.path)
      #expect(result.status == 2, "\(result)")
      #expect(result.errors.hasPrefix("error: \(target): "), "\(result)")
      #expect(result.errors.contains("File too large"), "\(result)")
      if !options.isEmpty { #expect(try result.code == "notWritable", "\(result)") }
      #expect(try bench.directory.names() == ["a.strata"])
    }
  }
}
