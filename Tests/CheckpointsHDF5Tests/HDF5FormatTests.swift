import Checkpoints
import CheckpointsHDF5
import Testing

@Suite struct HDF5FormatTests {
  @Test func isFoundByContentAndByExtension() throws {
    let formats: [any CheckpointFormat] = .builtIn + [HDF5Format()]
    let reader = try CheckpointReader(contentsOf: Fixtures.path("nested.h5"), formats: formats)
    #expect(reader.format == "hdf5")
    for suffix in ["h5", "hdf5", "hdf", "he5", "H5"] {
      #expect(formats.format(forPath: "/models.d/a.\(suffix)")?.name == "hdf5")
    }
    #expect(HDF5Format().dropped(from: reader.contents).isEmpty)
  }

  @Test(arguments: [0, 512, 1024, 4096])
  func isRecognisedBehindAUserBlock(size: Int) throws {
    // Tensors, and strings in the global heap, must be found from the base address.
    let plain = try HDF5Format().open(ByteSource(contentsOf: Fixtures.path("attributes.h5")))
    let bytes = [UInt8](repeating: 7, count: size) + (try Fixtures.bytes("attributes.h5"))
    let source = ByteSource(Bytes(bytes))
    #expect(try HDF5Format().recognizes(source))
    let moved = try HDF5Format().open(source)
    #expect(moved.metadata == plain.metadata)
    #expect(try moved.tensors.map { try $0.read() } == plain.tensors.map { try $0.read() })
  }

  @Test(arguments: [256, 513, 1536])
  func isNotRecognisedElsewhere(offset: Int) throws {
    let bytes = [UInt8](repeating: 7, count: offset) + (try Fixtures.bytes("nested.h5"))
    let source = ByteSource(Bytes(bytes))
    #expect(try !HDF5Format().recognizes(source))
    expectFault(.badMagic) { _ = try HDF5Format().open(source) }
  }
}
