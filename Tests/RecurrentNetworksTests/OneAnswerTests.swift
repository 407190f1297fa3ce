import Checkpoints
import TestSupport
import Testing

@testable import RecurrentNetworks

/// The same model and input give the same bits whatever the batch, the chunks, the lengths beside it, the
/// threads, their division and the instruction set.
///
/// Every answer is held against that of the sequence alone, whole, on one thread, with the portable kernels.
@Suite struct OneAnswerTests {
  static let sizes = [5, 16, 33]
  static let batches = [1, 2, 7, 32]
  static let steps = 7

  static let networks: [Network] = {
    var networks: [Network] = []
    func add(_ configuration: RecurrentConfiguration) {
      let features = configuration.outputSize
      let inputs = HeadConfiguration.Input.allCases
      networks.append(Network(configuration))
      // The head's rows stand alone, or make a panel; what it reads takes turns.
      let rows = networks.count % 4 < 2 ? 3 : 17
      networks.append(
        Network(
          configuration,
          head: HeadConfiguration(features, rows, on: inputs[networks.count / 2 % inputs.count])))
    }
    for size in sizes {
      for bidirectional in [false, true] {
        for kind in RecurrentConfiguration.Kind.allCases {
          add(RecurrentConfiguration(kind, 3, size, layers: 2, bidirectional: bidirectional))
        }
        add(
          RecurrentConfiguration(
            .rnn, 19, size, layers: 3, bidirectional: bidirectional, relu: true))
        add(
          RecurrentConfiguration(
            .lstm, 3, size, layers: 2, bidirectional: bidirectional, projection: size - 1))
      }
    }
    for size in sizes {
      for bidirectional in [false, true] {
        add(
          RecurrentConfiguration(
            .gru, 3, size, layers: 2, bidirectional: bidirectional, reset: .before,
            sigmoid: bidirectional ? .hardTorch : .logistic))
      }
      add(RecurrentConfiguration(.gru, 3, size, layers: 2, sigmoid: .hardTorch))
      add(RecurrentConfiguration(.lstm, 3, size, layers: 2, sigmoid: .hardKeras2))
    }
    return networks
  }()

  /// One layer, whose last panel has places for units that do not exist, below a head of few rows.
  static let flat = [3, 21].flatMap { size in
    (RecurrentConfiguration.Kind.allCases.map { RecurrentConfiguration($0, 2, size) }
      + [RecurrentConfiguration(.gru, 2, size, reset: .before)])
      .map { Network($0, head: HeadConfiguration(size, 3)) }
  }

  /// Output and final state of one sequence, row by row.
  private struct Answer: Equatable {
    /// By step; one row where the model has an output for the whole sequence only.
    var output: [[UInt32]]
    /// h and c of every stack.
    var state: [[UInt32]]
  }

  /// What stays the same for all calls of a session.
  private struct Setting: CustomStringConvertible {
    var instructionSet: InstructionSet
    var threads: Int
    var division: Division?
    var chunk: Int
    var batch: Int
    var lengths: [Int]?

    var description: String {
      "\(instructionSet), \(threads) threads by \(division.map { "\($0)" } ?? "shape"), "
        + "chunks of \(chunk), batch of \(batch), lengths \(lengths?.description ?? "none")"
    }
  }

  /// Runs sequences of `width` features beside each other and gives each one's answer.
  private func answers(
    _ session: Session, _ sequences: [[[Float]]], lengths: [Int]?, chunk: Int
  ) throws -> [Answer] {
    session.reset()
    let steps = sequences[0].count
    var rows: [[[UInt32]]] = sequences.map { _ in [] }
    for start in stride(from: 0, to: steps, by: chunk) {
      let piece = start..<min(start + chunk, steps)
      let input = piece.flatMap { step in sequences.flatMap { $0[step] } }
      let shape = session.model.outputShape(steps: piece.count, batchSize: sequences.count)
      var output = [Float](repeating: .nan, count: shape.elementCount)
      try session.run(input, lengths: lengths, into: &output)
      let width = shape[shape.rank - 1]
      for row in 0..<(output.count / width) {
        let lane = row % sequences.count
        let bits = Array(output[(row * width)..<((row + 1) * width)]).bits
        // A head on the last step tells the last piece's.
        if shape.rank == 3 { rows[lane].append(bits) } else { rows[lane] = [bits] }
      }
    }
    return sequences.indices.map { lane in
      Answer(
        output: rows[lane], state: session[lane: lane].flatMap { [$0.hidden.bits, $0.cell.bits] })
    }
  }

  /// Every division that a call may have.
  private func divisions(_ model: SequenceModel, threads: Int, hasLengths: Bool) -> [Division?] {
    guard threads > 1 else { return [nil] }
    let configurations = model.stacks.map(\.configuration)
    var divisions: [Division?] = [nil, Division.none, .lanes]
    if model.blueprint.isBidirectional { divisions.append(.directions) }
    if !model.blueprint.isBidirectional, !hasLengths { divisions.append(.layers) }
    if !hasLengths, configurations.allSatisfy({ $0.projectionSize == 0 }) {
      divisions.append(.units)
    }
    return divisions
  }

  @Test("One answer", arguments: networks)
  func answer(network: Network) throws {
    let model = try network.model()
    let isBidirectional = model.blueprint.isBidirectional
    let width = model.blueprint.stackInputSize
    var generator = SeededGenerator(seed: network.seed)
    let sequences = (0..<32).map { _ in (0..<Self.steps).map { _ in generator.floats(width, 2) } }
    let lengths = (0..<32).map { ($0 * 5 + 3) % Self.steps + 1 }
    let portable = try #require(InstructionSet.available.last)
    let alone = model.makeSession(batchSize: 1, threads: 1, instructionSet: portable)
    let whole = try sequences.map {
      try answers(alone, [$0], lengths: nil, chunk: Self.steps)[0]
    }
    // A sequence with a length is the shorter sequence, and zeros behind its end.
    let ended = try zip(sequences, lengths).map { sequence, length in
      var answer = try answers(
        alone, [Array(sequence.prefix(length))], lengths: nil, chunk: length)[0]
      guard answer.output.count == length, length < Self.steps, model.blueprint.head == nil else {
        return answer
      }
      let zeros = [UInt32](repeating: 0, count: answer.output[0].count)
      answer.output += [[UInt32]](repeating: zeros, count: Self.steps - length)
      return answer
    }
    #expect(Set(whole.map(\.output)).count == whole.count)

    for instructionSet in InstructionSet.available {
      for threads in [1, 2, 4] {
        for batch in Self.batches {
          let session = model.makeSession(
            batchSize: batch, threads: threads, instructionSet: instructionSet)
          for hasLengths in [false, true] {
            for division in divisions(model, threads: threads, hasLengths: hasLengths) {
              session.forcedDivision = division
              for chunk in isBidirectional || hasLengths ? [Self.steps] : [1, 3, Self.steps] {
                let setting = Setting(
                  instructionSet: instructionSet, threads: threads, division: division,
                  chunk: chunk, batch: batch, lengths: hasLengths ? Array(lengths[..<batch]) : nil)
                let found = try answers(
                  session, Array(sequences[..<batch]), lengths: setting.lengths, chunk: chunk)
                for lane in 0..<batch {
                  let expected = hasLengths ? ended[lane] : whole[lane]
                  let steps = hasLengths ? expected.output.count : found[lane].output.count
                  #expect(found[lane].state == expected.state, "\(setting), lane \(lane)")
                  // Behind an end, a head on every step sees zeros: that is not the shorter sequence's.
                  #expect(
                    Array(found[lane].output[..<steps]) == expected.output,
                    "\(setting), lane \(lane)")
                }
              }
            }
          }
        }
      }
    }
  }

  /// From a state of zeros the kernels leave its products out; where it is set to zeros they do not know.
  @Test("Leaving out the products of a zero state changes nothing", arguments: networks + flat)
  func zeroState(network: Network) throws {
    var generator = SeededGenerator(seed: 9)
    // An infinite weight makes NaN of a zero. Inputs and biases of -0 make sums of -0.
    for (weight, value) in [(Float(0.25), Float(0.5)), (.infinity, 0.5), (.nan, 0.5), (0.25, -0.0)]
    {
      var checkpoint = try network.checkpoint()
      for (name, tensor) in Array(checkpoint.stateDict) {
        var values = try tensor.floats()
        if name.contains("weight_hh_l0") { values[values.count / 2] = weight }
        if value == 0 { values = values.map { name.contains("bias") ? -0.0 : abs($0) } }
        checkpoint.stateDict[name] = Tensor(values, shape: tensor.shape)
      }
      let model = try SequenceModel(ModelBlueprint(checkpoint.contents))
      let width = model.blueprint.stackInputSize
      for batch in [1, 5] {
        for steps in [1, 4] {
          let input =
            value == 0
            ? [Float](repeating: value, count: steps * batch * width)
            : generator.floats(steps * batch * width, 2)
          let count = model.outputShape(steps: steps, batchSize: batch).elementCount
          for instructionSet in InstructionSet.available {
            let session = model.makeSession(batchSize: batch, instructionSet: instructionSet)
            var (fresh, again, set) = (
              [Float](repeating: 0, count: count), [Float](repeating: 0, count: count),
              [Float](repeating: 0, count: count)
            )
            try session.run(input, into: &fresh)
            session.reset()
            try session.run(input, into: &again)
            session.state = model.makeSession(batchSize: batch).state
            try session.run(input, into: &set)
            #expect(fresh.bits == set.bits, "\(instructionSet), \(weight), \(value)")
            #expect(again.bits == set.bits, "\(instructionSet), \(weight), \(value)")
            if !weight.isFinite, batch == 1, model.blueprint.head == nil {
              #expect(set.contains { $0.isNaN })
            }
          }
        }
      }
    }
  }

  @Test(
    "Infinities spoil what they reach, and that alike everywhere",
    arguments: networks.filter { !$0.isBidirectional } + flat)
  func infinities(network: Network) throws {
    let model = try network.model()
    let width = model.blueprint.stackInputSize
    var generator = SeededGenerator(seed: 5)
    for special in [Float.infinity, -.infinity, .greatestFiniteMagnitude] {
      var sequence = (0..<Self.steps).map { _ in generator.floats(width, 2) }
      sequence[2][0] = special
      let finite = (0..<Self.steps).map { _ in generator.floats(width, 2) }
      var found: [Answer] = []
      for instructionSet in InstructionSet.available {
        for sequences in [[sequence], [finite, sequence]] {
          let session = model.makeSession(
            batchSize: sequences.count, instructionSet: instructionSet)
          for chunk in [1, Self.steps] {
            let answer = try answers(session, sequences, lengths: nil, chunk: chunk)
            found.append(answer[sequences.count - 1])
          }
        }
      }
      for answer in found.dropFirst() { #expect(answer == found[0], "\(special)") }
    }
  }
}
