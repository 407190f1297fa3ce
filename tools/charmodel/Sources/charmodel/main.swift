// A character model, trained in PyTorch by tools/train_charmodel.py, goes on with a text.

import Checkpoints
import Foundation
import RecurrentNetworks

var words = Array(CommandLine.arguments.dropFirst())
let isGreedy = words.contains("--greedy")
words.removeAll { $0 == "--greedy" }
var generator = SplitMix64(state: option("--seed", or: 1, in: &words))
let temperature = option("--temperature", or: 1.0, in: &words)
let characters = option("--characters", or: 200, in: &words)
guard 1...2 ~= words.count, !words.contains(where: { $0.hasPrefix("--") }) else {
  fail(
    "usage: charmodel MODEL [PROMPT] [--greedy | --seed S --temperature T] [--characters N]",
    status: 64)
}
let path = words[0]
let prompt = words.count > 1 ? words[1] : "The "

do {
  // What the tokens stand for was stored with the model: a JSON array of characters.
  let metadata = try CheckpointReader(contentsOf: path).contents.metadata
  let vocabulary = try JSONDecoder().decode(
    [String].self, from: Data(metadata["vocabulary", default: "[]"].utf8))

  let model = try SequenceModel(contentsOf: path)
  let session = model.makeSession()
  var logits = [Float](repeating: 0, count: vocabulary.count)

  // One step at a time; the session keeps the state.
  for character in prompt.unicodeScalars {
    guard let token = vocabulary.firstIndex(of: String(character)) else {
      fail("error: \(path): the model does not know \(character.debugDescription)")
    }
    try session.run(tokens: [token], into: &logits)
  }
  for _ in 0..<characters {
    let token =
      isGreedy ? likeliest(logits) : draw(logits, temperature: temperature, from: &generator)
    print(vocabulary[token], terminator: "")
    try session.run(tokens: [token], into: &logits)
  }
  print()
} catch {
  fail("error: \(error)")
}

/// The token with the largest logit; the first among equals.
func likeliest(_ logits: [Float]) -> Int {
  logits.indices.reduce(0) { logits[$1] > logits[$0] ? $1 : $0 }
}

/// A token drawn by its probability; the higher the temperature, the more even are the odds.
func draw(_ logits: [Float], temperature: Double, from generator: inout SplitMix64) -> Int {
  let largest = Double(logits[likeliest(logits)])
  let weights = logits.map { exp((Double($0) - largest) / temperature) }
  var sums: [Double] = []
  for weight in weights { sums.append((sums.last ?? 0) + weight) }
  let u = Double(generator.next() >> 11) * 0x1p-53  // 0 to below 1
  return sums.firstIndex { $0 > u * sums[sums.count - 1] } ?? likeliest(logits)
}

/// Sebastiano Vigna's generator.
///
/// https://prng.di.unimi.it/splitmix64.c
struct SplitMix64 {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// Takes an option and its value out of the arguments, and leaves them there if that is no number.
func option<Value: LosslessStringConvertible>(
  _ name: String, or standard: Value, in words: inout [String]
) -> Value {
  guard let index = words.firstIndex(of: name), index + 1 < words.count,
    let value = Value(words[index + 1])
  else { return standard }
  words.removeSubrange(index...index + 1)
  return value
}

func fail(_ message: String, status: Int32 = 2) -> Never {
  FileHandle.standardError.write(Data((message + "\n").utf8))
  exit(status)
}
