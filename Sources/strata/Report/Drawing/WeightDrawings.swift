/// A histogram as bars.
struct HistogramDrawing {
  var histogram: Histogram
  /// The ends of the axis.
  var low: Double
  var high: Double
  var title: String
  var key: String

  private static let height = 100.0

  var markup: Markup {
    let count = Double(histogram.counts.count)
    var bars = ""
    for (index, value) in histogram.counts.enumerated() where value > 0 {
      let top = Self.height * (1 - Double(value) / Double(histogram.most))
      bars +=
        "M\((Double(index) + 0.06).svg) \(Self.height.svg)V\(top.svg)h0.88V\(Self.height.svg)z"
    }
    var content: [Markup] = [.path("bars", bars)]
    if low < 0, high > 0 {
      // Halved, so that the difference of large numbers is no infinity.
      let zero = count * (-low / 2) / (high / 2 - low / 2)
      content.append(.line("zero", (zero, 0), (zero, Self.height)))
    }
    return Drawing(
      kind: "histogram", key: key, title: title,
      description: "How many weights lie in each of equally wide bins; the line stands at zero.",
      width: count, height: Self.height, content: content
    ).stretched()
  }
}

/// A matrix as coloured cells, from the largest negative value over zero to the largest positive one.
struct HeatMapDrawing {
  /// How many colours there are on either side of zero.
  static let levels = 8

  var map: HeatMap
  /// The magnitude at which the colours end.
  var largest: Double
  var kind: StaticString
  var title: String
  var description: String
  var key: String

  /// In a size that the style says.
  func markup(style: String) -> Markup {
    var runs: [Int?: String] = [:]
    for (row, values) in map.values.enumerated() {
      var column = 0
      while column < values.count {
        let level = level(of: values[column])
        var end = column + 1
        while end < values.count, self.level(of: values[end]) == level { end += 1 }
        // As one path for each colour: an element for each cell would be ten times as long.
        runs[level, default: ""] += "M\(column) \(row)h\(end - column)v1H\(column)z"
        column = end
      }
    }
    let order = ((-Self.levels...Self.levels).map(Optional.some) + [nil])
    let content = order.compactMap { level in runs[level].map { Markup.path(Self.name(level), $0) }
    }
    return Drawing(
      kind: kind, key: key, title: title, description: description,
      width: Double(map.values.first?.count ?? 0), height: Double(map.values.count),
      content: content
    ).stretched(style: style)
  }

  /// The colour of a value, −8 to 8; nil for NaN.
  private func level(of value: Float) -> Int? {
    guard !value.isNaN else { return nil }
    guard largest > 0 else { return 0 }
    let place = max(-1, min(1, Double(value) / largest))
    return Int((place * Double(Self.levels)).rounded())
  }

  /// The class of a colour: `n8` … `n1`, `z`, `p1` … `p8`, `nan`.
  static func name(_ level: Int?) -> String {
    switch level {
    case nil: "nan"
    case 0?: "z"
    case .some(let level): level < 0 ? "n\(-level)" : "p\(level)"
    }
  }

  /// The colours from one end to the other.
  static func legend(largest: Double, key: String) -> Markup {
    let swatches = (-levels...levels).map { level in
      Markup(
        "rect",
        [
          "class": name(level), "x": "\(level + levels)", "y": "0", "width": "1", "height": "1",
        ])
    }
    return Markup(
      "div", ["class": "legend"],
      [
        Markup("span", [:], ["−", .number(largest, key)]),
        Markup(
          "svg",
          [
            "class": "stretched", "aria-hidden": "true", "preserveAspectRatio": "none",
            "viewBox": "0 0 \(2 * levels + 1) 1",
          ], swatches),
        Markup("span", [:], ["+", .number(largest, key)]),
      ])
  }
}

/// Singular values in falling order.
struct SpectrumDrawing {
  var values: [Double]
  var title: String
  var key: String

  private static let height = 100.0

  var markup: Markup {
    let top = max(values.first ?? 0, .leastNormalMagnitude)
    // Bars as long as there are few; many would only flicker.
    let width = values.count <= 48 ? "0.88" : "1"
    let bars = values.enumerated().map { index, value in
      "M\(index) \(Self.height.svg)V\((Self.height * (1 - value / top)).svg)h\(width)V\(Self.height.svg)z"
    }
    var content: [Markup] = [.path("bars", bars.joined())]
    if top > 1 {
      let one = Self.height * (1 - 1 / top)
      content.append(.line("one", (0, one), (Double(values.count), one)))
    }
    return Drawing(
      kind: "spectrum", key: key, title: title,
      description:
        "The singular values from the largest to the least; the dashed line stands at one.",
      width: Double(values.count), height: Self.height, content: content
    ).stretched()
  }
}
