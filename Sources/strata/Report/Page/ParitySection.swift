/// How close the results are to PyTorch's: tensor by tensor, and step by step.
struct ParitySection {
  var parity: VerificationReport?
  var errors: ErrorsOverTime?

  var section: Section {
    guard let parity else {
      return Section(
        id: "parity", title: "Parity with PyTorch",
        content: [
          .paragraph(
            "There is no golden, neither in the model nor beside it. In Python, with ",
            .command("tools/export_pytorch.py"), ", record one beside the model: ",
            .command("export(model, \"model.h5\", example_input, intermediates=True)"),
            "; then name it: ",
            .command("strata report model.h5 --golden model.golden.h5 -o report.html"), ".")
        ])
    }
    return Section(
      id: "parity", title: "Parity with PyTorch",
      content: [verdict(parity)] + tables(parity) + errorsOverTime)
  }

  private func verdict(_ parity: VerificationReport) -> Markup {
    var pieces: [Markup] = [
      Markup("strong", [:], [parity.verified ? "Verified." : "NOT verified."]), " Tolerance: ",
    ]
    if parity.tensors.contains(where: { $0.bound == nil }) {
      pieces += [
        "|a − b| ≤ ", .number(parity.atol, "parity.atol"), " + ",
        .number(parity.rtol, "parity.rtol"),
        " |b|; ",
      ]
    }
    pieces += [.words(parity.toleranceSource, "parity.tolerance_source"), "."]
    if let diagnosis = parity.diagnosis {
      pieces += [" ", .words(diagnosis.explanation, "parity.diagnosis.explanation")]
    }
    for (index, module) in parity.unchecked.enumerated() {
      pieces += [" Not checked: ", .name(module, "parity.unchecked.\(index)"), "."]
    }
    return Markup("p", [:], pieces)
  }

  private typealias Row = (index: Int, tensor: VerificationReport.Entry)

  /// Results first, and what goes on inside layers where it can be folded away.
  private func tables(_ parity: VerificationReport) -> [Markup] {
    let rows = parity.tensors.enumerated().map { Row($0, $1) }
    let inside = rows.filter { $0.tensor.isInsideLayers }
    let results = rows.filter { !$0.tensor.isInsideLayers }
    var tables: [Markup] = []
    if !results.isEmpty {
      tables.append(table("Recorded results, and Strata’s errors", results))
    }
    if !inside.isEmpty {
      tables.append(
        .details(
          "Hidden states, cell states and gates of every layer",
          isOpen: results.isEmpty || !inside.allSatisfy(\.tensor.passed),
          [table("Inside layers, and Strata’s errors", inside)]))
    }
    return tables
  }

  private func table(_ caption: String, _ rows: [Row]) -> Markup {
    Table(
      caption: caption,
      columns: [
        Table.Column(title: "Tensor"), Table.Column(title: "PyTorch’s"),
        Table.Column(title: "Largest error", isNumeric: true),
        Table.Column(title: "Relative", isNumeric: true), Table.Column(title: "At"),
        Table.Column(title: "Allowed", isNumeric: true), Table.Column(title: "Result"),
      ],
      rows: rows.map { index, row in
        let key = "parity.tensors.\(index)"
        return [
          .name(row.name, "\(key).name"), .words(row.reference, "\(key).reference"),
          .number(row.maxAbs, "\(key).max_abs"), .number(row.maxRel, "\(key).max_rel"),
          .group([
            "[",
            .joined(row.at.enumerated().map { .number($1, "\(key).at.\($0)") }, ", "), "]",
          ]),
          row.bound.map { .number($0, "\(key).bound") } ?? "as above",
          row.passed
            ? Markup("span", ["class": "good"], ["✓ passed"])
            : Markup("strong", ["class": "bad"], ["✗ FAILED"]),
        ]
      }
    ).markup
  }

  // MARK: Step by step

  private var errorsOverTime: [Markup] {
    guard let errors, !errors.series.isEmpty else { return [] }
    var content: [Markup] = [
      Markup("h3", [:], ["Error over time"]),
      .paragraph(
        """
        The largest error of the hidden states at every step, over all sequences and units, against \
        what PyTorch computed in float32 and in float64. Rounding grows slowly; a wrong convention \
        shows from the first step.
        """),
    ]
    if !errors.isComplete {
      content.append(
        .note(
          "The golden has the last layer alone. To see every layer, record it with ",
          .command("intermediates=True"), "."))
    }
    content.append(legend)
    content.append(
      Markup("div", ["class": "panels"], grouped(errors.series).map { panel($0, errors) }))
    return content
  }

  private var legend: Markup {
    func sample(_ reference: String) -> Markup {
      Markup(
        "span", [:],
        [
          Markup(
            "svg", ["class": "sample", "aria-hidden": "true", "viewBox": "0 0 36 8"],
            [.path("line \(reference)", "M0 4H36")]),
          .text(" against \(reference)"),
        ])
    }
    return Markup("p", ["class": "legend-line"], [sample("float64"), sample("float32")])
  }

  private typealias Line = (index: Int, series: ErrorsOverTime.Series)

  /// The lines of each layer in one direction.
  private func grouped(_ series: [ErrorsOverTime.Series]) -> [[Line]] {
    var groups: [[Line]] = []
    for (index, line) in series.enumerated() {
      if let last = groups.last?.last?.series, last.module == line.module,
        last.layer == line.layer, last.direction == line.direction,
        line.tensor == last.tensor + "_f64"
      {
        groups[groups.count - 1].append((index, line))
      } else {
        groups.append([(index, line)])
      }
    }
    return groups
  }

  private func panel(_ lines: [Line], _ errors: ErrorsOverTime) -> Markup {
    let first = lines[0]
    let key = "run.errors.series.\(first.index)"
    let title = LayerTitle(
      module: first.series.module, layer: first.series.layer, direction: first.series.direction,
      key: key)
    let drawing = ErrorDrawing(
      series: lines, scale: LogScale(low: errors.low, high: errors.high),
      title: "Error over time: \(title.text)")
    var facts: [Markup] = []
    for line in lines {
      let key = "run.errors.series.\(line.index)"
      facts.append(
        Markup(
          "li", [:],
          [
            .words(line.series.reference, "\(key).reference"), ": at most ",
            .number(line.series.largest, "\(key).largest"), ", at step ",
            .number(line.series.at, "\(key).at"),
          ]))
    }
    if first.series.stepsPerPoint > 1 {
      facts.append(
        Markup(
          "li", [:],
          [
            "each point is the largest of ",
            .number(first.series.stepsPerPoint, "\(key).steps_per_point"), " steps",
          ]))
    }
    return .figure(
      "plot",
      [
        Markup(
          "div", ["class": "plot-area"],
          [
            Markup(
              "div", ["class": "y-axis"],
              [
                Markup("span", [:], [.number(errors.high, "run.errors.high")]),
                Markup("span", [:], [.number(errors.low, "run.errors.low")]),
              ]),
            drawing.markup,
          ]),
        .axis("first step", "last step"),
      ],
      caption: [
        title.markup, ", recorded as ", .name(first.series.tensor, "\(key).tensor"),
        Markup("ul", ["class": "plain"], facts),
      ])
  }
}

extension VerificationReport.Entry {
  /// Whether it is what goes on inside a layer: `output_l0`, `gates_l1_reverse`.
  fileprivate var isInsideLayers: Bool {
    let last = name.split(separator: ".").last ?? ""
    return ["output_l", "c_l", "gates_l"].contains { last.hasPrefix($0) }
  }
}
