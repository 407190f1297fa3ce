import Checkpoints
import Foundation
import TestSupport
import Testing

/// Files that numpy and safetensors wrote, made with their answers by tools/make_container_fixtures.py.
@Suite("Files of numpy and safetensors")
struct ContainerFixturesTests {
  struct Expected: Decodable {
    struct Tensor: Decodable {
      var dtype: String
      var shape: [Int]
      var hex: String
      var crc32: UInt32?
    }
    var tensors: [String: Tensor]
    var metadata: [String: String]?
    var refused: [String: String]?
  }

  static let folder = Fixtures.path("containers")

  static let expected: [String: Expected] = {
    let data = FileManager.default.contents(atPath: folder + "/expected.json")
    return (try? JSONDecoder().decode([String: Expected].self, from: data ?? Data())) ?? [:]
  }()

  @Test("The fixtures are there")
  func there() { #expect(Self.expected.count >= 18) }

  @Test("Every bit", arguments: expected.keys.sorted())
  func reading(name: String) throws {
    let expected = try #require(Self.expected[name])
    let reader = try CheckpointReader(contentsOf: "\(Self.folder)/\(name)")
    #expect(
      Set(reader.tensors.map(\.name))
        == Set(expected.tensors.keys).union(expected.refused?.keys.map(\.self) ?? []))
    #expect(reader.contents.metadata == expected.metadata ?? [:])
    for (name, wanted) in expected.tensors {
      let tensor = try #require(reader[name]).read()
      #expect(tensor.dtype.rawValue == wanted.dtype, "\(name)")
      #expect(tensor.shape.dimensions == wanted.shape, "\(name)")
      if let checksum = wanted.crc32 {
        #expect(CRC32(tensor.bytes).value == checksum, "\(name)")
      } else {
        #expect(tensor.bytes.hex == wanted.hex, "\(name)")
      }
    }
    for (name, code) in expected.refused ?? [:] {
      let tensor = try #require(reader[name])
      #expect(tensor.dtype == nil)
      do {
        _ = try tensor.read()
        Issue.record("\(name) was read")
      } catch {
        #expect(error.code.rawValue == code && error.tensor == name, "\(error)")
      }
    }
    try reader.contents.verify()
  }

  @Test("Two bytes without a type are bfloat16 when that is said")
  func void2() throws {
    let reader = try CheckpointReader(
      contentsOf: Self.folder + "/odd.npz", options: ReadOptions(npzVoid2: .bf16))
    let tensor = try #require(reader["void"]).read()
    #expect(tensor.dtype == .bfloat16 && tensor.shape == [3])
    #expect(tensor.bytes.array == [0, 0, 0, 0, 0, 0])
  }
}
