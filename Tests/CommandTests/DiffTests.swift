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
      Set(report.keys) == ["equal", "added", "removed", "renamed", "changed"], "\(json)")
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
    // Neither the order nor the encoding is a difference, nor what stands beside the tensors.
    let other = try diff { checkpoint in
      var reversed = StateDict()
      for (name, tensor) in checkpoint.stateDict.reversed() { reversed[name] = tensor }
      checkpoint.stateDict = reversed
      checkpoint.metadata["note"] = "another"
    }
    #expect(other["equal"] as? Bool == true)
    try bench.succeed("convert", "a.strata", "small.strata", "--compress", "deflate")
    try bench.succeed("diff", "a.strata", "small.strata")
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
    for change in changed { #expect(Set(change.keys) == ["name", "what"]) }
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
    #expect(Set(changed[0].keys) == ["name", "what", "max_abs"])
    #expect(changed[0]["name"] as? String == "weight_hh_l0")
    #expect(changed[0]["what"] as? String == "values")
    #expect(changed[0]["max_abs"] as? Double == 0.25)
    #expect(
      try bench.strata("diff", "a.strata", "b.h5").output
        == "changed: weight_hh_l0: values, by at most 2.50e-1\n")

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
