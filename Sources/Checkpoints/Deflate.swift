internal import CZlib

/// Byte shuffling and zlib streams (RFC 1950).
package enum Deflate {
  /// No deflate stream gives more than this many bytes for each of its own, and a constant.
  package static let largestExpansion = 1032
  /// What a stream of a few bytes may give beyond the factor.
  package static let expansionAllowance = 64

  /// Groups the bytes of all elements by their place in the element: all first bytes, then all
  /// second bytes, and so on.
  ///
  /// Floats of similar size so give long runs of similar bytes.
  package static func shuffled(_ bytes: Bytes, elementSize: Int) -> Bytes {
    transposed(bytes, rows: bytes.count / elementSize, columns: elementSize)
  }

  /// Undoes `shuffled`.
  package static func unshuffled(_ bytes: Bytes, elementSize: Int) -> Bytes {
    transposed(bytes, rows: elementSize, columns: bytes.count / elementSize)
  }

  private static func transposed(_ bytes: Bytes, rows: Int, columns: Int) -> Bytes {
    guard rows > 1, columns > 1 else { return bytes }
    return unsafe Bytes(count: bytes.count) { output in
      unsafe bytes.withUnsafeBytes { input in
        for column in 0..<columns {
          for row in 0..<rows {
            unsafe output[column * rows + row] = unsafe input[row * columns + column]
          }
        }
      }
    }
  }

  /// A zlib stream of the bytes, at zlib's default level.
  /// - Throws: `notWritable` when zlib finds no memory.
  package static func compressed(_ bytes: Bytes) throws(CheckpointError) -> Bytes {
    var length = compressBound(uLong(bytes.count))
    var status = Z_OK
    let buffer = unsafe Bytes(count: Int(length)) { output in
      unsafe bytes.withUnsafeBytes { input in
        status = unsafe compress2(
          output.bindMemory(to: UInt8.self).baseAddress, &length,
          input.bindMemory(to: UInt8.self).baseAddress, uLong(input.count), Z_DEFAULT_COMPRESSION)
      }
    }
    guard status == Z_OK else {
      throw CheckpointError(.notWritable, "zlib cannot compress: status \(status)")
    }
    return buffer[0..<Int(length)]
  }

  /// The `count` bytes that a zlib stream holds.
  /// - Throws: `decompressMismatch` when it holds fewer or more, is damaged, or ends early or late.
  package static func decompressed(_ bytes: Bytes, count: Int) throws(CheckpointError) -> Bytes {
    var length = uLong(count)
    var consumed = uLong(bytes.count)
    var status = Z_OK
    let result = unsafe Bytes(count: count) { output in
      unsafe bytes.withUnsafeBytes { input in
        status = unsafe uncompress2(
          output.bindMemory(to: UInt8.self).baseAddress, &length,
          input.bindMemory(to: UInt8.self).baseAddress, &consumed)
      }
    }
    guard status == Z_OK, length == count, consumed == bytes.count else {
      throw CheckpointError(
        .decompressMismatch,
        "a zlib stream of \(bytes.count) bytes does not give the \(count) bytes announced")
    }
    return result
  }
}
