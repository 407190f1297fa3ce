/// The network unrolled over time: the first steps and the last one, the same layers in each.
struct UnrolledDrawing {
  var chain: NetworkOutline.Chain
  var index: Int

  private let rows: NetworkRows
  private static let box = 140.0
  /// The left edges of the steps that are drawn.
  private static let columns = [74.0, 276.0, 526.0]
  private static let width = 740.0
  /// What is left out between the second step and the last one.
  private static let ellipsis = 471.0

  init(_ chain: NetworkOutline.Chain, index: Int) {
    self.chain = chain
    self.index = index
    rows = NetworkRows(chain)
  }

  private var key: String { "network.chains.\(index)" }

  var markup: Markup {
    var content: [Markup] = []
    for (row, above) in zip(rows.rows.dropFirst(), rows.rows) {
      content += columns(of: row).filter { columns(of: above).contains($0) }.map {
        let x = Self.columns[$0] + Self.box / 2
        return .arrow((x, row.y), (x, above.bottom))
      }
    }
    content += rows.rows.flatMap(parts)
    return Drawing(
      kind: "unrolled", key: key, title: "The network unrolled over time",
      description:
        "The same layers at the first step, the second and the last one, from left to right. "
        + "Each cell passes its output up to the next layer and its state on to the next step, or to the "
        + "step before in reverse layers; the weights are the same at every step.",
      width: Self.width, height: rows.height, content: content
    ).sized
  }

  /// The steps at which something stands in a row: a head may be applied to the end alone.
  private func columns(of row: NetworkRows.Row) -> [Int] {
    let isPerStep = chain.head?.appliedTo ?? "all" == "all"
    switch row.content {
    case .head, .output: return isPerStep ? [0, 1, 2] : [2]
    default: return [0, 1, 2]
    }
  }

  private func parts(of row: NetworkRows.Row) -> [Markup] {
    var parts = columns(of: row).flatMap { part(of: row, $0) }
    if case .layer(let layer, let stack) = row.content {
      parts += wires(of: row, layer, chain.stacks[stack])
    }
    return parts
  }

  private func part(of row: NetworkRows.Row, _ column: Int) -> [Markup] {
    let x = Self.columns[column]
    let middle = x + Self.box / 2
    func box(_ class: String, _ text: Markup) -> [Markup] {
      [
        .box(`class`, x: x, y: row.y, width: Self.box, height: row.height),
        .label("strong", x: middle, y: row.middle + 4, [text]),
      ]
    }
    switch row.content {
    case .output:
      return [
        .label("end-label", x: middle, y: row.middle + 2, [chain.head == nil ? "output" : "y"])
      ]
    case .head(let head): return box("end", .drawnName(head.name, "\(key).head.name", limit: 16))
    case .embedding(let embedding):
      return box("end", .drawnName(embedding.name, "\(key).embedding.name", limit: 16))
    case .layersOmitted, .stacksOmitted:
      return [.label("omitted", x: middle, y: row.middle + 4, ["⋮"])]
    case .input:
      let step = ["first step", "second step", "last step"][column]
      return [
        .label("end-label", x: middle, y: row.y + 14, [chain.embedding == nil ? "x" : "token"]),
        .label("light", x: middle, y: row.y + 31, [.text(step)]),
      ]
    case .layer(let layer, let index):
      let stack = chain.stacks[index]
      let number = "\(key).stacks.\(index).layers.\(layer.layer).layer"
      // Reverse stands above: what it gives comes behind what forward gives.
      let strips = strips(of: row, stack)
      return strips.enumerated().flatMap { place, strip -> [Markup] in
        let isReverse = strips.count == 2 && place == 0
        let middleOfStrip = strip.y + strip.height / 2
        let same: Markup =
          column == 0
          ? .group(["layer ", .drawnNumber(layer.layer, number)]) : "same weights"
        var parts = [
          Markup.box(
            isReverse ? "cell reverse" : "cell", x: x, y: strip.y, width: Self.box,
            height: strip.height)
        ]
        if strips.count == 1 {
          parts += [
            .label("strong", x: middle, y: middleOfStrip - 4, [.text(stack.type)]),
            .label("light", x: middle, y: middleOfStrip + 14, [same]),
          ]
        } else {
          let text: [Markup] = isReverse ? ["← ", same] : [same, " →"]
          parts.append(.label("light", x: middle, y: middleOfStrip + 4, text))
        }
        return parts
      }
    }
  }

  /// The part of a row for each direction, reverse above forward.
  private func strips(
    of row: NetworkRows.Row, _ stack: NetworkOutline.Stack
  ) -> [(y: Double, height: Double)] {
    guard stack.isBidirectional else { return [(row.y, row.height)] }
    let height = (row.height - 6) / 2
    return [(row.y, height), (row.y + height + 6, height)]
  }

  /// The state's way from step to step.
  private func wires(
    of row: NetworkRows.Row, _ layer: NetworkOutline.Layer, _ stack: NetworkOutline.Stack
  ) -> [Markup] {
    let strips = strips(of: row, stack)
    return strips.enumerated().flatMap { place, strip -> [Markup] in
      let isReverse = strips.count == 2 && place == 0
      let y = strip.y + strip.height / 2
      let edges = Self.columns.flatMap { [$0, $0 + Self.box] }
      // From edge to edge, with the ends of the dots between the second step and the last one.
      var ways = [
        (edges[0] - 34, edges[0]), (edges[1], edges[2]), (edges[3], Self.ellipsis - 16),
        (Self.ellipsis + 16, edges[4]), (edges[5], edges[5] + 34),
      ]
      if isReverse { ways = ways.map { ($1, $0) } }
      let (initial, final) = stack.stateLetters
      let (left, right) = isReverse ? (final, initial) : (initial, final)
      return ways.map { Markup.arrow(($0.0, y), ($0.1, y)) } + [
        .label("wire-label", x: Self.ellipsis, y: y + 4, ["⋯"]),
        .label("wire-label end", x: edges[0] - 39, y: y + 4, [.text(left)]),
        .label("wire-label start", x: edges[5] + 39, y: y + 4, [.text(right)]),
      ]
    }
  }
}
