import Checkpoints
import RecurrentNetworks
import TestSupport
import Testing

/// What `verify` says of why a golden is not verified.
@Suite struct DiagnosisTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  /// Rewrites the model's tensors.
  private func change(
    _ file: String = "model.h5", to changed: String = "model.h5",
    _ body: (String, Tensor) throws -> Tensor
  ) throws {
    var checkpoint = try bench.read(file)
    for (name, tensor) in checkpoint.stateDict {
      checkpoint.stateDict[name] = try body(name, tensor)
    }
    checkpoint.moduleRecords = []
    try bench.write(checkpoint, to: changed)
  }

  /// Rows in the order in which `gates` names them.
  private func permuted(_ tensor: Tensor, _ own: String, _ gates: String) throws -> Tensor {
    let values = try tensor.floats()
    let block = values.count / gates.count
    let places = gates.compactMap { Array(own).firstIndex(of: $0) }
    return Tensor(
      places.flatMap { values[($0 * block)..<(($0 + 1) * block)] }, shape: tensor.shape)
  }

  private func diagnosis(
    _ model: String = "model.h5", _ golden: String = "golden.h5",
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> [String: Any] {
    let result = try bench.strata("verify", model, golden, "--json")
    #expect(result.status == 1, "\(result)", sourceLocation: sourceLocation)
    let report = try result.object()
    #expect(report["verified"] as? Bool == false, sourceLocation: sourceLocation)
    return try #require(report["diagnosis"] as? [String: Any], sourceLocation: sourceLocation)
  }

  @Test("ONNX's order of gates is named, and converting with it verifies")
  func gateOrder() throws {
    try bench.take("lstm-l3-bi-bias")
    try change { _, tensor in try permuted(tensor, "ifgo", "iofg") }
    let diagnosis = try diagnosis()
    #expect(diagnosis["conventions"] as? [String] == ["gate_order=iofg"])
    #expect(
      diagnosis["explanation"] as? String
        == "The LSTM gates are in ONNX order (i o f g). Convert with --set gate_order=iofg.")
    let place = try #require(diagnosis["first_divergence"] as? [String: Any])
    #expect(place["layer"] as? Int == 0)
    #expect(
      Set(place.keys) == [
        "module", "layer", "direction", "step", "gate", "sequence", "unit", "expected", "got",
        "error_before", "error_after", "pattern", "evidence",
      ])
    let words = try bench.strata("verify", "model.h5", "golden.h5")
    #expect(words.output.contains("\nfirst difference: "), "\(words)")
    #expect(words.output.contains("Convert with --set gate_order=iofg."))
    try bench.succeed(
      "convert", "model.h5", "model.strata", "--set", "gate_order=iofg", "--golden", "golden.h5")
    try bench.succeed("verify", "model.strata")
  }

  @Test("What can only be read transposed is no fault of the golden")
  func transposed() throws {
    try bench.take("gru-l1-uni-bias")
    try change { _, tensor in
      guard tensor.shape.rank == 2 else { return tensor }
      let (rows, columns) = (tensor.shape[0], tensor.shape[1])
      let values = try tensor.floats()
      return Tensor(
        (0..<columns).flatMap { column in (0..<rows).map { values[$0 * columns + column] } },
        shape: [columns, rows])
    }
    let diagnosis = try diagnosis()
    #expect(diagnosis["conventions"] as? [String] == ["transpose=true"])
    #expect(diagnosis["first_divergence"] as? [String: Any] == nil)
    #expect((diagnosis["obstacle"] as? String)?.contains("make no RNN, LSTM or GRU") == true)
  }

  @Test("Merged biases of a GRU are named, with what to export instead")
  func mergedBias() throws {
    try bench.take("gru-state")
    let biases = try bench.read("model.h5").stateDict
    try change { name, tensor in
      let values = try tensor.floats()
      if name.contains("bias_hh") {
        return Tensor(values.map { _ in Float(0) }, shape: tensor.shape)
      }
      guard name.contains("bias_ih"),
        let other = biases[name.replacing("bias_ih", with: "bias_hh")]
      else { return tensor }
      return Tensor(zip(values, try other.floats()).map { $0 + $1 }, shape: tensor.shape)
    }
    let diagnosis = try diagnosis()
    #expect(diagnosis["conventions"] as? [String] == ["bias=merged"])
    #expect((diagnosis["explanation"] as? String)?.contains("export both") == true)
    let refused = try bench.strata("convert", "model.h5", "x.strata", "--set", "bias=merged")
    #expect(refused.status == 2)
    #expect(refused.errors.contains("cannot be taken apart again"), "\(refused)")
  }

  @Test("Other weights are no convention, and what was tried is told")
  func otherWeights() throws {
    try bench.take("gru-l1-uni-bias")
    try change { name, tensor in
      name.contains("weight_hh")
        ? Tensor(try tensor.floats().map { $0 * 1.25 }, shape: tensor.shape) : tensor
    }
    let diagnosis = try diagnosis()
    #expect(diagnosis["conventions"] as? [String] == [])
    #expect((diagnosis["tried"] as? Int ?? 0) > 20)
    let explanation = try #require(diagnosis["explanation"] as? String)
    for text in ["None of", "gate order", "transposed matrices", "intermediates=True"] {
      #expect(explanation.contains(text), "\(explanation)")
    }
  }

  @Test("A golden with insides tells the gate and the step")
  func plantedFault() throws {
    try bench.take("intermediates-gru")
    var golden = try bench.read("golden.h5")
    let name = "gates_l1"
    let tensor = try #require(golden.stateDict[name])
    var values = try tensor.floats()
    let (batch, width) = (tensor.shape[1], tensor.shape[2])
    // Step 2 of sequence 1: the first unit of the update gate.
    values[(2 * batch + 1) * width + width / 3] += 0.25
    golden.stateDict[name] = Tensor(values, shape: tensor.shape)
    try bench.write(golden, to: "planted.h5")
    let diagnosis = try diagnosis("model.h5", "planted.h5")
    #expect(diagnosis["conventions"] as? [String] == [])
    let place = try #require(diagnosis["first_divergence"] as? [String: Any])
    #expect(place["layer"] as? Int == 1)
    #expect(place["direction"] as? String == "forward")
    #expect(place["step"] as? Int == 2)
    #expect(place["gate"] as? String == "z")
    #expect(place["sequence"] as? Int == 1)
    #expect(place["unit"] as? Int == 0)
    #expect(place["pattern"] as? String == "fault")
    #expect(place["evidence"] as? String == "layers")
    #expect((diagnosis["explanation"] as? String)?.contains("layer 1, step 2, update gate") == true)
  }

  @Test("A state that was not given shows at the first step and fades")
  func otherState() throws {
    try bench.take("gru-state")
    var golden = try bench.read("golden.h5")
    let state = try #require(golden.stateDict["h_0"])
    golden.stateDict["h_0"] = Tensor(try state.floats().map { $0 + 0.5 }, shape: state.shape)
    try bench.write(golden, to: "state.h5")
    let diagnosis = try diagnosis("model.h5", "state.h5")
    #expect(diagnosis["conventions"] as? [String] == [])
    let place = try #require(diagnosis["first_divergence"] as? [String: Any])
    #expect(place["step"] as? Int == 0)
  }

  @Test("Lengths that the golden lost show behind the ends of sequences")
  func lostLengths() throws {
    try bench.take("lengths-gru-uni")
    var golden = try bench.read("golden.h5")
    golden.stateDict["lengths"] = nil
    for name in ["h_n", "h_n_f64"] { golden.stateDict[name] = nil }
    try bench.write(golden, to: "lost.h5")
    let diagnosis = try diagnosis("model.h5", "lost.h5")
    let place = try #require(diagnosis["first_divergence"] as? [String: Any])
    #expect(place["pattern"] as? String == "lengths")
  }
}
