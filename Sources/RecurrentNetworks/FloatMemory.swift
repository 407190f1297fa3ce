/// Working memory of a session: floats at a fixed place, zero at first.
@safe
final class FloatMemory {
  let count: Int
  @unsafe let base: UnsafeMutablePointer<Float>

  init(count: Int) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(count, 1) * MemoryLayout<Float>.stride, alignment: 64)
    let floats = unsafe buffer.bindMemory(to: Float.self)
    unsafe floats.initialize(repeating: 0)
    guard let base = floats.baseAddress else { preconditionFailure("memory of no bytes") }
    self.count = count
    unsafe self.base = unsafe base
  }

  deinit { unsafe UnsafeMutableRawPointer(base).deallocate() }

  /// The floats, copied.
  var values: [Float] { unsafe Array(UnsafeBufferPointer(start: base, count: count)) }

  func fill(_ value: Float) {
    unsafe base.update(repeating: value, count: count)
  }

  /// Copies rows of `width` floats out of rows of `stride`.
  func rows(width: Int, stride: Int) -> [Float] {
    var values: [Float] = []
    guard width > 0 else { return values }
    values.reserveCapacity(count / stride * width)
    for start in Swift.stride(from: 0, to: count, by: stride) {
      unsafe values.append(contentsOf: UnsafeBufferPointer(start: base + start, count: width))
    }
    return values
  }

  /// Copies rows of `width` floats into rows of `stride`; what is behind them becomes zero.
  func setRows(_ values: [Float], width: Int, stride: Int) {
    guard width > 0 else { return }
    fill(0)
    for (row, start) in Swift.stride(from: 0, to: count, by: stride).enumerated() {
      for column in 0..<width { unsafe base[start + column] = values[row * width + column] }
    }
  }
}
