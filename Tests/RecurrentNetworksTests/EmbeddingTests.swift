import CAllocationCounter
import Checkpoints
import RecurrentNetworks
import TestSupport
import Testing

@Suite struct EmbeddingTests {
  static let networks: [Network] = [
    tokens(11, Network(RecurrentConfiguration(.lstm, 4, 5, layers: 2))),
    tokens(1, Network(RecurrentConfiguration(.gru, 3, 17))),
    tokens(300, Network(RecurrentConfiguration(.rnn, 1, 3, batchFirst: true))),
    tokens(7, Network(RecurrentConfiguration(.gru, 20, 3, layers: 2, bidirectional: true))),
    tokens(
      9,
      Network(
        RecurrentConfiguration(.lstm, 4, 6, bidirectional: true, projection: 2, batchFirst: true),
        head: HeadConfiguration(4, 3, .softmax, on: .last))),
    tokens(
      9,
      Network(
        RecurrentConfiguration(.gru, 33, 5), RecurrentConfiguration(.lstm, 5, 8),
        head: HeadConfiguration(8, 9))),
  ]

  private static func tokens(_ vocabulary: Int, _ network: Network) -> Network {
    var network = network
    network.vocabulary = vocabulary
    return network
  }

  /// Tokens, the first and the last of the vocabulary among them, and their rows of the table.
  private func input(
    _ network: Network, count: Int
  ) throws -> (tokens: [Int], features: [Float]) {
    var generator = SeededGenerator(seed: 40)
    let tokens =
      [0, network.vocabulary - 1]
      + (0..<(count - 2)).map { _ in Int.random(in: 0..<network.vocabulary, using: &generator) }
    let table = try #require(try network.stateDict()["emb.weight"]).floats()
    let width = network.stacks[0].inputSize
    return (tokens, tokens.flatMap { table[($0 * width)..<(($0 + 1) * width)] })
  }

  /// The network without its table, of the same weights otherwise.
  private func withoutTable(_ network: Network) -> Network {
    var network = network
    network.vocabulary = 0
    return network
  }

  @Test("Tokens give what their rows of the table give, bit for bit", arguments: networks, [1, 3])
  func rows(network: Network, batch: Int) throws {
    let (tokens, features) = try input(network, count: 40 * batch)
    let session = try network.model().makeSession(batchSize: batch)
    let plain = try withoutTable(network).model().makeSession(batchSize: batch)
    #expect(session.model.blueprint.embedding?.name == "emb")
    let expected = try plain.output(features)
    var output = [Float](repeating: .nan, count: expected.count)
    try session.run(tokens: tokens, into: &output)
    #expect(output.bits == expected.bits)
    #expect(session.state == plain.state)

    session.reset()
    plain.reset()
    #expect(
      try session.record(.tokens(tokens), insideLayers: true)
        == plain.record(.features(features), insideLayers: true))
    let lengths = (0..<batch).map { [40, 1, 33][$0] }
    session.reset()
    plain.reset()
    #expect(
      try session.record(.tokens(tokens), lengths: lengths, insideLayers: true)
        == plain.record(.features(features), lengths: lengths, insideLayers: true))
    #expect(session.state == plain.state)
  }

  @Test("Tokens in pieces and on threads give the same bits", arguments: networks)
  func pieces(network: Network) throws {
    let batch = network.isBatchFirst || network.isBidirectional ? 1 : 3
    let (tokens, _) = try input(network, count: 40 * batch)
    let model = try network.model()
    let whole = try model.makeSession(batchSize: batch).record(.tokens(tokens))
    let threaded = model.makeSession(batchSize: batch, threads: 3)
    #expect(try threaded.record(.tokens(tokens)) == whole)
    guard !network.isBidirectional else { return }
    let session = model.makeSession(batchSize: batch)
    var output: [Float] = []
    for (start, end) in [(0, 1), (1, 35), (35, 40)] {
      output += try session.record(.tokens(Array(tokens[(start * batch)..<(end * batch)]))).output
    }
    #expect(output.bits == whole.output.bits)
  }

  @Test(
    "A token that is none is refused with its position, and nothing has run",
    arguments: [-1, 11, .max, .min], [0, 5])
  func outOfRange(token: Int, position: Int) throws {
    let network = Self.networks[0]
    let session = try network.model().makeSession(batchSize: 2)
    var (tokens, _) = try input(network, count: 6)
    tokens[position] = token
    var output = [Float](repeating: 7, count: 30)
    for error in [
      expectFault(.tokenOutOfRange) { try session.run(tokens: tokens, into: &output) },
      expectFault(.tokenOutOfRange) { _ = try session.record(.tokens(tokens)) },
    ] {
      #expect(error?.reason.contains("token \(token) at position \(position)") == true)
      #expect(error?.reason.contains("11") == true)
    }
    #expect(output.allSatisfy { $0 == 7 })
    #expect(session.state == session.model.makeSession(batchSize: 2).state)
    // By name, in both runtimes.
    let inputs: StateDict = ["input": Tensor(tokens.map { Int64($0) }, shape: [3, 2])]
    let reference = try ReferenceModel(network.blueprint())
    for evaluate in [
      { _ = try session.model.evaluate(inputs) }, { _ = try reference.evaluate(inputs) },
    ] {
      let error = expectFault(.tokenOutOfRange, evaluate)
      #expect(error?.reason.contains("token \(token) at position \(position)") == true)
    }
  }

  @Test("Features for tokens, and tokens for features, are refused")
  func wrongKind() throws {
    let network = Self.networks[0]
    let session = try network.model().makeSession()
    let plain = try withoutTable(network).model().makeSession()
    var output = [Float](repeating: 7, count: 10)
    let features = [Float](repeating: 0, count: 8)
    expectFault(.shapeMismatch) { try session.run(features, into: &output) }
    expectFault(.shapeMismatch) { _ = try session.record(.features(features)) }
    expectFault(.shapeMismatch) { try plain.run(tokens: [0, 1], into: &output) }
    expectFault(.shapeMismatch) { _ = try plain.record(.tokens([0, 1])) }
    // Wrong counts.
    expectFault(.shapeMismatch) { try session.run(tokens: [], into: &output) }
    expectFault(.shapeMismatch) { try session.run(tokens: [0, 1, 2], into: &output) }
    let pair = try network.model().makeSession(batchSize: 2)
    expectFault(.shapeMismatch) { try pair.run(tokens: [0, 1, 2], into: &output) }
    #expect(output.allSatisfy { $0 == 7 })
    #expect(session.state == session.model.makeSession().state)
    try session.run(tokens: [0, 1], into: &output)
    // By name.
    let floats: StateDict = ["input": .zeros([3, 2, 4])]
    let integers: StateDict = ["input": Tensor([Int64](repeating: 0, count: 6), shape: [3, 2])]
    let bools: StateDict = ["input": try Tensor.zeros([3, 2]).converted(to: .bool)]
    for inputs in [floats, bools] {
      let error = expectFault(.goldenMismatch) { _ = try session.model.evaluate(inputs) }
      #expect(error?.tensor == "input")
    }
    expectFault(.goldenMismatch) { _ = try plain.model.evaluate(integers) }
  }

  @Test(
    "With one thread, a call with tokens allocates nothing",
    .enabled(if: strata_allocation_count() >= 0), arguments: networks)
  func allocatesNothing(network: Network) throws {
    let session = try network.model().makeSession(batchSize: 2)
    let (tokens, _) = try input(network, count: 80)
    var output = [Float](
      repeating: 0, count: session.model.outputShape(steps: 40, batchSize: 2).elementCount)
    try session.run(tokens: tokens, into: &output)
    for _ in 0..<10 {
      session.reset()
      let before = strata_allocation_count()
      try session.run(tokens: tokens, into: &output)
      #expect(strata_allocation_count() == before)
    }
  }

  @Test(
    "Both runtimes agree on tokens of every integer dtype",
    arguments: [DType.int64, .int32, .int16, .int8, .uint8])
  func dtypes(dtype: DType) throws {
    let network = Self.networks[0]
    let (tokens, _) = try input(network, count: 12)
    let wide = Tensor(tokens.map { Int64($0) }, shape: [6, 2])
    let inputs: StateDict = ["input": try wide.converted(to: dtype)]
    let results = try network.model().evaluate(inputs)
    #expect(try results == network.model().evaluate(["input": wide]))
    let reference = try ReferenceModel(network.blueprint()).evaluate(inputs)
    let verification = try Verification(
      results, against: reference, tolerance: .elementwise(absolute: 1e-6, relative: 1e-6))
    #expect(verification.isPassed)
  }
}
