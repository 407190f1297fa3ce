import Foundation
import RecurrentNetworks

/// A model, and inputs to run it on again and again.
struct Work {
  private let session: Session
  private let inputs: [[Float]]
  private let outputCount: Int

  /// - Parameters:
  ///   - model: A model file.
  ///   - inputs: A file of float32 values, one or more inputs of [steps, batch, features].
  init(model: String, inputs: String, steps: Int, batchSize: Int, threads: Int) throws {
    let model = try SequenceModel(contentsOf: model)
    session = model.makeSession(batchSize: batchSize, threads: threads)
    let values = try Data(contentsOf: URL(fileURLWithPath: inputs)).withUnsafeBytes { bytes in
      Array(bytes.bindMemory(to: Float.self))
    }
    let count = steps * batchSize * model.blueprint.stackInputSize
    guard !values.isEmpty, values.count.isMultiple(of: count) else {
      throw RequestError(description: "\(inputs): expected inputs of \(count) values")
    }
    self.inputs = stride(from: 0, to: values.count, by: count).map {
      Array(values[$0..<$0 + count])
    }
    outputCount = model.outputShape(steps: steps, batchSize: batchSize).elementCount
  }

  /// The outputs for all inputs one behind the other, each from a zero state.
  func outputs() throws -> [Float] {
    try inputs.flatMap { input in
      var output = [Float](repeating: 0, count: outputCount)
      session.reset()
      try session.run(input, into: &output)
      return output
    }
  }

  /// How long a call on the first input takes on average, in microseconds.
  ///
  /// Each call begins with a zero state, as the peers' calls do; in a stream, with that of the last one.
  /// They are made in groups that grow until one takes `seconds`; that one counts. The first call wakes
  /// threads and fills caches, and never counts.
  func microseconds(forAtLeast seconds: Double, isStream: Bool) throws -> Double {
    let (session, input) = (session, inputs[0])
    var output = [Float](repeating: 0, count: outputCount)
    session.reset()
    try session.run(input, into: &output)
    let clock = ContinuousClock()
    var calls = 1
    while true {
      let begin = clock.now
      for _ in 0..<calls {
        if !isStream { session.reset() }
        try session.run(input, into: &output)
      }
      let elapsed = begin.duration(to: clock.now) / .seconds(1)
      if elapsed >= seconds { return elapsed / Double(calls) * 1e6 }
      calls = max(2 * calls, Int(1.1 * seconds / max(elapsed, 1e-8) * Double(calls)))
    }
  }
}
