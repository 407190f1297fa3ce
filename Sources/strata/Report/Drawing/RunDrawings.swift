/// How large the error of a layer is at every step, on a logarithmic axis.
struct ErrorDrawing {
  /// The layer's lines, one for each reference.
  var series: [(index: Int, series: ErrorsOverTime.Series)]
  var scale: LogScale
  var title: String

  private static let height = 100.0

  var markup: Markup {
    let count = series.map(\.series.values.count).max() ?? 1
    let lines = series.map { entry in
      var line = ""
      for (index, value) in entry.series.values.enumerated() {
        let y = (Self.height * (1 - scale.place(of: value))).svg
        line += index == 0 ? "M0 \(y)H1" : "V\(y)H\(index + 1)"
      }
      return Markup.path("line \(entry.series.reference)", line)
    }
    let grid = [0.25, 0.5, 0.75].map {
      Markup.line("grid", (0, Self.height * $0), (Double(count), Self.height * $0))
    }
    return Drawing(
      kind: "errors", key: "run.errors.series.\(series[0].index)", title: title,
      description:
        "The largest error at every step: a solid line against float64 PyTorch, a dashed "
        + "one against float32 PyTorch, on a logarithmic axis.",
      width: Double(count), height: Self.height, content: grid + lines
    ).stretched()
  }
}

/// How often a gate is shut, between, and open: three parts of a bar, and a mark at the mean.
struct ActivityDrawing {
  var activity: GoldenRun.GateActivity
  var title: String
  var key: String

  var markup: Markup {
    let (low, high) = (100 * activity.low, 100 * activity.high)
    // tanh goes from −1 to 1.
    let mean = activity.activation == "sigmoid" ? activity.mean : (activity.mean + 1) / 2
    func part(_ class: String, _ x: Double, _ width: Double) -> Markup {
      Markup(
        "rect",
        [
          "class": `class`, "x": x.svg, "y": "2", "width": max(0, width).svg, "height": "8",
        ])
    }
    return Drawing(
      kind: "activity", key: key, title: title,
      description: "From the left: shut, between, open; the upright mark stands at the mean value.",
      width: 100, height: 12,
      content: [
        part("shut", 0, low), part("between", low, 100 - low - high),
        part("open", 100 - high, high),
        .line("mean", (100 * mean, 0), (100 * mean, 12)),
      ]
    ).stretched()
  }
}
