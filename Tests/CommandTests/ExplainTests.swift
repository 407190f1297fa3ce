import Checkpoints
import Foundation
import TestSupport
import Testing

/// `explain`: modules and their evidence, what is open, origins, and every kind of finding.
@Suite struct ExplainTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  /// The report of a checkpoint; for people it is told in the same words.
  private func explain(
    _ checkpoint: Checkpoint, _ name: String = "a.strata", _ options: String...
  ) throws -> [String: Any] {
    try bench.write(checkpoint, to: name)
    return try explain(file: name, options)
  }

  private func explain(file name: String, _ options: [String] = []) throws -> [String: Any] {
    let json = try Tool.run(["explain", name, "--json"] + options, in: bench.directory)
    #expect(json.status == 0 && json.errors == "", "\(json)")
    let report = try json.object()
    let words = try Tool.run(["explain", name] + options, in: bench.directory)
    #expect(words.status == 0 && words.errors == "", "\(words)")
    for entry in (report["findings"] as? [[String: Any]]) ?? [] {
      let text = try #require(entry["words"] as? String)
      #expect(words.output.contains(text), "\(words)")
    }
    return report
  }

  private func findings(_ report: [String: Any], _ kind: String) throws -> [[String: Any]] {
    try #require(report["findings"] as? [[String: Any]]).filter { $0["kind"] as? String == kind }
  }

  /// The only finding of a kind.
  private func finding(
    _ report: [String: Any], _ kind: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> [String: Any] {
    let all = try findings(report, kind)
    #expect(all.count == 1, "\(report["findings"] ?? "")", sourceLocation: sourceLocation)
    return try #require(all.first, sourceLocation: sourceLocation)
  }

  private func evidence(_ report: [String: Any], _ module: String) throws -> [String] {
    let modules = try #require(report["modules"] as? [[String: Any]])
    let found = modules.first { $0["name"] as? String == module }
    return try #require(found?["evidence"] as? [String], "\(modules)")
  }

  private func options(_ report: [String: Any]) throws -> [String: [String: Any]] {
    let unknown = try #require(report["unknown"] as? [[String: Any]])
    return Dictionary(unknown.map { ($0["option"] as? String ?? "", $0) }) { first, _ in first }
  }

  private func origin(_ report: [String: Any]) throws -> String {
    try #require((report["origin"] as? [String: Any])?["name"] as? String)
  }

  /// The checkpoint with values of a tensor changed.
  private func changing(
    _ checkpoint: Checkpoint, _ name: String, _ change: (inout [Float]) -> Void
  ) throws -> Checkpoint {
    let tensor = try #require(checkpoint.stateDict[name])
    var values = try tensor.floats()
    change(&values)
    return checkpoint.adding(Tensor(values, shape: tensor.shape), name)
  }

  /// ((p r + q c) mod m − ⌊(m − 1) / 2⌋) / d: the same numbers in numpy,
  /// `r, c = np.mgrid[0:R, 0:C]; ((p*r + q*c) % m - (m-1)//2) / d`.
  private func grid(_ rows: Int, _ columns: Int, _ p: Int, _ q: Int, _ m: Int, _ d: Float) -> Tensor
  {
    var values: [Float] = []
    for r in 0..<rows {
      for c in 0..<columns {
        let remainder: Int = (p * r + q * c) % m
        values.append(Float(remainder - (m - 1) / 2) / d)
      }
    }
    return Tensor(values, shape: Shape([rows, columns], unchecked: ()))
  }

  // MARK: Modules

  @Test func stack() throws {
    let checkpoint = Checkpoint.stack(
      input: 3, hidden: 5, layers: 2, prefix: "rnn.", bidirectional: true
    )
    .adding(linear: "fc", 4, 10)
    let report = try explain(checkpoint)
    #expect(
      Set(report.keys) == [
        "file", "format", "key", "modules", "probable", "unknown", "origin", "findings",
        "spectral_radius", "not_computed", "left_over", "faults",
      ])
    #expect(report["file"] as? String == "a.strata")
    let modules = try #require(report["modules"] as? [[String: Any]])
    #expect(modules.compactMap { $0["name"] as? String } == ["rnn", "fc"])
    #expect(modules.compactMap { $0["type"] as? String } == ["lstm", "linear"])
    // Per direction 20 · (3 + 5) + 40 and 20 · (10 + 5) + 40; 4 · 10 + 4.
    #expect(modules.compactMap { $0["parameters"] as? Int } == [1080, 44])
    #expect(modules[0]["description"] as? String == "LSTM(3, 5, num_layers=2, bidirectional=True)")
    #expect(
      try evidence(report, "rnn") == [
        "LSTM: weight_hh_l0 has 4 × 5 rows for 5 columns",
        "input size 3: weight_ih_l0 has 3 columns", "2 layers: names end in _l0 and _l1",
        "bidirectional: names end in _reverse", "bias: bias_ih_l0 and bias_hh_l0 are there",
      ])
    #expect(
      try evidence(report, "fc") == [
        "head: fc.weight has 10 columns, as many as rnn has outputs", "4 outputs: its rows",
        "bias: fc.bias is there", "nothing but its shape tells it",
      ])
    let open = try options(report)
    #expect(
      Set(open.keys) == [
        "batch_first", "head", "head_activation", "head_input", "sigmoid", "state",
      ])
    #expect(open["head"]?["values"] as? [String] == ["fc", "none"])
    #expect(open["head_input"]?["assumed"] as? String == "all")
    #expect(open["head_input"]?["values"] as? [String] == ["all", "last", "h_n"])
    #expect(try origin(report) == "PyTorch")
  }

  @Test func kinds() throws {
    let gru = try explain(.stack(gates: 3))
    #expect(try evidence(gru, "")[0] == "GRU: weight_hh_l0 has 3 × 5 rows for 5 columns")
    #expect(try options(gru)["gru_reset"]?["assumed"] as? String == "after")
    let rnn = try explain(.stack(gates: 1))
    #expect(try evidence(rnn, "")[0] == "RNN: weight_hh_l0 has 1 × 5 rows for 5 columns")
    #expect(try evidence(rnn, "").contains("1 layer: the names end in _l0"))
    #expect(try options(rnn)["nonlinearity"]?["values"] as? [String] == ["tanh", "relu"])
    // What the file tells is not open.
    var told = Checkpoint.stack(gates: 1)
    told.metadata = ["nonlinearity": "relu", "batch_first": "true"]
    let report = try explain(told)
    #expect(try options(report)["nonlinearity"] == nil && options(report)["batch_first"] == nil)
    #expect(try evidence(report, "").contains("nonlinearity=relu: the file says it"))
    #expect(try evidence(report, "").contains("batch_first=true: the file says it"))
  }

  @Test func projectionCellAndEmbedding() throws {
    try bench.take("lstm-proj-l1", as: "projection")
    let projection = try explain(file: "projection.h5")
    let path = try #require(
      (projection["modules"] as? [[String: Any]])?.first?["name"] as? String)
    let lines = try evidence(projection, path)
    #expect(lines[0].contains("rows, and weight_hr "), "\(lines)")
    #expect(lines.contains { $0.hasPrefix("projection to ") && $0.contains("weight_hr_l0 is [") })
    try bench.take("cell-gru-nobias", as: "cell")
    let cell = try explain(file: "cell.h5")
    let name = try #require((cell["modules"] as? [[String: Any]])?.first?["name"] as? String)
    #expect(try evidence(cell, name).contains("a cell: the names have no layer"))
    #expect(try evidence(cell, name).contains("no bias: there is no bias_ih and no bias_hh"))
    let tokens = Checkpoint.stack(prefix: "rnn.").adding(Tensor.table(7, 3), "embed.weight")
    let embedding = try explain(tokens)
    #expect(
      try evidence(embedding, "embed")[0]
        == "embedding: embed.weight has 3 columns, as many as rnn has inputs, and no bias")
    #expect(
      try evidence(embedding, "rnn").contains(
        "takes its input from embed, which looks up 3 features a token"))
  }

  /// Two layers that fit as the head: a question with its answers, and no fault.
  @Test func ambiguous() throws {
    let checkpoint = Checkpoint.stack().adding(linear: "a", 2, 5).adding(linear: "b", 3, 5)
    let report = try explain(checkpoint)
    let head = try #require(try options(report)["head"])
    #expect(head["values"] as? [String] == ["a", "b", "none"])
    #expect((head["words"] as? String)?.contains("--set head=a") == true, "\(head)")
    #expect((report["faults"] as? [Any])?.isEmpty == true)
    #expect((report["modules"] as? [Any])?.count == 1)
  }

  @Test func faults() throws {
    var checkpoint = Checkpoint.stack()
    checkpoint.stateDict["bias_hh_l0"] = nil
    let report = try explain(checkpoint)
    let faults = try #require(report["faults"] as? [[String: Any]])
    #expect(faults.first?["code"] as? String == "parameterMissing")
    #expect(faults.first?["tensor"] as? String == "bias_hh_l0")
    try bench.fail("explain", "absent.h5", code: "fileNotFound")
    try bench.directory.write(Array("no checkpoint, but long enough".utf8), to: "text")
    try bench.fail("explain", "text", code: "unknownFormat")
    try bench.fail("explain", "a.strata", "--set", "head=fc", code: "usage", status: 64)
    try bench.fail("explain", "a.strata", "--key", "nowhere", code: "parameterMissing")
    let quiet = try bench.succeed("explain", "a.strata", "--quiet")
    #expect(quiet.output == "")
  }

  /// Names of strangers are printed with their control characters escaped.
  @Test func escaping() throws {
    let report = try explain(
      Checkpoint.stack().adding(Tensor([1, .nan] as [Float], shape: [2]), "x\u{1B}[2J"))
    #expect(try finding(report, "nan")["tensor"] as? String == "x\u{1B}[2J")
    #expect(try !bench.succeed("explain", "a.strata").output.contains("\u{1B}"))
  }

  // MARK: Findings

  /// A sound model has no warning.
  @Test(arguments: [1, 3, 4])
  func sound(gates: Int) throws {
    let report = try explain(
      .stack(gates: gates, input: 8, hidden: 16, layers: 2, bidirectional: true))
    for finding in try #require(report["findings"] as? [[String: Any]]) {
      #expect(finding["severity"] as? String == "note", "\(finding)")
      #expect(["forget_bias"].contains(finding["kind"] as? String), "\(finding)")
    }
  }

  @Test func nonFinite() throws {
    // Row 11 of W_hh belongs to g.
    let checkpoint = try changing(.stack(), "weight_hh_l0") { $0[11 * 5 + 2] = .nan }
    let report = try explain(checkpoint)
    let nan = try finding(report, "nan")
    #expect(nan["tensor"] as? String == "weight_hh_l0" && nan["gate"] as? String == "g")
    #expect(nan["layer"] as? Int == 0 && nan["direction"] as? String == "forward")
    #expect(nan["severity"] as? String == "error" && nan["value"] as? Double == 1)
    #expect(nan["words"] as? String == "1 NaN of 100 values, the first at [11, 2]")
    let skipped = try #require(report["not_computed"] as? [String])
    #expect(skipped == ["the spectral radius of weight_hh_l0: it is not finite"])
    let infinite = try explain(
      try changing(.stack(), "bias_ih_l0") { ($0[0], $0[1]) = (.infinity, -.infinity) })
    #expect(try finding(infinite, "infinite")["value"] as? Double == 2)
    #expect(try finding(infinite, "infinite")["gate"] as? String == "i")
  }

  @Test func deadUnits() throws {
    var checkpoint = Checkpoint.stack()
    for (name, columns) in [("weight_ih_l0", 3), ("weight_hh_l0", 5)] {
      checkpoint = try changing(checkpoint, name) { values in
        for gate in 0..<4 {
          for column in 0..<columns { values[(gate * 5 + 2) * columns + column] = 0 }
        }
      }
    }
    let report = try explain(checkpoint)
    let dead = try finding(report, "dead_units")
    #expect(dead["value"] as? Double == 1)
    #expect((dead["words"] as? String)?.hasSuffix(": unit 2") == true, "\(dead)")
    // Each gate has the row, in both matrices.
    #expect(try findings(report, "constant_rows").count == 8)
  }

  @Test func deadReluUnits() throws {
    var checkpoint = Checkpoint.stack(gates: 1)
    checkpoint = try changing(checkpoint, "weight_ih_l0") { for c in 0..<3 { $0[3 * 3 + c] = 0 } }
    checkpoint = try changing(checkpoint, "weight_hh_l0") {
      for c in 0..<5 { $0[3 * 5 + c] = -0.5 - Float(c) / 16 }
    }
    for name in ["bias_ih_l0", "bias_hh_l0"] {
      checkpoint = try changing(checkpoint, name) { $0[3] = -0.25 }
    }
    // Unknown, relu, tanh.
    let supposed = try finding(try explain(checkpoint), "dead_relu_units")
    #expect(supposed["severity"] as? String == "note" && supposed["value"] as? Double == 1)
    checkpoint.metadata["nonlinearity"] = "relu"
    let told = try finding(try explain(checkpoint), "dead_relu_units")
    #expect(told["severity"] as? String == "warning")
    #expect((told["words"] as? String)?.hasSuffix(": unit 3") == true, "\(told)")
    checkpoint.metadata["nonlinearity"] = "tanh"
    #expect(try findings(try explain(checkpoint), "dead_relu_units").isEmpty)
    // A positive weight of the state wakes it, or of the input, whatever its sign may be.
    checkpoint.metadata["nonlinearity"] = "relu"
    let loop = try changing(checkpoint, "weight_hh_l0") { $0[3 * 5 + 1] = 0.25 }
    #expect(try findings(try explain(loop), "dead_relu_units").isEmpty)
    let input = try changing(checkpoint, "weight_ih_l0") { $0[3 * 3] = -0.25 }
    #expect(try findings(try explain(input), "dead_relu_units").isEmpty)
    // Behind a layer of relus the input is never negative, so that a negative weight wakes nothing.
    var second = Checkpoint.stack(gates: 1, layers: 2)
    second.metadata["nonlinearity"] = "relu"
    for name in ["weight_ih_l1", "weight_hh_l1"] {
      second = try changing(second, name) {
        for c in 0..<5 { $0[2 * 5 + c] = -0.5 - Float(c) / 16 }
      }
    }
    for name in ["bias_ih_l1", "bias_hh_l1"] { second = try changing(second, name) { $0[2] = 0 } }
    let behind = try finding(try explain(second), "dead_relu_units")
    #expect(behind["layer"] as? Int == 1 && behind["value"] as? Double == 1)
    // A positive bias wakes it.
    checkpoint.metadata["nonlinearity"] = "relu"
    checkpoint = try changing(checkpoint, "bias_ih_l0") { $0[3] = 1 }
    #expect(try findings(try explain(checkpoint), "dead_relu_units").isEmpty)
  }

  @Test func rows() throws {
    // Rows 6 and 8 of W_ih (f) hold one value; 10 and 13 of W_hh (g) are the same.
    var checkpoint = try changing(.stack(), "weight_ih_l0") {
      for c in 0..<3 { ($0[6 * 3 + c], $0[8 * 3 + c]) = (0.5, 0) }
    }
    checkpoint = try changing(checkpoint, "weight_hh_l0") {
      for c in 0..<5 { $0[13 * 5 + c] = $0[10 * 5 + c] }
    }
    // An embedding with padding; a head of equal rows; a stranger with rows of one value.
    checkpoint = checkpoint.adding(
      Tensor([0, 0, 0, 1, 2, 3, 4, 5, 6] as [Float], shape: [3, 3]), "embed.weight")
    checkpoint = checkpoint.adding(
      Tensor([1, 2, 3, 4, 5, 1, 2, 3, 4, 5] as [Float], shape: [2, 5]), "fc.weight")
    checkpoint = checkpoint.adding(
      Tensor([7, 7, 1, 2, 0, 0] as [Float], shape: [3, 2]), "other")
    let report = try explain(checkpoint)
    let constant = try findings(report, "constant_rows")
    #expect(constant.count == 3, "\(constant)")
    let gate = try #require(constant.first { $0["gate"] != nil })
    #expect(gate["gate"] as? String == "f" && gate["value"] as? Double == 2)
    #expect(gate["words"] as? String == "2 of 5 rows hold one value throughout, 1 of them zero")
    let padding = try #require(constant.first { $0["tensor"] as? String == "embed.weight" })
    #expect(padding["severity"] as? String == "note")
    #expect((padding["words"] as? String)?.contains("padding_idx") == true)
    let other = try #require(constant.first { $0["tensor"] as? String == "other" })
    #expect(other["severity"] as? String == "warning" && other["value"] as? Double == 2)
    // At the root's path it belongs to the recurrent module, which has no such parameter.
    let faults = try #require(report["faults"] as? [[String: Any]])
    #expect(faults.first?["code"] as? String == "parameterUnexpected", "\(faults)")
    let equal = try findings(report, "equal_rows")
    #expect(Set(equal.compactMap { $0["tensor"] as? String }) == ["weight_hh_l0", "fc.weight"])
    #expect(equal.first { $0["gate"] as? String == "g" }?["value"] as? Double == 1)
  }

  @Test func biases() throws {
    for (zero, other) in [("bias_ih_l0", "bias_hh"), ("bias_hh_l0", "bias_ih")] {
      let report = try explain(
        try changing(.stack(), zero) { for index in $0.indices { $0[index] = 0 } })
      let finding = try finding(report, "zero_bias")
      #expect(finding["tensor"] as? String == zero)
      #expect((finding["words"] as? String)?.contains("while \(other) is not") == true)
    }
    var both = Checkpoint.stack()
    for name in ["bias_ih_l0", "bias_hh_l0"] {
      both = try changing(both, name) { for index in $0.indices { $0[index] = 0 } }
    }
    #expect(
      try finding(try explain(both), "zero_bias")["words"] as? String
        == "both biases are zero, as they are before training")
    // A GRU whose biases were added up where that can be.
    let gru = try changing(.stack(gates: 3), "bias_hh_l0") { for index in 0..<10 { $0[index] = 0 } }
    let words = try finding(try explain(gru), "zero_bias")["words"] as? String
    #expect(words == "zero for the gates r and z, but not for n: those were added up, as in MLX")
  }

  @Test func gates() throws {
    // b_ih + b_hh of unit 1 of the output gate: 9 + 1/8.
    var checkpoint = try changing(.stack(), "bias_ih_l0") { $0[15 + 1] = 9 }
    checkpoint = try changing(checkpoint, "bias_hh_l0") { $0[15 + 1] = 0.125 }
    // The input gate's unit 4: norm √(3 · 8²) and more.
    checkpoint = try changing(checkpoint, "weight_ih_l0") {
      for c in 0..<3 { $0[4 * 3 + c] = 8 + Float(c) }
    }
    // The forget gate: 4 throughout.
    for (name, value) in [("bias_ih_l0", Float(1.5)), ("bias_hh_l0", 2.5)] {
      checkpoint = try changing(checkpoint, name) { for unit in 5..<10 { $0[unit] = value } }
    }
    let report = try explain(checkpoint)
    let saturated = try finding(report, "saturated_gate")
    #expect(saturated["gate"] as? String == "o" && saturated["value"] as? Double == 1)
    #expect((saturated["words"] as? String)?.contains("up to 9.13") == true, "\(saturated)")
    let steep = try finding(report, "steep_gate")
    #expect(steep["gate"] as? String == "i" && steep["value"] as? Double == 1)
    let forget = try finding(report, "forget_bias")
    #expect(forget["gate"] as? String == "f" && forget["value"] as? Double == 4)
    // What a unit can be moved by counts against its bias: 5 with weights that reach 8 is none.
    let free = try changing(.stack(), "bias_ih_l0") { $0[15 + 1] = 5 }
    let moved = try changing(free, "weight_hh_l0") {
      for c in 0..<5 { $0[(15 + 1) * 5 + c] = 1.6 + Float(c) / 64 }
    }
    #expect(try findings(try explain(moved), "saturated_gate").isEmpty)
    // 1 is where it should be.
    let sound = try changing(.stack(), "bias_ih_l0") { for unit in 5..<10 { $0[unit] = 1 } }
    #expect(try findings(try explain(sound), "forget_bias").isEmpty)
  }

  /// By numpy: `max(abs(np.linalg.eigvals(W[k*H:(k+1)*H])))` of `grid`, for the projection of
  /// `R @ W[k*H:(k+1)*H]`.
  @Test func spectralRadius() throws {
    func radii(_ checkpoint: Checkpoint) throws -> [Double] {
      let entries = try #require(try explain(checkpoint)["spectral_radius"] as? [[String: Any]])
      for entry in entries { #expect(entry["estimated"] as? Bool == false) }
      return entries.compactMap { $0["value"] as? Double }
    }
    func close(_ values: [Double], _ expected: [Double]) {
      #expect(values.count == expected.count)
      for (value, expected) in zip(values, expected) {
        #expect(abs(value - expected) <= 1e-8 * expected, "\(values), \(expected)")
      }
    }
    let lstm = Checkpoint.stack().adding(grid(20, 5, 7, 3, 11, 8), "weight_hh_l0")
    close(
      try radii(lstm),
      [1.14426886545312, 0.8747357337124222, 1.1399536372319112, 0.9660452375824922])
    let gru = Checkpoint.stack(gates: 3, hidden: 6).adding(grid(18, 6, 7, 3, 11, 8), "weight_hh_l0")
    close(try radii(gru), [1.2576532459948675, 0.7990125995926686, 1.2185194198641907])
    // The largest eigenvalues are complex.
    let rnn = Checkpoint.stack(gates: 1, hidden: 6).adding(grid(6, 6, 7, 3, 11, 8), "weight_hh_l0")
    close(try radii(rnn), [1.2576532459948675])
    let projection = Checkpoint.stack().adding(grid(20, 3, 7, 3, 11, 8), "weight_hh_l0")
      .adding(grid(3, 5, 5, 2, 7, 4), "weight_hr_l0")
    close(
      try radii(projection),
      [0.8557316761206626, 0.6026997613288835, 0.33151772231221144, 0.6644116770134201])
    // Some power of it is 0.
    let ones: [Float] = (0..<25).map { index in index % 6 == 1 ? 3 : 0 }
    let shift = Tensor(ones, shape: [5, 5])
    close(try radii(Checkpoint.stack(gates: 1).adding(shift, "weight_hh_l0")), [0])
  }

  /// `r, c = np.mgrid[0:200, 0:200]; ((7*r*r + 13*c + r*c) % 101 - 50) / 500`.
  @Test func largeSpectralRadius() throws {
    var weights: [Float] = []
    for r in 0..<200 {
      for c in 0..<200 {
        let remainder: Int = (7 * r * r + 13 * c + r * c) % 101
        weights.append(Float(remainder - 50) / 500)
      }
    }
    let report = try explain(
      Checkpoint.stack(gates: 1, hidden: 200)
        .adding(Tensor(weights, shape: [200, 200]), "weight_hh_l0"))
    let entry = try #require((report["spectral_radius"] as? [[String: Any]])?.first)
    #expect(entry["estimated"] as? Bool == true)
    let value = try #require(entry["value"] as? Double)
    #expect(abs(value - 1.1671844279798282) < 0.02, "\(value)")
    // Beyond the bound nothing is computed, and that is told.
    let wide = Checkpoint(stateDict: [
      "weight_ih_l0": Tensor([Float](repeating: 0.5, count: 1025), shape: [1025, 1]),
      "weight_hh_l0": Tensor([Float](repeating: 0.5, count: 1025 * 1025), shape: [1025, 1025]),
    ])
    let large = try explain(wide)
    #expect((large["spectral_radius"] as? [Any])?.isEmpty == true)
    #expect(
      large["not_computed"] as? [String] == [
        "the spectral radius of weight_hh_l0: 1025 units, computed up to 1024"
      ])
  }

  @Test func spectralFindings() throws {
    func scaled(_ gates: Int, _ factor: Float, _ nonlinearity: String? = nil) throws -> [[String:
      Any]]
    {
      var checkpoint = Checkpoint.stack(gates: gates)
      // An identity for each gate, and a little beside it, so that no two rows are the same.
      var values: [Float] = []
      for row in 0..<(gates * 5) {
        for column in 0..<5 {
          let unit = row % 5
          values.append(unit == column ? factor : unit < column ? factor / 8 : 0)
        }
      }
      checkpoint.stateDict["weight_hh_l0"] = Tensor(
        values, shape: Shape([gates * 5, 5], unchecked: ()))
      checkpoint.metadata = nonlinearity.map { ["nonlinearity": $0] } ?? [:]
      return try findings(try explain(checkpoint), "spectral_radius")
    }
    #expect(try scaled(1, 1, "tanh").isEmpty)
    let tanh = try #require(try scaled(1, 2, "tanh").first)
    #expect(tanh["severity"] as? String == "warning" && tanh["gate"] == nil)
    #expect((tanh["words"] as? String)?.contains("2.00, far above 1") == true, "\(tanh)")
    #expect(try scaled(1, 1.25, "tanh").isEmpty)
    let relu = try #require(try scaled(1, 1.25, "relu").first)
    #expect((relu["words"] as? String)?.contains("can explode") == true)
    #expect(try scaled(1, 0.0625, "tanh").first?["severity"] as? String == "note")
    #expect(try scaled(4, 3).compactMap { $0["gate"] as? String } == ["g"])
    #expect(try scaled(4, 5).compactMap { $0["gate"] as? String } == ["i", "f", "g", "o"])
    #expect(try scaled(3, 3).compactMap { $0["gate"] as? String } == ["n"])
    #expect(try scaled(4, 0.001).count == 4)
    #expect(try scaled(4, 1).isEmpty)
  }

  @Test func halfPrecision() throws {
    let large = try finding(
      try explain(try changing(.stack(), "weight_ih_l0") { ($0[0], $0[4]) = (70000, -1e6) }),
      "half_overflow")
    #expect(large["tensor"] as? String == "weight_ih_l0" && large["value"] as? Double == 2)
    // No value overflows, but the sum of a row does: 3 · 30000.
    let sum = try finding(
      try explain(
        try changing(.stack(), "weight_ih_l0") { ($0[0], $0[1], $0[2]) = (30000, -30000, 30000) }),
      "half_overflow")
    #expect(sum["value"] as? Double == 90000)
    #expect(
      try findings(
        try explain(try changing(.stack(), "weight_ih_l0") { $0[0] = 65504 }), "half_overflow"
      ).filter { ($0["words"] as? String)?.contains("infinite") == true }.isEmpty)
    let small = try changing(.stack(), "weight_hh_l0") {
      for i in 0..<50 { $0[i] = 1e-6 * Float(i + 1) }
    }
    let subnormal = try finding(try explain(small), "half_subnormal")
    #expect(subnormal["value"] as? Double == 50)
    #expect((subnormal["words"] as? String)?.contains("would be subnormal or 0 in F16") == true)
    let stored = small.adding(
      try #require(small.stateDict["weight_hh_l0"]).converted(to: .float16), "weight_hh_l0")
    let half = try finding(try explain(stored), "half_subnormal")
    #expect((half["words"] as? String)?.contains("are subnormal") == true, "\(half)")
  }

  /// Spectral norm on a layer beside the recurrent one.
  @Test func disguised() throws {
    let checkpoint = Checkpoint.stack(prefix: "rnn.").adding(.table(2, 5), "fc.weight_orig")
      .adding(.table(1, 2), "fc.weight_u").adding(.table(1, 5), "fc.weight_v")
    let finding = try finding(try explain(checkpoint), "disguised")
    #expect(finding["tensor"] as? String == "fc.weight")
    #expect((finding["words"] as? String)?.contains("remove_spectral_norm") == true, "\(finding)")
  }

  /// What this version cannot read is told, and nothing more.
  @Test func unreadable() throws {
    let path = Fixtures.path("torch/2.9.1/quantised.pt")
    let report = try bench.json("explain", path)
    let found = try findings(report, "unreadable")
    #expect(found.compactMap { $0["tensor"] as? String } == ["tensor", "channels"])
  }

  @Test func duplicates() throws {
    let checkpoint = Checkpoint.stack(prefix: "rnn.")
    let copied = checkpoint.adding(try #require(checkpoint.stateDict["rnn.weight_hh_l0"]), "copy")
      // The same bytes in another shape are another tensor; what is constant is equal to many.
      .adding(
        Tensor(try #require(checkpoint.stateDict["rnn.bias_ih_l0"]).floats(), shape: [4, 5]),
        "shape"
      )
      .adding(Tensor([0, 0] as [Float], shape: [2]), "zero").adding(
        Tensor([0, 0] as [Float], shape: [2]), "none")
    let finding = try finding(try explain(copied), "duplicate")
    #expect(finding["tensor"] as? String == "copy" && finding["value"] as? Double == 100)
    #expect((finding["words"] as? String)?.hasPrefix("the same bits as rnn.weight_hh_l0") == true)
  }

  @Test(arguments: [1, 3, 4])
  func transposed(gates: Int) throws {
    var checkpoint = Checkpoint.stack(gates: gates)
    for (name, columns) in [("weight_ih_l0", 3), ("weight_hh_l0", 5)] {
      let values = try #require(checkpoint.stateDict[name]).floats()
      let rows = gates * 5
      var turned: [Float] = []
      for c in 0..<columns { for r in 0..<rows { turned.append(values[r * columns + c]) } }
      checkpoint.stateDict[name] = Tensor(turned, shape: Shape([columns, rows], unchecked: ()))
    }
    let report = try explain(checkpoint)
    let found = try findings(report, "transposed")
    // W_hh of an RNN is square.
    #expect(found.count == (gates == 1 ? 1 : 2), "\(report)")
    for finding in found {
      #expect(finding["severity"] as? String == "error")
      #expect((finding["words"] as? String)?.hasSuffix("--set transpose=true") == true)
    }
    #expect((report["faults"] as? [Any])?.isEmpty == true)
    #expect((report["modules"] as? [Any])?.count == 1)
    try bench.succeed("convert", "a.strata", "t.strata", "--set", "transpose=true", "--force")
    #expect(try findings(try explain(file: "t.strata"), "transposed").isEmpty)
  }

  @Test func transposedHead() throws {
    let checkpoint = Checkpoint.stack().adding(randomTensor(5, 2), "fc.weight")
      .adding(Tensor([1, 2] as [Float], shape: [2]), "fc.bias")
    let report = try explain(checkpoint)
    #expect(try finding(report, "transposed")["tensor"] as? String == "fc.weight")
    #expect(report["left_over"] as? [String] == ["fc.weight", "fc.bias"])
  }

  // MARK: Origins

  private func randomTensor(_ dimensions: Int...) -> Tensor {
    var generator = SeededGenerator(seed: 3)
    return randomFloats(Shape(dimensions, unchecked: ()), using: &generator)
  }

  /// Recurrent weights under other frameworks' names: I is 3, H is 5.
  static let foreign:
    [(tensors: [(String, [Int])], origin: String, module: String, settings: [String])] = [
      (
        [
          ("lstm.lstm_cell.kernel:0", [3, 20]), ("lstm.lstm_cell.recurrent_kernel:0", [5, 20]),
          ("lstm.lstm_cell.bias:0", [20]),
        ],
        "Keras 2 HDF5", "LSTM(3, 5)", ["transpose=true", "gate_order=ifgo"]
      ),
      (
        [("gru.kernel", [3, 15]), ("gru.recurrent_kernel", [5, 15]), ("gru.bias", [2, 15])],
        "Keras 2 HDF5", "GRU(3, 5)", ["transpose=true", "gate_order=zrn", "gru_reset=after"]
      ),
      (
        [
          ("layers.gru.cell.vars.0", [3, 15]), ("layers.gru.cell.vars.1", [5, 15]),
          ("layers.gru.cell.vars.2", [15]),
        ],
        "Keras 3 HDF5", "GRU(3, 5)", ["transpose=true", "gate_order=zrn", "gru_reset=before"]
      ),
      (
        [("rnn.kernel", [3, 5]), ("rnn.recurrent_kernel", [5, 5]), ("rnn.bias", [5])],
        "Keras 2 HDF5", "RNN(3, 5)", ["transpose=true"]
      ),
      (
        [("lstm.W", [2, 20, 3]), ("lstm.R", [2, 20, 5]), ("lstm.B", [2, 40])],
        "ONNX", "LSTM(3, 5, bidirectional=True)", ["gate_order=iofg"]
      ),
      (
        [("gru_W", [1, 15, 3]), ("gru_R", [1, 15, 5]), ("gru_B", [1, 30])],
        "ONNX", "GRU(3, 5)", ["gate_order=zrn", "gru_reset=before"]
      ),
      ([("m.Wx", [20, 3]), ("m.Wh", [20, 5]), ("m.bias", [20])], "MLX", "LSTM(3, 5)", []),
      ([("Wx", [15, 3]), ("Wh", [15, 5]), ("b", [15]), ("bhn", [5])], "MLX", "GRU(3, 5)", []),
      ([("Wxh", [5, 3]), ("Whh", [5, 5]), ("bias", [5])], "MLX", "RNN(3, 5)", []),
      (
        "ifgo".flatMap {
          [
            ("cell.i\($0).kernel", [3, 5]), ("cell.h\($0).kernel", [5, 5]),
            ("cell.h\($0).bias", [5]),
          ]
        },
        "Flax/JAX", "LSTM(3, 5)", ["transpose=true"]
      ),
      (
        "rzn".flatMap {
          [
            ("cell.i\($0).kernel", [3, 5]), ("cell.h\($0).kernel", [5, 5]),
            ("cell.i\($0).bias", [5]),
          ]
        },
        "Flax/JAX", "GRU(3, 5)", ["transpose=true"]
      ),
      (
        [("rnn.basic_lstm_cell.kernel", [8, 20]), ("rnn.basic_lstm_cell.bias", [20])],
        "TensorFlow", "LSTM(3, 5)", ["transpose=true", "gate_order=igfo", "forget_bias=1"]
      ),
      (
        ["inputGate", "forgetGate", "blockInput", "outputGate"].flatMap {
          [
            ("\($0)WeightMatrix", [5, 3]), ("\($0)RecursionMatrix", [5, 5]),
            ("\($0)BiasVector", [5]),
          ]
        }, "Core ML", "LSTM(3, 5)", []
      ),
      (
        [("rnn.opaque_kernel", [200])], "cuDNN flat weights", "weights of 200 values in one vector",
        []
      ),
    ]

  @Test(arguments: foreign.indices)
  func foreignModule(index: Int) throws {
    let (tensors, origin, module, settings) = Self.foreign[index]
    var checkpoint = Checkpoint(stateDict: [:])
    for (offset, (name, dimensions)) in tensors.enumerated() {
      var generator = SeededGenerator(seed: UInt64(offset))
      checkpoint.stateDict[name] = randomFloats(Shape(dimensions, unchecked: ()), using: &generator)
    }
    let report = try explain(checkpoint, "a.h5")
    #expect(try self.origin(report) == origin)
    #expect((report["modules"] as? [Any])?.isEmpty == true)
    let probable = try #require(report["probable"] as? [[String: Any]])
    #expect(probable.count == 1, "\(probable)")
    #expect(probable.first?["description"] as? String == module)
    #expect(probable.first?["settings"] as? [String] == settings)
    let roles = try #require(probable.first?["tensors"] as? [[String: Any]])
    #expect(Set(roles.compactMap { $0["name"] as? String }) == Set(tensors.map(\.0)))
    for role in roles { #expect((role["role"] as? String)?.isEmpty == false) }
  }

  @Test func origins() throws {
    // Wrappers, a weight norm, WeightDrop, metadata.
    for (checkpoint, name, trace) in [
      (Checkpoint.stack(prefix: "module.rnn."), "PyTorch", "DataParallel"),
      (Checkpoint.stack(prefix: "_orig_mod.module.rnn."), "PyTorch", "DataParallel"),
      (Checkpoint.stack(prefix: "_forward_module.rnn."), "PyTorch", "Lightning Fabric"),
      (Checkpoint.stack(prefix: "_orig_mod.rnn."), "PyTorch", "torch.compile"),
      (Checkpoint.stack(prefix: "rec.").adding(linear: "lin", 1, 5), "PyTorch, GuitarML", nil),
    ] as [(Checkpoint, String, String?)] {
      let report = try explain(checkpoint)
      #expect(try origin(report) == name)
      let traces = (report["origin"] as? [String: Any])?["traces"] as? [String] ?? []
      #expect(
        trace.map { trace in traces.contains { $0.hasPrefix(trace) } } ?? traces.isEmpty,
        "\(traces)")
    }
    var drop = Checkpoint.stack(prefix: "rnns.0.module.")
    drop.stateDict["rnns.0.weight_hh_l0_raw"] = drop.stateDict["rnns.0.module.weight_hh_l0"]
    #expect(try origin(try explain(drop)) == "PyTorch, fastai or awd-lstm-lm")
    for (key, value, name) in [
      ("format", "pt", "PyTorch, Hugging Face"), ("format", "mlx", "MLX"),
      ("format", "flax", "Flax"),
      ("format", "tf", "TensorFlow"), ("keras_version", "3.5.0", "Keras 3"),
      ("keras_version", "2.4.0", "Keras 2"),
    ] {
      var checkpoint = Checkpoint.stack()
      checkpoint.metadata = [key: value]
      #expect(try origin(try explain(checkpoint)) == name)
    }
    let lightning = try bench.json("explain", Fixtures.path("torch/2.9.1/lightning.ckpt"))
    let lines = (lightning["origin"] as? [String: Any])?["traces"] as? [String]
    #expect(lines == ["PyTorch Lightning: pytorch-lightning_version: str"])
    #expect(lightning["key"] as? String == "state_dict")
    let averages = try bench.json("explain", Fixtures.path("torch/2.9.1/averages.pt"))
    #expect(try options(averages)["key"]?["values"] as? [String] == ["model", "ema"])
    let plain = Checkpoint(stateDict: ["x": Tensor([1, 2] as [Float], shape: [2])])
    #expect(try origin(try explain(plain)) == "unknown")
    let checkpoint = Checkpoint(stateDict: [
      "layer.kernel..ATTRIBUTES/VARIABLE_VALUE": Tensor([1, 2] as [Float], shape: [2])
    ])
    #expect(try origin(try explain(checkpoint)) == "TensorFlow checkpoint")
    // What the tool made tells what it was made of.
    try bench.write(.stack(), to: "source.safetensors")
    try bench.succeed("convert", "source.safetensors", "made.strata")
    let made = try explain(file: "made.strata")
    let traces = (made["origin"] as? [String: Any])?["traces"] as? [String]
    #expect(traces?.first?.hasSuffix("from source.safetensors (safetensors)") == true, "\(made)")
  }

  @Test(arguments: cases)
  func fixtures(fixture: String) throws {
    try bench.take(fixture)
    let report = try explain(file: "model.h5")
    let modules = try #require(report["modules"] as? [[String: Any]])
    let inspected = try #require(
      try bench.json("inspect", "model.h5")["modules"] as? [[String: Any]])
    #expect(
      modules.compactMap { $0["name"] as? String } == inspected.compactMap { $0["name"] as? String }
    )
    #expect(
      modules.compactMap { $0["type"] as? String } == inspected.compactMap { $0["type"] as? String }
    )
    for module in modules {
      #expect((module["evidence"] as? [String])?.isEmpty == false, "\(module)")
    }
    #expect((report["faults"] as? [Any])?.isEmpty == true, "\(report)")
    #expect(try origin(report) == "PyTorch")
  }
}

extension Shape {
  /// A shape of sizes that a test knows to be good.
  fileprivate init(_ dimensions: [Int], unchecked: Void) {
    do { try self.init(dimensions) } catch { preconditionFailure("\(error)") }
  }
}

extension Tensor {
  /// Small numbers, all of them different.
  fileprivate static func table(_ rows: Int, _ columns: Int) -> Tensor {
    Tensor(
      (0..<(rows * columns)).map { Float($0 + 1) / 64 },
      shape: Shape([rows, columns], unchecked: ()))
  }
}
