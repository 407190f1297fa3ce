import CHDF5
internal import Checkpoints

/// An identifier of libhdf5, given back when the value goes away.
///
/// All of it happens under the lock of `HDF5Library`.
struct HDF5Handle: ~Copyable, Sendable {
  let id: hid_t

  /// Takes what a function of libhdf5 returned.
  /// - Throws: `code` with `what` and the library's own reason when that is no identifier.
  init(
    _ id: hid_t, _ what: @autoclosure () -> String, code: CheckpointError.Code = .hdf5Invalid
  ) throws(CheckpointError) {
    guard id >= 0 else { throw HDF5Library.fault(what(), code: code) }
    self.id = id
  }

  deinit { H5Idec_ref(id) }

  /// Closes a dataset that was written and tells whether its last chunks went out.
  /// - Throws: `notWritable`.
  consuming func closeDataset() throws(CheckpointError) {
    let status = H5Dclose(id)
    discard self
    try HDF5Library.check(status, "the dataset cannot be completed", code: .notWritable)
  }

  /// Closes a file that was written and tells whether all of it went out.
  /// - Throws: `notWritable`.
  consuming func closeFile() throws(CheckpointError) {
    let status = H5Fclose(id)
    discard self
    try HDF5Library.check(status, "the HDF5 file cannot be completed", code: .notWritable)
  }
}

extension HDF5Handle {
  /// A property list of a class, `strata_h5_dataset_create()` for example.
  init(properties: hid_t) throws(CheckpointError) {
    try self.init(H5Pcreate(properties), "a property list cannot be created")
  }

  /// A dataspace; no dimension makes a scalar.
  init(space dimensions: [Int]) throws(CheckpointError) {
    let sizes = dimensions.map(UInt64.init)
    let id =
      dimensions.isEmpty
      ? H5Screate(H5S_SCALAR) : unsafe H5Screate_simple(Int32(sizes.count), sizes, nil)
    try self.init(id, "no dataspace for the shape \(dimensions)")
  }

  /// The dimensions of a dataspace: none for a scalar, [0] for one that holds nothing.
  func dimensions() throws(CheckpointError) -> [Int] {
    switch H5Sget_simple_extent_type(id) {
    case H5S_SCALAR: return []
    case H5S_NULL: return [0]
    case H5S_SIMPLE: break
    default: throw HDF5Library.fault("the dataspace is of an unknown kind")
    }
    let rank = H5Sget_simple_extent_ndims(id)
    try HDF5Library.check(rank, "the rank cannot be read")
    guard rank <= Shape.maximumRank else {
      throw CheckpointError(
        .rankLimit, "\(rank) dimensions, at most \(Shape.maximumRank) are allowed")
    }
    var sizes = [UInt64](repeating: 0, count: Int(rank))
    try HDF5Library.check(
      unsafe H5Sget_simple_extent_dims(id, &sizes, nil), "the shape cannot be read")
    var dimensions: [Int] = []
    for size in sizes {
      guard let dimension = Int(exactly: size) else {
        throw CheckpointError(.shapeOverflow, "a dimension of \(size)")
      }
      dimensions.append(dimension)
    }
    return dimensions
  }
}
