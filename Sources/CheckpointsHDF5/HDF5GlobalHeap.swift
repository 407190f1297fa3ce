import CHDF5
import Checkpoints

/// The global heap of a file, where strings of variable length stand, read without libhdf5, which
/// believes the length that a file announces.
///
/// The layout is that of the HDF5 File Format Specification, III.E "Disk Format: Level 1E - Global
/// Heap": collections `GCOL` of objects with a number each.
struct HDF5GlobalHeap {
  private let source: ByteSource
  /// Where the addresses of the file are counted from.
  let base: Int
  private let offsetSize: Int
  private let lengthSize: Int

  private var address: Int?
  private var objects: [UInt64: Bytes] = [:]
  /// How many more bytes may be parsed and given.
  ///
  /// Damaged files let many strings share one place.
  private var budget: Int

  /// The heap of an open file.
  init(of file: hid_t, _ source: ByteSource) throws(CheckpointError) {
    let creation = try HDF5Handle(H5Fget_create_plist(file), "the superblock cannot be read")
    var userBlock: UInt64 = 0
    var (offsetSize, lengthSize) = (0, 0)
    try HDF5Library.check(
      unsafe H5Pget_userblock(creation.id, &userBlock), "the superblock cannot be read")
    try HDF5Library.check(
      unsafe H5Pget_sizes(creation.id, &offsetSize, &lengthSize), "the superblock cannot be read")
    guard userBlock <= UInt64(source.count), [2, 4, 8].contains(offsetSize),
      [2, 4, 8].contains(lengthSize)
    else { throw CheckpointError(.hdf5Invalid, "the superblock holds absurd sizes") }
    self.source = source
    self.base = Int(userBlock)
    self.offsetSize = offsetSize
    self.lengthSize = lengthSize
    self.budget = Self.budget(forFileOf: source.count)
  }

  /// How much text a file of so many bytes may give: far more than an honest one can.
  static func budget(forFileOf count: Int) -> Int {
    64 * (min(count, Int.max >> 8) + (1 << 18))
  }

  /// The bytes of the shortest head that a file with such addresses has.
  var smallestHead: Int { 16 + 4 * offsetSize }

  /// The bytes that a string of variable length takes in an attribute: length, address, number.
  var referenceSize: Int { 4 + offsetSize + 4 }

  /// The string behind such bytes.
  /// - Throws: `attributeInvalid`.
  mutating func string(at reference: Bytes) throws(CheckpointError) -> String {
    let length = reference.number(at: 0, size: 4)
    let address = reference.number(at: 4, size: offsetSize)
    let number = reference.number(at: 4 + offsetSize, size: 4)
    guard length > 0, address > 0 else { return "" }
    guard let place = Int(exactly: address), place <= source.count - base else {
      throw Self.invalid("stands at \(address), behind the end of the file")
    }
    if self.address != place { try readCollection(at: place) }
    guard let object = objects[number] else {
      throw Self.invalid("is number \(number) of the heap at \(address), where it is not")
    }
    guard length <= UInt64(object.count) else {
      throw Self.invalid("announces \(length) bytes, the heap holds \(object.count)")
    }
    try spend(Int(length))
    // C writers count the NUL at the end, h5py does not.
    let bytes = object[0..<Int(length)].array.prefix { $0 != 0 }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw Self.invalid("is not UTF-8")
    }
    return text
  }

  private mutating func readCollection(at place: Int) throws(CheckpointError) {
    let header = (8 + lengthSize).aligned(to: 8)
    let start = base + place
    guard header <= source.count - start else { throw Self.invalid("stands behind the file's end") }
    let head = try source.bytes(in: start..<(start + header))
    let size = head.number(at: 8, size: lengthSize)
    guard head[0..<5].array == Array("GCOL".utf8) + [1], size >= UInt64(header),
      size <= UInt64(source.count - start)
    else { throw Self.invalid("stands in a heap that is none") }
    try spend(Int(size))

    let bytes = try source.bytes(in: start..<(start + Int(size)))
    let objectHeader = (8 + lengthSize).aligned(to: 8)
    objects = [:]
    address = place
    var position = header
    while objectHeader <= bytes.count - position {
      let number = bytes.number(at: position, size: 2)
      // Number 0 is the free space at the end.
      guard number > 0 else { break }
      let length = bytes.number(at: position + 8, size: lengthSize)
      position += objectHeader
      guard length <= UInt64(bytes.count - position) else { break }
      objects[number] = bytes[position..<(position + Int(length))]
      position += min(Int(length).aligned(to: 8), bytes.count - position)
    }
  }

  private mutating func spend(_ count: Int) throws(CheckpointError) {
    budget -= count
    guard budget >= 0 else {
      throw Self.invalid("and others give more text than the file can hold")
    }
  }

  private static func invalid(_ what: String) -> CheckpointError {
    CheckpointError(.attributeInvalid, "a string \(what); the file is damaged")
  }
}

extension Bytes {
  /// The little-endian number of `size` bytes at `offset`.
  fileprivate func number(at offset: Int, size: Int) -> UInt64 {
    self[offset..<(offset + size)].array.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}
