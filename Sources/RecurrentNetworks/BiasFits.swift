internal import Checkpoints

/// Whether there are biases b_hn of a GRU with which a golden passes, where the file holds their sums
/// with b_in alone: n = tanh(W x + b_in + r (W h + b_hn)).
///
/// Found by least squares; the sums are kept. The golden must show more numbers than there are biases.
struct MergedBiasFit {
  private(set) var passes = false

  /// The most biases that are looked for; the time grows with their square.
  private static let most = 2048

  init(
    _ contents: CheckpointContents, _ conventions: [Convention], _ goldens: StateDict,
    _ tolerance: Verification.Tolerance
  ) throws(CheckpointError) {
    let options = ModelOptions(conventions)
    guard let mapping = try? ParameterMapping(of: contents, options: options),
      (try? mapping.requireComplete()) != nil
    else { return }
    let file = BiasFile(mapping)
    var places: [(input: String, hidden: String, range: Range<Int>)] = []
    for module in mapping.description.modules {
      guard let configuration = module.recurrent, configuration.kind == .gru, configuration.hasBias
      else { continue }
      let size = configuration.hiddenSize
      for layer in 0..<configuration.layerCount {
        for direction in configuration.directions {
          func name(_ kind: ParameterName.Kind) -> String {
            configuration.name(kind, ofModule: module.name, layer: layer, direction).description
          }
          places.append((name(.inputBias), name(.hiddenBias), (2 * size)..<(3 * size)))
        }
      }
    }
    let count = places.reduce(0) { $0 + $1.range.count }
    guard 1...Self.most ~= count, let start = file.biases(places.flatMap { [$0.input, $0.hidden] })
    else { return }

    /// The checkpoint with such biases b_hn.
    func changed(_ values: [Double]) throws(CheckpointError) -> CheckpointContents {
      var biases = start
      var done = 0
      for place in places {
        for unit in place.range {
          let sum = (start[place.input]?[unit] ?? 0) + (start[place.hidden]?[unit] ?? 0)
          biases[place.input]?[unit] = sum - values[done]
          biases[place.hidden]?[unit] = values[done]
          done += 1
        }
      }
      return try file.contents(with: biases)
    }
    let told = options.rearranged
    var fit = LeastSquares(count: count) { values in
      try? file.residuals(changed(values), goldens, told)
    }
    guard let values = fit.solution() else { return }
    let verification = try? Verification(
      changed(values), goldens: goldens, options: told, tolerance: tolerance)
    passes = verification?.isPassed ?? false
  }
}

/// What has to be added to the bias of the forget gates so that a golden passes.
struct ForgetBiasFit {
  private(set) var value: Double?

  /// What frameworks add.
  private static let usual = [1.0, -1, 2, 0.5, 5]

  init(
    _ contents: CheckpointContents, _ goldens: StateDict, _ tolerance: Verification.Tolerance
  ) throws(CheckpointError) {
    func passes(_ value: Double) -> Bool {
      ConventionSearch.passes(contents, [.forgetBias(value)], goldens, tolerance)
    }
    value = Self.usual.first(where: passes)
    guard value == nil, let mapping = try? ParameterMapping(of: contents) else { return }
    let file = BiasFile(mapping)
    for start in [0.0, 2, -2] {
      var fit = LeastSquares(count: 1, from: [start]) { values in
        let options = ModelOptions([.forgetBias(values[0])])
        return try? file.residuals(contents, goldens, options)
      }
      guard let exact = fit.solution()?.first, exact.magnitude < 100 else { continue }
      // Somebody wrote it down: the shortest number that does it.
      for scale in [1.0, 10, 100, 1000, 1e4, 1e5, 1e6] {
        let rounded = (exact * scale).rounded() / scale
        if rounded != 0, passes(rounded) {
          value = rounded
          return
        }
      }
    }
  }
}

/// A checkpoint whose biases are changed.
private struct BiasFile {
  private let mapping: ParameterMapping
  private let tensors: [String: StoredTensor]

  init(_ mapping: ParameterMapping) {
    self.mapping = mapping
    tensors = Dictionary(mapping.contents.tensors.map { ($0.name, $0) }) { first, _ in first }
  }

  /// The values of biases; nil when one is not there.
  func biases(_ names: [String]) -> [String: [Double]]? {
    var biases: [String: [Double]] = [:]
    for name in names {
      guard let values = try? tensors[name]?.read().doubles() else { return nil }
      biases[name] = values
    }
    return biases
  }

  func contents(with biases: [String: [Double]]) throws(CheckpointError) -> CheckpointContents {
    var contents = mapping.contents
    contents.tensors = contents.tensors.map { tensor in
      biases[tensor.name].map {
        StoredTensor(Tensor($0, shape: tensor.shape), named: tensor.name)
      } ?? tensor
    }
    return contents
  }

  /// What results are off by, of every result that the golden has.
  func residuals(
    _ contents: CheckpointContents, _ goldens: StateDict, _ options: ModelOptions
  ) throws(CheckpointError) -> [Double] {
    let mapping = try ParameterMapping(of: contents, options: options)
    var residuals: [Double] = []
    for part in try Verification.parts(of: mapping, goldens, file: nil) {
      for (name, result) in try part.results(goldens, .float32)
      where Verification.isResult(name) && !Verification.isInsideLayers(name) {
        guard let golden = goldens[name + Verification.float64Suffix] ?? goldens[name] else {
          continue
        }
        guard golden.shape == result.shape else {
          throw CheckpointError(.goldenMismatch, tensor: name, "another shape")
        }
        residuals += zip(try result.doubles(), try golden.doubles()).map { $0 - $1 }
      }
    }
    return residuals
  }
}

/// The least squares of residuals that are nearly linear: Gauss and Newton's steps, with derivatives by
/// differences, which Broyden's updates keep right from step to step.
private struct LeastSquares {
  private let residuals: ([Double]) -> [Double]?
  private var values: [Double]
  /// Derivatives, [value][residual].
  private var columns: [[Double]] = []

  /// How far a value is moved for its derivative: float32 results have errors of 1e-7.
  private static let difference = 1e-3

  init(
    count: Int, from start: [Double]? = nil, _ residuals: @escaping ([Double]) -> [Double]?
  ) {
    values = start ?? Array(repeating: 0, count: count)
    self.residuals = residuals
  }

  /// The values; nil when the residuals cannot decide about them, or do not become small.
  mutating func solution() -> [Double]? {
    // Fewer numbers than values prove nothing.
    guard var current = residuals(values), current.count > values.count + values.count / 2 else {
      return nil
    }
    var error = Self.square(current)
    guard differentiate(current) else { return nil }
    var fresh = true
    for _ in 0..<40 {
      guard error.isFinite, error > 1e-16 * Double(current.count) else { break }
      guard let step = step(current) else { return nil }
      let next = zip(values, step).map { $0 - $1 }
      guard let moved = residuals(next), Self.square(moved) < 0.9 * error else {
        // Derivatives of somewhere else, or the end.
        guard !fresh, differentiate(current) else { break }
        fresh = true
        continue
      }
      update(step.map { -$0 }, zip(moved, current).map { $0 - $1 })
      (values, current, error, fresh) = (next, moved, Self.square(moved), false)
    }
    return values
  }

  private static func square(_ vector: [Double]) -> Double {
    vector.reduce(0) { $0 + $1 * $1 }
  }

  private mutating func differentiate(_ current: [Double]) -> Bool {
    columns = []
    for index in values.indices {
      var moved = values
      moved[index] += Self.difference
      guard let residuals = residuals(moved), residuals.count == current.count else { return false }
      columns.append(zip(residuals, current).map { ($0 - $1) / Self.difference })
    }
    return true
  }

  /// Broyden's update: the least change of the derivatives that explains what a step did.
  private mutating func update(_ step: [Double], _ change: [Double]) {
    let length = Self.square(step)
    guard length > 0 else { return }
    var unexplained = change
    for (column, distance) in zip(columns, step) {
      for row in unexplained.indices { unexplained[row] -= column[row] * distance }
    }
    for (index, distance) in step.enumerated() where distance != 0 {
      let share = distance / length
      for row in unexplained.indices { columns[index][row] += unexplained[row] * share }
    }
  }

  /// The solution of the normal equations, by Cholesky's factors.
  private func step(_ current: [Double]) -> [Double]? {
    let count = values.count
    var factors = [[Double]](repeating: [], count: count)
    for row in 0..<count {
      for column in 0...row {
        var sum = zip(columns[row], columns[column]).reduce(0) { $0 + $1.0 * $1.1 }
        for index in 0..<column { sum -= factors[row][index] * factors[column][index] }
        if row == column {
          // A value that changes nothing stays where it is.
          factors[row].append(max(sum, 1e-12).squareRoot())
        } else {
          factors[row].append(sum / factors[column][column])
        }
      }
    }
    var solution = columns.map { zip($0, current).reduce(0) { $0 + $1.0 * $1.1 } }
    for row in 0..<count {
      for index in 0..<row { solution[row] -= factors[row][index] * solution[index] }
      solution[row] /= factors[row][row]
    }
    for row in (0..<count).reversed() {
      for index in (row + 1)..<max(row + 1, count) {
        solution[row] -= factors[index][row] * solution[index]
      }
      solution[row] /= factors[row][row]
    }
    return solution.allSatisfy(\.isFinite) ? solution : nil
  }
}
