internal import Synchronization

/// Elements that are stored with the first index running fastest, in row-major order.
///
/// A block of the result is put together at a time, from one walk through the stored bytes in their
/// order, and kept for the pieces that follow: memory is a block and a window, and everything is
/// walked through once for each block, not for each piece.
final class FortranOrderBytes: TensorBytes {
  private let base: any TensorBytes
  private let dimensions: [Int]
  private let elementSize: Int
  private let kept = Mutex<Block?>(nil)

  /// The bytes of a block, at most.
  private let blockSize: Int
  /// Stored bytes that are read at a time, where most of them are needed.
  private let windowSize: Int

  /// Elements in row-major order from its beginning on.
  private struct Block: Sendable {
    var start: Int
    var bytes: Bytes
  }

  init(
    _ base: any TensorBytes, shape: Shape, elementSize: Int, blockSize: Int = 64 << 20,
    windowSize: Int = 1 << 20
  ) {
    self.base = base
    self.dimensions = shape.dimensions
    self.elementSize = elementSize
    self.blockSize = blockSize
    self.windowSize = windowSize
  }

  func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    try kept.withLock { kept throws(CheckpointError) in
      var pieces: [Bytes] = []
      var position = range.lowerBound
      while position < range.upperBound {
        let element = position / elementSize
        var block: Block
        if let known = kept, known.start <= element,
          position < known.start * elementSize + known.bytes.count
        {
          block = known
        } else {
          kept = nil
          block = try makeBlock(holding: element)
          kept = block
        }
        let start = position - block.start * elementSize
        let end = min(start + range.upperBound - position, block.bytes.count)
        pieces.append(block.bytes[start..<end])
        position += end - start
      }
      return pieces.count == 1 ? pieces[0] : Bytes(joining: pieces)
    }
  }

  func verify(count: Int) throws(CheckpointError) { try base.verify(count: count) }

  /// A block: some indices of one dimension, one index of each before it, all of those behind it.
  private func makeBlock(holding element: Int) throws(CheckpointError) -> Block {
    let limit = max(1, blockSize / elementSize)
    // How many elements one index of the dimension stands for, in the result.
    var rest = dimensions.reduce(1, *)
    var axis = 0
    var position = element
    var storedStart = 0
    // How far apart consecutive indices of the dimension are stored.
    var storedStride = 1
    while true {
      rest /= dimensions[axis]
      if rest <= limit || axis == dimensions.count - 1 { break }
      storedStart += position / rest * storedStride
      storedStride *= dimensions[axis]
      position %= rest
      axis += 1
    }
    let perBlock = max(1, limit / rest)
    let first = position / rest / perBlock * perBlock
    let count = min(perBlock, dimensions[axis] - first)
    let walk = Walk(
      start: storedStart + first * storedStride, stride: storedStride, count: count,
      nextRun: storedStride * dimensions[axis], inner: Array(dimensions[(axis + 1)...]),
      innerCount: rest)
    return Block(start: element - position + first * rest, bytes: try fill(walk))
  }

  /// The way through the stored elements, in their order, that gives a block.
  private struct Walk {
    /// The first stored element.
    var start: Int
    /// From one stored element to the next.
    var stride: Int
    /// How many of them are a run.
    var count: Int
    /// From one run to the next.
    var nextRun: Int
    /// The dimensions that run over, the fastest first, and their product.
    var inner: [Int]
    var innerCount: Int
  }

  private func fill(_ walk: Walk) throws(CheckpointError) -> Bytes {
    switch elementSize {
    case 1: try fill(walk, of: UInt8.self)
    case 2: try fill(walk, of: UInt16.self)
    case 4: try fill(walk, of: UInt32.self)
    default: try fill(walk, of: UInt64.self)
    }
  }

  private func fill<Element: BitwiseCopyable>(
    _ walk: Walk, of type: Element.Type
  ) throws(CheckpointError) -> Bytes {
    let end = dimensions.reduce(1, *)
    let span = (walk.count - 1) * walk.stride + 1
    // Short runs far apart are read one by one, others together with what lies between.
    let isDense = walk.nextRun <= 8 * span
    let window = isDense || walk.stride > 1 ? max(1, windowSize / elementSize) : span
    // Where the elements of a run stand in the block for each index of the inner dimensions.
    var strides: [Int] = []
    var product = walk.innerCount
    for size in walk.inner {
      product /= size
      strides.append(product)
    }
    return try unsafe Bytes(count: walk.count * walk.innerCount * elementSize) {
      output throws(CheckpointError) in
      var bytes = Bytes([UInt8]())
      var range = 0..<0
      var index = Array(repeating: 0, count: walk.inner.count)
      for run in 0..<walk.innerCount {
        let start = walk.start + run * walk.nextRun
        let target = zip(index, strides).reduce(0) { $0 + $1.0 * $1.1 }
        var done = 0
        while done < walk.count {
          let next = start + done * walk.stride
          if !range.contains(next) {
            range = next..<min(next + window, end)
            bytes = try base.bytes(
              in: (range.lowerBound * elementSize)..<(range.upperBound * elementSize))
          }
          let inWindow = min(walk.count - done, (range.upperBound - next - 1) / walk.stride + 1)
          unsafe bytes.withUnsafeBytes { input in
            for place in 0..<inWindow {
              let source = (next - range.lowerBound + place * walk.stride) * elementSize
              let element = unsafe input.loadUnaligned(fromByteOffset: source, as: type)
              let offset = ((done + place) * walk.innerCount + target) * elementSize
              unsafe output.storeBytes(of: element, toByteOffset: offset, as: type)
            }
          }
          done += inWindow
        }
        for axis in index.indices {
          index[axis] += 1
          if index[axis] < walk.inner[axis] { break }
          index[axis] = 0
        }
      }
    }
  }
}
