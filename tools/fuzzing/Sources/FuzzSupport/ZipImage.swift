/// A zip archive taken apart far enough to put it together again with sizes, offsets and checksums that
/// are right, whatever a mutation did to an entry.
public struct ZipImage {
  fileprivate struct Entry {
    var name: [UInt8]
    var content: [UInt8]
    /// 0 for stored.
    var method: UInt16 = 0
    /// Decoded bytes, where the content is compressed.
    var count: UInt32 = 0
    var checksum: UInt32 = 0

    /// What an entry tells twice, between the versions and the name.
    var facts: [UInt8] {
      var bytes: [UInt8] = []
      bytes.append(UInt16(0))  // flags
      bytes.append(method)
      bytes.append(UInt32(0x0021_0000))  // 1 January 1980
      bytes.append(method == 0 ? content.checksum : checksum)
      bytes.append(UInt32(content.count))
      bytes.append(method == 0 ? UInt32(content.count) : count)
      bytes.append(UInt16(truncatingIfNeeded: name.count))
      bytes.append(UInt16(0))  // extra fields
      return bytes
    }
  }

  private enum Signature {
    static let localHeader: UInt32 = 0x0403_4B50
    static let directoryRecord: UInt32 = 0x0201_4B50
    static let endRecord: UInt32 = 0x0605_4B50
  }

  private var entries: [Entry] = []

  /// An archive of `torch.save` around a pickle, with storages of 8, 16, 32 and 64 bytes called 0 to 3.
  public init(pickle: [UInt8]) {
    entries.append(Entry(name: Array("a/data.pkl".utf8), content: pickle))
    for (key, size) in [8, 16, 32, 64].enumerated() {
      let content = (0..<UInt8(size)).map { $0 }
      entries.append(Entry(name: Array("a/data/\(key)".utf8), content: content))
    }
  }

  /// Takes an archive apart by its directory; nil when it is too far from one.
  private init?(_ file: [UInt8]) {
    let end = file.count - 22
    guard end >= 0, file.integer(at: end, as: UInt32.self) == Signature.endRecord else {
      return nil
    }
    var offset = Int(file.integer(at: end + 16, as: UInt32.self))
    while file.integer(at: offset, as: UInt32.self) == Signature.directoryRecord {
      func number(_ place: Int) -> Int { Int(file.integer(at: offset + place, as: UInt16.self)) }
      let header = Int(file.integer(at: offset + 42, as: UInt32.self))
      let name = (offset + 46)..<(offset + 46 + number(28))
      let start =
        header + 30 + Int(file.integer(at: header + 26, as: UInt16.self))
        + Int(file.integer(at: header + 28, as: UInt16.self))
      let size = Int(file.integer(at: offset + 20, as: UInt32.self))
      guard name.upperBound <= file.count, start + size <= file.count else { return nil }
      entries.append(
        Entry(
          name: Array(file[name]), content: Array(file[start..<(start + size)]),
          method: file.integer(at: offset + 10, as: UInt16.self),
          count: file.integer(at: offset + 24, as: UInt32.self),
          checksum: file.integer(at: offset + 16, as: UInt32.self)))
      offset = name.upperBound + number(30) + number(32)
    }
    guard !entries.isEmpty else { return nil }
  }

  /// The archive.
  public var bytes: [UInt8] {
    var bytes: [UInt8] = []
    var directory: [UInt8] = []
    for entry in entries {
      let facts = entry.facts
      directory.append(Signature.directoryRecord)
      directory.append(UInt16(20))  // the version that made it
      directory.append(UInt16(20))  // the version that reads it
      directory += facts
      // Comment, disk, attributes.
      directory += repeatElement(0, count: 10)
      directory.append(UInt32(bytes.count))
      directory += entry.name
      bytes.append(Signature.localHeader)
      bytes.append(UInt16(20))
      bytes += facts
      bytes += entry.name
      bytes += entry.content
    }
    let start = bytes.count
    bytes += directory
    bytes.append(Signature.endRecord)
    bytes.append(UInt32(0))  // disks
    bytes.append(UInt16(entries.count))
    bytes.append(UInt16(entries.count))
    bytes.append(UInt32(directory.count))
    bytes.append(UInt32(start))
    bytes.append(UInt16(0))  // comment
    return bytes
  }

  /// An archive changed in one place, and most of the time made whole again.
  public static func mutated(_ file: [UInt8], largest: Int, using dice: inout Dice) -> [UInt8] {
    // Everything that putting together simplifies has to be met as well.
    guard dice.roll(8) > 0, var image = ZipImage(file) else {
      return file.mutated(largest: largest)
    }
    image.change(room: max(0, largest - file.count), using: &dice)
    return image.bytes
  }

  private mutating func change(room: Int, using dice: inout Dice) {
    var index = dice.roll(entries.count)
    switch dice.roll(16) {
    case 0: if entries.count > 1 { entries.remove(at: index) }
    case 1: entries.swapAt(index, dice.roll(entries.count))
    case 2: entries[index].name = entries[index].name.mutated(largest: 64)
    case 3: entries[index].count ^= 1 << UInt32(dice.roll(12))
    case 4:
      var copy = entries[index]
      copy.name = copy.name.mutated(largest: 64)
      entries.insert(copy, at: dice.roll(entries.count))
    case 5...7: entries[index].mutate(room: room)
    default:
      // Half of all: what tells of the other entries rather than bytes of tensors, the shortest ones, a
      // byte order for example, less often.
      let telling = entries.indices.filter { entries[$0].isTelling }
      func weight(_ entry: Int) -> Int { min(entries[entry].content.count, 256) }
      var place = dice.roll(telling.reduce(1) { $0 + weight($1) })
      for other in telling {
        index = other
        place -= weight(other)
        if place < 0 { break }
      }
      entries[index].mutate(room: room)
    }
  }
}

extension ZipImage.Entry {
  /// A pickle, JSON, or code.
  fileprivate var isTelling: Bool {
    [".pkl", ".json", ".py", ".npy"].contains { name.suffix($0.utf8.count).elementsEqual($0.utf8) }
      || name.suffix(9).elementsEqual("byteorder".utf8)
  }

  fileprivate mutating func mutate(room: Int) {
    content = content.mutated(largest: content.count + room)
    // What a mutated stream gives is not known: 0 stands for no checksum.
    if method != 0 { checksum = 0 }
  }
}
