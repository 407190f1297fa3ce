import Checkpoints
import Testing

@testable import CheckpointsHDF5

@Suite struct HDF5TensorBytesTests {
  /// Chunked in three dimensions, contiguous, compact, big-endian, scalar.
  @Test(arguments: ["storage.h5", "storage-v110.h5", "dtypes.h5"], Place.allCases)
  func everyRangeIsThatPartOfTheWhole(file: String, place: Place) throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(seed: seed)
    for tensor in try place.format.open(ByteSource(contentsOf: Fixtures.path(file))).tensors {
      let whole = try tensor.read().bytes
      for _ in 0..<40 {
        let a = Int.random(in: 0...whole.count, using: &random)
        let b = Int.random(in: 0...whole.count, using: &random)
        let range = min(a, b)..<max(a, b)
        #expect(
          try tensor.bytes(in: range) == whole[range], "\(tensor.name) \(range), seed \(seed)")
      }
    }
  }

  @Test func contiguousBytesInMemoryAreNotCopied() throws {
    let bytes = Bytes(try Fixtures.bytes("nested-plain.h5"))
    let tensor = try #require(try HDF5Format().open(ByteSource(bytes))["lstm.weight_ih_l0"])
    let part = try tensor.bytes(in: 0..<96)
    let isInside = unsafe bytes.withUnsafeBytes { whole in
      unsafe part.withUnsafeBytes { part in
        guard let first = part.baseAddress, let start = whole.baseAddress else { return false }
        return unsafe first >= start && first < start + whole.count
      }
    }
    #expect(isInside)
  }

  /// Compressed chunks that stand side by side are kept, however large, so that none is decoded for
  /// every piece of a row.
  @Test(arguments: [([HDF5Chunks.Filter.deflate], 3), ([], 2)])
  func aRowOfCompressedChunksIsKept(filters: [HDF5Chunks.Filter], kept: Int) throws {
    let chunks = HDF5Chunks(
      shape: try Shape([96, 3 << 18]), size: [48, 1 << 18], elementSize: 2, filters: filters,
      filtersEdges: true, storedLimit: .max)
    #expect(ChunkCache(chunks).count == kept)
    #expect(ChunkCache.row(chunks.shape, chunk: chunks.size) == 3)
  }

  @Test(arguments: Place.allCases)
  func aTensorKeepsItsFileOpen(place: Place) throws {
    let tensor: StoredTensor
    do {
      let contents = try place.format.open(ByteSource(contentsOf: Fixtures.path("storage.h5")))
      tensor = try #require(contents["shuffle-gzip-3d"])
    }
    #expect(try tensor.read().shape == [5, 7, 6])
  }

  @Test(arguments: Place.allCases)
  func encodingTellsHowBytesAreStored(place: Place) throws {
    let contents = try place.format.open(ByteSource(contentsOf: Fixtures.path("storage.h5")))
    #expect(contents["contiguous-2d"]?.encoding == "raw")
    #expect(contents["contiguous-2d"]?.storedByteCount == 13 * 17 * 4)
    #expect(contents["compact-2d"]?.encoding == "raw")
    #expect(contents["shuffle-2d"]?.encoding == "chunked")
    #expect(contents["shuffle-gzip-2d"]?.encoding == "deflate")
  }
}
