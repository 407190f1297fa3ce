/// The header of a npy file: dtype, order and shape of an array.
///
/// It is text, a Python dict; only a literal is read, nothing is evaluated. Source: numpy's
/// `numpy/lib/format.py`.
struct NPYHeader {
  /// The element type as it is written, `<f4`.
  let descr: String
  /// Why the elements are refused whatever they are: Python objects.
  let holdsObjects: Bool
  let shape: Shape
  let isFortranOrder: Bool
  /// Where the data begin, counted from the header's first byte.
  let end: Int

  /// 0x93 and NUMPY.
  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  /// What numpy reads at most.
  static let largestLength = 10_000
  /// Data begin at a multiple of this.
  static let alignment = 64
  /// Magic, version, and the wider of the two kinds of length.
  private static let largestPrefix = 12

  /// Reads a header from the beginning of `bytes`, which are `count` and stand at `offset` in the file.
  /// - Throws: `badMagic`, `truncated`, `unsupportedVersion`, `headerLength`, `headerInvalid`,
  ///   `badInteger`, `nestingLimit`, `rankLimit`, `shapeOverflow`.
  init(_ bytes: any TensorBytes, count: Int, at offset: Int) throws(CheckpointError) {
    let prefix = try bytes.bytes(in: 0..<min(count, Self.largestPrefix))
    func fault(_ code: CheckpointError.Code, _ rule: String) -> CheckpointError {
      CheckpointError(code, offset: offset, rule)
    }
    guard prefix.array.starts(with: Self.magic.prefix(prefix.count)) else {
      throw fault(.badMagic, "no npy file: it does not begin with 0x93 NUMPY")
    }
    guard prefix.count > 7 else {
      throw fault(.truncated, "a npy file of \(count) bytes, its header takes more")
    }
    let version = (prefix.array[6], prefix.array[7])
    guard (1...3).contains(version.0), version.1 == 0 else {
      throw fault(
        .unsupportedVersion, "npy version \(version.0).\(version.1), known are 1.0, 2.0 and 3.0")
    }
    let start = version.0 == 1 ? 10 : 12
    guard prefix.count >= start else {
      throw fault(.truncated, "a npy file of \(count) bytes, its header takes more")
    }
    let length =
      version.0 == 1
      ? Int(prefix.integer(at: 8, as: UInt16.self)) : Int(prefix.integer(at: 8, as: UInt32.self))
    guard length <= Self.largestLength, length <= count - start else {
      throw fault(
        .headerLength,
        "a header of \(length) bytes with \(count - start) left; at most \(Self.largestLength) are "
          + "read")
    }
    end = start + length
    // From front to back, so that a checksum can be taken on the way.
    let rest = try bytes.bytes(in: prefix.count..<max(prefix.count, end))
    let text = Bytes(joining: [prefix, rest])[start..<end]
    let fields = try PythonLiteral(parsing: text, at: offset + start).fields(at: offset + start)
    guard case .bool(let isFortranOrder) = fields["fortran_order"] else {
      throw fault(.headerInvalid, "fortran_order is neither True nor False")
    }
    self.isFortranOrder = isFortranOrder
    shape = try Self.shape(fields["shape"], at: offset + start)
    (descr, holdsObjects) = try Self.descr(fields["descr"], at: offset + start)
  }

  private static func shape(
    _ literal: PythonLiteral?, at offset: Int
  ) throws(CheckpointError) -> Shape {
    guard case .tuple(let sizes) = literal else {
      throw CheckpointError(.headerInvalid, offset: offset, "shape is no tuple")
    }
    var dimensions: [Int] = []
    for size in sizes {
      if case .string = size {
        throw CheckpointError(.headerInvalid, offset: offset, "shape holds a string")
      }
      guard case .number(let digits) = size, let dimension = Int(digits), dimension >= 0 else {
        throw CheckpointError(
          .badInteger, offset: offset,
          "a dimension is \(size.text), not an integer from 0 to 2^63 - 1")
      }
      dimensions.append(dimension)
    }
    do {
      return try Shape(dimensions)
    } catch {
      throw error.located(offset: offset)
    }
  }

  /// The type as it is shown, and whether it holds Python objects.
  private static func descr(
    _ literal: PythonLiteral?, at offset: Int
  ) throws(CheckpointError) -> (String, Bool) {
    switch literal {
    case .string, .list, .tuple:
      let isObject = literal?.strings.contains {
        let kind = $0.drop { "<>|=".contains($0) }
        return kind.first == "O" && kind.dropFirst().allSatisfy(\.isNumber)
      }
      if case .string(let text) = literal { return (text, isObject == true) }
      return (literal?.text ?? "", isObject == true)
    default:
      throw CheckpointError(
        .headerInvalid, offset: offset, "descr is neither a string nor a list of fields")
    }
  }

  /// The bytes of a header, padded so that the data behind it are aligned.
  static func bytes(descr: String, shape: Shape) -> [UInt8] {
    // A tuple of one has a comma; numpy writes one behind the last field as well.
    let sizes = shape.dimensions.map(String.init).joined(separator: ", ")
    let tuple = shape.rank == 1 ? "(\(sizes),)" : "(\(sizes))"
    let text = "{'descr': '\(descr)', 'fortran_order': False, 'shape': \(tuple), }"
    // Room for numpy to let the first dimension grow in place, then space up to a line end.
    let growth = shape.rank == 0 ? 0 : max(0, 21 - String(shape[0]).count)
    let length = (10 + growth + text.utf8.count + 1).aligned(to: alignment) - 10
    var writer = ByteWriter()
    writer.append(contentsOf: magic)
    writer.append(UInt8(1))
    writer.append(UInt8(0))
    writer.append(UInt16(length))
    writer.append(contentsOf: text.utf8)
    writer.append(contentsOf: repeatElement(0x20, count: length - 1 - text.utf8.count))
    writer.append(UInt8(ascii: "\n"))
    return writer.array
  }
}
