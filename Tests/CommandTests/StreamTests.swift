import Checkpoints
import CheckpointsHDF5
import Foundation
import TestSupport
import Testing

#if os(Linux)
  /// Standard output that takes nothing.
  @Suite struct StreamTests {
    @Test func fullStandardOutput() throws {
      let bench = try Workbench()
      try bench.take("lstm-state")
      for arguments in [
        ["convert", "model.h5", "m.strata"], ["inspect", "model.h5"],
        ["inspect", "model.h5", "--stats"], ["explain", "model.h5"],
        ["verify", "model.h5", "golden.h5"], ["diff", "model.h5", "golden.h5"],
        ["run", "model.h5", "--input", "golden.h5", "--output", "r.h5"], ["bench", "model.h5"],
      ] {
        for options in [[], ["--json"]] {
          let force = ["convert", "run"].contains(arguments[0]) ? ["--force"] : []
          let result = try Tool.run(
            "/bin/sh",
            ["-c", #"exec "$0" "$@" > /dev/full"#, Tool.path] + arguments + options + force,
            in: bench.directory.path)
          #expect(result.status == 2, "\(result)")
          #expect(result.errors == "error: standard output cannot be written\n", "\(result)")
        }
        // Nothing to say, nothing to fail.
        let force = ["convert", "run"].contains(arguments[0]) ? ["--force"] : []
        let quiet = try Tool.run(
          "/bin/sh",
          ["-c", #"exec "$0" "$@" > /dev/full"#, Tool.path] + arguments + ["--quiet"] + force,
          in: bench.directory.path)
        #expect(quiet.status == (arguments[0] == "diff" ? 1 : 0), "\(quiet)")
      }
      // A fault is told on standard error, with its own status.
      let fault = try Tool.run(
        "/bin/sh",
        ["-c", #"exec "$0" "$@" > /dev/full"#, Tool.path, "inspect", "absent.h5", "--json"],
        in: bench.directory.path)
      #expect(fault.status == 2)
      #expect(fault.errors == "error: absent.h5: no such file\n")
    }
  }
#endif
