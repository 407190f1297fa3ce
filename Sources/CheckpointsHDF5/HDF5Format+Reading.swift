import CHDF5
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
    do {
      let file = try HDF5File(reading: source)
      return try file.locked { state throws(CheckpointError) in
        var walk = try HDF5Walk(file, id: state.id(), source)
        return try walk.contents()
      }
    } catch {
      throw error.located(file: source.path)
    }
  }
}

/// The walk through a file, link by link, so that nothing is opened by a path which could lead
/// elsewhere.
private struct HDF5Walk {
  static let largestDepth = 32
  static let mostLinks = 1_000_000

  private struct Found {
    var tensor: StoredTensor
    var order: Int?
  }

  private let file: HDF5File
  private let id: hid_t
  private let source: ByteSource
  private var attributeReader: HDF5AttributeReader
  private var tensors: [Found] = []
  private var goldens: [Found] = []
  private var result = CheckpointContents()
  private var groups: Set<UInt64> = []
  /// Where contiguous data stand, by the address of their dataset.
  private var extents: [UInt64: (range: Range<Int>, name: String)] = [:]
  private var linkCount = 0

  init(_ file: HDF5File, id: hid_t, _ source: ByteSource) throws(CheckpointError) {
    self.file = file
    self.id = id
    self.source = source
    self.attributeReader = try HDF5AttributeReader(of: id, source)
  }

  mutating func contents() throws(CheckpointError) -> CheckpointContents {
    let root = try HDF5Handle(
      unsafe H5Gopen2(id, "/", strata_h5_default()), "the root group cannot be opened")
    let (_, address) = try Self.object(in: root, ".")
    groups.insert(address)
    try takeAttributes(of: root, named: "") { _ in false }
    try visit(root, path: [])
    try checkExtents()
    result.tensors = try Self.ordered(tensors)
    result.goldens = try Self.ordered(goldens)
    return result
  }

  // MARK: Links

  private mutating func visit(
    _ group: borrowing HDF5Handle, path: [String]
  ) throws(CheckpointError) {
    for link in try links(of: group, path) {
      let child = path + [link.name]
      do throws(CheckpointError) {
        try Self.check(link)
        let (type, address) = try Self.object(in: group, link.name)
        switch type {
        case H5O_TYPE_GROUP:
          try enter(link.name, of: group, address, path: child)
        case H5O_TYPE_DATASET:
          try take(link.name, of: group, address, path: child)
        default:
          throw CheckpointError(
            .typeNotAllowed,
            "a named datatype or an unknown kind of object, only groups and datasets are read; "
              + "leave it out of the file")
        }
      } catch {
        throw error.located(tensor: child.joined(separator: "."))
      }
    }
  }

  private mutating func enter(
    _ name: String, of group: borrowing HDF5Handle, _ address: UInt64, path: [String]
  ) throws(CheckpointError) {
    guard groups.insert(address).inserted else {
      throw CheckpointError(
        .groupCycle, "the group is reached by two paths; remove one of the hard links to it")
    }
    guard path.count <= Self.largestDepth else {
      throw CheckpointError(
        .nestingLimit, "groups nested more than \(Self.largestDepth) deep; write a flatter file")
    }
    let child = try HDF5Handle(
      unsafe H5Gopen2(group.id, name, strata_h5_default()), "the group cannot be opened")
    try takeAttributes(of: child, named: path.joined(separator: ".")) { _ in false }
    try visit(child, path: path)
  }

  private struct Link {
    var name: String
    var kind: H5L_type_t
  }

  private mutating func links(
    of group: borrowing HDF5Handle, _ path: [String]
  ) throws(CheckpointError) -> [Link] {
    struct List {
      var links: [(name: String?, kind: H5L_type_t)] = []
      var left: Int
    }
    var list = List(left: Self.mostLinks - linkCount)
    let status = unsafe withUnsafeMutablePointer(to: &list) { list in
      unsafe strata_h5_links(
        group.id,
        { name, kind, list in
          guard let name = unsafe name,
            let list = unsafe list?.assumingMemoryBound(to: List.self)
          else { return -1 }
          unsafe list.pointee.links.append((String(validatingCString: name), kind))
          unsafe list.pointee.left -= 1
          // A positive value ends the iteration.
          return unsafe list.pointee.left < 0 ? 1 : 0
        }, list)
    }
    let place = path.isEmpty ? nil : path.joined(separator: ".")
    guard status >= 0 else {
      throw HDF5Library.fault("the links of a group cannot be listed").located(tensor: place)
    }
    guard list.left >= 0 else {
      throw CheckpointError(
        .nestingLimit, tensor: place,
        "more than \(Self.mostLinks) links; split the file")
    }
    linkCount += list.links.count
    var links: [Link] = []
    for (name, kind) in list.links {
      // A slash would make libhdf5 follow a path, a dot would lead back to the group.
      guard let name, !name.isEmpty, name != ".", !name.contains("/") else {
        throw CheckpointError(
          .badName, tensor: place, "a link has a name that is empty, a dot, no UTF-8 or has a slash"
        )
      }
      links.append(Link(name: name, kind: kind))
    }
    return links.sorted { $0.name.precedesNaturally($1.name) }
  }

  private static func check(_ link: Link) throws(CheckpointError) {
    let advice = "put the dataset itself there, or leave the link out"
    switch link.kind {
    case H5L_TYPE_HARD: return
    case H5L_TYPE_SOFT:
      throw CheckpointError(.softLink, "a soft link, which is not followed; \(advice)")
    case H5L_TYPE_EXTERNAL:
      throw CheckpointError(
        .externalLink, "a link to another file, which is not followed; \(advice)")
    default:
      throw CheckpointError(
        .linkClass, "a link of class \(link.kind.rawValue), which no library defines; \(advice)")
    }
  }

  private static func object(
    in group: borrowing HDF5Handle, _ name: String
  ) throws(CheckpointError) -> (type: H5O_type_t, address: UInt64) {
    var type = H5O_TYPE_UNKNOWN
    var address: UInt64 = 0
    try HDF5Library.check(
      unsafe strata_h5_object(group.id, name, &type, &address), "the object cannot be read")
    return (type, address)
  }

  // MARK: Datasets

  private mutating func take(
    _ name: String, of group: borrowing HDF5Handle, _ address: UInt64, path: [String]
  ) throws(CheckpointError) {
    let handle = try HDF5Handle(
      unsafe H5Dopen2(group.id, name, strata_h5_default()), "the dataset cannot be opened")
    var dataset = try HDF5Dataset(handle, of: source)
    let stored = dataset.elementType
    if case .contiguous(let offset) = dataset.layout, dataset.storedByteCount > 0 {
      let range = offset..<(offset + dataset.storedByteCount)
      extents[address] = (range, path.joined(separator: "."))
    }
    var order: Int?
    try takeAttributes(of: handle, named: path.joined(separator: ".")) { attribute in
      if attribute.name == HDF5Format.orderAttribute, let integer = attribute.integer {
        order = integer
        return true
      }
      // Keras' bfloat16.
      if attribute.name == "dtype", attribute.text == "bfloat16", stored.dtype == .uint16 {
        dataset.elementType.dtype = .bfloat16
        return true
      }
      return false
    }
    let isGolden = path.count > 1 && path[0] == HDF5Format.goldenGroup
    let tensor = StoredTensor(
      name: path.dropFirst(isGolden ? 1 : 0).joined(separator: "."),
      dtype: dataset.elementType.dtype, shape: dataset.shape,
      storedByteCount: dataset.storedByteCount, encoding: dataset.encoding, file: source.path,
      contents: bytes(of: dataset, path: path))
    if isGolden {
      goldens.append(Found(tensor: tensor, order: order))
    } else {
      tensors.append(Found(tensor: tensor, order: order))
    }
  }

  /// No two datasets share bytes; one dataset with two names (tied weights) does not count.
  private func checkExtents() throws(CheckpointError) {
    let sorted = extents.values.sorted { $0.range.lowerBound < $1.range.lowerBound }
    for (before, after) in zip(sorted, sorted.dropFirst())
    where before.range.upperBound > after.range.lowerBound {
      throw CheckpointError(
        .extentOutOfFile, tensor: after.name, offset: after.range.lowerBound,
        "the data stand within those of \(before.name); the file is damaged")
    }
  }

  private func bytes(of dataset: HDF5Dataset, path: [String]) -> any TensorBytes {
    let size = dataset.elementType.dtype.size
    let isBigEndian = dataset.elementType.isBigEndian
    return switch dataset.layout {
    case .contiguous(let offset):
      ContiguousBytes(
        source: source, offset: offset, elementSize: size, isBigEndian: isBigEndian)
    case .library(let cache):
      LibraryBytes(
        file: file, path: "/" + path.joined(separator: "/"), shape: dataset.shape,
        elementSize: size, isBigEndian: isBigEndian, cache: cache)
    }
  }

  private static func ordered(_ found: [Found]) throws(CheckpointError) -> [StoredTensor] {
    var names: Set<String> = []
    for entry in found {
      guard names.insert(entry.tensor.name).inserted else {
        throw CheckpointError(
          .duplicateName, tensor: entry.tensor.name,
          "two datasets have this name once slashes are read as dots; rename one of them")
      }
    }
    // swift's sort is not promised to be stable: the name decides between equal places.
    let isOrdered = found.allSatisfy { $0.order != nil }
    return found.sorted { a, b in
      if isOrdered, let left = a.order, let right = b.order, left != right { return left < right }
      return a.tensor.name.precedesNaturally(b.tensor.name)
    }.map(\.tensor)
  }

  // MARK: Attributes

  /// Puts the attributes of an object into the result, but those that `consume` takes.
  private mutating func takeAttributes(
    of object: borrowing HDF5Handle, named name: String, consume: (HDF5Attribute) -> Bool
  ) throws(CheckpointError) {
    let place = name.isEmpty ? nil : name
    let found: (readable: [HDF5Attribute], ignored: [String])
    do {
      found = try attributeReader.attributes(of: object)
    } catch {
      throw error.located(tensor: place)
    }
    for attribute in found.ignored {
      result.ignored.append("attribute \(attribute) of \(place ?? "/")")
    }
    for attribute in found.readable where !consume(attribute) {
      switch (place, attribute.name) {
      case (nil, HDF5Format.modulesAttribute):
        result.moduleRecords = try CanonicalJSON.decode(
          [ModuleRecord].self, from: attribute.text, "attribute \(attribute.name)")
      case (nil, HDF5Format.modelAttribute):
        result.modelDescription = attribute.text
      default:
        let key = place.map { "\($0)@\(attribute.name)" } ?? attribute.name
        guard result.metadata.updateValue(attribute.text, forKey: key) == nil else {
          throw CheckpointError(
            .attributeInvalid, tensor: place,
            "two attributes are told as \(key); rename attribute \(attribute.name)")
        }
      }
    }
  }
}
