/// The rows of a network from its output down to its input, with their places: the same for the stacked
/// picture and the unrolled one, so that they stand side by side.
struct NetworkRows {
  /// What stands in a row.
  enum Content {
    case output
    case head(NetworkOutline.End)
    case layer(NetworkOutline.Layer, of: Int)
    /// Layers that are left out.
    case layersOmitted
    /// Recurrent modules that are left out.
    case stacksOmitted
    case embedding(NetworkOutline.End)
    case input
  }

  struct Row {
    var content: Content
    var y: Double
    var height: Double

    var bottom: Double { y + height }
    var middle: Double { y + height / 2 }
  }

  /// A frame around the layers of a recurrent module.
  struct Frame {
    var stack: Int
    var y: Double
    var height: Double
  }

  /// The distance of rows, which an arrow and a shape fill.
  static let gap = 38.0
  /// The room above the layers of a module for its name.
  static let title = 26.0
  static let padding = 12.0

  private(set) var rows: [Row] = []
  private(set) var frames: [Frame] = []
  private(set) var height = 10.0

  init(_ chain: NetworkOutline.Chain) {
    add(.output, height: 18)
    if let head = chain.head { add(.head(head), height: 48) }
    let limit = chain.stacks.count > 2 ? 3 : 6
    let shown = Self.shown(chain.stacks.count, limit: 6)
    addStacks(chain, Array(shown.top), limit)
    if shown.omitted > 0 { add(.stacksOmitted, height: 20) }
    addStacks(chain, Array(shown.bottom), limit)
    if let embedding = chain.embedding { add(.embedding(embedding), height: 48) }
    add(.input, height: 34)
    height += 4
  }

  private mutating func addStacks(
    _ chain: NetworkOutline.Chain, _ indices: [Int], _ limit: Int
  ) {
    for index in indices.reversed() {
      let stack = chain.stacks[index]
      let top = height + (rows.isEmpty ? 0 : Self.gap)
      height += Self.title
      let shown = Self.shown(stack.layers.count, limit: limit)
      func addLayers(_ layers: Range<Int>) {
        for layer in layers.reversed() { add(.layer(stack.layers[layer], of: index), height: 88) }
      }
      addLayers(shown.top)
      if shown.omitted > 0 { add(.layersOmitted, height: 20) }
      addLayers(shown.bottom)
      height += Self.padding
      frames.append(Frame(stack: index, y: top, height: height - top))
    }
  }

  private mutating func add(_ content: Content, height rowHeight: Double) {
    let y = height + (rows.isEmpty ? 0 : Self.gap)
    rows.append(Row(content: content, y: y, height: rowHeight))
    height = y + rowHeight
  }

  /// Which of many are drawn: those at both ends.
  private static func shown(
    _ count: Int, limit: Int
  ) -> (bottom: Range<Int>, omitted: Int, top: Range<Int>) {
    guard count > limit else { return (0..<count, 0, count..<count) }
    let ends = max(1, limit / 3)
    return (0..<ends, count - 2 * ends, (count - ends)..<count)
  }
}
