/// Finds names that were probably meant.
enum NearestName {
  /// How much is compared, whatever a file holds: more than any report that a person reads.
  private static let budget = 20_000_000
  private static let longest = 256

  /// For each name the candidate that takes the fewest insertions, deletions and exchanges of letters to
  /// reach, the first one of several; none where more than half of the letters of its last part would
  /// change.
  static func pairs(_ names: [(name: String, candidates: [String])]) -> [String: String] {
    var pairs: [String: String] = [:]
    var budget = budget
    for (name, candidates) in names {
      var best: (distance: Int, name: String)?
      for candidate in candidates where budget > 0 {
        budget -= name.utf8.count + candidate.utf8.count
        let (first, second) = Self.different(name, candidate)
        guard max(first.count, second.count) <= longest else { continue }
        budget -= first.count * second.count
        let distance = distance(first, second)
        if distance < best?.distance ?? .max { best = (distance, candidate) }
      }
      let letters = name.utf8.reversed().prefix { $0 != UInt8(ascii: ".") }.count
      if let best, best.distance * 2 <= letters { pairs[name] = best.name }
    }
    return pairs
  }

  /// The letters in which two names differ: without what they share at either end.
  private static func different(_ a: String, _ b: String) -> ([UInt8], [UInt8]) {
    let (a, b) = (Array(a.utf8), Array(b.utf8))
    let start = zip(a, b).prefix { $0 == $1 }.count
    let shared = zip(a[start...].reversed(), b[start...].reversed()).prefix { $0 == $1 }.count
    return (Array(a[start..<(a.count - shared)]), Array(b[start..<(b.count - shared)]))
  }

  /// Levenshtein's distance, row by row.
  private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var row = Array(0...b.count)
    for (i, letter) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, other) in b.enumerated() {
        let exchanged = diagonal + (letter == other ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(exchanged, diagonal + 1, row[j] + 1)
      }
    }
    return row[b.count]
  }
}
