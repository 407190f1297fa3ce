import Checkpoints
import TestSupport
import Testing

@testable import RecurrentNetworks

/// Heads in forms that only PyTorch makes plain, by the names that its state dicts have.
@Suite struct DisguiseTests {
  private func mapping(
    _ others: KeyValuePairs<String, Shape>, _ options: ModelOptions = ModelOptions()
  ) throws -> ParameterMapping {
    var dict = StateDict()
    for (name, shape) in try RecurrentConfiguration(.lstm, 3, 5).parameters(ofModule: "0") {
      try dict.append(.zeros(shape), named: name.description)
    }
    for (name, shape) in others { try dict.append(.zeros(shape), named: name) }
    return try ParameterMapping(of: Checkpoint(stateDict: dict).contents, options: options)
  }

  /// Names of torch.nn.utils.spectral_norm, parametrizations.spectral_norm, prune and
  /// parametrizations.orthogonal on a linear layer.
  static let heads: [(way: String, tensors: KeyValuePairs<String, Shape>)] = [
    (
      "torch.nn.utils.remove_spectral_norm",
      ["1.bias": [2], "1.weight_orig": [2, 5], "1.weight_u": [2], "1.weight_v": [5]]
    ),
    (
      "torch.nn.utils.parametrize.remove_parametrizations",
      [
        "1.bias": [2], "1.parametrizations.weight.original": [2, 5],
        "1.parametrizations.weight.0._u": [2], "1.parametrizations.weight.0._v": [5],
      ]
    ),
    (
      "torch.nn.utils.prune.remove",
      ["1.bias": [2], "1.weight_orig": [2, 5], "1.weight_mask": [2, 5]]
    ),
    (
      "torch.nn.utils.parametrize.remove_parametrizations",
      [
        "1.bias": [2], "1.parametrizations.weight.original": [2, 5],
        "1.parametrizations.weight.0.base": [2, 5],
      ]
    ),
  ]

  @Test("A head that is not plain is told, with the way out", arguments: heads)
  func told(way: String, tensors: KeyValuePairs<String, Shape>) throws {
    let found = try mapping(tensors)
    #expect(found.isComplete && found.leftOver.count == tensors.count)
    #expect(found.disguised.map(\.name) == ["1.weight"])
    #expect(found.disguised[0].reason.contains("\(way)(module, name)"), "\(found.disguised)")
    // Named by the user it is an error that says so, and the strict load says so.
    var options = ModelOptions()
    options.head = "1"
    let error = expectFault(.parameterMissing) { _ = try mapping(tensors, options) }
    #expect(error?.reason.contains(way) == true)
    let refused = expectFault(.parameterUnexpected) {
      _ = try ModelBlueprint(found.contents)
    }
    #expect(refused?.reason.contains(way) == true)
  }

  @Test("Buffers that are only called alike are none")
  func otherNames() throws {
    #expect(
      try mapping([
        "attention_mask": [4, 4], "pos_bias_u": [2], "pos_bias_v": [2], "x_orig": [3],
        "audio_raw": [3],
        "half_g": [1],
      ]).disguised.isEmpty)
  }

  @Test("Weight norms that are not to be folded are told to be so alone")
  func unfolded() throws {
    var options = ModelOptions()
    options.fold = .none
    let found = try mapping(
      ["1.bias": [2], "1.weight_g": [2, 1], "1.weight_v": [2, 5]], options)
    #expect(found.unfolded.map(\.name) == ["1.weight"])
    #expect(found.disguised.isEmpty)
  }
}
