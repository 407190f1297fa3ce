import CHDF5
import Checkpoints

/// Where libhdf5 finds a dataset, and how it is cut into chunks.
struct HDF5Place: Sendable {
  /// The path, `/lstm/weight_ih_l0`.
  var path: String
  var chunks: HDF5Chunks?
}

extension HDF5File {
  /// Walks through the whole file: what it holds, and where each entry of that is.
  func walk(
    _ source: ByteSource
  ) throws(CheckpointError) -> (directory: HDF5Directory, places: [HDF5Place]) {
    try locked { state throws(CheckpointError) in
      var walk = try HDF5Walk(state.id(), source)
      return try walk.contents()
    }
  }
}

/// The walk through a file, link by link, so that nothing is opened by a path which could lead
/// elsewhere.
private struct HDF5Walk {
  static let largestDepth = 32
  static let mostLinks = 1_000_000
  /// The longest name of a tensor, as in `.strata` files.
  static let longestName = 1024

  private struct Found {
    var entry: HDF5Directory.Entry
    var place: HDF5Place
    var order: Int?
  }

  private let id: hid_t
  private let source: ByteSource
  private var attributeReader: HDF5AttributeReader
  private var found: [Found] = []
  private var result = HDF5Directory()
  private var keras = KerasAttributes()
  private var groups: Set<UInt64> = []
  private var extents: HDF5Extents
  private var linkCount = 0

  init(_ id: hid_t, _ source: ByteSource) throws(CheckpointError) {
    self.id = id
    self.source = source
    self.attributeReader = try HDF5AttributeReader(of: id, source)
    self.extents = HDF5Extents(
      base: attributeReader.heap.base, headSize: attributeReader.heap.smallestHead,
      fileSize: source.count)
  }

  mutating func contents() throws(CheckpointError) -> (HDF5Directory, [HDF5Place]) {
    let root = try HDF5Handle(
      unsafe H5Gopen2(id, "/", strata_h5_default()), "the root group cannot be opened")
    let (_, address) = try Self.object(in: root, ".")
    groups.insert(address)
    extents.addHeader(at: address, named: "/")
    try takeAttributes(of: root, path: [])
    try visit(root, path: [])
    try extents.check()
    try keras.check()
    let ordered =
      Self.ordered(found.filter { !$0.entry.isGolden })
      + Self.ordered(found.filter { $0.entry.isGolden })
    result.entries = ordered.map(\.entry)
    return (result, ordered.map(\.place))
  }

  // MARK: Links

  private mutating func visit(
    _ group: borrowing HDF5Handle, path: [String]
  ) throws(CheckpointError) {
    for link in try links(of: group, path) {
      let child = path + [link.name]
      do throws(CheckpointError) {
        try Self.check(link)
        guard child.reduce(child.count - 1, { $0 + $1.utf8.count }) <= Self.longestName else {
          throw CheckpointError(
            .badName, "the name has more than \(Self.longestName) bytes; shorten it")
        }
        let (type, address) = try Self.object(in: group, link.name)
        extents.addHeader(at: address, named: child.joined(separator: "."))
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
    keras.groups.insert(path)
    try takeAttributes(of: child, path: path)
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
    try extents.add(dataset, at: address, named: path.joined(separator: "."))
    keras.datasets.insert(path)
    let stored = dataset.elementType
    var order: Int?
    try takeAttributes(of: handle, path: path) { attribute in
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
    found.append(
      Found(
        entry: HDF5Directory.Entry(
          name: path.dropFirst(isGolden ? 1 : 0).joined(separator: "."), isGolden: isGolden,
          elementType: dataset.elementType, shape: dataset.shape,
          storedByteCount: dataset.storedByteCount, encoding: dataset.encoding,
          offset: dataset.offset),
        place: HDF5Place(path: "/" + path.joined(separator: "/"), chunks: dataset.chunks),
        order: order))
  }

  private static func ordered(_ found: [Found]) -> [Found] {
    // swift's sort is not promised to be stable: the name decides between equal places.
    let isOrdered = found.allSatisfy { $0.order != nil }
    return found.sorted { a, b in
      if isOrdered, let left = a.order, let right = b.order, left != right { return left < right }
      return a.entry.name.precedesNaturally(b.entry.name)
    }
  }

  // MARK: Attributes

  /// Puts the attributes of an object into the result, but those that `consume` takes.
  private mutating func takeAttributes(
    of object: borrowing HDF5Handle, path: [String],
    consume: (HDF5Attribute) -> Bool = { _ in false }
  ) throws(CheckpointError) {
    let place = path.isEmpty ? nil : path.joined(separator: ".")
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
      try keras.take(attribute, of: path)
      switch (place, attribute.name) {
      case (nil, HDF5Format.modulesAttribute):
        result.moduleRecords = attribute.text
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
