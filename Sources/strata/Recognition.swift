import Checkpoints
import RecurrentNetworks

/// What the tensors of a file are found to be, also where that is not the whole of a model.
struct Recognition {
  private(set) var mapping: ParameterMapping?
  private(set) var fault: CheckpointError?
  private(set) var ambiguities: [OpenQuestion] = []
  private(set) var findings: [Finding] = []

  init(_ contents: CheckpointContents) {
    do throws(CheckpointError) {
      let mapping = try ParameterMapping(of: contents)
      self.mapping = mapping
      try mapping.requireComplete()
    } catch {
      if let mapping = Self.transposed(contents) {
        self.mapping = mapping
        noteTransposed(contents, mapping)
        return
      }
      fault = error
      if error.code == .ambiguousModel {
        ambiguities = OpenQuestion.ambiguities(contents, error)
        // It is a question and no fault.
        fault = nil
      }
      if mapping == nil { mapping = try? ParameterMapping(stacksOf: contents) }
    }
    noteTransposedLayers()
    findings += mapping.map(Self.disguised) ?? []
  }

  /// Parameters outside of the recurrent modules in a form that only PyTorch can use.
  private static func disguised(_ mapping: ParameterMapping) -> [Finding] {
    mapping.disguised.map {
      Finding(
        tensor: $0.name, kind: .disguised, severity: .warning, value: 0,
        words: "not plain: \($0.reason)")
    }
  }

  /// The mapping of the matrices turned round, where that makes a model.
  private static func transposed(_ contents: CheckpointContents) -> ParameterMapping? {
    var options = ModelOptions()
    options.isTransposed = true
    let mapping =
      (try? ParameterMapping(of: contents, options: options))
      ?? (try? ParameterMapping(stacksOf: contents, options: options))
    guard let mapping, mapping.isComplete,
      mapping.description.modules.contains(where: { $0.recurrent != nil })
    else { return nil }
    return mapping
  }

  private mutating func noteTransposed(_ contents: CheckpointContents, _ mapping: ParameterMapping)
  {
    let shapes = Dictionary(mapping.contents.tensors.map { ($0.name, $0.shape) }) { first, _ in
      first
    }
    for tensor in contents.tensors where tensor.shape.rank == 2 {
      guard let expected = shapes[tensor.name], expected != tensor.shape else { continue }
      let place = ParameterPlace(tensor.name, tensor.shape, in: mapping.description)
      guard place != nil else { continue }
      findings.append(
        Finding(
          tensor: tensor.name, layer: place?.layer, direction: place?.direction, gate: nil,
          kind: .transposed, severity: .error, value: Double(tensor.shape.elementCount),
          words:
            "shape \(tensor.shape) is [inputs, outputs], PyTorch has \(expected): --set transpose=true"
        ))
    }
  }

  /// Layers that would be the head if their matrix were turned round.
  private mutating func noteTransposedLayers() {
    guard let mapping else { return }
    let outputs = Set(mapping.description.modules.compactMap { $0.recurrent?.outputSize })
    let shapes = Dictionary(mapping.contents.tensors.map { ($0.name, $0.shape) }) { first, _ in
      first
    }
    for name in mapping.leftOver where name.hasSuffix(".weight") {
      guard let shape = shapes[name], shape.rank == 2, shape[0] != shape[1],
        outputs.contains(shape[0]),
        shapes["\(name.dropLast("weight".count))bias"] == [shape[1]]
      else { continue }
      findings.append(
        Finding(
          tensor: name, kind: .transposed, severity: .warning, value: Double(shape.elementCount),
          words:
            "shape \(shape) beside a bias of \(shape[1]) is [inputs, outputs]: a head that is transposed; "
            + "--set transpose=true turns it, and with it every recurrent matrix"))
    }
  }
}
