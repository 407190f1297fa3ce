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
  /// Metadata whose texts get known only while the tensors are written, such as the checksum of a file
  /// that is hashed meanwhile; `metadata` holds a text of as many bytes in the place of each.
  package var pendingMetadata: [String: any PendingText] = [:]
  /// The open files in which tensors stand beside the file itself, in the order of their names.
  package var otherSources: [ByteSource] = []
  /// The state dicts of a nested file, whose tensors bear their whole paths as names; empty for a file
  /// that has no nesting.
  public var stateDicts: [NestedStateDict] = []

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

  /// The contents with all metadata as they are to be written; waits for what is still pending.
  ///
  /// A format that has metadata asks for it when its tensors are written.
  /// - Throws: what becoming known throws.
  package func settled() throws(CheckpointError) -> CheckpointContents {
    var settled = self
    settled.pendingMetadata = [:]
    for (key, pending) in pendingMetadata {
      let text = try pending.text()
      precondition(
        text.utf8.count == metadata[key]?.utf8.count, "a text of another length than announced")
      settled.metadata[key] = text
    }
    return settled
  }

  /// Where the state dict stands that is meant; empty for the whole file.
  ///
  /// Where several qualify and none is chosen, it is the only one with weights of a recurrent module.
  /// - Throws: `ambiguousModel` when there is no such one, with the sizes of all.
  public func path(
    of choice: ReadOptions.StateDictChoice
  ) throws(CheckpointError) -> String {
    switch choice {
    case .everything: return ""
    case .at(let path):
      // A dot at the end is a user's, unless a key ends so.
      let isWhole = !path.hasSuffix(".") || stateDicts.contains { $0.path == path }
      return isWhole ? path : String(path.dropLast())
    case .only:
      if stateDicts.count < 2 { return stateDicts.first?.path ?? "" }
      let recurrent = stateDicts.filter(\.holdsRecurrentWeights)
      guard let only = recurrent.first, recurrent.count == 1 else {
        throw CheckpointError(
          .ambiguousModel,
          "the file holds several state dicts, choose one with --key: "
            + stateDicts.map(\.description).joined(separator: ", "))
      }
      return only.path
    }
  }

  /// The contents with one state dict alone, its path removed from every name.
  ///
  /// What stands beside it is ignored, and told.
  /// - Throws: `ambiguousModel` as `path(of:)` does, `parameterMissing` when nothing stands at the path.
  public func choosing(
    _ choice: ReadOptions.StateDictChoice
  ) throws(CheckpointError) -> CheckpointContents {
    let path = try path(of: choice)
    guard !path.isEmpty else { return self }
    let start = path + "."
    var chosen = self
    chosen.stateDicts = []
    chosen.tensors = tensors.compactMap { $0.removingPrefix(start) }
    guard !chosen.tensors.isEmpty else {
      let places = stateDicts.map(\.description).joined(separator: ", ")
      throw CheckpointError(
        .parameterMissing, tensor: path,
        "no tensor stands below this path"
          + (places.isEmpty ? "" : "; there are state dicts at \(places)"))
    }
    chosen.moduleRecords = moduleRecords.compactMap { record in
      guard record.path == path || record.path.hasPrefix(start) else { return nil }
      var record = record
      record.path = String(record.path.dropFirst(start.count))
      return record
    }
    let others = tensors.count - chosen.tensors.count
    if others > 0 {
      chosen.ignored.append("\(others) \(others == 1 ? "tensor" : "tensors") beside \(path)")
    }
    return chosen
  }

  /// Checks every stored byte of every tensor.
  public func verify() throws(CheckpointError) {
    for tensor in tensors { try tensor.verify() }
    for tensor in goldens { try tensor.verify() }
  }
}

/// A text that is not known yet.
package protocol PendingText: Sendable {
  /// The text; waits until it is known.
  /// - Throws: why it cannot become known.
  func text() throws(CheckpointError) -> String
}

/// A mapping of names to tensors inside a nested file.
public struct NestedStateDict: Hashable, Sendable {
  /// Where it stands: keys joined by dots; empty for the whole file.
  public var path: String
  /// How many tensors it holds.
  public var tensorCount: Int
  /// The bytes of its tensors.
  public var byteCount: Int
  /// Whether one of its tensors is called as the weights of PyTorch's recurrent modules are.
  public var holdsRecurrentWeights: Bool

  /// Describes a mapping.
  public init(
    path: String, tensorCount: Int, byteCount: Int, holdsRecurrentWeights: Bool = false
  ) {
    self.path = path
    self.tensorCount = tensorCount
    self.byteCount = byteCount
    self.holdsRecurrentWeights = holdsRecurrentWeights
  }

  /// Whether a name is one of `weight_ih` and `weight_hh`, of a layer or a cell, or of a part of such a
  /// weight: `rnn.weight_hh_l0_g`, `rnn.parametrizations.weight_hh_l0.original0`.
  static func isRecurrentWeight(_ name: String) -> Bool {
    name.split(separator: ".").contains { $0.hasPrefix("weight_ih") || $0.hasPrefix("weight_hh") }
  }
}

extension NestedStateDict: CustomStringConvertible {
  /// Path and size, `state_dict (12 tensors, 3456 bytes)`.
  public var description: String {
    "\(path.isEmpty ? "the root" : path) (\(tensorCount) \(tensorCount == 1 ? "tensor" : "tensors"), \(byteCount) bytes)"
  }
}
