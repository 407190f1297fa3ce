import Checkpoints
import CheckpointsHDF5
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

/// Every option of `convert`.
@Suite struct ConvertOptionTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  /// The names in the output of a conversion with options.
  private func names(_ input: String, _ options: String...) throws -> [String] {
    let result = try Tool.run(
      ["convert", input, "out.strata", "--force"] + options, in: bench.directory)
    try #require(result.status == 0, "\(result)")
    return try bench.read("out.strata").stateDict.names
  }

  private let plain = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]

  // MARK: Names

  @Test func prefix() throws {
    let other = Tensor([1] as [Float], shape: [1])
    try bench.write(.stack(prefix: "net.rnn.").adding(other, "other"), to: "a.h5")
    #expect(try names("a.h5", "--prefix", "net.rnn.") == plain)
    #expect(try names("a.h5", "--prefix", "net.") == plain.map { "rnn.\($0)" })
    #expect(try names("a.h5") == plain.map { "net.rnn.\($0)" } + ["other"])
    let report = try bench.json("convert", "a.h5", "o.strata", "--prefix", "net.")
    #expect(
      (report["renamed"] as? [[String: String]])?.first
        == ["from": "net.rnn.weight_ih_l0", "to": "rnn.weight_ih_l0"])
    #expect(report["left_over"] as? [String] == [])
    try bench.fail("convert", "a.h5", "p.strata", "--prefix", "absent.", code: "parameterMissing")
  }

  @Test func key() throws {
    try bench.write(.stack(prefix: "state.rnn.").adding(linear: "other", 2, 3), to: "a.h5")
    #expect(try names("a.h5", "--key", "state") == plain.map { "rnn.\($0)" })
    #expect(try names("a.h5", "--key", "state.") == plain.map { "rnn.\($0)" })
    #expect(try names("a.h5", "--key", "state.rnn") == plain)
    try bench.fail("convert", "a.h5", "p.strata", "--key", "stat", code: "parameterMissing")
  }

  @Test func includeAndExclude() throws {
    let checkpoint = Checkpoint.stack(prefix: "a.").adding(linear: "b", 2, 5).adding(
      linear: "c", 2, 5)
    try bench.write(checkpoint, to: "a.h5")
    #expect(try names("a.h5", "--include", "^a") == plain.map { "a.\($0)" })
    #expect(
      try names("a.h5", "--include", "^a", "--include", "^b") == plain.map { "a.\($0)" }
        + ["b.weight", "b.bias"])
    #expect(try names("a.h5", "--exclude", "^[bc]") == plain.map { "a.\($0)" })
    #expect(
      try names("a.h5", "--exclude", "^b", "--exclude", "bias$") == plain.map { "a.\($0)" }
        + ["c.weight"])
    #expect(
      try names("a.h5", "--include", "^[ab]", "--exclude", "^b") == plain.map { "a.\($0)" })
    try bench.fail("convert", "a.h5", "p.strata", "--include", "nothing", code: "parameterMissing")
    for option in ["--include", "--exclude"] {
      try bench.fail("convert", "a.h5", "p.strata", option, "(", code: "usage", status: 64)
    }
  }

  @Test func rename() throws {
    try bench.write(.stack(layers: 2, prefix: "enc.0.").adding(linear: "out", 2, 5), to: "a.h5")
    #expect(
      try names("a.h5", "--rename", #"^enc\.(\d+)\.(.*)$=rnn$1.$2"#).first == "rnn0.weight_ih_l0")
    #expect(
      try names("a.h5", "--rename", #"^enc\.(\d+)=x$1"#, "--rename", "^x0=y", "--rename", "out=fc")
        == (0..<2).flatMap { layer in
          ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map { "y.\($0)_l\(layer)" }
        } + ["fc.weight", "fc.bias"])
    for (template, expected) in [
      // Groups in another order, a dollar that is none, the match, and a dollar that is written twice.
      ("$2$1$", "uo$"), ("$0$0", "outout"), ("$$1", "$1"), ("${2}0", "u0"), ("${first}x", "ox"),
      // Two groups: the first one and a zero.
      ("$10", "o0"),
    ] {
      #expect(
        try names("a.h5", "--rename", "(?<first>o)(u)t=\(template)").last == "\(expected).bias")
    }
    #expect(
      try names(
        "a.h5", "--include", "^out.weight$", "--rename",
        "^(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)=$10$1") == ["to"])
    for template in ["$3", "${third}", "$99"] {
      let fault = try bench.fail(
        "convert", "a.h5", "q.strata", "--rename", "(?<first>o)(u)t=\(template)", code: "usage",
        status: 64)
      #expect(fault.line.contains(template), "\(fault.line)")
    }
    let report = try bench.json("convert", "a.h5", "o.strata", "--rename", "out=fc")
    #expect(
      report["renamed"] as? [[String: String]] == [
        ["from": "out.weight", "to": "fc.weight"], ["from": "out.bias", "to": "fc.bias"],
      ])
    let words = try bench.succeed("convert", "a.h5", "p.strata", "--rename", "out=fc")
    #expect(words.output.contains("\n  renamed: out.weight → fc.weight\n"), "\(words)")

    let fault = try bench.fail(
      "convert", "a.h5", "q.strata", "--rename", "_l[01]$=_l0", code: "duplicateName")
    for name in ["weight_ih_l0", "weight_ih_l1"] { #expect(fault.line.contains(name)) }
    #expect(fault.object["tensor"] as? String == "enc.0.weight_ih_l0")
    for bad in ["(=x", "nothing", "=x"] {
      try bench.fail("convert", "a.h5", "q.strata", "--rename", bad, code: "usage", status: 64)
    }
  }

  @Test func wrappersAreRemovedAndTold() throws {
    for wrapper in ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."] {
      var checkpoint = Checkpoint.stack(prefix: wrapper + "rnn.")
        .adding(linear: wrapper + "fc", 2, 5)
      checkpoint.metadata["head"] = wrapper + "fc"
      checkpoint.metadata["head_activation"] = "tanh"
      checkpoint.moduleRecords = [
        ModuleRecord(
          path: wrapper + "rnn", type: "torch.nn.LSTM", options: ["batch_first": .bool(true)])
      ]
      let input = "\(wrapper)h5"
      try bench.write(checkpoint, to: input)
      #expect(
        try names(input) == plain.map { "rnn.\($0)" } + ["fc.weight", "fc.bias"])
      let written = try bench.read("out.strata")
      #expect(written.metadata["head"] == "fc")
      #expect(written.moduleRecords.map(\.path) == ["rnn"])
      let description = try ModelDescription(json: try #require(written.modelDescription))
      #expect(description.modules.map(\.name) == ["rnn", "fc"])
      let report = try bench.json("convert", input, "o.strata", "--force")
      #expect((report["renamed"] as? [Any])?.count == 6)
      #expect(
        report["assumed"] as? [[String: String]] == [["option": "head_input", "value": "all"]])
      let words = try bench.succeed("convert", input, "o.strata", "--force")
      #expect(
        words.output.contains("\n  renamed: \(wrapper)fc.bias → fc.bias\n"), "\(words)")
    }
    // Another prefix is kept; a wrapper's name in the middle is none.
    try bench.write(.stack(prefix: "net.module."), to: "kept.h5")
    #expect(try names("kept.h5") == plain.map { "net.module.\($0)" })
  }

  /// The description follows a renaming, from a `.strata` file as well.
  @Test func descriptionFollows() throws {
    try bench.take("head-classifier")
    try bench.succeed("convert", "model.h5", "a.strata")
    try bench.succeed(
      "convert", "a.strata", "b.strata", "--rename", "classify=fc", "--rename", "gru=r")
    let report = try bench.json("inspect", "b.strata")
    #expect(
      (report["modules"] as? [[String: Any]])?.compactMap { $0["name"] as? String } == ["r", "fc"])
    #expect((report["metadata"] as? [String: String])?["head"] == "fc")
    try bench.succeed("verify", "b.strata", "golden.h5")
  }

  // MARK: --set

  @Test(arguments: [
    ("nonlinearity", ["tanh", "relu"]), ("batch_first", ["true", "false"]),
  ])
  func setOfStack(option: String, values: [String]) throws {
    try bench.write(.stack(gates: 1), to: "a.h5")
    for value in values {
      let report = try bench.json(
        "convert", "a.h5", "\(value).strata", "--set", "\(option)=\(value)")
      let assumed = try #require(report["assumed"] as? [[String: String]])
      #expect(!assumed.contains { $0["option"] == option })
      #expect(assumed.count == 1)
      let modules = try #require(
        try bench.json("inspect", "\(value).strata")["modules"] as? [[String: Any]])
      let written = (modules[0]["options"] as? [String: Any])?[option]
      #expect("\(written ?? "")" == value || (written as? Bool).map { "\($0)" } == value)
    }
    let assumed = try bench.json("convert", "a.h5", "assumed.strata")["assumed"]
    #expect(
      assumed as? [[String: String]] == [
        ["option": "nonlinearity", "value": "tanh"], ["option": "batch_first", "value": "false"],
      ])
    let words = try bench.succeed("convert", "a.h5", "words.strata")
    #expect(words.output.contains("  assumed: nonlinearity=tanh"))
    try bench.fail(
      "convert", "a.h5", "x.strata", "--set", "\(option)=maybe", code: "usage", status: 64)
  }

  /// A model of another convention than PyTorch's: what its golden says, and the options that mean nothing
  /// to it, which are let pass.
  @Test(arguments: [
    ("gru-before-l3-bi", ["gru_reset=before"], ["nonlinearity=relu", "sigmoid=logistic"]),
    ("gru-before-lengths", ["gru_reset=before"], []),
    (
      "gru-before-hard-torch-batch-first", ["gru_reset=before", "sigmoid=hard_torch"],
      ["batch_first=true"]
    ),
    ("gru-after-hard-keras2", ["sigmoid=hard_keras2"], ["gru_reset=after"]),
    ("lstm-hard-keras2-unbatched", ["sigmoid=hard_keras2"], ["gru_reset=before"]),
    ("lstm-hard-torch-projection", ["sigmoid=hard_torch"], []),
  ])
  func setConvention(name: String, options: [String], others: [String]) throws {
    let model = Fixtures.path("conventions/\(name)/model.h5")
    let golden = Fixtures.path("conventions/\(name)/golden.h5")
    func set(_ options: [String]) -> [String] { options.flatMap { ["--set", $0] } }
    func convert(_ output: String, _ options: [String]) throws {
      let result = try Tool.run(["convert", model, output] + set(options), in: bench.directory)
      #expect(result.status == 0, "\(result)")
      // Nobody is asked for what hardly a model has.
      #expect(!["gru_reset", "sigmoid"].contains { result.output.contains("assumed: \($0)") })
    }
    try convert("plain.strata", [])
    try convert("right.strata", options + others)
    try bench.succeed("verify", "right.strata", golden)
    let failed = try Tool.run(["verify", "plain.strata", golden], in: bench.directory)
    #expect(failed.status == 1, "\(failed)")
    // It is the file that says it from now on.
    try bench.succeed("convert", "right.strata", "again.strata")
    try bench.succeed("verify", "again.strata", golden)
    let modules = try #require(
      try bench.json("inspect", "again.strata")["modules"] as? [[String: Any]])
    let written = try #require(modules[0]["options"] as? [String: Any])
    for name in ["gru_reset", "sigmoid"] {
      let told = options.first { $0.hasPrefix("\(name)=") }
      #expect((written[name] as? String).map { "\(name)=\($0)" } == told)
    }
    try bench.succeed("run", "again.strata", "--input", golden, "--output", "r.h5")
    let results = try bench.read("r.h5").stateDict
    let expected = try Checkpoint(contentsOf: golden, formats: formats).stateDict
    for (name, tensor) in results {
      let exact = try #require(expected["\(name)_f64"]).doubles()
      #expect(zip(try tensor.doubles(), exact).allSatisfy { abs($0 - $1) <= 2e-6 }, "\(name)")
    }
    // And another word of the user's undoes it.
    try bench.succeed(
      "convert", "again.strata", "undone.strata", "--set", "gru_reset=after", "--set",
      "sigmoid=logistic")
    #expect(
      try bench.read("undone.strata").modelDescription
        == bench.read("plain.strata").modelDescription
    )
  }

  @Test(arguments: [
    ("head_activation", "activation", ["none", "sigmoid", "tanh", "relu", "softmax"]),
    ("head_input", "head_input", ["all", "last", "h_n"]),
  ])
  func setOfHead(option: String, key: String, values: [String]) throws {
    try bench.write(.stack().adding(linear: "fc", 2, 5), to: "a.h5")
    for value in values {
      let report = try bench.json(
        "convert", "a.h5", "\(value).strata", "--set", "\(option)=\(value)")
      #expect(
        (report["assumed"] as? [[String: String]])?.contains { $0["option"] == option } == false)
      let modules = try #require(
        try bench.json("inspect", "\(value).strata")["modules"] as? [[String: Any]])
      #expect((modules.last?["options"] as? [String: Any])?[key] as? String == value)
      // It wins over what the file says.
      for other in values where other != value {
        try bench.succeed(
          "convert", "\(value).strata", "o.strata", "--force", "--set", "\(option)=\(other)")
        let modules = try #require(
          try bench.json("inspect", "o.strata")["modules"] as? [[String: Any]])
        #expect((modules.last?["options"] as? [String: Any])?[key] as? String == other)
        // And is not forgotten on the way through HDF5.
        try bench.succeed("convert", "o.strata", "o.h5", "--force")
        let through = try #require(try bench.json("inspect", "o.h5")["modules"] as? [[String: Any]])
        #expect((through.last?["options"] as? [String: Any])?[key] as? String == other)
      }
    }
    for bad in ["", "nonsense", "None"] {
      try bench.fail(
        "convert", "a.h5", "x.strata", "--set", "\(option)=\(bad)", code: "usage", status: 64)
    }
  }

  @Test func setHead() throws {
    let checkpoint = Checkpoint.stack().adding(linear: "fc", 2, 5).adding(linear: "aux", 7, 5)
    try bench.write(checkpoint, to: "a.h5")
    for head in ["fc", "aux"] {
      let report = try bench.json("convert", "a.h5", "\(head).strata", "--set", "head=\(head)")
      let other = head == "fc" ? "aux" : "fc"
      #expect(report["left_over"] as? [String] == ["\(other).weight", "\(other).bias"])
      let modules = try bench.json("inspect", "\(head).strata")["modules"] as? [[String: Any]]
      #expect(modules?.last?["name"] as? String == head)
    }
    let report = try bench.json("convert", "a.h5", "none.strata", "--set", "head=none")
    #expect((report["left_over"] as? [String])?.count == 4)
    try bench.fail("convert", "a.h5", "x.strata", "--set", "head=absent", code: "parameterMissing")
    try bench.fail("convert", "a.h5", "x.strata", "--set", "head=", code: "usage", status: 64)
    try bench.fail("convert", "a.h5", "x.strata", "--set", "unknown=1", code: "usage", status: 64)
    try bench.fail("convert", "a.h5", "x.strata", "--set", "head", code: "usage", status: 64)
  }

  @Test func hdf5Layout() throws {
    try bench.write(.stack(prefix: "a.b."), to: "a.strata")
    for layout in ["flat", "nested"] {
      try bench.succeed("convert", "a.strata", "\(layout).h5", "--set", "hdf5_layout=\(layout)")
      #expect(try bench.read("\(layout).h5").stateDict == bench.read("a.strata").stateDict)
      let bytes = try bench.directory.read("\(layout).h5")
      let flatName = Array("a.b.weight_ih_l0".utf8)
      #expect(bytes.contains(flatName) == (layout == "flat"))
    }
    try bench.fail(
      "convert", "a.strata", "x.h5", "--set", "hdf5_layout=deep", code: "usage", status: 64)
  }

  // MARK: Values

  @Test(arguments: [
    // Ties go to even: 1 + 2^-11 and 1 + 3·2^-11 for half, 1 + 2^-8 and 1 + 3·2^-8 for bfloat16.
    ("F16", DType.float16, [0x3C00, 0x3C02, 0x3C01, 0x7C00, 0x8000, 0x0001, 0x0000] as [UInt16]),
    ("BF16", .bfloat16, [0x3F80, 0x3F80, 0x3F80, 0x4780, 0x8000, 0x3380, 0x3300]),
  ])
  func narrowing(name: String, dtype: DType, patterns: [UInt16]) throws {
    let values: [Float] = [
      1 + 0x1p-11, 1 + 0x3p-11, 1 + 0x1.8p-11, 65520, -0.0, 0x1p-24, 0x1p-25,
    ]
    let checkpoint = Checkpoint.stack(prefix: "rnn.")
      .adding(Tensor(values, shape: [7]), "x")
      .adding(Tensor([1 + 0x1p-8, 1 + 0x3p-8, .nan, -.infinity] as [Float], shape: [4]), "y")
      .adding(Tensor([1 << 40, -7, 3] as [Int64], shape: [3]), "steps")
    try bench.write(checkpoint, to: "a.h5")
    try bench.succeed("convert", "a.h5", "o.strata", "--dtype", name)
    let written = try bench.read("o.strata").stateDict
    #expect(written["steps"] == checkpoint.stateDict["steps"])
    #expect(written["rnn.weight_ih_l0"]?.dtype == dtype)
    let tensor = try #require(written["x"])
    let found = stride(from: 0, to: 14, by: 2).map {
      UInt16(tensor.bytes.array[$0]) | UInt16(tensor.bytes.array[$0 + 1]) << 8
    }
    #expect(found == patterns, "\(found.map { String($0, radix: 16) })")
    let second = try #require(written["y"]).floats()
    #expect(second[0] == (dtype == .bfloat16 ? 1 : 1 + 0x1p-8))
    #expect(second[1] == (dtype == .bfloat16 ? 1 + 0x1p-6 : 1 + 0x3p-8))
    #expect(second[2].isNaN && second[3] == -.infinity)
  }

  @Test func widening() throws {
    let checkpoint = Checkpoint.stack(prefix: "rnn.").adding(
      Tensor([true, false].map { $0 ? 1 : 0 } as [Int64], shape: [2]), "n")
    try bench.write(checkpoint, to: "a.h5")
    try bench.succeed("convert", "a.h5", "wide.strata", "--dtype", "F64")
    let wide = try bench.read("wide.strata").stateDict
    for (name, tensor) in checkpoint.stateDict where name != "n" {
      #expect(wide[name]?.dtype == .float64)
      #expect(try wide[name]?.doubles() == tensor.floats().map(Double.init))
    }
    #expect(wide["n"] == checkpoint.stateDict["n"])
    try bench.succeed("convert", "wide.strata", "back.strata", "--dtype", "F32")
    #expect(try bench.read("back.strata").stateDict == checkpoint.stateDict)
    for bad in ["F8", "I8", "BOOL", ""] {
      try bench.fail("convert", "a.h5", "x.strata", "--dtype", bad, code: "usage", status: 64)
    }
  }

  @Test func compression() throws {
    let zeros = Tensor([Float](repeating: 0, count: 50_000), shape: [50_000])
    try bench.write(Checkpoint.stack(prefix: "rnn.").adding(zeros, "zeros"), to: "a.strata")
    for name in ["d.strata", "d.h5"] {
      try bench.succeed("convert", "a.strata", name, "--compress", "deflate")
      #expect(try bench.directory.read(name).count < 30_000)
      #expect(try bench.read(name).stateDict == bench.read("a.strata").stateDict)
      try bench.succeed("convert", name, "none.strata", "--force", "--compress", "none")
      let loose = try bench.read("none.strata")
      #expect(loose.stateDict == (try bench.read("a.strata").stateDict))
    }
    try bench.fail(
      "convert", "a.strata", "x.strata", "--compress", "zip", code: "usage", status: 64)
    // Where nothing is ever compressed, to ask for it is wrong; to ask for nothing is not.
    for name in ["x.pt", "x.safetensors"] {
      let fault = try bench.fail(
        "convert", "a.strata", name, "--compress", "deflate", code: "usage", status: 64)
      #expect(fault.line.contains("--compress deflate"), "\(fault.line)")
      try bench.succeed("convert", "a.strata", name, "--compress", "none")
    }
    try bench.succeed("convert", "a.strata", "d.npz", "--compress", "deflate")
    #expect(try bench.directory.read("d.npz").count < 30_000)
  }

  @Test("Values that become infinite are counted and told")
  func overflow() throws {
    let large = Tensor([1, 1e30, -1e30, .infinity, .nan, 65504, 65520] as [Float], shape: [7])
    let wide = Tensor([1e300, 1] as [Double], shape: [2])
    try bench.write(
      Checkpoint.stack(prefix: "rnn.").adding(large, "large").adding(wide, "wide"), to: "a.h5")
    for (dtype, expected) in [
      ("F16", ["large": 3, "wide": 1]), ("BF16", ["wide": 1]), ("F32", ["wide": 1]), ("F64", [:]),
    ] as [(String, [String: Int])] {
      let report = try bench.json("convert", "a.h5", "o.strata", "--force", "--dtype", dtype)
      var found: [String: Int] = [:]
      for entry in try #require(report["overflowed"] as? [[String: Any]]) {
        found[try #require(entry["name"] as? String)] = entry["values"] as? Int
      }
      #expect(found == expected, "\(dtype)")
    }
    let words = try bench.succeed("convert", "a.h5", "p.strata", "--dtype", "F16").output
    #expect(words.contains("\n  became infinite: 3 finite values of large\n"), "\(words)")
    #expect(words.contains("\n  became infinite: 1 finite value of wide\n"), "\(words)")
  }

  @Test("Goldens of weights that are narrowed afterwards may fail, which is told")
  func goldensOfWiderWeights() throws {
    try bench.take("lstm-state")
    let note = "the goldens were recorded before the weights were narrowed to BF16: verify may fail"
    let words = try bench.succeed(
      "convert", "model.h5", "a.strata", "--golden", "golden.h5", "--dtype", "BF16"
    ).output
    #expect(words.contains("\n  note: \(note)"), "\(words)")
    try bench.succeed("convert", "model.h5", "b.strata", "--golden", "golden.h5")
    let report = try bench.json("convert", "b.strata", "c.strata", "--dtype", "BF16")
    #expect(report["notes"] as? [String] == [note])
    // Widened, without goldens, or where no golden is kept, there is nothing to tell.
    for arguments in [
      ["b.strata", "d.strata", "--dtype", "F64"], ["model.h5", "e.strata", "--dtype", "BF16"],
      ["b.strata", "f.safetensors", "--dtype", "BF16"],
      ["c.strata", "g.strata", "--dtype", "BF16"],
    ] {
      let result = try Tool.run(["convert", "--json"] + arguments, in: bench.directory)
      #expect(result.status == 0, "\(result)")
      #expect(try result.object()["notes"] as? [String] == [], "\(arguments)")
    }
  }

  @Test func rejectNonfinite() throws {
    for (index, value) in [Float.nan, .infinity, -.infinity].enumerated() {
      let bad = Tensor([1, value, value] as [Float], shape: [3])
      try bench.write(Checkpoint.stack(prefix: "rnn.").adding(bad, "extra"), to: "bad\(index).h5")
      try bench.succeed("convert", "bad\(index).h5", "kept\(index).strata")
      let fault = try bench.fail(
        "convert", "bad\(index).h5", "x.strata", "--reject-nonfinite", code: "nonFinite")
      #expect(fault.object["tensor"] as? String == "extra")
      #expect(fault.line.hasPrefix("error: bad\(index).h5: extra: "))
      #expect(fault.line.contains("2"))
    }
    try bench.write(.stack(prefix: "rnn."), to: "good.h5")
    try bench.succeed("convert", "good.h5", "good.strata", "--reject-nonfinite")
    // A value that only overflows on its way into half is refused as well.
    let large = Tensor([1e6] as [Float], shape: [1])
    try bench.write(Checkpoint.stack(prefix: "rnn.").adding(large, "large"), to: "large.h5")
    try bench.fail(
      "convert", "large.h5", "x.strata", "--reject-nonfinite", "--dtype", "F16", code: "nonFinite")
  }

  // MARK: Formats

  @Test func formatsByName() throws {
    try bench.take("lstm-state")
    // Content counts, not the extension.
    try bench.succeed("convert", "model.h5", "odd.h5.bak", "--to", "strata")
    let report = try bench.json(
      "convert", "odd.h5.bak", "o.bin", "--to", "hdf5", "--from", "strata")
    #expect(report["from"] as? String == "strata")
    #expect(report["to"] as? String == "hdf5")
    #expect(try bench.directory.read("o.bin").starts(with: [0x89, 0x48, 0x44, 0x46]))
    try bench.succeed("convert", "model.h5", "named.strata", "--to", "hdf5")
    #expect(try bench.directory.read("named.strata").starts(with: [0x89, 0x48, 0x44, 0x46]))
    #expect(try bench.json("inspect", "named.strata")["format"] as? String == "hdf5")

    try bench.fail("convert", "model.h5", "x.strata", "--from", "strata", code: "badMagic")
    try bench.fail("convert", "model.h5", "x.strata", "--from", "zip", code: "usage", status: 64)
    try bench.fail("convert", "model.h5", "x.strata", "--to", "zip", code: "usage", status: 64)
    let fault = try bench.fail("convert", "model.h5", "x.zip", code: "usage", status: 64)
    #expect(fault.line.contains("--to"))
  }

  // MARK: Report

  @Test func reportKeys() throws {
    try bench.take("wrapped-module")
    let report = try bench.json("convert", "model.h5", "o.strata")
    #expect(
      Set(report.keys) == [
        "input", "output", "from", "to", "key", "modules", "taken", "renamed", "folded", "unfolded",
        "assumed", "missing", "unexpected", "nearest", "mismatched", "left_over", "ignored",
        "dropped", "unmatched", "disguised", "told", "overflowed", "notes",
      ])
    #expect(report["input"] as? String == "model.h5")
    #expect(report["output"] as? String == "o.strata")
    #expect((report["taken"] as? [String])?.count == 6)
    for key in [
      "folded", "unfolded", "assumed", "missing", "unexpected", "mismatched", "left_over",
      "ignored", "dropped", "unmatched", "disguised", "told", "overflowed", "notes",
    ] {
      #expect((report[key] as? [Any])?.isEmpty == true, "\(key)")
    }
  }

  /// Left-overs go along, are told, and make the runtime refuse.
  @Test func leftOvers() throws {
    let checkpoint = Checkpoint.stack(prefix: "rnn.")
      .adding(Tensor([Float](repeating: 1, count: 24), shape: [2, 3, 4]), "conv.weight")
      .adding(Tensor([17] as [Int64], shape: [1]), "num_batches_tracked")
    try bench.write(checkpoint, to: "a.h5")
    let extra = ["conv.weight", "num_batches_tracked"]
    #expect(try bench.json("convert", "a.h5", "o.strata")["left_over"] as? [String] == extra)
    let words = try bench.succeed("convert", "a.h5", "p.strata")
    #expect(
      words.output.contains("  left over, carried along: conv.weight, num_batches_tracked\n"))
    #expect(try bench.read("o.strata").stateDict == checkpoint.stateDict)

    let input = Checkpoint(stateDict: [
      "input": Tensor([Float](repeating: 1, count: 6), shape: [2, 3])
    ])
    try bench.write(input, to: "input.h5")
    let refused = try bench.fail("bench", "o.strata", code: "parameterUnexpected")
    for name in extra { #expect(refused.line.contains(name)) }
    // To verify the recurrent module alone they do not matter.
    try bench.fail("verify", "o.strata", "input.h5", code: "goldenMismatch")
    let fault = try bench.fail(
      "run", "o.strata", "--input", "input.h5", "--output", "r.h5", code: "parameterUnexpected")
    for name in extra { #expect(fault.line.contains(name)) }
    // Left out, the rest runs.
    try bench.succeed("convert", "o.strata", "q.strata", "--include", "^rnn")
    try bench.succeed("run", "q.strata", "--input", "input.h5", "--output", "r.h5")
  }

  /// A file without any recurrent network converts all the same.
  @Test func noNetwork() throws {
    let checkpoint = Checkpoint(stateDict: ["a.weight": Tensor([1, 2] as [Float], shape: [1, 2])])
    try bench.write(checkpoint, to: "a.h5")
    let words = try bench.succeed("convert", "a.h5", "o.strata")
    #expect(words.output.contains("no recurrent module was recognised"))
    #expect(try bench.read("o.strata").stateDict == checkpoint.stateDict)
    #expect(try bench.read("o.strata").modelDescription == nil)
  }
}

extension [UInt8] {
  /// Whether the bytes occur one behind the other.
  fileprivate func contains(_ pattern: [UInt8]) -> Bool {
    Data(self).range(of: Data(pattern)) != nil
  }
}
