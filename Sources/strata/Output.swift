import ArgumentParser
import Checkpoints
import RecurrentNetworks

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The options that every subcommand has.
struct OutputOptions: ParsableArguments {
  @Flag(help: "Print one JSON object on stdout, and nothing else there.")
  var json = false

  @Flag(help: "Print faults only.")
  var quiet = false
}

/// What a subcommand prints: one JSON object, or words for a person.
struct Output {
  var isJSON: Bool
  var isQuiet = false

  init(isJSON: Bool) { self.isJSON = isJSON }

  init(_ options: OutputOptions) {
    isJSON = options.json
    isQuiet = options.quiet
  }

  /// Prints a result.
  /// - Throws: `notWritable` when standard output does not take it.
  func report(_ object: some Encodable, words: () -> String) throws(CheckpointError) {
    if isJSON {
      try StandardStreams.print(Self.json(object))
    } else if !isQuiet {
      try StandardStreams.print(words())
    }
  }

  /// Prints a fault and ends the process with status 2.
  func fail(_ error: CheckpointError, mapping: ParameterMapping? = nil) -> Never {
    let report = FaultReport(
      error: FaultReport.Fault(error), missing: mapping?.missing, unexpected: mapping?.unexpected,
      nearest: mapping?.nearestReport, mismatched: mapping?.mismatched.map(MismatchReport.init))
    let hint = error.code == .exists ? "; --force replaces it" : ""
    fail(report, "\(error)\(hint)", status: ExitCode(2))
  }

  /// Prints what is wrong with the command line and ends the process with status 64.
  func fail(usage reason: String) -> Never {
    fail(
      FaultReport(error: FaultReport.Fault(code: "usage", reason: reason)), reason,
      status: ExitCode.validationFailure)
  }

  private func fail(_ report: FaultReport, _ line: String, status: ExitCode) -> Never {
    // Where standard output fails, standard error and the status still tell.
    if isJSON { try? StandardStreams.print(Self.json(report)) }
    // One line, and a file name that was typed may hold anything as well.
    let words = line.split(separator: "\n").joined(separator: "; ")
    StandardStreams.complain("error: \(words.escaped)")
    Strata.exit(withError: status)
  }

  private static func json(_ object: some Encodable) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    do {
      return String(decoding: try encoder.encode(object), as: UTF8.self).escapedForJSON
    } catch {
      preconditionFailure("a report that is no JSON: \(error)")
    }
  }
}

/// A fault as JSON.
private struct FaultReport: Encodable {
  struct Fault: Encodable {
    var code: String
    var file: String?
    var tensor: String?
    var offset: Int?
    var reason: String
  }

  var error: Fault
  var missing: [String]?
  var unexpected: [String]?
  var nearest: [String: String?]?
  var mismatched: [MismatchReport]?
}

extension FaultReport.Fault {
  private enum Key: String, CodingKey { case code, file, tensor, offset, reason }

  /// Every key is there, null where nothing is known.
  func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    try values.encode(code, forKey: .code)
    try values.encode(file, forKey: .file)
    try values.encode(tensor, forKey: .tensor)
    try values.encode(offset, forKey: .offset)
    try values.encode(reason, forKey: .reason)
  }

  init(_ error: CheckpointError) {
    self.init(
      code: error.code.rawValue, file: error.file, tensor: error.tensor, offset: error.offset,
      reason: error.reason)
  }
}

/// A parameter of a wrong shape as JSON.
struct MismatchReport: Encodable {
  var name: String
  var found: [Int]
  var expected: [Int]

  init(_ mismatch: ParameterMapping.Mismatch) {
    name = mismatch.name
    found = mismatch.found.dimensions
    expected = mismatch.expected.dimensions
  }
}

/// Faults of parameters, with the whole report.
struct MappingFault: Error {
  var first: CheckpointError
  var mapping: ParameterMapping
}

/// Columns of text, the first ones to the left, numbers to the right.
struct TextTable {
  var header: [String]
  /// The columns that are aligned to the right.
  var numeric: Set<Int> = []
  var rows: [[String]] = []

  var text: String {
    let all = [header] + rows
    let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    let lines = all.map { row in
      let cells = row.enumerated().map { column, cell in
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return numeric.contains(column) ? space + cell : cell + space
      }
      return cells.joined(separator: "  ").trimmingSpaces
    }
    return lines.joined(separator: "\n")
  }
}

extension String {
  fileprivate var trimmingSpaces: String {
    var end = endIndex
    while end > startIndex, self[index(before: end)] == " " { end = index(before: end) }
    return String(self[..<end])
  }
}

extension Int {
  /// A number of bytes for people: `1.5 MiB`.
  var byteText: String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    var value = Double(self)
    var unit = 0
    while value >= 1024, unit < units.count - 1 {
      value /= 1024
      unit += 1
    }
    return unit == 0 ? "\(self) bytes" : "\((value * 10).rounded() / 10) \(units[unit])"
  }
}

extension Double {
  /// Three significant digits: `1.23e-07`.
  var shortText: String {
    guard isFinite else { return isNaN ? "nan" : self < 0 ? "-inf" : "inf" }
    if self == 0 { return "0" }
    return formatted(digits: 3)
  }

  private func formatted(digits: Int) -> String {
    var exponent = 0
    var value = magnitude
    while value >= 10 {
      value /= 10
      exponent += 1
    }
    while value < 1 {
      value *= 10
      exponent -= 1
    }
    var hundredths = Int((value * 100).rounded())
    if hundredths >= 1000 {
      hundredths = 100
      exponent += 1
    }
    let sign = self < 0 ? "-" : ""
    let fraction = hundredths % 100
    let mantissa = "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)"
    return exponent == 0 ? sign + mantissa : "\(sign)\(mantissa)e\(exponent)"
  }
}
