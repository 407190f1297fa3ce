internal import Checkpoints

/// Tries conventions one after the other, the common ones first, until a golden passes.
struct ConventionSearch {
  private let contents: CheckpointContents
  private let goldens: StateDict
  private let tolerance: Verification.Tolerance
  private let progress: ((Int, Int) -> Void)?

  init(
    _ contents: CheckpointContents, goldens: StateDict, tolerance: Verification.Tolerance,
    progress: ((Int, Int) -> Void)?
  ) {
    self.contents = contents
    self.goldens = goldens
    self.tolerance = tolerance
    self.progress = progress
  }

  /// What makes the golden pass, empty where nothing does, and everything that was tried.
  /// - Throws: what reading the weights throws.
  func run() throws(CheckpointError) -> (found: [Convention], tried: [[Convention]]) {
    let candidates = candidates
    var tried: [[Convention]] = []
    for (index, candidate) in candidates.enumerated() {
      progress?(index, candidates.count)
      tried.append(candidate)
      guard let found = try passing(candidate) else { continue }
      progress?(candidates.count, candidates.count)
      return (found, tried)
    }
    return ([], tried)
  }

  /// The candidate with what was to be found out about it, when the golden passes with it.
  private func passing(_ candidate: [Convention]) throws(CheckpointError) -> [Convention]? {
    if candidate.contains(.bias(.merged)) {
      let rest = candidate.filter { $0 != .bias(.merged) }
      return try MergedBiasFit(contents, rest, goldens, tolerance).passes ? candidate : nil
    }
    if candidate == [.forgetBias(0)] {
      guard let value = try ForgetBiasFit(contents, goldens, tolerance).value else { return nil }
      return [.forgetBias(value)]
    }
    return Self.passes(contents, candidate, goldens, tolerance) ? candidate : nil
  }

  /// Whether a golden passes when conventions are undone; what does not fit does not pass.
  static func passes(
    _ contents: CheckpointContents, _ conventions: [Convention], _ goldens: StateDict,
    _ tolerance: Verification.Tolerance
  ) -> Bool {
    let verification = try? Verification(
      contents, goldens: goldens, options: ModelOptions(conventions), tolerance: tolerance)
    return verification?.isPassed ?? false
  }

  // MARK: Candidates

  /// What is tried, in its order: what each model may have, then the common pairs.
  private var candidates: [[Convention]] {
    // Modules by their shapes, as they are and transposed.
    let asWritten = configurations([])
    let transposed = configurations([.transpose])
    let stacks = asWritten.isEmpty ? transposed : asWritten
    let kinds = Set((asWritten + transposed).map(\.kind))
    let orders = kinds.sorted { $0.rawValue < $1.rawValue }.flatMap(Self.gateOrders)
    let isGRU = kinds.contains(.gru)
    let isLSTM = kinds.contains(.lstm)

    var single: [Convention] = []
    if kinds.contains(.rnn) {
      let isRelu = asWritten.contains { $0.kind == .rnn && $0.nonlinearity == .relu }
      single.append(.nonlinearity(isRelu ? .tanh : .relu))
    }
    if let first = stacks.first, stacks.contains(where: { !$0.isCell }) {
      single.append(.batchFirst(!first.isBatchFirst))
    }
    single += Self.known.filter(orders.contains)
    single.append(.transpose)
    let otherReset: [Convention] =
      isGRU ? [.gruReset(stacks.contains { $0.gruReset == .before } ? .after : .before)] : []
    single += otherReset
    if isGRU { single.append(.bias(.swapped)) }
    if stacks.contains(where: \.isBidirectional) { single.append(.directionSwapped) }
    let hasHidden = goldens.contains { Self.isNamed($0.name, "h_0") }
    let hasCell = goldens.contains { Self.isNamed($0.name, "c_0") }
    if hasHidden, hasCell { single.append(.state(.swapped)) }
    if hasHidden || hasCell { single.append(.state(.zero)) }
    if hasProjection { single.append(.projectionIgnored) }
    if isLSTM { single.append(.forgetBias(0)) }
    if isLSTM || isGRU {
      single += RecurrentConfiguration.Sigmoid.allCases.map { .sigmoid($0) }
        .filter { setting in !stacks.contains { setting == .sigmoid($0.sigmoid) } }
    }
    single += orders.filter { !single.contains($0) }
    single += layerOrders

    var candidates = single.map { [$0] }
    let hasMergedBias = isGRU && hasEmptyBias
    if hasMergedBias { candidates.append([.bias(.merged)]) }
    for order in orders { candidates.append([order, .transpose]) }
    for order in orders where Self.isGRU(order) {
      for reset in otherReset { candidates.append([order, reset]) }
      if hasMergedBias { candidates.append([order, .bias(.merged)]) }
    }
    for reset in otherReset {
      candidates.append([.transpose, reset])
      for order in orders where Self.isGRU(order) {
        candidates.append([order, .transpose, reset])
      }
    }
    return candidates
  }

  private func configurations(_ conventions: [Convention]) -> [RecurrentConfiguration] {
    let options = ModelOptions(conventions)
    let mapping = try? ParameterMapping(of: contents, options: options)
    guard let mapping, (try? mapping.requireComplete()) != nil else { return [] }
    return mapping.description.modules.compactMap(\.recurrent)
  }

  private static func isNamed(_ name: String, _ last: String) -> Bool {
    name == last || name.hasSuffix(".\(last)")
  }

  private static func isGRU(_ order: Convention) -> Bool {
    if case .gateOrder(let letters) = order {
      Convention.kind(ofGates: letters) == .gru
    } else {
      false
    }
  }

  /// The orders of well-known frameworks come first.
  private static let known: [Convention] = [.gateOrder("iofg"), .gateOrder("zrn")]

  /// Every order of a kind's gates but PyTorch's.
  private static func gateOrders(_ kind: RecurrentConfiguration.Kind) -> [Convention] {
    guard let own = Convention.gates(of: kind) else { return [] }
    return permutations(Array(own)).map { String($0) }.filter { $0 != own }
      .map(Convention.gateOrder)
  }

  private static func permutations<Element>(_ elements: [Element]) -> [[Element]] {
    guard let first = elements.first else { return [[]] }
    return permutations(Array(elements.dropFirst())).flatMap { rest in
      (0...rest.count).map { place in
        Array(rest[..<place]) + [first] + Array(rest[place...])
      }
    }
  }

  /// Orders of layers: all of up to five, else those in which two were exchanged, and the reverse.
  private var layerOrders: [Convention] {
    let counts = Set(
      StackTensors.groups(of: contents).map { ($0.order.map(\.layer).max() ?? 0) + 1 })
    return counts.filter { 2...64 ~= $0 }.sorted().flatMap { count -> [Convention] in
      let own = Array(0..<count)
      var orders: [[Int]] = []
      if count <= 5 {
        orders = Self.permutations(own)
      } else {
        orders.append(own.reversed())
        for first in own {
          for second in own[(first + 1)...] {
            var order = own
            order.swapAt(first, second)
            orders.append(order)
          }
        }
      }
      return orders.filter { $0 != own }.map(Convention.layerOrder)
    }
  }

  private var hasProjection: Bool {
    contents.tensors.contains { ParameterName($0.name)?.kind == .projectionWeight }
  }

  /// Whether of the two biases of every layer one is zero, as it is where they were added up.
  private var hasEmptyBias: Bool {
    for kind in [ParameterName.Kind.hiddenBias, .inputBias] {
      let biases = contents.tensors.filter { ParameterName($0.name)?.kind == kind }
      if !biases.isEmpty,
        biases.allSatisfy({ bias in
          (try? bias.read().doubles().allSatisfy { $0 == 0 }) ?? false
        })
      {
        return true
      }
    }
    return false
  }
}

extension ModelOptions {
  /// What conventions say.
  public init(_ conventions: [Convention]) {
    self.init()
    for convention in conventions { adopt(convention) }
  }
}
