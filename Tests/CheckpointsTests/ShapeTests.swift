import Checkpoints
import Testing

@Suite("Shape")
struct ShapeTests {
  @Test(
    "Element and byte counts",
    arguments: [
      ([], 1), ([0], 0), ([3, 0, 2], 0), ([1], 1), ([2, 3, 4], 24), ([Int.max / 8], Int.max / 8),
    ]
  )
  func counts(dimensions: [Int], count: Int) throws {
    let shape = try Shape(dimensions)
    #expect(shape.elementCount == count)
    #expect(shape.rank == dimensions.count)
    #expect(shape.byteCount(of: .float64) == 8 * count)
    #expect(shape.description == "\(dimensions)")
  }

  @Test(
    "What is refused",
    arguments: [
      ([1 << 60], .shapeOverflow), ([1 << 31, 1 << 31], .shapeOverflow),
      ([Int.max, 2], .shapeOverflow),
      ([0, Int.max], .shapeOverflow), ([1 << 40, 0, 1 << 40], .shapeOverflow), ([-1], .badInteger),
      ([0, -1], .badInteger), ([Int.min], .badInteger),
      (Array(repeating: 1, count: 33), .rankLimit),
    ] as [([Int], CheckpointError.Code)]
  )
  func refused(dimensions: [Int], wanted: CheckpointError.Code) {
    #expect(code { () throws(CheckpointError) in try Shape(dimensions) } == wanted)
  }

  @Test("32 dimensions are allowed")
  func rank() throws {
    #expect(try Shape(Array(repeating: 1, count: 32)).rank == 32)
  }

  @Test("The index of every position, in row-major order")
  func index() {
    let shape: Shape = [2, 3, 4]
    for position in 0..<24 {
      let index = shape.index(at: position)
      #expect((index[0] * 3 + index[1]) * 4 + index[2] == position)
    }
    #expect(([] as Shape).index(at: 0) == [])
  }
}
