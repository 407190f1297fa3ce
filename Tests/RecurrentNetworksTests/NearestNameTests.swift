import Checkpoints
import RecurrentNetworks
import TestSupport
import Testing

/// The parameter that an unexpected name is most like.
@Suite struct NearestNameTests {
  private func nearest(_ extra: String...) throws -> [String: String] {
    var dict = StateDict()
    for (name, shape) in try RecurrentConfiguration(.gru, 3, 5, layers: 2)
      .parameters(ofModule: "rnn")
    {
      try dict.append(.zeros(shape), named: name.description)
    }
    for name in extra { try dict.append(.zeros([1]), named: name) }
    let mapping = try ParameterMapping(of: Checkpoint(stateDict: dict).contents)
    #expect(mapping.unexpected == extra)
    let fault = expectFault(.parameterUnexpected) { try mapping.requireComplete() }
    if let first = extra.first, let near = mapping.nearest[first] {
      #expect(fault?.reason.contains("the nearest is \(near)") == true, "\(fault?.reason ?? "")")
    }
    return mapping.nearest
  }

  @Test(arguments: [
    ("rnn.weight_ih_10", "rnn.weight_ih_l0"), ("rnn.weigth_hh_l1", "rnn.weight_hh_l1"),
    ("rnn.bias_ih_l0_reversed", "rnn.bias_ih_l0"), ("rnn.Weight_hh_l0", "rnn.weight_hh_l0"),
    ("rnn.weight_ih_l0_", "rnn.weight_ih_l0"),
  ])
  func misspelt(name: String, meant: String) throws {
    #expect(try nearest(name) == [name: meant])
  }

  @Test("A tie goes to the first in PyTorch's order")
  func tie() throws {
    #expect(try nearest("rnn.weight_ih_l9") == ["rnn.weight_ih_l9": "rnn.weight_ih_l0"])
  }

  @Test("What is like nothing has no nearest name")
  func farAway() throws {
    #expect(try nearest("rnn.extra", "rnn.num_batches_tracked") == [:])
  }

  @Test("Thousands of long names take no time")
  func many() throws {
    var dict = StateDict()
    for (name, shape) in try RecurrentConfiguration(.rnn, 3, 5, layers: 400)
      .parameters(ofModule: "rnn")
    {
      try dict.append(.zeros(shape), named: name.description)
    }
    for index in 0..<4000 {
      try dict.append(.zeros([1]), named: "rnn." + String(repeating: "x", count: 200) + "\(index)")
    }
    let contents = Checkpoint(stateDict: dict).contents
    let time = try processorTime { _ = try ParameterMapping(of: contents) }
    #expect(time < .seconds(30) * Sanitizer.slowness)
  }
}
