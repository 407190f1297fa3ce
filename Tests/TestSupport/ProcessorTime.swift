internal import Foundation

/// What a sanitizer makes of a program.
public enum Sanitizer {
  /// Whether this process and those that it starts are watched by one; `tools/sanitize` says so.
  public static let isOn = name != nil

  /// Whether it keeps tables of its own, for which processes that are to read a file only have to be left
  /// more rights.
  public static let needsRoom = isOn && name != "undefined"

  private static let name = ProcessInfo.processInfo.environment["STRATA_SANITIZER"]

  /// What bounds on processor time are multiplied with: the slowest, ThreadSanitizer, takes five to fifteen
  /// times as long.
  public static let slowness = isOn ? 15 : 1
}

/// The processor time that the calling thread spends in `body`.
///
/// Unlike the time on the clock it does not depend on what else the machine does, so that it may decide a
/// test.
public func processorTime(_ body: () throws -> Void) rethrows -> Duration {
  let begin = threadTime()
  try body()
  return threadTime() - begin
}

private func threadTime() -> Duration {
  var time = timespec()
  unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
}

/// The processor time that a process and those that it has started took so far; zero where that cannot be
/// seen.
public func processorTime(of process: Int32) -> Duration {
  let stat = String(
    decoding: FileManager.default.contents(atPath: "/proc/\(process)/stat") ?? Data(),
    as: UTF8.self)
  guard let end = stat.lastIndex(of: ")") else { return .zero }
  // Of the process and of the children that it has waited for, in user space and in the kernel.
  let fields = stat[end...].split(separator: " ").dropFirst(12).prefix(4)
  let ticks = fields.compactMap { Int($0) }.reduce(0, +)
  let own = Duration.milliseconds(ticks * 1000 / max(1, sysconf(Int32(_SC_CLK_TCK))))
  return children(of: process).reduce(own) { $0 + processorTime(of: $1) }
}

/// The most memory that a process and those that it has started had resident so far; 0 where that cannot
/// be seen.
public func residentBytes(of process: Int32) -> Int {
  children(of: process).reduce(ownResidentBytes(of: process)) { $0 + residentBytes(of: $1) }
}

private func ownResidentBytes(of process: Int32) -> Int {
  // The high-water mark stands there as long as the process runs.
  let status = FileManager.default.contents(atPath: "/proc/\(process)/status") ?? Data()
  for line in String(decoding: status, as: UTF8.self).split(separator: "\n")
  where line.hasPrefix("VmHWM:") {
    return (Int(line.split(separator: " ")[1]) ?? 0) * 1024
  }
  return 0
}

private func children(of process: Int32) -> [Int32] {
  let list = "/proc/\(process)/task/\(process)/children"
  let numbers = String(
    decoding: FileManager.default.contents(atPath: list) ?? Data(), as: UTF8.self)
  return numbers.split(separator: " ").compactMap { Int32($0) }
}
