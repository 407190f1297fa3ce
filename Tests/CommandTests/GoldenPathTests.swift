import Checkpoints
import CheckpointsHDF5
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

/// Goldens of modules that a conversion renames, or leaves out.
@Suite struct GoldenPathTests {
  let bench: Workbench

  init() throws {
    bench = try Workbench()
    try bench.take("encoder-decoder")
  }

  /// Selections and renamings, and the names of goldens that begin so afterwards.
  static let selections: [[String]] = [
    ["--prefix", "decoder."], ["--include", "^decoder"], ["--exclude", "^(decoder|generator)"],
    ["--rename", "^encoder=enc"], ["--rename", "^encoder=enc", "--rename", "^decoder=dec"],
  ]

  @Test(arguments: selections)
  func follow(options: [String]) throws {
    // Sealed while the modules are renamed, and sealed before.
    try bench.succeed("convert", "model.h5", "whole.strata", "--golden", "golden.h5")
    for arguments in [
      ["convert", "model.h5", "now.strata", "--golden", "golden.h5"],
      ["convert", "whole.strata", "later.strata"],
    ] {
      let result = try Tool.run(arguments + options, in: bench.directory)
      #expect(result.status == 0, "\(result)")
    }
    for name in ["now.strata", "later.strata"] {
      let report = try bench.json("verify", name)
      #expect(report["verified"] as? Bool == true)
      #expect((report["tensors"] as? [Any])?.isEmpty == false)
      #expect((report["unchecked"] as? [String])?.isEmpty == true, "\(report)")
    }
    #expect(try bench.read("now.strata").goldens == bench.read("later.strata").goldens)
  }

  @Test func leftOutIsTold() throws {
    let report = try bench.json(
      "convert", "model.h5", "d.strata", "--golden", "golden.h5", "--prefix", "decoder.")
    let ignored = try #require(report["ignored"] as? [String])
    for name in ["encoder.rnn.output", "rnn.y", "rnn.y_f64"] {
      #expect(ignored.contains { $0.hasPrefix("golden \(name),") }, "\(ignored)")
    }
    let names = try bench.read("d.strata").goldens.map(\.name)
    #expect(names.contains("rnn.output") && !names.contains { $0.hasPrefix("encoder") })
  }

  @Test func ofAnotherModel() throws {
    let directory = Fixtures.path("pytorch/stacked-kinds/golden.h5")
    try bench.fail(
      "convert", "model.h5", "x.strata", "--golden", directory, code: "goldenMismatch")
    try bench.fail("verify", "model.h5", directory, code: "goldenMismatch")
  }

  @Test func statesOfAChainHaveNames() throws {
    try bench.take("stacked-kinds", as: "chain")
    var inputs = StateDict()
    for (name, tensor) in try bench.read("chain-golden.h5").stateDict where name == "input" {
      inputs["input"] = tensor
    }
    let batch = try #require(inputs["input"]).shape[1]
    inputs["h_0"] = Tensor([Float](repeating: 0, count: batch * 6), shape: [1, batch, 6])
    try bench.write(Checkpoint(stateDict: inputs), to: "state.h5")
    let fault = try bench.fail(
      "run", "chain.h5", "--input", "state.h5", "--output", "r.h5", code: "goldenMismatch")
    #expect(fault.line.contains("gru.h_0") && fault.line.contains("lstm.h_0"), "\(fault.line)")
  }
}
