import Checkpoints
import Foundation
import Testing

@testable import CheckpointsHDF5

/// Every input in fixtures/fuzz of the targets that this module has, as files of strangers are read: apart.
@Suite struct FuzzRegressionTests {
  private static func inputs(of target: String) -> [URL] {
    let directory = Fixtures.hdf5.deletingLastPathComponent().appending(path: "fuzz/\(target)")
    let urls = try? FileManager.default.contentsOfDirectory(
      at: directory, includingPropertiesForKeys: nil)
    return (urls ?? []).sorted { $0.path < $1.path }
  }

  @Test(arguments: inputs(of: "hdf5"))
  func fileReturns(url: URL) {
    let begin = ContinuousClock.now
    do throws(CheckpointError) {
      try Place.apart.format.open(ByteSource(contentsOf: url.path())).verify()
    } catch {
      #expect(!error.reason.isEmpty)
    }
    #expect(ContinuousClock.now - begin < .seconds(10))
  }

  @Test(arguments: inputs(of: "hdf5-answers"))
  func answerReturns(url: URL) throws {
    let begin = ContinuousClock.now
    // The first byte is for the target of tools/fuzz.
    let answers = [UInt8](try Data(contentsOf: url).dropFirst())
    let source = ByteSource(Bytes([UInt8](repeating: 0, count: 8) + Array("send ".utf8) + answers))
    do throws(CheckpointError) {
      let process = try HDF5HelperProcess(
        reading: source, executable: Place.program("hostile-reader").path,
        patience: .milliseconds(100))
      let contents = try process.directory.contents(of: source) { entry in
        IsolatedBytes(process: process, entry: entry)
      }
      for tensor in contents.tensors + contents.goldens where tensor.storedByteCount <= 1 << 16 {
        _ = try? tensor.read()
      }
    } catch {
      #expect(!error.reason.isEmpty)
    }
    #expect(ContinuousClock.now - begin < .seconds(10))
  }
}
