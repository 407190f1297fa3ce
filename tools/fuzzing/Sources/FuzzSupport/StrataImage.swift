/// A file of ours taken apart far enough to put it together again with lengths and checksums that are
/// right, whatever a mutation did to the rest.
///
/// Offsets as in the specification of the format.
public struct StrataImage {
  private struct Section {
    var kind: UInt32
    var flags: UInt32
    var payload: [UInt8]
  }

  private static let headerSize = 64
  private static let partsKind: UInt32 = 1
  private static let largestData = 1 << 16

  private var header: [UInt8]
  private var sections: [Section] = []
  private var data: [UInt8]
  /// Where the data stood.
  private let dataStart: Int

  /// Takes a file apart; nil when it is too far from one.
  private init?(_ file: [UInt8]) {
    guard file.count >= Self.headerSize else { return nil }
    header = Array(file[..<Self.headerSize])
    let length = header.integer(at: 40, as: UInt64.self)
    guard length <= file.count - Self.headerSize else { return nil }
    dataStart = Self.headerSize + Int(length)
    data = Array(file[dataStart...])
    let directory = Array(file[Self.headerSize..<dataStart])
    var offset = 0
    for _ in 0..<min(header.integer(at: 28, as: UInt32.self), 64) {
      let size = directory.integer(at: offset + 8, as: UInt64.self)
      guard offset + 16 <= directory.count, size <= directory.count - offset - 16 else { break }
      let payload = directory[(offset + 16)..<(offset + 16 + Int(size))]
      sections.append(
        Section(
          kind: directory.integer(at: offset, as: UInt32.self),
          flags: directory.integer(at: offset + 4, as: UInt32.self), payload: Array(payload)))
      offset += (16 + Int(size)).aligned(to: 8)
    }
    guard !sections.isEmpty else { return nil }
  }

  /// A file changed in one place, and most of the time made whole again.
  public static func mutated(_ file: [UInt8], largest: Int, using dice: inout Dice) -> [UInt8] {
    guard dice.roll(16) > 0, var image = StrataImage(file) else {
      return file.mutated(largest: largest)
    }
    let room = max(0, largest - file.count)
    switch dice.roll(16) {
    case 0:
      let header = image.header.mutated(largest: headerSize)
      image.header = header + image.header[header.count...]
    case 1: image.data = image.data.mutated(largest: image.data.count + room)
    case 2: image.changeSections(using: &dice)
    default:
      // The number of a section is that of what can go wrong in it, more or less.
      let index = dice.roll(image.sections.count)
      let payload = image.sections[index].payload
      image.sections[index].payload = payload.mutated(largest: payload.count + room)
    }
    return image.bytes(layingOut: dice.roll(4) > 0)
  }

  private mutating func changeSections(using dice: inout Dice) {
    let index = dice.roll(sections.count)
    switch dice.roll(4) {
    case 0: sections.remove(at: index)
    case 1: sections.insert(sections[index], at: index)
    case 2: sections[index].kind = UInt32(dice.roll(8))
    default: sections[index].flags ^= 1 << UInt32(dice.roll(3))
    }
  }

  /// The file.
  ///
  /// With `layingOut` the parts follow each other as they must, whatever their table says.
  private mutating func bytes(layingOut: Bool) -> [UInt8] {
    let end = sections.reduce(0) { $0 + 16 + $1.payload.count.aligned(to: 8) }
    let start = Self.headerSize + end.aligned(to: 64)
    if let table = sections.firstIndex(where: { $0.kind == Self.partsKind }) {
      sealParts(table, from: start, layingOut: layingOut)
    }
    var directory: [UInt8] = []
    for section in sections {
      directory.append(section.kind)
      directory.append(section.flags)
      directory.append(UInt64(section.payload.count))
      directory += section.payload
      directory.pad(to: 8)
    }
    directory.pad(to: 64)
    header.put(UInt32(sections.count), at: 28)
    header.put(UInt64(Self.headerSize + directory.count + data.count), at: 32)
    header.put(UInt64(directory.count), at: 40)
    header.put(directory.checksum, at: 48)
    header.put(header[..<60].checksum, at: 60)
    return header + directory + data
  }

  /// The places in the table of parts: where each part and its chunks are told.
  private func places(in table: [UInt8]) -> [(part: Int, chunks: [Int])] {
    var places: [(part: Int, chunks: [Int])] = []
    var offset = 8
    while places.count < table.integer(at: 0, as: UInt32.self), offset + 24 <= table.count {
      let count = Int(table.integer(at: offset + 16, as: UInt32.self))
      guard count <= (table.count - offset - 24) / 8 else { break }
      places.append((offset, (0..<count).map { offset + 24 + $0 * 8 }))
      offset += 24 + count * 8
    }
    return places
  }

  /// Moves the parts by as much as the directory has grown, or lays them out anew, and puts the checksums
  /// of their chunks right.
  private mutating func sealParts(_ section: Int, from start: Int, layingOut: Bool) {
    var table = sections[section].payload
    let places = places(in: table)
    var next = start
    for place in places {
      let length = place.chunks.reduce(0) { $0 + Int(table.integer(at: $1, as: UInt32.self)) }
      if layingOut {
        table.put(UInt64(next), at: place.part)
        table.put(UInt64(length), at: place.part + 8)
        next = (next + length).aligned(to: 64)
      } else {
        let old = table.integer(at: place.part, as: UInt64.self)
        table.put(old &+ UInt64(start) &- UInt64(dataStart), at: place.part)
      }
    }
    // Data of another length would be refused for that alone.
    if layingOut, next - start <= Self.largestData {
      data = Array(data.prefix(next - start))
      data += repeatElement(0, count: next - start - data.count)
    }
    for place in places {
      let offset = Int(truncatingIfNeeded: table.integer(at: place.part, as: UInt64.self))
      sealChunks(place.chunks, in: &table, from: offset &- start)
    }
    sections[section].payload = table
  }

  /// Writes the checksums of chunks that stand one behind the other from a place in the data on; the last
  /// one's takes the padding in.
  private func sealChunks(_ chunks: [Int], in parts: inout [UInt8], from place: Int) {
    guard (0...data.count).contains(place) else { return }
    var start = place
    for (index, chunk) in chunks.enumerated() {
      var end = start + Int(parts.integer(at: chunk, as: UInt32.self))
      if index == chunks.count - 1 { end = end.aligned(to: 64) }
      guard end <= data.count else { return }
      parts.put(data[start..<end].checksum, at: chunk + 4)
      start = end
    }
  }
}

extension Int {
  /// The next multiple.
  fileprivate func aligned(to multiple: Int) -> Int {
    (self &+ multiple &- 1) / multiple * multiple
  }
}

extension [UInt8] {
  /// Appends zeros up to the next multiple.
  fileprivate mutating func pad(to multiple: Int) {
    self += repeatElement(0, count: count.aligned(to: multiple) - count)
  }
}
