/// Where the elements of a tensor stand in a storage, counted in elements.
struct StridedLayout {
  /// The first element's place.
  let offset: Int
  /// Dimensions of more than one element, outermost first; neighbours that follow each other without a
  /// gap are one.
  private let size: [Int]
  private let strides: [Int]
  /// The number of elements.
  let count: Int

  /// Checks that every element lies in a storage of `storageCount` elements, which begins `start`
  /// elements behind the first that can be read.
  ///
  /// Strides of 0 make many elements of one, as `Tensor.expand` does, and overlapping strides likewise.
  /// What they make is bounded by what stands there: 1032 times as much, as for deflate, and 16 MiB,
  /// which is the size of real masks and tables that were expanded and saved from a single number.
  /// - Throws: `strideOutOfRange`, `expansionLimit`.
  init(
    offset: Int, shape: Shape, strides: [Int], elementSize: Int, storageCount: Int, start: Int = 0
  ) throws(CheckpointError) {
    func outside(_ found: String) -> CheckpointError {
      CheckpointError(
        .strideOutOfRange,
        """
        \(found): offset \(offset), shape \(shape), strides \(strides), in a storage of \(storageCount) \
        elements
        """)
    }
    guard offset >= 0 else { throw outside("a negative offset") }
    guard strides.allSatisfy({ $0 >= 0 }) else { throw outside("a negative stride") }
    guard shape.elementCount > 0 else {
      self.offset = start
      self.size = []
      self.strides = []
      self.count = 0
      return
    }
    var last = offset
    for (size, stride) in zip(shape.dimensions, strides) {
      let (distance, overflow) = (size - 1).multipliedReportingOverflow(by: stride)
      let (sum, overflows) = last.addingReportingOverflow(distance)
      guard !overflow, !overflows else { throw outside("the last element lies beyond 2^63") }
      last = sum
    }
    guard last < storageCount else {
      throw outside("the last element would be number \(last)")
    }
    let bytes = shape.elementCount * elementSize
    let factor = (bytes - Self.expansionAllowance) / Deflate.largestExpansion
    guard factor <= storageCount * elementSize else {
      throw CheckpointError(
        .expansionLimit,
        """
        shape \(shape) with strides \(strides) makes \(bytes) bytes of a storage of \
        \(storageCount * elementSize)
        """)
    }

    var merged: [(size: Int, stride: Int)] = []
    for (size, stride) in zip(shape.dimensions, strides) where size > 1 {
      if let outer = merged.last, outer.stride == size * stride {
        merged[merged.count - 1] = (outer.size * size, stride)
      } else {
        merged.append((size, stride))
      }
    }
    self.offset = start + offset
    self.size = merged.map(\.size)
    self.strides = merged.map(\.stride)
    self.count = shape.elementCount
  }

  /// What elements may take beyond the factor: 16 MiB.
  static let expansionAllowance = 16 << 20

  /// Whether the elements follow each other in the storage as in the tensor.
  var isContiguous: Bool { strides.isEmpty || strides == [1] }

  /// The boxes that elements make up, in order; at most two for each dimension and one more.
  func boxes(of elements: Range<Int>) -> [StridedBox] {
    var boxes: [StridedBox] = []
    var position = elements.lowerBound
    while position < elements.upperBound {
      // The outermost dimension in which a whole step from here lies inside the range.
      var inner = 1
      var axis = size.count - 1
      while axis > 0, position.isMultiple(of: inner * size[axis]),
        elements.upperBound - position >= inner * size[axis]
      {
        inner *= size[axis]
        axis -= 1
      }
      let index = position / inner % size[axis]
      let steps = min(size[axis] - index, (elements.upperBound - position) / inner)
      boxes.append(
        StridedBox(
          sizes: [steps] + size[(axis + 1)...], strides: strides[axis...],
          offset: offset + place(of: position), place: position - elements.lowerBound))
      position += steps * inner
    }
    return boxes
  }

  /// The place of an element relative to the first.
  private func place(of position: Int) -> Int {
    var rest = position
    var place = 0
    for axis in size.indices.reversed() {
      place += rest % size[axis] * strides[axis]
      rest /= size[axis]
    }
    return place
  }
}

/// A box of elements: where it begins, in the storage and in what is put together, and the steps along
/// each axis.
struct StridedBox {
  /// The steps along one axis.
  struct Axis {
    var count: Int
    /// The distance to the next step in the storage.
    var stride: Int
    /// The same in what is put together.
    var spacing: Int
  }

  /// Axes of more than one step, outermost first.
  private(set) var axes: [Axis] = []
  /// The first element's place in the storage.
  private(set) var offset: Int
  /// Its place in what is put together.
  private(set) var place: Int

  /// Describes a box whose elements are put together in row-major order.
  fileprivate init(sizes: [Int], strides: ArraySlice<Int>, offset: Int, place: Int) {
    self.offset = offset
    self.place = place
    var spacing = 1
    for (size, stride) in zip(sizes, strides).reversed() {
      if size > 1 { axes.append(Axis(count: size, stride: stride, spacing: spacing)) }
      spacing *= size
    }
    axes.reverse()
  }

  /// The number of elements.
  var count: Int { axes.reduce(1) { $0 * $1.count } }

  /// From the first element to behind the last one, in the storage.
  var extent: Int { axes.reduce(1) { $0 + ($1.count - 1) * $1.stride } }

  /// The axis with the longest stride; nil for a box of one element.
  var longestAxis: Int? {
    axes.indices.max { axes[$0].stride < axes[$1].stride }
  }

  /// The part of the box at some of the steps along one axis.
  func slice(_ axis: Int, _ steps: Range<Int>) -> StridedBox {
    var box = self
    box.offset += steps.lowerBound * axes[axis].stride
    box.place += steps.lowerBound * axes[axis].spacing
    box.axes[axis].count = steps.count
    if steps.count == 1 { box.axes.remove(at: axis) }
    return box
  }

  /// Calls `body` with the first element of every row, the steps along the innermost axis: its place in
  /// the storage, relative to the box's first element, and its place in what is put together.
  func forEachRow(_ body: (_ source: Int, _ target: Int) -> Void) {
    let outer = axes.dropLast()
    var index = Array(repeating: 0, count: outer.count)
    var source = 0
    var target = place
    while true {
      body(source, target)
      var axis = outer.count - 1
      while axis >= 0 {
        index[axis] += 1
        source += axes[axis].stride
        target += axes[axis].spacing
        if index[axis] < axes[axis].count { break }
        source -= axes[axis].count * axes[axis].stride
        target -= axes[axis].count * axes[axis].spacing
        index[axis] = 0
        axis -= 1
      }
      if axis < 0 { return }
    }
  }
}
