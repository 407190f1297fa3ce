import Checkpoints
import CheckpointsHDF5
import RecurrentNetworks
import TestSupport
import Testing

@Suite struct RecurrentConfigurationTests {
  /// Everything that shapes can tell.
  static let configurations: [RecurrentConfiguration] = {
    var all: [RecurrentConfiguration] = []
    for kind in RecurrentConfiguration.Kind.allCases {
      for layers in 1...3 {
        for bidirectional in [false, true] {
          for bias in [true, false] {
            for projection in kind == .lstm ? [0, 3] : [0] {
              all.append(
                RecurrentConfiguration(
                  kind, 3, 5, layers: layers, bidirectional: bidirectional, projection: projection,
                  bias: bias))
            }
          }
        }
      }
    }
    for kind in RecurrentConfiguration.Kind.allCases {
      for (input, hidden) in [(1, 1), (5, 5), (4, 4), (12, 3), (3, 12), (1, 7), (9, 3), (16, 4)] {
        for layers in 1...2 {
          all.append(RecurrentConfiguration(kind, input, hidden, layers: layers))
          all.append(
            RecurrentConfiguration(kind, input, hidden, layers: layers, bidirectional: true))
        }
      }
    }
    for hidden in [2, 4, 5, 8] {
      for projection in Set([1, hidden - 1, hidden / 2]) {
        for bidirectional in [false, true] {
          all.append(
            RecurrentConfiguration(
              .lstm, projection, hidden, layers: 2, bidirectional: bidirectional,
              projection: projection))
        }
      }
    }
    return all
  }()

  @Test("A configuration is inferred from names and shapes alone", arguments: configurations)
  func inference(configuration: RecurrentConfiguration) throws {
    var generator = SeededGenerator(seed: UInt64(configuration.hiddenSize))
    for module in ["", "rnn", "encoder.rnn", "module.0"] {
      let parameters = try configuration.parameters(ofModule: module)
      for order in [parameters, parameters.reversed(), parameters.shuffled(using: &generator)] {
        var dict = StateDict()
        for (name, shape) in order { try dict.append(.zeros(shape), named: name.description) }
        let mapping = try ParameterMapping(of: Checkpoint(stateDict: dict).contents)
        #expect(mapping.isComplete)
        #expect(mapping.taken == order.map(\.name.description))
        #expect(mapping.leftOver.isEmpty)
        #expect(
          mapping.description.modules == [
            .init(
              name: module, inputs: [ModelDescription.modelInput],
              kind: .recurrent(configuration))
          ])
      }
    }
  }

  @Test("The parameters of a configuration are those that PyTorch made", arguments: Goldens.cases)
  func parametersOfPyTorch(name: String) throws {
    let contents = try Goldens.modelReader(name).contents
    let mapping = try ParameterMapping(of: contents)
    let stacks = mapping.description.modules.compactMap { module in
      if case .recurrent(let configuration) = module.kind {
        (module.name, configuration)
      } else {
        nil
      }
    }
    #expect(!stacks.isEmpty)
    for (path, configuration) in stacks {
      let found = contents.tensors.filter { ParameterName($0.name)?.module == path }
      let expected = try configuration.parameters(ofModule: path)
      #expect(found.map(\.name) == expected.map(\.name.description))
      #expect(found.map(\.shape) == expected.map(\.shape))
      // What shapes told is what the module's own attributes said.
      let record = try #require(contents.moduleRecords.first { $0.path == path })
      func option(_ name: String) -> String? { record.options[name]?.description }
      let type = configuration.kind.rawValue.uppercased() + (configuration.isCell ? "Cell" : "")
      #expect(record.type.hasSuffix(type))
      #expect(option("input_size") == "\(configuration.inputSize)")
      #expect(option("hidden_size") == "\(configuration.hiddenSize)")
      // A cell has no layers, no directions and no order of dimensions.
      let (one, none) = configuration.isCell ? ("1", "false") : ("", "")
      #expect(option("num_layers") ?? one == "\(configuration.layerCount)")
      #expect(option("bidirectional") ?? none == "\(configuration.isBidirectional)")
      #expect(option("bias") == "\(configuration.hasBias)")
      #expect(option("batch_first") ?? none == "\(configuration.isBatchFirst)")
      #expect(option("proj_size") ?? "0" == "\(configuration.projectionSize)")
      if configuration.kind == .rnn {
        #expect(option("nonlinearity") == configuration.nonlinearity.rawValue)
      }
    }
  }

  @Test("Sizes that follow from others")
  func derivedSizes() {
    let plain = RecurrentConfiguration(.gru, 3, 5, layers: 2, bidirectional: true)
    #expect(plain.stateSize == 5)
    #expect(plain.outputSize == 10)
    #expect(plain.inputSize(ofLayer: 0) == 3)
    #expect(plain.inputSize(ofLayer: 1) == 10)
    #expect(plain.directions == [.forward, .reverse])
    let projected = RecurrentConfiguration(.lstm, 3, 5, layers: 2, projection: 2)
    #expect(projected.stateSize == 2)
    #expect(projected.outputSize == 2)
    #expect(projected.inputSize(ofLayer: 1) == 2)
    #expect(RecurrentConfiguration.Kind.allCases.map(\.gateCount) == [1, 4, 3])
  }

  @Test(
    "It prints as PyTorch does",
    arguments: [
      (RecurrentConfiguration(.lstm, 3, 5), "LSTM(3, 5)"),
      (
        RecurrentConfiguration(.rnn, 3, 5, layers: 2, relu: true, batchFirst: true),
        "RNN(3, 5, num_layers=2, nonlinearity='relu', batch_first=True)"
      ),
      (
        RecurrentConfiguration(.lstm, 3, 5, bidirectional: true, projection: 2, bias: false),
        "LSTM(3, 5, bias=False, bidirectional=True, proj_size=2)"
      ),
      (
        RecurrentConfiguration(.gru, 3, 5, bias: false, reset: .before, sigmoid: .hardTorch),
        "GRU(3, 5, gru_reset='before', sigmoid='hard_torch', bias=False)"
      ),
      (
        RecurrentConfiguration(.lstm, 3, 5, reset: .before, sigmoid: .hardKeras2),
        "LSTM(3, 5, sigmoid='hard_keras2')"
      ),
      (RecurrentConfiguration(.rnn, 3, 5, reset: .before, sigmoid: .hardKeras2), "RNN(3, 5)"),
    ])
  func description(configuration: RecurrentConfiguration, text: String) {
    #expect(configuration.description == text)
  }

  @Test func sizesOutOfThisWorldThrow() {
    for size in [Int.max, Int.max / 4, 1 << 40] {
      let configuration = RecurrentConfiguration(.lstm, 1, size)
      expectFault(.shapeOverflow) { _ = try configuration.parameters(ofModule: "") }
    }
  }

  @Test(
    "A head prints what it is",
    arguments: [
      (HeadConfiguration(4, 2), "Linear(4, 2)"),
      (
        HeadConfiguration(4, 2, .softmax, on: .last, bias: false),
        "Linear(4, 2, bias=False) + softmax on the last step"
      ),
      (HeadConfiguration(4, 2, .tanh, on: .finalState), "Linear(4, 2) + tanh on h_n"),
    ])
  func headDescription(head: HeadConfiguration, text: String) {
    #expect(head.description == text)
  }
}
