import ArgumentParser
import Checkpoints
import RecurrentNetworks

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show what a checkpoint holds, and check that it is sound.",
    discussion: "Every checksum of the file is checked, whether or not values are shown.")

  @Argument(help: "The file.")
  var file: String

  @Flag(help: "Add minimum, maximum, mean, deviation and counts of NaN and infinity.")
  var stats = false

  @OptionGroup var options: OutputOptions

  func run() throws {
    let reader = try CheckpointReader(contentsOf: file, formats: Strata.formats)
    if !stats { try reader.contents.verify() }
    let report = try InspectionReport(reader, stats: stats)
    try Output(options).report(report) { report.words }
  }
}

/// What `inspect` reports.
struct InspectionReport: Encodable {
  struct Entry: Encodable {
    var name: String
    var dtype: String
    var shape: [Int]
    var bytes: Int
    var encoding: String
    var stats: TensorStatistics?
  }

  var format: String
  var tensors: [Entry]
  var goldens: [Entry]
  var modules: [ModelDescription.Module]
  /// The number of values in the state dict.
  var parameters: Int
  /// The size of the file.
  var bytes: Int
  var metadata: [String: String]
  var ignored: [String]
  /// Why no modules are listed, when the tensors contradict each other.
  var fault: String?

  init(_ reader: CheckpointReader, stats: Bool) throws(CheckpointError) {
    func entries(_ tensors: [StoredTensor]) throws(CheckpointError) -> [Entry] {
      try tensors.map { tensor throws(CheckpointError) in
        Entry(
          name: tensor.name, dtype: tensor.dtypeName, shape: tensor.shape.dimensions,
          bytes: tensor.storedByteCount, encoding: tensor.encoding,
          stats: stats && tensor.dtype != nil ? try TensorStatistics(tensor) : nil)
      }
    }
    format = reader.format
    tensors = try entries(reader.contents.tensors)
    goldens = try entries(reader.contents.goldens)
    parameters = reader.tensors.reduce(0) { $0 + $1.shape.elementCount }
    bytes = reader.byteCount
    metadata = reader.contents.metadata
    ignored = reader.contents.ignored
    do {
      let mapping = try ParameterMapping(of: reader.contents)
      modules = mapping.description.modules
      try mapping.requireComplete()
    } catch {
      // What the file holds is shown all the same.
      modules = []
      fault = error.description
    }
  }

  var words: String {
    var table = TextTable(
      header: ["name", "dtype", "shape", "bytes", "encoding"], numeric: [3])
    let hasStatistics = (tensors + goldens).contains { $0.stats != nil }
    if hasStatistics {
      table.header += ["min", "max", "mean", "deviation", "nan", "inf"]
      table.numeric.formUnion(5...10)
    }
    func add(_ entries: [Entry], _ prefix: String) {
      for entry in entries {
        var row = [
          prefix + entry.name.escaped, entry.dtype, entry.shape.description, "\(entry.bytes)",
          entry.encoding,
        ]
        if hasStatistics {
          row +=
            entry.stats.map {
              [$0.min, $0.max, $0.mean, $0.deviation].map(\.shortText)
                + ["\($0.nan)", "\($0.infinite)"]
            } ?? Array(repeating: "", count: 6)
        }
        table.rows.append(row)
      }
    }
    add(tensors, "")
    add(goldens, "golden: ")

    var lines = [table.text, ""]
    // An arrow where a module takes its input from the one before it.
    var architecture = ""
    for (index, module) in modules.enumerated() {
      if index > 0 {
        architecture += module.inputs == [modules[index - 1].name] ? " → " : "; "
      }
      architecture += module.line
    }
    lines.append(architecture.isEmpty ? "no recurrent module was recognised" : architecture)
    if let fault { lines.append("fault: \(fault)") }
    lines.append("\(parameters) parameters, \(bytes.byteText), format \(format)")
    lines += metadata.sorted { $0.key < $1.key }.map { key, value in
      let short = value.count > 100 ? value.prefix(100) + "…" : value[...]
      return "\(key): \(short)".escaped
    }
    lines += ignored.map { "ignored: \($0)".escaped }
    return lines.joined(separator: "\n")
  }
}
