import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite("Bytes")
struct BytesTests {
  @Test("Slices of slices are those of an array")
  func slices() {
    var generator = SeededGenerator(seed: 5)
    let array = (0..<300).map { _ in UInt8.random(in: 0...255, using: &generator) }
    for _ in 0..<200 {
      let outer = randomRange(array.count, using: &generator)
      let inner = randomRange(outer.count, using: &generator)
      let slice = Bytes(array)[outer][inner]
      #expect(slice.array == Array(Array(array[outer])[inner]), "\(generator)")
      #expect(slice == Bytes(slice.array))
    }
  }

  @Test("A slice keeps the memory alive")
  func lifetime() {
    func slice() -> Bytes { Bytes(Array(0...255))[10..<13] }
    #expect(slice().array == [10, 11, 12])
  }

  @Test("From data, joined, and as little-endian integers")
  func making() {
    let bytes = Bytes(Data([1, 2, 3]))
    #expect(Bytes(joining: [bytes, bytes[0..<0], bytes[1..<3]]).array == [1, 2, 3, 2, 3])
    #expect(bytes.integer(at: 1, as: UInt16.self) == 0x0302)
    #expect(Bytes([UInt8]()).count == 0)
    #expect(Bytes([1, 2]) != Bytes([1, 3]))
    #expect(Bytes([1, 2]) != Bytes([1]))
    #expect(bytes.withBytes { $0.byteCount } == 3)
  }
}
