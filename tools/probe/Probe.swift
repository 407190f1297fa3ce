import Checkpoints
import CheckpointsHDF5
import Foundation

/// Reads files that other programs hand over, one after the other, and says what is in them: for the
/// sweeps and comparisons of `tools/trust.d`, which try many thousands.
///
/// A file comes on standard input as the number of its bytes, four bytes little-endian, and its bytes.
/// The answer is framed alike. It is text: a line for each tensor with its name, dtype, shape, and data in
/// hexadecimal digits of its bytes; or an exclamation mark, the code of the fault, a tab, and the reason.
@main
enum Probe {
  static func main() {
    let formats: [any CheckpointFormat] = .builtIn + [HDF5Format()]
    while let length = read(4) {
      let count = length.reversed().reduce(0) { $0 << 8 | Int($1) }
      guard let bytes = read(count) else { return }
      let answer = Array(answer(bytes, formats).utf8)
      let size = UInt32(answer.count)
      write((0..<4).map { UInt8(truncatingIfNeeded: size >> ($0 * 8)) } + answer)
    }
  }

  private static func answer(_ bytes: [UInt8], _ formats: [any CheckpointFormat]) -> String {
    do throws(CheckpointError) {
      let reader = try CheckpointReader(
        ByteSource(Bytes(bytes)), formats: formats, options: ReadOptions(stateDict: .everything))
      var lines: [String] = []
      for stored in reader.tensors {
        let tensor = try stored.read()
        let shape = tensor.shape.dimensions.map(String.init).joined(separator: ",")
        lines.append(
          "\(digits(Array(stored.name.utf8))) \(tensor.dtype.rawValue) [\(shape)] "
            + digits(tensor.bytes.array))
      }
      return lines.joined(separator: "\n")
    } catch {
      return "!\(error.code.rawValue)\t\(error.reason)"
    }
  }

  private static let hexadecimal = Array("0123456789abcdef".utf8)

  private static func digits(_ bytes: [UInt8]) -> String {
    var digits: [UInt8] = []
    digits.reserveCapacity(2 * bytes.count)
    for byte in bytes {
      digits.append(hexadecimal[Int(byte >> 4)])
      digits.append(hexadecimal[Int(byte & 15)])
    }
    return String(decoding: digits, as: UTF8.self)
  }

  /// Exactly `count` bytes; nil where the input ends.
  private static func read(_ count: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    while bytes.count < count {
      guard let more = try? FileHandle.standardInput.read(upToCount: count - bytes.count),
        !more.isEmpty
      else { return nil }
      bytes += more
    }
    return bytes
  }

  private static func write(_ bytes: [UInt8]) {
    // Whoever asked has gone: there is nobody left to tell.
    guard (try? FileHandle.standardOutput.write(contentsOf: Data(bytes))) != nil else { exit(1) }
  }
}
