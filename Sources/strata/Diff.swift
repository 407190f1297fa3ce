import ArgumentParser
import Checkpoints
import RecurrentNetworks

struct Diff: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Tell in what two checkpoints differ.",
    discussion: """
      Tensors are compared by name, dtype, shape and values; a tensor whose name is only in A and whose \
      bits are under another name in B alone is renamed. Without --atol and --rtol values must have the \
      same bits. Exit status 1 when they differ.

      --key counts for each file that has something at that path, or several state dicts; another file \
      is taken as it is, so that a state dict of a nested file can be compared with a file of its own. \
      Option of --set: npz_void2=bf16|refuse, what elements of two bytes \
      without a type are in npz and npy files.
      """)

  @Argument(help: "The one file.")
  var a: String

  @Argument(help: "The other file.")
  var b: String

  @OptionGroup var tolerance: ToleranceOptions

  @OptionGroup var reading: InputOptions

  @OptionGroup var options: OutputOptions

  func run() throws {
    let (first, second) = try tensors()
    let report = try DifferenceReport(first, second, tolerance.given)
    try Output(options).report(report) { report.words }
    if !report.equal { throw ExitCode(1) }
  }

  /// The tensors of both files, of the state dicts that are meant.
  private func tensors() throws -> ([StoredTensor], [StoredTensor]) {
    var choice = try reading.reading()
    guard case .at = choice.stateDict else {
      return try (
        CheckpointReader(file: a, choice).tensors, CheckpointReader(file: b, choice).tensors
      )
    }
    let key = choice.stateDict
    choice.stateDict = .everything
    let files = try [a, b].map { file throws(CheckpointError) in
      (file: file, contents: try CheckpointReader(file: file, choice).contents)
    }
    // Where neither has anything there, the first one says so.
    let isKnown = files.contains { (try? $0.contents.choosing(key)) != nil }
    let chosen = try files.map { file, contents throws(CheckpointError) in
      do throws(CheckpointError) {
        let isMeant =
          !isKnown || contents.stateDicts.count > 1 || (try? contents.choosing(key)) != nil
        return try contents.choosing(isMeant ? key : .only).tensors
      } catch {
        throw error.located(file: file)
      }
    }
    return (chosen[0], chosen[1])
  }
}

/// What `diff` reports.
struct DifferenceReport: Encodable {
  struct Renaming: Encodable {
    var from: String
    var to: String
  }

  struct Change: Encodable {
    var name: String
    /// What differs: `dtype F32 to F16`, `shape [3] to [4]`, `values`.
    var what: String
    /// The largest difference of values, where dtype and shape are the same.
    var maxAbs: Double?

    enum CodingKeys: String, CodingKey {
      case name, what
      case maxAbs = "max_abs"
    }
  }

  var equal: Bool
  var added: [String]
  var removed: [String]
  var renamed: [Renaming] = []
  var changed: [Change] = []

  init(
    _ first: [StoredTensor], _ second: [StoredTensor],
    _ tolerance: (absolute: Double, relative: Double)?
  ) throws(CheckpointError) {
    let others = Dictionary(second.map { ($0.name, $0) }) { first, _ in first }
    let names = Set(first.map(\.name))
    var onlySecond = second.filter { !names.contains($0.name) }
    var onlyFirst: [StoredTensor] = []
    for tensor in first {
      guard let other = others[tensor.name] else {
        onlyFirst.append(tensor)
        continue
      }
      if let change = try Self.change(tensor, other, tolerance) { changed.append(change) }
    }
    // The same bits under another name.
    for tensor in onlyFirst {
      guard tensor.dtype != nil else { continue }
      let checksum = try tensor.forEachPiece { _ in }
      var match: Int?
      for (index, other) in onlySecond.enumerated() where match == nil {
        guard other.dtype == tensor.dtype, other.shape == tensor.shape,
          try other.forEachPiece({ _ in }) == checksum,
          try Self.difference(tensor, other, nil) == nil
        else { continue }
        match = index
      }
      guard let match else { continue }
      renamed.append(Renaming(from: tensor.name, to: onlySecond[match].name))
      onlySecond.remove(at: match)
    }
    let moved = Set(renamed.map(\.from))
    removed = onlyFirst.map(\.name).filter { !moved.contains($0) }
    added = onlySecond.map(\.name)
    equal = added.isEmpty && removed.isEmpty && renamed.isEmpty && changed.isEmpty
  }

  private static func change(
    _ tensor: StoredTensor, _ other: StoredTensor,
    _ tolerance: (absolute: Double, relative: Double)?
  ) throws(CheckpointError) -> Change? {
    var parts: [String] = []
    if tensor.dtype != other.dtype {
      parts.append("dtype \(tensor.dtypeName) to \(other.dtypeName)")
    }
    if tensor.shape != other.shape { parts.append("shape \(tensor.shape) to \(other.shape)") }
    if parts.isEmpty, let largest = try difference(tensor, other, tolerance) {
      return Change(name: tensor.name, what: "values", maxAbs: largest)
    }
    return parts.isEmpty
      ? nil : Change(name: tensor.name, what: parts.joined(separator: ", "), maxAbs: nil)
  }

  /// The largest difference of two tensors of one dtype and shape; nil when they are equal.
  private static func difference(
    _ tensor: StoredTensor, _ other: StoredTensor,
    _ tolerance: (absolute: Double, relative: Double)?
  ) throws(CheckpointError) -> Double? {
    var largest: Double?
    var position = 0
    let size = try tensor.readableDType().size
    try tensor.forEachPiece { piece throws(CheckpointError) in
      let range = position..<(position + piece.count)
      position = range.upperBound
      let counterpart = try other.bytes(in: range)
      guard piece != counterpart else { return }
      let shape = try Shape([piece.count / size])
      let dtype = try tensor.readableDType()
      let values = try Tensor(dtype: dtype, shape: shape, bytes: piece).doubles()
      let others = try Tensor(dtype: dtype, shape: shape, bytes: counterpart).doubles()
      for (index, (value, other)) in zip(values, others).enumerated() {
        let element = (index * size)..<((index + 1) * size)
        guard piece[element] != counterpart[element] else { continue }
        // Other bits of NaN, or -0 for 0, are a difference of 0. Other bits of an integer are at least 1,
        // also where float64 cannot tell.
        let isSame = value == other || (value.isNaN && other.isNaN)
        let difference =
          isSame ? (dtype.isFloatingPoint ? 0 : 1) : abs(value - other)
        if let tolerance, other.isFinite || difference == 0,
          difference <= tolerance.absolute + tolerance.relative * abs(other)
        {
          continue
        }
        largest = max(largest ?? 0, difference.isNaN ? .infinity : difference)
      }
    }
    return largest
  }

  var words: String {
    if equal { return "no difference" }
    var lines = removed.map { "only in A: \($0)" } + added.map { "only in B: \($0)" }
    lines += renamed.map { "renamed: \($0.from) → \($0.to)" }
    lines += changed.map { change in
      "changed: \(change.name): \(change.what)"
        + (change.maxAbs.map { ", by at most \($0.shortText)" } ?? "")
    }
    return lines.map(\.escaped).joined(separator: "\n")
  }
}
