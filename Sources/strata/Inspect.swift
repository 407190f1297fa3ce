import ArgumentParser
import Checkpoints
import RecurrentNetworks

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show what a checkpoint holds, and check that it is sound.",
    discussion: """
      Every checksum of a .strata file is checked, and of other files up to 64 MiB; of larger ones, \
      which may be of any size, only what tells their contents is read. --stats reads everything.

      A file in which several state dicts may be meant is shown whole, each name with its path, unless \
      --key chooses one. \
      Option of --set: npz_void2=bf16|refuse, what elements of two bytes without a type are in npz and \
      npy files.
      """)

  @Argument(help: "The file.")
  var file: String

  @Flag(help: "Add minimum, maximum, mean, deviation and counts of NaN and infinity.")
  var stats = false

  @Flag(help: "Draw the network instead: layers in boxes, shapes, directions, parameters.")
  var tree = false

  @OptionGroup var reading: InputOptions

  @OptionGroup var options: OutputOptions

  /// Files of any format up to this size are read whole.
  private static let smallFile = 64 << 20

  func run() throws {
    var choice = try reading.reading()
    choice.stateDict = .everything
    let reader = try CheckpointReader(file: file, choice)
    let size = reader.contents.otherSources.reduce(reader.byteCount) { $0 + $1.count }
    if !stats, reader.format == StrataFormat().name || size <= Self.smallFile {
      try reader.contents.verify()
    }
    let report: InspectionReport
    do {
      report = try InspectionReport(reader, reading.stateDict, stats: stats)
    } catch {
      throw error.located(file: file)
    }
    // The tree is another form of the words; the object is the same.
    let outline: NetworkOutline
    do {
      outline = try NetworkOutline(report.modules.map(\.module))
    } catch {
      throw error.located(file: file)
    }
    try Output(options).report(report) { tree ? report.tree(outline) : report.words }
  }
}

extension ParameterMapping {
  /// The modules; the recurrent ones alone where it is not clear what belongs to them.
  fileprivate static func modules(of contents: CheckpointContents) -> [ModuleReport] {
    (try? ParameterMapping(of: contents))?.moduleReports ?? stacks(of: contents)
  }

  /// The recurrent modules alone, without what stands before and behind them.
  fileprivate static func stacks(of contents: CheckpointContents) -> [ModuleReport] {
    (try? ParameterMapping(stacksOf: contents))?.moduleReports ?? []
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

  /// A state dict of a nested file.
  struct StateDictEntry: Encodable {
    /// Where it stands; empty for the whole file.
    var key: String
    var tensors: Int
    var bytes: Int
    var modules: [ModuleReport]

    var words: String {
      let path = key.isEmpty ? "the root" : key
      let recurrent = modules.map(\.module.line).joined(separator: "; ")
      return "state dict: \(path) (\(tensors) tensors, \(bytes.byteText))".escaped
        + (recurrent.isEmpty ? "" : ": \(recurrent)")
    }
  }

  var format: String
  /// Where the state dict stands that is shown; empty for the whole file.
  var key: String
  /// The state dicts of a nested file.
  var stateDicts: [StateDictEntry]
  var tensors: [Entry]
  var goldens: [Entry]
  var modules: [ModuleReport] = []
  /// The parameters that conversion puts together from others.
  var folded: [String] = []
  /// The tensors outside every module.
  var leftOver: [String] = []
  /// Parameters outside of the recurrent modules in a form that only PyTorch can use.
  var disguised: [DisguiseReport] = []
  /// The number of values in the state dict.
  var parameters: Int
  /// The size of the file.
  var bytes: Int
  var metadata: [String: String]
  /// What the metadata tell of where the file comes from, the oldest conversion first.
  var provenance: [Provenance.Step]
  var ignored: [String]
  /// Why no modules are listed, or recurrent ones alone, when the tensors contradict each other or leave
  /// open what belongs to them.
  var fault: String?

  /// How many state dicts are looked into.
  private static let shownStateDicts = 32

  enum CodingKeys: String, CodingKey {
    case format, key
    case stateDicts = "state_dicts"
    case tensors, goldens, modules, folded
    case leftOver = "left_over"
    case disguised, parameters, bytes, metadata, provenance, ignored, fault
  }

  /// Looks at the state dict that is chosen, at the only one, or at everything where there are several.
  init(
    _ reader: CheckpointReader, _ choice: ReadOptions.StateDictChoice, stats: Bool
  ) throws(CheckpointError) {
    let all = reader.contents
    let only = try? all.path(of: .only)
    let isUnclear = choice == .only && only == nil
    key = isUnclear ? "" : try all.path(of: choice)
    let contents = try all.choosing(key.isEmpty ? .everything : .at(key))
    stateDicts = all.stateDicts.enumerated().map { index, place in
      // Nobody has hundreds; a hostile file may.
      let inside = index < Self.shownStateDicts ? try? all.choosing(.at(place.path)) : nil
      return StateDictEntry(
        key: place.path, tensors: place.tensorCount, bytes: place.byteCount,
        modules: inside.map { ParameterMapping.modules(of: $0) } ?? [])
    }
    func entries(_ tensors: [StoredTensor]) throws(CheckpointError) -> [Entry] {
      try tensors.map { tensor throws(CheckpointError) in
        Entry(
          name: tensor.name, dtype: tensor.dtypeName, shape: tensor.shape.dimensions,
          bytes: tensor.storedByteCount, encoding: tensor.encoding,
          stats: stats && tensor.dtype != nil ? try TensorStatistics(tensor) : nil)
      }
    }
    format = reader.format
    tensors = try entries(contents.tensors)
    goldens = try entries(contents.goldens)
    parameters = contents.tensors.reduce(0) { $0 + $1.shape.elementCount }
    bytes = reader.byteCount
    metadata = contents.metadata
    // A text that is no provenance stands among the metadata as any other.
    provenance = (try? Provenance(contents.metadata))?.steps ?? []
    ignored = contents.ignored
    guard !isUnclear else { return }
    do {
      let mapping = try ParameterMapping(of: contents)
      folded = mapping.folded.map(\.description)
      leftOver = mapping.leftOver
      disguised = mapping.disguised.map(DisguiseReport.init)
      try mapping.requireComplete()
      modules = mapping.moduleReports
    } catch {
      // What the file holds is shown all the same, and which modules it has also where it is not clear
      // what stands before and behind them.
      fault = error.description
      if error.code == .ambiguousModel { modules = ParameterMapping.stacks(of: contents) }
    }
  }

  /// The networks as a drawing, and how much the file holds.
  func tree(_ outline: NetworkOutline) -> String {
    var lines: [String] = []
    if stateDicts.count > 1, key.isEmpty {
      lines += stateDicts.map(\.words) + ["several state dicts: --key chooses one"]
    } else if outline.chains.isEmpty {
      if fault == nil { lines.append("no recurrent module was recognised") }
    } else {
      lines += [NetworkTree(outline).text, ""]
    }
    if let fault { lines.append("fault: \(fault)") }
    lines.append("\(parameters) parameters, \(bytes.byteText), format \(format)")
    return lines.joined(separator: "\n")
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
    for (index, module) in modules.map(\.module).enumerated() {
      if index > 0 {
        architecture += module.inputs == [modules[index - 1].module.name] ? " → " : "; "
      }
      architecture += module.line
    }
    if stateDicts.count > 1, key.isEmpty {
      lines += stateDicts.map(\.words)
      lines.append("several state dicts: --key chooses one")
    } else {
      if !key.isEmpty { lines.append("state dict: \(key)".escaped) }
      if !architecture.isEmpty {
        lines.append(architecture)
      } else if fault == nil {
        lines.append("no recurrent module was recognised")
      }
    }
    lines += folded.map { "folded by convert: \($0)".escaped }
    if !leftOver.isEmpty, !modules.isEmpty {
      lines.append("left over: \(leftOver.joined(separator: ", "))".escaped)
    }
    if !modules.isEmpty { lines += disguised.map { "not plain: \($0.reason)".escaped } }
    if let fault { lines.append("fault: \(fault)") }
    lines.append("\(parameters) parameters, \(bytes.byteText), format \(format)")
    lines += provenance.flatMap(\.words).map(\.escaped)
    let others = metadata.filter { provenance.isEmpty || $0.key != Provenance.metadataKey }
    lines += others.sorted { $0.key < $1.key }.map { key, value in
      let short = value.count > 100 ? value.prefix(100) + "…" : value[...]
      return "\(key): \(short)".escaped
    }
    lines += ignored.map { "ignored: \($0)".escaped }
    return lines.joined(separator: "\n")
  }
}
