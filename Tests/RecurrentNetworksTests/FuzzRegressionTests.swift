import Checkpoints
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

/// Every input in fixtures/fuzz/verify through the whole path of `strata verify`.
@Suite struct FuzzRegressionTests {
  @Test func verifyReturns() throws {
    let directory = Fixtures.path("fuzz/verify")
    let names = try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
    #expect(!names.isEmpty)
    var completed = 0
    for name in names {
      let time = processorTime {
        do throws(CheckpointError) {
          let contents = try StrataFormat().open(ByteSource(contentsOf: "\(directory)/\(name)"))
          let goldens = try StateDict(reading: contents.goldens)
          for precision in Verification.Precision.allCases {
            _ = try Verification(contents, goldens: goldens, precision: precision)
          }
          completed += 1
        } catch {
          #expect(!error.reason.isEmpty)
        }
      }
      #expect(time < .seconds(10) * Sanitizer.slowness, "\(name)")
    }
    // Not everything is refused before it runs.
    #expect(completed > 0)
  }
}
