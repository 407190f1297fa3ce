internal import Synchronization

/// Memory of the sizes that streaming takes over and over, kept for the next one: fresh pages cost about
/// as much as reading a file into them, and a heap that gets back pieces of this size at random grows.
enum StreamBuffers {
  /// How many are kept of each size: what reading ahead, working and writing hold at one time.
  private static let most = 4

  /// The sizes are those of a piece and of a chunk.
  private static func isKept(_ count: Int) -> Bool {
    count == StoredTensor.pieceSize || count == StrataFormat.chunkSize
  }

  /// A buffer that nobody uses.
  @safe
  private struct Idle: @unchecked Sendable {
    let buffer: UnsafeMutableRawBufferPointer
  }

  private static let idle = Mutex<[Int: [Idle]]>([:])

  /// Memory of `count` bytes that begins at a multiple of 64.
  static func take(_ count: Int) -> UnsafeMutableRawBufferPointer {
    if isKept(count), let kept = idle.withLock({ $0[count]?.popLast() }) {
      return unsafe kept.buffer
    }
    guard count >= largeSize else { return .allocate(byteCount: count, alignment: 64) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: pageSize)
    unsafe buffer.adviseLargePages()
    return unsafe buffer
  }

  /// Memory of this size is worth large pages: fresh small ones cost as much as what is read into them.
  private static let largeSize = 8 << 20
  /// The size of a large page, on the processors that have them.
  private static let pageSize = 2 << 20

  /// Takes memory back, or frees it.
  static func giveBack(_ buffer: UnsafeMutableRawBufferPointer) {
    guard isKept(buffer.count) else { return unsafe buffer.deallocate() }
    let returned = unsafe Idle(buffer: buffer)
    let count = buffer.count
    let isFull = idle.withLock { idle in
      guard idle[count, default: []].count < most else { return true }
      idle[count, default: []].append(returned)
      return false
    }
    if isFull { unsafe buffer.deallocate() }
  }

  /// Frees what is kept, when a file is done.
  static func clear() {
    let unused = idle.withLock { idle in
      defer { idle = [:] }
      return idle.values.flatMap { $0 }
    }
    for kept in unused { unsafe kept.buffer.deallocate() }
  }
}
