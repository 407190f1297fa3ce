import CAllocationCounter
import CRecurrentKernels
import Checkpoints
import Dispatch
import RecurrentNetworks
import TestSupport
import Testing

#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

@Suite struct SessionTests {
  // MARK: Networks

  /// Models that take a sequence in pieces.
  static let streamable: [Network] = [
    Network(RecurrentConfiguration(.rnn, 3, 5)),
    Network(RecurrentConfiguration(.rnn, 3, 17, layers: 2, relu: true)),
    Network(RecurrentConfiguration(.lstm, 1, 1)),
    Network(RecurrentConfiguration(.lstm, 3, 20, layers: 3)),
    Network(RecurrentConfiguration(.lstm, 3, 18, layers: 2, projection: 7)),
    Network(RecurrentConfiguration(.gru, 3, 16, layers: 2, bias: false)),
    Network(RecurrentConfiguration(.gru, 2, 6, batchFirst: true)),
    Network(RecurrentConfiguration(.lstm, 2, 6, layers: 2, batchFirst: true)),
    Network(RecurrentConfiguration(.gru, 3, 20, layers: 2, reset: .before)),
    Network(RecurrentConfiguration(.gru, 80, 60, reset: .before, sigmoid: .hardKeras2)),
    Network(RecurrentConfiguration(.lstm, 3, 9, layers: 2, sigmoid: .hardTorch)),
    Network(
      RecurrentConfiguration(.gru, 3, 5), RecurrentConfiguration(.lstm, 5, 9, layers: 2),
      RecurrentConfiguration(.rnn, 9, 4)),
    Network(RecurrentConfiguration(.lstm, 3, 5), head: HeadConfiguration(5, 3, .softmax)),
    Network(RecurrentConfiguration(.gru, 3, 5), head: HeadConfiguration(5, 3, .tanh, on: .last)),
    Network(
      RecurrentConfiguration(.rnn, 3, 5, layers: 2), head: HeadConfiguration(5, 17, on: .finalState)
    ),
    Network(
      RecurrentConfiguration(.lstm, 3, 5, batchFirst: true), head: HeadConfiguration(5, 2, .sigmoid)
    ),
  ]

  /// Models that need the whole sequence.
  static let bidirectional: [Network] = [
    Network(RecurrentConfiguration(.rnn, 3, 5, layers: 2, bidirectional: true)),
    Network(
      RecurrentConfiguration(.lstm, 3, 18, layers: 2, bidirectional: true, projection: 5),
      head: HeadConfiguration(10, 3, on: .finalState)),
    Network(
      RecurrentConfiguration(.gru, 3, 6, bidirectional: true, batchFirst: true),
      head: HeadConfiguration(12, 2, .softmax)),
    Network(
      RecurrentConfiguration(.lstm, 3, 6), RecurrentConfiguration(.gru, 6, 4, bidirectional: true)),
    Network(
      RecurrentConfiguration(
        .gru, 3, 6, layers: 2, bidirectional: true, batchFirst: true, reset: .before)),
  ]

  static let all = streamable + bidirectional

  // MARK: Pieces and states

  @Test(
    "A sequence in pieces gives the bits of the whole one", arguments: streamable,
    [1, 3, 32, 33, 70])
  func pieces(network: Network, chunk: Int) throws {
    let model = try network.model()
    let inputs = try network.inputs(steps: 70, batch: 3)
    #expect(try model.evaluate(inputs, chunk: chunk) == model.evaluate(inputs))
  }

  @Test("The state carries over from call to call")
  func calls() throws {
    let network = Network(RecurrentConfiguration(.lstm, 3, 20, layers: 2))
    let model = try network.model()
    var generator = SeededGenerator(seed: 4)
    let input = generator.floats(50 * 2 * 3)
    let whole = model.makeSession(batchSize: 2)
    let expected = try whole.output(input)
    let session = model.makeSession(batchSize: 2)
    var output: [Float] = []
    var step = 0
    for steps in [1, 40, 2, 7] {
      output += try session.output(Array(input[(step * 6)..<((step + steps) * 6)]))
      step += steps
    }
    #expect(output.bits == expected.bits)
    #expect(session.state == whole.state)
    // Without the state it would be something else.
    session.reset()
    #expect(try session.output(Array(input[294...])).bits != Array(expected[1960...]).bits)
  }

  @Test("A state that is taken and given goes on where it was", arguments: streamable)
  func givenState(network: Network) throws {
    let model = try network.model()
    var generator = SeededGenerator(seed: 5)
    let count = 2 * network.stacks[0].inputSize
    let (first, second) = (generator.floats(3 * count), generator.floats(4 * count))
    let session = model.makeSession(batchSize: 2)
    _ = try session.output(first)
    let state = session.state
    let expected = try session.output(second)
    let after = session.state
    #expect(after != state)

    session.state = state
    #expect(session.state == state)
    #expect(try session.output(second).bits == expected.bits)
    let other = model.makeSession(batchSize: 2)
    other.state = state
    #expect(try other.output(second).bits == expected.bits)
    #expect(other.state == after)

    session.reset()
    #expect(session.state == model.makeSession(batchSize: 2).state)
    _ = try session.output(first)
    #expect(session.state == state)
  }

  @Test("A state of zeros is where a session begins")
  func zeroState() throws {
    let session = try Network(
      RecurrentConfiguration(.lstm, 3, 5, layers: 2, bidirectional: true, projection: 2)
    ).model().makeSession(batchSize: 3)
    #expect(session.state.count == 1)
    #expect(session.state[0].hidden == [Float](repeating: 0, count: 4 * 3 * 2))
    #expect(session.state[0].cell == [Float](repeating: 0, count: 4 * 3 * 5))
  }

  @Test("The parts of a state are where PyTorch has them")
  func stateLayout() throws {
    let network = Network(
      RecurrentConfiguration(.lstm, 3, 5, layers: 2, bidirectional: true, projection: 2))
    let session = try network.model().makeSession(batchSize: 3)
    var state = session.state[0]
    state.hidden = (0..<24).map { Float($0) }
    state.cell = (0..<60).map { Float($0) }
    #expect(state.hidden(layer: 0).elementsEqual((0..<6).map { Float($0) }))
    #expect(
      state.hidden(layer: 1, direction: .reverse).elementsEqual((18..<24).map { Float($0) }))
    #expect(state.cell(layer: 1).elementsEqual((30..<45).map { Float($0) }))
    session.state = [state]
    #expect(session.state == [state])
    #expect(state.hiddenSize == 2 && state.cellSize == 5 && state.batchSize == 3)
  }

  // MARK: Bidirectional models

  @Test("A bidirectional model does not go on from an earlier call", arguments: bidirectional)
  func notStreamable(network: Network) throws {
    let model = try network.model()
    var generator = SeededGenerator(seed: 6)
    let input = generator.floats(4 * 2 * 3)
    let session = model.makeSession(batchSize: 2)
    let expected = try session.output(input)
    let state = session.state
    expectFault(.notStreamable) { _ = try session.output(input) }
    #expect(session.state == state)
    session.reset()
    #expect(try session.output(input).bits == expected.bits)
    // A state that is set begins a sequence.
    session.state = state
    _ = try session.output(input)
    expectFault(.notStreamable) {
      _ = try model.evaluate(network.inputs(steps: 4, batch: 2), chunk: 2)
    }
  }

  @Test("A bidirectional model takes sequences longer than before", arguments: bidirectional)
  func longer(network: Network) throws {
    let model = try network.model()
    var generator = SeededGenerator(seed: 7)
    let session = model.makeSession(batchSize: 2)
    for steps in [2, 90, 33, 91, 1] {
      let input = generator.floats(steps * 2 * 3)
      session.reset()
      let expected = try model.makeSession(batchSize: 2).output(input)
      #expect(try session.output(input).bits == expected.bits)
    }
  }

  // MARK: Wrong sizes

  @Test("Wrong sizes are refused before anything runs")
  func wrongSizes() throws {
    let plain = try Network(RecurrentConfiguration(.lstm, 3, 5)).model().makeSession(batchSize: 2)
    let headed = try Network(
      RecurrentConfiguration(.lstm, 3, 5), head: HeadConfiguration(5, 4)
    ).model().makeSession(batchSize: 2)
    var output = [Float](repeating: 0, count: 20)
    for count in [0, 1, 3, 5, 7] {
      let input = [Float](repeating: 1, count: count)
      expectFault(.shapeMismatch) { try plain.run(input, into: &output) }
    }
    let input = [Float](repeating: 1, count: 12)
    for count in [0, 10, 19, 21, 40] {
      var output = [Float](repeating: 0, count: count)
      expectFault(.shapeMismatch) { try plain.run(input, into: &output) }
      expectFault(.shapeMismatch) { try headed.run(input, into: &output) }
    }
    #expect(plain.state[0].hidden.allSatisfy { $0 == 0 })
    #expect(headed.state[0].hidden.allSatisfy { $0 == 0 })
    try plain.run(input, into: &output)
    #expect(plain.state[0].hidden.allSatisfy { $0 != 0 })
  }

  @Test("Both outputs of a model with a head, or the head's alone")
  func bothOutputs() throws {
    for network in Self.all where network.head != nil {
      let model = try network.model()
      var generator = SeededGenerator(seed: 8)
      let input = generator.floats(40 * 2 * 3)
      let expected = try model.makeSession(batchSize: 2).output(input)
      let recording = try model.makeSession(batchSize: 2).record(.features(input))
      var headless = network
      headless.head = nil
      let recurrent = try headless.model().makeSession(batchSize: 2)
        .output(input)
      #expect(recording.head?.bits == expected.bits)
      #expect(recording.output.bits == recurrent.bits)
    }
  }

  // MARK: One answer

  @Test("Every lane of a batch gives the bits that it gives alone", arguments: all, [2, 5, 9])
  func lanes(network: Network, batch: Int) throws {
    // Time-major, so that a lane is a column everywhere.
    var network = network
    for index in network.stacks.indices { network.stacks[index].isBatchFirst = false }
    let model = try network.model()
    let inputs = try network.inputs(steps: 6, batch: batch)
    let together = try model.evaluate(inputs)
    for lane in 0..<batch {
      var own = StateDict()
      for (name, tensor) in inputs { own[name] = try tensor.lane(lane) }
      for (name, tensor) in try model.evaluate(own) {
        let all = try #require(together[name])
        if tensor.shape.rank == 3 {
          #expect(try all.lane(lane) == tensor, "\(name), lane \(lane)")
        } else {
          let width = tensor.shape[1]
          let values = try all.floats()[(lane * width)..<((lane + 1) * width)]
          #expect(try Array(values).bits == tensor.floats().bits, "\(name), lane \(lane)")
        }
      }
    }
  }

  @Test("Any number of threads gives the same bits", arguments: all)
  func threads(network: Network) throws {
    let model = try network.model()
    let inputs = try network.inputs(steps: 40, batch: 5)
    let expected = try model.evaluate(inputs)
    for threads in [2, 3, 4, 7] {
      #expect(try model.evaluate(inputs, threads: threads) == expected, "\(threads) threads")
    }
  }

  @Test("Threads that are in different layers keep out of each other's way")
  func threadsApart() throws {
    // Layers of very different widths, and one thread with twice the sequences of the other.
    let network = Network(
      RecurrentConfiguration(.rnn, 1, 40), RecurrentConfiguration(.rnn, 40, 1),
      RecurrentConfiguration(.rnn, 1, 30), RecurrentConfiguration(.rnn, 30, 2))
    let model = try network.model()
    var generator = SeededGenerator(seed: 13)
    let input = generator.floats(600 * 3)
    let expected = try model.makeSession(batchSize: 3).output(input).bits
    let session = model.makeSession(batchSize: 3, threads: 2)
    for _ in 0..<10 {
      session.reset()
      #expect(try session.output(input).bits == expected)
    }
  }

  @Test("Sessions of one model do not disturb each other")
  func twoSessions() throws {
    let network = Network(RecurrentConfiguration(.gru, 3, 20, layers: 2))
    let model = try network.model()
    var generator = SeededGenerator(seed: 9)
    let inputs = [generator.floats(60), generator.floats(60)]
    let expected = try inputs.map { try model.makeSession().output($0) }
    let sessions = [model.makeSession(), model.makeSession()]
    var outputs: [[Float]] = [[], []]
    for step in 0..<20 {
      for index in 0..<2 {
        outputs[index] += try sessions[index].output(
          Array(inputs[index][(step * 3)..<(step * 3 + 3)]))
      }
    }
    #expect(outputs.map(\.bits) == expected.map(\.bits))
  }

  @Test("Sessions of one model run on several threads at once")
  func concurrentSessions() async throws {
    let model = try Network(
      RecurrentConfiguration(.lstm, 3, 20, layers: 2), head: HeadConfiguration(20, 3, .softmax)
    ).model()
    @Sendable func output(_ seed: UInt64) throws -> [UInt32] {
      var generator = SeededGenerator(seed: seed)
      let session = model.makeSession(batchSize: 2)
      return try (0..<50).flatMap { _ in try session.output(generator.floats(6)).bits }
    }
    let expected = try (0..<4).map { try output(UInt64($0)) }
    try await withThrowingTaskGroup(of: (Int, [UInt32]).self) { group in
      for index in 0..<4 { group.addTask { (index, try output(UInt64(index))) } }
      for try await (index, bits) in group { #expect(bits == expected[index]) }
    }
  }

  @Test("A session may be handed over to another thread")
  func handedOver() async throws {
    let model = try Network(RecurrentConfiguration(.lstm, 3, 5)).model()
    let session = model.makeSession()
    let there = Task { try session.output([1, 2, 3]) }
    #expect(try await there.value.bits == model.makeSession().output([1, 2, 3]).bits)
  }

  // MARK: NaN

  @Test("NaN spoils its own lane from its step on, and no other", arguments: all)
  func notANumber(network: Network) throws {
    let session = try network.model().makeSession(batchSize: 5)
    let model = session.model
    var generator = SeededGenerator(seed: 10)
    let (steps, size) = (6, network.stacks[0].inputSize)
    let clean = generator.floats(steps * 5 * size)
    let expected = try session.output(clean)
    var spoiled = clean
    let (step, lane) = (3, 2)
    spoiled[(network.isBatchFirst ? lane * steps + step : step * 5 + lane) * size] = .nan
    session.reset()
    let output = try session.output(spoiled)
    let shape = model.outputShape(steps: steps, batchSize: 5)
    let width = shape[shape.rank - 1]
    for position in output.indices {
      let row = position / width
      let place =
        shape.rank == 2
        ? (step: steps, lane: row)
        : network.isBatchFirst
          ? (step: row % steps, lane: row / steps) : (step: row / 5, lane: row % 5)
      if place.lane != lane {
        #expect(output[position].bitPattern == expected[position].bitPattern)
      } else if place.step >= step {
        #expect(output[position].isNaN || network.isBidirectional)
      } else if !network.isBidirectional {
        #expect(output[position].bitPattern == expected[position].bitPattern)
      }
    }
    #expect(output.contains { $0.isNaN })
    // And the lane stays spoiled until a reset.
    session.reset()
    #expect(try session.output(clean).bits == expected.bits)
  }

  @Test("Infinite inputs saturate or spoil, but never trap", arguments: streamable)
  func infinite(network: Network) throws {
    let session = try network.model().makeSession()
    for value in [Float.infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude] {
      session.reset()
      let input = [Float](repeating: value, count: 4 * network.stacks[0].inputSize)
      let output = try session.output(input)
      if network.head == nil, network.stacks.last?.nonlinearity == .tanh,
        network.stacks.last?.projectionSize == 0
      {
        #expect(output.allSatisfy { $0.isNaN || abs($0) <= 1 })
      }
    }
  }

  // MARK: The caller's floating-point state

  @Test("The caller's rounding does not reach the result, and is restored", arguments: all)
  func rounding(network: Network) throws {
    let session = try network.model().makeSession(batchSize: 3, threads: 2)
    var generator = SeededGenerator(seed: 11)
    let input = generator.floats(6 * 3 * network.stacks[0].inputSize)
    let expected = try session.output(input)
    var output = expected
    let initial = strata_enter_float_state()
    for mode in Rounding.others {
      session.reset()
      fesetround(mode)
      // Reading the state sets another one.
      let own = strata_enter_float_state()
      strata_restore_float_state(own)
      let result = Result { try session.run(input, into: &output) }
      let after = strata_enter_float_state()
      fesetround(Rounding.nearest)
      try result.get()
      // The low bits of MXCSR are flags of what happened.
      #expect(after & ~0x3F == own & ~0x3F)
      #expect(own & ~0x3F != initial & ~0x3F)
      #expect(output.bits == expected.bits)
    }
  }

  @Test("The caller's flushing of subnormals does not reach the result, and is restored")
  func flushToZero() throws {
    // Flush-to-zero and denormals-are-zero of MXCSR; FZ of FPCR.
    #if arch(x86_64)
      let flushing: UInt64 = 0x1F80 | 0x8040
    #elseif arch(arm64)
      let flushing: UInt64 = 1 << 24
    #else
      let flushing: UInt64 = 0
    #endif
    var network = Network(RecurrentConfiguration(.rnn, 3, 5, bias: false))
    network.scale = 1e-20
    let session = try network.model().makeSession()
    let input: [Float] = [1e-20, 1e-20, 1e-20]
    let expected = try session.output(input)
    // The test is one of subnormals.
    #expect(expected.contains { $0.isSubnormal })
    var output = expected
    session.reset()
    let own = strata_enter_float_state()
    strata_restore_float_state(flushing)
    let result = Result { try session.run(input, into: &output) }
    let after = strata_enter_float_state()
    strata_restore_float_state(own)
    try result.get()
    // The low bits of MXCSR are flags of what happened.
    #expect(after & ~0x3F == flushing & ~0x3F)
    #expect(output.bits == expected.bits)
  }

  // MARK: Allocation

  @Test(
    "With one thread, a call allocates nothing", .enabled(if: strata_allocation_count() >= 0),
    arguments: all)
  func allocatesNothing(network: Network) throws {
    let session = try network.model().makeSession(batchSize: 2)
    var generator = SeededGenerator(seed: 12)
    let input = generator.floats(40 * 2 * network.stacks[0].inputSize)
    var output = try session.output(input)
    for _ in 0..<10 {
      session.reset()
      let before = strata_allocation_count()
      try session.run(input, into: &output)
      #expect(strata_allocation_count() == before)
    }
    // The counter counts.
    let before = strata_allocation_count()
    _ = session.state
    #expect(strata_allocation_count() > before)
  }
}

/// The rounding modes of fenv.h, whose names Swift sees twice.
private enum Rounding {
  #if arch(x86_64)
    static let nearest: Int32 = 0
    static let others: [Int32] = [0x400, 0x800, 0xC00]
  #elseif arch(arm64)
    static let nearest: Int32 = 0
    static let others: [Int32] = [0x40_0000, 0x80_0000, 0xC0_0000]
  #endif
}
