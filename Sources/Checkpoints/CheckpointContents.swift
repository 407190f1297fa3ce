/// What a checkpoint file holds, or is going to hold: everything but the tensors' bytes, which are
/// read when asked for.
///
/// Opening a file gives one, writing a file takes one, and converting is a change in between.
public struct CheckpointContents: Sendable {
  /// The state dict, in its order.
  public var tensors: [StoredTensor]
  /// Recorded inputs and outputs.
  public var goldens: [StoredTensor]
  /// Free text by key.
  public var metadata: [String: String]
  /// The modules that the file tells about.
  public var moduleRecords: [ModuleRecord]
  /// The model description, canonical JSON; `RecurrentNetworks` reads it.
  public var modelDescription: String?
  /// Objects of the file that are not carried along.
  public var ignored: [String]

  /// Puts contents together.
  public init(
    tensors: [StoredTensor] = [], goldens: [StoredTensor] = [], metadata: [String: String] = [:],
    moduleRecords: [ModuleRecord] = [], modelDescription: String? = nil, ignored: [String] = []
  ) {
    self.tensors = tensors
    self.goldens = goldens
    self.metadata = metadata
    self.moduleRecords = moduleRecords
    self.modelDescription = modelDescription
    self.ignored = ignored
  }

  /// The tensor of the state dict called `name`.
  public subscript(name: String) -> StoredTensor? {
    tensors.first { $0.name == name }
  }

  /// Checks every stored byte of every tensor.
  public func verify() throws(CheckpointError) {
    for tensor in tensors { try tensor.verify() }
    for tensor in goldens { try tensor.verify() }
  }
}
