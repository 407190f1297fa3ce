internal import Checkpoints

/// Contents whose recurrent parameters stand in PyTorch's layout, made of those of a file that has them
/// in another one, as the user says.
///
/// Nothing is computed before a tensor is read.
struct RearrangedContents {
  private(set) var contents: CheckpointContents

  /// Undoes what `options` say of the weights.
  /// - Throws: `modelInvalid` when there is nothing that an option could mean, or when it cannot be
  ///   undone.
  init(_ source: CheckpointContents, _ options: ModelOptions) throws(CheckpointError) {
    contents = source
    guard options.rearrangesWeights else { return }
    // What changes shapes and names comes first; by these the modules are known.
    if options.isTransposed == true { transpose() }
    if options.ignoresProjection { removeSquareProjections() }
    if options.swapsDirections {
      try exchange("direction=swapped") { name, _ in
        name.isCell ? nil : name.with(direction: name.direction == .forward ? .reverse : .forward)
      }
    }
    if let order = options.layerOrder {
      try exchange("layer_order=\(order.map(String.init).joined(separator: ","))") { name, layers in
        layers == order.count ? name.with(layer: order[name.layer]) : nil
      }
    }
    let stacks = StackTensors.groups(of: contents).compactMap { group in
      group.inferredConfiguration().map { (group.module, $0) }
    }
    if let letters = options.gateOrder { try reorder(letters, stacks) }
    switch options.bias {
    case .merged: try Self.refuseMerged(stacks)
    case .swapped:
      try exchange("bias=swapped") { name, _ in
        switch name.kind {
        case .inputBias: name.with(kind: .hiddenBias)
        case .hiddenBias: name.with(kind: .inputBias)
        case .inputWeight, .hiddenWeight, .projectionWeight: name
        }
      }
    case nil: break
    }
    if options.ignoresProjection {
      try cutProjections(stacks, isDone: source.tensors.count != contents.tensors.count)
    }
    if let value = options.forgetBias { try addForgetBias(value, stacks) }
  }

  private static func nothing(_ setting: String, _ reason: String) -> CheckpointError {
    CheckpointError(.modelInvalid, "--set \(setting): \(reason)")
  }

  /// Puts a computed tensor in the place of the one of its name.
  private mutating func replace(
    _ name: ParameterName, shape: Shape? = nil,
    _ compute: @escaping @Sendable (Tensor) throws(CheckpointError) -> Tensor
  ) {
    guard let index = contents.tensors.firstIndex(where: { $0.name == name.description }) else {
      return
    }
    let source = contents.tensors[index]
    contents.tensors[index] = source.computed(shape: shape ?? source.shape, compute)
  }

  // MARK: Names

  /// Gives every parameter the tensor that stands under another parameter's name.
  ///
  /// `source` names it, told the parameter and the number of the module's layers; modules for which it
  /// names none that is there stay as they are.
  private mutating func exchange(
    _ setting: String, _ source: (ParameterName, Int) -> ParameterName?
  ) throws(CheckpointError) {
    let tensors = Dictionary(contents.tensors.map { ($0.name, $0) }) { first, _ in first }
    var isDone = false
    for group in StackTensors.groups(of: contents) {
      let layers = (group.order.map(\.layer).max() ?? 0) + 1
      let sources = group.order.map { source($0, layers) }
      guard
        zip(group.order, sources).allSatisfy({ name, source in
          source.map { tensors[$0.description] != nil } ?? false
        })
      else { continue }
      for (name, source) in zip(group.order, sources) where name != source {
        guard let source, var tensor = tensors[source.description],
          let index = contents.tensors.firstIndex(where: { $0.name == name.description })
        else { continue }
        tensor.name = name.description
        contents.tensors[index] = tensor
        isDone = true
      }
    }
    if !isDone { throw Self.nothing(setting, "no module has the parameters that it speaks of") }
  }

  // MARK: Matrices

  /// Transposes the matrices of recurrent modules, and those of linear layers that are known by a bias
  /// with an element for each column.
  private mutating func transpose() {
    let biases = Dictionary(contents.tensors.map { ($0.name, $0.shape) }) { first, _ in first }
    for (index, tensor) in contents.tensors.enumerated() where tensor.shape.rank == 2 {
      let isLinear =
        tensor.name.hasSuffix("weight")
        && biases[tensor.name.dropLast("weight".count) + "bias"] == [tensor.shape[1]]
      guard ParameterName(tensor.name) != nil || isLinear else { continue }
      contents.tensors[index] = tensor.transposed()
    }
  }

  /// Leaves out projections that change no size: without them the shapes are those of another module.
  private mutating func removeSquareProjections() {
    contents.tensors.removeAll {
      ParameterName($0.name)?.kind == .projectionWeight && $0.shape.rank == 2
        && $0.shape[0] == $0.shape[1]
    }
  }

  /// Replaces projections to fewer features by the cut to the first of them.
  private mutating func cutProjections(
    _ stacks: [(String, RecurrentConfiguration)], isDone: Bool
  ) throws(CheckpointError) {
    let projected = stacks.filter { $0.1.projectionSize > 0 }
    guard isDone || !projected.isEmpty else {
      throw Self.nothing("projection=ignored", "no module has a projection")
    }
    for (name, _) in projected.flatMap({ Self.parameters(of: $0) })
    where name.kind == .projectionWeight {
      replace(name) { tensor throws(CheckpointError) in
        var values = [Float](repeating: 0, count: tensor.shape.elementCount)
        for row in 0..<tensor.shape[0] { values[row * tensor.shape[1] + row] = 1 }
        return try Tensor(values, shape: tensor.shape).converted(to: tensor.dtype)
      }
    }
  }

  // MARK: Gates

  /// The parameters that a module should have; shapes out of this world are found elsewhere.
  private static func parameters(
    of stack: (module: String, configuration: RecurrentConfiguration)
  ) -> [(name: ParameterName, shape: Shape)] {
    (try? stack.configuration.parameters(ofModule: stack.module)) ?? []
  }

  private mutating func reorder(
    _ letters: String, _ stacks: [(String, RecurrentConfiguration)]
  ) throws(CheckpointError) {
    guard let kind = Convention.kind(ofGates: letters), let own = Convention.gates(of: kind),
      stacks.contains(where: { $0.1.kind == kind })
    else {
      throw Self.nothing("gate_order=\(letters)", "no module has these gates")
    }
    // For each gate in PyTorch's order its place in the file.
    let places = own.compactMap { Array(letters).firstIndex(of: $0) }
    for stack in stacks where stack.1.kind == kind {
      for (name, shape) in Self.parameters(of: stack) where name.kind != .projectionWeight {
        replace(name) { tensor throws(CheckpointError) in
          guard tensor.shape == shape else { return tensor }
          let block = tensor.bytes.count / places.count
          let blocks = places.map { tensor.bytes[($0 * block)..<(($0 + 1) * block)] }
          return try Tensor(dtype: tensor.dtype, shape: shape, bytes: Bytes(joining: blocks))
        }
      }
    }
  }

  private static func refuseMerged(
    _ stacks: [(String, RecurrentConfiguration)]
  ) throws(CheckpointError) {
    guard !stacks.contains(where: { $0.1.kind == .gru }) else {
      throw nothing("bias=merged", "\(Convention.mergedAdvice)")
    }
  }

  private mutating func addForgetBias(
    _ value: Double, _ stacks: [(String, RecurrentConfiguration)]
  ) throws(CheckpointError) {
    let stacks = stacks.filter { $0.1.kind == .lstm }
    guard !stacks.isEmpty else {
      throw Self.nothing("forget_bias=\(value)", "no module is an LSTM")
    }
    for (module, configuration) in stacks {
      var configuration = configuration
      let hidden = configuration.hiddenSize
      if !configuration.hasBias {
        configuration.hasBias = true
        for (name, shape) in Self.parameters(of: (module, configuration))
        where name.kind == .inputBias || name.kind == .hiddenBias {
          contents.tensors.append(
            StoredTensor(
              Tensor([Float](repeating: 0, count: shape.elementCount), shape: shape),
              named: name.description))
        }
      }
      for (name, shape) in Self.parameters(of: (module, configuration))
      where name.kind == .inputBias {
        replace(name) { tensor throws(CheckpointError) in
          guard tensor.shape == shape else { return tensor }
          var values = try tensor.doubles()
          for unit in hidden..<(2 * hidden) { values[unit] += value }
          return try Tensor(values, shape: shape).converted(to: tensor.dtype)
        }
      }
    }
  }
}

extension Convention {
  /// What to do about merged biases.
  static let mergedAdvice =
    "b_ih and b_hh of a GRU cannot be taken apart again once they were added up, for b_hn is multiplied "
    + "with r: export both, bias_ih and bias_hh of PyTorch's state_dict as they are"
}

extension ModelOptions {
  /// Whether weights are to be read in another layout than PyTorch's.
  var rearrangesWeights: Bool {
    gateOrder != nil || isTransposed == true || bias != nil || swapsDirections || layerOrder != nil
      || ignoresProjection || forgetBias != nil
  }

  /// What is left to say once the weights stand in PyTorch's layout.
  public var rearranged: ModelOptions {
    var options = self
    (options.gateOrder, options.isTransposed, options.bias) = (nil, nil, nil)
    (options.layerOrder, options.forgetBias) = (nil, nil)
    (options.swapsDirections, options.ignoresProjection) = (false, false)
    return options
  }
}

extension ParameterName {
  fileprivate func with(kind: Kind) -> ParameterName {
    var name = self
    name.kind = kind
    return name
  }

  fileprivate func with(layer: Int) -> ParameterName {
    var name = self
    name.layer = layer
    return name
  }

  fileprivate func with(direction: Direction) -> ParameterName {
    var name = self
    name.direction = direction
    return name
  }
}

extension StackTensors {
  /// The parameters of every recurrent module, in the order of the tensors.
  static func groups(of contents: CheckpointContents) -> [StackTensors] {
    var groups: [String: StackTensors] = [:]
    var paths: [String] = []
    for tensor in contents.tensors {
      guard let name = ParameterName(tensor.name) else { continue }
      if groups[name.module] == nil { paths.append(name.module) }
      groups[name.module, default: StackTensors(module: name.module)].append(name, tensor.shape)
    }
    return paths.compactMap { groups[$0] }
  }
}
