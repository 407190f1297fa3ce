import Checkpoints
import TestSupport
import Testing

/// What `verify` says, and how its three answers are told apart.
@Suite struct VerifyTests {
  let bench: Workbench

  init() throws {
    bench = try Workbench()
    try bench.take("lstm-state")
  }

  @Test func keys() throws {
    let report = try bench.json("verify", "model.h5", "golden.h5")
    #expect(
      Set(report.keys) == [
        "verified", "atol", "rtol", "tolerance_source", "tensors", "assumed", "unchecked",
      ])
    let rows = try #require(report["tensors"] as? [[String: Any]])
    for row in rows {
      #expect(
        Set(row.keys).subtracting(["bound"]) == [
          "name", "reference", "max_abs", "max_rel", "at", "passed",
        ])
      #expect((row["at"] as? [Int])?.count == 3)
    }
    #expect(Set(rows.compactMap { $0["reference"] as? String }) == ["float32", "float64"])
  }

  @Test func words() throws {
    let result = try bench.succeed("verify", "model.h5", "golden.h5")
    for text in ["output", "h_n", "c_n", "float32", "float64", "passed", "\nverified; tolerance: "]
    {
      #expect(result.output.contains(text), "\(text): \(result)")
    }
    #expect(!result.output.contains("FAILED"))
  }

  /// A golden with one value off by 0.25: status 1, the place is named, nothing on stderr.
  @Test func failureNamesThePlace() throws {
    var golden = try bench.read("golden.h5")
    for name in ["c_n", "c_n_f64"] {
      let tensor = try #require(golden.stateDict[name])
      var values = try tensor.doubles()
      let place = values.count - 2
      values[place] += 0.25
      golden.stateDict[name] =
        name == "c_n"
        ? Tensor(values.map(Float.init), shape: tensor.shape) : Tensor(values, shape: tensor.shape)
    }
    try bench.write(golden, to: "off.h5")
    let shape = try #require(golden.stateDict["c_n"]).shape
    let place = shape.index(at: shape.elementCount - 2)

    for options in [[], ["--atol", "1e-3"], ["--rtol", "1e-3"], ["--precision", "reference"]] {
      let words = try Tool.run(["verify", "model.h5", "off.h5"] + options, in: bench.directory)
      #expect(words.status == 1, "\(words)")
      #expect(words.errors == "")
      #expect(words.output.contains("\nNOT verified; tolerance: "), "\(words)")
      let failed = words.output.split(separator: "\n").filter { $0.hasSuffix("FAILED") }
      #expect(
        failed.count >= 1 && failed.allSatisfy { $0.hasPrefix("c_n ") || options.isEmpty == false })
      #expect(failed.contains { $0.contains("\(place)") }, "\(words)")

      let json = try Tool.run(
        ["verify", "model.h5", "off.h5", "--json"] + options, in: bench.directory)
      #expect(json.status == 1)
      #expect(json.errors == "")
      let report = try json.object()
      #expect(report["verified"] as? Bool == false)
      let rows = try #require(report["tensors"] as? [[String: Any]])
      let row = try #require(
        rows.first { $0["name"] as? String == "c_n" && $0["reference"] as? String == "float32" })
      #expect(row["passed"] as? Bool == false)
      #expect(row["at"] as? [Int] == place)
      #expect(abs(try #require(row["max_abs"] as? Double) - 0.25) < 1e-5)

      let quiet = try Tool.run(
        ["verify", "model.h5", "off.h5", "--quiet"] + options, in: bench.directory)
      #expect(quiet.status == 1)
      #expect(quiet.output + quiet.errors == "")
    }
    let tolerant = try bench.json("verify", "model.h5", "off.h5", "--atol", "0.26")
    #expect(tolerant["verified"] as? Bool == true)
  }

  @Test func nanIsNoNumber() throws {
    var golden = try bench.read("golden.h5")
    let tensor = try #require(golden.stateDict["output"])
    var values = try tensor.floats()
    values[0] = .nan
    golden.stateDict["output"] = Tensor(values, shape: tensor.shape)
    try bench.write(golden, to: "nan.h5")
    // Whatever is allowed: it is named and not compared.
    let result = try bench.strata("verify", "model.h5", "nan.h5", "--atol", "1e30", "--json")
    #expect(result.status == 2)
    let error = try #require(try result.object()["error"] as? [String: Any])
    #expect(error["code"] as? String == "goldenMismatch")
    #expect(error["tensor"] as? String == "output")
    #expect((error["reason"] as? String)?.hasPrefix("NaN at [0, 0, 0], 1 in all") == true)
  }

  /// A golden that does not fit is no failed verification.
  @Test(arguments: ["half of the state", "another batch size", "another size"])
  func goldenThatDoesNotFit(_ fault: String) throws {
    var golden = try bench.read("golden.h5")
    let tensor = try #require(golden.stateDict["h_0"])
    switch fault {
    case "half of the state": golden.stateDict["c_0"] = nil
    case "another batch size":
      golden.stateDict["h_0"] = Tensor(
        try tensor.floats() + tensor.floats(),
        shape: [tensor.shape[0], 2 * tensor.shape[1], tensor.shape[2]])
    default:
      golden.stateDict["output"] = tensor
    }
    try bench.write(golden, to: "odd.h5")
    let result = try bench.strata("verify", "model.h5", "odd.h5", "--json")
    #expect(result.status == 2, "\(result)")
    let error = try #require(try result.object()["error"] as? [String: Any])
    #expect(error["code"] as? String == "goldenMismatch")
    #expect(error["file"] as? String == "odd.h5")
  }

  @Test func toleranceSources() throws {
    func source(_ options: String..., golden: String = "golden.h5") throws -> String {
      let result = try Tool.run(
        ["verify", "model.h5", golden, "--json"] + options, in: bench.directory)
      #expect(result.status == 0, "\(result)")
      return try #require(try result.object()["tolerance_source"] as? String)
    }
    #expect(try source().contains("float64"))
    #expect(try source("--atol", "1e-5", "--rtol", "1e-5").contains("--atol"))
    var golden = try bench.read("golden.h5")
    for name in golden.stateDict.names where name.hasSuffix("_f64") { golden.stateDict[name] = nil }
    try bench.write(golden, to: "narrow.h5")
    #expect(try source(golden: "narrow.h5").contains("default"))
  }

  /// A golden that does not fit is no failed verification.
  @Test func goldenThatDoesNotFit() throws {
    let golden = try bench.read("golden.h5")
    func refuse(_ name: String, _ change: (inout StateDict) throws -> Void) throws {
      var changed = golden
      try change(&changed.stateDict)
      try bench.write(changed, to: "changed-\(name).h5")
      let fault = try bench.fail("verify", "model.h5", "changed-\(name).h5", code: "goldenMismatch")
      #expect(fault.line.hasPrefix("error: changed-\(name).h5: "), "\(fault.line)")
      #expect(fault.line.contains(name), "\(fault.line)")
    }
    try refuse("input") { $0["input"] = nil }
    try refuse("h_0") { $0["h_0"] = Tensor([Float](repeating: 0, count: 8), shape: [2, 2, 2]) }
    try refuse("output") {
      $0["output"] = Tensor([Float](repeating: 0, count: 8), shape: [2, 2, 2])
    }
    try refuse("y") { $0["y"] = Tensor([1] as [Float], shape: [1]) }
    try refuse("lengths") { $0["lengths"] = Tensor([1, 2] as [Int64], shape: [2]) }
    try refuse("none of") { dict in
      for name in dict.names where name != "input" && !name.hasSuffix("_0") { dict[name] = nil }
    }
    try bench.fail("verify", "model.h5", code: "goldenMismatch")
    try bench.fail("verify", "model.h5", "model.h5", code: "goldenMismatch")
    try bench.fail(
      "run", "model.h5", "--input", "model.h5", "--output", "r.h5", code: "goldenMismatch")
    try bench.fail("verify", "model.h5", "absent.h5", code: "fileNotFound")
  }

  /// float64 weights are narrowed, and the report says so.
  @Test func narrowingIsReported() throws {
    let bench = try Workbench()
    try bench.take("lstm-float64")
    let report = try bench.json("verify", "model.h5", "golden.h5")
    let assumed = try #require(report["assumed"] as? [[String: String]])
    #expect(assumed == [["option": "dtype", "value": "F32"]])
    let words = try bench.succeed("verify", "model.h5", "golden.h5")
    #expect(words.output.contains("\nassumed: dtype=F32 ("), "\(words)")
    let reference = try bench.json("verify", "model.h5", "golden.h5", "--precision", "reference")
    #expect((reference["assumed"] as? [Any])?.isEmpty == true)
  }

  /// What the golden shows nothing of is told, and no failure.
  @Test func unchecked() throws {
    let bench = try Workbench()
    try bench.take("head-tagger")
    var golden = try bench.read("golden.h5")
    for name in ["y", "y_f64"] { golden.stateDict[name] = nil }
    try bench.write(golden, to: "headless.h5")
    let modules = try #require(
      try bench.json("inspect", "model.h5")["modules"] as? [[String: Any]])
    let head = try #require(modules.last?["name"] as? String)
    try bench.succeed("convert", "model.h5", "m.strata", "--golden", "headless.h5")
    for arguments in [["verify", "model.h5", "headless.h5"], ["verify", "m.strata"]] {
      let result = try Tool.run(arguments + ["--json"], in: bench.directory)
      #expect(result.status == 0, "\(result)")
      #expect(try result.object()["unchecked"] as? [String] == [head])
      let words = try Tool.run(arguments, in: bench.directory)
      #expect(
        words.output.hasSuffix("\nnot checked: \(head), of which the golden has no result\n"),
        "\(words)")
    }
    #expect(try bench.json("verify", "model.h5", "golden.h5")["unchecked"] as? [String] == [])

    // One model of two.
    let two = try Workbench()
    try two.take("encoder-decoder")
    var half = try two.read("golden.h5")
    for name in half.stateDict.names where name.hasPrefix("decoder") { half.stateDict[name] = nil }
    try two.write(half, to: "half.h5")
    #expect(
      try two.json("verify", "model.h5", "half.h5")["unchecked"] as? [String]
        == ["decoder.rnn", "generator"])
  }

  /// The tolerance that goldens are sealed with counts, unless one is given.
  @Test func sealedTolerance() throws {
    var golden = try bench.read("golden.h5")
    for name in golden.stateDict.names where name.hasSuffix("_f64") { golden.stateDict[name] = nil }
    let tensor = try #require(golden.stateDict["h_n"])
    var values = try tensor.floats()
    values[1] += 0.01
    golden.stateDict["h_n"] = Tensor(values, shape: tensor.shape)
    for (text, status) in [
      (nil, 1), ("standard", 1), ("atol=0.02 rtol=0", 0), ("atol=0.02 rtol=0.001", 0),
      ("atol=0.001 rtol=0", 1),
    ] as [(String?, Int32)] {
      golden.metadata["strata_golden_tolerance"] = text
      try bench.write(golden, to: "g.h5")
      try bench.succeed("convert", "model.h5", "m.strata", "--golden", "g.h5", "--force")
      try bench.succeed("convert", "m.strata", "m.h5", "--force")
      for model in ["m.strata", "m.h5"] {
        let result = try bench.strata("verify", model, "--json")
        #expect(result.status == status, "\(text ?? "nothing"): \(result)")
        let report = try result.object()
        if let text, text.hasPrefix("atol") {
          #expect(report["tolerance_source"] as? String == "sealed into the model")
          let parts = text.split(separator: " ").map { Double($0.dropFirst(5)) }
          #expect([report["atol"] as? Double, report["rtol"] as? Double] == parts)
        }
      }
      #expect(try bench.strata("verify", "m.strata", "--atol", "0.02").status == 0)
      #expect(try bench.strata("verify", "m.strata", "--atol", "1e-7").status == 1)
    }
    for text in ["atol=1", "atol=x rtol=0", "atol=-1 rtol=0", "loose", "atol=nan rtol=0"] {
      golden.metadata["strata_golden_tolerance"] = text
      try bench.write(golden, to: "g.h5")
      let fault = try bench.fail(
        "convert", "model.h5", "x.strata", "--golden", "g.h5", code: "metadataInvalid")
      #expect(fault.line.contains("strata_golden_tolerance"), "\(fault.line)")
    }
  }
}
