import Checkpoints
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

/// What `convert` tells of modules and names.
@Suite struct ReportTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  @Test("Each stack, cell and head has its tensors, and what belongs to none is left over")
  func modules() throws {
    let file = Fixtures.path("torch/2.15.0/recogniser.pt")
    let report = try bench.json("convert", file, "a.strata")
    let modules = try #require(report["modules"] as? [[String: Any]])
    let expected = [
      "encoder.rnn": 8, "decoder.embedding": 1, "decoder.rnn": 8, "head": 2, "decoder.cell": 4,
    ]
    var found: [String: Int] = [:]
    for module in modules {
      let name = try #require(module["name"] as? String)
      let tensors = try #require(module["tensors"] as? [String])
      #expect(tensors.allSatisfy { $0.hasPrefix(name + ".") }, "\(tensors)")
      found[name] = tensors.count
    }
    #expect(found == expected)
    #expect((report["taken"] as? [String])?.count == 23)
    let rest = [
      "front.0.weight", "front.0.bias", "front.1.weight", "front.1.bias", "front.1.running_mean",
      "front.1.running_var", "front.1.num_batches_tracked",
    ]
    #expect(report["left_over"] as? [String] == rest)
    let words = try bench.succeed("convert", file, "b.strata").output
    #expect(
      words.contains(
        "\n  decoder.cell: LSTMCell(5, 4)\n    weight_ih, weight_hh, bias_ih, bias_hh\n"),
      "\(words)")
    #expect(words.contains("\n  left over, carried along: \(rest.joined(separator: ", "))\n"))
    // They went along, the counter as the scalar that it is, and the strict load names them.
    let written = try bench.read("a.strata").stateDict
    #expect(written["front.1.num_batches_tracked"]?.shape == [])
    #expect(written["front.1.num_batches_tracked"]?.dtype == .int64)
    let refused = try bench.fail("bench", "a.strata", code: "parameterUnexpected")
    for name in rest { #expect(refused.line.contains(name)) }
    try bench.succeed("bench", "a.strata", "--module", "encoder")
  }

  @Test("An unexpected name comes with the nearest expected one")
  func nearest() throws {
    let one = Tensor([1] as [Float], shape: [1])
    let checkpoint = Checkpoint.stack(prefix: "rnn.").adding(one, "rnn.weigth_hh_l0").adding(
      one, "rnn.extra")
    try bench.write(checkpoint, to: "a.h5")
    let fault = try bench.fail("convert", "a.h5", "a.strata", code: "parameterUnexpected")
    #expect(fault.line.contains("the nearest is rnn.weight_hh_l0"), "\(fault.line)")
    let nearest = try #require(fault.report["nearest"] as? [String: Any])
    #expect(nearest["rnn.weigth_hh_l0"] as? String == "rnn.weight_hh_l0")
    #expect(nearest["rnn.extra"] is NSNull)
    #expect(Set(nearest.keys) == ["rnn.weigth_hh_l0", "rnn.extra"])
  }

  @Test("So do those that are listed behind the first one")
  func nearestOfOthers() throws {
    let one = Tensor([1] as [Float], shape: [1])
    let checkpoint = Checkpoint.stack(prefix: "rnn.").adding(one, "rnn.extra").adding(
      one, "rnn.weight_hx_l0")
    try bench.write(checkpoint, to: "a.h5")
    let fault = try bench.fail("convert", "a.h5", "a.strata", code: "parameterUnexpected")
    #expect(
      fault.line.hasSuffix(
        "also rnn.weight_hx_l0 (parameterUnexpected, the nearest is rnn.weight_hh_l0)"),
      "\(fault.line)")
  }

  @Test("A head that only PyTorch makes plain is told, by inspect as well")
  func disguisedHead() throws {
    var checkpoint = Checkpoint.stack(prefix: "0.")
    for (name, shape) in [
      ("1.bias", [2]), ("1.parametrizations.weight.original", [2, 5]),
      ("1.parametrizations.weight.0._u", [2]), ("1.parametrizations.weight.0._v", [5]),
    ] as [(String, Shape)] {
      checkpoint.stateDict[name] = Tensor(
        [Float](repeating: 1, count: shape.elementCount), shape: shape)
    }
    try bench.write(checkpoint, to: "a.h5")
    let way = "torch.nn.utils.parametrize.remove_parametrizations"
    for report in [
      try bench.json("convert", "a.h5", "a.strata"), try bench.json("inspect", "a.h5"),
    ] {
      let disguised = try #require(report["disguised"] as? [[String: String]])
      #expect(disguised.map { $0["name"] } == ["1.weight"])
      #expect(disguised.first?["reason"]?.contains(way) == true)
      #expect((report["left_over"] as? [String])?.count == 4)
    }
    let words = try bench.succeed("convert", "a.h5", "b.strata").output
    #expect(
      words.contains("\n  not plain, so no part of the model: 1.weight is kept by spectral_norm: "))
    #expect(try bench.succeed("inspect", "a.h5").output.contains(way))
    let fault = try bench.fail("bench", "a.strata", code: "parameterUnexpected")
    #expect(fault.line.contains(way), "\(fault.line)")
  }

  @Test("inspect lists the recurrent modules where it is unclear what belongs to them")
  func unclear() throws {
    try bench.write(
      Checkpoint.stack(prefix: "rnn.").adding(linear: "policy", 2, 5).adding(linear: "value", 2, 5),
      to: "a.h5")
    let report = try bench.json("inspect", "a.h5")
    #expect(
      (report["modules"] as? [[String: Any]])?.compactMap { $0["name"] as? String } == ["rnn"])
    #expect((report["fault"] as? String)?.contains("--set head=policy") == true)
    let words = try bench.succeed("inspect", "a.h5").output
    #expect(words.contains("\nrnn: LSTM(3, 5)\nfault: "), "\(words)")
  }

  @Test("Wrappers go wherever torch puts them, and a module called module stays")
  func wrappers() throws {
    for (source, target) in [
      ("module._orig_mod.module.rnn.", "rnn."), ("net._orig_mod.rnn.", "net.rnn."),
      ("module.net._orig_mod.rnn._orig_mod.", "net.rnn."),
      ("net._orig_mod.module.rnn.", "net.module.rnn."), ("net.module.rnn.", "net.module.rnn."),
      ("submodule.rnn.", "submodule.rnn."),
    ] {
      try bench.write(.stack(prefix: source), to: "a.h5")
      let report = try bench.json("convert", "a.h5", "a.strata", "--force")
      #expect(
        try bench.read("a.strata").stateDict.names.first == target + "weight_ih_l0", "\(source)")
      #expect((report["renamed"] as? [Any])?.count == (source == target ? 0 : 4))
    }
    let twice = Checkpoint.stack(prefix: "net.rnn.").adding(
      Tensor([1] as [Float], shape: [1]), "net._orig_mod.rnn.bias_hh_l0")
    try bench.write(twice, to: "b.h5")
    let fault = try bench.fail("convert", "b.h5", "b.strata", code: "duplicateName")
    for name in ["net.rnn.bias_hh_l0", "net._orig_mod.rnn.bias_hh_l0"] {
      #expect(fault.line.contains(name))
    }
  }

  @Test("An expression that matches nothing is told")
  func unmatched() throws {
    try bench.write(.stack(prefix: "rnn."), to: "a.h5")
    let report = try bench.json(
      "convert", "a.h5", "a.strata", "--rename", "absent=x", "--rename", "rnn=r", "--exclude",
      "nobody", "--include", "rnn", "--include", "none")
    #expect(
      report["unmatched"] as? [String] == [
        "--include 'none'", "--exclude 'nobody'", "--rename 'absent=x'",
      ])
    let words = try bench.succeed("convert", "a.h5", "b.strata", "--rename", "absent=x").output
    #expect(words.hasSuffix("\n  matched nothing: --rename 'absent=x'\n"), "\(words)")
  }

  @Test("A size of shards is for formats that can be spread, and a positive number")
  func shardSize() throws {
    try bench.write(.stack(), to: "a.h5")
    for bad in [
      "0", "-1", "", "MB", "1.5GB", "5XB", "99999999999999999999", "9999999999TB", "1 GB",
    ] {
      let fault = try bench.fail(
        "convert", "a.h5", "a.strata", "--shard-size", bad, code: "usage", status: 64)
      #expect(!fault.line.contains("always one file"), "\(fault.line)")
    }
    for size in ["1000", "5GB", "500mb", "2GiB", "7B"] {
      let fault = try bench.fail(
        "convert", "a.h5", "a.strata", "--shard-size", size, code: "usage", status: 64)
      #expect(fault.line.contains("always one file"), "\(fault.line)")
    }
  }

  @Test("--set says how files are read in every subcommand, and nothing else there")
  func settings() throws {
    try bench.write(.stack(), to: "a.h5")
    try bench.succeed("inspect", "a.h5", "--set", "npz_void2=bf16")
    try bench.succeed("bench", "a.h5", "--set", "npz_void2=refuse")
    try bench.succeed("convert", "a.h5", "a.strata", "--set", "npz_void2=bf16")
    for bad in ["npz_void2=yes", "head=fc", "fold=none", "npz_void2"] {
      try bench.fail("inspect", "a.h5", "--set", bad, code: "usage", status: 64)
    }
  }
}
