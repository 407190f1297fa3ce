/// The bytes of a tensor whose elements stand anywhere in a storage: offset, strides, byte order.
///
/// Whatever the strides are, a piece of the tensor is put together from runs of the storage that are not
/// much longer than what is taken from them, so that memory stays bounded and nothing is read over and
/// over.
struct StridedBytes: TensorBytes {
  private let storage: any TensorBytes
  private let layout: StridedLayout
  private let elementSize: Int
  /// The bytes of the whole storage.
  private let storageByteCount: Int
  private let isBigEndian: Bool
  /// Whether every element, a floating-point number, is to have the other sign.
  private let isNegated: Bool

  /// Reads runs of at least this many bytes: below, the calls cost more than the bytes.
  private static let smallRun = 1 << 14

  /// Describes a tensor in a storage, which `layout` has been checked against.
  init(
    of layout: StridedLayout, elementSize: Int, in storage: any TensorBytes, byteCount: Int,
    isBigEndian: Bool, isNegated: Bool = false
  ) {
    self.storage = storage
    self.layout = layout
    self.elementSize = elementSize
    self.storageByteCount = byteCount
    self.isBigEndian = isBigEndian
    self.isNegated = isNegated
  }

  func bytes(in range: Range<Int>) throws(CheckpointError) -> Bytes {
    guard !range.isEmpty else { return Bytes([UInt8]()) }
    // A part of a storage is no run that a checksum covers: the whole is checked, once.
    if layout.count * elementSize < storageByteCount {
      try storage.verify(count: storageByteCount)
    }
    let first = range.lowerBound / elementSize
    let elements = first..<((range.upperBound + elementSize - 1) / elementSize)
    var bytes = try elementBytes(elements)
    if isBigEndian { bytes = bytes.swapped(elementSize: elementSize) }
    if isNegated { bytes = bytes.negated(elementSize: elementSize) }
    let start = first * elementSize
    return bytes[(range.lowerBound - start)..<(range.upperBound - start)]
  }

  /// A whole storage as it stands there has been summed already, where its entry has a checksum.
  func piece(in range: Range<Int>) throws(CheckpointError) -> TensorPiece {
    guard layout.isContiguous, layout.count * elementSize == storageByteCount, !isBigEndian,
      !isNegated
    else { return TensorPiece(try bytes(in: range)) }
    return try storage.piece(in: range)
  }

  func verify(count: Int) throws(CheckpointError) {
    try storage.verify(count: storageByteCount)
  }

  private func elementBytes(_ elements: Range<Int>) throws(CheckpointError) -> Bytes {
    if layout.isContiguous {
      return try stored(layout.offset + elements.lowerBound, elements.count)
    }
    return try unsafe Bytes(count: elements.count * elementSize) { output throws(CheckpointError) in
      for box in layout.boxes(of: elements) { try unsafe gather(box, into: output) }
    }
  }

  /// Elements of the storage as they stand there.
  private func stored(_ first: Int, _ count: Int) throws(CheckpointError) -> Bytes {
    try storage.bytes(in: (first * elementSize)..<((first + count) * elementSize))
  }

  /// Puts the elements of a box at their places.
  ///
  /// A box whose extent in the storage is mostly its own is read at once; any other is split along its
  /// longest stride.
  private func gather(
    _ box: StridedBox, into output: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    let extent = box.extent
    guard let axis = box.longestAxis,
      extent * elementSize > max(2 * box.count * elementSize, Self.smallRun)
    else {
      let bytes = try stored(box.offset, extent)
      unsafe bytes.withUnsafeBytes { input in
        unsafe box.copy(from: input, into: output, elementSize: elementSize)
      }
      return
    }
    // As many steps along the axis at a time as a small run holds.
    let steps = box.axes[axis]
    let inner = extent - (steps.count - 1) * steps.stride
    let room = max(0, Self.smallRun / elementSize - inner) / steps.stride
    let step = min(room + 1, steps.count - 1)
    for start in stride(from: 0, to: steps.count, by: step) {
      try unsafe gather(
        box.slice(axis, start..<min(start + step, steps.count)), into: output)
    }
  }
}

extension StridedBox {
  /// Copies the box's elements out of a run of the storage that begins with the first of them.
  fileprivate func copy(
    from input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, elementSize: Int
  ) {
    switch elementSize {
    case 1: unsafe copy(from: input, into: output, as: UInt8.self)
    case 2: unsafe copy(from: input, into: output, as: UInt16.self)
    case 4: unsafe copy(from: input, into: output, as: UInt32.self)
    default: unsafe copy(from: input, into: output, as: UInt64.self)
    }
  }

  private func copy<Element: BitwiseCopyable>(
    from input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer,
    as type: Element.Type
  ) {
    let width = MemoryLayout<Element>.size
    let row = axes.last ?? Axis(count: 1, stride: 1, spacing: 1)
    forEachRow { source, target in
      if row.stride == 1, row.spacing == 1 {
        let bytes = source * width..<(source + row.count) * width
        unsafe UnsafeMutableRawBufferPointer(rebasing: output[(target * width)...]).copyMemory(
          from: UnsafeRawBufferPointer(rebasing: input[bytes]))
        return
      }
      var source = source * width
      var target = target * width
      for _ in 0..<row.count {
        let element = unsafe input.loadUnaligned(fromByteOffset: source, as: type)
        unsafe output.storeBytes(of: element, toByteOffset: target, as: type)
        source += row.stride * width
        target += row.spacing * width
      }
    }
  }
}

extension Bytes {
  /// Little-endian floating-point numbers with the other sign, NaN too.
  fileprivate func negated(elementSize: Int) -> Bytes {
    unsafe Bytes(count: count) { output in
      unsafe withUnsafeBytes { unsafe output.copyMemory(from: $0) }
      for last in stride(from: elementSize - 1, to: output.count, by: elementSize) {
        unsafe output[last] ^= 0x80
      }
    }
  }

  /// Elements with their bytes in the opposite order.
  fileprivate func swapped(elementSize: Int) -> Bytes {
    guard elementSize > 1 else { return self }
    return unsafe Bytes(count: count) { output in
      unsafe withUnsafeBytes { input in
        for start in stride(from: 0, to: input.count, by: elementSize) {
          for byte in 0..<elementSize {
            unsafe output[start + byte] = unsafe input[start + elementSize - 1 - byte]
          }
        }
      }
    }
  }
}
