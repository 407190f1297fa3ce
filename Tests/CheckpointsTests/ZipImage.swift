@testable import Checkpoints

/// A zip archive put together from APPNOTE.TXT, without the writer's code, so that every field can be
/// made wrong.
struct ZipImage: Sendable {
  var entries: [Entry] = []
  /// Before the first entry; the places in the directory count it.
  var prefix: [UInt8] = []
  /// Between the last entry and the directory.
  var gap: [UInt8] = []
  /// Between the directory and what ends the archive.
  var directoryTail: [UInt8] = []
  var comment: [UInt8] = []
  var commentLength: UInt16?
  var suffix: [UInt8] = []
  /// Announced instead of the true ones.
  var count: UInt16?
  var size: UInt32?
  var start: UInt32?
  /// The ZIP64 end record and its locator.
  var wide: Wide?

  struct Wide: Sendable {
    var recordSize: UInt64 = 44
    var count: UInt64?
    var size: UInt64?
    var start: UInt64?
    /// Of the record, in the locator.
    var place: UInt64?
  }

  /// What a header or a directory record tells.
  struct Facts: Sendable {
    var name: [UInt8]
    var flags: UInt16 = 0
    var method: UInt16 = 0
    var checksum: UInt32
    var storedCount: UInt32
    var count: UInt32
    var extra: [UInt8] = []
  }

  struct Entry: Sendable {
    /// What stands in the archive.
    var data: [UInt8]
    var local: Facts
    var central: Facts
    var descriptor: [UInt8] = []
    /// Before the local header.
    var gap: [UInt8] = []
    var attributes: UInt32 = 0
    /// Instead of the true one.
    var place: UInt32?

    /// A stored entry.
    init(_ name: String, _ data: [UInt8]) {
      self.data = data
      local = Facts(
        name: Array(name.utf8), checksum: CRC32(Bytes(data)).value,
        storedCount: UInt32(data.count), count: UInt32(data.count))
      central = local
    }

    /// A deflated entry of what `data` give.
    init(_ name: String, deflated data: [UInt8], of content: [UInt8]) {
      self.init(name, data)
      change {
        $0.method = 8
        $0.count = UInt32(content.count)
        $0.checksum = CRC32(Bytes(content)).value
      }
    }

    /// The same entry with `change` made in header and directory.
    mutating func change(_ change: (inout Facts) -> Void) {
      change(&local)
      change(&central)
    }

    /// Sizes and checksum behind the data, as who writes into a pipe does.
    mutating func describe(signature: Bool = true, wide: Bool = false) {
      change { $0.flags |= 8 }
      (local.checksum, local.storedCount, local.count) = (0, 0, 0)
      descriptor = signature ? StrataImage.little(UInt32(0x0807_4B50)) : []
      descriptor += StrataImage.little(central.checksum)
      for size in [central.storedCount, central.count] {
        descriptor += wide ? StrataImage.little(UInt64(size)) : StrataImage.little(size)
      }
    }
  }

  /// A ZIP64 extra field.
  static func wideField(_ numbers: UInt64...) -> [UInt8] {
    field(1, numbers.flatMap { StrataImage.little($0) })
  }

  /// An extra field.
  static func field(_ kind: UInt16, _ content: [UInt8]) -> [UInt8] {
    StrataImage.little(kind) + StrataImage.little(UInt16(content.count)) + content
  }

  /// The whole archive.
  func bytes() -> [UInt8] {
    var bytes = prefix
    var directory: [UInt8] = []
    for entry in entries {
      bytes += entry.gap
      let place = UInt32(bytes.count)
      bytes += StrataImage.little(UInt32(0x0403_4B50)) + StrataImage.little(UInt16(20))
      bytes += Self.common(entry.local) + entry.local.name + entry.local.extra
      bytes += entry.data + entry.descriptor
      directory += StrataImage.little(UInt32(0x0201_4B50)) + StrataImage.little(UInt32(20))
      directory += Self.common(entry.central) + [UInt8](repeating: 0, count: 6)
      directory += StrataImage.little(entry.attributes)
      directory += StrataImage.little(entry.place ?? place)
      directory += entry.central.name + entry.central.extra
    }
    bytes += gap
    let directoryStart = bytes.count
    bytes += directory + directoryTail
    let trueSize = directory.count
    if let wide {
      let place = UInt64(bytes.count)
      bytes += StrataImage.little(UInt32(0x0606_4B50)) + StrataImage.little(wide.recordSize)
      bytes += StrataImage.little(UInt32(45)) + [UInt8](repeating: 0, count: 8)
      let count = wide.count ?? UInt64(entries.count)
      bytes += StrataImage.little(count) + StrataImage.little(count)
      bytes += StrataImage.little(wide.size ?? UInt64(trueSize))
      bytes += StrataImage.little(wide.start ?? UInt64(directoryStart))
      bytes += StrataImage.little(UInt32(0x0706_4B50)) + StrataImage.little(UInt32(0))
      bytes += StrataImage.little(wide.place ?? place) + StrataImage.little(UInt32(1))
    }
    let count = count ?? UInt16(entries.count)
    bytes += StrataImage.little(UInt32(0x0605_4B50)) + StrataImage.little(UInt32(0))
    bytes += StrataImage.little(count) + StrataImage.little(count)
    bytes += StrataImage.little(size ?? UInt32(trueSize))
    bytes += StrataImage.little(start ?? UInt32(directoryStart))
    bytes += StrataImage.little(commentLength ?? UInt16(comment.count)) + comment
    return bytes + suffix
  }

  private static func common(_ facts: Facts) -> [UInt8] {
    StrataImage.little(facts.flags) + StrataImage.little(facts.method)
      + StrataImage.little(UInt32(0x0021_0000)) + StrataImage.little(facts.checksum)
      + StrataImage.little(facts.storedCount) + StrataImage.little(facts.count)
      + StrataImage.little(UInt16(facts.name.count)) + StrataImage.little(UInt16(facts.extra.count))
  }

  /// Two stored entries.
  static let small = ZipImage(entries: [
    Entry("a/one", Array("first content".utf8)), Entry("a/two", [1, 2, 3, 4, 5]),
  ])

  /// The small archive with something changed.
  static func small(_ change: (inout ZipImage) -> Void) -> [UInt8] {
    var image = small
    change(&image)
    return image.bytes()
  }
}
