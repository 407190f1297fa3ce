import CHDF5
import Checkpoints

/// What a dataset is, checked whole before anything of it is read.
struct HDF5Dataset: Sendable {
  var elementType: HDF5ElementType
  var shape: Shape
  var encoding = HDF5Directory.Encoding.raw
  /// Where the elements stand in one run of the file; nil when they go through libhdf5.
  var offset: Int?
  var cache = ChunkCache()
  /// The bytes that the elements take in the file.
  var storedByteCount: Int

  /// Checks an open dataset of the file `source`.
  /// - Throws: `externalStorage`, `virtualDataset`, `filterNotAllowed`, `typeNotAllowed`,
  ///   `shapeOverflow`, `chunkLimit`, `dataMissing`, `extentOutOfFile`, `expansionLimit`.
  init(_ dataset: borrowing HDF5Handle, of source: ByteSource) throws(CheckpointError) {
    let creation = try HDF5Handle(
      H5Dget_create_plist(dataset.id), "the storage of the dataset cannot be read")
    // Where the data are comes first: asking anything else of a virtual dataset may open others.
    let kind = H5Pget_layout(creation.id)
    guard kind != H5D_VIRTUAL else {
      throw CheckpointError(
        .virtualDataset,
        "a virtual dataset, made of others; h5repack or reading and writing it makes it a plain one"
      )
    }
    let externalCount = H5Pget_external_count(creation.id)
    try HDF5Library.check(externalCount, "the storage of the dataset cannot be read")
    guard externalCount == 0 else {
      throw CheckpointError(
        .externalStorage,
        "the data stand in another file; copy the dataset into this one, without `external`")
    }
    let filters = try Self.filters(creation)
    let type = try HDF5Handle(H5Dget_type(dataset.id), "the type cannot be read")
    elementType = try HDF5ElementType(type)
    let space = try HDF5Handle(H5Dget_space(dataset.id), "the shape cannot be read")
    shape = try Shape(space.dimensions())

    let stored = H5Dget_storage_size(dataset.id)
    guard stored <= UInt64(source.count) else {
      throw CheckpointError(
        .extentOutOfFile, "\(stored) stored bytes in a file of \(source.count); it is damaged")
    }
    storedByteCount = Int(stored)
    let count = shape.byteCount(of: elementType.dtype)
    switch kind {
    case H5D_CONTIGUOUS:
      offset = try Self.contiguous(dataset, count: count, stored: storedByteCount, of: source)
    case H5D_COMPACT:
      guard storedByteCount == count else {
        throw CheckpointError(
          .sizeMismatch, "\(storedByteCount) stored bytes, the shape \(shape) takes \(count)")
      }
    case H5D_CHUNKED:
      encoding = filters.contains(H5Z_FILTER_DEFLATE) ? .deflate : .chunked
      let chunk = try Self.chunk(creation, rank: shape.rank, elementType.dtype)
      try Self.checkChunks(
        dataset, space, chunk, shape, size: elementType.dtype.size, stored: storedByteCount,
        isDeflated: filters.contains(H5Z_FILTER_DEFLATE))
      cache = ChunkCache(shape, chunk: chunk, elementSize: elementType.dtype.size)
    default:
      throw CheckpointError(.hdf5Invalid, "the dataset is stored in an unknown layout")
    }
  }

  // MARK: Contiguous

  private static func contiguous(
    _ dataset: borrowing HDF5Handle, count: Int, stored: Int, of source: ByteSource
  ) throws(CheckpointError) -> Int {
    guard count > 0 else { return 0 }
    let offset = UInt64(H5Dget_offset(dataset.id))
    guard offset != strata_h5_undefined_address() else {
      throw CheckpointError(
        .dataMissing, "the data were never written; write them before the file is closed")
    }
    guard stored == count else {
      throw CheckpointError(.sizeMismatch, "\(stored) stored bytes, the shape takes \(count)")
    }
    guard offset <= UInt64(source.count), count <= source.count - Int(offset) else {
      throw CheckpointError(
        .extentOutOfFile, offset: Int(exactly: offset),
        "\(count) bytes at \(offset) reach behind the end of the file at \(source.count)")
    }
    return Int(offset)
  }

  // MARK: Chunks

  private static let filterNames: [Int32: String] = [
    4: "szip", 5: "nbit", 6: "scaleoffset", 307: "bzip2", 32000: "lzf", 32001: "blosc",
    32004: "lz4", 32008: "bitshuffle", 32013: "zfp", 32015: "zstd", 32026: "blosc2",
  ]

  private static func filters(
    _ creation: borrowing HDF5Handle
  ) throws(CheckpointError) -> [H5Z_filter_t] {
    let count = H5Pget_nfilters(creation.id)
    try HDF5Library.check(count, "the filters cannot be read")
    var filters: [H5Z_filter_t] = []
    for index in 0..<UInt32(count) {
      var valueCount = 0
      let filter = unsafe H5Pget_filter2(
        creation.id, index, nil, &valueCount, nil, 0, nil, nil)
      try HDF5Library.check(filter, "the filters cannot be read")
      guard [H5Z_FILTER_DEFLATE, H5Z_FILTER_SHUFFLE, H5Z_FILTER_FLETCHER32].contains(filter) else {
        let name = filterNames[filter].map { "\($0) (\(filter))" } ?? "number \(filter)"
        throw CheckpointError(
          .filterNotAllowed,
          "stored with the filter \(name), only gzip, shuffle and fletcher32 are read; write it "
            + "with compression=\"gzip\", or run h5repack -f GZIP=4 on the file")
      }
      filters.append(filter)
    }
    return filters
  }

  private static func chunk(
    _ creation: borrowing HDF5Handle, rank: Int, _ dtype: DType
  ) throws(CheckpointError) -> [Int] {
    var sizes = [UInt64](repeating: 0, count: max(rank, 1))
    let found = unsafe H5Pget_chunk(creation.id, Int32(sizes.count), &sizes)
    try HDF5Library.check(found, "the chunks cannot be read")
    guard Int(found) == rank else {
      throw CheckpointError(.chunkLimit, "chunks of rank \(found) in a dataset of rank \(rank)")
    }
    var bytes = UInt64(dtype.size)
    for size in sizes {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: size)
      guard !overflow, product > 0, product <= UInt64(Int32.max) else {
        throw CheckpointError(
          .chunkLimit,
          "chunks of the shape \(sizes) take 0 bytes or more than 2^31 - 1; write smaller chunks")
      }
      bytes = product
    }
    return sizes.map { Int($0) }
  }

  /// Every chunk must be there, and must not announce more than what is stored can give.
  private static func checkChunks(
    _ dataset: borrowing HDF5Handle, _ space: borrowing HDF5Handle, _ chunk: [Int],
    _ shape: Shape, size: Int, stored: Int, isDeflated: Bool
  ) throws(CheckpointError) {
    // No overflow: every factor is at most a dimension, and Shape checked their product.
    let wanted = zip(shape.dimensions, chunk).reduce(1) { $0 * (($1.0 + $1.1 - 1) / $1.1) }
    var found: UInt64 = 0
    // By the dataspace: H5S_ALL is not understood here before 1.10.9.
    try HDF5Library.check(
      unsafe H5Dget_num_chunks(dataset.id, space.id, &found), "the chunks cannot be counted")
    guard found == UInt64(wanted) else {
      throw CheckpointError(
        .dataMissing,
        "\(found) of \(wanted) chunks were written, the rest would read as a fill value; write all"
      )
    }
    let chunkBytes = chunk.reduce(size, *)
    let (decoded, overflow) = chunkBytes.multipliedReportingOverflow(by: wanted)
    // What deflate can give at most for each stored byte, and for each chunk beyond.
    let (limit, _) = stored.multipliedReportingOverflow(
      by: isDeflated ? HDF5Directory.mostExpansion : 1)
    guard !overflow, decoded <= limit + (isDeflated ? 64 * wanted : 0) else {
      throw CheckpointError(
        .expansionLimit,
        "\(stored) stored bytes cannot give \(wanted) chunks of \(chunkBytes) bytes")
    }
  }
}

/// How many decoded chunks libhdf5 keeps of a dataset.
struct ChunkCache: Sendable {
  static let limit = 64 << 20

  var bytes = 0
  var slots = 521

  /// None.
  init() {}

  /// Enough that reading or writing in row-major order decodes every chunk once.
  ///
  /// That is all chunks that one row of the outermost chunked dimension touches, as far as `limit`
  /// goes.
  init(_ shape: Shape, chunk: [Int], elementSize: Int) {
    let outermost = chunk.firstIndex { $0 > 1 } ?? chunk.endIndex
    let chunkBytes = chunk.reduce(elementSize, *)
    var count = 1
    for axis in chunk.indices where axis > outermost {
      count *= max(1, (shape[axis] + chunk[axis] - 1) / chunk[axis])
    }
    count = min(count, max(1, Self.limit / chunkBytes))
    bytes = count * chunkBytes
    // A prime, so that neighbours do not share a slot, and ten times as many as there are chunks.
    slots = [521, 5_003, 50_021, 500_009].first { $0 >= 10 * count } ?? 500_009
  }

  /// A list of access properties with this cache.
  func makeAccess() throws(CheckpointError) -> HDF5Handle {
    let access = try HDF5Handle(properties: strata_h5_dataset_access())
    // The weight 1 lets chunks that were read or written whole go first.
    try HDF5Library.check(
      H5Pset_chunk_cache(access.id, slots, bytes, 1), "no cache for chunks")
    return access
  }
}
