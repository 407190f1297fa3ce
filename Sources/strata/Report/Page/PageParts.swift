// Parts that several sections are made of.

extension Markup {
  static func paragraph(_ pieces: Markup...) -> Markup { Markup("p", [:], pieces) }

  /// What a reader has to know beside a picture.
  static func note(_ pieces: Markup...) -> Markup { Markup("p", ["class": "note"], pieces) }

  /// What to type.
  static func command(_ text: String) -> Markup { Markup("code", [:], [.text(text)]) }

  /// A box that what is too wide is scrolled in, by keys as well.
  static func scrolled(_ label: String, _ content: Markup) -> Markup {
    Markup(
      "div", ["class": "scroll", "role": "region", "aria-label": label, "tabindex": "0"], [content])
  }

  /// A picture with its caption below.
  static func figure(_ class: String, _ content: [Markup], caption: [Markup]) -> Markup {
    Markup("figure", ["class": `class`], content + [Markup("figcaption", [:], caption)])
  }

  /// The two ends of a horizontal axis.
  static func axis(_ start: Markup, _ end: Markup) -> Markup {
    Markup("div", ["class": "axis"], [Markup("span", [:], [start]), Markup("span", [:], [end])])
  }

  /// What can be folded away; open where it is short.
  static func details(_ summary: Markup, isOpen: Bool, _ content: [Markup]) -> Markup {
    let inside = [Markup("summary", [:], [summary])] + content
    return isOpen
      ? Markup("details", ["open": ""], inside) : Markup("details", [:], inside)
  }
}

/// A table with a caption, and headings for its columns and its rows.
struct Table {
  var caption: String
  var columns: [Column]
  /// Cells by row; the first one of a row is its heading.
  var rows: [[Markup]]

  struct Column {
    var title: String
    /// Whether it is aligned to the right.
    var isNumeric = false
  }

  /// The table in a box of its own.
  var markup: Markup {
    .scrolled(
      caption,
      Markup(
        "table", [:],
        [
          Markup("caption", [:], [.text(caption)]),
          Markup(
            "thead", [:],
            [
              Markup(
                "tr", [:],
                columns.map {
                  Markup(
                    "th", ["scope": "col", "class": $0.isNumeric ? "number" : ""], [.text($0.title)]
                  )
                })
            ]),
          Markup(
            "tbody", [:],
            rows.map { row in
              Markup(
                "tr", [:],
                row.enumerated().map { index, cell in
                  let alignment = columns[index].isNumeric ? "number" : ""
                  return index == 0
                    ? Markup("th", ["scope": "row", "class": alignment], [cell])
                    : Markup("td", ["class": alignment], [cell])
                })
            }),
        ]))
  }
}

/// A layer in one direction, as headings and captions call it.
struct LayerTitle {
  var module: String
  var layer: Int
  var direction: String
  /// The place of the object in `--json` that has these.
  var key: String

  /// For headings.
  var markup: Markup {
    .group([
      // A module at the root has no name.
      module.isEmpty ? "" : .group([.name(module, "\(key).module"), " "]), "layer ",
      .number(layer, "\(key).layer"), ", ", .words(direction, "\(key).direction"),
    ])
  }

  /// For the titles of pictures, which hold text alone.
  var text: String { "\(module.isEmpty ? "" : module + ", ")layer \(layer), \(direction)" }
}
