import Checkpoints
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

/// Options of `run` and `bench`, and inputs that do not fit.
@Suite struct RunOptionTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  /// The results of a run.
  private func results(
    _ model: String, _ options: String..., input: String = "golden.h5"
  ) throws -> StateDict {
    let result = try Tool.run(
      ["run", model, "--input", input, "--output", "r.strata", "--force"] + options,
      in: bench.directory)
    try #require(result.status == 0 && result.errors == "", "\(result)")
    return try bench.read("r.strata").stateDict
  }

  // MARK: --all-layers

  /// Insides come with the option alone, and change nothing else.
  ///
  /// Their values are in RoadTests.
  @Test(arguments: cases.filter { $0.hasPrefix("intermediates-") })
  func allLayers(fixture: String) throws {
    try bench.take(fixture)
    let golden = try bench.read("golden.h5").stateDict
    let plain = try results("model.h5")
    let all = try results("model.h5", "--all-layers")
    #expect(!plain.names.contains(where: Golden.isInside))
    let insides = golden.names.filter { Golden.isInside($0) && !$0.hasSuffix("_f64") }
    #expect(all.names == plain.names + insides)
    #expect(insides.contains { $0.hasPrefix("gates_l") } == !fixture.hasSuffix("rnn"))
    for (name, tensor) in plain { #expect(all[name] == tensor, "\(name)") }
    for name in insides { #expect(all[name]?.shape == golden[name]?.shape, "\(name)") }
  }

  @Test func allLayersOfAChain() throws {
    try bench.take("stacked-kinds")
    let all = try results("model.h5", "--all-layers")
    #expect(
      all.names == [
        "output", "gru.h_n", "lstm.h_n", "lstm.c_n", "y", "gru.output_l0", "gru.gates_l0",
        "lstm.output_l0", "lstm.c_l0", "lstm.gates_l0", "lstm.output_l1", "lstm.c_l1",
        "lstm.gates_l1",
      ])
    #expect(all["lstm.output_l1"] == all["output"])
    let golden = try bench.read("golden.h5").stateDict
    for (a, b) in zip(
      try #require(all["gru.output_l0"]).floats(), try #require(golden["gru.output"]).floats())
    {
      #expect(abs(a - b) <= 1e-6)
    }
  }

  // MARK: --init

  @Test func initialState() throws {
    try bench.take("gru-one-lane")
    var golden = try bench.read("golden.h5")
    golden.stateDict["h_0"] = nil
    try bench.write(golden, to: "input.h5")
    func run(_ options: String...) throws -> StateDict {
      let result = try Tool.run(
        ["run", "model.h5", "--input", "input.h5", "--output", "r.strata", "--force"] + options,
        in: bench.directory)
      try #require(result.status == 0, "\(result)")
      return try bench.read("r.strata").stateDict
    }
    let zero = try run()
    #expect(try run("--init", "zero") == zero)
    #expect(try run("--init", "normal:0:7") == zero)
    let drawn = try run("--init", "normal:0.5:7")
    #expect(drawn != zero)
    // The seed alone decides.
    #expect(try run("--init", "normal:0.5:7") == drawn)
    #expect(try run("--init", "normal:0.5:7", "--chunk", "1", "--threads", "2") == drawn)
    #expect(try run("--init", "normal:0.5:8") != drawn)
    #expect(try run("--init", "normal:0.25:7") != drawn)
    let reference = try run("--init", "normal:0.5:7", "--precision", "reference")
    for (name, tensor) in drawn {
      let exact = try #require(reference[name]).doubles()
      for (a, b) in zip(try tensor.doubles(), exact) { #expect(abs(a - b) < 1e-5) }
    }
    // A state in the input wins.
    try bench.take("lstm-state", as: "lstm")
    let given = try results("lstm.h5", input: "lstm-golden.h5")
    #expect(
      try results("lstm.h5", "--init", "normal:1:1", input: "lstm-golden.h5") == given)
  }

  @Test(arguments: [
    "one", "Zero", "normal", "normal:1", "normal:x:1", "normal:1:x", "normal:-1:1",
    "normal:nan:1", "normal:inf:1", "normal:1:-1", "normal:1:1:1", "normal:1:18446744073709551616",
    "uniform:1:1",
  ])
  func badInitialState(text: String) throws {
    let fault = try bench.fail(
      "run", "model.h5", "--input", "golden.h5", "--output", "r.h5", "--init=\(text)",
      code: "usage", status: 64)
    #expect(fault.line.contains("normal:SIGMA:SEED"), "\(fault.line)")
  }

  // MARK: --module

  @Test func module() throws {
    try bench.take("encoder-decoder")
    for path in ["encoder.rnn", "encoder", "decoder.rnn"] {
      let report = try bench.json("bench", "model.h5", "--module", path)
      #expect(report["steps"] as? Int == 1)
    }
    for arguments in [
      ["bench", "model.h5"],
      ["run", "model.h5", "--input", "golden.h5", "--output", "r.h5"],
    ] {
      let result = try Tool.run(arguments + ["--json"], in: bench.directory)
      #expect(result.status == 2, "\(result)")
      #expect(try result.code == "ambiguousModel", "\(result)")
      #expect(result.errors.contains("--module"), "\(result)")
    }
    for path in ["nothing", "encod", "generator"] {
      for arguments in [
        ["bench", "model.h5"], ["run", "model.h5", "--input", "golden.h5", "--output", "r.h5"],
      ] {
        let result = try Tool.run(
          arguments + ["--module", path, "--json"], in: bench.directory)
        #expect(result.status == 2, "\(result)")
        #expect(try result.code == "parameterMissing", "\(result)")
      }
    }
    // Taken out of the file it is the same model.
    try bench.succeed("convert", "model.h5", "encoder.strata", "--prefix", "encoder.rnn.")
    let golden = try bench.read("golden.h5").stateDict
    try bench.write(
      Checkpoint(stateDict: Golden.part(of: golden, "encoder.rnn")), to: "input.h5")
    let part = try results("model.h5", "--module", "encoder.rnn", input: "input.h5")
    #expect(try results("encoder.strata", input: "input.h5") == part)
  }

  // MARK: Inputs that do not fit

  /// Runs and verifies with a changed golden; both must refuse it.
  private func refuse(
    _ name: String, code: String = "goldenMismatch", _ change: (inout StateDict) throws -> Void
  ) throws {
    var golden = try bench.read("golden.h5")
    try change(&golden.stateDict)
    let file = "\(UUID().uuidString).h5"
    try bench.write(golden, to: file)
    for fault in [
      try bench.fail("run", "model.h5", "--input", file, "--output", "r.h5", code: code),
      try bench.fail(
        "run", "model.h5", "--input", file, "--output", "r.h5", "--precision", "reference",
        code: code),
      try bench.fail("verify", "model.h5", file, code: code),
      try bench.fail("convert", "model.h5", "r.strata", "--golden", file, code: code),
    ] {
      #expect(fault.line.hasPrefix("error: \(file): \(name): "), "\(fault.line)")
      #expect(fault.object["tensor"] as? String == name, "\(fault.object)")
    }
  }

  @Test func lengths() throws {
    try bench.take("lengths-lstm-uni")
    let golden = try bench.read("golden.h5").stateDict
    let (steps, batch) = (golden["input"]?.shape[0] ?? 0, golden["input"]?.shape[1] ?? 0)
    let good = try #require(golden["lengths"]).integers()
    #expect(good.count == batch && good.max() == Int64(steps))
    for wrong in [0, -1, Int64(steps) + 1, .max, .min] as [Int64] {
      var lengths = good.map { Int64($0) }
      lengths[batch - 1] = wrong
      try refuse("lengths") { $0["lengths"] = Tensor(lengths, shape: [batch]) }
    }
    let one = [Int64](repeating: 1, count: batch + 1)
    try refuse("lengths") { $0["lengths"] = Tensor(one, shape: [batch + 1]) }
    try refuse("lengths") {
      $0["lengths"] = Tensor(Array(one.prefix(batch - 1)), shape: [batch - 1])
    }
    try refuse("lengths") { $0["lengths"] = Tensor(Array(one.prefix(batch)), shape: [1, batch]) }
    try refuse("lengths") {
      $0["lengths"] = Tensor([Float](repeating: 1, count: batch), shape: [batch])
    }
  }

  @Test(arguments: ["tokens-lstm", "tokens-unbatched"])
  func tokens(fixture: String) throws {
    try bench.take(fixture)
    let input = try #require(try bench.read("golden.h5").stateDict["input"])
    let vocabulary = try #require(
      bench.read("model.h5").stateDict.first { $0.name.hasPrefix("embed") }?.tensor.shape[0])
    for wrong in [-1, Int64(vocabulary), .max, .min] {
      var tokens = try input.integers().map { Int64($0) }
      tokens[tokens.count - 1] = wrong
      try refuse(code: "tokenOutOfRange") { $0["input"] = Tensor(tokens, shape: input.shape) }
    }
    // Tokens are integers.
    let floats = [Float](repeating: 0, count: input.shape.elementCount)
    try refuse("input") { $0["input"] = Tensor(floats, shape: input.shape) }
  }

  private func refuse(code: String, _ change: (inout StateDict) throws -> Void) throws {
    var golden = try bench.read("golden.h5")
    try change(&golden.stateDict)
    let file = "\(UUID().uuidString).h5"
    try bench.write(golden, to: file)
    for fault in [
      try bench.fail("run", "model.h5", "--input", file, "--output", "r.h5", code: code),
      try bench.fail(
        "run", "model.h5", "--input", file, "--output", "r.h5", "--precision", "reference",
        code: code),
      try bench.fail("verify", "model.h5", file, code: code),
    ] {
      #expect(fault.line.hasPrefix("error: \(file): "), "\(fault.line)")
      #expect(fault.object["file"] as? String == file, "\(fault.object)")
    }
  }

  /// Floats for a model that takes floats, and states of this model.
  @Test func statesAndFeatures() throws {
    try bench.take("lstm-state")
    try refuse("input") { $0["input"] = Tensor([Int64](repeating: 0, count: 4), shape: [2, 2]) }
    try refuse("input") { $0["input"] = Tensor([Float](repeating: 0, count: 0), shape: [0, 2, 3]) }
    try refuse("c_0") { $0["c_0"] = Tensor([Float](repeating: 0, count: 5), shape: [5]) }
    let shape = try #require(try bench.read("golden.h5").stateDict["h_0"]).shape
    try refuse("h_0") {
      $0["h_0"] = Tensor([Int64](repeating: 0, count: shape.elementCount), shape: shape)
    }
    try bench.take("gru-state", as: "gru")
    var golden = try bench.read("gru-golden.h5")
    golden.stateDict["c_0"] = golden.stateDict["h_0"]
    try bench.write(golden, to: "c.h5")
    let fault = try bench.fail(
      "run", "gru.h5", "--input", "c.h5", "--output", "r.h5", code: "goldenMismatch")
    #expect(fault.object["tensor"] as? String == "c_0")
  }
}
