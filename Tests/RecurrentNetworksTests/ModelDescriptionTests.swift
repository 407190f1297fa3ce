import Checkpoints
import RecurrentNetworks
import TestSupport
import Testing

@Suite struct ModelDescriptionTests {
  static let networks: [Network] = [
    Network(RecurrentConfiguration(.rnn, 3, 5, layers: 2, bias: false, relu: true)),
    Network(RecurrentConfiguration(.rnn, 3, 5, batchFirst: true)),
    Network(
      RecurrentConfiguration(.lstm, 3, 5, bidirectional: true, projection: 2),
      RecurrentConfiguration(.gru, 4, 7), head: HeadConfiguration(7, 2, .softmax, on: .last)),
    Network(
      RecurrentConfiguration(.gru, 1, 1),
      head: HeadConfiguration(1, 1, .tanh, on: .finalState, bias: false)),
    Network(
      RecurrentConfiguration(.gru, 3, 5, reset: .before, sigmoid: .hardTorch),
      RecurrentConfiguration(.lstm, 5, 4, sigmoid: .hardKeras2)),
  ]

  @Test("JSON holds everything", arguments: networks)
  func roundTrip(network: Network) throws {
    var description = network.description
    if case .recurrent(var first) = description.modules[0].kind {
      first.dropout = 0.375
      description.modules[0].kind = .recurrent(first)
    }
    let json = try description.json
    #expect(try ModelDescription(json: json) == description)
    #expect(try ModelDescription(json: json).json == json)
  }

  @Test("JSON is canonical: keys sorted, no white space")
  func canonical() throws {
    let network = Network(
      RecurrentConfiguration(.rnn, 3, 5), head: HeadConfiguration(5, 2, .sigmoid))
    #expect(
      try network.description.json
        == #"{"modules":["#
        + #"{"inputs":["@input"],"name":"rnn0","options":{"batch_first":false,"bias":true,"#
        + #""bidirectional":false,"dropout":0,"hidden_size":5,"input_size":3,"#
        + #""nonlinearity":"tanh","num_layers":1,"proj_size":0},"type":"rnn"},"#
        + #"{"inputs":["rnn0"],"name":"fc","options":{"activation":"sigmoid","bias":true,"#
        + #""head_input":"all","in_features":5,"out_features":2},"type":"linear"}],"version":1}"#)
  }

  @Test(
    "What PyTorch does not have is written where it is, and for kinds that it means something to")
  func conventions() throws {
    func options(_ configuration: RecurrentConfiguration) throws -> [Bool] {
      let json = try Network(configuration).description.json
      return [#""gru_reset":"before""#, #""sigmoid":"hard_torch""#, "gru_reset", "sigmoid"].map {
        json.contains($0)
      }
    }
    let both = (
      reset: RecurrentConfiguration.GRUReset.before,
      sigmoid: RecurrentConfiguration.Sigmoid.hardTorch
    )
    #expect(try options(RecurrentConfiguration(.gru, 3, 5)) == [false, false, false, false])
    #expect(
      try options(RecurrentConfiguration(.gru, 3, 5, reset: both.reset, sigmoid: both.sigmoid))
        == [true, true, true, true])
    #expect(
      try options(RecurrentConfiguration(.lstm, 3, 5, reset: both.reset, sigmoid: both.sigmoid))
        == [false, true, false, true])
    #expect(
      try options(RecurrentConfiguration(.rnn, 3, 5, reset: both.reset, sigmoid: both.sigmoid))
        == [false, false, false, false])
  }

  @Test("Order of keys and white space do not matter")
  func otherSpelling() throws {
    let json = """
      { "version": 1, "modules": [ { "type": "linear", "name": "a", "inputs": ["@input"], "more": 1,
        "options": { "out_features": 2, "in_features": 3, "bias": true, "activation": "relu",
                     "head_input": "h_n", "new": [] } } ] }
      """
    #expect(
      try ModelDescription(json: json).modules == [
        .init(
          name: "a", inputs: ["@input"],
          kind: .head(HeadConfiguration(3, 2, .relu, on: .finalState)))
      ])
  }

  static func gru(_ options: String = "") -> String {
    // Of two equal keys JSON leaves open which one counts, so the options replace.
    var all = [
      "input_size": "3", "hidden_size": "5", "num_layers": "1", "proj_size": "0",
      "bidirectional": "false", "bias": "true", "batch_first": "false", "dropout": "0",
    ]
    for option in options.split(separator: ",") {
      let parts = option.split(separator: ":", omittingEmptySubsequences: false)
      all[String(parts[0])] = parts[1].isEmpty ? nil : String(parts[1])
    }
    let text = all.map { "\"\($0)\":\($1)" }.joined(separator: ",")
    return "{\(text)}"
  }

  static func model(_ modules: String, version: String = "1") -> String {
    #"{"version":\#(version),"modules":[\#(modules)]}"#
  }

  static func module(
    _ options: String = "", type: String = "gru", name: String = "a", inputs: String = #""@input""#
  ) -> String {
    #"{"name":"\#(name)","type":"\#(type)","inputs":[\#(inputs)],"options":\#(gru(options))}"#
  }

  static let invalid: [(String, String)] = [
    ("metadataInvalid", ""), ("metadataInvalid", "{}"), ("metadataInvalid", "[]"),
    ("metadataInvalid", "null"), ("metadataInvalid", #"{"version":1}"#),
    ("metadataInvalid", model("", version: #""1""#)), ("metadataInvalid", model("1")),
    ("metadataInvalid", model(module("hidden_size:"))),
    ("metadataInvalid", model(module("hidden_size:1.5"))),
    ("metadataInvalid", model(module("hidden_size:1e40"))),
    ("metadataInvalid", model(module("bias:1"))),
    ("metadataInvalid", model(module(type: "rnn"))),
    ("metadataInvalid", model(module(#"nonlinearity:"gelu""#, type: "rnn"))),
    ("metadataInvalid", model(module(#"gru_reset:"both""#))),
    ("metadataInvalid", model(module("gru_reset:true"))),
    ("metadataInvalid", model(module(#"sigmoid:"hard""#))),
    ("metadataInvalid", model(module(#"sigmoid:"hard_torch2""#, type: "lstm"))),
    ("metadataInvalid", model(#"{"name":"a","type":"gru","inputs":["@input"]}"#)),
    ("unsupportedVersion", model("", version: "0")),
    ("unsupportedVersion", model("", version: "2")),
    ("modelInvalid", model(module("hidden_size:0"))),
    ("modelInvalid", model(module("input_size:-1"))),
    ("modelInvalid", model(module("num_layers:0"))),
    ("modelInvalid", model(module("proj_size:-1"))),
    ("modelInvalid", model(module("proj_size:2"))),
    ("modelInvalid", model(module("proj_size:5", type: "lstm"))),
    ("modelInvalid", model(module(inputs: ""))), ("modelInvalid", model(module(inputs: #""b""#))),
    ("modelInvalid", model(module(inputs: #""a""#))),
    ("modelInvalid", model(module(inputs: #""@input","@input""#))),
    ("modelInvalid", model(module() + "," + module())),
    ("modelInvalid", model(module(name: "@input"))),
    ("modelInvalid", model(module(inputs: #""b""#) + "," + module(name: "b", inputs: #""a""#))),
  ]

  @Test("What cannot be is refused", arguments: invalid)
  func refused(code: String, json: String) {
    let error = #expect(throws: CheckpointError.self) { try ModelDescription(json: json) }
    #expect(error?.code.rawValue == code, "\(error.map(\.description) ?? "")")
  }

  @Test("A type of a later version is kept, and only the runtime refuses it")
  func unknownType() throws {
    let json = Self.model(
      #"{"name":"norm","type":"layer_norm","inputs":["@input"]},"#
        + Self.module(inputs: #""norm""#))
    let description = try ModelDescription(json: json)
    #expect(description["norm"]?.kind == .unknown(type: "layer_norm"))
    #expect(description["nothing"] == nil)
    #expect(try ModelDescription(json: description.json) == description)

    var dict = StateDict()
    for (name, shape) in try RecurrentConfiguration(.gru, 3, 5).parameters(ofModule: "a") {
      dict[name.description] = .zeros(shape)
    }
    let checkpoint = Checkpoint(stateDict: dict, modelDescription: json)
    let mapping = try ParameterMapping(of: checkpoint.contents)
    #expect(mapping.isComplete)
    #expect(mapping.description == description)
    let error = expectFault(.modelInvalid) { _ = try ModelBlueprint(checkpoint.contents) }
    #expect(error?.reason.contains("layer_norm") == true)
    // And the state dict loads all the same.
    let directory = try TemporaryDirectory()
    try checkpoint.write(to: directory.path("model.strata"))
    #expect(try Checkpoint(contentsOf: directory.path("model.strata")) == checkpoint)
  }
}
