import Checkpoints
import RecurrentNetworks

/// Reads every tensor once, and W_hh once more, and notes what looks suspicious.
struct Examination {
  var contents: CheckpointContents
  private let description: ModelDescription
  /// The tensors of recurrent modules, whose rows are looked at together.
  private let isSound: Bool
  private let supposesNonlinearity: Bool
  private(set) var findings: [Finding] = []
  private(set) var spectra: [RecurrentSpectra.Entry] = []
  private(set) var notComputed: [String] = []

  init(_ contents: CheckpointContents, _ recognition: Recognition) {
    self.contents = recognition.mapping?.contents ?? contents
    description = recognition.mapping?.description ?? ModelDescription(modules: [])
    isSound = recognition.mapping?.isComplete ?? false
    supposesNonlinearity =
      recognition.mapping?.assumptions.contains { $0.option == "nonlinearity" } ?? false
  }

  /// - Throws: what reading the tensors throws.
  mutating func run() throws(CheckpointError) {
    var general = TensorFindings()
    var radii = RecurrentSpectra()
    var layers: [Finding] = []
    let tensors = Dictionary(contents.tensors.map { ($0.name, $0) }) { first, _ in first }
    var done: Set<String> = []
    // What belongs to recurrent modules is read layer by layer.
    for module in description.modules where isSound {
      guard let configuration = module.recurrent,
        let parameters = try? configuration.parameters(ofModule: module.name)
      else { continue }
      var (bound, nextBound) = (1.0, 0.0)
      var last = 0
      for group in Self.groups(parameters.map(\.name)) {
        if group.layer != last { (bound, nextBound, last) = (nextBound, 0, group.layer) }
        var profile = LayerProfile(layer: group.layer, direction: group.direction)
        for name in group.names {
          guard let tensor = tensors[name.description], tensor.dtype?.isFloatingPoint == true else {
            continue
          }
          let read = try TensorProfile(tensor, keepsRows: true)
          done.insert(tensor.name)
          general.add(read, ParameterPlace(tensor.name, tensor.shape, in: description))
          profile.parameters[name.kind] = read
        }
        layers +=
          LayerFindings(
            profile, of: configuration, inputBound: bound,
            supposesNonlinearity: supposesNonlinearity && configuration.kind == .rnn
          ).findings
        nextBound = max(nextBound, LayerFindings.stateBound(configuration, profile))
        if let weight = group.names.first(where: { $0.kind == .hiddenWeight }),
          let tensor = tensors[weight.description], tensor.dtype != nil
        {
          let projection = group.names.first { $0.kind == .projectionWeight }
          try radii.add(
            tensor, projection: projection.flatMap { tensors[$0.description] }, configuration,
            layer: group.layer, group.direction)
        }
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
    findings = general.findings + layers + radii.findings
    spectra = radii.entries
    notComputed = radii.notComputed
  }

  private struct Group {
    var layer: Int
    var direction: ParameterName.Direction
    var names: [ParameterName]
  }

  /// The parameters of each layer in each direction.
  private static func groups(_ names: [ParameterName]) -> [Group] {
    var groups: [Group] = []
    for name in names {
      if let last = groups.last, last.layer == name.layer, last.direction == name.direction {
        groups[groups.count - 1].names.append(name)
      } else {
        groups.append(Group(layer: name.layer, direction: name.direction, names: [name]))
      }
    }
    return groups
  }
}
