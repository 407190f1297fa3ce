import Foundation
import TestSupport
import Testing

@testable import Checkpoints

@Suite("Shards")
struct ShardsTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  // MARK: Reading

  /// A file of tensors of one byte each, which is the place in `names`.
  private func write(_ names: [String], metadata: String = "{}", to file: String) throws {
    let entries = names.enumerated().map { place, name in
      #""\#(name)":{"dtype":"U8","shape":[1],"data_offsets":[\#(place),\#(place + 1)]}"#
    }
    let header = "{" + (["\"__metadata__\":\(metadata)"] + entries).joined(separator: ",") + "}"
    let data = names.indices.map { UInt8($0) }
    try directory.write(SafetensorsTests.image(header, data), to: file)
  }

  private func writeIndex(_ text: String, to name: String = "m.safetensors.index.json") throws
    -> String
  {
    try directory.write(Array(text.utf8), to: name)
  }

  @Test("One checkpoint in the index's order; other files do not count")
  func reading() throws {
    try write(["a", "c"], metadata: #"{"format":"pt","x":"1"}"#, to: "1.safetensors")
    try write(["b"], metadata: #"{"format":"pt","x":"2","strata_model":"{}"}"#, to: "2")
    try write(["d"], to: "m-00003-of-00003.safetensors")
    let path = try writeIndex(
      #"""
      {"metadata":{"total_size":3,"who":"me","more":[1]},
       "weight_map":{"c":"1.safetensors","b":"2","a":"1.safetensors"}}
      """#)
    let reader = try CheckpointReader(contentsOf: path)
    #expect(reader.format == "safetensors")
    #expect(reader.tensors.map(\.name) == ["c", "b", "a"])
    #expect(try reader.tensors.map { try $0.read().bytes.array } == [[1], [0], [0]])
    #expect(reader.contents.metadata == ["who": "me", "format": "pt", "x": "1"])
    #expect(reader.contents.modelDescription == "{}")
    #expect(
      reader.contents.ignored == [
        "more of the index", "metadata x of 2, which another file says otherwise",
      ])
    let empty = try writeIndex(#"{"weight_map":{}}"#, to: "empty.json")
    #expect(try CheckpointReader(contentsOf: empty).tensors.isEmpty)
  }

  @Test("The files that are hashed are those that are read, whatever has their names by now")
  func replaced() throws {
    try write(["a"], to: "2.safetensors")
    try write(["b"], to: "1.safetensors")
    let path = try writeIndex(#"{"weight_map":{"a":"2.safetensors","b":"1.safetensors"}}"#)
    let reader = try CheckpointReader(contentsOf: path)
    let before = try ["1.safetensors", "2.safetensors"].map(directory.read)
    try Data("another".utf8).write(
      to: URL(fileURLWithPath: directory.path("2.safetensors")), options: .atomic)
    let read = try reader.contents.otherSources.map { try $0.bytes(in: 0..<$0.count).array }
    #expect(read == before)
  }

  @Test(
    "Each rule has its code",
    arguments: [
      (#"{"weight_map":{"a":"1","b":"1","d":"3"}}"#, CheckpointError.Code.fileNotFound),
      (#"{"weight_map":{"a":"1","b":"1","c":"2","d":"2"}}"#, .parameterMissing),
      (#"{"weight_map":{"a":"1"}}"#, .parameterUnexpected),
      (#"{"weight_map":{"a":"2","c":"1"}}"#, .parameterMissing),
      (#"{"weight_map":{"a":"1","b":"2","c":"2"}}"#, .parameterUnexpected),
      (#"{"weight_map":{"a":"1","a":"1"}}"#, .duplicateName),
      (#"{"weight_map":{"a":"../1"}}"#, .unsafePath), (#"{"weight_map":{"a":".."}}"#, .unsafePath),
      (#"{"weight_map":{"a":"."}}"#, .unsafePath), (#"{"weight_map":{"a":""}}"#, .unsafePath),
      (#"{"weight_map":{"a":"/1"}}"#, .unsafePath), (#"{"weight_map":{"a":"b/1"}}"#, .unsafePath),
      (#"{"weight_map":{"a":"b\\1"}}"#, .unsafePath),
      (#"{"weight_map":{"a":"1\u0000"}}"#, .unsafePath),
      (#"{"weight_map":{"a":1}}"#, .headerInvalid), (#"{"weight_map":["1"]}"#, .headerInvalid),
      (#"{"weight_map":{"a":"1""#, .headerInvalid),
      (#"{"metadata":[],"weight_map":{}}"#, .headerInvalid),
      (#"{"metadata":{}}"#, .headerInvalid), ("[]", .headerInvalid), ("", .headerInvalid),
      (#"{"weight_map":{"a":"broken"}}"#, .headerLength),
      // An index is no shard.
      (#"{"weight_map":{"a":"m.safetensors.index.json"}}"#, .headerLength),
    ])
  func refusal(index: String, expected: CheckpointError.Code) throws {
    try write(["a", "b"], to: "1")
    try write(["c"], to: "2")
    try directory.write([1, 2, 3], to: "broken")
    let path = try writeIndex(index)
    #expect(
      code { () throws(CheckpointError) in try CheckpointReader(contentsOf: path) } == expected)
  }

  /// As transformers writes `pytorch_model.bin.index.json`.
  @Test("Shards of torch.save", arguments: ["bin", "pt", "PTH"])
  func pytorch(fileExtension: String) throws {
    let checkpoint = try checkpoint([3, 4, 5])
    var map: [String] = []
    for (place, tensor) in checkpoint.contents.tensors.enumerated() {
      let file = "m-\(place).\(fileExtension)"
      try CheckpointContents(tensors: [tensor]).write(
        to: directory.path(file), format: PyTorchFormat())
      map.append("\"\(tensor.name)\":\"\(file)\"")
    }
    let path = try writeIndex(
      #"{"metadata":{"total_size":12},"weight_map":{"# + map.joined(separator: ",") + "}}",
      to: "m.bin.index.json")
    let reader = try CheckpointReader(contentsOf: path)
    #expect(reader.format == "pytorch")
    #expect(try StateDict(reading: reader.tensors) == checkpoint.stateDict)
    for (index, expected) in [
      (
        #"{"weight_map":{"t0":"m-0.\#(fileExtension)","t1":"m-0.\#(fileExtension)"}}"#,
        CheckpointError.Code.parameterMissing
      ),
      (#"{"weight_map":{"x":"m-0.\#(fileExtension)"}}"#, .parameterMissing),
      (#"{"weight_map":{"t0":"gone.\#(fileExtension)"}}"#, .fileNotFound),
      (#"{"weight_map":{"t0":"../m-0.\#(fileExtension)"}}"#, .unsafePath),
      (#"{"weight_map":{"t0":"m-0.\#(fileExtension)","#, .headerInvalid),
    ] {
      let path = try writeIndex(index, to: "m.bin.index.json")
      #expect(
        code { () throws(CheckpointError) in try CheckpointReader(contentsOf: path) } == expected)
    }
  }

  @Test("An index in memory has no files beside it")
  func memory() {
    let index = Array(#"{"weight_map":{"a":"1"}}"#.utf8)
    #expect(code { () throws(CheckpointError) in try Checkpoint(index) } == .fileNotFound)
  }

  // MARK: Writing

  private func write(
    _ checkpoint: Checkpoint, to name: String, shardSize: Int? = 400, replacing: Bool = false,
    sources: [String] = []
  ) throws(CheckpointError) {
    try checkpoint.contents.write(
      to: directory.path(name), format: SafetensorsFormat(),
      options: WriteOptions(replacesExisting: replacing, shardSize: shardSize), sources: sources)
  }

  private func read(_ name: String) throws(CheckpointError) -> Checkpoint {
    try Checkpoint(contentsOf: directory.path(name))
  }

  private func checkpoint(_ sizes: [Int], value: UInt8 = 1) throws -> Checkpoint {
    var checkpoint = Checkpoint(stateDict: StateDict(), metadata: ["k": "v"])
    for (place, size) in sizes.enumerated() {
      let bytes = Bytes([UInt8](repeating: value, count: size))
      try checkpoint.stateDict.append(
        Tensor(dtype: .uint8, shape: Shape([size]), bytes: bytes), named: "t\(place)")
    }
    return checkpoint
  }

  @Test("There and back, in order", arguments: ["x.safetensors", "x.safetensors.index.json"])
  func roundTrip(name: String) throws {
    var checkpoint = try randomCheckpoint(seed: 11)
    try write(checkpoint, to: name)
    checkpoint.goldens = StateDict()
    #expect(try read("x.safetensors.index.json") == checkpoint)
    let names = try directory.names()
    #expect(names.count > 5 && !names.contains("x.safetensors"))
    for (place, name) in names.dropLast().enumerated() {
      let number = String(100_001 + place).dropFirst()
      let count = String(100_000 + names.count - 1).dropFirst()
      #expect(name == "x-\(number)-of-\(count).safetensors")
    }
  }

  @Test("The index as other tools write it")
  func index() throws {
    try write(checkpoint([3, 4, 300, 1]), to: "x.safetensors", shardSize: 7)
    #expect(
      try String(decoding: directory.read("x.safetensors.index.json"), as: UTF8.self) == """
        {
          "metadata": {
            "total_size": 308
          },
          "weight_map": {
            "t0": "x-00001-of-00003.safetensors",
            "t1": "x-00001-of-00003.safetensors",
            "t2": "x-00002-of-00003.safetensors",
            "t3": "x-00003-of-00003.safetensors"
          }
        }

        """)
  }

  @Test("A single shard is the plain file, unless the index is asked for")
  func single() throws {
    let checkpoint = try checkpoint([3, 4])
    try write(checkpoint, to: "x.safetensors", shardSize: 7)
    #expect(try directory.names() == ["x.safetensors"])
    try write(checkpoint, to: "y.safetensors.index.json", shardSize: nil)
    #expect(
      try directory.names() == [
        "x.safetensors", "y-00001-of-00001.safetensors", "y.safetensors.index.json",
      ])
    #expect(try read("y.safetensors.index.json") == checkpoint)
    try write(Checkpoint(stateDict: StateDict()), to: "z.safetensors.index.json")
    #expect(try read("z.safetensors.index.json").stateDict.isEmpty)
  }

  @Test(
    "Nothing is replaced unasked",
    arguments: ["x.safetensors", "x.safetensors.index.json", "x-00002-of-00002.safetensors"])
  func exists(name: String) throws {
    try directory.write([1], to: name)
    let checkpoint = try checkpoint([300, 300])
    #expect(
      code { () throws(CheckpointError) in try write(checkpoint, to: "x.safetensors") } == .exists)
    #expect(try directory.names() == [name])
    #expect(try directory.read(name) == [1])
    try write(checkpoint, to: "x.safetensors", replacing: true)
    #expect(try read("x.safetensors.index.json") == checkpoint)
    #expect(try directory.names().count == 3)
  }

  @Test("A newer checkpoint in place of an older one")
  func replacing() throws {
    try write(checkpoint([300, 300, 300]), to: "x.safetensors")
    let newer = try checkpoint([300, 300, 300], value: 2)
    try write(newer, to: "x.safetensors", replacing: true)
    #expect(try read("x.safetensors.index.json") == newer)
    #expect(try directory.names().count == 4)
  }

  @Test("A fault in the last shard leaves nothing, and the old files as they were")
  func fault() throws {
    try write(checkpoint([300, 300]), to: "x.safetensors")
    let before = try directory.read("x-00001-of-00002.safetensors")
    var contents = try checkpoint([300, 300], value: 3).contents
    contents.tensors.append(contents.tensors[0])
    contents.tensors[2].name = "__metadata__"
    #expect(
      code { () throws(CheckpointError) in
        try contents.write(
          to: directory.path("x.safetensors"), format: SafetensorsFormat(),
          options: WriteOptions(replacesExisting: true, shardSize: 400))
      } == .badName)
    #expect(try directory.names().count == 3)
    #expect(try directory.read("x-00001-of-00002.safetensors") == before)
  }

  @Test("The files of the source are no target")
  func sameFile() throws {
    try write(checkpoint([300, 300]), to: "x.safetensors")
    let path = directory.path("x.safetensors.index.json")
    let contents = try CheckpointReader(contentsOf: path).contents
    for name in ["x.safetensors", "x.safetensors.index.json"] {
      #expect(
        code { () throws(CheckpointError) in
          try contents.write(
            to: directory.path(name), format: SafetensorsFormat(),
            options: WriteOptions(replacesExisting: true, shardSize: 400), sources: [path])
        } == .sameFile)
    }
    try contents.write(
      to: directory.path("y.safetensors"), format: SafetensorsFormat(),
      options: WriteOptions(shardSize: 400), sources: [path])
    #expect(try read("y.safetensors.index.json") == read("x.safetensors.index.json"))
  }

  @Test("Other formats are one file")
  func otherFormats() throws {
    let contents = try checkpoint([1]).contents
    #expect(
      code { () throws(CheckpointError) in
        try contents.write(
          to: directory.path("x"), format: StrataFormat(), options: WriteOptions(shardSize: 1))
      } == .notWritable)
    #expect(!StrataFormat().canShard && SafetensorsFormat().canShard)
  }
}
