import Checkpoints
import RecurrentNetworks
import TestSupport
import Testing

@Suite struct LengthsTests {
  // MARK: Networks

  /// Random models: kinds, directions, projection, layers, layout and heads.
  static let networks: [Network] = {
    var generator = SeededGenerator(seed: 2026)
    var networks: [Network] = []
    let kinds: [(RecurrentConfiguration.Kind, projected: Bool)] = [
      (.rnn, false), (.lstm, false), (.lstm, true), (.gru, false),
    ]
    let inputs: [HeadConfiguration.Input?] = [nil, .all, .last, .finalState]
    for (kind, isProjected) in kinds {
      for isBidirectional in [false, true] {
        for isBatchFirst in [false, true] {
          for place in inputs {
            let hidden = Int.random(in: 2...19, using: &generator)
            let stack = RecurrentConfiguration(
              kind, Int.random(in: 1...5, using: &generator), hidden,
              layers: Int.random(in: 1...3, using: &generator), bidirectional: isBidirectional,
              projection: isProjected ? Int.random(in: 1..<hidden, using: &generator) : 0,
              bias: Bool.random(using: &generator), relu: Bool.random(using: &generator),
              batchFirst: isBatchFirst)
            let activation = HeadConfiguration.Activation.allCases.randomElement(using: &generator)
            var network = Network(
              stack,
              head: place.map {
                HeadConfiguration(stack.outputSize, 3, activation ?? .none, on: $0)
              })
            network.seed = generator.next()
            networks.append(network)
          }
        }
      }
    }
    // Stacks of different kinds.
    networks.append(
      Network(
        RecurrentConfiguration(.gru, 3, 5, bidirectional: true),
        RecurrentConfiguration(.lstm, 10, 4, layers: 2),
        RecurrentConfiguration(.rnn, 4, 6, bidirectional: true),
        head: HeadConfiguration(12, 2, .softmax, on: .last)))
    return networks
  }()

  /// A batch with an input and a state, and what it gives.
  private struct Batch {
    static let steps = 37
    static let size = 6
    let input: [Float]
    let lengths: [Int]
    let states: [RecurrentState]

    init(_ model: SequenceModel, seed: UInt64) {
      var generator = SeededGenerator(seed: seed)
      input = generator.floats(Self.steps * Self.size * model.blueprint.stackInputSize, 2)
      // Two neighbours of one length, the shortest, the longest, and no order.
      lengths =
        ([1, Self.steps, 5, 5]
        + (0..<(Self.size - 4)).map { _ in Int.random(in: 1...Self.steps, using: &generator) })
        .shuffled(using: &generator)
      states = model.makeSession(batchSize: Self.size).state.map { zero in
        var state = zero
        state.hidden = generator.floats(zero.hidden.count)
        state.cell = generator.floats(zero.cell.count)
        return state
      }
    }

    /// The values of one sequence's first steps, for a batch of one.
    func lane(_ lane: Int, of model: SequenceModel) -> [Float] {
      (0..<lengths[lane]).flatMap {
        Self.row(input, $0, lane, model.blueprint.stackInputSize, model.blueprint.isBatchFirst)
      }
    }

    static func row(
      _ values: [Float], _ step: Int, _ lane: Int, _ width: Int, _ isBatchFirst: Bool
    ) -> ArraySlice<Float> {
      let row = isBatchFirst ? lane * steps + step : step * size + lane
      return values[(row * width)..<((row + 1) * width)]
    }
  }

  // MARK: Each sequence as if it were alone

  @Test("A batch with lengths gives each sequence what it gives alone", arguments: networks)
  func alone(network: Network) throws {
    let model = try network.model()
    let batch = Batch(model, seed: network.seed ^ 1)
    let session = model.makeSession(batchSize: Batch.size)
    session.state = batch.states
    let all = try session.record(.features(batch.input), lengths: batch.lengths)
    let width = model.blueprint.recurrentOutputSize
    let headWidth = network.head?.outputSize ?? 0
    var padding: Set<[UInt32]> = []
    for lane in 0..<Batch.size {
      let length = batch.lengths[lane]
      let single = model.makeSession()
      single.state = batch.states.map { $0.lane(lane) }
      let alone = try single.record(.features(batch.lane(lane, of: model)))
      #expect(session[lane: lane] == single.state, "lane \(lane) of \(batch.lengths)")
      for step in 0..<Batch.steps {
        let row = Batch.row(all.output, step, lane, width, network.isBatchFirst)
        let expected =
          step < length
          ? Array(alone.output[(step * width)..<((step + 1) * width)])
          : [Float](repeating: 0, count: width)
        // Bit patterns: padding is +0.
        #expect(Array(row).bits == expected.bits, "step \(step), lane \(lane)")
      }
      guard let head = all.head, let aloneHead = alone.head else { continue }
      guard network.head?.input == .all else {
        #expect(
          Array(head[(lane * headWidth)..<((lane + 1) * headWidth)]).bits == aloneHead.bits,
          "head of lane \(lane)")
        continue
      }
      for step in 0..<Batch.steps {
        let row = Array(Batch.row(head, step, lane, headWidth, network.isBatchFirst)).bits
        if step < length {
          #expect(row == Array(aloneHead[(step * headWidth)..<((step + 1) * headWidth)]).bits)
        } else {
          padding.insert(row)
        }
      }
    }
    // Behind every end the head sees zeros.
    guard let head = network.head, head.input == .all else { return }
    #expect(padding.count == 1)
    let bias = try #require(try network.stateDict()["fc.bias"]).floats()
    if head.activation == .none { #expect(padding == [bias.bits]) }
    if head.activation == .relu { #expect(padding == [bias.map { max($0, 0) }.bits]) }
  }

  @Test("Threads and kernels do not change what a batch with lengths gives", arguments: networks)
  func threadsAndKernels(network: Network) throws {
    let model = try network.model()
    let batch = Batch(model, seed: network.seed ^ 2)
    func recording(
      _ threads: Int, _ instructionSet: InstructionSet
    ) throws -> (Recording, [RecurrentState]) {
      let session = model.makeSession(
        batchSize: Batch.size, threads: threads, instructionSet: instructionSet)
      session.state = batch.states
      let recording = try session.record(
        .features(batch.input), lengths: batch.lengths, insideLayers: true)
      // The same from `run`.
      session.state = batch.states
      var output = [Float](
        repeating: .nan, count: (recording.head ?? recording.output).count)
      try session.run(batch.input, lengths: batch.lengths, into: &output)
      #expect(output.bits == (recording.head ?? recording.output).bits)
      return (recording, session.state)
    }
    let expected = try recording(1, .fastest)
    for instructionSet in InstructionSet.available {
      for threads in [1, 2, 4] {
        let found = try recording(threads, instructionSet)
        #expect(found == expected, "\(instructionSet), \(threads) threads")
      }
    }
  }

  @Test("Lengths that are all the whole input are as none", arguments: networks)
  func wholeLengths(network: Network) throws {
    let model = try network.model()
    let batch = Batch(model, seed: network.seed ^ 3)
    let session = model.makeSession(batchSize: Batch.size)
    let expected = try session.record(.features(batch.input))
    let state = session.state
    session.reset()
    let lengths = [Int](repeating: Batch.steps, count: Batch.size)
    #expect(try session.record(.features(batch.input), lengths: lengths) == expected)
    #expect(session.state == state)
  }

  @Test("What stands behind a sequence's end does not matter", arguments: networks)
  func garbage(network: Network) throws {
    let model = try network.model()
    let batch = Batch(model, seed: network.seed ^ 4)
    let width = model.blueprint.stackInputSize
    var spoiled = batch.input
    for lane in 0..<Batch.size {
      for step in batch.lengths[lane]..<Batch.steps {
        let row = network.isBatchFirst ? lane * Batch.steps + step : step * Batch.size + lane
        for column in 0..<width { spoiled[row * width + column] = .nan }
      }
    }
    let session = model.makeSession(batchSize: Batch.size)
    let expected = try session.record(
      .features(batch.input), lengths: batch.lengths, insideLayers: true)
    session.reset()
    #expect(
      try session.record(.features(spoiled), lengths: batch.lengths, insideLayers: true)
        == expected)
  }

  @Test("The float32 runtime and the reference agree on lengths", arguments: networks)
  func reference(network: Network) throws {
    var inputs = try network.inputs(steps: 11, batch: 4, seed: network.seed)
    inputs["lengths"] = Tensor([3, 11, 1, 7] as [Int64], shape: [4])
    let results = try network.model().evaluate(inputs, allLayers: true)
    let reference = try ReferenceModel(network.blueprint()).evaluate(inputs, allLayers: true)
    #expect(Set(results.map(\.name)) == Set(reference.map(\.name)))
    let verification = try Verification(
      results, against: reference, tolerance: .elementwise(absolute: 1e-5, relative: 1e-5))
    #expect(verification.isPassed, "\(verification.rows.filter { !$0.isPassed })")
  }

  // MARK: Faults

  private let plain = Network(RecurrentConfiguration(.lstm, 3, 5, layers: 2))

  @Test(
    "Lengths that do not fit are refused, and nothing has run",
    arguments: [
      [0, 4], [4, 0], [5, 4], [4, 5], [-1, 4], [4], [4, 4, 4], [], [Int.max, 1], [Int.min, 1],
    ])
  func wrongLengths(lengths: [Int]) throws {
    let session = try plain.model().makeSession(batchSize: 2)
    let input = [Float](repeating: 1, count: 4 * 2 * 3)
    var output = [Float](repeating: 7, count: 4 * 2 * 5)
    let error = expectFault(.shapeMismatch) {
      try session.run(input, lengths: lengths, into: &output)
    }
    #expect(error?.tensor == "lengths")
    expectFault(.shapeMismatch) { _ = try session.record(.features(input), lengths: lengths) }
    #expect(output.allSatisfy { $0 == 7 })
    #expect(session.state[0].hidden.allSatisfy { $0 == 0 })
    // The session is still at its beginning.
    try session.run(input, lengths: [2, 4], into: &output)
  }

  @Test("A call with lengths is the only one, until a reset")
  func notStreamable() throws {
    let session = try plain.model().makeSession(batchSize: 2)
    let input = [Float](repeating: 1, count: 4 * 2 * 3)
    var output = [Float](repeating: 0, count: 4 * 2 * 5)
    try session.run(input, lengths: [2, 4], into: &output)
    let (expected, state) = (output, session.state)
    expectFault(.notStreamable) { try session.run(input, lengths: [2, 4], into: &output) }
    expectFault(.notStreamable) { try session.run(input, into: &output) }
    #expect(session.state == state)
    #expect(output == expected)
    // Neither a copy nor a saved state forgets it.
    expectFault(.notStreamable) { try session.copy().run(input, into: &output) }
    let other = session.model.makeSession(batchSize: 2)
    try other.restore(from: session.savedState())
    expectFault(.notStreamable) { try other.run(input, into: &output) }
    // One lane's reset does not begin the others anew.
    session.reset(lane: 0)
    expectFault(.notStreamable) { try session.run(input, into: &output) }

    session.reset()
    try session.run(input, lengths: [2, 4], into: &output)
    #expect(output.bits == expected.bits)
    // A state that is set begins sequences.
    session.state = state
    try session.run(input, lengths: [2, 4], into: &output)
    #expect(output.bits != expected.bits)
  }

  @Test("Lengths do not go on from an earlier call")
  func lengthsAfterSteps() throws {
    let session = try plain.model().makeSession(batchSize: 2)
    let input = [Float](repeating: 1, count: 4 * 2 * 3)
    var output = [Float](repeating: 0, count: 4 * 2 * 5)
    try session.run(input, into: &output)
    expectFault(.notStreamable) { try session.run(input, lengths: [2, 4], into: &output) }
    // Steps without lengths do.
    try session.run(input, into: &output)
    session.reset()
    try session.run(input, lengths: [2, 4], into: &output)
  }

  @Test("Longer sequences than before are no fault")
  func longer() throws {
    let session = try plain.model().makeSession(batchSize: 2)
    for steps in [3, 90, 33, 91] {
      var generator = SeededGenerator(seed: UInt64(steps))
      let input = generator.floats(steps * 2 * 3)
      session.reset()
      let found = try session.record(.features(input), lengths: [steps, 2], insideLayers: true)
      let fresh = session.model.makeSession(batchSize: 2)
      #expect(
        try fresh.record(.features(input), lengths: [steps, 2], insideLayers: true) == found)
    }
  }

  @Test("Lengths of a golden that do not fit are golden mismatches, in both runtimes")
  func goldenMismatches() throws {
    let model = try plain.model()
    let reference = try ReferenceModel(plain.blueprint())
    let good = try plain.inputs(steps: 4, batch: 2)
    let faults: [Tensor] = [
      Tensor([0, 4] as [Int64], shape: [2]), Tensor([4, 5] as [Int64], shape: [2]),
      Tensor([-1, 4] as [Int64], shape: [2]), Tensor([4] as [Int64], shape: [1]),
      Tensor([4, 4, 4] as [Int64], shape: [3]), Tensor([4, 4] as [Int64], shape: [1, 2]),
      Tensor([4, 4] as [Float], shape: [2]),
    ]
    for lengths in faults {
      var inputs = good
      inputs["lengths"] = lengths
      for evaluate in [
        { _ = try model.evaluate(inputs) }, { _ = try reference.evaluate(inputs) },
      ] {
        #expect(expectFault(.goldenMismatch, evaluate)?.tensor == "lengths")
      }
    }
    var inputs = good
    inputs["lengths"] = try Tensor([4, 2] as [Int64], shape: [2]).converted(to: .int32)
    #expect(try model.evaluate(inputs)["output"]?.shape == [4, 2, 5])
    expectFault(.notStreamable) { _ = try model.evaluate(inputs, chunk: 2) }
    // Without batch there are no lengths.
    inputs = ["input": .zeros([4, 3]), "lengths": Tensor([4] as [Int64], shape: [1])]
    #expect(expectFault(.goldenMismatch) { _ = try model.evaluate(inputs) }?.tensor == "lengths")
  }
}
