import Checkpoints
import Foundation
import RecurrentNetworks
import TestSupport
import Testing

/// The trained character model writes what it writes in PyTorch: `rule` in sample.json says how.
@Suite struct CharModelTests {
  private struct Sample: Decodable {
    struct Text: Decodable {
      var text: String
      var tokens: [Int]
      var seed: UInt64?
      var temperature: Double?
    }
    var prompt: String
    var greedy: Text
    var sampled: Text
  }

  private func sample() throws -> Sample {
    let url = URL(fileURLWithPath: Fixtures.path("pytorch/char-model/sample.json"))
    return try JSONDecoder().decode(Sample.self, from: Data(contentsOf: url))
  }

  /// Runs the prompt, and then every chosen token.
  private func written(
    _ count: Int, by choose: ([Float]) -> Int
  ) throws -> (text: String, tokens: [Int]) {
    let reader = try Goldens.modelReader("char-model")
    let vocabulary = try JSONDecoder().decode(
      [String].self, from: Data(try #require(reader.contents.metadata["vocabulary"]).utf8))
    let session = try SequenceModel(ModelBlueprint(reader.contents)).makeSession()
    var logits = [Float](repeating: 0, count: vocabulary.count)
    for character in try sample().prompt {
      let token = try #require(vocabulary.firstIndex(of: String(character)))
      try session.run(tokens: [token], into: &logits)
    }
    var tokens: [Int] = []
    for _ in 0..<count {
      tokens.append(choose(logits))
      try session.run(tokens: [tokens[tokens.count - 1]], into: &logits)
    }
    return (tokens.map { vocabulary[$0] }.joined(), tokens)
  }

  @Test("The likeliest characters are PyTorch's")
  func greedy() throws {
    let expected = try sample().greedy
    let written = try written(expected.tokens.count) { logits in
      logits.indices.reduce(0) { logits[$1] > logits[$0] ? $1 : $0 }
    }
    #expect(written.tokens == expected.tokens)
    #expect(written.text == expected.text)
    #expect(written.text.count == 200)
  }

  @Test("The characters that are drawn are PyTorch's")
  func sampled() throws {
    let expected = try sample().sampled
    let temperature = try #require(expected.temperature)
    // SplitMix64, as the rule has it.
    var generator = SeededGenerator(seed: try #require(expected.seed))
    let written = try written(expected.tokens.count) { logits in
      let largest = Double(logits.max() ?? 0)
      var sums: [Double] = []
      var total = 0.0
      for logit in logits {
        total += exp((Double(logit) - largest) / temperature)
        sums.append(total)
      }
      let drawn = Double(generator.next() >> 11) * 0x1p-53
      return sums.firstIndex { $0 > drawn * total } ?? logits.count - 1
    }
    #expect(written.tokens == expected.tokens)
    #expect(written.text == expected.text)
    #expect(written.text.count == 200)
    // Sampling is not the greedy choice.
    #expect(written.text != (try sample().greedy.text))
  }
}
