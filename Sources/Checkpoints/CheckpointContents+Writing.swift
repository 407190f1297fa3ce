extension CheckpointContents {
  /// Writes the contents to a path; the file is whole or absent.
  ///
  /// Tensors are read, converted and written a piece at a time. Before the file gets its name it is
  /// read back: directory and every tensor must be what was written.
  ///
  /// With `options.shardSize` a format that can be spread over several files is written as shards and an
  /// index, all of them verified before the first one gets its name, the index last. A process that ends
  /// between two of these names leaves shards without an index, which are no checkpoint: where a shard
  /// replaces a file, the old index is removed first, so that it never names files of two checkpoints.
  /// (Where a name cannot be given, all old files are put back, on file systems that know hard links.)
  /// Files of an old checkpoint that the new one does not replace stay.
  /// - Throws: `sameFile` when a target is one of `sources`, the files that the contents come from;
  ///   `exists`, `notWritable`, `dtypeUnsupported`, `badName`, and what reading a tensor throws.
  public func write(
    to path: String, format: any CheckpointFormat, options: WriteOptions = WriteOptions(),
    sources: [String] = []
  ) throws(CheckpointError) {
    defer { StreamBuffers.clear() }
    if let layout = try format.shardLayout(of: self, at: path, options: options) {
      return try write(layout, to: path, format: format, options: options, sources: sources)
    }
    guard options.shardSize == nil || format.canShard else {
      throw CheckpointError(
        .notWritable, file: path, "\(format.name) files are not spread over several")
    }
    try Self.check(path, isNoneOf: sources)
    try sealed(at: path, format: format, options: options).publish()
  }

  /// Checks that a target is none of the files that are read.
  package static func check(_ path: String, isNoneOf sources: [String]) throws(CheckpointError) {
    guard let target = FileDescriptor.status(of: path)?.identity else { return }
    for source in sources where FileDescriptor.status(of: source)?.identity == target {
      throw CheckpointError(.sameFile, file: path, "the target is the same file as \(source)")
    }
  }

  /// Writes and verifies a file that has yet to get its name.
  func sealed(
    at path: String, format: any CheckpointFormat, options: WriteOptions
  ) throws(CheckpointError) -> SealedFile {
    let file = try AtomicFile(path, replacingExisting: options.replacesExisting)
    let checksums: [UInt32]
    do {
      try file.reserve(tensors + (format.holdsGoldens ? goldens : []), options)
      checksums = try format.write(self, to: file, options: options)
    } catch {
      throw error.located(file: path)
    }
    return try file.seal { temporary throws(CheckpointError) in
      let written = try format.open(
        ByteSource(contentsOf: temporary),
        options: ReadOptions(npzVoid2: options.npzVoid2, stateDict: .everything))
      try verifyReadBack(of: written, format, checksums)
    }
  }

  /// Compares what was written with what was to be written, as far as the format holds it.
  private func verifyReadBack(
    of written: CheckpointContents, _ format: any CheckpointFormat, _ checksums: [UInt32]
  ) throws(CheckpointError) {
    let wanted = tensors + (format.holdsGoldens ? goldens : [])
    let found = written.tensors + written.goldens
    guard found.count == wanted.count, checksums.count == wanted.count else {
      throw CheckpointError(
        .checksumMismatch, "read back: \(found.count) tensors, \(wanted.count) were written")
    }
    for (index, tensor) in found.enumerated() {
      let original = wanted[index]
      guard tensor.name == original.name || !format.holdsNames, tensor.dtype == original.dtype,
        tensor.shape == original.shape, try tensor.checksum() == checksums[index]
      else {
        throw CheckpointError(
          .checksumMismatch, tensor: original.name, "reads back differently than it was written")
      }
    }
  }
}
