import Checkpoints
import Foundation
import RecurrentNetworks
import Synchronization
import TestSupport
import Testing

/// Many threads that share one model, or load one file: each answer is what one thread alone gets.
///
/// `STRATA_ROUNDS` says how often each of the eight threads does so; `tools/trust.d/threads` runs 10,000
/// rounds under ThreadSanitizer.
@Suite struct ManyThreadsTests {
  static let rounds = ProcessInfo.processInfo.environment["STRATA_ROUNDS"].flatMap(Int.init) ?? 40
  static let threadCount = 8

  /// Runs `body` on eight threads at once, with the thread's number, until all have ended.
  private func onThreads(_ body: @escaping @Sendable (Int) throws -> Void) throws {
    let group = DispatchGroup()
    let faults = Mutex<[String]>([])
    let start = Atomic<Int>(0)
    let shared = Shared(faults: faults, start: start)
    for number in 0..<Self.threadCount {
      group.enter()
      Thread.detachNewThread {
        // All at the same moment.
        shared.start.add(1, ordering: .relaxed)
        while shared.start.load(ordering: .relaxed) < Self.threadCount { sched_yield() }
        do {
          try body(number)
        } catch {
          shared.faults.withLock { $0.append("thread \(number): \(error)") }
        }
        group.leave()
      }
    }
    group.wait()
    #expect(shared.faults.withLock { $0 } == [])
  }

  private final class Shared: Sendable {
    let faults: Mutex<[String]>
    let start: Atomic<Int>

    init(faults: consuming Mutex<[String]>, start: consuming Atomic<Int>) {
      self.faults = faults
      self.start = start
    }
  }

  private struct Difference: Error {}

  static let networks = [
    Network(
      RecurrentConfiguration(.lstm, 3, 17, layers: 2, bidirectional: true, projection: 4),
      head: HeadConfiguration(8, 3, .softmax, on: .finalState)),
    Network(RecurrentConfiguration(.gru, 3, 5, layers: 2)),
  ]

  @Test("Sessions of one model on eight threads, some of them on several threads themselves")
  func sessions() throws {
    for network in Self.networks {
      let model = try network.model()
      var generator = SeededGenerator(seed: 8)
      let input = generator.floats(5 * 2 * 3, 2)
      let expected = try model.makeSession(batchSize: 2).output(input).bits
      try onThreads { number in
        for round in 0..<(Self.rounds / Self.networks.count) {
          // Sessions of several threads share a pool's making, not its work.
          let threads = (number + round) % 16 == 0 ? 2 : 1
          let session = model.makeSession(batchSize: 2, threads: threads)
          guard try session.output(input).bits == expected else { throw Difference() }
        }
      }
    }
  }

  @Test("One file is loaded on eight threads, copied and mapped")
  func loads() throws {
    let directory = try TemporaryDirectory()
    let network = Self.networks[1]
    let checkpoint = try network.checkpoint()
    let paths = [directory.path("m.strata"), directory.path("d.strata")]
    try checkpoint.write(to: paths[0])
    try checkpoint.write(to: paths[1], options: WriteOptions(compression: .deflate))
    let input: [Float] = [1, 2, 3]
    let expected = try network.model().makeSession(batchSize: 1).output(input).bits
    try onThreads { number in
      for round in 0..<Self.rounds {
        let path = paths[(number + round) % 2]
        let model =
          switch (number + round) % 3 {
          case 0: try SequenceModel(contentsOf: path)
          case 1: try SequenceModel(Checkpoint(mappingImmutableFileAt: path))
          default: try SequenceModel(Checkpoint(contentsOf: path))
          }
        let bits = try model.makeSession(batchSize: 1).output(input).bits
        guard bits == expected else { throw Difference() }
      }
    }
  }

  @Test("One open file is read on eight threads")
  func readers() throws {
    let directory = try TemporaryDirectory()
    let checkpoint = try randomCheckpoint(seed: 13)
    let path = directory.path("m.strata")
    try checkpoint.write(to: path, options: WriteOptions(compression: .deflate))
    let reader = try CheckpointReader(contentsOf: path)
    try onThreads { _ in
      for _ in 0..<(Self.rounds / 20) {
        guard try Checkpoint(reader) == checkpoint else { throw Difference() }
      }
    }
  }
}
