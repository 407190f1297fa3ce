import Checkpoints
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

/// Parameters in pieces, through the tool: fixtures/fold.
@Suite struct FoldTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  private func file(_ name: String, _ file: String = "model") -> String {
    Fixtures.path("fold/\(name)/\(file).h5")
  }

  @Test(arguments: [
    ("weight-norm-lstm", ["fc.weight", "rnn.weight_hh_l0", "rnn.weight_hh_l1"]),
    (
      "parametrized-gru",
      ["fc.weight", "rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.weight_hh_l0_reverse"]
    ),
    ("weight-drop-inside", ["rnns.0.module.weight_hh_l0", "rnns.1.module.weight_hh_l0"]),
    ("weight-drop-outside", ["rnns.0.module.weight_hh_l0", "rnns.1.module.weight_hh_l0"]),
  ])
  func folded(name: String, parameters: [String]) throws {
    let report = try bench.json(
      "convert", file(name), "a.strata", "--golden", file(name, "golden"))
    #expect(Set(try #require(report["folded"] as? [String])) == Set(parameters))
    #expect(report["left_over"] as? [String] == [])
    let plain = try Checkpoint(contentsOf: file(name, "plain"), formats: formats).stateDict
    let written = try bench.read("a.strata").stateDict
    #expect(Set(written.names) == Set(plain.names))
    for (name, tensor) in plain { #expect(written[name] == tensor, "\(name)") }
    #expect(try bench.json("verify", "a.strata")["verified"] as? Bool == true)
    // The other subcommands fold as well.
    try bench.succeed("verify", file(name), file(name, "golden"))
    try bench.succeed("bench", file(name))
    let shown = try bench.json("inspect", file(name))
    #expect((shown["folded"] as? [String])?.count == parameters.count)
    #expect((shown["modules"] as? [Any])?.isEmpty == false)
    #expect(
      (shown["tensors"] as? [[String: Any]])?.count
        == (try Checkpoint(contentsOf: file(name), formats: formats).stateDict.count))
  }

  @Test func words() throws {
    let norm = try bench.succeed("convert", file("weight-norm-lstm"), "a.strata").output
    #expect(
      norm.contains(
        "\n  folded: rnn.weight_hh_l0 = rnn.weight_hh_l0_g · rnn.weight_hh_l0_v / "
          + "‖rnn.weight_hh_l0_v‖\n"), "\(norm)")
    let drop = try bench.succeed("convert", file("weight-drop-outside"), "b.strata").output
    #expect(
      drop.contains("\n  folded: rnns.0.module.weight_hh_l0 = rnns.0.weight_hh_l0_raw\n"),
      "\(drop)")
  }

  @Test("fold=none keeps every piece, and says which module is none by that")
  func off() throws {
    for name in ["weight-norm-lstm", "weight-drop-inside"] {
      let report = try bench.json(
        "convert", file(name), "\(name).strata", "--set", "fold=none")
      #expect(report["folded"] as? [String] == [])
      #expect((report["unfolded"] as? [String])?.isEmpty == false)
      let source = try Checkpoint(contentsOf: file(name), formats: formats).stateDict
      #expect(try bench.read("\(name).strata").stateDict == source)
      let words = try bench.succeed(
        "convert", file(name), "w.strata", "--force", "--set", "fold=none")
      #expect(words.output.contains("\n  not folded, carried along: "), "\(words)")
      // What was kept apart can still be folded.
      let later = try bench.json("convert", "\(name).strata", "later.strata", "--force")
      #expect((later["folded"] as? [String])?.isEmpty == false)
    }
    try bench.fail(
      "convert", file("pruned"), "x.strata", "--set", "fold=all", code: "usage", status: 64)
  }

  @Test("Folding comes behind the names: wrappers, prefixes and renamings")
  func behindNames() throws {
    var wrapped = StateDict()
    for (name, tensor) in try Checkpoint(
      contentsOf: file("weight-norm-lstm"), formats: formats
    ).stateDict {
      try wrapped.append(
        tensor, named: "module.net." + name.replacing("_hh_l0_g", with: "_hh_l0_length"))
    }
    try bench.write(Checkpoint(stateDict: wrapped), to: "a.h5")
    let report = try bench.json(
      "convert", "a.h5", "a.strata", "--rename", "_length$=_g", "--rename", "^net[.]=")
    #expect((report["folded"] as? [String])?.contains("rnn.weight_hh_l0") == true)
    try bench.succeed("verify", "a.strata", file("weight-norm-lstm", "golden"))
  }

  @Test("Folded weights are narrowed behind the fold")
  func narrowed() throws {
    try bench.succeed("convert", file("weight-norm-lstm"), "a.strata", "--dtype", "F16")
    let plain = try Checkpoint(
      contentsOf: file("weight-norm-lstm", "plain"), formats: formats
    ).stateDict
    for (name, tensor) in plain {
      let expected = try tensor.converted(to: .float16)
      #expect(try bench.read("a.strata").stateDict[name] == expected, "\(name)")
    }
  }

  @Test(arguments: [
    ("spectral-norm", "remove_spectral_norm"),
    ("parametrized-spectral-norm", "remove_parametrizations"), ("pruned", "prune.remove"),
  ])
  func foreign(name: String, way: String) throws {
    let fault = try bench.fail("convert", file(name), "a.strata", code: "parameterMissing")
    #expect(fault.line.contains(way), "\(fault.line)")
    #expect(fault.report["missing"] as? [String] == ["rnn.weight_hh_l0"])
    try bench.succeed("inspect", file(name))
  }
}
