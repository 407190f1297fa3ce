public import Checkpoints

extension HDF5Format {
  /// Walks and checks the whole tree; reads no tensor.
  ///
  /// The state dict is in the order of the attributes `strata_order` where every dataset has one,
  /// else sorted by name with numbers in names counted as numbers.
  /// - Throws: `hdf5Invalid`, `truncated`, `softLink`, `typeNotAllowed` and the other codes that
  ///   this module adds, each with the object's name and the way out.
  public func open(
    _ source: ByteSource, options: ReadOptions
  ) throws(CheckpointError) -> CheckpointContents {
    guard try recognizes(source) else {
      throw CheckpointError(
        source.count < 8 ? .truncated : .badMagic, file: source.path, offset: 0,
        "the file does not begin as an HDF5 file")
    }
    guard source.count >= Self.smallestFile else {
      throw CheckpointError(
        .truncated, file: source.path, offset: source.count,
        "the file ends here; no HDF5 file has fewer than \(Self.smallestFile) bytes")
    }
    do {
      return try source.unchanged { () throws(CheckpointError) in
        try isIsolated ? openIsolated(source) : openHere(source)
      }
    } catch {
      // A helper knows the file by another name.
      var error = error
      error.file = source.path
      throw error
    }
  }

  private func openHere(_ source: ByteSource) throws(CheckpointError) -> CheckpointContents {
    let file = try HDF5File(reading: source)
    let (directory, places) = try file.walk(source)
    try directory.check(in: source)
    return try directory.contents(of: source) { entry in
      LibraryBytes(
        file: file, place: places[entry], shape: directory.entries[entry].shape,
        elementType: directory.entries[entry].elementType)
    }
  }

  private func openIsolated(_ source: ByteSource) throws(CheckpointError) -> CheckpointContents {
    let process = try HDF5HelperProcess(reading: source, executable: helperPath)
    return try process.directory.contents(of: source) { entry in
      IsolatedBytes(process: process, entry: entry)
    }
  }
}

extension ByteSource {
  /// What `body` makes of the file, whose bytes it reads past this source, unless the file was changed:
  /// that is then what is wrong, whatever came of it.
  /// - Throws: `fileChanged`, what `body` throws.
  func unchanged<Result>(
    _ body: () throws(CheckpointError) -> Result
  ) throws(CheckpointError) -> Result {
    let result: Swift.Result<Result, CheckpointError>
    do { result = .success(try body()) } catch { result = .failure(error) }
    try checkUnchanged()
    return try result.get()
  }
}
