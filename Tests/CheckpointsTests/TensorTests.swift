import Checkpoints
import Testing

@Suite("Tensor")
struct TensorTests {
  @Test("Bytes must fill the shape", arguments: DType.allCases)
  func size(dtype: DType) throws {
    let shape: Shape = [2, 3]
    #expect(
      try Tensor(
        dtype: dtype,
        shape: shape,
        bytes: Bytes([UInt8](repeating: 0, count: 6 * dtype.size))
      )
      .shape == shape
    )
    for count in [0, 6 * dtype.size - 1, 6 * dtype.size + 1] {
      let bytes = Bytes([UInt8](repeating: 0, count: count))
      #expect(
        code { () throws(CheckpointError) in try Tensor(dtype: dtype, shape: shape, bytes: bytes) }
          == .sizeMismatch
      )
    }
  }

  @Test("Elements stand little-endian in row-major order")
  func layout() throws {
    let tensor = Tensor([Float(1), -2], shape: [1, 2])
    #expect(tensor.bytes.array == [0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0])
    #expect(try tensor.floats() == [1, -2])
    #expect(Tensor([Int64(-2)], shape: []).bytes.array == [0xFE] + Array(repeating: 0xFF, count: 7))
    #expect(Tensor([1.0], shape: []).bytes.array == [0, 0, 0, 0, 0, 0, 0xF0, 0x3F])
  }

  @Test("Equality compares bits, not numbers")
  func equality() {
    #expect(Tensor([Float.nan], shape: []) == Tensor([Float.nan], shape: []))
    #expect(Tensor([Float(0)], shape: []) != Tensor([-Float(0)], shape: []))
    #expect(Tensor([Float(0)], shape: []) != Tensor([Float(0)], shape: [1]))
  }
}
