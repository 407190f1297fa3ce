import CRecurrentKernels
import Checkpoints
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

@Suite struct KernelTests {
  // MARK: Activations

  struct Activation: Sendable, CustomTestStringConvertible {
    var name: String
    var kernel: strata_activation
    /// What it is, in float64.
    var exact: @Sendable (Double) -> Double
    /// The largest error in units in the last place.
    var bound: Double
    var testDescription: String { name }
  }

  static let activations = [
    Activation(
      name: "sigmoid", kernel: STRATA_ACTIVATION_SIGMOID, exact: { 1 / (1 + exp(-$0)) }, bound: 2),
    Activation(name: "tanh", kernel: STRATA_ACTIVATION_TANH, exact: { tanh($0) }, bound: 2),
    Activation(
      name: "relu", kernel: STRATA_ACTIVATION_RELU, exact: { $0.isNaN ? $0 : max($0, 0) }, bound: 0),
    Activation(name: "none", kernel: STRATA_ACTIVATION_NONE, exact: { $0 }, bound: 0),
  ]

  /// How many sets of kernels there are.
  static let setCount = InstructionSet.available.count

  private func activate(_ activation: strata_activation, _ values: [Float], set: Int) -> [Float] {
    guard let kernels = unsafe strata_kernels_at(set) else { return [] }
    var values = values
    unsafe values.withUnsafeMutableBufferPointer {
      unsafe kernels.pointee.activate(activation, $0.baseAddress, $0.count)
    }
    return values
  }

  /// Every `step`th of the 2^32 floats, NaN and infinities among them, and the ends of the scale.
  static let sample: [Float] = {
    var patterns: [UInt32] = Array(stride(from: 0, through: UInt32.max - 20_011, by: 20_011))
    for edge: UInt32 in [
      0, 0x0080_0000, 0x3F80_0000, 0x3F19_9999, 0x42AE_AC4F, 0x42CF_F1B4, 0x42D0_0000, 0x7F80_0000,
    ] {
      for offset: UInt32 in 0..<8 { patterns += [edge &+ offset, edge &- offset] }
    }
    return patterns.flatMap { [Float(bitPattern: $0), -Float(bitPattern: $0)] }
  }()

  @Test("An activation is within its bound over all floats", arguments: activations)
  func accuracy(activation: Activation) {
    let values = activate(activation.kernel, Self.sample, set: 0)
    var worst = (error: 0.0, input: Float(0))
    for (input, value) in zip(Self.sample, values) {
      let exact = activation.exact(Double(input))
      if exact.isNaN || value.isNaN {
        if exact.isNaN != value.isNaN { worst = (.infinity, input) }
        continue
      }
      if Double(value) == exact { continue }
      // Rounded, the exact value may be 1 and its neighbour below have a finer unit.
      let unit = max(Double(Float(exact).ulp), Double(Float.leastNonzeroMagnitude))
      let error = abs(Double(value) - exact) / unit
      if !(error <= worst.error) { worst = (error, input) }
    }
    #expect(worst.error <= activation.bound, "at \(worst.input)")
  }

  @Test("An activation has the same bits for all instruction sets", arguments: activations)
  func sameBits(activation: Activation) {
    let expected = activate(activation.kernel, Self.sample, set: 0).bits
    for set in 1..<max(1, Self.setCount) {
      #expect(activate(activation.kernel, Self.sample, set: set).bits == expected)
    }
  }

  @Test("Special values are exact", arguments: 0..<setCount)
  func specialValues(set: Int) {
    let tiny = Float.leastNonzeroMagnitude
    let small = Float(bitPattern: 71_362)
    let inputs: [Float] = [
      0, -0.0, .infinity, -.infinity, tiny, -tiny, small, -small, .nan, 200, -200,
    ]
    func check(_ activation: strata_activation, _ expected: [Float]) {
      #expect(activate(activation, inputs, set: set).bits == expected.bits)
    }
    check(STRATA_ACTIVATION_SIGMOID, [0.5, 0.5, 1, 0, 0.5, 0.5, 0.5, 0.5, .nan, 1, 0])
    check(
      STRATA_ACTIVATION_TANH, [0, -0.0, 1, -1, tiny, -tiny, small, -small, .nan, 1, -1])
    check(STRATA_ACTIVATION_RELU, [0, -0.0, .infinity, 0, tiny, 0, small, 0, .nan, 200, 0])
    check(STRATA_ACTIVATION_NONE, inputs)
  }

  @Test("A place in the row does not change the value", arguments: activations)
  func places(activation: Activation) {
    let row = Array(Self.sample[1000..<1050])
    let expected = activate(activation.kernel, row, set: 0).bits
    for start in 0..<20 {
      #expect(
        activate(activation.kernel, Array(row[start...]), set: 0).bits == Array(expected[start...]))
    }
    #expect(activate(activation.kernel, [], set: 0).isEmpty)
  }

  @Test("Softmax", arguments: [1, 2, 5, 16, 17, 33, 200])
  func softmax(count: Int) {
    var generator = SeededGenerator(seed: UInt64(count))
    for bound: Float in [0.1, 1, 10, 1000] {
      let row = generator.floats(count, bound)
      let values = activate(STRATA_ACTIVATION_SOFTMAX, row, set: 0)
      let largest = row.max() ?? 0
      let powers = row.map { exp(Double($0) - Double(largest)) }
      let total = powers.reduce(0, +)
      for (value, power) in zip(values, powers) {
        // Rounding x − largest costs half a unit of the difference, the sum half a unit for each term.
        let unit = Double(Float.ulpOfOne)
        let error = (4 + Double(count) / 2 + Double(bound)) * unit * power / total
        #expect(abs(Double(value) - power / total) <= error + 1e-44, "\(generator), ±\(bound)")
      }
      for set in 1..<max(1, Self.setCount) {
        #expect(activate(STRATA_ACTIVATION_SOFTMAX, row, set: set).bits == values.bits)
      }
      for special in [Float.nan, .infinity] {
        var spoiled = row
        spoiled[count / 2] = special
        #expect(activate(STRATA_ACTIVATION_SOFTMAX, spoiled, set: 0).allSatisfy { $0.isNaN })
      }
      guard count > 1 else { continue }
      var masked = row
      masked[count / 2] = -.infinity
      let rest = activate(STRATA_ACTIVATION_SOFTMAX, masked, set: 0)
      #expect(rest[count / 2] == 0)
      #expect(abs(rest.reduce(0, +) - 1) < 1e-5)
    }
  }

  // MARK: Instruction sets

  @Test func theSetsAreNamed() {
    let names = InstructionSet.available.map(\.description)
    #expect(names.last == "portable")
    #expect(Set(names).count == names.count)
    #expect(Set(names).isSubset(of: ["avx512", "avx2", "portable"]))
    #expect(InstructionSet.fastest == InstructionSet.available[0])
  }

  static let sizes = [1, 5, 16, 17, 33, 48, 70]

  static let networks: [Network] = {
    var networks: [Network] = []
    for (index, size) in sizes.enumerated() {
      let input = sizes[(index + 3) % sizes.count]
      for kind in RecurrentConfiguration.Kind.allCases {
        networks.append(
          Network(RecurrentConfiguration(kind, input, size, bidirectional: index % 2 == 0)))
        networks.append(
          Network(
            RecurrentConfiguration(kind, size, input, bias: index % 2 == 0, relu: true),
            head: HeadConfiguration(
              input, size, HeadConfiguration.Activation.allCases[index % 5])))
      }
      if size > 1 {
        networks.append(
          Network(
            RecurrentConfiguration(
              .lstm, input, size, layers: 2, bidirectional: index % 2 == 1,
              projection: size - 1 - index)))
      }
    }
    return networks
  }()

  @Test("Every instruction set gives the same bits", arguments: networks)
  func instructionSets(network: Network) throws {
    let model = try network.model()
    var generator = SeededGenerator(seed: network.seed)
    let input = generator.floats(3 * 5 * network.stacks[0].inputSize, 2)
    var results: [(output: [UInt32], state: [RecurrentState])] = []
    for set in InstructionSet.available {
      let session = model.makeSession(batchSize: 5, instructionSet: set)
      #expect(session.instructionSet == set)
      results.append((try session.output(input).bits, session.state))
    }
    for result in results.dropFirst() {
      #expect(result.output == results[0].output)
      #expect(result.state == results[0].state)
    }
    #expect(Set(results[0].output).count > 1 || results[0].output.count <= 15)
  }
}
