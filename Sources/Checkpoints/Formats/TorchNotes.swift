/// What a walk meets beside tensors, for a report of few lines: one for each place at the top of the
/// file, and one for each kind of thing in modules.
struct TorchNotes {
  private struct Top {
    var name: String
    /// The type of the value, when it stands at the top itself.
    var type: String?
    /// Values further below.
    var count = 0
    /// Classes met below, in order.
    var classes: [PickleGlobal] = []
  }

  private var tops: [Top] = []
  private var places: [String: Int] = [:]
  /// The place that was asked for last.
  private var last = 0
  private var moduleTensors: [String] = []
  private var moduleAttributes = 0
  /// Whether what is met belongs to an object that has been told already; its classes still count.
  var isSilent = false

  /// The most places, and names, that are told one by one.
  private static let limit = 64

  /// A plain value that is left out.
  mutating func add(_ type: @autoclosure () -> String, at top: String, depth: Int) {
    guard !isSilent else { return }
    let top = place(of: top)
    if depth <= 1 { tops[top].type = type() } else { tops[top].count += 1 }
  }

  /// Plain values below a place at the top.
  mutating func add(count: Int, below top: String) {
    guard !isSilent, count > 0 else { return }
    tops[place(of: top)].count += count
  }

  /// An object of a class that means nothing here.
  mutating func add(_ type: PickleGlobal, at top: String, depth: Int) {
    add(type.description, at: top, depth: depth)
    let top = place(of: top)
    guard isSilent || depth > 1, !tops[top].classes.contains(type),
      tops[top].classes.count < Self.limit, tops[top].type != type.description
    else { return }
    tops[top].classes.append(type)
  }

  /// A module: of its attributes, what is no option and no tensor of the state dict.
  mutating func add(_ module: TorchModule) {
    moduleTensors += module.otherTensors
    moduleAttributes += module.otherAttributes
  }

  private mutating func place(of top: String) -> Int {
    // A walk stays at one place for long.
    if last < tops.count, tops[last].name.isIdentical(to: top) { return last }
    last = places[top] ?? tops.count
    if last == tops.count {
      places[top] = last
      tops.append(Top(name: top))
    }
    return last
  }

  /// What is to be told.
  func lines(tensorClasses: [PickleGlobal: Int]) -> [String] {
    var lines: [String] = []
    for top in tops.prefix(Self.limit) {
      let name = top.name.isEmpty ? "the root" : top.name
      var line: String
      if let type = top.type {
        line = "\(name): \(type)"
      } else {
        line = "\(top.count) \(top.count == 1 ? "value" : "values") below \(name)"
      }
      if !top.classes.isEmpty {
        line += ", with \(top.classes.map(\.description).joined(separator: ", "))"
      }
      lines.append(line)
    }
    if tops.count > Self.limit {
      lines.append("values at \(tops.count - Self.limit) more places")
    }
    if !moduleTensors.isEmpty {
      let more = moduleTensors.count > Self.limit ? ", …" : ""
      lines.append(
        "\(moduleTensors.count) tensors beside the parameters and buffers of their modules: "
          + moduleTensors.prefix(Self.limit).joined(separator: ", ") + more)
    }
    if moduleAttributes > 0 {
      lines.append("\(moduleAttributes) attributes of modules that are no plain values")
    }
    for (type, count) in tensorClasses.sorted(by: { $0.key.description < $1.key.description }) {
      lines.append("the class \(type) of \(count) tensors, which are read as plain ones")
    }
    return lines
  }
}
