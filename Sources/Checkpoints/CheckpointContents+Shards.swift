/// How a checkpoint is spread over several files in one directory.
public struct ShardLayout: Sendable {
  /// A file and what it holds.
  public struct Shard: Sendable {
    /// The name of the file.
    public var name: String
    /// What it holds.
    public var contents: CheckpointContents

    /// Describes a file.
    public init(name: String, contents: CheckpointContents) {
      self.name = name
      self.contents = contents
    }
  }

  /// The files.
  public var shards: [Shard]
  /// The name of the file that lists the others.
  public var indexName: String
  /// Its content.
  public var index: Bytes

  /// Puts a layout together.
  public init(shards: [Shard], indexName: String, index: Bytes) {
    self.shards = shards
    self.indexName = indexName
    self.index = index
  }
}

extension CheckpointContents {
  /// Tensors in runs that take at most `size` bytes each; a larger one stands alone.
  /// - Throws: why a tensor cannot be read.
  func runs(ofAtMost size: Int) throws(CheckpointError) -> [[StoredTensor]] {
    var runs: [[StoredTensor]] = []
    var room = 0
    for tensor in tensors {
      let count = tensor.shape.byteCount(of: try tensor.readableDType())
      if runs.isEmpty || count > room {
        runs.append([])
        room = size
      }
      runs[runs.count - 1].append(tensor)
      room -= min(count, room)
    }
    return runs
  }

  /// Writes shards and index: all of them hidden and verified, then under their names, the index last.
  func write(
    _ layout: ShardLayout, to path: String, format: any CheckpointFormat, options: WriteOptions,
    sources: [String]
  ) throws(CheckpointError) {
    let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
    let indexPath = directory + layout.indexName
    let shardPaths = layout.shards.map { directory + $0.name }
    // A source with an index is read from more files than the one that was named.
    let sources = sources + Set(tensors.compactMap(\.file)).sorted()
    for target in shardPaths + [indexPath, path] {
      try Self.check(target, isNoneOf: sources)
      if !options.replacesExisting, FileDescriptor.status(of: target) != nil {
        throw CheckpointError(.exists, file: target, "the file exists already")
      }
    }
    var sealed: [SealedFile] = []
    for (shard, path) in zip(layout.shards, shardPaths) {
      sealed.append(try shard.contents.sealed(at: path, format: format, options: options))
    }
    let index = try AtomicFile(indexPath, replacingExisting: options.replacesExisting)
    try index.write(layout.index, at: 0)
    let sealedIndex = try index.seal { temporary throws(CheckpointError) in
      let written = try ByteSource(contentsOf: temporary)
      guard try written.bytes(in: 0..<written.count) == layout.index else {
        throw CheckpointError(.checksumMismatch, "reads back differently than it was written")
      }
    }
    // The plain file of that name would be taken for the checkpoint.
    try Self.publish(sealed, index: sealedIndex, inPlaceOf: path == indexPath ? nil : path)
  }

  /// Gives all files their names, and removes the plain file that they replace; where a name cannot be given,
  /// what was there before is there again.
  private static func publish(
    _ shards: [SealedFile], index: SealedFile, inPlaceOf plain: String?
  ) throws(CheckpointError) {
    let old = ([index] + shards).map(\.target).filter { FileDescriptor.status(of: $0) != nil }
    let kept = old.map { HiddenFile(keeping: $0) }
    var published: [String] = []
    do {
      if !old.isEmpty {
        FileDescriptor.remove(index.target)
        // Or a power failure might bring it back beside new shards.
        try index.synchronizeDirectory()
      }
      for file in shards {
        try file.move()
        published.append(file.target)
      }
      // The index must not be on the disk before what it names.
      try index.synchronizeDirectory()
      try index.move()
    } catch {
      for path in published where !old.contains(path) { FileDescriptor.remove(path) }
      // The index last, and only beside what it names.
      for (path, file) in zip(old, kept).reversed()
      where path == index.target || published.contains(path) {
        guard let file, file.takeBack(path) else { break }
      }
      throw error
    }
    if let plain { FileDescriptor.remove(plain) }
    try index.confirm()
  }
}
