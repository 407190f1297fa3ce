import Checkpoints
import CheckpointsHDF5
import Foundation
import Testing

@Suite struct HDF5WritingTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Every dtype, scalars, empty tensors, ranks up to 4, an order that is not the alphabet's, text
  /// of all kinds.
  private func checkpoint(seed: UInt64) throws -> Checkpoint {
    var random = SeededGenerator(seed: seed)
    var stateDict = StateDict()
    for (index, dtype) in DType.allCases.enumerated().reversed() {
      let name = "encoder.l\(index).\(dtype.rawValue)"
      try stateDict.append(random.tensor(dtype, [3, 5, 2]), named: name)
      try stateDict.append(random.tensor(dtype, []), named: "\(name)_scalar")
      try stateDict.append(random.tensor(dtype, [0, 4]), named: "\(name)_empty")
    }
    try stateDict.append(random.tensor(.float32, [4, 1, 3, 2]), named: "größe.重み")
    try stateDict.append(random.tensor(.float32, [1]), named: "a")
    var goldens = StateDict()
    try goldens.append(random.tensor(.float32, [4, 2, 3]), named: "input")
    try goldens.append(random.tensor(.float64, [4, 2, 5]), named: "encoder.rnn.output_f64")
    try goldens.append(random.tensor(.int64, [2]), named: "encoder.rnn.lengths")
    return Checkpoint(
      stateDict: stateDict,
      metadata: [
        "plain": "text", "empty": "", "unicode": "größe → 大小 🙂", "spaces": "  both ends  ",
        "long": String(repeating: "0123456789", count: 10_000), "encoder.l0@note": "of a tensor",
        "schlüssel": "line\nline", "number": "128",
      ],
      moduleRecords: [
        ModuleRecord(
          path: "encoder", type: "torch.nn.LSTM",
          options: [
            "mode": .string("LSTM"), "hidden_size": .number(5), "batch_first": .bool(true),
          ])
      ],
      modelDescription: #"{"modules":[],"version":1}"#, goldens: goldens)
  }

  private func options(
    _ layout: WriteOptions.HDF5Layout, _ compression: WriteOptions.Compression = .none
  ) -> WriteOptions {
    WriteOptions(compression: compression, hdf5Layout: layout)
  }

  @Test(
    arguments: [
      (.flat, .none), (.flat, .deflate), (.nested, .none), (.nested, .deflate),
    ] as [(WriteOptions.HDF5Layout, WriteOptions.Compression)], Place.allCases)
  func thereAndBackKeepsEverything(
    way: (layout: WriteOptions.HDF5Layout, compression: WriteOptions.Compression), place: Place
  ) throws {
    let (layout, compression) = way
    let seed = UInt64.random(in: 0...UInt64.max)
    let written = try checkpoint(seed: seed)
    let path = directory.path("\(layout)-\(compression).h5")
    try written.write(to: path, format: place.format, options: options(layout, compression))
    let read = try Checkpoint(CheckpointReader(contentsOf: path, formats: [place.format]))
    #expect(read.stateDict == written.stateDict, "seed \(seed)")
    #expect(read.goldens == written.goldens, "seed \(seed)")
    #expect(read.metadata == written.metadata)
    #expect(read.moduleRecords == written.moduleRecords)
    #expect(read.modelDescription == written.modelDescription)
  }

  @Test(arguments: WriteOptions.HDF5Layout.allCases, [WriteOptions.Compression.none, .deflate])
  func theSameContentsGiveTheSameBytes(
    layout: WriteOptions.HDF5Layout, compression: WriteOptions.Compression
  ) throws {
    let written = try checkpoint(seed: 7)
    var files: [Data] = []
    for name in ["first.h5", "second.h5"] {
      let path = directory.path(name)
      try written.write(to: path, format: HDF5Format(), options: options(layout, compression))
      files.append(try Data(contentsOf: URL(filePath: path)))
      // A time stamp counts in seconds.
      if name == "first.h5" { Thread.sleep(forTimeInterval: 1.1) }
    }
    #expect(files[0] == files[1])
  }

  /// Larger than a piece of 4 MiB, in chunks that pieces cut: rows of 3 × 1001 elements.
  @Test(arguments: [WriteOptions.Compression.none, .deflate], Place.allCases)
  func aTensorOfSeveralPiecesComesBack(
    compression: WriteOptions.Compression, place: Place
  ) throws {
    var random = SeededGenerator(seed: 3)
    var tensor = try random.tensor(.int16, [1000, 3, 1001])
    // Half of it zeros, so that deflate finds something.
    tensor = try Tensor(
      dtype: .int16, shape: tensor.shape,
      bytes: Bytes(joining: [
        tensor.bytes[0..<3_003_000], Bytes([UInt8](repeating: 0, count: 3_003_000)),
      ]))
    let path = directory.path("large.h5")
    try Checkpoint(stateDict: ["w": tensor])
      .write(to: path, format: place.format, options: options(.flat, compression))
    let contents = try place.format.open(ByteSource(contentsOf: path))
    let stored = try #require(contents["w"])
    #expect(try stored.read() == tensor)
    #expect((stored.storedByteCount < 4_000_000) == (compression == .deflate))
  }

  /// A row alone is larger than a chunk.
  @Test(arguments: Place.allCases)
  func aVeryWideTensorComesBack(place: Place) throws {
    var random = SeededGenerator(seed: 4)
    let tensor = try random.tensor(.float32, [2, 3, 300_007])
    let path = directory.path("wide.h5")
    try Checkpoint(stateDict: ["w": tensor])
      .write(to: path, format: place.format, options: options(.flat, .deflate))
    let contents = try place.format.open(ByteSource(contentsOf: path))
    #expect(try contents["w"]?.read() == tensor)
  }

  @Test(arguments: Place.allCases)
  func convertsFromOneHDF5FileToAnother(place: Place) throws {
    // The lock must be free while pieces are read from the other file.
    let source = try CheckpointReader(
      contentsOf: Fixtures.path("storage.h5"), formats: [place.format])
    let path = directory.path("copy.h5")
    try source.contents.write(
      to: path, format: place.format, options: options(.nested, .deflate))
    let copy = try Checkpoint(CheckpointReader(contentsOf: path, formats: [place.format]))
    let original = try Checkpoint(source)
    #expect(copy.stateDict == original.stateDict)
  }

  @Test(arguments: Place.allCases)
  func nothingIsLeftOpenNorBeside(place: Place) throws {
    let path = directory.path("closed.h5")
    for _ in 0..<3 {
      try checkpoint(seed: 1).write(
        to: path, format: place.format, options: WriteOptions(replacesExisting: true))
      let contents = try place.format.open(ByteSource(contentsOf: path))
      try contents.verify()
    }
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: directory.url.path()) == ["closed.h5"])
  }

  // MARK: Refused

  @Test(
    arguments: [
      ("", .flat), ("a/b", .flat), (".", .flat), ("a\u{0}b", .flat), ("strata_goldens", .flat),
      ("strata_goldens.x", .flat), ("a..b", .nested), (".a", .nested), ("a.", .nested),
      ("a.b/c", .nested), ("strata_goldens.x", .nested),
    ] as [(String, WriteOptions.HDF5Layout)])
  func namesThatHDF5CannotHoldAreRefused(name: String, layout: WriteOptions.HDF5Layout) throws {
    let path = directory.path("bad.h5")
    let written = Checkpoint(stateDict: [name: Tensor([1, 2] as [Float], shape: [2])])
    let error = expectFault(.badName) {
      try written.write(to: path, format: HDF5Format(), options: options(layout))
    }
    #expect(error?.tensor == name)
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.url.path()).isEmpty)
  }

  @Test func dotsAtTheEdgesAreKeptInTheFlatLayout() throws {
    let names = ["a..b", ".a", "a.", ".."]
    var stateDict = StateDict()
    for name in names { stateDict[name] = Tensor([1] as [Float], shape: [1]) }
    let path = directory.path("dots.h5")
    try Checkpoint(stateDict: stateDict).write(to: path, format: HDF5Format())
    #expect(try HDF5Format().open(ByteSource(contentsOf: path)).tensors.map(\.name) == names)
  }

  @Test(arguments: [["a", "a.b"], ["a.b.c", "a.b"]])
  func aTensorBelowATensorNeedsTheFlatLayout(names: [String]) throws {
    var stateDict = StateDict()
    for name in names { stateDict[name] = Tensor([1] as [Float], shape: [1]) }
    let written = Checkpoint(stateDict: stateDict)
    let error = expectFault(.badName) {
      try written.write(
        to: directory.path("nested.h5"), format: HDF5Format(), options: options(.nested))
    }
    #expect(error?.reason.contains("flat") == true)
    try written.write(to: directory.path("flat.h5"), format: HDF5Format())
  }

  /// Where Keras looks for lists of names, and this reader with it, no other text may stand.
  @Test func textsThatWouldBeKerasListsAreLeftOut() throws {
    let keras = ["weight_names": "hello", "layer_names1": "x", "model_config": #"{"a":"Lambda"}"#]
    let written = Checkpoint(
      stateDict: ["w": Tensor([1] as [Float], shape: [1])],
      metadata: keras.merging(["weight_names_of_mine": "y"]) { $1 })
    #expect(
      HDF5Format().dropped(from: written.contents) == keras.keys.sorted().map { "metadata \($0)" })
    let path = directory.path("keras.h5")
    try written.write(to: path, format: HDF5Format())
    let read = try Checkpoint(contentsOf: path, formats: [HDF5Format()])
    #expect(read.metadata == ["weight_names_of_mine": "y"])
  }

  @Test(
    arguments: [
      ["key": "nul\u{0}"], ["strata_modules": "[]"], ["strata_model": "{}"], ["": "x"],
      ["k\u{0}": "x"],
    ])
  func textThatHDF5CannotHoldIsRefused(metadata: [String: String]) throws {
    let written = Checkpoint(stateDict: [:], metadata: metadata)
    expectFault(.metadataInvalid) {
      try written.write(to: directory.path("text.h5"), format: HDF5Format())
    }
  }

  @Test func aNameThatOccursTwiceIsRefused() throws {
    let tensor = StoredTensor(Tensor([1] as [Float], shape: [1]), named: "w")
    expectFault(.duplicateName) {
      try CheckpointContents(tensors: [tensor, tensor])
        .write(to: directory.path("twice.h5"), format: HDF5Format())
    }
  }
}
