import Checkpoints
import TestSupport
import Testing

/// The drawing of `inspect --tree`.
@Suite struct NetworkTreeTests {
  let bench: Workbench

  init() throws { bench = try Workbench() }

  private func tree(_ file: String) throws -> [String] {
    try bench.succeed("inspect", file, "--tree").output.split(
      separator: "\n", omittingEmptySubsequences: false
    ).map(String.init)
  }

  @Test("A network from its output down to its input")
  func drawing() throws {
    try bench.take("tokens-lstm")
    let lines = try tree("model.h5")
    #expect(
      lines.prefix(18) == [
        "y",
        "  ▲ [N, T, 11]",
        "┌ to_characters: Linear(6, 11) ──────────────────────┐",
        "│ 77 parameters                                      │",
        "└────────────────────────────────────────────────────┘",
        "  ▲ [N, T, 6]",
        "┌ rnn: LSTM(4, 6, num_layers=2, batch_first=True) ───┐",
        "│ layer 1  6 → 6  i f g o  → forward  336 parameters │",
        "│ layer 0  4 → 6  i f g o  → forward  288 parameters │",
        "└────────────────────────────────────────────────────┘",
        "  ▲ [N, T, 4]",
        "┌ embed: Embedding(11, 4) ───────────────────────────┐",
        "│ 44 parameters                                      │",
        "└────────────────────────────────────────────────────┘",
        "  ▲",
        "tokens [N, T]",
        "",
        "745 parameters, 10.0 KiB, format hdf5",
      ])
  }

  @Test(
    "Directions, cells, several networks",
    arguments: [
      ("lstm-proj-l2-bi", ["← reverse", "→ forward", "proj_size="]),
      ("cell-gru", ["GRUCell(4, 5)", "▲ [N, 5]", "input [N, 4]"]),
      ("rnn-relu-l3", ["layer 2", "relu"]),
      ("encoder-decoder", ["encoder.rnn: LSTM", "decoder.rnn: LSTM", "generator: Linear"]),
      ("head-classifier", ["▲ [N, 2]", "on the last step"]),
    ])
  func parts(fixture: String, words: [String]) throws {
    try bench.take(fixture)
    let lines = try tree("model.h5")
    for word in words { #expect(lines.contains { $0.contains(word) }, "\(word): \(lines)") }
    // Every box has edges of one length.
    let boxes = lines.filter { "┌│└".contains($0.first ?? " ") }
    #expect(boxes.allSatisfy { "┐│┘".contains($0.last ?? " ") })
    for (line, next) in zip(lines, lines.dropFirst())
    where "┌│".contains(line.first ?? " ") {
      #expect(line.count == next.count, "\(line)\n\(next)")
    }
    // The object is the same.
    let plain = try bench.strata("inspect", "model.h5", "--json").output
    #expect(try bench.strata("inspect", "model.h5", "--json", "--tree").output == plain)
  }

  @Test("Deep networks are shortened, names escaped, and what is no network is told")
  func oddities() throws {
    try bench.write(
      .stack(gates: 3, input: 4, hidden: 2, layers: 20, prefix: "r\u{1B}[31m."), to: "a.strata")
    let lines = try tree("a.strata")
    #expect(lines.contains { $0.contains("⋮ 12 more layers") })
    #expect(lines.contains { $0.contains("layer 19") } && lines.contains { $0.contains("layer 0") })
    #expect(lines.contains { $0.contains("r\\u{1B}[31m: GRU(4, 2, num_layers=20)") })
    try bench.write(
      Checkpoint(stateDict: ["x": Tensor([1] as [Float], shape: [1])]), to: "b.strata")
    #expect(try tree("b.strata")[0] == "no recurrent module was recognised")
  }
}
