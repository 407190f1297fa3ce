public import Checkpoints

/// A model's results beside a golden's: how far each tensor is off, where, and whether that is within
/// the tolerance.
public struct Verification: Sendable {
  /// How far a result may be off.
  public enum Tolerance: Hashable, Sendable {
    /// |a − b| ≤ atol + rtol · |b| against every recorded value.
    case elementwise(absolute: Double, relative: Double)
    /// For a tensor that the golden has in float64 as well: the error to float64 may be 1e-6, or four
    /// times PyTorch's own if that is more; the distance to PyTorch's float32 may then be that and
    /// PyTorch's own error. For other tensors 1e-5 + 1e-5 · |b|.
    case standard
  }

  /// One tensor compared with one recorded reference.
  public struct Row: Hashable, Sendable {
    /// The tensor.
    public var name: String
    /// `float32` or `float64`: what it was compared with.
    public var reference: String
    /// The largest |a − b|.
    public var largestError: Double
    /// The largest |a − b| / |b|, over elements where b is not 0.
    public var largestRelativeError: Double
    /// The index of the largest |a − b|.
    public var position: [Int]
    /// What the largest |a − b| may be, where that is one number for the tensor.
    public var bound: Double?
    /// Whether every element is within the tolerance.
    public var isPassed: Bool
  }

  /// A row for each tensor and reference.
  public internal(set) var rows: [Row]
  /// The tolerance that was asked for.
  public let tolerance: Tolerance
  /// What was taken for granted about the model.
  public internal(set) var assumptions: [ParameterMapping.Assumption] = []
  /// The modules that no result of the golden shows.
  public internal(set) var unchecked: [String] = []

  /// Whether every tensor is within the tolerance.
  public var isPassed: Bool { rows.allSatisfy(\.isPassed) }

  /// `absolute` and `relative` of `standard` where no float64 values are recorded.
  public static let standardElementwise = 1e-5
  /// The least error to float64 that `standard` allows.
  public static let standardFloor = 1e-6
  /// How many times PyTorch's own error `standard` allows.
  public static let standardFactor = 4.0

  /// Whether a name, behind its prefix, is that of a result: `output`, `h_n`, `c_n`, `y`, or of a
  /// layer's inside, `gates_l1_reverse`.
  static func isResult(_ name: String) -> Bool {
    let last = name.split(separator: ".").last ?? ""
    return ["output", "h_n", "c_n", "y"].contains(last) || isInsideLayers(name)
  }

  static func isInsideLayers(_ name: String) -> Bool {
    let last = name.split(separator: ".").last ?? ""
    return ["output_l", "c_l", "gates_l"].contains { last.hasPrefix($0) }
  }

  /// The option that may make a head's result fit, in words; empty for other results.
  static func wayOut(_ name: String, _ golden: Shape? = nil, _ result: Shape? = nil) -> String {
    guard name.split(separator: ".").last == "y" else { return "" }
    guard let golden, let result else {
      return "; what gives it is said by convert --set head=NAME"
    }
    if golden.rank == result.rank, golden.dimensions.last == result.dimensions.last { return "" }
    let inputs = golden.rank < result.rank ? "last or h_n" : "all, last or h_n"
    return "; what the head is applied to is said by convert --set head_input=\(inputs)"
  }

  /// What stands behind a name for the same value in float64.
  static let float64Suffix = "_f64"

  /// Compares results with a golden.
  /// - Throws: `goldenMismatch` when the golden has a result that the model does not give, a result of
  ///   another shape, or none at all.
  public init(
    _ results: StateDict, against goldens: StateDict, tolerance: Tolerance = .standard
  ) throws(CheckpointError) {
    var rows: [Row] = []
    for (name, golden) in goldens {
      let base = name.hasSuffix(Self.float64Suffix) ? String(name.dropLast(4)) : name
      guard Self.isResult(base) else { continue }
      guard let result = results[base] else {
        throw CheckpointError(
          .goldenMismatch, tensor: name, "the model gives no such result\(Self.wayOut(base))")
      }
      guard result.shape == golden.shape, golden.dtype.isFloatingPoint else {
        throw CheckpointError(
          .goldenMismatch, tensor: name,
          "\(golden.dtype.rawValue) \(golden.shape), the model gives \(result.shape)"
            + Self.wayOut(base, golden.shape, result.shape))
      }
      let wide = try goldens[base + Self.float64Suffix]?.doubles()
      let values = try golden.doubles()
      var row = Row(
        name: base, reference: name == base ? "float32" : "float64",
        try result.doubles(), values, golden.shape)
      switch tolerance {
      case .elementwise(let absolute, let relative):
        row.isPassed = Self.within(try result.doubles(), values, absolute, relative)
      case .standard:
        if let wide {
          // What float32 costs PyTorch itself: nothing where the golden is float64 alone.
          let own = try goldens[base].map { narrow throws(CheckpointError) in
            Self.largestDifference(try narrow.doubles(), wide)
          }
          // PyTorch's float32 may be NaN or infinite where float64 is not; that allows nothing.
          let ownError = own.map { $0.isFinite ? $0 : 0 } ?? 0
          let allowed = max(Self.standardFloor, Self.standardFactor * ownError)
          row.bound = name == base ? allowed + ownError : allowed
          row.isPassed = row.largestError <= (row.bound ?? 0)
        } else {
          row.isPassed = Self.within(
            try result.doubles(), values, Self.standardElementwise, Self.standardElementwise)
        }
      }
      rows.append(row)
    }
    guard !rows.isEmpty else {
      throw CheckpointError(
        .goldenMismatch, "the golden has none of output, h_n, c_n, y")
    }
    self.rows = rows
    self.tolerance = tolerance
  }

  /// Whether the standard tolerance came from float64 values for at least one tensor.
  public var usesFloat64: Bool { rows.contains { $0.bound != nil } }

  private static func within(
    _ values: [Double], _ reference: [Double], _ absolute: Double, _ relative: Double
  ) -> Bool {
    zip(values, reference).allSatisfy {
      let error = difference($0, $1)
      // An infinite reference would make the bound infinite.
      return error == 0 || (error.isFinite && error <= absolute + relative * abs($1))
    }
  }

  private static func largestDifference(_ values: [Double], _ reference: [Double]) -> Double {
    zip(values, reference).reduce(0) { max($0, difference($1.0, $1.1)) }
  }

  /// |a − b|; 0 for equal infinities and for two NaN, infinite where only one is NaN.
  static func difference(_ value: Double, _ reference: Double) -> Double {
    if value == reference || (value.isNaN && reference.isNaN) { return 0 }
    let difference = abs(value - reference)
    return difference.isNaN ? .infinity : difference
  }
}

extension Verification.Row {
  fileprivate init(
    name: String, reference: String, _ values: [Double], _ golden: [Double], _ shape: Shape
  ) {
    var largest = 0.0
    var relative = 0.0
    var position = 0
    for index in values.indices {
      let difference = Verification.difference(values[index], golden[index])
      if difference > largest {
        largest = difference
        position = index
      }
      if golden[index] != 0, difference > 0 {
        relative = max(relative, difference / abs(golden[index]))
      }
    }
    self.name = name
    self.reference = reference
    largestError = largest
    largestRelativeError = relative
    self.position = shape.elementCount > 0 ? shape.index(at: position) : []
    bound = nil
    isPassed = false
  }
}
