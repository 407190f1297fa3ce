import Foundation
import FuzzSupport

@testable import Checkpoints
@testable import CheckpointsHDF5

/// What an isolated reader of HDF5 files might send, as the process takes it that has started it.
///
/// An input is a byte, 0 for a helper that falls silent at the end and others for one that leaves, and
/// then the answers, each a kind, a length and so many bytes.
enum HDF5Answers {
  private static let headerSize = 9
  /// The file that the helper is said to have parsed.
  private static let file = ByteSource(Bytes((0..<65536).map { UInt8(truncatingIfNeeded: $0) }))
  /// No process has this number, so that none can be ended by mistake.
  private static let nobody = Int32.max

  static func run(_ input: [UInt8]) {
    guard let first = input.first else { return }
    var ends: [Int32] = [0, 0]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
      fatalError("no sockets: \(errno)")
    }
    defer { close(ends[1]) }
    // It fits: both buffers hold more than the longest input, and the requests that its answers allow.
    let sent = input.dropFirst().withUnsafeBytes { send(ends[1], $0.baseAddress, $0.count, 0) }
    guard sent == input.count - 1 else { fatalError("\(sent) bytes of \(input.count) sent") }
    if first > 0 { shutdown(ends[1], Int32(SHUT_WR)) }
    do throws(CheckpointError) {
      let process = try HDF5HelperProcess(
        HDF5Connection(
          socket: ends[0], process: nobody, patience: first > 0 ? .seconds(5) : .milliseconds(1)),
        reading: file)
      let contents = try process.directory.contents(of: file) { entry in
        IsolatedBytes(process: process, entry: entry)
      }
      // Each answer may be another one.
      Reading.check(contents, largestTensor: 1 << 22, isConsistent: false)
    } catch {
      _ = error.description
    }
  }

  /// An input with one answer changed and the lengths put right, most of the time.
  static func mutated(_ input: [UInt8], largest: Int, using dice: inout Dice) -> [UInt8] {
    guard dice.roll(8) > 0, let first = input.first else { return input.mutated(largest: largest) }
    var answers: [(kind: UInt8, bytes: [UInt8])] = []
    var offset = 1
    while offset + headerSize <= input.count {
      let end = offset + headerSize
      let length = Int(clamping: input.integer(at: offset + 1, as: UInt64.self))
      let bytes = input[end..<(end + min(length, input.count - end))]
      answers.append((input[offset], Array(bytes)))
      offset = bytes.endIndex
    }
    guard !answers.isEmpty else { return input.mutated(largest: largest) }
    let index = dice.roll(answers.count)
    switch dice.roll(16) {
    case 0: answers.remove(at: index)
    case 1: answers.insert(answers[index], at: dice.roll(answers.count))
    case 2: answers[index].kind = UInt8(dice.roll(4))
    default:
      // Half of all in the directory.
      let place = dice.roll(2) == 0 ? 0 : index
      let bytes = answers[place].bytes
      answers[place].bytes = bytes.mutated(largest: bytes.count + max(0, largest - input.count))
    }
    var output = [dice.roll(64) == 0 ? 1 - min(first, 1) : first]
    for answer in answers {
      output.append(answer.kind)
      output.append(UInt64(answer.bytes.count))
      output += answer.bytes
    }
    return output
  }
}
