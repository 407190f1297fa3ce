/// The weights of every layer, gate by gate.
struct WeightsSection {
  var weights: WeightGallery

  /// How many layers are shown without being asked for.
  private static let openLayers = 4

  var section: Section {
    var content: [Markup] = [
      .paragraph(
        """
        For each gate the distribution of its weights, the weights themselves from the largest \
        negative value over zero to the largest positive one, and the singular values of 
        """,
        Self.symbol("weight_hh"),
        ", which tell by how much a step can stretch the hidden state.")
    ]
    if weights.omittedSpectra > 0 {
      content.append(
        .note(
          "The singular values of ", .number(weights.omittedSpectra, "weights.omitted_spectra"),
          " matrices are left out: computing them takes too long beyond a side of ",
          .number(weights.spectrumLimit, "weights.spectrum_limit"),
          " and for very many matrices, and values that are not finite have none."))
    }
    if weights.omittedLayers > 0 {
      content.append(
        .note(
          .number(weights.omittedLayers, "weights.omitted_layers"),
          " layers farther up are left out."))
    }
    content += weights.layers.indices.map(layer)
    return Section(id: "weights", title: "Weights", content: content)
  }

  private static func symbol(_ parameter: String) -> Markup {
    .group([
      Markup("i", [:], ["W"]), Markup("sub", [:], [parameter == "weight_ih" ? "ih" : "hh"]),
    ])
  }

  private func layer(_ index: Int) -> Markup {
    let layer = weights.layers[index]
    let key = "weights.layers.\(index)"
    let title = LayerTitle(
      module: layer.module, layer: layer.layer, direction: layer.direction, key: key)
    let summary = Markup(
      "h3", [:],
      [
        title.markup,
        Markup(
          "span", ["class": "aside"],
          [
            .number(layer.parameters, "\(key).parameters"), " parameters",
          ]),
      ])
    let cards = layer.gates.indices.map { card(layer, $0, key, title) }
    return .details(
      summary, isOpen: index < Self.openLayers,
      [
        Markup("div", ["class": "gates", "style": "--gates:\(layer.gates.count)"], cards)
      ])
  }

  private func card(
    _ layer: LayerWeights, _ gate: Int, _ key: String, _ title: LayerTitle
  ) -> Markup {
    let facts = layer.gates[gate]
    var figures: [Markup] = []
    for (index, matrix) in layer.matrices.enumerated() {
      let own = "\(key).matrices.\(index)"
      let name = "gate \(facts.letter) of \(matrix.tensor)"
      figures.append(histogram(matrix, gate, own, name))
      figures.append(heatMap(matrix, gate, own, name))
      if let values = matrix.gates[gate].singularValues, !values.isEmpty {
        figures.append(spectrum(values, matrix, "\(own).gates.\(gate).singular_values", name))
      }
    }
    return Markup(
      "div", ["class": "card"],
      [
        Markup(
          "h4", [:],
          [
            Markup("b", [:], [.words(facts.letter, "\(key).gates.\(gate).letter")]), " ",
            Markup("span", [:], [.words(facts.role, "\(key).gates.\(gate).role")]),
          ]),
        Markup("div", ["class": "figures"], figures),
      ])
  }

  private func histogram(
    _ matrix: LayerWeights.Matrix, _ gate: Int, _ own: String, _ name: String
  ) -> Markup {
    let block = matrix.gates[gate]
    let key = "\(own).gates.\(gate).histogram"
    let drawing = HistogramDrawing(
      histogram: block.histogram, low: matrix.low, high: matrix.high, title: "Histogram: \(name)",
      key: key)
    var caption: [Markup] = [
      Self.symbol(matrix.parameter), " mean ",
      .number(block.histogram.mean, "\(key).mean"), Markup("br", [:]), "deviation ",
      .number(block.histogram.deviation, "\(key).deviation"), ", peak ",
      .number(block.histogram.most, "\(key).most"),
    ]
    if block.histogram.nonfinite > 0 {
      caption += [
        "; ",
        Markup(
          "strong", ["class": "bad"],
          [
            .number(block.histogram.nonfinite, "\(key).nonfinite"), " NaN or infinite",
          ]),
      ]
    }
    return .figure(
      "small",
      [
        drawing.markup,
        .axis(.number(matrix.low, "\(own).low"), .number(matrix.high, "\(own).high")),
      ], caption: caption)
  }

  private func heatMap(
    _ matrix: LayerWeights.Matrix, _ gate: Int, _ own: String, _ name: String
  ) -> Markup {
    let map = matrix.gates[gate].heatMap
    let key = "\(own).gates.\(gate).heat_map"
    let drawing = HeatMapDrawing(
      map: map, largest: matrix.largest, kind: "heat-map", title: "Heat map: \(name)",
      description: """
        Units from top to bottom, what they are multiplied with from left to right, \
        coloured by value.
        """,
      key: key)
    let (rows, columns) = (Double(map.shape[0]), Double(max(1, map.shape[1])))
    // Very long and very flat matrices are brought into a form that fits, and small ones kept small.
    let ratio = max(0.3, min(rows < 24 ? 0.65 : 1, rows / columns))
    return .figure(
      "small",
      [
        drawing.markup(style: "aspect-ratio:\((1 / ratio).svg)"),
        HeatMapDrawing.legend(largest: matrix.largest, key: "\(own).largest"),
      ],
      caption: [
        Self.symbol(matrix.parameter), " ", .shape(map.shape, "\(key).shape"),
        HeatMapNote(map: map, key: key).markup,
      ])
  }

  private func spectrum(
    _ values: [Double], _ matrix: LayerWeights.Matrix, _ key: String, _ name: String
  ) -> Markup {
    let drawing = SpectrumDrawing(values: values, title: "Singular values: \(name)", key: key)
    var caption: [Markup] = [
      Self.symbol(matrix.parameter), " singular values", Markup("br", [:]),
      .number(values[0], "\(key).0"),
      " to ", .number(values[values.count - 1], "\(key).\(values.count - 1)"),
    ]
    if values[0] > 1 { caption.append(", dashed: one") }
    return .figure("small", [drawing.markup], caption: caption)
  }
}
