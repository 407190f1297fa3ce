import ArgumentParser

/// Numbers of bytes as people write them.
enum ByteCount {
  private static let units: [(suffix: String, factor: Int)] = [
    ("KIB", 1 << 10), ("MIB", 1 << 20), ("GIB", 1 << 30), ("TIB", 1 << 40),
    ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1),
    ("", 1),
  ]

  /// A positive number, `5000000000`, `500MB` (10⁶) or `2GiB` (2³⁰); letters of either case.
  /// - Throws: `ValidationError`.
  static func parse(_ text: String) throws -> Int {
    let letters = text.uppercased()
    guard let unit = units.first(where: { letters.hasSuffix($0.suffix) }) else { return 0 }
    let digits = letters.dropLast(unit.suffix.count)
    guard !digits.isEmpty, digits.allSatisfy({ "0"..."9" ~= $0 }), let number = Int(digits),
      number > 0, case let (bytes, overflow) = number.multipliedReportingOverflow(by: unit.factor),
      !overflow
    else {
      throw ValidationError("must be a positive number of bytes, such as 500MB or 2GiB")
    }
    return bytes
  }
}
