import CHDF5
import Checkpoints

/// How a dataset is cut into chunks, and what each of them went through.
///
/// libhdf5 finds the chunks. The filters are undone here: its own believe what a chunk gives, and hand out
/// memory that nobody has written where that is less than the chunk has.
struct HDF5Chunks: Sendable {
  enum Filter: Sendable, Equatable {
    case deflate
    case shuffle(elementSize: Int)
    case fletcher32
  }

  let shape: Shape
  /// The elements of a chunk along each axis.
  let size: [Int]
  let elementSize: Int
  /// In the order in which they were applied.
  let filters: [Filter]
  /// Whether chunks that reach out of the shape went through the filters as well.
  let filtersEdges: Bool
  /// The bytes of the file, which no chunk has more of.
  let storedLimit: Int

  /// The decoded bytes of a chunk.
  var byteCount: Int { size.reduce(elementSize, *) }

  /// The number of chunks along each axis.
  ///
  /// No overflow: no product of them is larger than one of the shape.
  var grid: [Int] { zip(shape.dimensions, size).map { ($0 + $1 - 1) / $1 } }

  /// The number of chunks.
  var count: Int { grid.reduce(1, *) }

  /// The index of the first element of a chunk, by its place in row-major order.
  func origin(of place: Int) -> [Int] {
    var rest = place
    var origin: [Int] = []
    for (count, size) in zip(grid, size).reversed() {
      origin.append(rest % count * size)
      rest /= count
    }
    return origin.reversed()
  }

  /// Checks that every chunk is there, each at its own place.
  ///
  /// libhdf5 reads a fill value for those that are not, and counts those that are there twice.
  /// - Returns: the stored bytes.
  /// - Throws: `dataMissing`.
  func storedByteCount(in dataset: hid_t) throws(CheckpointError) -> UInt64 {
    var total: UInt64 = 0
    for place in 0..<count {
      let (sum, overflow) = total.addingReportingOverflow(
        try storedByteCount(of: origin(of: place), in: dataset))
      guard !overflow else {
        throw CheckpointError(.extentOutOfFile, "more stored bytes than 2^64")
      }
      total = sum
    }
    return total
  }

  private func storedByteCount(
    of origin: [Int], in dataset: hid_t
  ) throws(CheckpointError) -> UInt64 {
    var stored: UInt64 = 0
    let status = unsafe H5Dget_chunk_storage_size(dataset, origin.map(UInt64.init), &stored)
    guard status >= 0, stored > 0 else {
      throw CheckpointError(
        .dataMissing,
        "the chunk at \(origin) was never written and would read as a fill value; write all of them"
      )
    }
    return stored
  }

  // MARK: Decoding

  /// The decoded bytes of a chunk.
  /// - Throws: `decompressMismatch`, `checksumMismatch`, `dataMissing`, `extentOutOfFile`.
  func decoded(_ place: Int, of dataset: hid_t) throws(CheckpointError) -> Bytes {
    let origin = origin(of: place)
    let stored = try storedByteCount(of: origin, in: dataset)
    var mask: UInt32 = 0
    // What the index says here was counted with the rest when the file was opened; not if somebody has
    // written to it since.
    guard stored <= UInt64(storedLimit) else {
      throw CheckpointError(
        .extentOutOfFile, "the chunk at \(origin) has \(stored) bytes, the file had \(storedLimit)")
    }
    let bytes = try unsafe Bytes(count: Int(clamping: stored)) { buffer throws(CheckpointError) in
      try HDF5Library.check(
        unsafe H5Dread_chunk(
          dataset, strata_h5_default(), origin.map(UInt64.init), &mask, buffer.baseAddress),
        "the data cannot be read")
    }
    do {
      return try decoded(bytes, mask: isFiltered(origin) ? mask : .max)
    } catch {
      throw CheckpointError(error.code, "the chunk at \(origin): \(error.reason)")
    }
  }

  private func isFiltered(_ origin: [Int]) -> Bool {
    filtersEdges || zip(zip(origin, size), shape.dimensions).allSatisfy { $0.0 + $0.1 <= $1 }
  }

  /// Undoes the filters whose bits are not set in the mask.
  private func decoded(_ stored: Bytes, mask: UInt32) throws(CheckpointError) -> Bytes {
    // How many bytes each filter was given; behind deflate that is not known.
    var given: [Int?] = []
    var size: Int? = byteCount
    for (index, filter) in filters.enumerated() where mask >> UInt32(index) & 1 == 0 {
      given.append(size)
      switch filter {
      case .deflate: size = nil
      case .shuffle: break
      case .fletcher32: size = size.map { $0 + Self.checksumSize }
      }
    }
    var bytes = stored
    for (index, filter) in filters.enumerated().reversed() where mask >> UInt32(index) & 1 == 0 {
      let count = given.removeLast()
      switch filter {
      // Known: there is one deflate at most.
      case .deflate: bytes = try Deflate.decompressed(bytes, count: count ?? 0)
      case .shuffle(let elementSize): bytes = bytes.unshuffled(elementSize: elementSize)
      case .fletcher32: bytes = try bytes.removingFletcher32()
      }
    }
    guard bytes.count == byteCount else {
      throw CheckpointError(
        .decompressMismatch, "it has \(bytes.count) bytes and not \(byteCount); the file is damaged"
      )
    }
    return bytes
  }

  static let checksumSize = 4

  // MARK: Elements

  /// Copies the elements of a box, one behind the other, out of the chunks that hold them.
  func copy(
    _ box: RowMajorBox, into output: UnsafeMutableRawBufferPointer,
    chunk: (Int) throws(CheckpointError) -> Bytes
  ) throws(CheckpointError) {
    let first = zip(box.start, size).map { $0 / $1 }
    let last = zip(zip(box.start, box.size), size).map { ($0.0 + $0.1 - 1) / $1 }
    let grid = grid
    var index = first
    while true {
      let place = zip(index, grid).reduce(0) { $0 * $1.1 + $1.0 }
      unsafe copy(box, into: output, from: try chunk(place), origin: zip(index, size).map(*))
      // The next chunk of the box, in row-major order.
      var axis = index.count - 1
      while axis >= 0, index[axis] == last[axis] {
        index[axis] = first[axis]
        axis -= 1
      }
      guard axis >= 0 else { return }
      index[axis] += 1
    }
  }

  /// Copies what a box and a chunk have in common.
  private func copy(
    _ box: RowMajorBox, into output: UnsafeMutableRawBufferPointer, from chunk: Bytes,
    origin: [Int]
  ) {
    let start = zip(box.start, origin).map(max)
    let end = zip(zip(box.start, box.size).map(+), zip(origin, size).map(+)).map(min)
    let extent = zip(end, start).map(-)
    // The elements of the inner axes that are whole on both sides are one run.
    var outer = extent.count - 1
    while outer > 0, extent[outer] == size[outer], extent[outer] == box.size[outer] { outer -= 1 }
    let run = extent[outer...].reduce(elementSize, *)
    let sourceSteps = steps(size)
    let targetSteps = steps(box.size)
    var source = zip(zip(start, origin).map(-), sourceSteps).map(*).reduce(0, +)
    var target = zip(zip(start, box.start).map(-), targetSteps).map(*).reduce(0, +)
    var index = [Int](repeating: 0, count: outer)
    unsafe chunk.withUnsafeBytes { input in
      while true {
        unsafe UnsafeMutableRawBufferPointer(rebasing: output[target..<(target + run)])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: input[source..<(source + run)]))
        var axis = outer - 1
        while axis >= 0, index[axis] == extent[axis] - 1 {
          source -= index[axis] * sourceSteps[axis]
          target -= index[axis] * targetSteps[axis]
          index[axis] = 0
          axis -= 1
        }
        guard axis >= 0 else { return }
        index[axis] += 1
        source += sourceSteps[axis]
        target += targetSteps[axis]
      }
    }
  }

  /// The bytes from one index to the next along each axis of so many elements.
  private func steps(_ sizes: [Int]) -> [Int] {
    var steps = [elementSize]
    for size in sizes.dropFirst().reversed() { steps.append(steps[steps.count - 1] * size) }
    return steps.reversed()
  }
}

extension Bytes {
  /// Undoes HDF5's shuffle: bytes behind the last whole element stay where they are.
  fileprivate func unshuffled(elementSize: Int) -> Bytes {
    let whole = count - count % elementSize
    let elements = Deflate.unshuffled(self[0..<whole], elementSize: elementSize)
    return whole == count ? elements : Bytes(joining: [elements, self[whole..<count]])
  }

  /// The bytes before HDF5's checksum at the end.
  /// - Throws: `checksumMismatch`.
  fileprivate func removingFletcher32() throws(CheckpointError) -> Bytes {
    guard count >= HDF5Chunks.checksumSize else {
      throw CheckpointError(
        .checksumMismatch, "it is too short for its checksum; the file is damaged")
    }
    let bytes = self[0..<(count - HDF5Chunks.checksumSize)]
    let stored = integer(at: bytes.count, as: UInt32.self)
    let computed = bytes.fletcher32
    // Old versions of libhdf5 swapped the bytes of both halves on some machines.
    let swapped = (computed & 0x00FF_00FF) << 8 | (computed & 0xFF00_FF00) >> 8
    guard stored == computed || stored == swapped else {
      throw CheckpointError(
        .checksumMismatch, "its Fletcher32 checksum is another one; the file is damaged")
    }
    return bytes
  }

  /// Fletcher's checksum of big-endian words of 16 bits, as HDF5 has it.
  private var fletcher32: UInt32 {
    unsafe withUnsafeBytes { bytes in
      var (first, second) = (UInt32(0), UInt32(0))
      var place = 0
      while place < bytes.count {
        // As many words as cannot overflow.
        let end = min(place + 2 * 360, bytes.count)
        while place < end {
          let low = place + 1 < bytes.count ? unsafe UInt32(bytes[place + 1]) : 0
          first &+= unsafe UInt32(bytes[place]) << 8 | low
          second &+= first
          place += 2
        }
        first = first & 0xFFFF + first >> 16
        second = second & 0xFFFF + second >> 16
      }
      first = first & 0xFFFF + first >> 16
      second = second & 0xFFFF + second >> 16
      return second << 16 | first
    }
  }
}
