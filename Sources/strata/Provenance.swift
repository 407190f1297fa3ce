import Checkpoints
import Dispatch

/// Where a file comes from: what `convert` did, step by step, the oldest first.
///
/// It is a claim, which nothing proves but the files that it names. The same inputs under the same names and
/// the same options give the same text: there is no clock in it, no host, no user and no directory.
struct Provenance {
  /// The key of the metadata under which it stands, as canonical JSON.
  static let metadataKey = "strata_provenance"

  /// One conversion.
  struct Step: Codable {
    /// The tool and its version.
    var tool: String
    /// The files that were read: the input, those that its index names, the goldens.
    var sources: [Source]
    /// The options that have a say in the output, as on the command line, files without their directories.
    var options: [String]
    /// What was taken for granted.
    var assumed: [Assumed]
  }

  /// A file that was read.
  struct Source: Codable {
    /// Its name, without its directory.
    var name: String
    /// The format that it was read as.
    var format: String
    /// The number of its bytes.
    var bytes: Int
    /// The SHA-256 of its bytes in hexadecimal digits.
    var sha256: String
  }

  /// The conversions.
  var steps: [Step]

  /// What a file's metadata tell.
  /// - Throws: `metadataInvalid` for a text that is none of ours.
  init(_ metadata: [String: String]) throws(CheckpointError) {
    steps = try metadata[Self.metadataKey].map { text throws(CheckpointError) in
      try CanonicalJSON.decode([Step].self, from: text, Self.metadataKey)
    } ?? []
  }
}

extension Provenance.Step {
  /// A line for each source, and what was done, for people.
  var words: [String] {
    var lines = sources.map {
      "made by \(tool) from \($0.name) (\($0.format), \($0.bytes.byteText)), SHA-256 \($0.sha256)"
    }
    if !options.isEmpty { lines.append("  options: \(options.joined(separator: " "))") }
    if !assumed.isEmpty {
      let values = assumed.map { "\($0.option)=\($0.value)" }
      lines.append("  assumed: \(values.joined(separator: ", "))")
    }
    return lines
  }
}

/// The provenance of a conversion that is under way: the digests of its sources become known meanwhile.
struct PendingProvenance: Sendable {
  private let step: Provenance.Step
  private let digests: [SourceDigest]

  /// What stands in the place of a digest that is not known yet.
  private static let placeholder = String(repeating: "0", count: 64)

  /// Begins to hash the files of `readers`, the input's first.
  /// - Throws: `fileNotFound`, `notReadable`.
  init(
    of readers: [CheckpointReader], options: [String], assumed: [Assumed]
  ) throws(CheckpointError) {
    var sources: [Provenance.Source] = []
    var digests: [SourceDigest] = []
    let queue = DispatchQueue(label: "digests", qos: .userInitiated)
    for reader in readers {
      // An index names the files in which the tensors stand.
      let own = reader.source.path
      let others = Set(reader.tensors.compactMap(\.file)).subtracting([own ?? ""]).sorted()
      for source in try [reader.source] + others.map(ByteSource.init(contentsOf:)) {
        sources.append(
          Provenance.Source(
            name: (source.path ?? "").fileName, format: reader.format,
            bytes: source.count, sha256: Self.placeholder))
        digests.append(SourceDigest(of: source, on: queue))
      }
    }
    step = Provenance.Step(
      tool: "strata \(Strata.version)", sources: sources, options: options, assumed: assumed)
    self.digests = digests
  }

  /// Adds the step to the metadata of what is written; an earlier text that is none of ours is told.
  func add(to contents: inout CheckpointContents) throws(CheckpointError) {
    var earlier: [Provenance.Step] = []
    do throws(CheckpointError) {
      earlier = try Provenance(contents.metadata).steps
    } catch {
      contents.ignored.append(
        "\(Provenance.metadataKey), which is no provenance: \(error.reason)")
    }
    let text = { [step, earlier] (hashes: [String]) throws(CheckpointError) -> String in
      var step = step
      for (index, hash) in hashes.enumerated() { step.sources[index].sha256 = hash }
      return try CanonicalJSON.encode(earlier + [step])
    }
    contents.metadata[Provenance.metadataKey] = try text([])
    contents.pendingMetadata[Provenance.metadataKey] = {
      [digests] () throws(CheckpointError) in
      try text(
        try digests.map { digest throws(CheckpointError) in try digest.hexadecimal() })
    }
  }
}

extension String {
  /// What stands behind the last slash.
  var fileName: String {
    lastIndex(of: "/").map { String(self[index(after: $0)...]) } ?? self
  }
}

extension CheckpointFormat {
  /// Whether the format has a place for metadata.
  var holdsMetadata: Bool {
    dropped(from: CheckpointContents(metadata: [Provenance.metadataKey: ""])).isEmpty
  }
}
