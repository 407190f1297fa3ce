/// The page: one HTML file that loads nothing and runs nothing.
struct ReportPage {
  private let data: ReportData

  init(_ data: ReportData) { self.data = data }

  /// What the browser is held to: it may use the style sheet of the page, and nothing else.
  private static let policy =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

  /// The file's text; the same for the same model, golden and version of the tool.
  var html: String {
    let sections: [Section] = [
      NetworkSection(network: data.network).section,
      ParitySection(parity: data.parity, errors: data.run?.errors).section,
      RunSection(run: data.run).section,
      WeightsSection(weights: data.weights).section,
      NotesSection(data: data).section,
    ]
    return "<!DOCTYPE html>\n"
      + Markup("html", ["lang": "en"], [head, body(sections)]).html + "\n"
  }

  private var head: Markup {
    Markup(
      "head", [:],
      [
        Markup("meta", ["charset": "utf-8"]),
        Markup("meta", ["http-equiv": "Content-Security-Policy", "content": Self.policy]),
        Markup("meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"]),
        Markup("meta", ["name": "color-scheme", "content": "light dark"]),
        Markup("meta", ["name": "referrer", "content": "no-referrer"]),
        Markup("meta", ["name": "generator", "content": data.tool]),
        Markup("title", [:], [.text("\(data.file): a report by Strata")]),
        Stylesheet.markup,
      ])
  }

  private func body(_ sections: [Section]) -> Markup {
    Markup(
      "body", [:],
      [
        Markup("a", ["class": "skip", "href": "#main"], ["Skip to the report"]),
        PageHeader(data: data).markup,
        Markup(
          "nav", ["aria-label": "Parts of the report"],
          [
            Markup(
              "ul", [:],
              sections.map { section in
                Markup(
                  "li", [:],
                  [
                    Markup("a", ["href": "#\(section.id)"], [.text(section.title)])
                  ])
              })
          ]),
        Markup("main", ["id": "main"], sections.map(\.markup)),
        Markup(
          "footer", [:],
          [
            Markup(
              "p", [:],
              [
                "Made by ", .words(data.tool, "tool"), " from ", .name(data.file, "file"),
                ". Everything on this page is computed from the file",
                data.run == nil ? "" : " and from the golden",
                "; the page itself loads nothing and runs no script.",
              ])
          ]),
      ])
  }
}

/// A part of the page under a heading.
struct Section {
  var id: String
  var title: String
  var content: [Markup]

  var markup: Markup {
    Markup(
      "section", ["id": id, "aria-labelledby": "\(id)-heading"],
      [
        Markup("h2", ["id": "\(id)-heading"], [.text(title)])
      ] + content)
  }
}

/// What the file is, at a glance.
private struct PageHeader {
  var data: ReportData

  var markup: Markup {
    Markup(
      "header", [:],
      [
        Markup("p", ["class": "eyebrow"], ["Strata report"]),
        Markup("h1", [:], [.name(data.file, "file")]),
        Markup(
          "ul", ["class": "chains"],
          data.network.chains.indices.map { chain in
            Markup("li", [:], [modules(chain)])
          }),
        verdict,
        Markup(
          "dl", ["class": "facts"],
          [
            fact("Parameters", .number(data.parameters, "parameters")),
            fact("Size", .group([.number(data.bytes, "bytes"), " bytes"])),
            fact("Format", .words(data.format, "format")),
            golden,
          ]),
      ])
  }

  private func modules(_ chain: Int) -> Markup {
    let key = "network.chains.\(chain)"
    let modules = data.network.chains[chain]
    var pieces: [Markup] = []
    if let embedding = modules.embedding {
      pieces.append(.words(embedding.text, "\(key).embedding.text"))
    }
    for (index, stack) in modules.stacks.enumerated() {
      pieces.append(.words(stack.text, "\(key).stacks.\(index).text"))
    }
    if let head = modules.head { pieces.append(.words(head.text, "\(key).head.text")) }
    return .joined(pieces, " → ")
  }

  private var verdict: Markup {
    switch data.parity?.verified {
    case true:
      Markup(
        "p", ["class": "verdict good"],
        [
          Markup("strong", [:], ["✓ Verified"]),
          " Swift gives PyTorch’s numbers, within the tolerance.",
        ])
    case false:
      Markup(
        "p", ["class": "verdict bad"],
        [
          Markup("strong", [:], ["✗ NOT verified"]),
          " At least one result is farther from PyTorch’s than the tolerance allows.",
        ])
    case nil:
      Markup(
        "p", ["class": "verdict none"],
        [
          Markup("strong", [:], ["– Not compared"]),
          " There is no golden to compare with PyTorch.",
        ])
    }
  }

  private var golden: Markup {
    guard let run = data.run, let part = run.parts.first else { return .group([]) }
    return fact(
      "Golden input",
      .group([
        .number(part.steps, "run.parts.0.steps"), part.steps == 1 ? " step × " : " steps × ",
        .number(part.sequences, "run.parts.0.sequences"),
        part.sequences == 1 ? " sequence" : " sequences",
      ]))
  }

  private func fact(_ name: String, _ value: Markup) -> Markup {
    Markup("div", [:], [Markup("dt", [:], [.text(name)]), Markup("dd", [:], [value])])
  }
}
