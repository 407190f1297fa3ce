import Checkpoints
import TestSupport
import Testing

@Suite("CRC32")
struct CRC32Tests {
  @Test(
    "Known values",
    arguments: [
      ("", 0), ("123456789", 0xCBF4_3926),
      ("The quick brown fox jumps over the lazy dog", 0x414F_A339),
    ] as [(String, UInt32)]
  )
  func known(text: String, value: UInt32) {
    #expect(CRC32(Bytes(Array(text.utf8))).value == value)
  }

  @Test("In pieces, resumed, and against the definition")
  func pieces() {
    var generator = SeededGenerator(seed: 7)
    let array = (0..<1000).map { _ in UInt8.random(in: 0...255, using: &generator) }
    let whole = CRC32(Bytes(array)).value
    #expect(whole == StrataImage.crc32(array[...]), "\(generator)")
    for cut in [0, 1, 500, 1000] {
      var checksum = CRC32(Bytes(Array(array[..<cut])))
      checksum.update(Bytes([UInt8]()))
      var resumed = CRC32(resuming: checksum.value)
      resumed.update(Bytes(Array(array[cut...])))
      #expect(resumed.value == whole, "\(generator)")
    }
  }
}
