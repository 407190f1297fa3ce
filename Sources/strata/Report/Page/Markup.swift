/// Attributes in the order in which they are written.
typealias Attributes = KeyValuePairs<StaticString, String>

/// A piece of HTML, or of SVG inside of it.
///
/// Names come from strangers: text and the values of attributes are escaped where they come in, and names
/// of elements and attributes stand in this program.
struct Markup {
  private(set) var html: String

  /// An element with what is inside.
  init(_ name: StaticString, _ attributes: Attributes = [:], _ children: [Markup] = []) {
    var html = "<\(name)"
    for (name, value) in attributes { html += " \(name)=\"\(Self.escaped(value))\"" }
    html += ">"
    if !Self.isVoid(name) {
      for child in children { html += child.html }
      html += "</\(name)>"
    }
    self.html = html
  }

  private init(html: String) { self.html = html }

  /// Plain text.
  static func text(_ text: String) -> Markup { Markup(html: escaped(text)) }

  /// Pieces one behind the other.
  static func group(_ pieces: [Markup]) -> Markup { Markup(html: pieces.map(\.html).joined()) }

  /// The style sheet, which stands in this program; a text that is not escaped.
  static func style(_ sheet: StaticString) -> Markup { Markup(html: "<style>\(sheet)</style>") }

  /// Elements that have no end.
  private static func isVoid(_ name: StaticString) -> Bool {
    ["meta", "br"].contains("\(name)")
  }

  /// What steers a browser, and what is not to be seen, made visible.
  private static func escaped(_ text: String) -> String {
    var escaped = ""
    for character in text.escaped.unicodeScalars {
      switch character {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case "'": escaped += "&#39;"
      default: escaped.unicodeScalars.append(character)
      }
    }
    return escaped
  }
}

extension Markup: ExpressibleByStringLiteral {
  /// Plain text.
  init(stringLiteral text: String) { self = .text(text) }
}

// Numbers and names that stand in `--json` as well, each with its place there.
extension Markup {
  /// A number in the text of the page.
  static func number(_ value: Double, _ key: String) -> Markup {
    Markup("data", ["data-key": key, "value": value.exactText], [.text(value.displayText)])
  }

  /// A whole number in the text of the page.
  static func number(_ value: Int, _ key: String) -> Markup {
    Markup("data", ["data-key": key, "value": "\(value)"], [.text(value.displayText)])
  }

  /// A fraction as a percentage.
  static func percentage(_ fraction: Double, _ key: String) -> Markup {
    Markup("data", ["data-key": key, "value": fraction.exactText], [.text(fraction.percentText)])
  }

  /// A shape, `256 × 64`.
  static func shape(_ sizes: [Int], _ key: String) -> Markup {
    .joined(sizes.enumerated().map { .number($1, "\(key).\($0)") }, " × ")
  }

  /// A name of the file's.
  static func name(_ name: String, _ key: String) -> Markup {
    Markup("code", ["data-key": key], [.text(name.isEmpty ? "(root)" : name)])
  }

  /// A text that stands in `--json` word for word.
  static func words(_ text: String, _ key: String) -> Markup {
    Markup("span", ["data-key": key], [.text(text)])
  }

  /// Pieces with a text between them.
  static func joined(_ pieces: [Markup], _ separator: String) -> Markup {
    var all: [Markup] = []
    for (index, piece) in pieces.enumerated() {
      if index > 0 { all.append(.text(separator)) }
      all.append(piece)
    }
    return .group(all)
  }
}
