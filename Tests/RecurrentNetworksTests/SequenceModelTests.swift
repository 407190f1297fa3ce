import Checkpoints
import CheckpointsHDF5
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

@Suite struct SequenceModelTests {
  static let networks: [Network] = [
    Network(
      RecurrentConfiguration(.lstm, 3, 17, layers: 2, bidirectional: true, projection: 4),
      head: HeadConfiguration(8, 3, .softmax, on: .finalState)),
    Network(RecurrentConfiguration(.rnn, 3, 5, relu: true, batchFirst: true)),
    Network(
      RecurrentConfiguration(.gru, 3, 6), RecurrentConfiguration(.gru, 6, 6, bias: false),
      head: HeadConfiguration(6, 1, .sigmoid, on: .last, bias: false)),
  ]

  @Test("Wherever a model is loaded from, it gives the same bits", arguments: networks)
  func sources(network: Network) throws {
    let directory = try TemporaryDirectory()
    let checkpoint = try network.checkpoint()
    let inputs = try network.inputs(steps: 5, batch: 3)
    let expected = try SequenceModel(checkpoint).evaluate(inputs)
    func expect(_ model: SequenceModel, _ source: Comment) throws {
      #expect(try model.evaluate(inputs) == expected, source)
      #expect(model.blueprint.assumptions.isEmpty, source)
    }

    let plain = directory.path("model.strata")
    try checkpoint.write(to: plain)
    let deflated = directory.path("deflated.strata")
    try checkpoint.write(to: deflated, options: WriteOptions(compression: .deflate))
    for path in [plain, deflated] {
      try expect(SequenceModel(contentsOf: path), "path")
      try expect(SequenceModel(contentsOf: URL(filePath: path)), "URL")
      try expect(SequenceModel(Checkpoint(mappingImmutableFileAt: path)), "mapped")
      try expect(
        SequenceModel(Checkpoint(mappingImmutableFileAt: path, verify: .directory)),
        "mapped, unverified")
      try expect(SequenceModel(Checkpoint(Data(contentsOf: URL(filePath: path)))), "Data")
      try expect(
        SequenceModel(Checkpoint([UInt8](Data(contentsOf: URL(filePath: path))))), "bytes")
    }
    for layout in [WriteOptions.HDF5Layout.flat, .nested] {
      let path = directory.path("\(layout.rawValue).h5")
      try checkpoint.write(
        to: path, format: HDF5Format(), options: WriteOptions(hdf5Layout: layout))
      try expect(SequenceModel(contentsOf: path, formats: Goldens.formats), "HDF5")
    }
    expectFault(.unknownFormat) {
      _ = try SequenceModel(contentsOf: directory.path("flat.h5"))
    }
    expectFault(.fileNotFound) { _ = try SequenceModel(contentsOf: directory.path("none.strata")) }
  }

  @Test(
    "Weights in another dtype are those values",
    arguments: [DType.float16, .bfloat16, .float64])
  func dtypes(dtype: DType) throws {
    let network = Networks.dtypes
    // What the dtype makes of the weights, in that dtype and in float32 again.
    var (stored, widened) = (StateDict(), StateDict())
    for (name, tensor) in try network.stateDict() {
      stored[name] = try tensor.converted(to: dtype)
      widened[name] = try tensor.converted(to: dtype).converted(to: .float32)
    }
    let inputs = try network.inputs(steps: 5, batch: 2)
    let json = try network.description.json
    let model = try SequenceModel(Checkpoint(stateDict: stored, modelDescription: json))
    let expected = try SequenceModel(Checkpoint(stateDict: widened, modelDescription: json))
    #expect(try model.evaluate(inputs) == expected.evaluate(inputs))
    if dtype != .float64 {
      #expect(try model.evaluate(inputs) != network.model().evaluate(inputs))
    }
  }

  @Test("Float64 weights are used in full by the reference, and rounded once by the runtime")
  func wideWeights() throws {
    let fine = 1 + 0x1p-40
    var dict: StateDict = [
      "weight_ih_l0": Tensor([fine], shape: [1, 1]), "weight_hh_l0": Tensor([0.0], shape: [1, 1]),
    ]
    var options = ModelOptions()
    options.nonlinearity = .relu
    let inputs: StateDict = ["input": Tensor([1.0], shape: [1, 1])]
    let blueprint = try ModelBlueprint(Checkpoint(stateDict: dict).contents, options: options)
    #expect(try #require(ReferenceModel(blueprint).evaluate(inputs)["h_n"]).doubles() == [fine])
    #expect(try #require(SequenceModel(blueprint).evaluate(inputs)["h_n"]).floats() == [1])
    dict["weight_ih_l0"] = Tensor([Float(1)], shape: [1, 1])
    #expect(
      try #require(
        SequenceModel(Checkpoint(stateDict: dict), options: options).evaluate(inputs)["h_n"]
      ).floats() == [1])
  }

  @Test("The shapes of results")
  func shapes() throws {
    func shapes(_ network: Network) throws -> [Shape] {
      let model = try network.model()
      return [
        model.recurrentOutputShape(steps: 4, batchSize: 2),
        model.outputShape(steps: 4, batchSize: 2),
      ]
    }
    let major = RecurrentConfiguration(.lstm, 3, 5, bidirectional: true)
    var first = major
    first.isBatchFirst = true
    #expect(try shapes(Network(major)) == [[4, 2, 10], [4, 2, 10]])
    #expect(try shapes(Network(first)) == [[2, 4, 10], [2, 4, 10]])
    #expect(
      try shapes(Network(major, head: HeadConfiguration(10, 7))) == [[4, 2, 10], [4, 2, 7]])
    #expect(
      try shapes(Network(first, head: HeadConfiguration(10, 7))) == [[2, 4, 10], [2, 4, 7]])
    for place in [HeadConfiguration.Input.last, .finalState] {
      #expect(
        try shapes(Network(first, head: HeadConfiguration(10, 7, on: place)))
          == [[2, 4, 10], [2, 7]])
    }
  }

  @Test("A damaged file makes no model")
  func damaged() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path("model.strata")
    try Self.networks[0].checkpoint().write(to: path)
    var bytes = try directory.read("model.strata")
    bytes[bytes.count / 2] ^= 4
    try directory.write(bytes, to: "damaged.strata")
    #expect(throws: CheckpointError.self) {
      try SequenceModel(contentsOf: directory.path("damaged.strata"))
    }
  }
}

private enum Networks {
  static let dtypes = Network(
    RecurrentConfiguration(.gru, 3, 17, layers: 2), head: HeadConfiguration(17, 3, .tanh))
}
