import Checkpoints
import TestSupport
import Testing

/// `diff`: what it tells apart, and its three statuses.
@Suite struct DiffTests {
  let bench: Workbench

  init() throws {
    bench = try Workbench()
    try bench.write(.stack(), to: "a.strata")
  }

  /// Compares a.strata with a changed copy of it; the status says whether they are equal.
  private func diff(
    _ options: String..., change: (inout Checkpoint) throws -> Void
  ) throws -> [String: Any] {
    var checkpoint = Checkpoint.stack()
    try change(&checkpoint)
    try bench.write(checkpoint, to: "b.h5")
    let arguments = ["diff", "a.strata", "b.h5"] + options
    let json = try Tool.run(arguments + ["--json"], in: bench.directory)
    let report = try json.object()
    #expect(
      Set(report.keys) == [
        "equal", "added", "removed", "renamed", "changed", "options", "metadata", "goldens",
      ], "\(json)")
    #expect(json.status == (report["equal"] as? Bool == true ? 0 : 1), "\(json)")
    #expect(json.errors == "")
    // The same for people, and in silence.
    let words = try Tool.run(arguments, in: bench.directory)
    #expect(words.status == json.status && words.errors == "", "\(words)")
    #expect((words.output == "no difference\n") == (json.status == 0), "\(words)")
    let quiet = try Tool.run(arguments + ["--quiet"], in: bench.directory)
    #expect(quiet.status == json.status && quiet.output + quiet.errors == "", "\(quiet)")
    return report
  }

  private func changes(_ report: [String: Any]) throws -> [[String: Any]] {
    for key in ["added", "removed", "renamed"] { #expect((report[key] as? [Any])?.isEmpty == true) }
    return try #require(report["changed"] as? [[String: Any]])
  }

  @Test func equal() throws {
    let report = try diff { _ in }
    #expect(report["equal"] as? Bool == true)
    #expect(try changes(report).isEmpty)
    // Neither the order nor the encoding is a difference.
    let other = try diff { checkpoint in
      var reversed = StateDict()
      for (name, tensor) in checkpoint.stateDict.reversed() { reversed[name] = tensor }
      checkpoint.stateDict = reversed
    }
    #expect(other["equal"] as? Bool == true)
    try bench.succeed("convert", "a.strata", "small.strata", "--compress", "deflate")
    // Only the copy says where it comes from.
    let copy = try bench.succeed("diff", "a.strata", "small.strata").output
    #expect(copy.hasPrefix("metadata only in B: strata_provenance: "), "\(copy)")
    #expect(copy.hasSuffix("\nno difference that counts\n"), "\(copy)")
    try bench.succeed("diff", "a.strata", "a.strata")
  }

  @Test func addedAndRemoved() throws {
    let report = try diff {
      $0.stateDict["bias_hh_l0"] = nil
      $0.stateDict["new"] = Tensor([1] as [Float], shape: [1])
    }
    #expect(report["added"] as? [String] == ["new"])
    #expect(report["removed"] as? [String] == ["bias_hh_l0"])
    #expect((report["renamed"] as? [Any])?.isEmpty == true)
    let words = try bench.strata("diff", "a.strata", "b.h5").output
    #expect(words == "only in A: bias_hh_l0\nonly in B: new\n")
  }

  /// The same bits under another name; other bits are another tensor.
  @Test func renamed() throws {
    let report = try diff { checkpoint in
      checkpoint.stateDict = try checkpoint.stateDict.renamed { "rnn.\($0)" }
    }
    let renamed = try #require(report["renamed"] as? [[String: String]])
    #expect(renamed.count == 4)
    for entry in renamed { #expect(entry["to"] == "rnn.\(entry["from"] ?? "")") }
    for key in ["added", "removed", "changed"] {
      #expect((report[key] as? [Any])?.isEmpty == true, "\(key)")
    }
    #expect(
      try bench.strata("diff", "a.strata", "b.h5").output
        .hasPrefix("renamed: weight_ih_l0 → rnn.weight_ih_l0\n"))
    let other = try diff {
      $0.stateDict["moved"] = Tensor([Float](repeating: 3, count: 20), shape: [20])
      $0.stateDict["bias_hh_l0"] = nil
    }
    #expect((other["renamed"] as? [Any])?.isEmpty == true)
    #expect(other["added"] as? [String] == ["moved"])
  }

  @Test func dtypeAndShape() throws {
    let report = try diff { checkpoint in
      for (name, shape) in [("bias_ih_l0", [4, 5] as Shape), ("bias_hh_l0", [20])] {
        let values = try #require(checkpoint.stateDict[name]).doubles()
        checkpoint.stateDict[name] =
          name == "bias_ih_l0"
          ? Tensor(values.map(Float.init), shape: shape) : Tensor(values, shape: shape)
      }
    }
    let changed = try changes(report)
    #expect(changed.map { $0["name"] as? String } == ["bias_ih_l0", "bias_hh_l0"])
    #expect(
      changed.map { $0["what"] as? String } == ["shape [20] to [4, 5]", "dtype F32 to F64"])
    #expect(Set(changed[0].keys) == ["name", "what", "module", "layer", "direction"])
    // The same values in a wider dtype.
    #expect(changed[1]["conversion"] as? String == "widening")
    #expect(changed[1]["max_abs"] as? Double == 0)
    #expect(
      try bench.strata("diff", "a.strata", "b.h5").output.hasSuffix(
        "changed: bias_hh_l0: dtype F32 to F64, the same values; layer 0\n"))
  }

  /// Every value rounded to the nearest, and one that is not.
  @Test(arguments: [DType.bfloat16, .float16])
  func narrowing(dtype: DType) throws {
    // 1 + 2⁻¹² is off by 2⁻¹² in F16 and BF16; multiples of 1/8 are exact.
    var first = Checkpoint.stack()
    var values: [Float] = (0..<20).map { Float($0) / 8 }
    values[8] = 1 + 0x1p-12
    first.stateDict["bias_ih_l0"] = Tensor(values, shape: [20])
    try bench.write(first, to: "a.strata")
    let report = try diff { checkpoint in
      checkpoint = first
      checkpoint.stateDict["bias_ih_l0"] = try Tensor(values, shape: [20]).converted(to: dtype)
    }
    let change = try #require(try changes(report).first)
    #expect(change["what"] as? String == "dtype F32 to \(dtype.rawValue)")
    #expect(change["conversion"] as? String == "narrowing")
    #expect(change["max_abs"] as? Double == 0x1p-12)
    #expect(change["at"] as? [Int] == [8] && change["gate"] as? String == "f")
    let words = try bench.strata("diff", "a.strata", "b.h5").output
    #expect(words.contains("rounded to the nearest, by at most 2.44e-4 at [8]"), "\(words)")
    // Another value beside it: no mere rounding.
    let other = try diff { checkpoint in
      checkpoint = first
      var values = values
      values[3] += 0.5
      checkpoint.stateDict["bias_ih_l0"] = try Tensor(values, shape: [20]).converted(to: dtype)
    }
    let changed = try #require(try changes(other).first)
    #expect(changed["conversion"] == nil && changed["max_abs"] as? Double == 0.5)
    // And back: B is wider than A.
    try bench.succeed("convert", "b.h5", "half.strata", "--dtype", dtype.rawValue)
    try bench.succeed("convert", "half.strata", "wide.strata", "--dtype", "F32")
    let back = try bench.strata("diff", "half.strata", "wide.strata", "--json").object()
    let conversions = try changes(back).compactMap { $0["conversion"] as? String }
    #expect(conversions == Array(repeating: "widening", count: 4))
  }

  /// By numpy: `r, c = np.mgrid[0:20, 0:5]; A = ((7*r + 3*c) % 11 - 5) / 8; D = ((3*r + c) % 5) / 64`, D 0 in
  /// the rows of i and g; `norm(D) / norm(A)`, and of every gate's rows.
  @Test func gates() throws {
    var old: [Float] = []
    var new: [Float] = []
    for r in 0..<20 {
      for c in 0..<5 {
        let (remainder, step) = ((7 * r + 3 * c) % 11, (3 * r + c) % 5)
        let value = Float(remainder - 5) / 8
        let isChanged = (5..<10).contains(r) || r >= 15
        old.append(value)
        new.append(isChanged ? value + Float(step) / 64 : value)
      }
    }
    func stack(_ values: [Float]) -> Checkpoint {
      Checkpoint.stack(layers: 2, prefix: "rnn.", bidirectional: true)
        .adding(Tensor(values, shape: [20, 5]), "rnn.weight_hh_l1_reverse")
    }
    try bench.write(stack(old), to: "a.strata")
    let change = try #require(try changes(try diff { $0 = stack(new) }).first)
    #expect(change["module"] as? String == "rnn" && change["layer"] as? Int == 1)
    #expect(change["direction"] as? String == "reverse" && change["gate"] as? String == "f")
    #expect(change["at"] as? [Int] == [5, 4] && change["max_abs"] as? Double == 0.0625)
    let norm = try #require(change["relative_norm"] as? Double)
    #expect(abs(norm - 0.06826084341362014) < 1e-12)
    let gates = try #require(change["gates"] as? [[String: Any]])
    #expect(gates.compactMap { $0["gate"] as? String } == ["i", "f", "g", "o"])
    let norms = gates.compactMap { $0["relative_norm"] as? Double }
    let exact: [Double] = [0, 0.09531160645787792, 0, 0.09861594056966567]
    for (norm, expected) in zip(norms, exact) {
      #expect(abs(norm - expected) < 1e-12, "\(norms)")
    }
    #expect(gates.compactMap { $0["max_abs"] as? Double } == [0, 0.0625, 0, 0.0625])
    let words = try bench.strata("diff", "a.strata", "b.h5").output
    #expect(
      words
        == "changed: rnn.weight_hh_l1_reverse: values, by at most 6.25e-2 at [5, 4], relative norm 6.83e-2; "
        + "layer 1 reverse, forget gate (relative norms: i 0, f 9.53e-2, g 0, o 9.86e-2)\n")
  }

  /// A layer that is no recurrent one has a module and no gate.
  @Test func head() throws {
    try bench.write(Checkpoint.stack().adding(linear: "fc", 2, 5), to: "a.strata")
    let change = try #require(
      try changes(
        try diff {
          $0 = Checkpoint.stack().adding(linear: "fc", 2, 5)
          $0.stateDict["fc.bias"] = Tensor([1, 1] as [Float], shape: [2])
        }
      ).first)
    #expect(change["module"] as? String == "fc")
    #expect(change["layer"] == nil && change["gate"] == nil && change["gates"] == nil)
  }

  /// Many equal and unequal tensors under other names: pairs are found in order, each once.
  @Test func manyRenamed() throws {
    func tensors(_ prefix: String, _ values: [Float]) -> StateDict {
      var stateDict = StateDict()
      for (index, value) in values.enumerated() {
        stateDict["\(prefix)\(index)"] = Tensor([value, 1], shape: [2])
      }
      return stateDict
    }
    try bench.write(Checkpoint(stateDict: tensors("a", [1, 2, 2, 3])), to: "a.strata")
    let report = try diff { $0 = Checkpoint(stateDict: tensors("b", [2, 3, 4, 2])) }
    let renamed = try #require(report["renamed"] as? [[String: String]])
    #expect(renamed.map { $0["from"] } == ["a1", "a2", "a3"])
    #expect(renamed.map { $0["to"] } == ["b0", "b3", "b1"])
    #expect(report["removed"] as? [String] == ["a0"] && report["added"] as? [String] == ["b2"])
  }

  @Test func options() throws {
    let checkpoint = Checkpoint.stack(gates: 1, prefix: "rnn.").adding(linear: "fc", 2, 5)
    try bench.write(checkpoint, to: "a.strata")
    func differences(_ settings: String...) throws -> [String: [String]] {
      let arguments = ["convert", "a.strata", "b.strata", "--force"]
      let result = try Tool.run(
        arguments + settings.flatMap { ["--set", $0] }, in: bench.directory)
      try #require(result.status == 0, "\(result)")
      let json = try bench.strata("diff", "a.strata", "b.strata", "--json")
      let report = try json.object()
      let options = try #require(report["options"] as? [[String: String]])
      #expect(report["equal"] as? Bool == options.isEmpty, "\(json)")
      #expect(json.status == (options.isEmpty ? 0 : 1))
      #expect((report["changed"] as? [Any])?.isEmpty == true)
      return Dictionary(
        uniqueKeysWithValues: options.map {
          ("\($0["module"] ?? "").\($0["option"] ?? "")", [$0["from"] ?? "", $0["to"] ?? ""])
        })
    }
    // Told and assumed alike is no difference.
    #expect(try differences("nonlinearity=tanh", "head_input=all").isEmpty)
    #expect(
      try differences("nonlinearity=relu", "batch_first=true", "state=zero") == [
        "rnn.nonlinearity": ["tanh", "relu"], "rnn.batch_first": ["false", "true"],
        "rnn.state": ["given", "zero"],
      ])
    #expect(
      try differences("head_activation=softmax", "head_input=last") == [
        "fc.head_activation": ["none", "softmax"], "fc.head_input": ["all", "last"],
      ])
    #expect(try differences("head=none") == ["fc.module": ["fc: Linear(5, 2)", "none"]])
    let words = try bench.strata("diff", "a.strata", "b.strata").output
    #expect(words.contains("option: fc: module: fc: Linear(5, 2) → none\n"), "\(words)")
    // Of a module that is called otherwise too.
    try bench.succeed(
      "convert", "a.strata", "b.strata", "--force", "--rename", "^rnn=net", "--set",
      "nonlinearity=relu")
    let report = try bench.strata("diff", "a.strata", "b.strata", "--json").object()
    #expect((report["renamed"] as? [Any])?.count == 4)
    #expect(
      report["options"] as? [[String: String]] == [
        ["module": "rnn", "option": "nonlinearity", "from": "tanh", "to": "relu"]
      ])
    // A GRU's and an LSTM's.
    for (gates, setting, option) in [
      (3, "gru_reset=before", "gru_reset"), (4, "sigmoid=hard_torch", "sigmoid"),
    ] {
      try bench.write(Checkpoint.stack(gates: gates), to: "a.strata")
      #expect(try differences(setting).keys.sorted() == [".\(option)"])
    }
  }

  @Test func metadata() throws {
    var first = Checkpoint.stack()
    first.metadata = ["note": "one", "gone": "x", "same": "y"]
    try bench.write(first, to: "a.strata")
    let report = try diff { checkpoint in
      checkpoint.metadata = ["note": "two", "new": "z", "same": "y"]
    }
    #expect(report["equal"] as? Bool == false)
    let metadata = try #require(report["metadata"] as? [String: Any])
    #expect(metadata["added"] as? [String: String] == ["new": "z"])
    #expect(metadata["removed"] as? [String: String] == ["gone": "x"])
    #expect(
      metadata["changed"] as? [[String: String]] == [["key": "note", "from": "one", "to": "two"]])
    #expect(metadata["counts"] as? Bool == true)
    #expect(
      try bench.strata("diff", "a.strata", "b.h5").output
        == "metadata only in A: gone: x\nmetadata only in B: new: z\nmetadata: note: one → two\n")
    // A format that has no place for it is not held against the file.
    try bench.write(first, to: "c.npz")
    let words = try bench.succeed("diff", "a.strata", "c.npz").output
    #expect(words.hasSuffix("metadata only in A: same: y\nno difference that counts\n"), "\(words)")
  }

  @Test func goldens() throws {
    let golden = Tensor([1, 2] as [Float], shape: [2])
    var first = Checkpoint.stack()
    first.goldens["input"] = golden
    first.goldens["output"] = golden
    try bench.write(first, to: "a.strata")
    let report = try diff { checkpoint in
      checkpoint.goldens["input"] = Tensor([1, 2.5] as [Float], shape: [2])
      checkpoint.goldens["h_n"] = golden
    }
    #expect(report["equal"] as? Bool == false)
    let goldens = try #require(report["goldens"] as? [String: Any])
    #expect(
      goldens["added"] as? [String] == ["h_n"] && goldens["removed"] as? [String] == ["output"])
    let changed = try #require(goldens["changed"] as? [[String: Any]])
    #expect(changed.first?["name"] as? String == "input")
    #expect(changed.first?["max_abs"] as? Double == 0.5)
    #expect(goldens["counts"] as? Bool == true)
    try bench.write(Checkpoint.stack(), to: "c.safetensors")
    let words = try bench.succeed("diff", "a.strata", "c.safetensors").output
    #expect(
      words == "golden only in A: input\ngolden only in A: output\nno difference that counts\n")
  }

  /// What the tool converts is the same to it, in every format.
  @Test(arguments: [
    "lstm-batch-first", "rnn-relu-bi", "head-classifier", "tokens-lstm", "lstm-bfloat16",
  ])
  func conversions(fixture: String) throws {
    try bench.take(fixture)
    for name in ["m.strata", "m.h5", "m.safetensors"] {
      try bench.succeed("convert", "model.h5", name)
      try bench.succeed("diff", "model.h5", name)
      try bench.succeed("diff", name, "model.h5")
    }
  }

  /// The largest difference, and what a tolerance lets through.
  @Test func values() throws {
    func shift(_ amount: Float) -> (inout Checkpoint) throws -> Void {
      { checkpoint in
        let tensor = try #require(checkpoint.stateDict["weight_hh_l0"])
        var values = try tensor.floats()
        values[7] = 2 + amount
        checkpoint.stateDict["weight_hh_l0"] = Tensor(values, shape: tensor.shape)
      }
    }
    var first = Checkpoint.stack()
    try shift(0)(&first)
    try bench.write(first, to: "a.strata")

    let changed = try changes(try diff(change: shift(0.25)))
    #expect(changed.count == 1)
    #expect(
      Set(changed[0].keys) == [
        "name", "what", "max_abs", "relative_norm", "at", "module", "layer", "direction", "gate",
        "gates",
      ])
    #expect(changed[0]["name"] as? String == "weight_hh_l0")
    #expect(changed[0]["what"] as? String == "values")
    #expect(changed[0]["max_abs"] as? Double == 0.25)
    #expect(
      try bench.strata("diff", "a.strata", "b.h5").output
        .hasPrefix("changed: weight_hh_l0: values, by at most 2.50e-1 at [1, 2], relative norm "))

    // |a − b| ≤ atol + rtol · |b|, and b is 2.25.
    for (options, isEqual) in [
      (["--atol=0.25"], true), (["--atol=0.2499"], false), (["--rtol=0.112"], true),
      (["--rtol=0.111"], false), (["--atol=0.1", "--rtol=0.067"], true), (["--atol=0"], false),
    ] {
      let result = try Tool.run(["diff", "a.strata", "b.h5"] + options, in: bench.directory)
      #expect(result.status == (isEqual ? 0 : 1), "\(result)")
    }
    // Without a tolerance a bit counts; NaN is within no tolerance.
    #expect(try changes(try diff(change: shift(0x1p-22))).count == 1)
    let nan = try changes(try diff("--atol=1e30", change: shift(.nan)))
    #expect(nan.first?["max_abs"] as? String == "inf")
  }

  /// -0 for 0 is a difference of bits, and none of value.
  @Test func signOfZero() throws {
    for (name, value) in [("plus.strata", Float(0)), ("minus.strata", -0.0)] {
      try bench.write(
        Checkpoint(stateDict: ["x": Tensor([value, 1], shape: [2])]), to: name)
    }
    let result = try bench.strata("diff", "plus.strata", "minus.strata", "--json")
    #expect(result.status == 1)
    let changed = try #require(try result.object()["changed"] as? [[String: Any]])
    #expect(changed.first?["max_abs"] as? Double == 0)
    try bench.succeed("diff", "plus.strata", "minus.strata", "--atol", "0")
  }

  @Test func faults() throws {
    try bench.fail("diff", "a.strata", "absent.h5", code: "fileNotFound")
    try bench.fail("diff", "absent.h5", "a.strata", code: "fileNotFound")
    try bench.directory.write(Array("no checkpoint, but long enough".utf8), to: "text")
    try bench.fail("diff", "a.strata", "text", code: "unknownFormat")
    var flipped = try bench.directory.read("a.strata")
    flipped[flipped.count / 2] ^= 1
    try bench.directory.write(flipped, to: "flipped.strata")
    try bench.fail("diff", "a.strata", "flipped.strata", code: "checksumMismatch")
    for arguments in [
      ["a.strata"], ["a.strata", "a.strata", "a.strata"], ["a.strata", "a.strata", "--atol=-1"],
      ["a.strata", "a.strata", "--rtol=nan"], ["a.strata", "a.strata", "--stats"],
    ] {
      let result = try Tool.run(["diff"] + arguments + ["--json"], in: bench.directory)
      #expect(result.status == 64, "\(result)")
      #expect(try result.code == "usage")
    }
  }
}
