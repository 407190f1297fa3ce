import Checkpoints
import RecurrentNetworks

/// The tensors of two files by their names.
struct TensorPairs {
  private(set) var both: [(StoredTensor, StoredTensor)] = []
  private(set) var onlyFirst: [StoredTensor] = []
  let onlySecond: [StoredTensor]

  init(_ first: [StoredTensor], _ second: [StoredTensor]) {
    let others = Dictionary(second.map { ($0.name, $0) }) { first, _ in first }
    let names = Set(first.map(\.name))
    onlySecond = second.filter { !names.contains($0.name) }
    for tensor in first {
      if let other = others[tensor.name] {
        both.append((tensor, other))
      } else {
        onlyFirst.append(tensor)
      }
    }
  }

  private struct Form: Hashable {
    var dtype: DType
    var shape: Shape
  }

  private static func form(_ tensor: StoredTensor) -> Form? {
    tensor.dtype.map { Form(dtype: $0, shape: tensor.shape) }
  }

  /// The same bits under another name.
  ///
  /// Every tensor is read at most once, and only where the other file has one of its dtype and shape.
  func renamed() throws(CheckpointError) -> [(String, String)] {
    let forms = Set(onlyFirst.compactMap(Self.form))
    var candidates: [TensorDigest.Value: [String]] = [:]
    var known: Set<Form> = []
    for tensor in onlySecond {
      guard let form = Self.form(tensor), forms.contains(form) else { continue }
      known.insert(form)
      candidates[try TensorDigest.value(of: tensor), default: []].append(tensor.name)
    }
    var renamed: [(String, String)] = []
    for tensor in onlyFirst {
      guard let form = Self.form(tensor), known.contains(form) else { continue }
      let digest = try TensorDigest.value(of: tensor)
      guard var names = candidates[digest], !names.isEmpty else { continue }
      renamed.append((tensor.name, names.removeFirst()))
      candidates[digest] = names
    }
    return renamed
  }
}

/// Compares tensors of one name.
struct TensorComparison {
  let tolerance: TensorDifference.Tolerance?
  /// The modules of A.
  let description: ModelDescription

  typealias Change = DifferenceReport.Change

  func change(_ tensor: StoredTensor, _ other: StoredTensor) throws(CheckpointError) -> Change? {
    var parts: [String] = []
    if tensor.dtypeName != other.dtypeName {
      parts.append("dtype \(tensor.dtypeName) to \(other.dtypeName)")
    }
    if tensor.shape != other.shape { parts.append("shape \(tensor.shape) to \(other.shape)") }
    let place = ParameterPlace(tensor.name, tensor.shape, in: description)
    var change = Change(name: tensor.name, what: parts.joined(separator: ", "))
    change.module = place?.module
    change.layer = place?.layer
    change.direction = place?.direction
    // What this version cannot read can still be of another type or shape.
    let isReadable = tensor.dtype != nil && other.dtype != nil
    guard tensor.shape == other.shape, parts.isEmpty || isReadable else { return change }
    let difference = try TensorDifference(
      tensor, other, tolerance, blocks: place?.gates.count ?? 0)
    if parts.isEmpty {
      guard difference != nil else { return nil }
      change.what = "values"
    } else {
      change.conversion = try conversion(tensor, other)
      change.maxAbs = 0
    }
    guard let difference else { return change }
    let whole = difference.whole
    change.maxAbs = whole.largest
    change.relativeNorm = whole.relativeNorm
    change.at = tensor.shape.index(at: whole.position)
    change.gate = place?.gate(ofElement: whole.position, of: tensor.shape.elementCount)
    if let gates = place?.gates, !gates.isEmpty {
      change.gates = zip(gates, difference.blocks).map { gate, part in
        DifferenceReport.GateChange(
          gate: gate, maxAbs: part.largest ?? 0, relativeNorm: part.relativeNorm)
      }
    }
    return change
  }

  /// Whether B is A in another dtype, and which way that went; nil where it is something else as well.
  private func conversion(
    _ tensor: StoredTensor, _ other: StoredTensor
  ) throws(CheckpointError) -> String? {
    guard let from = tensor.dtype, let to = other.dtype, from.isFloatingPoint, to.isFloatingPoint,
      try TensorDifference.haveSameBits(tensor.converted(to: to), other)
    else { return nil }
    return to.holds(from) ? "widening" : "narrowing"
  }
}
