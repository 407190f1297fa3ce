// What both pictures of a network are made of.

extension Markup {
  /// A box with round corners.
  static func box(
    _ class: String, x: Double, y: Double, width: Double, height: Double
  ) -> Markup {
    Markup(
      "rect",
      [
        "class": `class`, "x": x.svg, "y": y.svg, "width": width.svg, "height": height.svg,
        "rx": "7",
      ])
  }

  /// A line of text whose middle stands at a place.
  static func label(_ class: String, x: Double, y: Double, _ pieces: [Markup]) -> Markup {
    Markup("text", ["class": `class`, "x": x.svg, "y": y.svg], pieces)
  }

  /// An arrow along an axis, its head at `to`.
  static func arrow(_ from: (x: Double, y: Double), _ to: (x: Double, y: Double)) -> Markup {
    let (size, side) = (6.0, 3.5)
    let head: [(x: Double, y: Double)]
    let end: (x: Double, y: Double)
    if from.x == to.x {
      let back = to.y < from.y ? size : -size
      end = (to.x, to.y + back)
      head = [(to.x - side, end.y), to, (to.x + side, end.y)]
    } else {
      let back = to.x < from.x ? size : -size
      end = (to.x + back, to.y)
      head = [(end.x, to.y - side), to, (end.x, to.y + side)]
    }
    let points = head.map { "\($0.x.svg) \($0.y.svg)" }
    return .group([
      .line("wire", from, end), .path("tip", "M\(points.joined(separator: "L"))z"),
    ])
  }
}

extension NetworkOutline.Stack {
  /// What goes on to the next step, in letters.
  var stateLetters: (initial: String, final: String) {
    type.hasPrefix("LSTM") ? ("h₀, c₀", "hₙ, cₙ") : ("h₀", "hₙ")
  }
}
