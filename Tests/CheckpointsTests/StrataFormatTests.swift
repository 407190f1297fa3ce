import Checkpoints
import Foundation
import TestSupport
import Testing

/// The bytes that the writer gives for a checkpoint.
func written(
  _ checkpoint: Checkpoint,
  _ compression: WriteOptions.Compression = .none
) throws -> [UInt8] {
  let directory = try TemporaryDirectory()
  try checkpoint.write(
    to: directory.path("x.strata"),
    options: WriteOptions(compression: compression)
  )
  return try directory.read("x.strata")
}

/// Opens bytes as a .strata file and reads everything in it.
@discardableResult
func load(_ bytes: [UInt8]) throws(CheckpointError) -> Checkpoint {
  try Checkpoint(bytes, formats: [StrataAlways()])
}

/// The format without detection: whatever comes is opened.
struct StrataAlways: CheckpointFormat {
  var name: String { "strata" }
  var fileExtensions: [String] { [] }
  func recognizes(_ source: ByteSource) -> Bool { true }
  func open(
    _ source: ByteSource, options: ReadOptions
  ) throws(CheckpointError) -> CheckpointContents {
    try StrataFormat().open(source, options: options)
  }
  func dropped(from contents: CheckpointContents) -> [String] { [] }
  func write(
    _ contents: CheckpointContents,
    to file: borrowing AtomicFile,
    options: WriteOptions
  ) throws(CheckpointError) -> [UInt32] {
    try StrataFormat().write(contents, to: file, options: options)
  }
}

@Suite("StrataFormat")
struct StrataFormatTests {
  @Test(
    "Round trip", arguments: [WriteOptions.Compression.none, .deflate], 1...5 as ClosedRange<UInt64>
  )
  func roundTrip(compression: WriteOptions.Compression, seed: UInt64) throws {
    let checkpoint = try randomCheckpoint(seed: seed)
    let bytes = try written(checkpoint, compression)
    let loaded = try load(bytes)
    #expect(loaded == checkpoint, "seed \(seed)")
    // Equal texts may have different bytes; names are carried as they are.
    #expect(
      loaded.stateDict.map { Array($0.name.utf8) }
        == checkpoint.stateDict.map { Array($0.name.utf8) }
    )
  }

  @Test("An empty checkpoint")
  func empty() throws {
    let checkpoint = Checkpoint(stateDict: StateDict())
    let bytes = try written(checkpoint)
    #expect(bytes.count == 64 + 64)
    #expect(try load(bytes) == checkpoint)
  }

  @Test(
    "The same bytes twice, and again from what was read",
    arguments: [WriteOptions.Compression.none, .deflate]
  )
  func deterministic(compression: WriteOptions.Compression) throws {
    let checkpoint = try randomCheckpoint(seed: 6)
    let bytes = try written(checkpoint, compression)
    #expect(try written(checkpoint, compression) == bytes)
    #expect(try written(try load(bytes), compression) == bytes)

    let directory = try TemporaryDirectory()
    let first = try directory.write(bytes, to: "first.strata")
    try CheckpointReader(contentsOf: first).contents.write(
      to: directory.path("second.strata"),
      format: StrataFormat(),
      options: WriteOptions(compression: compression),
      sources: [first]
    )
    #expect(try directory.read("second.strata") == bytes)
  }

  @Test("The writer gives the bytes of the article's tables")
  func bytesOfTheArticle() throws {
    let w = try Tensor(dtype: .uint8, shape: [2, 3], bytes: Bytes([1, 2, 3, 4, 5, 6]))
    let bias = try Tensor(dtype: .uint8, shape: [5], bytes: Bytes([7, 8, 9, 10, 11]))
    let output = try Tensor(dtype: .uint8, shape: [], bytes: Bytes([12]))
    let checkpoint = Checkpoint(
      stateDict: ["w": w, "bias": bias],
      metadata: ["key": "value"],
      goldens: ["output": output]
    )
    #expect(try written(checkpoint) == StrataImage.small.bytes())
  }

  @Test("Dtype codes are those of the article")
  func dtypeCodes() throws {
    let order: [DType] = [
      .float64, .float32, .float16, .bfloat16, .int64, .int32, .int16, .int8, .uint64, .uint32,
      .uint16, .uint8, .bool,
    ]
    for (code, dtype) in zip(1..., order) {
      var image = StrataImage()
      image.parts = [.init(chunks: [[UInt8](repeating: 1, count: dtype.size)])]
      var entry = StrataImage.Entry("x", [], part: 0)
      entry.dtype = UInt16(code)
      image.stateDict = [entry]
      #expect(try load(image.bytes()).stateDict["x"]?.dtype == dtype)
    }
  }

  @Test("Data begin at multiples of 64", arguments: [WriteOptions.Compression.none, .deflate])
  func alignment(compression: WriteOptions.Compression) throws {
    let bytes = try written(try randomCheckpoint(seed: 7), compression)
    // The part table is the first section: behind header, section head, count and reserved field.
    let file = Bytes(bytes)
    let count = Int(file.integer(at: 64 + 16, as: UInt32.self))
    var at = 64 + 24
    for _ in 0..<count {
      #expect(file.integer(at: at, as: UInt64.self) % 64 == 0)
      at += 24 + 8 * Int(file.integer(at: at + 16, as: UInt32.self))
    }
    #expect(count > 80)
    #expect(bytes.count % 64 == 0)
  }

  // MARK: Ranges

  @Test(
    "Ranges of large tensors, across the borders of chunks",
    arguments: [WriteOptions.Compression.none, .deflate]
  )
  func ranges(compression: WriteOptions.Compression) throws {
    var generator = SeededGenerator(seed: 8)
    // Three chunks, the last one shorter; made of few random bytes, as debug builds are slow.
    let count = 2 * (1 << 20) + 4096
    let block = (0..<4093).map { _ in UInt8.random(in: 0...255, using: &generator) }
    let array = (0..<count).map { block[$0 % block.count] }
    let tensor = try Tensor(dtype: .float32, shape: Shape([count / 4]), bytes: Bytes(array))
    let bytes = try written(Checkpoint(stateDict: ["large": tensor, "next": tensor]), compression)
    let directory = try TemporaryDirectory()
    let path = try directory.write(bytes, to: "x.strata")
    let sources = try [
      ByteSource(contentsOf: path), ByteSource(mappingImmutableFileAt: path),
      ByteSource(mappingImmutableFileAt: path, checksData: false), ByteSource(Bytes(bytes)),
    ]
    for source in sources {
      let stored = try #require(try CheckpointReader(source)["large"])
      #expect(stored.encoding == (compression == .none ? "raw" : "deflate"))
      #expect(try stored.read() == tensor)
      for _ in 0..<10 {
        let range = randomRange(count, using: &generator)
        #expect(try stored.bytes(in: range) == tensor.bytes[range], "\(range), \(generator)")
      }
      for border in [1 << 20, 2 << 20] {
        for range in [(border - 3)..<(border + 5), border..<(border + 1), (border - 1)..<border] {
          #expect(try stored.bytes(in: range) == tensor.bytes[range], "\(range)")
        }
      }
      #expect(try stored.bytes(in: 0..<0).count == 0)
      #expect(try stored.bytes(in: count..<count).count == 0)
    }
  }

  @Test(
    "More than one piece of 4 MiB is written and verified",
    arguments: [WriteOptions.Compression.none, .deflate]
  )
  func pieces(compression: WriteOptions.Compression) throws {
    let count = StoredTensor.pieceSize + 100
    let tensor = try Tensor(
      dtype: .uint8,
      shape: Shape([count]),
      bytes: Bytes((0..<count).map { UInt8(truncatingIfNeeded: $0 / 3) })
    )
    let bytes = try written(Checkpoint(stateDict: ["x": tensor]), compression)
    #expect(try load(bytes).stateDict["x"] == tensor)
  }

  // MARK: Where the bytes come from

  @Test(
    "From a path, a URL, data, bytes, mapped: the same",
    arguments: [WriteOptions.Compression.none, .deflate]
  )
  func sources(compression: WriteOptions.Compression) throws {
    let checkpoint = try randomCheckpoint(seed: 9)
    let bytes = try written(checkpoint, compression)
    let directory = try TemporaryDirectory()
    let path = try directory.write(bytes, to: "x.strata")
    #expect(try Checkpoint(contentsOf: path) == checkpoint)
    #expect(try Checkpoint(contentsOf: URL(fileURLWithPath: path)) == checkpoint)
    #expect(try Checkpoint(Data(bytes)) == checkpoint)
    #expect(try Checkpoint(bytes) == checkpoint)
    #expect(try Checkpoint(mappingImmutableFileAt: path) == checkpoint)
    #expect(try Checkpoint(mappingImmutableFileAt: path, verify: .directory) == checkpoint)
  }

  @Test("What was loaded by copying does not change with the file; a reader notices a shorter one")
  func immune() throws {
    let checkpoint = try randomCheckpoint(seed: 10)
    let directory = try TemporaryDirectory()
    let path = try directory.write(try written(checkpoint), to: "x.strata")
    let loaded = try Checkpoint(contentsOf: path)
    let reader = try CheckpointReader(contentsOf: path)
    let handle = try #require(FileHandle(forWritingAtPath: path))
    try handle.truncate(atOffset: 100)
    try handle.close()
    #expect(loaded == checkpoint)
    #expect(code { () throws(CheckpointError) in try reader.contents.verify() } == .truncated)
  }

  @Test("A mapped file renamed over keeps its bytes")
  func renamedOver() throws {
    let checkpoint = try randomCheckpoint(seed: 11)
    let directory = try TemporaryDirectory()
    let path = try directory.write(try written(checkpoint), to: "x.strata")
    let mapped = try Checkpoint(mappingImmutableFileAt: path)
    try Checkpoint(stateDict: StateDict()).write(
      to: path,
      options: WriteOptions(replacesExisting: true)
    )
    #expect(mapped == checkpoint)
  }

  @Test("Mapped with .directory takes data as they are, but no damaged directory")
  func mappedVerification() throws {
    let directory = try TemporaryDirectory()
    let image = StrataImage.small.bytes()
    var data = image
    data[data.count - 3 * 64] ^= 1
    var head = image
    head[100] ^= 1
    let dataPath = try directory.write(data, to: "data.strata")
    let headPath = try directory.write(head, to: "head.strata")
    func map(_ path: String, _ verify: Checkpoint.MappedVerification) -> CheckpointError.Code? {
      code { () throws(CheckpointError) in
        try Checkpoint(mappingImmutableFileAt: path, verify: verify)
      }
    }
    #expect(map(dataPath, .all) == .checksumMismatch)
    #expect(map(dataPath, .directory) == nil)
    #expect(map(headPath, .all) == .checksumMismatch)
    #expect(map(headPath, .directory) == .checksumMismatch)
    let loaded = try Checkpoint(mappingImmutableFileAt: dataPath, verify: .directory)
    #expect(loaded.stateDict["w"]?.bytes.array == [0, 2, 3, 4, 5, 6])
  }
}
