import TestSupport
import Testing

@testable import Checkpoints

/// Names, state dicts and notes, on objects that are put together by hand.
@Suite struct TorchTreeTests {
  private let heap = PickleHeap()

  private func tensor(size: [Int] = [1]) -> PickleValue {
    let storage = TorchStorage(key: "0", type: TorchDType.ofStorage("FloatStorage"), count: 1)
    return heap.add(
      .tensor(
        TorchTensor(
          type: storage.type, size: size,
          elements: .strided(storage, offset: 0, strides: size.map { _ in 1 }))))
  }

  private func text(_ text: String) -> PickleValue { heap.add(.text(text)) }

  private func dictionary(_ items: KeyValuePairs<String, PickleValue>) -> PickleValue {
    let dictionary = PickleDictionary(takesAttributes: true)
    dictionary.items = items.map { (text($0.key), $0.value) }
    return heap.add(.dictionary(dictionary))
  }

  private func record(
    _ module: String, _ name: String, _ state: KeyValuePairs<String, PickleValue>
  ) -> PickleValue {
    let record = PickleRecord(type: PickleGlobal(module: module, name: name), arguments: [])
    record.state = dictionary(state)
    return heap.add(.record(record))
  }

  private func lstm() -> PickleValue {
    record(
      "torch.nn.modules.rnn", "LSTM",
      [
        "training": .bool(true),
        "_parameters": dictionary(["weight_ih_l0": tensor(), "bias": .none]),
        "_buffers": dictionary(["kept": tensor(), "hidden": tensor()]),
        "_non_persistent_buffers_set": heap.add(.set([text("hidden")])),
        "_modules": dictionary([:]), "mode": text("LSTM"), "hidden_size": .int(4),
        "dropout": .float(0.5), "batch_first": .bool(true), "_private": .int(1),
        "table": tensor(), "all_weights": heap.add(.list([tensor()])),
      ])
  }

  private func tree(_ root: PickleValue) throws(CheckpointError) -> TorchTree {
    try TorchTree(root, in: heap)
  }

  @Test func aFlatStateDictHasNoNestedOnes() throws {
    let tree = try tree(
      dictionary(["b": tensor(), "a.x": tensor(), "c": .none, "m._extra_state": .int(1)]))
    #expect(tree.tensors.map(\.name) == ["b", "a.x"])
    #expect(tree.stateDicts.isEmpty)
    #expect(tree.ignored == ["m._extra_state: int"])
  }

  @Test func aTensorAloneHasAName() throws {
    #expect(try tree(tensor()).tensors.map(\.name) == ["tensor"])
  }

  @Test func nestedStateDictsAreFoundBesideOptimisers() throws {
    let state = PickleDictionary(takesAttributes: false)
    state.items = [(.int(0), dictionary(["exp_avg": tensor()]))]
    let optimizer = dictionary([
      "state": heap.add(.dictionary(state)), "param_groups": heap.add(.list([.int(1)])),
    ])
    let tree = try tree(
      dictionary([
        "epoch": .int(3), "model": dictionary(["w": tensor(), "v": tensor()]),
        "optimizers": heap.add(.list([optimizer])),
        "args": record(
          "argparse", "Namespace", ["lr": .float(0.1), "path": record("pathlib", "P", [:])]),
      ]))
    #expect(tree.tensors.map(\.name) == ["model.w", "model.v", "optimizers.0.state.0.exp_avg"])
    #expect(tree.stateDicts.map(\.path) == ["model"])
    #expect(tree.stateDicts.map(\.tensors) == [0..<2])
    #expect(
      tree.ignored == [
        "epoch: int", "1 value below optimizers", "args: argparse.Namespace, with pathlib.P",
      ])
  }

  @Test func singleNumbersMakeNoStateDict() throws {
    let number = tensor(size: [])
    let tree = try tree(
      dictionary([
        "state_dict": dictionary(["w": tensor(), "num_batches_tracked": number]),
        "metrics": dictionary(["loss": number, "best": number]),
        "callbacks": dictionary(["a.ckpt": dictionary(["score": number])]),
      ]))
    #expect(tree.stateDicts.map(\.path) == ["state_dict"])
    #expect(tree.tensors.count == 5)
  }

  @Test func modulesGiveWhatTheirStateDictGives() throws {
    let model = record(
      "mine", "Model",
      [
        "_parameters": dictionary(["scale": tensor()]), "_buffers": dictionary([:]),
        "_modules": dictionary(["rnn": lstm(), "none": .none]), "rate": .int(16000),
      ])
    let tree = try tree(dictionary(["model": model, "step": .int(1)]))
    #expect(
      tree.tensors.map(\.name) == ["model.scale", "model.rnn.weight_ih_l0", "model.rnn.kept"])
    #expect(tree.stateDicts.map(\.path) == ["model"])
    #expect(
      tree.moduleRecords == [
        ModuleRecord(path: "model", type: "mine.Model", options: ["rate": .number(16000)]),
        ModuleRecord(
          path: "model.rnn", type: "torch.nn.LSTM",
          options: [
            "mode": .string("LSTM"), "hidden_size": .number(4), "dropout": .number(0.5),
            "batch_first": .bool(true),
          ]),
      ])
    #expect(
      tree.ignored == [
        "step: int", "1 tensors beside the parameters and buffers of their modules: table",
        "1 attributes of modules that are no plain values",
      ])
  }

  @Test func weightsThatModulesKeepToThemselvesAreListed() throws {
    func packed() -> PickleValue {
      let type = PickleGlobal(module: "torch", name: "ScriptObject")
      let record = PickleRecord(type: type, arguments: [])
      let name = text("__torch__.torch.classes.quantized.LinearPackedParamsBase")
      record.state = heap.add(.tuple([.none, name]))
      return heap.add(.record(record))
    }
    func module(_ module: String) -> PickleValue {
      record(
        module, "Linear",
        [
          "_modules": dictionary([:]), "scale": .float(1), "_packed_params": packed(),
          "quantised": heap.add(
            .tensor(TorchTensor(type: nil, size: [], elements: .unreadable("quantised")))),
          "bias": tensor(),
        ])
    }
    let own = try tree(module("torch.ao.nn.quantized.modules.linear"))
    #expect(own.tensors.map(\.name) == ["_packed_params", "quantised"])
    #expect(
      own.ignored == ["1 tensors beside the parameters and buffers of their modules: bias"])
    guard case .unreadable(let reason) = own.tensors[0].tensor.elements else {
      Issue.record("a packed object was read")
      return
    }
    #expect(reason.contains("torch.classes.quantized.LinearPackedParamsBase"))
    // In a class of the user's own, a tensor beside the parameters is no weight.
    #expect(try tree(module("mine.quantized")).tensors.map(\.name) == ["_packed_params"])
  }

  /// An object that is met again is not walked over again, but nothing below it is lost.
  @Test func objectsThatAreMetAgainAreToldOnce() throws {
    let bare = record("numpy", "dtype", ["name": text("f8")])
    let child = PickleRecord(type: PickleGlobal(module: "mine", name: "Child"), arguments: [])
    let childValue = heap.add(.record(child))
    let parent = record("mine", "Parent", ["child": childValue, "w": tensor()])
    child.state = dictionary(["parent": parent])
    let scalars = (0..<3).map { _ in
      heap.add(
        .record(
          PickleRecord(
            type: PickleGlobal(module: "numpy", name: "scalar"), arguments: [bare, .float(1)])))
    }
    let tree = try tree(
      dictionary([
        "history": heap.add(.list(scalars + [.int(1), .none])),
        "one": record("mine", "Box", ["a": parent, "b": childValue, "d": bare]),
        "other": record("mine", "Box", ["d": bare]),
      ]))
    #expect(tree.tensors.map(\.name) == ["one.a.w", "one.b.parent.w"])
    #expect(
      tree.ignored == [
        "4 values below history, with numpy.scalar, numpy.dtype",
        "one: mine.Box, with mine.Parent, mine.Child, numpy.dtype",
        "other: mine.Box, with numpy.dtype",
      ])
  }

  @Test func aModuleAloneIsFlat() throws {
    let tree = try tree(lstm())
    #expect(tree.tensors.map(\.name) == ["weight_ih_l0", "kept"])
    #expect(tree.stateDicts.isEmpty)
  }

  /// Two names for one module, as tied weights have, are two tensors.
  @Test func oneModuleAtTwoPlacesIsReadTwice() throws {
    let shared = lstm()
    let tree = try tree(dictionary(["a": shared, "b": shared]))
    #expect(tree.tensors.count == 4)
    #expect(tree.stateDicts.map(\.path) == ["a", "b"])
  }

  @Test func anObjectThatKnowsItsParentIsNoFault() throws {
    let child = PickleRecord(type: PickleGlobal(module: "mine", name: "Child"), arguments: [])
    let childValue = heap.add(.record(child))
    let parent = record("mine", "Parent", ["child": childValue, "w": tensor()])
    child.state = dictionary(["parent": parent, "v": tensor()])
    #expect(try tree(parent).tensors.map(\.name) == ["child.v", "w"])
  }

  @Test func whatHoldsItselfIsRefused() throws {
    let list = heap.add(.list([]))
    #expect(heap.append([list], toList: list))
    #expect(code { () throws(CheckpointError) in try tree(list) } == .nestingLimit)
    var laughs = heap.add(.tuple([]))
    for _ in 0..<60 { laughs = heap.add(.tuple([laughs, laughs])) }
    #expect(code { () throws(CheckpointError) in try tree(laughs) } == .nestingLimit)
    var deep = heap.add(.list([tensor()]))
    for _ in 0..<300 { deep = heap.add(.list([deep])) }
    #expect(code { () throws(CheckpointError) in try tree(deep) } == .nestingLimit)
  }

  @Test func namesAreCheckedWhenTheyAreJoined() throws {
    let twice = dictionary(["a.b": tensor(), "a": dictionary(["b": tensor()])])
    #expect(code { () throws(CheckpointError) in try tree(twice) } == .duplicateName)
    for empty in [dictionary(["": tensor()]), dictionary(["a": dictionary(["": tensor()])])] {
      #expect(code { () throws(CheckpointError) in try tree(empty) } == .badName)
    }
    // Dots in a key are a part of the name, wherever they stand.
    let dots = dictionary(["a": dictionary([".": tensor(), "b.": tensor()]), ".": tensor()])
    #expect(try tree(dots).tensors.map(\.name) == ["a..", "a.b.", "."])
    let nul = dictionary(["a\u{0}": tensor()])
    #expect(code { () throws(CheckpointError) in try tree(nul) } == .badName)
    // Two spellings of one accent are two keys for Python, and one name here.
    let accents = dictionary(["\u{E9}": tensor(), "e\u{301}": tensor()])
    #expect(code { () throws(CheckpointError) in try tree(accents) } == .duplicateName)
  }

  @Test func constantsOfTorchScriptAreOptions() {
    let code = """
      class Other(Module):
        hidden_size : Final[int] = 1
      class LSTM(Module):
        __parameters__ = ["weight", ]
        weight : Tensor
        mode : Final[str] = "LSTM"
        batch_first : Final[bool] = True
        dropout : Final[float] = 0.
        hidden_size : Final[int] = 4
        _private : Final[int] = 4
        sizes : Final[List[int]] = [1, 2]
        def forward(self: __torch__.LSTM, x: Tensor) -> Tensor:
          y : Final[int] = oops
      """
    #expect(
      TorchScriptCode.options(of: "LSTM", in: code) == [
        "mode": .string("LSTM"), "batch_first": .bool(true), "dropout": .number(0),
        "hidden_size": .number(4),
      ])
  }

  @Test(arguments: [
    ("torch.nn.modules.rnn", "GRU", "torch.nn.GRU"),
    ("__torch__.torch.nn.modules.rnn.___torch_mangle_0", "LSTM", "torch.nn.LSTM"),
    ("__torch__", "Model", "Model"), ("mine.nets", "Model", "mine.nets.Model"),
    (
      "torch.ao.nn.quantized.dynamic.modules.rnn", "LSTM",
      "torch.ao.nn.quantized.dynamic.modules.rnn.LSTM"
    ),
  ])
  func classesAreSpelledAsUsersDo(module: String, name: String, expected: String) throws {
    let value = record(module, name, ["_modules": dictionary([:])])
    guard case .record(let record)? = heap[value] else { return }
    #expect(TorchModule(record, in: heap)?.publicTypeName == expected)
  }
}
