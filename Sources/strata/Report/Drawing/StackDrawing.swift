/// The stacked network from its input, at the bottom, to its output.
struct StackDrawing {
  var chain: NetworkOutline.Chain
  /// The place of the chain in the file.
  var index: Int

  private static let width = 358.0
  private static let margin = 8.0
  private let rows: NetworkRows

  init(_ chain: NetworkOutline.Chain, index: Int) {
    self.chain = chain
    self.index = index
    rows = NetworkRows(chain)
  }

  private var key: String { "network.chains.\(index)" }
  private var inner: (x: Double, width: Double) {
    (Self.margin + NetworkRows.padding, Self.width - 2 * (Self.margin + NetworkRows.padding))
  }

  var markup: Markup {
    var content = rows.frames.flatMap(frame)
    for (row, above) in zip(rows.rows.dropFirst(), rows.rows) {
      // What the top layer of a module gives is what the module gives.
      let frame = rows.frames.first { $0.y > above.bottom && $0.y < row.y }
      let start = frame?.y ?? row.y
      content.append(.arrow((Self.width / 2, start), (Self.width / 2, above.bottom)))
      content.append(passed(from: row, to: above, y: (start + above.bottom) / 2 + 4))
    }
    content += rows.rows.flatMap(parts)
    return Drawing(
      kind: "stacked", key: key, title: "The stacked network",
      description:
        "From the bottom up: the input, every layer with its size, its gates and the number "
        + "of its parameters, and the output. Each layer takes what the one below it gives.",
      width: Self.width, height: rows.height, content: content
    ).sized
  }

  private func frame(_ frame: NetworkRows.Frame) -> [Markup] {
    let stack = chain.stacks[frame.stack]
    let key = "\(key).stacks.\(frame.stack)"
    // A module at the root has no name.
    let title: [Markup] =
      stack.name.isEmpty ? [] : [.drawnName(stack.name, "\(key).name", limit: 16), ": "]
    return [
      .box(
        "frame", x: Self.margin, y: frame.y, width: Self.width - 2 * Self.margin,
        height: frame.height),
      .label("caption start", x: inner.x, y: frame.y + 17, title + [.text(stack.type)]),
      .label(
        "caption end", x: inner.x + inner.width, y: frame.y + 17,
        [.drawnNumber(stack.parameters, "\(key).parameters"), " parameters"]),
    ]
  }

  /// The shape of what goes up from a row.
  private func passed(from row: NetworkRows.Row, to above: NetworkRows.Row, y: Double) -> Markup {
    guard let size = outputSize(of: row.content) else { return .group([]) }
    var outer = chain.outer.map { "\($0) × " }.joined()
    if case .head(let head) = row.content, head.appliedTo != "all" { outer = "N × " }
    return .label(
      "shape start", x: Self.width / 2 + 10, y: y,
      [.text(outer), .drawnNumber(size.value, size.key)])
  }

  private func outputSize(of content: NetworkRows.Content) -> (value: Int, key: String)? {
    switch content {
    case .head(let head): (head.outputSize, "\(key).head.output_size")
    case .layer(let layer, let stack):
      (
        layer.outputSize,
        "\(key).stacks.\(stack).layers.\(layer.layer).output_size"
      )
    case .embedding(let embedding): (embedding.outputSize, "\(key).embedding.output_size")
    case .input where chain.embedding == nil:
      (chain.stacks[0].inputSize, "\(key).stacks.0.input_size")
    case .output, .input, .layersOmitted, .stacksOmitted: nil
    }
  }

  private func parts(of row: NetworkRows.Row) -> [Markup] {
    let middle = Self.width / 2
    switch row.content {
    case .output:
      return [
        .label("end-label", x: middle, y: row.middle + 2, [chain.head == nil ? "output" : "y"])
      ]
    case .input:
      let what: Markup =
        chain.embedding == nil ? "input" : .text("tokens, " + chain.outer.joined(separator: " × "))
      return [.label("end-label", x: middle, y: row.y + 16, [what])]
    case .head(let head):
      return end(head, "head", row, note: head.note)
    case .embedding(let embedding):
      return end(embedding, "embedding", row, note: "")
    case .layer(let layer, let stack):
      return boxes(layer, stack, row)
    case .layersOmitted:
      return [.label("omitted", x: middle, y: row.middle + 4, ["⋮  layers like these  ⋮"])]
    case .stacksOmitted:
      return [.label("omitted", x: middle, y: row.middle + 4, ["⋮  more modules  ⋮"])]
    }
  }

  private func end(
    _ end: NetworkOutline.End, _ name: String, _ row: NetworkRows.Row, note: String
  ) -> [Markup] {
    [
      .box("end", x: inner.x, y: row.y, width: inner.width, height: row.height),
      .label(
        "strong start", x: inner.x + 12, y: row.y + 20,
        [
          .drawnName(end.name, "\(key).\(name).name", limit: 14),
          .text(name == "head" ? " · Linear" : " · Embedding"),
        ]),
      .label("light end", x: inner.x + inner.width - 10, y: row.y + 20, [.text(note)]),
      .label(
        "light start", x: inner.x + 12, y: row.y + 37,
        [
          .drawnNumber(end.inputSize, "\(key).\(name).input_size"), " → ",
          .drawnNumber(end.outputSize, "\(key).\(name).output_size"), " · ",
          .drawnNumber(end.parameters, "\(key).\(name).parameters"), " parameters",
        ]),
    ]
  }

  /// A layer as a box for each direction.
  private func boxes(
    _ layer: NetworkOutline.Layer, _ index: Int, _ row: NetworkRows.Row
  ) -> [Markup] {
    let stack = chain.stacks[index]
    let key = "\(key).stacks.\(index)"
    let gap = 8.0
    let count = Double(stack.directions.count)
    let width = (inner.width - gap * (count - 1)) / count
    return stack.directions.enumerated().flatMap { place, direction in
      let x = inner.x + Double(place) * (width + gap)
      let arrow = direction == "forward" ? "forward →" : "← reverse"
      var size: [Markup] = [.drawnNumber(stack.hiddenSize, "\(key).hidden_size")]
      if let projection = stack.projectionSize {
        size += [" → ", .drawnNumber(projection, "\(key).projection_size")]
      }
      let letters = stack.gates.map(\.letter).joined(separator: " ")
      let gates: Markup =
        stack.gates.count == 1
        ? .text("no gates, \(stack.gates[0].activation)")
        : .group([.drawnNumber(stack.gateCount, "\(key).gate_count"), .text(" gates: \(letters)")])
      return [
        Markup.box(
          direction == "forward" ? "cell" : "cell reverse", x: x, y: row.y, width: width,
          height: row.height),
        .label(
          "strong start", x: x + 10, y: row.y + 20,
          ["layer ", .drawnNumber(layer.layer, "\(key).layers.\(layer.layer).layer")]),
        .label("light end", x: x + width - 10, y: row.y + 20, [.text(arrow)]),
        .label("light start", x: x + 10, y: row.y + 40, size + [" units"]),
        .label("light start", x: x + 10, y: row.y + 57, [gates]),
        .label(
          "light start", x: x + 10, y: row.y + 74,
          [
            .drawnNumber(
              layer.parametersPerDirection,
              "\(key).layers.\(layer.layer).parameters_per_direction"),
            " parameters",
          ]),
      ]
    }
  }
}

extension NetworkOutline.End {
  /// What is special about an output layer: activation, and what it is applied to.
  fileprivate var note: String {
    var notes: [String] = []
    if let activation, activation != "none" { notes.append("+ \(activation)") }
    switch appliedTo {
    case "last": notes.append("last step")
    case "h_n": notes.append("final state")
    default: break
    }
    return notes.joined(separator: ", ")
  }
}
