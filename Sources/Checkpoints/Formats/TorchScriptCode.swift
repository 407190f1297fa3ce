/// The source code in a TorchScript archive, of which nothing but constants of modules is read.
///
/// Options of a module such as `batch_first` are constants of its class there:
/// `  batch_first : Final[bool] = True`.
struct TorchScriptCode {
  private let archive: ZipArchive
  private let root: String

  /// The most bytes of one file of code.
  private static let largestFile = 1 << 22

  /// Reads the code of an archive whose directory is `root`.
  init(_ archive: ZipArchive, root: String) {
    self.archive = archive
    self.root = root
  }

  /// The constants of a class; none when the code does not tell.
  func options(of type: PickleGlobal) -> [String: ModuleRecord.Option] {
    let path = type.module.split(separator: ".").joined(separator: "/")
    guard let entry = archive["\(root)code/\(path).py"],
      let bytes = try? archive.contents(of: entry, atMost: Self.largestFile)
    else { return [:] }
    return Self.options(of: type.name, in: String(decoding: bytes.array, as: UTF8.self))
  }

  /// The constants of a class in the text of a file.
  static func options(of name: String, in code: String) -> [String: ModuleRecord.Option] {
    var options: [String: ModuleRecord.Option] = [:]
    var isInside = false
    for line in code.split(separator: "\n") {
      if line.hasPrefix("class ") {
        isInside = line.hasPrefix("class \(name)(")
      } else if isInside, let (name, option) = constant(line), !name.hasPrefix("_") {
        options[name] = option
      }
    }
    return options
  }

  /// The constant of a line `  name : Final[type] = literal`.
  private static func constant(_ line: Substring) -> (String, ModuleRecord.Option)? {
    guard line.hasPrefix("  "), let colon = line.firstRange(of: " : Final["),
      let equals = line.firstRange(of: "] = "), colon.upperBound <= equals.lowerBound
    else { return nil }
    let name = String(line[line.index(line.startIndex, offsetBy: 2)..<colon.lowerBound])
    let literal = String(line[equals.upperBound...])
    switch literal {
    case "True": return (name, .bool(true))
    case "False": return (name, .bool(false))
    default: break
    }
    if literal.count >= 2, let quote = literal.first, quote == "\"" || quote == "'",
      literal.last == quote, !literal.contains("\\")
    {
      return (name, .string(String(literal.dropFirst().dropLast())))
    }
    // Python writes whole floats as `0.`.
    let number = literal.hasSuffix(".") ? literal + "0" : literal
    return Double(number).map { (name, .number($0)) }
  }
}
