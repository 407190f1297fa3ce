import Checkpoints

/// Something about a tensor that looks suspicious.
struct Finding: Encodable {
  enum Severity: String, Encodable {
    /// Nothing good can come of it.
    case error
    /// It may well be a fault.
    case warning
    /// It can be meant so.
    case note
  }

  enum Kind: String, Encodable {
    case nan
    case infinite
    case unreadable
    case disguised
    case deadUnits = "dead_units"
    case deadReluUnits = "dead_relu_units"
    case constantRows = "constant_rows"
    case equalRows = "equal_rows"
    case zeroBias = "zero_bias"
    case saturatedGate = "saturated_gate"
    case steepGate = "steep_gate"
    case forgetBias = "forget_bias"
    case spectralRadius = "spectral_radius"
    case halfOverflow = "half_overflow"
    case halfSubnormal = "half_subnormal"
    case duplicate
    case transposed
  }

  var tensor: String
  var layer: Int?
  var direction: String?
  var gate: String?
  var kind: Kind
  var severity: Severity
  /// The figure that the words speak of: a number of elements, rows or units, a mean, a radius.
  var value: Double
  var words: String

  /// A line for people.
  var line: String {
    let place = placeWords(layer: layer, direction: direction, gate: gate)
    return "\(severity.rawValue): \(tensor)\(place.isEmpty ? "" : " (\(place))"): \(words)"
  }
}

extension Int {
  /// `1 row`, `3 rows`.
  func counted(_ noun: String) -> String { "\(self) \(noun)\(self == 1 ? "" : "s")" }
}

/// Looks at tensors one by one, wherever they belong.
struct TensorFindings {
  private(set) var findings: [Finding] = []
  /// The first tensor with such bits.
  private var names: [TensorDigest.Value: String] = [:]

  /// A share of subnormal numbers that random weights of a sensible size do not reach.
  private static let notableSubnormals = 0.05

  mutating func add(_ profile: TensorProfile, _ place: ParameterPlace?) {
    func find(_ kind: Finding.Kind, _ severity: Finding.Severity, _ value: Int, _ words: String) {
      findings.append(
        Finding(
          tensor: profile.name, layer: place?.layer, direction: place?.direction, gate: nil,
          kind: kind, severity: severity, value: Double(value), words: words))
    }
    let statistics = profile.statistics
    if let position = profile.firstNonFinite {
      let words =
        "of \(profile.shape.elementCount) values, the first at \(profile.shape.index(at: position))"
      let gate = place?.gate(ofElement: position, of: profile.shape.elementCount)
      if statistics.nan > 0 { find(.nan, .error, statistics.nan, "\(statistics.nan) NaN \(words)") }
      if statistics.infinite > 0 {
        find(.infinite, .error, statistics.infinite, "\(statistics.infinite) infinite \(words)")
      }
      for index in findings.indices
      where findings[index].tensor == profile.name
        && [.nan, .infinite].contains(findings[index].kind)
      {
        findings[index].gate = gate
      }
    }
    if profile.dtype != .float16 {
      if profile.beyondHalf > 0 {
        find(
          .halfOverflow, .warning, profile.beyondHalf,
          "\(profile.beyondHalf.counted("value")) beyond 65504: infinite in F16")
      } else if profile.largestRow > 65504 {
        findings.append(
          Finding(
            tensor: profile.name, layer: place?.layer, direction: place?.direction,
            kind: .halfOverflow, severity: .warning, value: profile.largestRow,
            words:
              "the magnitudes of a row add up to \(profile.largestRow.shortText): with inputs of "
              + "size 1 the sum may overflow in F16, whose largest number is 65504"))
      }
    }
    let share = Double(profile.subnormalInHalf) / Double(max(1, profile.nonZeros))
    if share > Self.notableSubnormals {
      let verb = profile.dtype == .float16 ? "are subnormal" : "would be subnormal or 0 in F16"
      find(
        .halfSubnormal, .note, profile.subnormalInHalf,
        "\(profile.subnormalInHalf.counted("value")) of \(profile.nonZeros) \(verb), below 6.10e-5: few bits "
          + "are left of them")
    }
    noteRows(profile, place)
    // Tensors that hold one value throughout are equal to many.
    guard !profile.isConstant else { return }
    if let other = names[profile.digest] {
      find(
        .duplicate, .note, profile.shape.elementCount,
        "the same bits as \(other): shared weights, or one stored twice")
    } else {
      names[profile.digest] = profile.name
    }
  }

  /// Rows of one value, outside of recurrent modules, whose rows are looked at gate by gate.
  private mutating func noteRows(_ profile: TensorProfile, _ place: ParameterPlace?) {
    guard place?.parameter == nil, profile.rowCount > 1 else { return }
    func find(_ kind: Finding.Kind, _ severity: Finding.Severity, _ value: Int, _ words: String) {
      findings.append(
        Finding(
          tensor: profile.name, kind: kind, severity: severity, value: Double(value), words: words))
    }
    if profile.constantRows > 0, let first = profile.firstConstantRow {
      let isPadding = profile.constantRows == 1 && profile.zeroRows == 1
      let zeros = profile.zeroRows > 0 ? ", \(profile.zeroRows) of them zero" : ""
      find(
        .constantRows, isPadding ? .note : .warning, profile.constantRows,
        isPadding
          ? "row \(first) is zero, as padding_idx leaves it in an embedding"
          : "\(profile.constantRows) of \(profile.rowCount) rows hold one value throughout\(zeros), the "
            + "first is row \(first)")
    }
    if profile.rowsLikeFirst == profile.rowCount - 1, profile.constantRows == 0 {
      find(.equalRows, .warning, profile.rowCount, "all \(profile.rowCount) rows are the same")
    }
  }

  /// A tensor that cannot be read.
  mutating func add(unreadable tensor: StoredTensor) {
    findings.append(
      Finding(
        tensor: tensor.name, kind: .unreadable, severity: .note, value: 0,
        words: "not looked into: \(tensor.dtypeName) is unknown to this version"))
  }
}
