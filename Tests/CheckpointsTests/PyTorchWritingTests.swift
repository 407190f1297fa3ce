import TestSupport
import Testing

@testable import Checkpoints

@Suite struct PyTorchWritingTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func write(_ checkpoint: Checkpoint, _ name: String) throws -> String {
    let path = directory.path(name)
    try checkpoint.write(to: path, format: PyTorchFormat())
    return path
  }

  @Test func everythingIsReadBackBitForBit() throws {
    let checkpoint = try randomCheckpoint(seed: 7)
    let path = try write(checkpoint, "a.pt")
    let reader = try CheckpointReader(contentsOf: path)
    #expect(reader.format == "pytorch")
    #expect(try StateDict(reading: reader.tensors) == checkpoint.stateDict)
    #expect(reader.contents.goldens.isEmpty)
    #expect(reader.contents.ignored.isEmpty)
    try reader.contents.verify()
  }

  @Test func storagesAreAlignedAndBytesAreTheSameForTheSameInput() throws {
    let checkpoint = try randomCheckpoint(seed: 8)
    _ = try write(checkpoint, "a.pt")
    _ = try write(checkpoint, "b.pt")
    #expect(try directory.read("a.pt") == directory.read("b.pt"))
    let archive = try ZipArchive(ByteSource(contentsOf: directory.path("a.pt")))
    #expect(archive.entries.count == checkpoint.stateDict.count + 3)
    for entry in archive.entries { #expect(entry.dataOffset.isMultiple(of: 64), "\(entry.name)") }
  }

  @Test(arguments: [".", "a.", "...", ".a", "a..b", "a:b", " "])
  func oddNamesAreNames(name: String) throws {
    var checkpoint = Checkpoint(stateDict: StateDict())
    try checkpoint.stateDict.append(Tensor([Float(1)], shape: [1]), named: name)
    let reader = try CheckpointReader(contentsOf: write(checkpoint, "odd.pt"))
    #expect(try StateDict(reading: reader.tensors) == checkpoint.stateDict)
  }

  /// More tensors than one byte numbers, each name its own: the memo holds none of them.
  @Test func manyTensorsAreWritten() throws {
    var checkpoint = Checkpoint(stateDict: StateDict())
    for index in 0..<1000 {
      try checkpoint.stateDict.append(Tensor([Float(index)], shape: [1]), named: "w\(index)")
    }
    let reader = try CheckpointReader(contentsOf: write(checkpoint, "many.pt"))
    #expect(try StateDict(reading: reader.tensors) == checkpoint.stateDict)
  }

  @Test func whatAStateDictDoesNotHoldIsTold() throws {
    let contents = try randomCheckpoint(seed: 9).contents
    let dropped = PyTorchFormat().dropped(from: contents)
    #expect(
      dropped == [
        "\(contents.metadata.count) metadata entries", "1 module records", "the model description",
        "\(contents.goldens.count) goldens",
      ])
    #expect(PyTorchFormat().dropped(from: CheckpointContents(tensors: contents.tensors)).isEmpty)
  }

  @Test(arguments: ["", "a\u{0}b"])
  func badNamesAreRefused(name: String) throws {
    let contents = CheckpointContents(
      tensors: [StoredTensor(Tensor([Float(1)], shape: [1]), named: name)])
    #expect(
      code { () throws(CheckpointError) in
        try contents.write(to: directory.path("bad.pt"), format: PyTorchFormat())
      } == .badName)
    #expect(try directory.names().isEmpty)
  }

  @Test func aNameThatOccursTwiceIsRefused() throws {
    let tensor = StoredTensor(Tensor([Float(1)], shape: [1]), named: "a")
    let contents = CheckpointContents(tensors: [tensor, tensor])
    #expect(
      code { () throws(CheckpointError) in
        try contents.write(to: directory.path("bad.pt"), format: PyTorchFormat())
      } == .duplicateName)
  }
}
