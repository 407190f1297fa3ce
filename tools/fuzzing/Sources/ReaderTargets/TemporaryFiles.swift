@testable import Checkpoints
import Foundation

/// A directory of this process alone, in memory where there is one, which goes away when the process ends
/// as it should.
private let temporaryDirectory: String = {
  let name = "strata-fuzz-\(ProcessInfo.processInfo.processIdentifier)"
  let memory = "/dev/shm"
  let base = FileManager.default.isWritableFile(atPath: memory) ? memory : NSTemporaryDirectory()
  let path = "\(base)/\(name)"
  try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  atexit { try? FileManager.default.removeItem(atPath: temporaryDirectory) }
  return path
}()

extension ByteSource {
  /// The bytes as a file, which is written anew each time.
  static func file(_ bytes: [UInt8], named name: String) throws(CheckpointError) -> ByteSource {
    let path = "\(temporaryDirectory)/\(name)"
    guard FileManager.default.createFile(atPath: path, contents: Data(bytes)) else {
      fatalError("\(path) cannot be written")
    }
    return try ByteSource(contentsOf: path)
  }

  /// An input as a user would give it: one of 16 as a file, the others, which is faster, in memory.
  static func input(_ bytes: [UInt8]) throws(CheckpointError) -> ByteSource {
    bytes.reduce(0, &+) % 16 == 0 ? try file(bytes, named: "input.bin") : ByteSource(Bytes(bytes))
  }
}

/// Files that an index of shards may name, beside it: `a.safetensors`, `b.safetensors`, `c.bin`.
struct ShardDirectory {
  static let shared = ShardDirectory()

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

  /// An input as the index.
  func index(_ input: [UInt8]) throws(CheckpointError) -> ByteSource {
    try .file(input, named: "model.safetensors.index.json")
  }
}
