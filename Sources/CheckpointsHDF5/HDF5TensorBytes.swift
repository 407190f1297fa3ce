import CHDF5
import Checkpoints

/// The bytes of a dataset that stand in one run of the file: libhdf5 is not asked again.
struct ContiguousBytes: TensorBytes {
  let source: ByteSource
  let offset: Int
  let elementSize: Int
  let isBigEndian: Bool

  func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    guard isBigEndian else { return try stored(range) }
    return try elements(of: range, size: elementSize) { elements throws(CheckpointError) in
      try stored((elements.lowerBound * elementSize)..<(elements.upperBound * elementSize))
        .byteSwapped(elementSize: elementSize)
    }
  }

  private func stored(_ range: Range<Int>) throws(CheckpointError) -> Bytes {
    guard !range.isEmpty else { return Bytes([UInt8]()) }
    return try source.bytes(in: (offset + range.lowerBound)..<(offset + range.upperBound))
  }
}

/// The bytes of a dataset that libhdf5 puts together: chunked or compact.
struct LibraryBytes: TensorBytes {
  let file: HDF5File
  let place: HDF5Place
  let shape: Shape
  let elementType: HDF5ElementType

  func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    guard !range.isEmpty else { return Bytes([UInt8]()) }
    let size = elementType.dtype.size
    return try elements(of: range, size: size) { elements throws(CheckpointError) in
      let bytes = try file.read(elements, of: place, shape: shape, elementSize: size)
      return elementType.isBigEndian ? bytes.byteSwapped(elementSize: size) : bytes
    }
  }
}

/// Bytes that libhdf5 reads, here or in a helper, of one state of the file.
struct UnchangedBytes: TensorBytes {
  let source: ByteSource
  let bytes: any TensorBytes

  func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    try source.unchanged { () throws(CheckpointError) in try bytes.bytes(in: range) }
  }
}

/// The bytes of `range` out of the whole elements that hold them.
func elements(
  of range: Range<Int>, size: Int, read: (Range<Int>) throws(CheckpointError) -> Bytes
) throws(CheckpointError) -> Bytes {
  let first = range.lowerBound / size
  let bytes = try read(first..<((range.upperBound + size - 1) / size))
  return bytes[(range.lowerBound - first * size)..<(range.upperBound - first * size)]
}

extension HDF5File {
  /// Reads elements of a dataset as they stand in the file, in its own byte order.
  func read(
    _ elements: Range<Int>, of place: HDF5Place, shape: Shape, elementSize: Int
  ) throws(CheckpointError) -> Bytes {
    try locked { state throws(CheckpointError) in
      let dataset = try state.open(place)
      // The file's own type on both sides: libhdf5 converts nothing, every bit is kept.
      let type = try HDF5Handle(H5Dget_type(dataset), "the type cannot be read")
      let space = try HDF5Handle(H5Dget_space(dataset), "the shape cannot be read")
      guard try space.dimensions() == shape.dimensions, H5Tget_size(type.id) == elementSize else {
        throw CheckpointError(.hdf5Invalid, "the dataset has changed since the file was opened")
      }
      return try unsafe Bytes(count: elements.count * elementSize) {
        buffer throws(CheckpointError) in
        var done = 0
        for box in shape.boxes(of: elements) {
          let count = box.count * elementSize
          let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done..<(done + count)])
          if let chunks = place.chunks, !chunks.filters.isEmpty {
            try unsafe chunks.copy(box, into: part) { chunk throws(CheckpointError) in
              try state.decoded(chunk, of: chunks)
            }
          } else {
            let memory = try box.select(in: space)
            let status = unsafe H5Dread(
              dataset, type.id, memory.id, space.id, strata_h5_default(), part.baseAddress)
            try HDF5Library.check(status, "the data cannot be read")
          }
          done += count
        }
      }
    }
  }
}

extension HDF5File.State {
  /// Opens a dataset, unless it is the one that is open.
  fileprivate mutating func open(_ place: HDF5Place) throws(CheckpointError) -> hid_t {
    if datasetPath != place.path {
      datasetPath = nil
      dataset = nil
      chunks = [:]
      places = []
      // Chunks that went through filters are kept decoded, here and not in the library.
      let isPlain = place.chunks.map(\.filters.isEmpty) ?? false
      let cache = isPlain ? place.chunks.map { ChunkCache($0) } : nil
      let access = try (cache ?? ChunkCache()).makeAccess()
      dataset = try HDF5Handle(
        unsafe H5Dopen2(id(), place.path, access.id), "the dataset cannot be opened")
      datasetPath = place.path
    }
    return try openDataset()
  }

  /// The identifier of the open dataset.
  func openDataset() throws(CheckpointError) -> hid_t {
    switch dataset {
    case .some(let dataset): return dataset.id
    case .none: throw CheckpointError(.hdf5Invalid, "no dataset is open")
    }
  }

  /// A decoded chunk of the open dataset.
  fileprivate mutating func decoded(
    _ place: Int, of layout: HDF5Chunks
  ) throws(CheckpointError) -> Bytes {
    if let known = chunks[place] { return known }
    let bytes = try layout.decoded(place, of: openDataset())
    // Reading goes in row-major order: what was decoded first is needed last. Half of it at a time, so
    // that the list is not moved for each.
    let most = ChunkCache(layout).count
    if places.count >= most {
      for old in places.prefix((most + 1) / 2) { chunks[old] = nil }
      places.removeFirst((most + 1) / 2)
    }
    chunks[place] = bytes
    places.append(place)
    return bytes
  }
}

extension RowMajorBox {
  /// Selects the box in a dataset's space, and gives the space of its elements in memory.
  func select(in space: borrowing HDF5Handle) throws(CheckpointError) -> HDF5Handle {
    let status =
      start.isEmpty
      ? H5Sselect_all(space.id)
      : unsafe H5Sselect_hyperslab(
        space.id, H5S_SELECT_SET, start.map(UInt64.init), nil, size.map(UInt64.init), nil)
    try HDF5Library.check(status, "no part of the dataset can be selected")
    // Of the same rank: where it is another, libhdf5 maps element by element.
    return try HDF5Handle(space: start.isEmpty ? [count] : size)
  }
}
