/// The networks of a file drawn with characters, from the output at the top to the input.
struct NetworkTree {
  private let outline: NetworkOutline

  /// How many layers of a module are shown; of more, those at its ends.
  private static let layerLimit = 8

  init(_ outline: NetworkOutline) { self.outline = outline }

  /// The drawing, of lines for a terminal.
  var text: String {
    outline.chains.map { Self.lines(of: $0).joined(separator: "\n") }.joined(separator: "\n\n")
  }

  private static func lines(of chain: NetworkOutline.Chain) -> [String] {
    var blocks: [Block] = []
    let outer = "[" + chain.outer.map { "\($0), " }.joined()
    if let head = chain.head { blocks.append(Block(head, outer)) }
    blocks += chain.stacks.reversed().map { Block($0, outer, layerLimit: layerLimit) }
    if let embedding = chain.embedding { blocks.append(Block(embedding, outer)) }
    let width = blocks.map(\.width).max() ?? 0
    var lines = [chain.head == nil ? "output" : "y"]
    for block in blocks { lines += [block.output] + block.lines(width: width) }
    let input =
      chain.embedding == nil
      ? "input \(outer)\(chain.stacks[0].inputSize)]"
      : "tokens [\(chain.outer.joined(separator: ", "))]"
    return lines + ["  ▲", input]
  }
}

/// A module in a box, with what it gives above it.
private struct Block {
  /// The arrow out of the box, with the shape of what is passed on.
  var output: String
  /// What stands in the upper edge.
  var title: String
  var lines: [String]

  /// Characters between the edges.
  var width: Int { max(title.count + 1, lines.map(\.count).max() ?? 0) }

  init(_ end: NetworkOutline.End, _ outer: String) {
    let shape = ["last", "h_n"].contains(end.appliedTo) ? "[N, " : outer
    output = "  ▲ \(shape)\(end.outputSize)]"
    title = Self.title(end.name, end.text)
    lines = [Self.parameters(end.parameters)]
  }

  init(_ stack: NetworkOutline.Stack, _ outer: String, layerLimit: Int) {
    output = "  ▲ \(outer)\(stack.outputSize)]"
    title = Self.title(stack.name, stack.text)
    let gates =
      stack.gates.count == 1
      ? stack.gates[0].activation : stack.gates.map(\.letter).joined(separator: " ")
    let rows = stack.layers.map { layer in
      stack.directions.enumerated().map { index, direction in
        let sizes = "\(layer.inputSize) → \(layer.outputSize)"
        let own = index == 0 ? ["layer \(layer.layer)", sizes, gates] : ["", "", ""]
        return own + [
          direction == "forward" ? "→ forward" : "← reverse",
          Self.parameters(layer.parametersPerDirection),
        ]
      }
    }
    // Aligned before some are left out, and turned over: the output stands above.
    let table = rows.reversed().flatMap(\.self)
    let all = TextTable(header: table[0], numeric: [4], rows: Array(table.dropFirst())).text
      .split(separator: "\n").map(String.init)
    let ends = layerLimit / 2 * stack.directions.count
    lines =
      rows.count <= layerLimit
      ? all
      : all.prefix(ends) + ["⋮ \(rows.count - layerLimit) more layers"] + all.suffix(ends)
  }

  private static func title(_ name: String, _ text: String) -> String {
    (name.isEmpty ? text : "\(name): \(text)").escaped
  }

  private static func parameters(_ count: Int) -> String {
    "\(count.displayText) \(count == 1 ? "parameter" : "parameters")"
  }

  /// The box, as wide as the widest of its network.
  func lines(width: Int) -> [String] {
    let rule = String(repeating: "─", count: width + 1 - title.count)
    let inside = lines.map { line in
      "│ \(line)\(String(repeating: " ", count: width - line.count)) │"
    }
    return ["┌ \(title) \(rule.dropLast())┐"] + inside
      + ["└\(String(repeating: "─", count: width + 2))┘"]
  }
}
