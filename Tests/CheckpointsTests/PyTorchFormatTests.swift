import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite struct PyTorchFormatTests {
  private enum Way: String, CaseIterable { case path, memory, mapped }

  private func source(_ path: String, _ way: Way) throws -> ByteSource {
    switch way {
    case .path: try ByteSource(contentsOf: path)
    case .memory: ByteSource(Bytes(try Data(contentsOf: URL(filePath: path))))
    case .mapped: try ByteSource(mappingImmutableFileAt: path)
    }
  }

  @Test func fixturesAreThere() {
    #expect(TorchFixtures.names.count >= 300)
  }

  // MARK: What torch wrote

  @Test(arguments: TorchFixtures.names, Way.allCases)
  private func everyTensorIsTorchs(name: String, way: Way) throws {
    let expected = try #require(TorchFixtures.expected[name])
    let path = TorchFixtures.path(name)
    if let refused = expected.refused {
      #expect(
        code { () throws(CheckpointError) in
          try PyTorchFormat().open(ByteSource(contentsOf: path))
        }?.rawValue == refused)
      return
    }
    let source = try source(path, way)
    #expect(try PyTorchFormat().recognizes(source))
    let contents = try PyTorchFormat().open(source)
    var wanted = expected.tensors ?? []
    var tensors = contents.tensors
    if expected.isOrdered == false {
      wanted.sort { $0.name < $1.name }
      tensors.sort { $0.name < $1.name }
    }
    #expect(tensors.map(\.name) == wanted.map(\.name))
    for (tensor, wanted) in zip(tensors, wanted) {
      if let shape = wanted.shape { #expect(tensor.shape.dimensions == shape, "\(tensor.name)") }
      if let refused = wanted.refused {
        #expect(tensor.dtype == nil)
        // Of a packed object torch tells the class, which does not stand in the file.
        if wanted.shape != nil { #expect(tensor.dtypeName == wanted.dtype) }
        #expect(code { () throws(CheckpointError) in try tensor.read() }?.rawValue == refused)
      } else {
        #expect(tensor.dtype?.rawValue == wanted.dtype, "\(tensor.name)")
        #expect(try tensor.read().bytes.hex == wanted.hex, "\(tensor.name)")
      }
    }
    try contents.verify()
  }

  @Test(arguments: TorchFixtures.names.filter { TorchFixtures.expected[$0]?.key != nil })
  func theStateDictThatIsMeantIsFound(name: String) throws {
    let expected = try #require(TorchFixtures.expected[name])
    let key = try #require(expected.key)
    let contents = try PyTorchFormat().open(ByteSource(contentsOf: TorchFixtures.path(name)))
    #expect(contents.stateDicts.map(\.path).contains(key), "\(contents.stateDicts)")
    let chosen = try contents.choosing(.at(key))
    let wanted = (expected.tensors ?? []).filter { $0.name.hasPrefix(key + ".") }
    #expect(chosen.tensors.map { "\(key).\($0.name)" } == wanted.map(\.name))
  }

  @Test(arguments: TorchFixtures.names.filter { TorchFixtures.expected[$0]?.modules != nil })
  func optionsOfModulesAreRecorded(name: String) throws {
    let contents = try PyTorchFormat().open(ByteSource(contentsOf: TorchFixtures.path(name)))
    for (path, wanted) in try #require(TorchFixtures.expected[name]?.modules) {
      let record = try #require(contents.moduleRecords.first { $0.path == path })
      #expect(record.type.hasPrefix("torch.nn."))
      for (option, value) in wanted { #expect(record.options[option] == value, "\(option)") }
    }
  }
}
