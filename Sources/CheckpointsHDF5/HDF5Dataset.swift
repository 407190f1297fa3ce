import CHDF5
import Checkpoints

/// What a dataset is, checked whole before anything of it is read.
struct HDF5Dataset: Sendable {
  var elementType: HDF5ElementType
  var shape: Shape
  var encoding = HDF5Directory.Encoding.raw
  /// Where the elements stand in one run of the file; nil when they go through libhdf5.
  var offset: Int?
  /// How the elements are cut into chunks, where they are.
  var chunks: HDF5Chunks?
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
      encoding = filters.contains(.deflate) ? .deflate : .chunked
      let chunks = HDF5Chunks(
        shape: shape, size: try Self.chunk(creation, rank: shape.rank, elementType.dtype),
        elementSize: elementType.dtype.size, filters: filters,
        filtersEdges: try Self.filtersEdges(creation), storedLimit: source.count)
      try Self.check(chunks, in: dataset, space, stored: storedByteCount)
      self.chunks = chunks
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
  ) throws(CheckpointError) -> [HDF5Chunks.Filter] {
    let count = H5Pget_nfilters(creation.id)
    try HDF5Library.check(count, "the filters cannot be read")
    var filters: [HDF5Chunks.Filter] = []
    for index in 0..<UInt32(count) {
      var (values, valueCount) = ([UInt32(0)], 1)
      let filter = unsafe H5Pget_filter2(
        creation.id, index, nil, &valueCount, &values, 0, nil, nil)
      try HDF5Library.check(filter, "the filters cannot be read")
      switch filter {
      // What one gives is known, and so what the other is given; nobody deflates twice.
      case H5Z_FILTER_DEFLATE where !filters.contains(.deflate): filters.append(.deflate)
      case H5Z_FILTER_SHUFFLE where valueCount == 1 && values[0] > 0:
        filters.append(.shuffle(elementSize: Int(values[0])))
      case H5Z_FILTER_FLETCHER32: filters.append(.fletcher32)
      default:
        let name = filterNames[filter].map { "\($0) (\(filter))" } ?? "number \(filter)"
        throw CheckpointError(
          .filterNotAllowed,
          "stored with the filter \(name), only gzip, shuffle and fletcher32 are read; write it "
            + "with compression=\"gzip\", or run h5repack -f GZIP=4 on the file")
      }
    }
    return filters
  }

  /// Whether chunks that reach out of the shape went through the filters.
  private static func filtersEdges(
    _ creation: borrowing HDF5Handle
  ) throws(CheckpointError) -> Bool {
    var options: UInt32 = 0
    try HDF5Library.check(
      unsafe H5Pget_chunk_opts(creation.id, &options), "the chunks cannot be read")
    return options & UInt32(H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS) == 0
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
  private static func check(
    _ chunks: HDF5Chunks, in dataset: borrowing HDF5Handle, _ space: borrowing HDF5Handle,
    stored: Int
  ) throws(CheckpointError) {
    let wanted = chunks.count
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
    let chunkBytes = chunks.byteCount
    let (decoded, overflow) = chunkBytes.multipliedReportingOverflow(by: wanted)
    guard !chunks.filters.isEmpty || !overflow && stored == decoded else {
      throw CheckpointError(
        .sizeMismatch, "\(stored) stored bytes, \(wanted) chunks of \(chunkBytes) take \(decoded)")
    }
    // A row is a part of all chunks.
    let row = ChunkCache.row(chunks.shape, chunk: chunks.size)
    guard
      chunks.filters.isEmpty || row == 1
        || !overflow && row * chunkBytes <= ChunkCache.decodedLimit
    else {
      throw CheckpointError(
        .chunkLimit,
        "\(row) compressed chunks of \(chunkBytes) bytes stand side by side, together at most "
          + "\(ChunkCache.decodedLimit) bytes are decoded at a time; write chunks of whole rows")
    }
    let isDeflated = chunks.filters.contains(.deflate)
    // What deflate can give at most for each stored byte, and for each chunk beyond.
    let (limit, _) = stored.multipliedReportingOverflow(
      by: isDeflated ? HDF5Directory.mostExpansion : 1)
    guard !overflow, decoded <= limit + (isDeflated ? 64 * wanted : 0) else {
      throw CheckpointError(
        .expansionLimit,
        "\(stored) stored bytes cannot give \(wanted) chunks of \(chunkBytes) bytes")
    }
    let counted = try chunks.storedByteCount(in: dataset.id)
    guard counted == UInt64(stored) else {
      throw CheckpointError(
        .sizeMismatch,
        "the index has \(stored) stored bytes, the chunks that it leads to have \(counted); the file is "
          + "damaged")
    }
  }
}

/// How many decoded chunks of a dataset are kept.
struct ChunkCache: Sendable {
  static let limit = 64 << 20
  /// The limit for chunks that went through filters, which would be decoded again for every piece.
  static let decodedLimit = 1 << 30

  var count = 0
  var bytes = 0
  var slots = 521

  /// None.
  init() {}

  /// Enough that reading or writing in row-major order decodes every chunk once.
  ///
  /// That is all chunks that one row of the outermost chunked dimension touches, as far as `limit`
  /// goes.
  init(_ shape: Shape, chunk: [Int], elementSize: Int, limit: Int = limit) {
    let chunkBytes = chunk.reduce(elementSize, *)
    count = min(Self.row(shape, chunk: chunk), max(1, limit / chunkBytes))
    bytes = count * chunkBytes
    // A prime, so that neighbours do not share a slot, and ten times as many as there are chunks.
    slots = [521, 5_003, 50_021, 500_009].first { $0 >= 10 * count } ?? 500_009
  }

  /// The number of chunks that one row of the outermost chunked dimension touches.
  static func row(_ shape: Shape, chunk: [Int]) -> Int {
    let outermost = chunk.firstIndex { $0 > 1 } ?? chunk.endIndex
    var count = 1
    for axis in chunk.indices where axis > outermost {
      count *= max(1, (shape[axis] + chunk[axis] - 1) / chunk[axis])
    }
    return count
  }

  /// Enough for a dataset that is cut so.
  init(_ chunks: HDF5Chunks) {
    self.init(
      chunks.shape, chunk: chunks.size, elementSize: chunks.elementSize,
      limit: chunks.filters.isEmpty ? Self.limit : Self.decodedLimit)
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
