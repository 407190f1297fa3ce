internal import CRecurrentKernels

/// The input of a recorded run.
public enum RecordedInput: Sendable {
  /// [steps, batch, inputSize], or [batch, steps, inputSize] in a batch-first model.
  case features([Float])
  /// [steps, batch], or [batch, steps] in a batch-first model that begins with an embedding.
  case tokens([Int])
}

/// Everything that a run gave.
public struct Recording: Hashable, Sendable {
  /// The steps of the run.
  public let steps: Int
  /// The last stack's output, `SequenceModel.recurrentOutputShape(steps:batchSize:)`.
  public let output: [Float]
  /// The head's output, `SequenceModel.outputShape(steps:batchSize:)`; nil without head.
  public let head: [Float]?
  /// What went on inside, layer by layer of every stack, forward before reverse; empty when that was
  /// not asked for.
  public let layers: [LayerRecording]

  /// What went on inside a layer of a stack in one direction.
  public func layer(
    _ layer: Int, direction: ParameterName.Direction = .forward, ofStack stack: Int = 0
  ) -> LayerRecording? {
    layers.first { $0.stack == stack && $0.layer == layer && $0.direction == direction }
  }
}

/// What went on inside one layer in one direction, at every step of every sequence.
///
/// In the order of the model's output; zero behind a sequence's own end.
public struct LayerRecording: Hashable, Sendable {
  /// The place of the stack in the model.
  public let stack: Int
  /// The layer.
  public let layer: Int
  /// The direction.
  public let direction: ParameterName.Direction
  /// h, [steps, batch, P or H].
  public let hidden: [Float]
  /// c of an LSTM, [steps, batch, H]; empty for other kinds.
  public let cell: [Float]
  /// The gates after their activation, [steps, batch, gates × H] in PyTorch's order; empty for an RNN.
  public let gates: [Float]
}

/// Where what goes on inside a layer is put.
@unsafe
struct InsideRows {
  let cells: Rows?
  let gates: Rows?
}

/// Takes down what goes on inside layers while they run.
final class LayerRecorder {
  private let model: SequenceModel
  private let steps: Int
  private let batchSize: Int
  private var slots: [Slot] = []

  private struct Slot {
    let stack: Int
    let layer: Int
    let direction: ParameterName.Direction
    let hidden: FloatMemory
    let cell: FloatMemory
    let gates: FloatMemory
  }

  init(_ model: SequenceModel, steps: Int, batchSize: Int) {
    self.model = model
    self.steps = steps
    self.batchSize = batchSize
    for (index, stack) in model.stacks.enumerated() {
      let configuration = stack.configuration
      let rows = steps * batchSize
      for layer in 0..<configuration.layerCount {
        for direction in configuration.directions {
          slots.append(
            Slot(
              stack: index, layer: layer, direction: direction,
              hidden: FloatMemory(count: rows * configuration.stateSize),
              cell: FloatMemory(count: rows * configuration.recordedCellSize),
              gates: FloatMemory(count: rows * configuration.recordedGateSize)))
        }
      }
    }
  }

  var recordings: [LayerRecording] {
    slots.map {
      LayerRecording(
        stack: $0.stack, layer: $0.layer, direction: $0.direction, hidden: $0.hidden.values,
        cell: $0.cell.values, gates: $0.gates.values)
    }
  }

  private func slot(_ stack: Int, _ layer: Int, _ direction: ParameterName.Direction) -> Slot {
    guard
      let slot = slots.first(where: {
        $0.stack == stack && $0.layer == layer && $0.direction == direction
      })
    else { preconditionFailure("a layer that the model does not have") }
    return slot
  }

  private func rows(_ memory: FloatMemory, width: Int, from step: Int) -> Rows {
    let strides =
      model.blueprint.isBatchFirst ? (width, steps * width) : (batchSize * width, width)
    return unsafe Rows(base: memory.base + step * strides.0, strides: strides)
  }

  /// Where the cell states and the gates of a layer go, from a step on.
  @unsafe
  func inside(
    _ stack: Int, _ layer: Int, _ direction: ParameterName.Direction, from step: Int
  ) -> InsideRows {
    let slot = slot(stack, layer, direction)
    let configuration = model.stacks[stack].configuration
    return unsafe InsideRows(
      cells: slot.cell.count > 0
        ? rows(slot.cell, width: configuration.recordedCellSize, from: step) : nil,
      gates: slot.gates.count > 0
        ? rows(slot.gates, width: configuration.recordedGateSize, from: step) : nil)
  }

  /// Copies the hidden states of a piece out of a layer's output.
  @unsafe
  func takeHidden(
    _ stack: Int, _ layer: Int, _ direction: ParameterName.Direction, _ piece: Range<Int>,
    _ lanes: Range<Int>, from source: Rows
  ) {
    let width = model.stacks[stack].configuration.stateSize
    let target = unsafe rows(
      slot(stack, layer, direction).hidden, width: width, from: piece.lowerBound)
    for step in 0..<piece.count {
      for lane in lanes {
        unsafe target.row(step, lane).update(from: source.row(step, lane), count: width)
      }
    }
  }
}

extension RecurrentConfiguration {
  /// Features of a recorded cell state.
  var recordedCellSize: Int { kind == .lstm ? hiddenSize : 0 }

  /// Features of the recorded gates.
  var recordedGateSize: Int { kind == .rnn ? 0 : kind.gateCount * hiddenSize }
}
