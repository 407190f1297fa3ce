import Checkpoints

/// Which bytes of a file belong to what, as far as libhdf5 tells it: no byte belongs to two.
struct HDF5Extents {
  /// Where the addresses of the file are counted from, and where the head ends that stands there.
  let base: Int
  let headEnd: Int
  let fileSize: Int

  /// Where contiguous data stand.
  private var data: [(range: Range<Int>, name: String)] = []
  /// Where the headers of objects begin.
  private var headers: [(place: Int, name: String)] = []
  /// The datasets that were counted, by the address of their header: one dataset may have two names.
  private var datasets: Set<UInt64> = []
  private var left: Int

  init(base: Int, headSize: Int, fileSize: Int) {
    self.base = base
    self.headEnd = base + headSize
    self.fileSize = fileSize
    self.left = fileSize
  }

  /// Notes the header of a group or a dataset.
  mutating func addHeader(at address: UInt64, named name: String) {
    guard let place = Int(exactly: address), place < fileSize - base else { return }
    headers.append((base + place, name))
  }

  /// Notes the data of the dataset whose header stands at an address.
  /// - Throws: `extentOutOfFile` when all data together take more than the file has.
  mutating func add(
    _ dataset: HDF5Dataset, at address: UInt64, named name: String
  ) throws(CheckpointError) {
    guard datasets.insert(address).inserted else { return }
    guard dataset.storedByteCount <= left else {
      throw CheckpointError(
        .extentOutOfFile,
        "with it the datasets take more than the \(fileSize) bytes of the file: some of them share "
          + "theirs; the file is damaged")
    }
    left -= dataset.storedByteCount
    if let offset = dataset.offset, dataset.storedByteCount > 0 {
      guard offset >= headEnd else {
        throw CheckpointError(
          .extentOutOfFile, offset: offset,
          "the data stand before the end of the file's head at \(headEnd); the file is damaged")
      }
      data.append((offset..<(offset + dataset.storedByteCount), name))
    }
  }

  /// Checks that no two share bytes.
  /// - Throws: `extentOutOfFile`.
  func check() throws(CheckpointError) {
    let sorted = data.sorted { $0.range.lowerBound < $1.range.lowerBound }
    for (before, after) in zip(sorted, sorted.dropFirst())
    where before.range.upperBound > after.range.lowerBound {
      throw CheckpointError(
        .extentOutOfFile, tensor: after.name, offset: after.range.lowerBound,
        "the data stand within those of \(before.name); the file is damaged")
    }
    // The first header at or behind the beginning of the data must not stand before their end.
    let headers = headers.sorted { $0.place < $1.place }
    var next = 0
    for (range, name) in sorted {
      while next < headers.count, headers[next].place < range.lowerBound { next += 1 }
      guard next == headers.count || headers[next].place >= range.upperBound else {
        throw CheckpointError(
          .extentOutOfFile, tensor: name, offset: range.lowerBound,
          "the header of \(headers[next].name) stands within the data; the file is damaged")
      }
    }
  }
}
