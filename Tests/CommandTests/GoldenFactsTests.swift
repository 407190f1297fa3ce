import Checkpoints
import CheckpointsHDF5
import Foundation
import TestSupport
import Testing

/// What a golden's file says of the model that it was recorded from.
@Suite struct GoldenFactsTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  private func options(_ report: [String: Any], _ key: String) -> [String] {
    (report[key] as? [[String: String]])?.compactMap { $0["option"] }.sorted() ?? []
  }

  @Test(
    "A model that does not say it itself takes it from the golden, which is named",
    arguments: ["head-classifier", "head-h-n", "head-softmax", "head-tagger"])
  func taken(name: String) throws {
    try bench.take(name)
    try bench.succeed("convert", "model.h5", "bare.npz")
    let modules = try bench.json("inspect", "model.h5")["modules"] as? [[String: Any]] ?? []
    let flag = modules.contains {
      ($0["options"] as? [String: Any])?["batch_first"] as? Bool == true
    }
    let report = try bench.json(
      "convert", "bare.npz", "a.strata", "--golden", "golden.h5", "--set", "batch_first=\(flag)")
    #expect(options(report, "told") == ["head", "head_activation", "head_input"])
    for told in try #require(report["told"] as? [[String: String]]) {
      #expect(told["source"] == "golden.h5")
    }
    #expect(options(report, "assumed") == [])
    try bench.succeed("verify", "a.strata")
    let words = try bench.succeed(
      "convert", "bare.npz", "b.strata", "--golden", "golden.h5", "--set", "batch_first=\(flag)"
    ).output
    #expect(words.contains("\n  told by golden.h5: head_input="), "\(words)")
    // The file's own word counts, and is not told again.
    #expect(
      options(try bench.json("convert", "model.h5", "c.strata", "--golden", "golden.h5"), "told")
        == [])
  }

  @Test("Under the paths that the modules have now")
  func renamed() throws {
    try bench.take("head-classifier")
    try bench.succeed("convert", "model.h5", "bare.npz")
    let report = try bench.json(
      "convert", "bare.npz", "a.strata", "--golden", "golden.h5", "--rename", "^classify=out",
      "--rename", "^gru[.]=", "--set", "batch_first=true")
    #expect(
      (report["told"] as? [[String: String]])?.contains(
        ["option": "head", "value": "out", "source": "golden.h5"]) == true)
    let alone = try bench.json(
      "convert", "bare.npz", "b.strata", "--golden", "golden.h5", "--exclude", "^classify", "--set",
      "batch_first=true")
    #expect(!options(alone, "told").contains("head"))
  }

  @Test("The user's word counts, and where it does not fit the option is named")
  func misfit() throws {
    try bench.take("head-classifier")
    let fault = try bench.fail(
      "convert", "model.h5", "a.strata", "--golden", "golden.h5", "--set", "head_input=all",
      code: "goldenMismatch")
    #expect(fault.line.contains("--set head_input=last or h_n"), "\(fault.line)")
    try bench.succeed("convert", "model.h5", "b.strata", "--set", "head_input=all")
    let other = try bench.fail("verify", "b.strata", "golden.h5", code: "goldenMismatch")
    #expect(other.line.contains("convert --set head_input=last or h_n"), "\(other.line)")
    try bench.succeed("convert", "model.h5", "c.strata", "--set", "head=none")
    let none = try bench.fail("verify", "c.strata", "golden.h5", code: "goldenMismatch")
    #expect(none.line.contains("convert --set head=NAME"), "\(none.line)")
  }

  @Test func badValue() throws {
    try bench.take("head-classifier")
    try bench.succeed("convert", "model.h5", "bare.npz")
    var golden = try bench.read("golden.h5")
    golden.metadata["head_activation"] = "softplus"
    try bench.write(golden, to: "bad.h5")
    let fault = try bench.fail(
      "convert", "bare.npz", "a.strata", "--golden", "bad.h5", code: "metadataInvalid")
    #expect(fault.line.hasPrefix("error: bad.h5: "), "\(fault.line)")
  }
}
