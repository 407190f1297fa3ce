/// A run of elements that tensors share, as a pickle names it.
final class TorchStorage: Sendable {
  /// The name under which the file holds its bytes.
  let key: String
  let type: TorchDType
  /// Where the elements begin in what stands under the name; not 0 in views of old files alone.
  let start: Int
  /// The number of elements.
  let count: Int
  /// The elements that stand under the name, which are more than `count` in views of old files.
  let wholeCount: Int

  init(key: String, type: TorchDType, count: Int) {
    self.key = key
    self.type = type
    self.start = 0
    self.count = count
    self.wholeCount = count
  }

  private init(_ start: Int, _ count: Int, of whole: TorchStorage) {
    self.key = whole.key
    self.type = whole.type
    self.start = whole.start + start
    self.count = count
    self.wholeCount = whole.wholeCount
  }

  /// A part of the storage, as files of before 0.4 have them.
  /// - Throws: `sizeMismatch` when it does not lie inside.
  func part(_ start: Int, _ count: Int) throws(CheckpointError) -> TorchStorage {
    guard start >= 0, count >= 0, start <= self.count, count <= self.count - start else {
      throw CheckpointError(
        .sizeMismatch,
        "\(count) elements from \(start) on of the storage '\(key)', which has \(self.count)")
    }
    return TorchStorage(start, count, of: self)
  }
}

/// A tensor as a pickle describes it: a place in a storage, or why there is none.
final class TorchTensor: Sendable {
  /// What the elements are.
  enum Elements: Sendable {
    /// Elements of a storage: the first one, and the distance to the next one in each dimension.
    case strided(TorchStorage, offset: Int, strides: [Int])
    /// Nothing that can be read, with the reason and the way out.
    case unreadable(String)
  }

  let type: TorchDType?
  /// The dimensions, unchecked.
  let size: [Int]
  let elements: Elements
  /// Whether the elements stand in the storage with the other sign, as those of a real view of a
  /// conjugated tensor do.
  let isNegated: Bool

  init(type: TorchDType?, size: [Int], elements: Elements, isNegated: Bool = false) {
    self.type = type
    self.size = size
    self.elements = elements
    self.isNegated = isNegated
  }

  /// Whether it is a single number, without dimensions.
  var isNumber: Bool {
    if case .strided = elements { size.isEmpty } else { false }
  }

  /// Whether its elements are none that can be read.
  var isUnreadable: Bool {
    if case .unreadable = elements { true } else { false }
  }

  /// What stands for the weights that an object of torch's own libraries has packed.
  static func packed(in type: String) -> TorchTensor {
    TorchTensor(
      type: nil, size: [],
      elements: .unreadable(
        """
        weights packed by \(type): in Python, save the state_dict() of the float model that was \
        quantised
        """))
  }
}
