/// Strata's own checkpoint format.
///
/// The page `Checkpoints.docc/StrataFormat.md` specifies it to the byte.
public struct StrataFormat: CheckpointFormat {
  /// Makes the format.
  public init() {}

  /// `strata`.
  public var name: String { "strata" }

  /// `strata`.
  public var fileExtensions: [String] { ["strata"] }

  /// Whether the file begins with the magic, also a magic damaged by a text-mode transfer: opening
  /// then says so.
  public func recognizes(_ source: ByteSource) throws(CheckpointError) -> Bool {
    let start = try source.prefix(Magic.bytes.count).array
    guard !start.isEmpty else { return false }
    if Magic.bytes.starts(with: start) { return true }
    // The letters alone: the first byte has lost its high bit, or the line ends were converted.
    return start.count > 7 && Array(start[1..<7]) == Array(Magic.bytes[1..<7])
  }

  /// Tensors can be deflated, each by itself.
  public var canCompress: Bool { true }

  /// The format holds everything.
  public func dropped(from contents: CheckpointContents) -> [String] { [] }

  // The constants of the specification, in its order.

  enum Magic {
    /// 0x89, STRATA, carriage return, line feed, end of file, line feed, 0.
    static let bytes: [UInt8] = [0x89] + Array("STRATA".utf8) + [0x0D, 0x0A, 0x1A, 0x0A, 0x00]
  }

  static let byteOrderMark: UInt16 = 0x1234
  static let majorVersion: UInt16 = 1
  static let minorVersion: UInt16 = 0
  static let headerSize = 64
  static let alignment = 64
  /// Decoded bytes of one chunk: what is checked, and decompressed, at a time.
  static let chunkSize = TensorPiece.blockSize
  static let largestName = 1024

  enum SectionKind: UInt32 {
    case parts = 1
    case stateDict = 2
    case goldens = 3
    case modelDescription = 4
    case moduleRecords = 5
    case metadata = 6
  }

  /// A reader that does not know the section's kind must refuse the file.
  static let sectionIsRequired: UInt32 = 1

  enum Encoding: UInt16 {
    case raw = 0
    case shuffledDeflate = 1

    var name: String {
      switch self {
      case .raw: "raw"
      case .shuffledDeflate: WriteOptions.Compression.deflate.rawValue
      }
    }
  }

  static let rowMajorLayout: UInt16 = 0
  static let dataRole: UInt16 = 0

  static let dtypeCodes: [(code: UInt16, dtype: DType)] = [
    (1, .float64), (2, .float32), (3, .float16), (4, .bfloat16),
    (5, .int64), (6, .int32), (7, .int16), (8, .int8),
    (9, .uint64), (10, .uint32), (11, .uint16), (12, .uint8), (13, .bool),
  ]
}
