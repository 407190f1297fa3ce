import CHDF5
public import Checkpoints

extension HDF5Format {
  /// Writes contents into an empty file that HDF5 1.8 and later read.
  ///
  /// The same contents and options give the same bytes, deflated ones for one build of zlib.
  /// - Throws: `badName`, `duplicateName`, `metadataInvalid`, `notWritable`, or what reading a
  ///   tensor throws.
  public func write(
    _ contents: CheckpointContents, to file: borrowing AtomicFile, options: WriteOptions
  ) throws(CheckpointError) -> [UInt32] {
    let plan = try HDF5WritePlan(contents, options.hdf5Layout)
    let target = try HDF5File(creating: file.temporaryPath)
    // Again: that has cut the file, and given back what was set aside.
    try file.reserve(plan.datasets.map(\.tensor), options)
    let known = plan.attributes.filter { contents.pendingMetadata[$0.name] == nil }
    try target.writeAttributes(known)
    try target.locked { state throws(CheckpointError) in
      for path in plan.groups { try state.createGroup(path) }
    }
    var checksums: [UInt32] = []
    for dataset in plan.datasets {
      do {
        checksums.append(try target.write(dataset, deflates: options.deflates(dataset.tensor)))
      } catch {
        throw error.located(tensor: dataset.tensor.name)
      }
    }
    let metadata = try contents.settled().metadata
    try target.writeAttributes(
      contents.pendingMetadata.keys.sorted().map { ($0, metadata[$0] ?? "") })
    try target.close()
    return checksums
  }
}

extension HDF5File {
  /// Writes text attributes of the root.
  fileprivate func writeAttributes(
    _ attributes: [(name: String, text: String)]
  ) throws(CheckpointError) {
    guard !attributes.isEmpty else { return }
    try locked { state throws(CheckpointError) in
      let root = try HDF5Handle(
        unsafe H5Gopen2(state.id(), "/", strata_h5_default()), "no root group",
        code: .notWritable)
      for (name, text) in attributes { try root.writeAttribute(name, text) }
    }
  }
}

/// What a file is going to hold, with every name checked.
private struct HDF5WritePlan {
  struct Dataset {
    var tensor: StoredTensor
    var path: [String]
    /// The place in its table.
    var order: Int
  }

  /// Text of the root, in the order in which it is written.
  var attributes: [(name: String, text: String)] = []
  /// Outer groups before inner ones.
  var groups: [[String]] = []
  /// Tensors before goldens, each in their order.
  var datasets: [Dataset] = []

  init(
    _ contents: CheckpointContents, _ layout: WriteOptions.HDF5Layout
  ) throws(CheckpointError) {
    for (order, tensor) in contents.tensors.enumerated() {
      do throws(CheckpointError) {
        let path = try Self.path(of: tensor.name, layout)
        guard tensor.name.split(separator: ".").first.map(String.init) != HDF5Format.goldenGroup
        else {
          throw CheckpointError(
            .badName,
            "the name \(HDF5Format.goldenGroup) is that of the goldens' group; rename the tensor")
        }
        datasets.append(Dataset(tensor: tensor, path: path, order: order))
      } catch {
        throw error.located(tensor: tensor.name)
      }
    }
    for (order, tensor) in contents.goldens.enumerated() {
      do throws(CheckpointError) {
        let path = [HDF5Format.goldenGroup] + (try Self.path(of: tensor.name, .flat))
        datasets.append(Dataset(tensor: tensor, path: path, order: order))
      } catch {
        throw error.located(tensor: tensor.name)
      }
    }
    try collectGroups()
    try collectAttributes(contents)
  }

  /// The names of the groups and of the dataset that stand for a tensor's name.
  private static func path(
    of name: String, _ layout: WriteOptions.HDF5Layout
  ) throws(CheckpointError) -> [String] {
    let path =
      switch layout {
      case .flat: [name]
      case .nested: name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
      }
    for component in path {
      guard !component.isEmpty, component != ".", !component.contains("/"),
        !component.utf8.contains(0)
      else {
        throw CheckpointError(
          .badName,
          "HDF5 has no \(layout == .nested ? "group or " : "")dataset called "
            + "\"\(component)\": a name has at least one character, no slash and no NUL, and is no "
            + "dot; rename the tensor\(layout == .nested ? " or use the flat layout" : "")")
      }
    }
    return path
  }

  private mutating func collectGroups() throws(CheckpointError) {
    var known: Set<[String]> = []
    for dataset in datasets {
      for depth in dataset.path.indices.dropFirst() {
        let group = Array(dataset.path[..<depth])
        if known.insert(group).inserted { groups.append(group) }
      }
    }
    var taken: Set<[String]> = []
    for dataset in datasets {
      guard taken.insert(dataset.path).inserted else {
        throw CheckpointError(
          .duplicateName, tensor: dataset.tensor.name, "the name occurs twice")
      }
      guard !known.contains(dataset.path) else {
        throw CheckpointError(
          .badName, tensor: dataset.tensor.name,
          "other tensors have names below this one, and HDF5 has no dataset that is a group as "
            + "well; use the flat layout")
      }
    }
  }

  private mutating func collectAttributes(_ contents: CheckpointContents) throws(CheckpointError) {
    for (key, text) in contents.metadata.sorted(by: { $0.key < $1.key }) {
      if KerasAttributes.isReserved(key) { continue }
      guard key != HDF5Format.modulesAttribute, key != HDF5Format.modelAttribute else {
        throw CheckpointError(
          .metadataInvalid, "the metadata key \(key) is reserved in HDF5 files; rename it")
      }
      attributes.append((key, text))
    }
    if !contents.moduleRecords.isEmpty {
      let records = try CanonicalJSON.encode(contents.moduleRecords)
      attributes.append((HDF5Format.modulesAttribute, records))
    }
    if let description = contents.modelDescription {
      attributes.append((HDF5Format.modelAttribute, description))
    }
    for (name, text) in attributes {
      guard !name.isEmpty, name.utf8.count < 1 << 16 - 1, !name.utf8.contains(0) else {
        throw CheckpointError(
          .metadataInvalid,
          "the metadata key \"\(name)\" is empty, too long for HDF5, or holds a NUL; rename it")
      }
      guard !text.utf8.contains(0) else {
        throw CheckpointError(
          .metadataInvalid, "the metadata text \(name) holds a NUL, which ends a text in HDF5")
      }
    }
  }
}

extension HDF5Handle {
  /// Writes a text attribute: of fixed length, which reads back exactly and needs no heap.
  fileprivate borrowing func writeAttribute(
    _ name: String, _ text: String
  ) throws(CheckpointError) {
    let type = try HDF5Handle(H5Tcopy(strata_h5_string()), "no string type", code: .notWritable)
    // A type of 0 bytes is none: the empty text is one NUL, which the padding takes away again.
    let bytes = text.isEmpty ? [0] : Array(text.utf8)
    for status in [
      H5Tset_size(type.id, bytes.count), H5Tset_strpad(type.id, H5T_STR_NULLPAD),
      H5Tset_cset(type.id, H5T_CSET_UTF8),
    ] {
      try HDF5Library.check(status, "no string type", code: .notWritable)
    }
    try writeAttribute(name, type, bytes)
  }

  /// Writes a scalar attribute from the bytes of its value.
  fileprivate borrowing func writeAttribute(
    _ name: String, _ type: borrowing HDF5Handle, _ bytes: [UInt8]
  ) throws(CheckpointError) {
    let space = try HDF5Handle(space: [])
    let creation = try HDF5Handle(properties: strata_h5_attribute_create())
    try HDF5Library.check(
      H5Pset_char_encoding(creation.id, H5T_CSET_UTF8), "no UTF-8", code: .notWritable)
    let attribute = try HDF5Handle(
      unsafe H5Acreate2(id, name, type.id, space.id, creation.id, strata_h5_default()),
      "attribute \(name) cannot be created", code: .notWritable)
    try HDF5Library.check(
      unsafe H5Awrite(attribute.id, type.id, bytes), "attribute \(name) cannot be written",
      code: .notWritable)
  }
}

extension HDF5File.State {
  /// Creates a group; those around it exist.
  fileprivate func createGroup(_ path: [String]) throws(CheckpointError) {
    let creation = try HDF5Handle(properties: strata_h5_group_create())
    try HDF5Library.check(
      H5Pset_obj_track_times(creation.id, false), "times cannot be left out", code: .notWritable)
    let links = try Self.linkCreation()
    _ = try HDF5Handle(
      unsafe H5Gcreate2(
        id(), path.joined(separator: "/"), links.id, creation.id, strata_h5_default()),
      "group \(path.joined(separator: ".")) cannot be created", code: .notWritable)
  }

  fileprivate static func linkCreation() throws(CheckpointError) -> HDF5Handle {
    let links = try HDF5Handle(properties: strata_h5_link_create())
    try HDF5Library.check(
      H5Pset_char_encoding(links.id, H5T_CSET_UTF8), "no UTF-8", code: .notWritable)
    return links
  }
}

extension HDF5File {
  /// The decoded bytes of a chunk, about: small enough to be cached, large enough for deflate.
  private static let chunkSize = 1 << 20

  /// Writes a tensor a piece at a time.
  ///
  /// The lock is free while a piece is read, which may need it.
  /// - Returns: the CRC-32 of the decoded bytes.
  fileprivate func write(
    _ dataset: HDF5WritePlan.Dataset, deflates: Bool
  ) throws(CheckpointError) -> UInt32 {
    let dtype = try dataset.tensor.readableDType()
    let shape = dataset.tensor.shape
    try locked { state throws(CheckpointError) in
      try state.createDataset(dataset, dtype, chunk: deflates ? Self.chunk(shape, dtype) : nil)
    }
    var done = 0
    let checksum = try dataset.tensor.forEachPiece { piece throws(CheckpointError) in
      let count = piece.count / dtype.size
      try locked { state throws(CheckpointError) in
        try state.write(piece, elements: done..<(done + count), shape, dtype)
      }
      done += count
    }
    try locked { state throws(CheckpointError) in
      if let dataset = state.dataset.take() { try dataset.closeDataset() }
    }
    return checksum
  }

  /// The shape of a chunk: whole inner dimensions as far as they fit, so that a chunk is one run of
  /// elements; nil for scalars and empty tensors.
  private static func chunk(
    _ shape: Shape, _ dtype: DType
  ) -> [Int]? {
    guard shape.rank > 0, shape.elementCount > 0 else { return nil }
    var left = chunkSize / dtype.size
    var chunk: [Int] = []
    for size in shape.dimensions.reversed() {
      chunk.append(min(size, max(left, 1)))
      left /= size
    }
    return chunk.reversed()
  }
}

extension HDF5File.State {
  fileprivate mutating func createDataset(
    _ dataset: HDF5WritePlan.Dataset, _ dtype: DType, chunk: [Int]?
  ) throws(CheckpointError) {
    let shape = dataset.tensor.shape
    let creation = try HDF5Handle(properties: strata_h5_dataset_create())
    var access = try ChunkCache().makeAccess()
    var statuses = [H5Pset_obj_track_times(creation.id, false)]
    if let chunk {
      statuses += [
        unsafe H5Pset_chunk(creation.id, Int32(chunk.count), chunk.map(UInt64.init)),
        H5Pset_shuffle(creation.id), H5Pset_deflate(creation.id, 6),
        H5Pset_fletcher32(creation.id),
      ]
      access = try ChunkCache(shape, chunk: chunk, elementSize: dtype.size).makeAccess()
    } else {
      // Every element is written: zeros first would be the same work twice. (A chunk at the edge
      // has elements outside the shape, so there the zeros stay.)
      statuses.append(H5Pset_fill_time(creation.id, H5D_FILL_TIME_NEVER))
    }
    for status in statuses {
      try HDF5Library.check(status, "the dataset cannot be described", code: .notWritable)
    }
    let type = try dtype.makeHDF5Type()
    let space = try HDF5Handle(space: shape.dimensions)
    let links = try Self.linkCreation()
    let handle = try HDF5Handle(
      unsafe H5Dcreate2(
        id(), dataset.path.joined(separator: "/"), type.id, space.id, links.id, creation.id,
        access.id),
      "the dataset cannot be created", code: .notWritable)
    let integer = try DType.int64.makeHDF5Type()
    var order = ByteWriter()
    order.append(Int64(dataset.order))
    try handle.writeAttribute(HDF5Format.orderAttribute, integer, order.array)
    self.dataset = consume handle
  }

  fileprivate func write(
    _ piece: Bytes, elements: Range<Int>, _ shape: Shape, _ dtype: DType
  ) throws(CheckpointError) {
    let dataset = try openDataset()
    let type = try dtype.makeHDF5Type()
    let space = try HDF5Handle(H5Dget_space(dataset), "no shape", code: .notWritable)
    try unsafe piece.withUnsafeBytes { bytes throws(CheckpointError) in
      var done = 0
      for box in shape.boxes(of: elements) {
        let memory = try box.select(in: space)
        let status = unsafe H5Dwrite(
          dataset, type.id, memory.id, space.id, strata_h5_default(),
          bytes.baseAddress?.advanced(by: done))
        try HDF5Library.check(status, "the data cannot be written", code: .notWritable)
        done += box.count * dtype.size
      }
    }
  }
}
