/// The network drawn twice, and its modules in a table.
struct NetworkSection {
  var network: NetworkOutline

  var section: Section {
    var content: [Markup] = [
      .paragraph(
        """
        First the layers from the input, at the bottom, to the output; then the same network unrolled \
        over time: each cell passes its output up to the next layer and its state on to the next step, \
        with the same weights at every step.
        """),
      .note("T is the number of steps, N the number of sequences that run side by side."),
    ]
    for (index, chain) in network.chains.enumerated() {
      content.append(
        Markup(
          "div", ["class": "network"],
          [
            .figure(
              "drawing",
              [.scrolled("The stacked network", StackDrawing(chain, index: index).markup)],
              caption: [
                "The stacked network, ",
                .number(chain.parameters, "network.chains.\(index).parameters"),
                " parameters",
              ]),
            .figure(
              "drawing",
              [
                .scrolled(
                  "The network unrolled over time", UnrolledDrawing(chain, index: index).markup)
              ],
              caption: [.text(Self.unrolledCaption(chain))]),
          ]))
    }
    content.append(
      .details(
        "Every layer in numbers", isOpen: layers.count <= 6, [table.markup]))
    return Section(id: "network", title: "The network", content: content)
  }

  private static func unrolledCaption(_ chain: NetworkOutline.Chain) -> String {
    let isBidirectional = chain.stacks.contains(where: \.isBidirectional)
    return "Unrolled over time"
      + (isBidirectional ? "; reverse layers read the sequence from its end" : "")
  }

  private var layers: [[Markup]] {
    network.chains.enumerated().flatMap { index, chain in
      chain.stacks.enumerated().flatMap { place, stack in
        rows(of: stack, "network.chains.\(index).stacks.\(place)")
      }
    }
  }

  private func rows(of stack: NetworkOutline.Stack, _ key: String) -> [[Markup]] {
    stack.layers.indices.map { layer in
      let own = "\(key).layers.\(layer)"
      var hidden: [Markup] = [.number(stack.hiddenSize, "\(key).hidden_size")]
      if let projection = stack.projectionSize {
        hidden += [" → ", .number(projection, "\(key).projection_size")]
      }
      return [
        .group([
          stack.name.isEmpty ? "" : .group([.name(stack.name, "\(key).name"), " "]), "layer ",
          .number(stack.layers[layer].layer, "\(own).layer"),
        ]),
        .words(stack.type, "\(key).type"),
        .joined(
          stack.directions.enumerated().map { .words($1, "\(key).directions.\($0)") }, ", "),
        .joined(
          stack.gates.enumerated().map { .words($1.letter, "\(key).gates.\($0).letter") }, " "),
        .number(stack.layers[layer].inputSize, "\(own).input_size"),
        .group(hidden),
        .number(stack.layers[layer].outputSize, "\(own).output_size"),
        .number(stack.layers[layer].parametersPerDirection, "\(own).parameters_per_direction"),
      ]
    }
  }

  private var table: Table {
    Table(
      caption: "Every layer",
      columns: [
        Table.Column(title: "Layer"), Table.Column(title: "Type"),
        Table.Column(title: "Directions"),
        Table.Column(title: "Gates"), Table.Column(title: "Input", isNumeric: true),
        Table.Column(title: "Hidden", isNumeric: true),
        Table.Column(title: "Output", isNumeric: true),
        Table.Column(title: "Parameters, each direction", isNumeric: true),
      ], rows: layers)
  }
}
