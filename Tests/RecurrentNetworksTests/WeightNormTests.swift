import Checkpoints
import CheckpointsHDF5
import TestSupport
import Testing

@Suite struct WeightNormTests {
  /// Every dtype, dimension and length of fixtures/fold/tensors.
  static let norms: [WeightNorm] = (try? FoldFixtures.reader("tensors").contents.weightNorms) ?? []

  @Test("Every weight norm has torch's bits, read whole and in pieces")
  func bits() throws {
    let plain = try FoldFixtures.stateDict("tensors", "plain")
    #expect(Self.norms.count == plain.count && plain.count > 150)
    for norm in Self.norms {
      let expected = try #require(plain[norm.name])
      let tensor = norm.tensor
      #expect(try tensor.read() == expected, "\(norm.name)")
      let size = expected.dtype.size
      let middle = expected.shape.elementCount / 2 * size
      // From the middle on first, of a tensor that has computed nothing yet.
      #expect(
        try norm.tensor.bytes(in: middle..<expected.bytes.count)
          == expected.bytes[middle..<expected.bytes.count], "\(norm.name)")
      #expect(try tensor.bytes(in: 0..<middle) == expected.bytes[0..<middle], "\(norm.name)")
    }
  }

  private func norm(
    _ magnitude: Shape, _ direction: Shape, _ dtype: DType = .float32
  ) throws -> WeightNorm? {
    WeightNorm(
      named: "w", magnitude: StoredTensor(.zeros(magnitude), named: "w_g"),
      direction: StoredTensor(try Tensor.zeros(direction).converted(to: dtype), named: "w_v"))
  }

  @Test("Halves whose shapes or dtypes do not go together are none")
  func halvesThatDoNotFit() throws {
    for fitting in [
      ([5, 1], [5, 3]), ([1, 3], [5, 3]), ([], [5, 3]), ([1, 1], [1, 3]), ([1, 1], [5, 1]),
      ([1, 4, 1], [2, 4, 3]),
    ] as [(Shape, Shape)] {
      #expect(try norm(fitting.0, fitting.1) != nil, "\(fitting)")
    }
    for other in [
      ([5], [5, 3]), ([5, 3], [5, 3]), ([4, 1], [5, 3]), ([1, 1], [5, 3]), ([5], [5]), ([], [5]),
      ([], []), ([5, 1, 1], [5, 3]),
    ] as [(Shape, Shape)] {
      #expect(try norm(other.0, other.1) == nil, "\(other)")
    }
    #expect(try norm([5, 1], [5, 3], .float64) == nil)
    #expect(try norm([5, 1], [5, 3], .int64) == nil)
  }

  private func found(_ tensors: (String, Shape)...) -> [String] {
    var dict = StateDict()
    for (name, shape) in tensors { dict[name] = .zeros(shape) }
    return Checkpoint(stateDict: dict).contents.weightNorms.map(\.name)
  }

  @Test("A weight norm needs both halves, a free name, and no other parametrization")
  func names() {
    #expect(found(("c.weight_g", [2, 1]), ("c.weight_v", [2, 3])) == ["c.weight"])
    #expect(found(("weight_g", [2, 1]), ("weight_v", [2, 3])) == ["weight"])
    #expect(found(("c.weight_g", [2, 1])) == [])
    #expect(found(("c.weight_v", [2, 3])) == [])
    #expect(
      found(("c.weight_g", [2, 1]), ("c.weight_v", [2, 3]), ("c.weight", [2, 3])) == [])
    let (g, v) = ("c.parametrizations.weight.original0", "c.parametrizations.weight.original1")
    #expect(found((g, [2, 1]), (v, [2, 3])) == ["c.weight"])
    #expect(
      found(
        ("parametrizations.weight.original0", [2, 1]),
        ("parametrizations.weight.original1", [2, 3]))
        == ["weight"])
    #expect(found((g, [2, 1]), (v, [2, 3]), ("c.parametrizations.weight.0._u", [2])) == [])
    #expect(
      found((g, [2, 1]), (v, [2, 3]), ("c.parametrizations.weight.original2", [2])) == [])
    // The same tensor twice: nobody knows which.
    #expect(
      found((g, [2, 1]), (v, [2, 3]), ("c.weight_g", [2, 1]), ("c.weight_v", [2, 3])) == [])
    // Names alone make no weight norm: gates called g and v.
    #expect(found(("bias_g", [4]), ("bias_v", [4]), ("w_g", [4, 4]), ("w_v", [4, 4])) == [])
  }

  @Test("An empty tensor and one of zeros are what torch makes of them")
  func extremes() throws {
    #expect(try norm([3, 1], [3, 0])?.tensor.read().shape == [3, 0])
    let zero = try #require(try norm([2, 1], [2, 2])).tensor.read().floats()
    #expect(zero.filter(\.isNaN).count == 4)
  }
}
