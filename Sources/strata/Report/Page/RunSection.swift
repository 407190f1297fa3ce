/// What the model does on the golden's input.
struct RunSection {
  var run: GoldenRun?

  var section: Section {
    guard let run else {
      return Section(
        id: "behaviour", title: "Behaviour on the golden input",
        content: [
          .paragraph(
            """
            Hidden states and the activity of gates are shown for the input of a golden; there is \
            none. The part above tells how to record one.
            """)
        ])
    }
    return Section(
      id: "behaviour", title: "Behaviour on the golden input",
      content: [golden(run)] + hiddenStates(run) + activity(run))
  }

  private func golden(_ run: GoldenRun) -> Markup {
    var pieces: [Markup] = [
      run.sealed
        ? "The golden is sealed into the model: "
        : .group([
          "The golden is ", .name(run.file, "run.file"), ": ",
        ])
    ]
    pieces.append(
      .joined(
        run.parts.enumerated().map { index, part in
          let key = "run.parts.\(index)"
          return .group([
            .joined(
              part.modules.enumerated().map {
                $1.isEmpty ? "the module" : .name($1, "\(key).modules.\($0)")
              }, " → "), " runs ",
            .number(part.steps, "\(key).steps"), part.steps == 1 ? " step of " : " steps of ",
            .number(part.sequences, "\(key).sequences"),
            part.sequences == 1 ? " sequence" : " sequences",
          ])
        }, "; "))
    return Markup("p", [:], pieces + ["."])
  }

  // MARK: Hidden states

  private func hiddenStates(_ run: GoldenRun) -> [Markup] {
    guard !run.hiddenStates.isEmpty else { return [] }
    var content: [Markup] = [
      Markup("h3", [:], ["Hidden states over time"]),
      .paragraph(
        """
        The first sequence: units from top to bottom, steps from left to right. Each picture has \
        its own scale, given below it.
        """),
    ]
    if run.omittedLayers > 0 {
      content.append(
        .note(.number(run.omittedLayers, "run.omitted_layers"), " layers farther up are left out."))
    }
    content.append(
      Markup("div", ["class": "panels"], run.hiddenStates.indices.map { picture(run, $0) }))
    return content
  }

  private func picture(_ run: GoldenRun, _ index: Int) -> Markup {
    let states = run.hiddenStates[index]
    let key = "run.hidden_states.\(index)"
    let title = LayerTitle(
      module: states.module, layer: states.layer, direction: states.direction, key: key)
    let rows = states.heatMap.values.count
    let drawing = HeatMapDrawing(
      map: states.heatMap, largest: states.largest, kind: "hidden-states",
      title: "Hidden states: \(title.text)",
      description: "Units from top to bottom, steps from left to right, coloured by value.",
      key: "\(key).heat_map")
    return .figure(
      "plot",
      [
        drawing.markup(style: "height:\(min(220, max(48, rows * 9)))px"),
        .axis("first step", "last step"),
        HeatMapDrawing.legend(largest: states.largest, key: "\(key).largest"),
      ],
      caption: [
        title.markup, Markup("br", [:]), .shape(states.heatMap.shape, "\(key).heat_map.shape"),
        " (units × steps)", HeatMapNote(map: states.heatMap, key: "\(key).heat_map").markup,
      ])
  }

  // MARK: Gates

  private func activity(_ run: GoldenRun) -> [Markup] {
    guard !run.activity.gates.isEmpty else {
      return [
        Markup("h3", [:], ["Gate activity"]), .paragraph("An RNN has no gates."),
      ]
    }
    let key = "run.activity"
    return [
      Markup("h3", [:], ["Gate activity"]),
      .paragraph(
        "Over all units, steps and sequences: how often a gate is open, above ",
        .number(run.activity.above, "\(key).above"), ", or shut, below ",
        .number(run.activity.below, "\(key).below"),
        """
        . A candidate has the values of tanh: there, shut means below the negative of the upper \
        threshold.
        """),
      .details(
        "Every gate in numbers", isOpen: run.activity.gates.count <= 32, [activityTable(run).markup]
      ),
    ]
  }

  private func activityTable(_ run: GoldenRun) -> Table {
    Table(
      caption: "How often gates are shut or open",
      columns: [
        Table.Column(title: "Gate"), Table.Column(title: "Layer"),
        Table.Column(title: "Shut", isNumeric: true), Table.Column(title: "Open", isNumeric: true),
        Table.Column(title: "Mean", isNumeric: true),
        Table.Column(title: "Shut, between, open; mark at the mean"),
      ],
      rows: run.activity.gates.enumerated().map { index, gate in
        let key = "run.activity.gates.\(index)"
        let title = LayerTitle(
          module: gate.module, layer: gate.layer, direction: gate.direction, key: key)
        let drawing = ActivityDrawing(
          activity: gate, title: "Activity of gate \(gate.gate): \(title.text)", key: key)
        return [
          .group([
            .words(gate.gate, "\(key).gate"), " (", .words(gate.activation, "\(key).activation"),
            ")",
          ]), title.markup,
          .percentage(gate.low, "\(key).low"), .percentage(gate.high, "\(key).high"),
          .number(gate.mean, "\(key).mean"), drawing.markup,
        ]
      })
  }
}

/// What is to be known of a heat map that shows less than the matrix.
struct HeatMapNote {
  var map: HeatMap
  var key: String

  var markup: Markup {
    guard map.isReduced else { return .group([]) }
    return .group([
      Markup("br", [:]), "each cell the largest of ", .shape(map.block, "\(key).block"),
      " values",
    ])
  }
}
