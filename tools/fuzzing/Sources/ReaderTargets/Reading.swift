import FuzzSupport

@testable import Checkpoints

/// Opens a source and reads all that it holds.
///
/// Errors are what is expected of most inputs; a trap, a report of a sanitizer, a hang, and answers that
/// contradict each other are findings.
enum Reading {
  /// The most bytes of a tensor, and of all tensors, that are read: more would measure the memory.
  private static let largestTensor = 1 << 16
  private static let budget = 1 << 20

  static func run(
    _ format: any CheckpointFormat, _ source: ByteSource, options: ReadOptions = ReadOptions(),
    planted: PlantedBug? = nil
  ) {
    do throws(CheckpointError) {
      _ = try format.recognizes(source)
      check(try format.open(source, options: options), planted: planted)
    } catch {
      _ = error.description
    }
  }

  /// Reads what was opened.
  static func check(
    _ contents: CheckpointContents, largestTensor: Int = largestTensor, isConsistent: Bool = true,
    planted: PlantedBug? = nil
  ) {
    var budget = max(budget, largestTensor)
    for tensor in contents.tensors + contents.goldens {
      // What is only listed has its bytes checked as well, unless they are far too many.
      let size = tensor.dtype.map(tensor.shape.byteCount) ?? tensor.storedByteCount
      guard size <= min(budget, largestTensor) else { continue }
      budget -= size
      do throws(CheckpointError) {
        try check(tensor, size: size, isConsistent: isConsistent, planted: planted)
      } catch {
        _ = error.description
      }
    }
    var choices: [ReadOptions.StateDictChoice] = [.only, .everything]
    choices += contents.stateDicts.prefix(4).map { .at($0.path) }
    for choice in choices {
      do throws(CheckpointError) {
        _ = try contents.choosing(choice)
      } catch {
        _ = error.description
      }
    }
  }

  private static func check(
    _ tensor: StoredTensor, size: Int, isConsistent: Bool, planted: PlantedBug?
  ) throws(CheckpointError) {
    try tensor.verify()
    planted?.spring(on: tensor)
    let whole = try tensor.read()
    let middle = whole.shape.elementCount / 2 * whole.dtype.size
    // From the back, so that a stream has to begin anew.
    let back = try tensor.bytes(in: middle..<size)
    let front = try tensor.bytes(in: 0..<middle)
    // As a conversion reads it, and as a comparison does.
    let streamed = try tensor.forEachPiece { _ in }
    let checksum = try tensor.checksum()
    if isConsistent {
      precondition(front.array + back.array == whole.bytes.array, "two answers for \(tensor.name)")
      precondition(
        [streamed, checksum].allSatisfy { $0 == whole.bytes.array.checksum },
        "two checksums of \(tensor.name)")
    }
    if whole.dtype != .float32 { _ = try tensor.converted(to: .float32).read() }
  }
}
