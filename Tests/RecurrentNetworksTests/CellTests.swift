import Checkpoints
import RecurrentNetworks
import TestSupport
import Testing

@Suite struct CellTests {
  static let stacks: [RecurrentConfiguration] = [
    RecurrentConfiguration(.rnn, 3, 5),
    RecurrentConfiguration(.rnn, 1, 17, bias: false, relu: true),
    RecurrentConfiguration(.lstm, 3, 5), RecurrentConfiguration(.lstm, 20, 18, bias: false),
    RecurrentConfiguration(.gru, 3, 5), RecurrentConfiguration(.gru, 2, 33, bias: false),
  ]

  private func options(_ stack: RecurrentConfiguration) -> ModelOptions {
    var options = ModelOptions()
    options.nonlinearity = stack.nonlinearity
    return options
  }

  /// The weights of a stack under the names of one cell for each layer.
  private func cells(_ stack: RecurrentConfiguration, named path: (Int) -> String) throws
    -> StateDict
  {
    var cells = StateDict()
    for (text, tensor) in try Network(stack).stateDict() {
      let name = try #require(ParameterName(text))
      let cell = ParameterName(module: path(name.layer), ofCell: name.kind)
      try cells.append(tensor, named: cell.description)
    }
    return cells
  }

  @Test("A cell that is stepped gives the bits of the stack of one layer", arguments: stacks)
  func oneCell(stack: RecurrentConfiguration) throws {
    let checkpoint = Checkpoint(stateDict: try cells(stack) { _ in "cell" })
    let cell = try SequenceModel(checkpoint, options: options(stack))
    #expect(cell.blueprint.isCell)
    #expect(cell.stacks.map(\.name) == ["cell"])
    var configuration = stack
    configuration.isCell = true
    #expect(cell.stacks.map(\.configuration) == [configuration])

    let whole = try Network(stack).model().makeSession(batchSize: 2)
    let session = cell.makeSession(batchSize: 2)
    for each in [whole, session] { each.reset(to: .normal(deviation: 1, seed: 50)) }
    #expect(session.state == whole.state)
    var generator = SeededGenerator(seed: 51)
    let width = 2 * stack.inputSize
    let input = generator.floats(12 * width, 2)
    let expected = try whole.output(input)
    var output: [Float] = []
    for step in 0..<12 {
      output += try session.output(Array(input[(step * width)..<((step + 1) * width)]))
    }
    #expect(output.bits == expected.bits)
    #expect(session.state == whole.state)
    // In one call too.
    session.reset(to: .normal(deviation: 1, seed: 50))
    #expect(try session.output(input).bits == expected.bits)
  }

  @Test(
    "One call of a cell by name takes and gives [batch, features], or [features]",
    arguments: stacks)
  func byName(stack: RecurrentConfiguration) throws {
    let checkpoint = Checkpoint(stateDict: try cells(stack) { _ in "cell" })
    let blueprint = try ModelBlueprint(checkpoint.contents, options: options(stack))
    let cell = try SequenceModel(blueprint)
    let reference = try ReferenceModel(blueprint)
    let whole = try Network(stack).model()
    var generator = SeededGenerator(seed: 52)
    let hidden = stack.hiddenSize
    let (x, h, c) = (
      generator.floats(2 * stack.inputSize, 2), generator.floats(2 * hidden),
      generator.floats(2 * hidden)
    )
    func inputs(_ shape: (Int) -> Shape, _ state: (Int) -> Shape, lanes: Int) -> StateDict {
      var inputs: StateDict = [
        "input": Tensor(Array(x[..<(lanes * stack.inputSize)]), shape: shape(stack.inputSize)),
        "h_0": Tensor(Array(h[..<(lanes * hidden)]), shape: state(hidden)),
      ]
      if stack.kind == .lstm {
        inputs["c_0"] = Tensor(Array(c[..<(lanes * hidden)]), shape: state(hidden))
      }
      return inputs
    }
    let expected = try whole.evaluate(inputs({ [1, 2, $0] }, { [1, 2, $0] }, lanes: 2))
    let batched = inputs({ [2, $0] }, { [2, $0] }, lanes: 2)
    let results = try cell.evaluate(batched)
    #expect(results.map(\.name) == (stack.kind == .lstm ? ["h_n", "c_n"] : ["h_n"]))
    for (name, tensor) in results {
      #expect(tensor.shape == [2, hidden])
      #expect(try tensor.floats().bits == #require(try expected[name]?.floats()).bits)
    }
    let single = try cell.evaluate(inputs({ [$0] }, { [$0] }, lanes: 1))
    for (name, tensor) in single {
      #expect(tensor.shape == [hidden])
      let both = try #require(try results[name]?.floats())
      #expect(try tensor.floats().bits == Array(both[..<hidden]).bits)
    }
    let verification = try Verification(
      results, against: reference.evaluate(batched),
      tolerance: .elementwise(absolute: 1e-6, relative: 1e-6))
    #expect(verification.isPassed)
  }

  @Test(
    "Cells that are declared a stack are one, bit for bit",
    arguments: [
      RecurrentConfiguration.Kind.rnn, .lstm, .gru,
    ], [2, 3])
  func declaredStack(kind: RecurrentConfiguration.Kind, count: Int) throws {
    let stack = RecurrentConfiguration(kind, 3, 5, layers: count)
    let checkpoint = Checkpoint(stateDict: try cells(stack) { "cells.\($0)" })
    var options = ModelOptions()
    options.cells = .stack
    let model = try SequenceModel(checkpoint, options: options)
    #expect(model.stacks.map(\.name) == (0..<count).map { "cells.\($0)" })
    let whole = try Network(stack).model().makeSession(batchSize: 2)
    let session = model.makeSession(batchSize: 2)
    var generator = SeededGenerator(seed: 53)
    var states = session.state
    var state = whole.state[0]
    state.hidden = generator.floats(state.hidden.count)
    state.cell = generator.floats(state.cell.count)
    whole.state = [state]
    for layer in 0..<count {
      states[layer].hidden = Array(state.hidden(layer: layer))
      if kind == .lstm { states[layer].cell = Array(state.cell(layer: layer)) }
    }
    session.state = states
    let input = generator.floats(12 * 2 * 3, 2)
    #expect(try session.output(input).bits == whole.output(input).bits)
    for layer in 0..<count {
      #expect(session.state[layer].hidden.bits == Array(whole.state[0].hidden(layer: layer)).bits)
      guard kind == .lstm else { continue }
      #expect(session.state[layer].cell.bits == Array(whole.state[0].cell(layer: layer)).bits)
    }
  }

  @Test("Cells that nothing declares a stack are models of their own", arguments: [false, true])
  func separate(isTold: Bool) throws {
    let stack = RecurrentConfiguration(.gru, 5, 5, layers: 2)
    let checkpoint = Checkpoint(stateDict: try cells(stack) { "cells.\($0)" })
    var options = ModelOptions()
    if isTold { options.cells = .separate }
    let error = expectFault(.ambiguousModel) {
      _ = try SequenceModel(checkpoint, options: options)
    }
    #expect(error?.reason.contains("cells.0") == true)
    #expect(error?.reason.contains("cells.1") == true)
    for index in 0..<2 {
      let model = try SequenceModel(checkpoint, module: "cells.\(index)", options: options)
      #expect(model.stacks.map(\.name) == ["cells.\(index)"])
      #expect(try model.makeSession().output([1, 2, 3, 4, 5]).count == 5)
    }
  }

  @Test("Cells that do not chain by shape cannot be declared a stack")
  func noChain() throws {
    var dict = StateDict()
    var generator = SeededGenerator(seed: 54)
    for (path, input, hidden) in [("cells.0", 3, 5), ("cells.1", 4, 6)] {
      dict["\(path).weight_ih"] = generator.tensor([3 * hidden, input])
      dict["\(path).weight_hh"] = generator.tensor([3 * hidden, hidden])
    }
    var options = ModelOptions()
    options.cells = .stack
    expectFault(.shapeMismatch) {
      _ = try SequenceModel(Checkpoint(stateDict: dict), options: options)
    }
  }

  @Test(
    "PyTorch's cells in a list are what the golden says when they are stepped as a stack",
    arguments: ["cells-lstm", "cells-gru"])
  func fixtures(name: String) throws {
    let golden = try Goldens.golden(name)
    let contents = try Goldens.modelReader(name).contents
    for path in ["cells.0", "cells.1"] {
      let model = try SequenceModel(ModelBlueprint(contents, module: path))
      let results = try model.evaluate(golden, prefix: path + ".")
      var own = StateDict()
      for (name, tensor) in golden where name.hasPrefix(path + ".") { own[name] = tensor }
      #expect(try Verification(results, against: own).isPassed)
      #expect(results[path + ".h_n"] != nil)
    }
  }
}
