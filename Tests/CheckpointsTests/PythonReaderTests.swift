#if os(macOS) || os(Linux)
  import Checkpoints
  import Foundation
  import TestSupport
  import Testing

  /// tools/read_strata.py was written from the article alone: where both readers agree, the article
  /// says what the code does.
  @Suite("read_strata.py")
  struct PythonReaderTests {
    /// What `--json` prints.
    struct Listing: Decodable {
      struct Tensor: Decodable, Equatable {
        var name: String
        var dtype: String
        var shape: [Int]
        var crc32: UInt32
      }
      var version: String
      var tensors: [Tensor]
      var goldens: [Tensor]
      var metadata: [String: String]
      var modelDescription: String?
      var moduleRecords: String?
      var skipped: [Int]
      var unreadable: [String: String]
    }

    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    /// Runs Python with numpy, by default `python3`.
    private func python(_ arguments: [String]) throws -> (
      status: Int32, output: Data, error: String
    ) {
      let process = Process()
      let interpreter = ProcessInfo.processInfo.environment["STRATA_PYTHON"] ?? "python3"
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = [interpreter, "-B"] + arguments
      let error = try directory.write([], to: "stderr")
      let output = Pipe()
      process.standardOutput = output
      process.standardError = FileHandle(forWritingAtPath: error)
      try process.run()
      let data = try output.fileHandleForReading.readToEnd() ?? Data()
      process.waitUntilExit()
      let message = String(decoding: try directory.read("stderr"), as: UTF8.self)
      return (process.terminationStatus, data, message)
    }

    private static let script = Fixtures.package + "/tools/read_strata.py"

    private func listing(_ path: String) throws -> Listing {
      let result = try python([Self.script, path, "--json"])
      try #require(result.status == 0, "\(result.error)")
      return try JSONDecoder().decode(Listing.self, from: result.output)
    }

    private func expected(_ dict: StateDict) -> [Listing.Tensor] {
      dict.map { name, tensor in
        Listing.Tensor(
          name: name,
          dtype: tensor.dtype.rawValue,
          shape: tensor.shape.dimensions,
          crc32: CRC32(tensor.bytes).value
        )
      }
    }

    /// The codes with which the Python reader refuses files, in order; empty for an accepted one.
    private func codes(_ files: [[UInt8]]) throws -> [String] {
      for (index, bytes) in files.enumerated() { try directory.write(bytes, to: "\(index)") }
      let program = """
        import sys
        sys.path.insert(0, sys.argv[1])
        from read_strata import read_strata, StrataError
        for index in range(int(sys.argv[3])):
            try:
                read_strata(f"{sys.argv[2]}/{index}")
                print()
            except StrataError as error:
                print(error.code)
        """
      let result = try python(
        ["-c", program, Fixtures.package + "/tools", directory.path, "\(files.count)"])
      try #require(result.status == 0, "\(result.error)")
      let lines = String(decoding: result.output, as: UTF8.self)
        .split(separator: "\n", omittingEmptySubsequences: false)
      return lines.dropLast().map(String.init)
    }

    @Test(
      "Random checkpoints are read alike",
      arguments: [WriteOptions.Compression.none, .deflate],
      20...21 as ClosedRange<UInt64>
    )
    func agreement(compression: WriteOptions.Compression, seed: UInt64) throws {
      let checkpoint = try randomCheckpoint(seed: seed)
      let path = try directory.write(try written(checkpoint, compression), to: "x.strata")
      let listing = try listing(path)
      #expect(listing.version == "1.0")
      #expect(listing.tensors == expected(checkpoint.stateDict), "seed \(seed)")
      #expect(listing.goldens == expected(checkpoint.goldens), "seed \(seed)")
      #expect(listing.metadata == checkpoint.metadata)
      #expect(listing.modelDescription == checkpoint.modelDescription)
      #expect(listing.moduleRecords?.contains("torch.nn.LSTM") == true)
      #expect(listing.skipped == [])
      #expect(listing.unreadable.isEmpty)
    }

    @Test("Several chunks", arguments: [WriteOptions.Compression.none, .deflate])
    func chunks(compression: WriteOptions.Compression) throws {
      let count = 1 << 20 + 4
      let tensor = try Tensor(
        dtype: .int32,
        shape: Shape([count / 4]),
        bytes: Bytes((0..<count).map { UInt8(truncatingIfNeeded: $0 / 5) })
      )
      let checkpoint = Checkpoint(stateDict: ["x": tensor])
      let path = try directory.write(try written(checkpoint, compression), to: "x.strata")
      #expect(try listing(path).tensors == expected(checkpoint.stateDict))
    }

    @Test("What a later version may add")
    func later() throws {
      var image = StrataImage.small
      image.minor = 3
      image.stateDict[0].dtype = 14
      image.stateDict[1].further = [UInt8](repeating: 7, count: 20)
      image.parts.append(.init(chunks: [[1]]))
      image.changeSections = { $0.append(.init(kind: 9, payload: [1])) }
      let listing = try listing(try directory.write(image.bytes(), to: "x.strata"))
      #expect(listing.version == "1.3")
      #expect(listing.tensors.map(\.name) == ["bias"])
      #expect(Array(listing.unreadable.keys) == ["w"])
      #expect(listing.skipped == [9])
    }

    @Test("Each rule has the same code")
    func malformed() throws {
      // Module records are opaque to a reader of tensors.
      let files = Malformed.all.filter { file in
        !Malformed.opaque.contains { $0.rule == file.rule }
      }
      for (file, code) in zip(files, try codes(files.map(\.bytes))) {
        #expect(code == file.code.rawValue, "\(file.rule)")
      }
    }

    @Test("Flipped bits and truncations are refused alike")
    func damage() throws {
      for sound in StrataReadingTests.sweeps.values {
        var files: [[UInt8]] = [sound]
        for byte in stride(from: 0, to: sound.count, by: 3) {
          var bytes = sound
          bytes[byte] ^= 1 << UInt8(byte % 8)
          files.append(bytes)
        }
        for count in stride(from: 0, to: sound.count, by: 7) {
          files.append(Array(sound[..<count]))
        }
        let found = try codes(files)
        #expect(found.count == files.count)
        for (bytes, found) in zip(files, found) {
          let own = code { () throws(CheckpointError) in try load(bytes) }
          #expect(found == own?.rawValue ?? "")
        }
      }
    }

    @Test("A bad file is one line and status 2")
    func command() throws {
      let path = try directory.write([1, 2, 3], to: "x.strata")
      for arguments in [[path], [path, "--json"], [directory.path("none")], [directory.path]] {
        let result = try python([Self.script] + arguments)
        #expect(result.status == 2)
        #expect(result.output.isEmpty)
        #expect(result.error.hasPrefix("error: \(arguments[0]): "))
        #expect(result.error.filter { $0 == "\n" }.count == 1)
      }
    }
  }
#endif
