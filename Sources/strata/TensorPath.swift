/// A tensor's name in its parts, whichever framework wrote it.
struct TensorPath {
  /// What stands around it, `lstm.lstm_cell`; empty at the root.
  let group: String
  /// What it is called there, `kernel`.
  let leaf: String

  init(_ name: String) {
    var name = name[...]
    // The output number that TensorFlow's variables bear.
    if name.hasSuffix(":0") { name = name.dropLast(2) }
    if let end = name.lastIndex(where: { $0 == "." || $0 == "/" }) {
      group = String(name[..<end])
      leaf = String(name[name.index(after: end)...])
    } else {
      group = ""
      leaf = String(name)
    }
  }

  /// What stands around the group.
  var outer: TensorPath { TensorPath(group) }
}
