/// A tensor that PyTorch keeps as a length and a direction, w = g · v / ‖v‖: the two halves that
/// `torch.nn.utils.weight_norm` leaves in a state dict, and the tensor that they stand for.
///
/// Halves are called `X_g` and `X_v`, or `M.parametrizations.X.original0` and `original1` since PyTorch 2.0;
/// the tensor is called `X`, or `M.X`. The norm goes over all dimensions but the one that g has, or over
/// all of them when g is a scalar.
///
/// Source: `torch.nn.utils.weight_norm`, `torch.nn.utils.parametrizations.weight_norm`.
public struct WeightNorm: Sendable {
  /// The name of the tensor.
  public let name: String
  /// g, the lengths.
  public let magnitude: StoredTensor
  /// v, the directions.
  public let direction: StoredTensor

  private let dtype: DType
  /// The dimension that has a length for each of its places; nil when there is but one length.
  private let dimension: Int?

  /// Puts two halves together; nil when they are none: v must have two dimensions or more, g as many,
  /// all of size 1 but for at most one that is as in v, or none, and both one floating-point dtype.
  public init?(named name: String, magnitude: StoredTensor, direction: StoredTensor) {
    let (lengths, shape) = (magnitude.shape, direction.shape)
    guard let dtype = direction.dtype, dtype == magnitude.dtype, dtype.isFloatingPoint,
      shape.rank >= 2
    else { return nil }
    if lengths.rank == 0 {
      dimension = nil
    } else {
      guard lengths.rank == shape.rank else { return nil }
      let wide = lengths.dimensions.indices.filter { lengths[$0] != 1 }
      let alone = shape.dimensions.firstIndex(of: 1)
      // Where all lengths are 1 there is but one, and a dimension of size 1 has it.
      guard wide.count <= 1, let dimension = wide.first ?? alone,
        lengths[dimension] == shape[dimension]
      else { return nil }
      self.dimension = dimension
    }
    self.name = name
    self.magnitude = magnitude
    self.direction = direction
    self.dtype = dtype
  }

  /// The tensor, computed piece by piece when it is read.
  ///
  /// The first reading goes over v once more, for the norms.
  public var tensor: StoredTensor {
    let contents: any TensorBytes =
      dtype == .float64
      ? WeightNormBytes<Double>(direction, magnitude, dtype, dimension)
      : WeightNormBytes<Float>(direction, magnitude, dtype, dimension)
    return StoredTensor(
      name: name, dtype: dtype, shape: direction.shape,
      storedByteCount: direction.shape.byteCount(of: dtype), encoding: "raw", file: nil,
      contents: contents)
  }

  /// The names of the halves, g before v.
  public var halves: [String] { [magnitude.name, direction.name] }
}

extension CheckpointContents {
  /// The weight norms among the tensors, whose own names are free.
  ///
  /// What is parametrised in other ways too, or twice, is none.
  public var weightNorms: [WeightNorm] {
    let byName = Dictionary(tensors.map { ($0.name, $0) }) { first, _ in first }
    var parts: [Substring: Int] = [:]
    for tensor in tensors {
      if let place = Parametrization(tensor.name) { parts[place.path, default: 0] += 1 }
    }
    var norms: [WeightNorm] = []
    for tensor in tensors {
      let name: String
      let direction: String
      if let place = Parametrization(tensor.name), place.part == "original0" {
        guard parts[place.path] == 2 else { continue }
        name = place.parameter
        direction = "\(place.path).original1"
      } else if tensor.name.hasSuffix("_g") {
        name = String(tensor.name.dropLast(2))
        direction = name + "_v"
      } else {
        continue
      }
      guard byName[name] == nil, let direction = byName[direction],
        let norm = WeightNorm(named: name, magnitude: tensor, direction: direction)
      else { continue }
      norms.append(norm)
    }
    let targets = Dictionary(norms.map { ($0.name, 1) }, uniquingKeysWith: +)
    return norms.filter { targets[$0.name] == 1 }
  }
}

/// A name as `torch.nn.utils.parametrize` makes them, `rnn.parametrizations.weight_hh_l0.original0`.
package struct Parametrization {
  /// Everything before the last part.
  package let path: Substring
  /// The last part, `original0`, or `0` and more for what a parametrization itself keeps.
  package let part: Substring
  /// The name that the parameter has outside, `rnn.weight_hh_l0`.
  package let parameter: String

  /// Takes a name apart; nil for another one.
  package init?(_ name: String) {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    guard let mark = parts.lastIndex(of: "parametrizations"), mark + 2 < parts.count else {
      return nil
    }
    path = name[..<parts[mark + 1].endIndex]
    part = name[parts[mark + 2].startIndex...]
    parameter = (parts[..<mark] + [parts[mark + 1]]).joined(separator: ".")
  }
}
