import Checkpoints
import RecurrentNetworks

/// Reads every tensor once, and W_hh once more, and notes what looks suspicious.
struct Examination {
  var contents: CheckpointContents
  private let description: ModelDescription
  private let supposesNonlinearity: Bool
  private var general = TensorFindings()
  private var layers: [Finding] = []
  private var radii = RecurrentSpectra()

  var findings: [Finding] { general.findings + layers + radii.findings }
  var spectra: [RecurrentSpectra.Entry] { radii.entries }
  /// What was not computed, and why.
  var notComputed: [String] { radii.notComputed }

  init(_ contents: CheckpointContents, _ recognition: Recognition) {
    self.contents = recognition.mapping?.contents ?? contents
    description = recognition.mapping?.description ?? ModelDescription(modules: [])
    supposesNonlinearity =
      recognition.mapping?.assumptions.contains { $0.option == "nonlinearity" } ?? false
  }

  /// - Throws: what reading the tensors throws.
  mutating func run() throws(CheckpointError) {
    let tensors = Dictionary(contents.tensors.map { ($0.name, $0) }) { first, _ in first }
    var done: Set<String> = []
    // What belongs to recurrent modules is read layer by layer.
    for module in description.modules {
      guard let configuration = module.recurrent else { continue }
      var (bound, nextBound) = (1.0, 0.0)
      var last = 0
      for group in LayerTensors.all(of: module.name, configuration, among: tensors) {
        if group.layer != last { (bound, nextBound, last) = (nextBound, 0, group.layer) }
        let profile = try examine(group, of: configuration, inputBound: bound)
        nextBound = max(nextBound, LayerFindings.stateBound(configuration, profile))
        done.formUnion(group.tensors.values.map(\.name))
      }
    }
    for tensor in contents.tensors where !done.contains(tensor.name) {
      guard let dtype = tensor.dtype else {
        general.add(unreadable: tensor)
        continue
      }
      guard dtype.isFloatingPoint else { continue }
      general.add(
        try TensorProfile(tensor, keepsRows: false),
        ParameterPlace(tensor.name, tensor.shape, in: description))
    }
  }

  private mutating func examine(
    _ group: LayerTensors, of configuration: RecurrentConfiguration, inputBound: Double
  ) throws(CheckpointError) -> LayerProfile {
    var profile = LayerProfile(layer: group.layer, direction: group.direction)
    for kind in ParameterName.Kind.allCases {
      guard let tensor = group.tensors[kind] else { continue }
      let read = try TensorProfile(tensor, keepsRows: true)
      general.add(read, ParameterPlace(tensor.name, tensor.shape, in: description))
      profile.parameters[kind] = read
    }
    layers +=
      LayerFindings(
        profile, of: configuration, inputBound: inputBound,
        supposesNonlinearity: supposesNonlinearity && configuration.kind == .rnn
      ).findings
    let projection = group.tensors[.projectionWeight]
    if let weight = group.tensors[.hiddenWeight],
      projection != nil || configuration.projectionSize == 0
    {
      try radii.add(
        weight, projection: projection, configuration, layer: group.layer, group.direction)
    }
    return profile
  }
}

/// The parameters of a layer in one direction that are as the module needs them: of its shape, and
/// floating-point numbers.
private struct LayerTensors {
  let layer: Int
  let direction: ParameterName.Direction
  private(set) var tensors: [ParameterName.Kind: StoredTensor] = [:]

  /// Those of every layer, forward before reverse.
  static func all(
    of module: String, _ configuration: RecurrentConfiguration,
    among tensors: [String: StoredTensor]
  ) -> [LayerTensors] {
    var groups: [LayerTensors] = []
    for (name, shape) in (try? configuration.parameters(ofModule: module)) ?? [] {
      if groups.last?.layer != name.layer || groups.last?.direction != name.direction {
        groups.append(LayerTensors(layer: name.layer, direction: name.direction))
      }
      guard let tensor = tensors[name.description], tensor.shape == shape,
        tensor.dtype?.isFloatingPoint == true
      else { continue }
      groups[groups.count - 1].tensors[name.kind] = tensor
    }
    return groups
  }
}
