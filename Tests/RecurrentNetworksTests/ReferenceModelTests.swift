import Checkpoints
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

@Suite struct ReferenceModelTests {
  // MARK: By hand

  /// One unit, one feature, one step, with every parameter a number of its own.
  @Test("One step of one unit, computed by hand")
  func byHand() throws {
    func run(
      _ configuration: RecurrentConfiguration, _ wi: [Double], _ wh: [Double], _ bi: [Double],
      _ bh: [Double]
    ) throws -> StateDict {
      let rows = wi.count
      let dict: StateDict = [
        "weight_ih_l0": Tensor(wi, shape: [rows, 1]), "weight_hh_l0": Tensor(wh, shape: [rows, 1]),
        "bias_ih_l0": Tensor(bi, shape: [rows]), "bias_hh_l0": Tensor(bh, shape: [rows]),
      ]
      var options = ModelOptions()
      options.nonlinearity = configuration.nonlinearity
      options.gruReset = configuration.gruReset
      options.sigmoid = configuration.sigmoid
      var inputs: StateDict = [
        "input": Tensor([0.5], shape: [1, 1, 1]), "h_0": Tensor([-0.25], shape: [1, 1, 1]),
      ]
      if configuration.kind == .lstm { inputs["c_0"] = Tensor([0.75], shape: [1, 1, 1]) }
      return try ReferenceModel(
        ModelBlueprint(Checkpoint(stateDict: dict).contents, options: options)
      ).evaluate(inputs)
    }
    func value(_ results: StateDict, _ name: String) throws -> Double {
      try #require(results[name]).doubles()[0]
    }
    // 0.5 · 2 − 0.25 · 3 + 0.125 + 0.25 = 0.625
    let tanh = RecurrentConfiguration(.rnn, 1, 1)
    #expect(
      abs(try value(run(tanh, [2], [3], [0.125], [0.25]), "h_n") - 0.554_599_722_349_382_3) < 1e-15)
    let relu = RecurrentConfiguration(.rnn, 1, 1, relu: true)
    #expect(try value(run(relu, [2], [3], [0.125], [0.25]), "h_n") == 0.625)
    #expect(try value(run(relu, [-2], [3], [0.125], [0.25]), "h_n") == 0)
    // i, f, g, o from sums of 0, ln 3, 0.625, −ln 3: ½, ¾, 0.5546, ¼.
    let ln3 = 1.098_612_288_668_109_8
    let lstm = try run(
      RecurrentConfiguration(.lstm, 1, 1), [0, 0, 2, 0], [0, 0, 3, 0], [0, ln3, 0.125, 0],
      [0, 0, 0.25, -ln3])
    let c = 0.75 * 0.75 + 0.5 * 0.554_599_722_349_382_3
    #expect(abs(try value(lstm, "c_n") - c) < 1e-15)
    #expect(abs(try value(lstm, "h_n") - 0.25 * 0.685_703_040_961_277_5) < 1e-15)
    // r = ¾, z = ¼, n = tanh(0.5 · 2 + 0.125 + ¾ · (−0.25 · 3 + 0.25)) = tanh(0.75)
    let gru = try run(
      RecurrentConfiguration(.gru, 1, 1), [0, 0, 2], [0, 0, 3], [ln3, 0, 0.125],
      [0, -ln3, 0.25])
    #expect(abs(try value(gru, "h_n") - (0.75 * 0.635_148_952_387_287_3 - 0.25 * 0.25)) < 1e-15)
    // n = tanh(0.5 · 2 + 0.125 + 3 · (¾ · −0.25) + 0.25) = tanh(0.8125)
    let before = try run(
      RecurrentConfiguration(.gru, 1, 1, reset: .before), [0, 0, 2], [0, 0, 3], [ln3, 0, 0.125],
      [0, -ln3, 0.25])
    #expect(abs(try value(before, "h_n") - (0.75 * 0.670_967_074_206_873_7 - 0.25 * 0.25)) < 1e-15)
    // i, f, o from sums of 1, −1, 9: 0.2 · 1 + 0.5 and so on, and 1; ⅙ · 1 + ½ and so on, and 1.
    for (sigmoid, i, f) in [
      (RecurrentConfiguration.Sigmoid.hardKeras2, 0.7, 0.3), (.hardTorch, 2.0 / 3, 1.0 / 3),
    ] {
      let hard = try run(
        RecurrentConfiguration(.lstm, 1, 1, sigmoid: sigmoid), [0, 0, 2, 0], [0, 0, 3, 0],
        [1, -1, 0.125, 9], [0, 0, 0.25, 0])
      #expect(abs(try value(hard, "c_n") - (f * 0.75 + i * 0.554_599_722_349_382_3)) < 1e-15)
      #expect(abs(try value(hard, "h_n") - Foundation.tanh(value(hard, "c_n"))) < 1e-15)
    }
  }

  // MARK: Fast against reference

  static let oneStep: [Network] = {
    var networks: [Network] = []
    for (seed, size) in [(1, 1), (2, 17), (3, 64), (4, 130), (5, 300)] {
      for kind in RecurrentConfiguration.Kind.allCases {
        for scale: Float in size > 200 ? [1] : [1, 10, 1000] {
          var network = Network(
            RecurrentConfiguration(
              kind, size / 2 + 1, size, projection: kind == .lstm && size == 64 ? 20 : 0))
          network.scale = scale
          network.seed = UInt64(seed)
          networks.append(network)
        }
      }
    }
    return networks
  }()

  @Test("One step in float32 is within the bound that its sums allow", arguments: oneStep)
  func oneStepBound(network: Network) throws {
    let configuration = network.stacks[0]
    let inputs = try network.inputs(steps: 1, batch: 2)
    let fast = try network.model().evaluate(inputs)
    let reference = try ReferenceModel(network.blueprint()).evaluate(inputs)

    // Half a unit for each addition on the way of a product: its block, the blocks, the bias.
    let unit = Double(Float.ulpOfOne) / 2
    func additions(_ count: Int) -> Double { Double(min(count, 32) + (count + 31) / 32 + 2) }
    // |w| ≤ scale/√H, |x| ≤ 2, |h| ≤ 1; every sum is at most this large.
    let weight = Double(network.scale) / Double(configuration.hiddenSize).squareRoot()
    let terms = Double(2 * configuration.inputSize + configuration.stateSize + 2)
    let sum =
      unit * weight * terms
      * (additions(configuration.inputSize) + additions(configuration.stateSize))
    // Slopes are at most 1, |c| at most 2 and hence of every product in it; the activations add
    // 2.5 units each.
    var bound = 4 * sum + 20 * unit * 2
    if configuration.projectionSize > 0 {
      // W_hr sums H errors, and its own.
      let size = configuration.hiddenSize
      bound = weight * Double(size) * (bound + unit * additions(size))
    }
    for (name, tensor) in fast {
      let expected = try #require(reference[name]).doubles()
      for (value, exact) in zip(try tensor.doubles(), expected) {
        #expect(abs(value - exact) <= bound, "\(name)")
      }
    }
  }

  static let sequences: [Network] = [
    Network(RecurrentConfiguration(.rnn, 20, 33, layers: 2)),
    Network(RecurrentConfiguration(.rnn, 20, 33, relu: true)),
    Network(RecurrentConfiguration(.lstm, 20, 50, layers: 2)),
    Network(RecurrentConfiguration(.lstm, 20, 40, bidirectional: true, projection: 10)),
    Network(RecurrentConfiguration(.gru, 40, 70), head: HeadConfiguration(70, 10, .softmax)),
    Network(RecurrentConfiguration(.gru, 20, 20, layers: 3, bidirectional: true)),
    Network(RecurrentConfiguration(.gru, 40, 70, layers: 2, reset: .before)),
    Network(RecurrentConfiguration(.gru, 20, 130, reset: .before, sigmoid: .hardTorch)),
    Network(RecurrentConfiguration(.lstm, 20, 50, layers: 2, sigmoid: .hardKeras2)),
    Network(
      RecurrentConfiguration(.gru, 3, 40, batchFirst: true),
      RecurrentConfiguration(.lstm, 40, 10, bidirectional: true, batchFirst: true),
      head: HeadConfiguration(20, 3, .sigmoid, on: .finalState)),
  ]

  @Test("Whole sequences with weights as PyTorch makes them are within 1e-6", arguments: sequences)
  func sequence(network: Network) throws {
    let inputs = try network.inputs(steps: 25, batch: 2)
    let fast = try network.model().evaluate(inputs)
    let reference = try ReferenceModel(network.blueprint()).evaluate(inputs)
    let verification = try Verification(
      fast, against: reference, tolerance: .elementwise(absolute: 1e-6, relative: 1e-6))
    for row in verification.rows { #expect(row.isPassed, "\(row.name): \(row.largestError)") }
  }

  // MARK: Its own interface

  @Test("A sequence may be run in pieces, the state handed on")
  func pieces() throws {
    let network = Network(RecurrentConfiguration(.lstm, 2, 5, layers: 2, projection: 3))
    let model = try ReferenceModel(network.blueprint())
    let sequence = (0..<7).map { [Double($0) / 7, 1 - Double($0) / 3] }
    let zero = [ReferenceModel.State(network.stacks[0])]
    let whole = model.run(sequence, from: zero)
    let first = model.run(Array(sequence[..<3]), from: zero)
    let second = model.run(Array(sequence[3...]), from: first.states)
    #expect(first.output + second.output == whole.output)
    #expect(second.states == whole.states)
    #expect(whole.output.last == whole.states[0].hidden[1])
    #expect(whole.head == nil)
  }

  @Test("NaN goes through relu and softmax")
  func notANumber() throws {
    for activation in [HeadConfiguration.Activation.relu, .softmax] {
      let network = Network(
        RecurrentConfiguration(.rnn, 1, 2, relu: true), head: HeadConfiguration(2, 3, activation))
      let model = try ReferenceModel(network.blueprint())
      let result = model.run([[.nan]], from: [ReferenceModel.State(network.stacks[0])])
      #expect(result.output[0].allSatisfy { $0.isNaN })
      #expect(result.head?[0].allSatisfy { $0.isNaN } == true)
    }
  }
}
