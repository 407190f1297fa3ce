import Checkpoints

/// What helper and parent say to each other, over a socket.
///
/// The helper begins with the directory, or a fault. Then the parent asks, and the helper answers each
/// request in turn with data or with a fault. Every answer is a kind, a length and so many bytes.
enum HDF5Exchange {
  /// The argument that makes a program a helper.
  static let argument = "__h5"

  /// The kinds of answers.
  enum Kind: UInt8 {
    case directory, data, fault
  }

  /// The bytes of a kind and a length.
  static let headerSize = 9

  /// The bytes before an answer.
  static func header(_ kind: Kind, count: Int) -> [UInt8] {
    var writer = ByteWriter()
    writer.append(kind.rawValue)
    writer.append(UInt64(count))
    return writer.array
  }

  /// Elements of the entry at a place in the directory.
  struct Request {
    static let size = 20
    /// The most bytes of data that one request asks for.
    static let mostBytes = 1 << 20

    var entry: Int
    var elements: Range<Int>

    init(entry: Int, elements: Range<Int>) {
      self.entry = entry
      self.elements = elements
    }

    init(decoding bytes: Bytes) throws(CheckpointError) {
      var reader = ByteReader(bytes)
      entry = try reader.length("an entry", as: UInt32.self)
      let start = try reader.length("the first element")
      let count = try reader.length("a number of elements")
      elements = start..<(start &+ min(count, Int.max - start))
    }

    var encoded: [UInt8] {
      var writer = ByteWriter()
      writer.append(UInt32(entry))
      writer.append(UInt64(elements.lowerBound))
      writer.append(UInt64(elements.count))
      return writer.array
    }
  }

  /// The seconds of processor time that an answer about a file of so many bytes may take: more than any
  /// honest file needs on a slow machine.
  static func seconds(forFileOf count: Int) -> Int { 5 + count >> 20 }

  /// The address space that a helper may have for a file of so many bytes.
  ///
  /// A chunk has at most 2 GiB, and is there twice while it is decoded.
  static func memory(forFileOf count: Int) -> Int {
    min(count, Int.max >> 3) * 4 + 4 << 30
  }
}
