import Checkpoints
import CheckpointsHDF5
import Foundation
import Testing

@Suite struct HDF5ReadingTests {
  private enum Way: String, CaseIterable {
    case path, memory, mapped, pathApart, memoryApart, mappedApart

    var place: Place { rawValue.hasSuffix("Apart") ? .apart : .here }
  }

  private func open(_ name: String, _ way: Way) throws -> CheckpointContents {
    let path = Fixtures.path(name)
    let source =
      switch way {
      case .path, .pathApart: try ByteSource(contentsOf: path)
      case .memory, .memoryApart: ByteSource(Bytes(try Fixtures.bytes(name)))
      case .mapped, .mappedApart: try ByteSource(mappingImmutableFileAt: path)
      }
    return try way.place.format.open(source)
  }

  @Test func fixturesAreThere() {
    #expect(Fixtures.readable.count >= 7)
    #expect(Fixtures.refused.count >= 22)
  }

  @Test(arguments: Fixtures.readable, Way.allCases)
  private func tensorsAreReadBitForBit(name: String, way: Way) throws {
    let expected = try #require(try Fixtures.expected()[name])
    let contents = try open(name, way)
    let names = expected.tensors.keys.map { $0.replacing("/", with: ".") }
    #expect(contents.tensors.map(\.name).sorted() == names.sorted())
    for (path, wanted) in expected.tensors {
      let stored = try #require(contents[path.replacing("/", with: ".")])
      let tensor = try stored.read()
      #expect(tensor.dtype.rawValue == wanted.dtype, "\(path)")
      #expect(tensor.shape.dimensions == wanted.shape, "\(path)")
      #expect(tensor.bytes.hex == wanted.hex, "\(path)")
    }
    try contents.verify()
  }

  @Test(arguments: Fixtures.readable, [Way.path, .pathApart])
  private func attributesBecomeMetadata(name: String, way: Way) throws {
    let expected = try #require(try Fixtures.expected()[name])
    var metadata: [String: String] = [:]
    for (path, attributes) in expected.attributes ?? [:] {
      let place = path == "/" ? "" : path.replacing("/", with: ".") + "@"
      for (attribute, value) in attributes where name != "keras-bf16.h5" {
        metadata[place + attribute] = value.text
      }
    }
    let contents = try open(name, way)
    #expect(contents.metadata == metadata)
    #expect(contents.ignored.isEmpty)
  }

  @Test(arguments: [Way.path, .pathApart])
  private func orderIsTheRecordedOne(way: Way) throws {
    #expect(
      try open("nested.h5", way).tensors.map(\.name) == [
        "encoder.lstm.weight_ih_l0", "encoder.lstm.weight_hh_l0", "encoder.lstm.bias_ih_l0",
        "encoder.lstm.bias_hh_l0", "fc.weight", "fc.bias",
      ])
  }

  @Test(arguments: [Way.path, .pathApart])
  private func orderIsNaturalWithoutARecord(way: Way) throws {
    let names = try open("dtypes.h5", way).tensors.map(\.name).filter { $0.hasSuffix(".le") }
    #expect(
      names == [
        "BF16.le", "BOOL.le", "F16.le", "F32.le", "F64.le", "I8.le", "I16.le", "I32.le", "I64.le",
        "U8.le", "U16.le", "U32.le", "U64.le",
      ])
  }

  @Test(arguments: Fixtures.refused, Place.allCases)
  func isRefusedByTheCodeInItsName(name: String, place: Place) throws {
    let code = CheckpointError.Code(rawValue: String(name.prefix { $0 != "." }))
    let path = Fixtures.path("refused/\(name)")
    let error = expectFault(code) {
      _ = try place.format.open(ByteSource(contentsOf: path))
    }
    #expect(error?.file == path)
    #expect(error?.tensor != nil)
    #expect(error?.reason.contains("\n") == false)
    expectFault(code) {
      _ = try place.format.open(ByteSource(Bytes(Fixtures.bytes("refused/\(name)"))))
    }
  }

  @Test func twoFilesInMemoryAreTwoFiles() throws {
    let nested = try open("nested.h5", .memory)
    let storage = try open("storage.h5", .memory)
    #expect(nested.tensors.count == 6)
    #expect(storage.tensors.count > 6)
    let tensor = try #require(storage["gzip-2d"])
    #expect(try tensor.read() == open("storage.h5", .path)["gzip-2d"]?.read())
  }

  @Test(arguments: Place.allCases)
  func readsFromManyThreads(place: Place) async throws {
    let ways: [Way] = place == .here ? [.path, .memory] : [.pathApart, .memoryApart]
    let contents = try open("storage.h5", ways[0])
    let wanted = try contents.tensors.map { try $0.read() }
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for worker in 0..<8 {
        group.addTask {
          let own = try open("storage.h5", ways[worker % 2])
          return try own.tensors.map { try $0.read() } == wanted
            && contents.tensors.map { try $0.read() } == wanted
        }
      }
      for try await isEqual in group { #expect(isEqual) }
    }
  }

  // MARK: Damaged files

  @Test(arguments: ["nested-plain.h5", "keras-bf16.h5"], Place.allCases)
  func everyTruncationIsRefused(name: String, place: Place) throws {
    let bytes = Bytes(try Fixtures.bytes(name))
    let wanted = try HDF5Format().open(ByteSource(bytes)).tensors.map { try $0.read() }
    var refused = 0
    // A process for each takes its time.
    let counts = Array(stride(from: 0, to: bytes.count, by: place == .here ? 1 : 97))
    for count in counts {
      do {
        let contents = try place.format.open(ByteSource(bytes[0..<count]))
        #expect(try contents.tensors.map { try $0.read() } == wanted, "\(count) bytes")
      } catch let error as CheckpointError {
        refused += 1
        #expect(count >= 8 || error.code == .truncated, "\(count) bytes: \(error)")
      }
    }
    #expect(refused == counts.count)
  }

  @Test(arguments: Place.allCases)
  func aTruncatedFileIsCalledThat(place: Place) throws {
    let directory = try TemporaryDirectory()
    let bytes = try Fixtures.bytes("storage.h5")
    let path = directory.path("cut.h5")
    try Data(bytes[..<(bytes.count / 2)]).write(to: URL(filePath: path))
    let error = expectFault(.truncated) {
      _ = try place.format.open(ByteSource(contentsOf: path))
    }
    #expect(error?.file == path)
  }

  @Test func randomDamageNeverGivesAnotherShapeOfFault() throws {
    let original = try Fixtures.bytes("storage-v110.h5")
    var random = SeededGenerator(seed: 20)
    for _ in 0..<200 {
      var bytes = original
      let place = Int.random(in: 0..<bytes.count, using: &random)
      bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      do {
        try HDF5Format().open(ByteSource(Bytes(bytes))).verify()
      } catch {
        #expect(!error.reason.isEmpty)
      }
    }
  }

  @Test(arguments: Place.allCases)
  func damagedChunksAreNoticed(place: Place) throws {
    let (name, code) = ("fletcher32-2d", CheckpointError.Code.checksumMismatch)
    // The first bytes of the tensor as they are stored: this one is not compressed.
    var bytes = try Fixtures.bytes("storage.h5")
    let hex = try #require(try Fixtures.expected()["storage.h5"]?.tensors[name]?.hex)
    let start = try #require(bytes.firstRange(of: hexBytes(String(hex.prefix(64)))))
    // Equal data stand in the chunks of other variants as well, so all of them are damaged.
    while let range = bytes.firstRange(of: hexBytes(String(hex.prefix(64)))) {
      bytes[range.lowerBound] ^= 1
    }
    #expect(start.count == 32)
    let contents = try place.format.open(ByteSource(Bytes(bytes)))
    let error = expectFault(code) { _ = try contents[name]?.read() }
    #expect(error?.tensor == name)
  }

  @Test(arguments: Place.allCases)
  func damagedDeflateIsNoticed(place: Place) throws {
    let original = try Fixtures.bytes("storage.h5")
    // Streams of zlib's default level begin 78 5E or 78 9C, h5py's level 4 with the former.
    var bytes = original
    var count = 0
    for index in bytes.indices.dropLast(8) where bytes[index] == 0x78 && bytes[index + 1] == 0x5E {
      bytes[index + 1] = 0
      count += 1
    }
    #expect(count > 0)
    let contents = try place.format.open(ByteSource(Bytes(bytes)))
    expectFault(.decompressMismatch) { _ = try contents["gzip-2d"]?.read() }
  }

  // MARK: Strings of variable length

  /// The places of the references to strings of `length` bytes in a global heap.
  private func references(in bytes: [UInt8], length: UInt8) -> [Int] {
    let source = Bytes(bytes)
    return (0..<(bytes.count - 16)).filter { place in
      let address = source.integer(at: place + 4, as: UInt64.self)
      return source.integer(at: place, as: UInt32.self) == UInt32(length)
        && address > 0 && address < UInt64(bytes.count - 4)
        && bytes[Int(address)..<(Int(address) + 4)].elementsEqual("GCOL".utf8)
    }
  }

  @Test(
    arguments: [
      (0, [0xFF, 0xFF, 0xFF, 0xFF]), (0, [0x00, 0x10, 0, 0]), (4, [0xFF, 0xFF, 0xFF, 0x7F]),
      (4, [8, 0, 0, 0]), (12, [0xFE, 0xFF, 0, 0]),
    ] as [(Int, [UInt8])])
  func aStringWithAnAbsurdReferenceIsRefused(field: Int, value: [UInt8]) throws {
    var bytes = try Fixtures.bytes("attributes.h5")
    // "on /", the attribute `variable` of the root.
    let place = try #require(references(in: bytes, length: 4).first)
    bytes.replaceSubrange((place + field)..<(place + field + 4), with: value)
    let error = expectFault(.attributeInvalid) {
      _ = try HDF5Format().open(ByteSource(Bytes(bytes)))
    }
    #expect(error?.reason.contains("attribute variable") == true)
  }

  @Test func textThatIsNotUTF8IsRefused() throws {
    let original = try Fixtures.bytes("attributes.h5")
    // Texts of fixed length, and in the global heap.
    let places = original.ranges(of: Array("größe".utf8)).map(\.lowerBound)
    #expect(places.count == 9)
    for place in places {
      var bytes = original
      bytes[place + 2] = 0xFF
      expectFault(.attributeInvalid) { _ = try HDF5Format().open(ByteSource(Bytes(bytes))) }
    }
  }

  /// A data layout message of version 3, class contiguous, for 80 bytes, gets another address.
  @Test(arguments: ["outside", "overlapping"])
  func contiguousDataInAWrongPlaceAreRefused(what: String) throws {
    var bytes = try Fixtures.bytes("dtypes.h5")
    let source = Bytes(bytes)
    let places = (0..<(bytes.count - 18)).filter { place in
      bytes[place] == 3 && bytes[place + 1] == 1
        && source.integer(at: place + 10, as: UInt64.self) == 80
    }
    try #require(places.count == 2)
    let address =
      what == "outside"
      ? UInt64(bytes.count - 8) : source.integer(at: places[1] + 2, as: UInt64.self) + 8
    for byte in 0..<8 {
      bytes[places[0] + 2 + byte] = UInt8(truncatingIfNeeded: address >> (8 * UInt64(byte)))
    }
    let error = expectFault(.extentOutOfFile) {
      _ = try HDF5Format().open(ByteSource(Bytes(bytes)))
    }
    #expect(error?.tensor != nil)
  }

  private func hexBytes(_ hex: String) -> [UInt8] {
    stride(from: 0, to: hex.count, by: 2).compactMap {
      UInt8(hex.dropFirst($0).prefix(2), radix: 16)
    }
  }
}
