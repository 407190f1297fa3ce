import Checkpoints
import RecurrentNetworks
import TestSupport
import Testing

/// Models whose ends are unclear: everything is told at once, with ways out that lead out.
@Suite struct DoubtsTests {
  /// An encoder, and a decoder of two cells with attention, as sequence models of translation have them.
  private func translator() throws -> CheckpointContents {
    var dict = StateDict()
    func add(_ name: String, _ shape: Shape) throws { try dict.append(.zeros(shape), named: name) }
    func add(_ module: String, _ configuration: RecurrentConfiguration) throws {
      for (name, shape) in try configuration.parameters(ofModule: module) {
        try add(name.description, shape)
      }
    }
    func cell(_ inputs: Int) -> RecurrentConfiguration {
      var cell = RecurrentConfiguration(.lstm, inputs, 8)
      cell.isCell = true
      return cell
    }
    try add("encoder.embed_tokens.weight", [20, 6])
    try add("encoder.lstm", RecurrentConfiguration(.lstm, 6, 8))
    try add("decoder.embed_tokens.weight", [20, 6])
    try add("decoder.layers.0", cell(14))
    try add("decoder.layers.1", cell(8))
    try add("decoder.attention.input_proj.weight", [8, 8])
    try add("decoder.fc_out.weight", [20, 8])
    try add("decoder.fc_out.bias", [20])
    return Checkpoint(stateDict: dict).contents
  }

  private func mapping(
    _ contents: CheckpointContents, _ set: KeyValuePairs<String, String>
  ) throws -> ParameterMapping {
    var options = ModelOptions()
    for (name, value) in set { #expect(options.set(name, to: value) == nil) }
    return try ParameterMapping(of: contents, options: options, file: "m.pt")
  }

  /// The ways out that an error names, as options.
  private func ways(_ error: CheckpointError?) -> [[(String, String)]] {
    let advice = error?.reason.split(separator: "decide with ").last ?? ""
    return advice.split(separator: ", ").map { way in
      way.split(separator: "--set ").map { option in
        let parts = option.split(separator: "=").map { $0.split(separator: " ").joined() }
        return (parts[0], parts[1])
      }
    }
  }

  @Test("Every way out that is named leads out")
  func advice() throws {
    let contents = try translator()
    for said in [[:], ["head": "decoder.fc_out"], ["embedding": "decoder.attention.input_proj"]]
      as [KeyValuePairs<String, String>]
    {
      let error = expectFault(.ambiguousModel) { _ = try mapping(contents, said) }
      #expect(error?.file == "m.pt")
      let ways = ways(error)
      #expect(!ways.isEmpty)
      for way in ways {
        var options = ModelOptions()
        for (name, value) in said.map({ ($0.key, $0.value) }) + way {
          #expect(options.set(name, to: value) == nil, "\(name)=\(value)")
        }
        #expect(throws: Never.self, "\(way)") {
          try ParameterMapping(of: contents, options: options)
        }
      }
    }
  }

  @Test("Everything that is unclear is told at once")
  func allAtOnce() throws {
    var dict = StateDict()
    for module in ["a", "b"] {
      for (name, shape) in try RecurrentConfiguration(.gru, 4, 6).parameters(ofModule: module) {
        try dict.append(.zeros(shape), named: name.description)
      }
    }
    try dict.append(.zeros([9, 4]), named: "table.weight")
    try dict.append(.zeros([2, 6]), named: "fc.weight")
    try dict.append(.zeros([2]), named: "fc.bias")
    let contents = Checkpoint(stateDict: dict).contents
    let error = expectFault(.ambiguousModel) { _ = try mapping(contents, [:]) }
    #expect(error?.reason.contains("fc fits a and b") == true, "\(error as Any)")
    #expect(error?.tensor == "table.weight")
    #expect(error?.reason.hasPrefix("the layer fits a and b; ") == true)
    for way in ways(error) {
      var options = ModelOptions()
      for (name, value) in way { #expect(options.set(name, to: value) == nil) }
      #expect(throws: Never.self, "\(way)") {
        try ParameterMapping(of: contents, options: options)
      }
    }
    #expect(!ways(error).isEmpty)
  }

  @Test("A module without a path has a name for people")
  func root() throws {
    var dict = StateDict()
    for module in ["", "b"] {
      for (name, shape) in try RecurrentConfiguration(.gru, 4, 6).parameters(ofModule: module) {
        try dict.append(.zeros(shape), named: name.description)
      }
    }
    try dict.append(.zeros([9, 4]), named: "table.weight")
    let contents = Checkpoint(stateDict: dict).contents
    let error = expectFault(.ambiguousModel) { _ = try mapping(contents, [:]) }
    #expect(error?.reason.hasPrefix("the layer fits the root and b: ") == true)
  }

  @Test("An option that says what was assumed changes nothing but that it was said")
  func saidAsAssumed() throws {
    let contents = try translator()
    let assumed = try mapping(contents, ["cells": "stack"])
    #expect(
      assumed.assumptions.map(\.option) == [
        "batch_first", "embedding", "head", "head_activation", "head_input",
      ])
    #expect(
      assumed.leftOver == ["decoder.embed_tokens.weight", "decoder.attention.input_proj.weight"])
    for assumption in assumed.assumptions {
      let said = try mapping(
        contents, ["cells": "stack", assumption.option: assumption.value])
      #expect(said.description == assumed.description, "\(assumption)")
      #expect(said.assumptions == assumed.assumptions.filter { $0 != assumption })
      #expect(said.leftOver == assumed.leftOver)
    }
  }

  @Test("A layer belongs to the modules under the nearest path that has any")
  func nearest() throws {
    let mapping = try mapping(translator(), ["cells": "stack"])
    #expect(
      mapping.description.modules.map(\.name) == [
        "encoder.embed_tokens", "encoder.lstm", "decoder.layers.0", "decoder.layers.1",
        "decoder.fc_out",
      ])
  }
}
