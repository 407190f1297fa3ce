import Checkpoints
import RecurrentNetworks
import TestSupport
import Testing

@Suite struct SavedStateTests {
  static let networks: [Network] = SessionTests.streamable

  private func session(
    _ network: Network, batch: Int = 3, steps: Int = 4, seed: UInt64 = 20
  ) throws -> Session {
    let session = try network.model().makeSession(batchSize: batch)
    var generator = SeededGenerator(seed: seed)
    _ = try session.output(generator.floats(steps * batch * network.stacks[0].inputSize))
    return session
  }

  // MARK: Lanes and copies

  @Test("One lane's state is taken, set and reset alone", arguments: networks)
  func lanes(network: Network) throws {
    let session = try session(network)
    let before = session.state
    for lane in 0..<3 {
      for (stack, state) in session[lane: lane].enumerated() {
        #expect(state.batchSize == 1)
        #expect(state == before[stack].lane(lane))
      }
    }
    // Rows of a lane are where they should be.
    let size = before[0].hiddenSize
    var rows: [Float] = []
    for slot in 0..<(before[0].hidden.count / (3 * size)) {
      let start = (slot * 3 + 1) * size
      rows += before[0].hidden[start..<(start + size)]
    }
    #expect(session[lane: 1][0].hidden == rows)

    session[lane: 0] = session[lane: 2]
    #expect(session[lane: 0] == before.map { $0.lane(2) })
    #expect(session[lane: 1] == before.map { $0.lane(1) })
    #expect(session[lane: 2] == before.map { $0.lane(2) })

    session.reset(lane: 1)
    #expect(session[lane: 1] == session.model.makeSession().state)
    #expect(session[lane: 0] == before.map { $0.lane(2) })
    #expect(session[lane: 2] == before.map { $0.lane(2) })

    // The lanes run on from there: 0 and 2 alike, 1 from the beginning.
    var generator = SeededGenerator(seed: 21)
    let input = generator.floats(5 * network.stacks[0].inputSize)
    _ = try session.output(batched(input, steps: 5, lanes: 3, network))
    let (second, fresh) = (session.model.makeSession(), session.model.makeSession())
    second.state = before.map { $0.lane(2) }
    _ = try second.output(input)
    _ = try fresh.output(input)
    #expect(session[lane: 0] == second.state)
    #expect(session[lane: 1] == fresh.state)
    #expect(session[lane: 2] == second.state)
  }

  /// One sequence as that of every lane.
  private func batched(
    _ input: [Float], steps: Int, lanes: Int, _ network: Network
  ) -> [Float] {
    let width = input.count / steps
    if network.isBatchFirst { return (0..<lanes).flatMap { _ in input } }
    return (0..<steps).flatMap { step in
      (0..<lanes).flatMap { _ in input[(step * width)..<((step + 1) * width)] }
    }
  }

  @Test("A copy goes on by itself from where the session is", arguments: networks)
  func copies(network: Network) throws {
    let session = try session(network)
    let copy = session.copy()
    #expect(copy.batchSize == 3)
    #expect(copy.model === session.model)
    #expect(copy.state == session.state)
    let before = session.state
    var generator = SeededGenerator(seed: 22)
    let input = generator.floats(3 * 3 * network.stacks[0].inputSize)
    let expected = try session.output(input)
    #expect(copy.state == before)
    #expect(try copy.output(input).bits == expected.bits)
    #expect(copy.state == session.state)
  }

  // MARK: Saved and restored

  @Test("A saved state goes on in another session, bit for bit", arguments: networks)
  func roundTrip(network: Network) throws {
    let session = try session(network)
    let saved = session.savedState()
    #expect(session.savedState() == saved)
    var generator = SeededGenerator(seed: 23)
    let input = generator.floats(40 * 3 * network.stacks[0].inputSize)
    let state = session.state
    let expected = try session.output(input)
    let other = try network.model().makeSession(batchSize: 3, threads: 2)
    try other.restore(from: saved)
    #expect(other.state == state)
    #expect(other.savedState() == saved)
    #expect(try other.output(input).bits == expected.bits)
    #expect(other.savedState() == session.savedState())
  }

  @Test("A hundred thousand steps in pieces, saved in the middle, are one call's")
  func aHundredThousandSteps() throws {
    let network = Network(RecurrentConfiguration(.lstm, 2, 4))
    let model = try network.model()
    let steps = 100_000
    var generator = SeededGenerator(seed: 24)
    let input = generator.floats(steps * 2, 2)
    let whole = model.makeSession()
    let expected = try whole.output(input)

    var session = model.makeSession()
    var output: [Float] = []
    output.reserveCapacity(expected.count)
    var step = 0
    var hasRestored = false
    while step < steps {
      if !hasRestored, step >= steps / 2 {
        let saved = session.savedState()
        session = try network.model().makeSession()
        try session.restore(from: saved)
        hasRestored = true
      }
      let count = min(Int.random(in: 1...700, using: &generator), steps - step)
      output += try session.output(Array(input[(step * 2)..<((step + count) * 2)]))
      step += count
    }
    #expect(hasRestored)
    #expect(output.bits == expected.bits)
    #expect(session.state == whole.state)
  }

  @Test("Whether a session may go on is saved with its state")
  func progress() throws {
    let network = Network(RecurrentConfiguration(.gru, 3, 5, bidirectional: true))
    let model = try network.model()
    var generator = SeededGenerator(seed: 25)
    let input = generator.floats(4 * 3)
    let session = model.makeSession()
    let fresh = session.savedState()
    let expected = try session.output(input)
    let ended = session.savedState()
    let other = model.makeSession()
    try other.restore(from: ended)
    expectFault(.notStreamable) { _ = try other.output(input) }
    try other.restore(from: fresh)
    #expect(try other.output(input).bits == expected.bits)
  }

  @Test("Every bit of a state survives, NaN with its payload too")
  func payloads() throws {
    let network = Network(
      RecurrentConfiguration(.lstm, 3, 5, layers: 2, projection: 2),
      RecurrentConfiguration(.gru, 2, 17))
    let model = try network.model()
    let session = model.makeSession(batchSize: 2)
    var generator = SeededGenerator(seed: 26)
    let edges = edgePatterns(of: .float32).map { UInt32($0) }
    func patterns(_ count: Int) -> [Float] {
      (0..<count).map { index in
        Float(
          bitPattern: index < edges.count
            ? edges[index] : UInt32(truncatingIfNeeded: generator.next()))
      }
    }
    var states = session.state
    for index in states.indices {
      states[index].hidden = patterns(states[index].hidden.count)
      states[index].cell = patterns(states[index].cell.count)
    }
    session.state = states
    let other = model.makeSession(batchSize: 2)
    try other.restore(from: session.savedState())
    for (found, expected) in [(other.state, states), (other.copy().state, states)] {
      for (found, expected) in zip(found, expected) {
        #expect(found.hidden.map(\.bitPattern) == expected.hidden.map(\.bitPattern))
        #expect(found.cell.map(\.bitPattern) == expected.cell.map(\.bitPattern))
      }
    }
    #expect(states[1].hidden.contains { $0.isNaN })
  }

  // MARK: Refusals

  /// Expects a refusal that leaves the session where it was.
  private func expectRefused(
    _ bytes: [UInt8], by session: Session, containing words: [String] = [],
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let before = session.savedState()
    let error = expectFault(.stateMismatch, sourceLocation: sourceLocation) {
      try session.restore(from: bytes)
    }
    for word in words {
      #expect(
        error?.reason.contains(word) == true, "\(error?.reason ?? "")",
        sourceLocation: sourceLocation)
    }
    #expect(session.savedState() == before, sourceLocation: sourceLocation)
  }

  @Test("Another model's state is refused by name")
  func otherModels() throws {
    let networks = [
      Network(RecurrentConfiguration(.lstm, 3, 5)), Network(RecurrentConfiguration(.gru, 3, 5)),
      Network(RecurrentConfiguration(.rnn, 3, 5)),
      Network(RecurrentConfiguration(.rnn, 3, 5, relu: true)),
      Network(RecurrentConfiguration(.lstm, 3, 6)), Network(RecurrentConfiguration(.lstm, 4, 5)),
      Network(RecurrentConfiguration(.lstm, 3, 5, layers: 2)),
      Network(RecurrentConfiguration(.lstm, 3, 6, projection: 5)),
      Network(RecurrentConfiguration(.lstm, 3, 5), RecurrentConfiguration(.gru, 5, 2)),
      Network(RecurrentConfiguration(.lstm, 3, 5), head: HeadConfiguration(5, 2)),
    ]
    let sessions = try networks.map { try session($0) }
    for (index, session) in sessions.enumerated() {
      for (place, other) in sessions.enumerated() where place != index {
        expectRefused(
          other.savedState(), by: session,
          containing: [
            session.model.blueprint.description, other.model.blueprint.description,
          ])
      }
    }
  }

  @Test("The state of another batch size is refused", arguments: [1, 2, 4])
  func otherBatch(batch: Int) throws {
    let network = Network(RecurrentConfiguration(.lstm, 3, 5))
    expectRefused(
      try session(network, batch: batch).savedState(), by: try session(network, seed: 27),
      containing: ["batch of \(batch)", "3"])
  }

  @Test("A saved state that is damaged in any byte or any length is refused")
  func damage() throws {
    let network = Network(
      RecurrentConfiguration(.lstm, 3, 2), head: HeadConfiguration(2, 1, .sigmoid))
    let saved = try session(network, batch: 2).savedState()
    let session = try session(network, batch: 2, seed: 28)
    for count in 0..<saved.count { expectRefused(Array(saved[..<count]), by: session) }
    for position in saved.indices {
      for mask: UInt8 in [1, 0x80, 0xFF] {
        var flipped = saved
        flipped[position] ^= mask
        expectRefused(flipped, by: session)
      }
    }
    expectRefused(saved + [0], by: session)
    expectRefused(saved + saved, by: session)
    try session.restore(from: saved)
    #expect(session.savedState() == saved)
  }

  /// The bytes with the right checksum.
  private func sealed(_ bytes: [UInt8]) -> [UInt8] {
    var remainder = UInt32.max
    for byte in bytes {
      remainder ^= UInt32(byte)
      for _ in 0..<8 {
        remainder = remainder & 1 == 1 ? remainder >> 1 ^ 0xEDB8_8320 : remainder >> 1
      }
    }
    return bytes + (0..<4).map { UInt8(truncatingIfNeeded: ~remainder >> (8 * UInt32($0))) }
  }

  @Test("What no session has saved is refused behind a right checksum too")
  func forgeries() throws {
    let network = Network(RecurrentConfiguration(.lstm, 3, 5))
    let saved = try session(network).savedState()
    let session = try session(network, seed: 29)
    let body = Array(saved.dropLast(4))
    #expect(sealed(body) == saved)
    // Magic (8 bytes), version, length of the words, words, progress, batch size, floats.
    let words = 16 + session.model.blueprint.description.utf8.count
    #expect(body.count == words + 8 + 2 * 3 * 5 * 4)
    func forged(_ position: Int, _ value: UInt32) -> [UInt8] {
      var bytes = body
      for index in 0..<4 {
        bytes[position + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index)))
      }
      return sealed(bytes)
    }
    for version: UInt32 in [0, 2, .max] {
      expectRefused(forged(8, version), by: session, containing: ["version \(version)"])
    }
    for length: UInt32 in [0, 1, 1000, .max >> 1, .max] {
      expectRefused(forged(12, length), by: session)
    }
    for progress: UInt32 in [3, .max] { expectRefused(forged(words, progress), by: session) }
    for batch: UInt32 in [0, 2, 4, .max] { expectRefused(forged(words + 4, batch), by: session) }
    // Floats missing or over.
    for count in [words + 8, body.count - 4, body.count - 1] {
      expectRefused(sealed(Array(body[..<count])), by: session)
    }
    expectRefused(sealed(body + [0]), by: session)
    expectRefused(sealed(body + [0, 0, 0, 0]), by: session)
    // Text that is no UTF-8.
    var bytes = body
    bytes[16] = 0xFF
    expectRefused(sealed(bytes), by: session)
    try session.restore(from: sealed(body))
    #expect(session.savedState() == saved)
  }
}
