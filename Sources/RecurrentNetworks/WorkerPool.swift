internal import Checkpoints
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

/// The threads that help a session, and what they wait for.
///
/// They are made once. Between calls each looks for work for a short while, as the next call often comes
/// at once, and then sleeps.
final class WorkerPool {
  /// The threads, the caller's among them.
  let count: Int
  private let work: SharedWork

  /// Makes the threads, fewer where the system has no more of them.
  init(count: Int) {
    let work = SharedWork()
    var helpers = 0
    for index in 1..<max(1, count) {
      // Nobody waits for their end: what they use, they hold.
      guard startThread({ work.help(index) }) else { break }
      helpers += 1
    }
    work.helpers = helpers
    self.work = work
    self.count = helpers + 1
  }

  deinit { work.stop() }

  /// Calls `body` with 0 here and with every other number up to the count on a thread of its own; returns
  /// when all have returned.
  func run(_ body: (Int) -> Void) {
    withoutActuallyEscaping(body) { body in
      work.begin(body)
      body(0)
      work.waitForHelpers()
    }
  }

  /// Waits until all threads have called it.
  func meet() { work.meet() }

  /// What `meetThreads` takes.
  @unsafe var context: UnsafeMutableRawPointer {
    unsafe Unmanaged.passUnretained(work).toOpaque()
  }
}

/// `meet` of the pool whose context it is, as the kernels call it.
func meetThreads(_ context: UnsafeMutableRawPointer?) {
  guard let context = unsafe context else { return }
  unsafe Unmanaged<SharedWork>.fromOpaque(context).takeUnretainedValue().meet()
}

/// What the threads of a pool share.
@safe
private final class SharedWork: @unchecked Sendable {
  /// Written before the first call.
  var helpers = 0
  /// One more with every call.
  private let generation = Atomic<Int>(0)
  private let isStopping = Atomic<Bool>(false)
  /// Helpers that have returned from this call.
  private let returned = Atomic<Int>(0)
  private let arrived = Atomic<Int>(0)
  private let meetings = Atomic<Int>(0)
  /// Written before the generation changes and read behind it.
  private var body: ((Int) -> Void)?
  /// Sleepers wait for the condition.
  @unsafe private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  @unsafe private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init() {
    unsafe pthread_mutex_init(mutex, nil)
    unsafe pthread_cond_init(condition, nil)
  }

  deinit {
    unsafe pthread_mutex_destroy(mutex)
    unsafe pthread_cond_destroy(condition)
    unsafe mutex.deallocate()
    unsafe condition.deallocate()
  }

  /// About 20 microseconds of looking.
  private static let looks = 10_000

  func begin(_ body: @escaping (Int) -> Void) {
    returned.store(0, ordering: .relaxed)
    self.body = body
    change { generation.add(1, ordering: .releasing) }
  }

  func stop() {
    change { isStopping.store(true, ordering: .releasing) }
  }

  private func change(_ change: () -> Void) {
    unsafe pthread_mutex_lock(mutex)
    change()
    unsafe pthread_cond_broadcast(condition)
    unsafe pthread_mutex_unlock(mutex)
  }

  func waitForHelpers() {
    wait { returned.load(ordering: .acquiring) == helpers }
    body = nil
  }

  func help(_ index: Int) {
    var seen = 0
    while true {
      func isCalled() -> Bool {
        generation.load(ordering: .acquiring) != seen || isStopping.load(ordering: .acquiring)
      }
      var looks = 0
      while !isCalled(), looks < Self.looks { looks += 1 }
      if !isCalled() {
        unsafe pthread_mutex_lock(mutex)
        while !isCalled() { unsafe pthread_cond_wait(condition, mutex) }
        unsafe pthread_mutex_unlock(mutex)
      }
      if isStopping.load(ordering: .acquiring) { return }
      seen = generation.load(ordering: .acquiring)
      body?(index)
      returned.add(1, ordering: .acquiringAndReleasing)
    }
  }

  func meet() {
    let meeting = meetings.load(ordering: .acquiring)
    if arrived.add(1, ordering: .acquiringAndReleasing).newValue == helpers + 1 {
      arrived.store(0, ordering: .relaxed)
      meetings.add(1, ordering: .acquiringAndReleasing)
    } else {
      wait { meetings.load(ordering: .acquiring) != meeting }
    }
  }

  /// Waits for another thread that is at work: it looks, and then lets others run between looks.
  private func wait(_ isDone: () -> Bool) {
    var looks = 0
    while !isDone() {
      looks += 1
      if looks > Self.looks { sched_yield() }
    }
  }
}

/// A count that other threads wait for.
final class Milestones: Sendable {
  private let reached = Atomic<Int>(0)

  func reset() { reached.store(0, ordering: .relaxed) }

  func reach(_ count: Int) { reached.store(count, ordering: .releasing) }

  func wait(for count: Int) {
    var looks = 0
    while reached.load(ordering: .acquiring) < count {
      looks += 1
      if looks > 10_000 { sched_yield() }
    }
  }
}
