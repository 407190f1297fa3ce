#if canImport(Darwin)
  import Darwin
#elseif canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Android)
  import Android
#endif

/// A logarithmic axis between two positive numbers.
struct LogScale {
  /// What stands at 0.
  var low: Double
  /// What stands at 1.
  var high: Double

  /// The place of a number on the axis, 0 to 1; numbers outside stand at its ends.
  func place(of value: Double) -> Double {
    guard value > low else { return 0 }
    guard value < high else { return 1 }
    return log10(value / low) / log10(high / low)
  }

  /// The largest power of ten that is at most `value`, which is positive.
  static func powerOfTen(below value: Double) -> Double { pow(10, floor(log10(value))) }

  /// The least power of ten that is at least `value`, which is positive.
  static func powerOfTen(above value: Double) -> Double { pow(10, ceil(log10(value))) }
}
