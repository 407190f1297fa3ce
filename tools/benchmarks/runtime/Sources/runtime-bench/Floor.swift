import CFloor
import Foundation
import Synchronization

/// What the processor can do at most, with several threads at once.
enum Floor {
  /// The instruction set that it is measured with.
  static var instructionSet: String { String(cString: floor_instruction_set()) }

  /// Operations in a second of all threads together; a fused multiplication and addition is two.
  static func arithmetic(threads: Int) -> Double {
    best(threads) { floor_arithmetic(0.02) }
  }

  /// Bytes in a second that all threads together read of `bytes`, each its own part.
  static func reading(bytes: Int, threads: Int) -> Double {
    best(threads) { floor_reading((bytes + threads - 1) / threads, 0.02) }
  }

  /// The best of five rounds: what else runs on the machine can only make one slower.
  private static func best(_ threads: Int, _ rate: @escaping @Sendable () -> Double) -> Double {
    (0..<5).map { _ in sum(threads, rate) }.max() ?? 0
  }

  private static func sum(_ threads: Int, _ rate: @escaping @Sendable () -> Double) -> Double {
    let rates = Rates()
    let group = DispatchGroup()
    for _ in 0..<threads {
      group.enter()
      Thread.detachNewThread {
        rates.add(rate())
        group.leave()
      }
    }
    group.wait()
    return rates.sum
  }
}

/// What threads reached, added up.
private final class Rates: Sendable {
  private let total = Mutex(0.0)

  var sum: Double { total.withLock { $0 } }

  func add(_ rate: Double) { total.withLock { $0 += rate } }
}
