import Checkpoints

/// Where what a file holds comes from: what `convert` did, step by step, the oldest first.
///
/// A conversion that packs the same otherwise, there and back, is no step.
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
    steps =
      try metadata[Self.metadataKey].map { text throws(CheckpointError) in
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
struct PendingProvenance: PendingText {
  /// What stands in the input.
  private let earlier: [Provenance.Step]
  /// What is done, without the digests.
  private let step: Provenance.Step
  /// Those of the sources, in their order.
  private let digests: SourceDigests

  /// What stands in the place of a digest that is not known yet.
  private static let unknown = String(repeating: "0", count: 64)

  /// Begins to hash the files of `readers`, the input's first.
  init(
    after earlier: [Provenance.Step], of readers: [CheckpointReader], options: [String],
    assumed: [Assumed]
  ) {
    var sources: [Provenance.Source] = []
    var hashed: [ByteSource] = []
    for reader in readers {
      // An index names the files in which the tensors stand.
      for file in [reader.source] + reader.contents.otherSources {
        sources.append(
          Provenance.Source(
            name: (file.path ?? "").fileName, format: reader.format, bytes: file.count,
            sha256: Self.unknown))
        hashed.append(file)
      }
    }
    step = Provenance.Step(
      tool: "strata \(Strata.version)", sources: sources, options: options, assumed: assumed)
    digests = SourceDigests(of: hashed)
    self.earlier = earlier
  }

  /// The text of as many bytes that stands there until all digests are known.
  func placeholder() throws(CheckpointError) -> String {
    try CanonicalJSON.encode(earlier + [step])
  }

  func text() throws(CheckpointError) -> String {
    var step = step
    for (index, digits) in try digests.hexadecimal().enumerated() {
      step.sources[index].sha256 = digits
    }
    return try CanonicalJSON.encode(earlier + [step])
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
