public import Checkpoints
internal import CRecurrentKernels

#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif

/// A model that is ready to run in float32: recurrent modules in a chain, perhaps with an embedding
/// before and an output layer behind them.
///
/// Immutable and shared by threads; what changes while it runs stands in a ``Session``.
/// ```swift
/// let model = try SequenceModel(contentsOf: "model.strata")
/// let session = model.makeSession(batchSize: 1)
/// try session.run(input, into: &output)
/// ```
public final class SequenceModel: Sendable {
  /// What the model is.
  public let blueprint: ModelBlueprint
  /// The stacks, each fed by the one before it.
  public let stacks: [StackedRNN]

  private let headWeights: PackedWeights?
  /// The table of an embedding, row by row.
  private let embeddingTable: [Float]?

  /// Loads a model file of any of `formats`.
  ///
  /// The weights are packed as they are read: beside them there is never more than one tensor in
  /// memory.
  /// - Parameters:
  ///   - path: The file.
  ///   - module: The path of the modules to load, for a file that holds more than one model.
  ///   - formats: The formats to recognise.
  /// - Throws: what is wrong with the file, `shapeMismatch`, `parameterMissing`,
  ///   `parameterUnexpected`, `ambiguousModel`.
  public convenience init(
    contentsOf path: String, module: String? = nil, formats: [any CheckpointFormat] = .builtIn
  ) throws(CheckpointError) {
    let reader = try CheckpointReader(contentsOf: path, formats: formats)
    try self.init(ModelBlueprint(reader.contents, module: module, file: path))
  }

  /// Loads a model file at a file URL, as `init(contentsOf:module:formats:)` with its path.
  public convenience init(
    contentsOf url: URL, module: String? = nil, formats: [any CheckpointFormat] = .builtIn
  ) throws(CheckpointError) {
    try self.init(contentsOf: url.path, module: module, formats: formats)
  }

  /// Makes the model of a checkpoint in memory or mapped.
  /// - Throws: as `init(contentsOf:module:formats:)`.
  public convenience init(
    _ checkpoint: Checkpoint, module: String? = nil, options: ModelOptions = ModelOptions()
  ) throws(CheckpointError) {
    try self.init(ModelBlueprint(checkpoint.contents, module: module, options: options))
  }

  /// Reads and packs the weights of a blueprint.
  /// - Throws: what reading a tensor throws, `dtypeUnsupported`.
  public init(_ blueprint: ModelBlueprint) throws(CheckpointError) {
    self.blueprint = blueprint
    stacks = try blueprint.stacks.map { stack throws(CheckpointError) in
      try StackedRNN(stack, of: blueprint)
    }
    embeddingTable = try blueprint.embedding.map { embedding throws(CheckpointError) in
      try blueprint.parameter("\(embedding.name).weight").floats()
    }
    if let head = blueprint.head {
      let bias =
        head.configuration.hasBias ? try blueprint.parameter("\(head.name).bias").floats() : nil
      headWeights = .head(
        try blueprint.parameter("\(head.name).weight").floats(), bias: bias,
        rows: head.configuration.outputSize, columns: head.configuration.inputSize)
    } else {
      headWeights = nil
    }
  }

  /// Makes the working memory of one stream, or of one batch of sequences, with a state of zeros.
  /// - Parameters:
  ///   - batchSize: How many sequences run side by side.
  ///   - threads: How many threads a call may use, this one among them; the others are made now, as far as
  ///     the system has them, and sleep between calls. A call is divided by sequences, directions, layers or
  ///     units, or not at all where that would not pay; the result does not depend on it.
  ///   - instructionSet: The kernels; the result does not depend on them either.
  public func makeSession(
    batchSize: Int = 1, threads: Int = 1, instructionSet: InstructionSet = .fastest
  ) -> Session {
    Session(self, batchSize: batchSize, threads: threads, instructionSet: instructionSet)
  }

  /// The shape of the result of a call: that of the head's output, or of the last stack's.
  public func outputShape(steps: Int, batchSize: Int) -> Shape {
    guard let head = blueprint.head?.configuration else {
      return recurrentOutputShape(steps: steps, batchSize: batchSize)
    }
    guard head.input == .all else { return [batchSize, head.outputSize] }
    return blueprint.isBatchFirst
      ? [batchSize, steps, head.outputSize] : [steps, batchSize, head.outputSize]
  }

  /// The shape of the last stack's output.
  public func recurrentOutputShape(steps: Int, batchSize: Int) -> Shape {
    let size = blueprint.recurrentOutputSize
    return blueprint.isBatchFirst ? [batchSize, steps, size] : [steps, batchSize, size]
  }

  /// Calls `body` with the table of the embedding and the width of its rows.
  func withEmbedding(_ body: (UnsafePointer<Float>, Int) -> Void) {
    guard let width = blueprint.embedding?.configuration.size, let embeddingTable else { return }
    unsafe embeddingTable.withUnsafeBufferPointer { table in
      guard let base = table.baseAddress else { return }
      unsafe body(base, width)
    }
  }

  /// The output layer as the kernels take it; its pointer lives as long as this does.
  @unsafe
  var kernelHead: strata_linear? {
    guard let head = blueprint.head?.configuration, let headWeights else { return nil }
    let activation: strata_activation =
      switch head.activation {
      case .none: STRATA_ACTIVATION_NONE
      case .sigmoid: STRATA_ACTIVATION_SIGMOID
      case .tanh: STRATA_ACTIVATION_TANH
      case .relu: STRATA_ACTIVATION_RELU
      case .softmax: STRATA_ACTIVATION_SOFTMAX
      }
    return unsafe strata_linear(
      activation: activation, input_size: head.inputSize, output_size: head.outputSize,
      weights: headWeights.floats)
  }
}
