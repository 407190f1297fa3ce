import Checkpoints
import Foundation
import TestSupport
import Testing

/// Every input in fixtures/fuzz, through its reader: what fuzzing began with and stands nowhere else, and
/// what it found.
///
/// Nothing may happen but an error, and at once.
@Suite struct FuzzRegressionTests {
  /// The reader of each directory; those of other modules have their own tests.
  static let formats: [String: any CheckpointFormat] = [
    "strata": StrataFormat(), "verify": StrataFormat(), "safetensors": SafetensorsFormat(),
    "index": SafetensorsFormat(), "npz": NPZFormat(), "npy": NPYFormat(),
    "pytorch": PyTorchFormat(), "torchscript": PyTorchFormat(), "exported": PyTorchFormat(),
    "legacy": PyTorchFormat(), "pickle": PyTorchFormat(),
  ]

  static func inputs(of target: String) -> [String] {
    let directory = Fixtures.path("fuzz/\(target)")
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    return names.sorted().map { "\(directory)/\($0)" }
  }

  @Test func inputsAreThere() {
    for target in Self.formats.keys.sorted() + ["hdf5", "hdf5-answers"] {
      #expect(!Self.inputs(of: target).isEmpty, "no input for \(target)")
    }
  }

  @Test(arguments: formats.keys.sorted())
  func returns(target: String) throws {
    let format = try #require(Self.formats[target])
    for path in Self.inputs(of: target) {
      var input = [UInt8](try #require(FileManager.default.contents(atPath: path)))
      if target == "pickle" {
        var archive = ZipImage()
        archive.entries = [ZipImage.Entry("a/data.pkl", input)]
        for (key, size) in [8, 16, 32, 64].enumerated() {
          archive.entries.append(ZipImage.Entry("a/data/\(key)", (0..<UInt8(size)).map { $0 }))
        }
        input = archive.bytes()
      }
      let time = processorTime { read(input, as: format, "\(path)") }
      #expect(time < .seconds(10) * Sanitizer.slowness, "\(path)")
    }
  }

  private func read(_ input: [UInt8], as format: any CheckpointFormat, _ name: String) {
    guard let contents = try? format.open(ByteSource(Bytes(input))) else { return }
    for tensor in contents.tensors + contents.goldens {
      guard let dtype = tensor.dtype, tensor.shape.byteCount(of: dtype) <= 1 << 16,
        (try? tensor.verify()) != nil, let whole = try? tensor.read()
      else { continue }
      // From the back, so that a stream has to begin anew.
      let middle = whole.shape.elementCount / 2 * dtype.size
      let back = try? tensor.bytes(in: middle..<whole.bytes.count)
      let front = try? tensor.bytes(in: 0..<middle)
      #expect((front?.array ?? []) + (back?.array ?? []) == whole.bytes.array, "\(name)")
    }
  }
}
