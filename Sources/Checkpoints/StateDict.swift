/// An ordered map of parameter name to tensor, as PyTorch's `state_dict()`.
///
/// Names are compared as Unicode text: two spellings of one text are one name.
public struct StateDict: Sendable {
  private var names: [String] = []
  private var tensors: [String: Tensor] = [:]

  /// An empty state dict.
  public init() {}

  /// Appends a tensor.
  /// - Throws: `duplicateName`.
  public mutating func append(_ tensor: Tensor, named name: String) throws(CheckpointError) {
    guard tensors[name] == nil else {
      throw CheckpointError(.duplicateName, tensor: name, "the name occurs twice")
    }
    names.append(name)
    tensors[name] = tensor
  }

  /// The tensor called `name`.
  ///
  /// Setting appends a new name, keeps the place of a known one, and removes with nil.
  public subscript(name: String) -> Tensor? {
    get { tensors[name] }
    set {
      if newValue == nil {
        names.removeAll { $0 == name }
      } else if tensors[name] == nil {
        names.append(name)
      }
      tensors[name] = newValue
    }
  }
}

extension StateDict: RandomAccessCollection {
  /// The first place.
  public var startIndex: Int { 0 }
  /// The place after the last.
  public var endIndex: Int { names.count }
  /// Name and tensor at a place in the order.
  public subscript(position: Int) -> (name: String, tensor: Tensor) {
    let name = names[position]
    guard let tensor = tensors[name] else { preconditionFailure("a name without its tensor") }
    return (name, tensor)
  }
}

extension StateDict: Equatable {
  /// Whether names, their order, dtypes, shapes and bits are the same.
  public static func == (left: StateDict, right: StateDict) -> Bool {
    left.names == right.names && left.tensors == right.tensors
  }
}

extension StateDict: ExpressibleByDictionaryLiteral {
  /// A state dict written in source; a name that occurs twice traps.
  public init(dictionaryLiteral elements: (String, Tensor)...) {
    for (name, tensor) in elements {
      precondition(tensors[name] == nil, "duplicate name \(name)")
      self[name] = tensor
    }
  }
}
