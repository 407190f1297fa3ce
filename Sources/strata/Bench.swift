import ArgumentParser
import Checkpoints
import RecurrentNetworks

struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure how long one call takes.",
    discussion: """
      One call runs the whole [steps, batch, input] chunk from a zero state on random input, in this \
      process. Short calls are timed in groups.

      Option of --set: npz_void2=bf16|refuse, what elements of two bytes without a type are in npz and \
      npy files.
      """)

  @Argument(help: "The model.")
  var model: String

  @Option(help: ArgumentHelp("Steps of a call.", valueName: "t"))
  var steps = 1

  @Option(help: ArgumentHelp("Sequences of a call.", valueName: "n"))
  var batch = 1

  @Option(help: ArgumentHelp("How many threads a call may use.", valueName: "n"))
  var threads = 1

  @Option(
    help: ArgumentHelp(
      "The module to load, for a file that holds more than one model.", valueName: "path"))
  var module: String?

  @OptionGroup var reading: InputOptions

  @OptionGroup var options: OutputOptions

  func validate() throws {
    for (name, value) in [("--steps", steps), ("--batch", batch), ("--threads", threads)]
    where value < 1 {
      throw ValidationError("\(name) must be at least 1")
    }
  }

  func run() throws {
    let model = try SequenceModel(
      ModelBlueprint(file: model, reading.reading(), module: module))
    let blueprint = model.blueprint
    let (rows, overflow) = steps.multipliedReportingOverflow(by: batch)
    let outputs = model.outputShape(steps: 1, batchSize: 1).elementCount
    let width = max(blueprint.stackInputSize, blueprint.recurrentOutputSize, outputs)
    guard !overflow, rows <= (1 << 32) / width else {
      throw ValidationError("--steps and --batch: more than 2^32 values")
    }
    let session = model.makeSession(batchSize: batch, threads: threads)
    let vocabulary = blueprint.embedding?.configuration.vocabularySize
    let features = vocabulary == nil ? rows * blueprint.stackInputSize : 0
    let input = (0..<features).map { _ in Float.random(in: -1...1) }
    let tokens = vocabulary.map { size in (0..<rows).map { _ in Int.random(in: 0..<size) } } ?? []
    var output = [Float](
      repeating: 0, count: model.outputShape(steps: steps, batchSize: batch).elementCount)

    let clock = ContinuousClock()
    func time(calls: Int) throws -> Double {
      let duration = try clock.measure {
        for _ in 0..<calls {
          session.reset()
          if vocabulary == nil {
            try session.run(input, into: &output)
          } else {
            try session.run(tokens: tokens, into: &output)
          }
        }
      }
      return duration / .microseconds(1) / Double(calls)
    }
    // Groups of about a millisecond, so that the clock's own resolution does not count.
    _ = try time(calls: 1)
    let calls = max(1, Int(1000 / max(try time(calls: 3), 0.001)))
    var times: [Double] = []
    let start = clock.now
    while times.count < 5 || (start.duration(to: clock.now) < .seconds(1) && times.count < 1000) {
      times.append(try time(calls: calls))
    }
    times.sort()

    let report = BenchReport(
      medianMicroseconds: times[times.count / 2], leastMicroseconds: times[0], steps: steps,
      batch: batch, threads: threads, isa: session.instructionSet.description)
    try Output(options).report(report) { report.words }
  }
}

/// What `bench` reports.
private struct BenchReport: Encodable {
  var medianMicroseconds: Double
  var leastMicroseconds: Double
  var steps: Int
  var batch: Int
  var threads: Int
  var isa: String

  enum CodingKeys: String, CodingKey {
    case medianMicroseconds = "median_us"
    case leastMicroseconds = "min_us"
    case steps, batch, threads, isa
  }

  var words: String {
    "\(medianMicroseconds.shortText) µs median, \(leastMicroseconds.shortText) µs least, for "
      + "\(steps) steps of \(batch) sequences on \(threads) threads (\(isa))"
  }
}
