import Checkpoints
import RecurrentNetworks

/// What the weights of one layer in one direction look like, gate by gate.
struct LayerWeights: Encodable {
  /// W_ih or W_hh.
  struct Matrix: Encodable {
    /// The tensor's name.
    var tensor: String
    /// `weight_ih` or `weight_hh`.
    var parameter: String
    /// Rows of all gates, and columns.
    var shape: [Int]
    /// The least finite value, where the histograms begin.
    var low: Double
    /// The largest finite value, where the histograms end.
    var high: Double
    /// The largest finite magnitude, where the colours of the heat maps end.
    var largest: Double
    /// By gate, in the module's order.
    var gates: [Block]
  }

  /// The rows of one gate.
  struct Block: Encodable {
    var gate: String
    var histogram: Histogram
    var heatMap: HeatMap
    /// Those of W_hh, largest first; absent where they are left out, and of W_ih.
    var singularValues: [Double]?

    enum CodingKeys: String, CodingKey {
      case gate, histogram
      case heatMap = "heat_map"
      case singularValues = "singular_values"
    }
  }

  var module: String
  var layer: Int
  var direction: String
  var gates: [Gate]
  var parameters: Int
  var matrices: [Matrix]
}

/// The weights of all recurrent modules of a file, read layer by layer.
struct WeightGallery: Encodable {
  /// How many layers in one direction are drawn; nobody looks at more.
  private static let layerLimit = 24

  var layers: [LayerWeights] = []
  /// How many are left out, those nearest to the output.
  var omittedLayers = 0
  /// How many matrices have their singular values left out, being too large, or not finite.
  var omittedSpectra = 0
  /// The largest side of a matrix whose singular values are computed.
  var spectrumLimit = SingularValues.sizeLimit

  enum CodingKeys: String, CodingKey {
    case layers
    case omittedLayers = "omitted_layers"
    case omittedSpectra = "omitted_spectra"
    case spectrumLimit = "spectrum_limit"
  }

  /// Reads the weights.
  /// - Throws: what reading them throws, `dtypeUnsupported`.
  init(
    _ modules: [ModelDescription.Module], _ contents: CheckpointContents
  ) throws(CheckpointError) {
    let tensors = Dictionary(contents.tensors.map { ($0.name, $0) }) { first, _ in first }
    var work = 0
    for module in modules {
      guard case .recurrent(let configuration) = module.kind else { continue }
      let gates = Gate.gates(of: configuration)
      let parameters = try configuration.parameters(ofModule: module.name)
      for layer in 0..<configuration.layerCount {
        for direction in configuration.directions {
          guard layers.count < Self.layerLimit else {
            omittedLayers += 1
            continue
          }
          let own = parameters.filter { $0.name.layer == layer && $0.name.direction == direction }
          var matrices: [LayerWeights.Matrix] = []
          for (name, shape) in own where [.inputWeight, .hiddenWeight].contains(name.kind) {
            guard let tensor = tensors[name.description] else { continue }
            let values = try tensor.weights()
            var matrix = LayerWeights.Matrix(name, shape, values, gates)
            if name.kind == .hiddenWeight { addSpectra(to: &matrix, values, &work) }
            matrices.append(matrix)
          }
          layers.append(
            LayerWeights(
              module: module.name, layer: layer, direction: direction.text, gates: gates,
              parameters: own.reduce(0) { $0 + $1.shape.elementCount }, matrices: matrices))
        }
      }
    }
  }

  /// Computes the singular values of every gate, as long as that does not take too long.
  private mutating func addSpectra(
    to matrix: inout LayerWeights.Matrix, _ values: [Double], _ work: inout Int
  ) {
    let size = matrix.shape[0] / matrix.gates.count
    for (index, rows) in values.blocks(matrix.gates.count, width: matrix.shape[1]).enumerated() {
      let side = max(size, matrix.shape[1])
      guard side <= SingularValues.sizeLimit, work <= SingularValues.workLimit,
        matrix.gates[index].histogram.nonfinite == 0
      else {
        omittedSpectra += 1
        continue
      }
      work += side * side * side
      matrix.gates[index].singularValues = SingularValues.of(rows)
    }
  }
}

extension LayerWeights.Matrix {
  fileprivate init(_ name: ParameterName, _ shape: Shape, _ values: [Double], _ gates: [Gate]) {
    tensor = name.description
    parameter = name.kind.rawValue
    self.shape = shape.dimensions
    var (low, high) = (Double.infinity, -Double.infinity)
    for value in values where value.isFinite {
      low = min(low, value)
      high = max(high, value)
    }
    let range = low <= high ? low...high : 0...0
    self.low = range.lowerBound
    self.high = range.upperBound
    largest = max(range.lowerBound.magnitude, range.upperBound.magnitude)
    let rows = values.count / gates.count
    self.gates = zip(gates, values.blocks(gates.count, width: shape[1])).enumerated().map {
      index, gate in
      LayerWeights.Block(
        gate: gate.0.letter,
        histogram: Histogram(values[(index * rows)..<((index + 1) * rows)], in: range),
        heatMap: HeatMap(gate.1, limit: .weights))
    }
  }
}

extension [Double] {
  /// As many blocks of rows, one below the other.
  fileprivate func blocks(_ count: Int, width: Int) -> [[ArraySlice<Double>]] {
    let rows = width > 0 ? self.count / width / count : 0
    return (0..<count).map { block in
      (0..<rows).map { row in
        let start = (block * rows + row) * width
        return self[start..<(start + width)]
      }
    }
  }
}

extension StoredTensor {
  /// The values of a weight.
  /// - Throws: `dtypeUnsupported` for a tensor that is no floating-point one, and what reading throws.
  fileprivate func weights() throws(CheckpointError) -> [Double] {
    guard try readableDType().isFloatingPoint else {
      throw CheckpointError(
        .dtypeUnsupported, tensor: name,
        "\(dtypeName) is no floating-point dtype: the weights may be quantised")
    }
    return try read().doubles()
  }
}
