import Checkpoints
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

@Suite struct RecordingTests {
  private static let steps = 40
  private static let batch = 3

  private func input(_ network: Network, steps: Int = steps) -> [Float] {
    var generator = SeededGenerator(seed: 30)
    return generator.floats(steps * Self.batch * network.stacks[0].inputSize, 2)
  }

  private func session(_ network: Network) throws -> Session {
    let session = try network.model().makeSession(batchSize: Self.batch)
    session.reset(to: .normal(deviation: 0.5, seed: 31))
    return session
  }

  /// The row of a step of a sequence.
  private func row(
    _ values: [Float], _ step: Int, _ lane: Int, _ network: Network
  ) -> [Float] {
    let width = values.count / (Self.steps * Self.batch)
    let row = network.isBatchFirst ? lane * Self.steps + step : step * Self.batch + lane
    return Array(values[(row * width)..<((row + 1) * width)])
  }

  @Test("Looking inside does not change what a run gives", arguments: SessionTests.all)
  func sameBits(network: Network) throws {
    let input = input(network)
    let plain = try session(network)
    let output = try plain.output(input)
    for isInside in [false, true] {
      let session = try session(network)
      let recording = try session.record(.features(input), insideLayers: isInside)
      #expect(recording.steps == Self.steps)
      #expect((recording.head ?? recording.output).bits == output.bits)
      #expect((recording.head == nil) == (network.head == nil))
      #expect(session.state == plain.state)
      let count = network.stacks.reduce(0) { $0 + $1.layerCount * $1.directionCount }
      #expect(recording.layers.count == (isInside ? count : 0))
      #expect((recording.layer(0) == nil) == !isInside)
    }
  }

  @Test("Layers come stack by stack, forward before reverse, in their sizes")
  func order() throws {
    let network = Network(
      RecurrentConfiguration(.lstm, 3, 6, layers: 2, bidirectional: true, projection: 2),
      RecurrentConfiguration(.gru, 4, 5, layers: 2), RecurrentConfiguration(.rnn, 5, 4))
    let recording = try session(network).record(.features(input(network)), insideLayers: true)
    #expect(recording.layers.map(\.stack) == [0, 0, 0, 0, 1, 1, 2])
    #expect(recording.layers.map(\.layer) == [0, 0, 1, 1, 0, 1, 0])
    #expect(
      recording.layers.map(\.direction)
        == [.forward, .reverse, .forward, .reverse, .forward, .forward, .forward])
    let rows = Self.steps * Self.batch
    #expect(recording.layers.map { $0.hidden.count / rows } == [2, 2, 2, 2, 5, 5, 4])
    #expect(recording.layers.map { $0.cell.count / rows } == [6, 6, 6, 6, 0, 0, 0])
    #expect(recording.layers.map { $0.gates.count / rows } == [24, 24, 24, 24, 15, 15, 0])
    #expect(recording.layer(1, direction: .reverse)?.hidden == recording.layers[3].hidden)
    #expect(recording.layer(0, ofStack: 2) == recording.layers[6])
    #expect(recording.layer(2) == nil)
    #expect(recording.layer(0, direction: .reverse, ofStack: 1) == nil)
  }

  @Test(
    "The last layer's hidden states are the output, the last of them the state",
    arguments: SessionTests.all)
  func lastLayer(network: Network) throws {
    let session = try session(network)
    let recording = try session.record(.features(input(network)), insideLayers: true)
    let stack = network.stacks.count - 1
    let configuration = network.stacks[stack]
    let layers = configuration.directions.compactMap {
      recording.layer(configuration.layerCount - 1, direction: $0, ofStack: stack)
    }
    #expect(layers.count == configuration.directionCount)
    for step in 0..<Self.steps {
      for lane in 0..<Self.batch {
        #expect(
          layers.flatMap { row($0.hidden, step, lane, network) }.bits
            == row(recording.output, step, lane, network).bits)
      }
    }
    for layer in recording.layers {
      let state = session.state[layer.stack]
      let end = layer.direction == .forward ? Self.steps - 1 : 0
      let hidden = (0..<Self.batch).flatMap { row(layer.hidden, end, $0, network) }
      #expect(
        hidden.bits == Array(state.hidden(layer: layer.layer, direction: layer.direction)).bits)
      guard !layer.cell.isEmpty else { continue }
      let cell = (0..<Self.batch).flatMap { row(layer.cell, end, $0, network) }
      #expect(cell.bits == Array(state.cell(layer: layer.layer, direction: layer.direction)).bits)
    }
  }

  @Test("Gates, cells and hidden states fulfil the equations", arguments: SessionTests.all)
  func equations(network: Network) throws {
    let session = try session(network)
    let before = session.state
    let recording = try session.record(.features(input(network)), insideLayers: true)
    let weights = try network.stateDict()
    for layer in recording.layers {
      let stack = network.stacks[layer.stack]
      guard stack.kind != .rnn else { continue }
      let width = stack.hiddenSize
      let suffix = "_l\(layer.layer)" + (layer.direction == .reverse ? "_reverse" : "")
      let projection = try weights["rnn\(layer.stack).weight_hr\(suffix)"]?.floats()
      let order = layer.direction == .forward ? Array(0..<Self.steps) : (0..<Self.steps).reversed()
      var largest: Float = 0
      for lane in 0..<Self.batch {
        let state = before[layer.stack].lane(lane)
        var hidden = Array(state.hidden(layer: layer.layer, direction: layer.direction))
        var cell = Array(state.cell(layer: layer.layer, direction: layer.direction))
        for step in order {
          let gates = row(layer.gates, step, lane, network)
          func gate(_ index: Int, _ unit: Int) -> Float { gates[index * width + unit] }
          let found = row(layer.hidden, step, lane, network)
          if stack.kind == .gru {
            for unit in 0..<width {
              let (z, n) = (gate(1, unit), gate(2, unit))
              largest = max(largest, abs((1 - z) * n + z * hidden[unit] - found[unit]))
            }
          } else {
            let cells = row(layer.cell, step, lane, network)
            for unit in 0..<width {
              let next = gate(1, unit) * cell[unit] + gate(0, unit) * gate(2, unit)
              largest = max(largest, abs(next - cells[unit]))
            }
            let unprojected = (0..<width).map { gate(3, $0) * Float(tanh(Double(cells[$0]))) }
            for unit in found.indices {
              var expected = unprojected[unit]
              if let projection {
                expected = 0
                for column in 0..<width {
                  expected += projection[unit * width + column] * unprojected[column]
                }
              }
              largest = max(largest, abs(expected - found[unit]))
            }
            cell = cells
          }
          hidden = found
        }
      }
      #expect(largest <= 1e-6, "stack \(layer.stack)\(suffix)")
      // After their activation: r, z, i, f, o in 0…1, n and g in −1…1.
      #expect(layer.gates.allSatisfy { abs($0) <= 1 })
      let tangent = 2
      for (index, value) in layer.gates.enumerated()
      where index / width % stack.kind.gateCount != tangent {
        #expect(value >= 0)
      }
    }
  }

  @Test("What float32 records the reference records too", arguments: SessionTests.all)
  func reference(network: Network) throws {
    let inputs = try network.inputs(steps: 9, batch: 3)
    let results = try network.model().evaluate(inputs, allLayers: true)
    let reference = try ReferenceModel(network.blueprint()).evaluate(inputs, allLayers: true)
    #expect(Set(results.map(\.name)) == Set(reference.map(\.name)))
    #expect(results.contains { $0.name.contains("output_l0") })
    let verification = try Verification(
      results, against: reference, tolerance: .elementwise(absolute: 2e-6, relative: 2e-6))
    #expect(verification.isPassed, "\(verification.rows.filter { !$0.isPassed })")
    #expect(Set(verification.rows.map(\.name)) == Set(results.map(\.name)))
    // Without asking there is none of it.
    for names in [
      try network.model().evaluate(inputs).map(\.name),
      try ReferenceModel(network.blueprint()).evaluate(inputs).map(\.name),
    ] {
      #expect(!names.contains { $0.contains("_l0") })
    }
  }

  @Test("Recordings of pieces join to that of the whole", arguments: SessionTests.streamable)
  func pieces(network: Network) throws {
    let inputs = try network.inputs(steps: Self.steps, batch: Self.batch)
    let model = try network.model()
    let whole = try model.evaluate(inputs, allLayers: true)
    for chunk in [1, 7, 33] {
      #expect(try model.evaluate(inputs, chunk: chunk, allLayers: true) == whole)
    }
    guard !network.isBatchFirst else { return }
    let input = input(network)
    let expected = try session(network).record(.features(input), insideLayers: true)
    let session = try session(network)
    let width = Self.batch * network.stacks[0].inputSize
    let pieces = try [(0, 1), (1, 34), (34, 40)].map { start, end in
      try session.record(
        .features(Array(input[(start * width)..<(end * width)])), insideLayers: true)
    }
    #expect(pieces.flatMap(\.output).bits == expected.output.bits)
    for (index, layer) in expected.layers.enumerated() {
      #expect(pieces.flatMap { $0.layers[index].hidden }.bits == layer.hidden.bits)
      #expect(pieces.flatMap { $0.layers[index].cell }.bits == layer.cell.bits)
      #expect(pieces.flatMap { $0.layers[index].gates }.bits == layer.gates.bits)
    }
  }

  @Test("Threads and kernels record the same bits", arguments: SessionTests.all)
  func threadsAndKernels(network: Network) throws {
    let model = try network.model()
    let input = input(network)
    let expected = try model.makeSession(batchSize: Self.batch)
      .record(.features(input), insideLayers: true)
    for instructionSet in InstructionSet.available {
      for threads in [1, 3] {
        let session = model.makeSession(
          batchSize: Self.batch, threads: threads, instructionSet: instructionSet)
        #expect(
          try session.record(.features(input), insideLayers: true) == expected,
          "\(instructionSet), \(threads) threads")
      }
    }
  }
}
