import Checkpoints
import CheckpointsHDF5
import Foundation

/// A directory of this process alone, which goes away when the process ends as it should.
private let temporaryDirectory: String = {
  let name = "strata-fuzz-\(ProcessInfo.processInfo.processIdentifier)"
  let memory = "/dev/shm"
  let base = FileManager.default.isWritableFile(atPath: memory) ? memory : NSTemporaryDirectory()
  let path = "\(base)/\(name)"
  try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  atexit { try? FileManager.default.removeItem(atPath: temporaryDirectory) }
  return path
}()

private func write(_ bytes: [UInt8], to path: String) {
  guard FileManager.default.createFile(atPath: path, contents: Data(bytes)) else {
    fatalError("\(path) cannot be written")
  }
}

/// An index of shards as a file, and beside it files that it may name: `a.safetensors`, `b.safetensors`,
/// `c.bin`.
struct ShardDirectory {
  static let shared = ShardDirectory()

  private let path = "\(temporaryDirectory)/model.safetensors.index.json"

  private init() {
    do {
      for (file, names) in [
        ("a.safetensors", ["w", "x"]), ("b.safetensors", ["y"]), ("c.bin", ["z"]),
      ] {
        var checkpoint = Checkpoint(stateDict: StateDict(), metadata: ["format": "pt"])
        for name in names {
          try checkpoint.stateDict.append(
            Tensor(dtype: .uint8, shape: [2], bytes: Bytes([1, 2])), named: name)
        }
        try checkpoint.write(
          to: "\(temporaryDirectory)/\(file)",
          format: file.hasSuffix("bin") ? PyTorchFormat() : SafetensorsFormat())
      }
    } catch {
      fatalError("\(error)")
    }
  }

  func run(_ input: [UInt8]) {
    write(input, to: path)
    do throws(CheckpointError) {
      let source = try ByteSource(contentsOf: path)
      Reading.run(SafetensorsFormat(), source, planted: .name)
      Reading.run(PyTorchFormat(), source)
    } catch {
      _ = error.description
    }
  }
}

/// A file for libhdf5, which reads from nothing else.
struct HiddenCopy {
  static let shared = HiddenCopy()

  private let path = "\(temporaryDirectory)/model.h5"

  func run(_ input: [UInt8]) {
    write(input, to: path)
    do throws(CheckpointError) {
      Reading.run(HDF5Format(), try ByteSource(contentsOf: path))
    } catch {
      _ = error.description
    }
  }
}
