import Checkpoints
import RecurrentNetworks
import TestSupport
import Testing

/// What the notes of whole modules say beside their tensors.
@Suite struct ModuleRecordTests {
  private func mapping(
    _ configuration: RecurrentConfiguration, _ records: [ModuleRecord],
    _ others: [(String, Shape)] = []
  ) throws -> ParameterMapping {
    var dict = StateDict()
    for (name, shape) in try configuration.parameters(ofModule: "net.rnn") {
      try dict.append(.zeros(shape), named: name.description)
    }
    for (name, shape) in others { try dict.append(.zeros(shape), named: name) }
    return try ParameterMapping(
      of: Checkpoint(stateDict: dict, moduleRecords: records).contents, file: "m.pt")
  }

  private func record(
    _ type: String, _ options: [String: ModuleRecord.Option], at path: String = "net.rnn"
  ) -> ModuleRecord {
    ModuleRecord(path: path, type: type, options: options)
  }

  @Test("Options that shapes cannot tell are taken from the note")
  func options() throws {
    let mapping = try mapping(
      RecurrentConfiguration(.rnn, 3, 5),
      [
        record(
          "torch.nn.modules.rnn.RNN",
          [
            "mode": .string("RNN_RELU"), "batch_first": .bool(true), "dropout": .number(0.25),
            "input_size": .number(3), "hidden_size": .number(5), "num_layers": .number(1),
            "bias": .bool(true), "bidirectional": .bool(false), "proj_size": .number(0),
          ])
      ])
    guard case .recurrent(let found)? = mapping.description["net.rnn"]?.kind else {
      Issue.record("no module")
      return
    }
    #expect(found.nonlinearity == .relu && found.isBatchFirst && found.dropout == 0.25)
    #expect(mapping.assumptions.isEmpty)
  }

  @Test(
    "A note that contradicts the tensors is an error that names both",
    arguments: [
      ("torch.nn.GRU", [:], "type torch.nn.GRU"),
      ("torch.nn.LSTMCell", [:], "type torch.nn.LSTMCell"),
      ("my.Rnn", ["mode": .string("GRU")], "mode=GRU"),
      ("torch.nn.LSTM", ["input_size": .number(4)], "input_size=4"),
      ("torch.nn.LSTM", ["hidden_size": .number(6)], "hidden_size=6"),
      ("torch.nn.LSTM", ["num_layers": .number(3)], "num_layers=3"),
      ("torch.nn.LSTM", ["proj_size": .number(2)], "proj_size=2"),
      ("torch.nn.LSTM", ["bias": .bool(false)], "bias=false"),
      ("torch.nn.LSTM", ["bidirectional": .bool(true)], "bidirectional=true"),
    ] as [(String, [String: ModuleRecord.Option], String)])
  func contradictions(
    type: String, options: [String: ModuleRecord.Option], words: String
  ) throws {
    let fault = expectFault(.modelInvalid) {
      _ = try mapping(RecurrentConfiguration(.lstm, 3, 5, layers: 2), [record(type, options)])
    }
    #expect(fault?.reason.contains(words) == true, "\(fault?.reason ?? "")")
    #expect(fault?.reason.contains("LSTM(3, 5, num_layers=2)") == true)
    #expect(fault?.file == "m.pt")
  }

  @Test("Mode and nonlinearity must agree")
  func torn() throws {
    expectFault(.modelInvalid) {
      _ = try mapping(
        RecurrentConfiguration(.rnn, 3, 5),
        [record("RNN", ["mode": .string("RNN_TANH"), "nonlinearity": .string("relu")])])
    }
  }

  @Test("Faults of parameters are told before a note that no longer fits")
  func faultsFirst() throws {
    var dict = StateDict()
    let configuration = RecurrentConfiguration(.lstm, 3, 5, layers: 2)
    for (name, shape) in try configuration.parameters(ofModule: "net.rnn")
    where name.description != "net.rnn.bias_hh_l1" {
      try dict.append(.zeros(shape), named: name.description)
    }
    let mapping = try ParameterMapping(
      of: Checkpoint(
        stateDict: dict, moduleRecords: [record("LSTM", ["num_layers": .number(3)])]
      ).contents)
    #expect(mapping.missing == ["net.rnn.bias_hh_l1"])
  }

  /// Of two layers of one shape the type decides.
  @Test(arguments: [
    ("torch.nn.Linear", "torch.nn.Embedding"), ("torch.nn.modules.linear.Linear", "Embedding"),
    ("torch.nn.utils.parametrize.ParametrizedLinear", "torch.nn.EmbeddingBag"),
    ("torch.nn.Linear", "torch.nn.LayerNorm"), ("torch.nn.Linear", "torch.nn.Bilinear"),
    ("torch.nn.Linear", "torch.nn.Conv1d"),
  ])
  func typesDecide(head: String, other: String) throws {
    let mapping = try mapping(
      RecurrentConfiguration(.gru, 5, 5),
      [record(head, [:], at: "net.a"), record(other, [:], at: "net.b")],
      [("net.a.weight", [7, 5]), ("net.b.weight", [7, 5])])
    let kinds = mapping.description.modules.map { module in
      switch module.kind {
      case .embedding: "embedding \(module.name)"
      case .head: "head \(module.name)"
      default: "rnn"
      }
    }
    let isEmbedding = other.hasSuffix("Embedding")
    #expect(kinds == (isEmbedding ? ["embedding net.b"] : []) + ["rnn", "head net.a"])
    #expect(mapping.leftOver == (isEmbedding ? [] : ["net.b.weight"]))
  }

  @Test("A class of the user's own is known by the attributes that it has from torch")
  func ownClasses() throws {
    let mapping = try mapping(
      RecurrentConfiguration(.gru, 5, 5),
      [
        record("app.Scores", ["in_features": .number(5), "out_features": .number(7)], at: "net.a"),
        record("app.Words", ["embedding_dim": .number(5)], at: "net.b"),
      ],
      [("net.a.weight", [7, 5]), ("net.b.weight", [7, 5])])
    #expect(mapping.description.modules.map(\.name) == ["net.b", "net.rnn", "net.a"])
  }

  @Test("An activation behind the head is not guessed")
  func activation() throws {
    let mapping = try mapping(
      RecurrentConfiguration(.gru, 5, 5),
      [record("torch.nn.Linear", [:], at: "fc"), record("torch.nn.Sigmoid", [:], at: "act")],
      [("fc.weight", [7, 5])])
    #expect(mapping.assumptions.contains { $0.option == "head_activation" && $0.value == "none" })
  }
}
