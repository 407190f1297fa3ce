import Testing

@testable import Checkpoints

@Suite struct StreamBuffersTests {
  /// Other tests stream meanwhile, so that which buffer comes back is not for this test to say.
  @Test(
    "Nobody shares a buffer, however often they come back",
    arguments: [1, 4096, StrataFormat.chunkSize, StoredTensor.pieceSize])
  func taken(size: Int) {
    for _ in 0..<3 {
      let buffers = unsafe (0..<6).map { _ in unsafe StreamBuffers.take(size) }
      for index in unsafe buffers.indices {
        let buffer = unsafe buffers[index]
        #expect(buffer.count == size)
        let address = Int(bitPattern: buffer.baseAddress)
        #expect(address % 64 == 0)
        unsafe buffer.initializeMemory(as: UInt8.self, repeating: UInt8(index))
      }
      for index in unsafe buffers.indices {
        let isUntouched = unsafe buffers[index].allSatisfy { $0 == UInt8(index) }
        #expect(isUntouched)
        unsafe StreamBuffers.giveBack(buffers[index])
      }
    }
    StreamBuffers.clear()
  }
}
