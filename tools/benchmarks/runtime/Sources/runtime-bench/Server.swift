import Foundation
import RecurrentNetworks

/// What is loaded, and what is answered to requests.
struct Server {
  private var works: [String: Work] = [:]

  /// The words of the answer to a request, both with tabs between them.
  mutating func answer(_ request: String) -> String {
    let words = request.split(separator: "\t").map(String.init)
    let answer: [String]
    do {
      answer = try ["ok"] + respond(words)
    } catch {
      answer = ["error", "\(error)".replacing("\n", with: " ")]
    }
    return answer.joined(separator: "\t")
  }

  private mutating func respond(_ words: [String]) throws -> [String] {
    switch (words.first, words.count) {
    case ("load", 7):
      works[words[1]] = try Work(
        model: words[2], inputs: words[3], steps: number(words[4]), batchSize: number(words[5]),
        threads: number(words[6]))
      return []
    case ("outputs", 3):
      let outputs = try work(words[1]).outputs()
      try outputs.withUnsafeBytes { Data($0) }.write(to: URL(fileURLWithPath: words[2]))
      return []
    case ("time", 3), ("stream", 3):
      guard let seconds = Double(words[2]) else {
        throw RequestError(description: "\(words[2]): expected seconds")
      }
      let work = try work(words[1])
      let time = try work.microseconds(forAtLeast: seconds, isStream: words[0] == "stream")
      return ["\(time)"]
    case ("unload", 2):
      works[words[1]] = nil
      return []
    case ("peak", 2):
      return ["\(Floor.arithmetic(threads: try number(words[1])))"]
    case ("bandwidth", 3):
      return ["\(Floor.reading(bytes: try number(words[1]), threads: try number(words[2])))"]
    case ("machine", 1):
      return [InstructionSet.fastest.description, Floor.instructionSet]
    default:
      throw RequestError(description: "no such request: \(words.joined(separator: " "))")
    }
  }

  /// A number of at least one.
  private func number(_ word: String) throws -> Int {
    guard let number = Int(word), number > 0 else {
      throw RequestError(description: "\(word): expected a number of at least 1")
    }
    return number
  }

  private func work(_ name: String) throws -> Work {
    guard let work = works[name] else { throw RequestError(description: "\(name) is not loaded") }
    return work
  }
}

/// What is wrong with a request.
struct RequestError: Error, CustomStringConvertible {
  let description: String
}
