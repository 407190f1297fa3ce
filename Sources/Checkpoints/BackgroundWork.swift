internal import Dispatch
internal import Synchronization

#if canImport(Darwin)
  internal import Darwin
#elseif canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#elseif canImport(Android)
  internal import Android
#endif

/// Work on a thread of its own, or on the one that asks for it where no other is to be had.
///
/// Dispatch's queues wait where the system refuses a thread, for ever under a cap on memory.
package final class BackgroundWork<Value: Sendable>: Sendable {
  private let group = DispatchGroup()
  private let outcome = Mutex<Value?>(nil)

  /// Begins.
  package init(_ body: @escaping @Sendable () -> Value) {
    group.enter()
    let work: @Sendable () -> Void = { [self] in
      let value = body()
      outcome.withLock { $0 = value }
      group.leave()
    }
    if !startThread(work) { work() }
  }

  /// Waits for the end.
  package func wait() { group.wait() }

  /// What came of it; waits until it is known.
  package func value() -> Value {
    wait()
    guard let value = outcome.withLock({ $0 }) else { preconditionFailure("work without an end") }
    return value
  }
}

/// The processors that are there.
var processorCount: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }

/// Runs a body on a thread of its own.
/// - Returns: false where none is to be had.
package func startThread(_ body: @escaping @Sendable () -> Void) -> Bool {
  let start = unsafe Unmanaged.passRetained(ThreadBody(run: body))
  #if canImport(Darwin)
    var thread: pthread_t?
  #else
    var thread: pthread_t = 0
  #endif
  guard unsafe pthread_create(&thread, nil, runThread, start.toOpaque()) == 0 else {
    unsafe start.release()
    return false
  }
  #if canImport(Darwin)
    if let thread { unsafe pthread_detach(thread) }
  #else
    pthread_detach(thread)
  #endif
  return true
}

private final class ThreadBody: Sendable {
  let run: @Sendable () -> Void

  init(run: @escaping @Sendable () -> Void) { self.run = run }
}

#if canImport(Darwin)
  @unsafe
  private func runThread(_ body: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    unsafe Unmanaged<ThreadBody>.fromOpaque(body).takeRetainedValue().run()
    return nil
  }
#else
  @unsafe
  private func runThread(_ body: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let body = unsafe body else { return nil }
    unsafe Unmanaged<ThreadBody>.fromOpaque(body).takeRetainedValue().run()
    return nil
  }
#endif
