import Checkpoints

/// A rectangular part of a tensor.
struct RowMajorBox: Equatable {
  var start: [Int]
  var size: [Int]

  /// The number of elements.
  var count: Int { size.reduce(1, *) }
}

extension Shape {
  /// The boxes whose elements, one behind the other, are those of `range` in row-major order.
  ///
  /// There are at most 2 · rank − 1 of them.
  func boxes(of range: Range<Int>) -> [RowMajorBox] {
    guard !range.isEmpty else { return [] }
    guard rank > 0 else { return [RowMajorBox(start: [], size: [])] }
    var boxes: [RowMajorBox] = []
    appendBoxes(of: range, under: [], to: &boxes)
    return boxes
  }

  /// `range` counts the elements below `prefix`, the indices of the outer dimensions.
  private func appendBoxes(
    of range: Range<Int>, under prefix: [Int], to boxes: inout [RowMajorBox]
  ) {
    let axis = prefix.count
    let stride = dimensions[(axis + 1)...].reduce(1, *)
    var first = range.lowerBound / stride
    let end = range.upperBound / stride
    let head = range.lowerBound % stride
    let tail = range.upperBound % stride
    if head > 0 {
      let stop = first == end ? tail : stride
      appendBoxes(of: head..<stop, under: prefix + [first], to: &boxes)
      if first == end { return }
      first += 1
    }
    if first < end {
      boxes.append(
        RowMajorBox(
          start: prefix + [first] + dimensions[(axis + 1)...].map { _ in 0 },
          size: prefix.map { _ in 1 } + [end - first] + dimensions[(axis + 1)...]))
    }
    if tail > 0 {
      appendBoxes(of: 0..<tail, under: prefix + [end], to: &boxes)
    }
  }
}
