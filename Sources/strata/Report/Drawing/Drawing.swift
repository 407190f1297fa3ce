/// A picture: SVG with a title and a description for those who do not see it.
struct Drawing {
  /// What it is, `histogram`.
  var kind: StaticString
  /// The place of its numbers in `--json`.
  var key: String
  var title: String
  var description: String
  var width: Double
  var height: Double
  var content: [Markup]

  /// The element, in the size that the style sheet says, and distorted to it.
  func stretched(style: String = "") -> Markup {
    svg(class: "stretched", ratio: "none", style: style)
  }

  /// The element in its own size, one unit a pixel.
  var sized: Markup {
    svg(class: "sized", ratio: "xMidYMid", style: "width:\(width.svg)px;height:\(height.svg)px")
  }

  private func svg(class: String, ratio: String, style: String) -> Markup {
    let id = "\(kind)-\(key.replacing(".", with: "-"))"
    return Markup(
      "svg",
      [
        "role": "img", "data-figure": "\(kind)", "data-key": key,
        "aria-labelledby": "\(id)-title \(id)-desc",
        "viewBox": "0 0 \(width.svg) \(height.svg)", "preserveAspectRatio": ratio,
        "class": `class`, "style": style,
      ],
      [
        Markup("title", ["id": "\(id)-title"], [.text(title)]),
        Markup("desc", ["id": "\(id)-desc"], [.text(description)]),
      ] + content)
  }
}

extension Double {
  /// A coordinate: two digits behind the point are less than anybody sees.
  var svg: String {
    let rounded = (self * 100).rounded() / 100
    return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
  }
}

extension Markup {
  /// A path.
  static func path(_ class: String, _ data: String) -> Markup {
    Markup("path", ["class": `class`, "d": data])
  }

  /// A straight line that keeps its width when the picture is stretched.
  static func line(
    _ class: String, _ from: (x: Double, y: Double), _ to: (x: Double, y: Double)
  ) -> Markup {
    path(`class`, "M\(from.x.svg) \(from.y.svg)L\(to.x.svg) \(to.y.svg)")
  }

  /// A number in the text of a picture.
  static func drawnNumber(_ value: Int, _ key: String) -> Markup {
    Markup(
      "tspan", ["data-key": key, "data-value": "\(value)"], [.text(value.displayText)])
  }

  /// A name of the file's in the text of a picture, cut where it is too long.
  static func drawnName(_ name: String, _ key: String, limit: Int) -> Markup {
    var shown = name.escaped
    if shown.count > limit { shown = shown.prefix(limit / 2) + "…" + shown.suffix(limit / 2 - 1) }
    return Markup("tspan", ["data-key": key], [.text(shown)])
  }
}
