#if os(macOS) || os(Linux)
  import Foundation
  import TestSupport
  import Testing

  @testable import Checkpoints

  /// numpy and safetensors, from Python, read what is written here, bit for bit.
  @Suite("What Python reads")
  struct ContainerReadersTests {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// What the program prints for a tensor.
    struct Listing: Decodable, Equatable {
      var dtype: String
      var shape: [Int]
      var crc32: UInt32
    }

    /// Reads a file with the reference reader, names and dtypes as they are called there.
    private static let program = """
      import json, os, sys, zipfile, zlib
      import numpy as np
      import safetensors.numpy
      path = sys.argv[1]
      if path.endswith(".index.json"):
          with open(path, encoding="utf-8") as file:
              index = json.load(file)
          arrays = {}
          for name in sorted(set(index["weight_map"].values())):
              part = safetensors.deserialize(
                  open(os.path.join(os.path.dirname(path), name), "rb").read())
              assert all(index["weight_map"][key] == name for key, _ in part)
              arrays.update(part)
          assert sorted(arrays) == sorted(index["weight_map"])
          total = sum(len(value["data"]) for value in arrays.values())
          assert index["metadata"]["total_size"] == total
      elif path.endswith(".safetensors"):
          with open(path, "rb") as file:
              arrays = dict(safetensors.deserialize(file.read()))
          safetensors.safe_open(path, "np")
      elif path.endswith(".npz"):
          with zipfile.ZipFile(path) as archive:
              assert archive.testzip() is None
          arrays = dict(np.load(path).items())
      else:
          arrays = {"array": np.load(path)}
          mapped = np.load(path, mmap_mode="r")
          assert mapped.tobytes() == arrays["array"].tobytes()
      listing = {}
      for name, array in arrays.items():
          if isinstance(array, dict):
              facts = (array["dtype"], list(array["shape"]), bytes(array["data"]))
          else:
              facts = (array.dtype.str, list(array.shape), array.tobytes())
          listing[name] = dict(zip(("dtype", "shape", "crc32"), facts[:2] + (zlib.crc32(facts[2]),)))
      print(json.dumps(listing))
      """

    private func listing(_ name: String) throws -> [String: Listing] {
      let process = Process()
      let interpreter = ProcessInfo.processInfo.environment["STRATA_PYTHON"] ?? "python3"
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = [interpreter, "-B", "-c", Self.program, directory.path(name)]
      let output = Pipe()
      process.standardOutput = output
      try process.run()
      let data = try output.fileHandleForReading.readToEnd() ?? Data()
      process.waitUntilExit()
      try #require(process.terminationStatus == 0)
      return try JSONDecoder().decode([String: Listing].self, from: data)
    }

    private func expected(
      _ checkpoint: Checkpoint, _ dtype: (DType) throws -> String
    ) rethrows -> [String: Listing] {
      var expected: [String: Listing] = [:]
      for (name, tensor) in checkpoint.stateDict {
        expected[name] = Listing(
          dtype: try dtype(tensor.dtype), shape: tensor.shape.dimensions,
          crc32: CRC32(tensor.bytes).value)
      }
      return expected
    }

    @Test(
      "safetensors", arguments: [nil, 300] as [Int?], 30...31 as ClosedRange<UInt64>)
    func safetensors(shardSize: Int?, seed: UInt64) throws {
      let checkpoint = try randomCheckpoint(seed: seed)
      try checkpoint.write(
        to: directory.path("x.safetensors"), format: SafetensorsFormat(),
        options: WriteOptions(shardSize: shardSize))
      let found = try listing(shardSize == nil ? "x.safetensors" : "x.safetensors.index.json")
      #expect(found == expected(checkpoint, \.rawValue), "seed \(seed)")
    }

    @Test(
      "npz", arguments: [WriteOptions.Compression.none, .deflate], 32...33 as ClosedRange<UInt64>)
    func npz(compression: WriteOptions.Compression, seed: UInt64) throws {
      let random = try randomCheckpoint(seed: seed)
      var checkpoint = Checkpoint(stateDict: StateDict())
      for (name, tensor) in random.stateDict where !name.isUnsafePath {
        try checkpoint.stateDict.append(tensor, named: name)
      }
      try checkpoint.write(
        to: directory.path("x.npz"), format: NPZFormat(),
        options: WriteOptions(compression: compression, npzVoid2: .bf16))
      let found = try listing("x.npz")
      #expect(
        try found == expected(checkpoint) { try NPYType.descr(of: $0, .bf16) }, "seed \(seed)")
    }

    @Test("npy", arguments: DType.allCases)
    func npy(dtype: DType) throws {
      var generator = SeededGenerator(seed: 34)
      let tensor = try randomTensor(dtype, shape: [4, 1, 3], using: &generator)
      let checkpoint = Checkpoint(stateDict: ["array": tensor])
      try checkpoint.write(
        to: directory.path("x.npy"), format: NPYFormat(), options: WriteOptions(npzVoid2: .bf16))
      #expect(
        try listing("x.npy") == expected(checkpoint) { try NPYType.descr(of: $0, .bf16) },
        "\(generator)")
    }

    @Test("What numpy would have written", arguments: [[], [0], [3], [2, 3], [1, 0, 12]])
    func sameBytes(dimensions: [Int]) throws {
      var generator = SeededGenerator(seed: 35)
      let tensor = try randomTensor(.float32, shape: Shape(dimensions), using: &generator)
      try Checkpoint(stateDict: ["a": tensor])
        .write(to: directory.path("ours.npy"), format: NPYFormat())
      let process = Process()
      let interpreter = ProcessInfo.processInfo.environment["STRATA_PYTHON"] ?? "python3"
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = [
        interpreter, "-B", "-c",
        "import numpy as np, sys; np.save(sys.argv[2], np.load(sys.argv[1]))",
        directory.path("ours.npy"), directory.path("numpy.npy"),
      ]
      try process.run()
      process.waitUntilExit()
      #expect(try directory.read("numpy.npy") == directory.read("ours.npy"), "\(generator)")
    }
  }
#endif
