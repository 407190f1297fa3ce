/// How many values lie in each of equally wide bins.
struct Histogram: Encodable {
  /// The number of bins.
  static let binCount = 32

  /// Values by bin, from the lowest.
  var counts: [Int]
  /// The most that a bin holds.
  var most: Int
  /// The mean of the finite values; NaN when there is none.
  var mean: Double
  /// The standard deviation of the finite values, divided by their number.
  var deviation: Double
  /// How many values are NaN or infinite.
  var nonfinite: Int

  /// Counts the finite values, none of which lies outside of `range`.
  init(_ values: ArraySlice<Double>, in range: ClosedRange<Double>) {
    counts = Array(repeating: 0, count: Self.binCount)
    let finite = values.filter(\.isFinite)
    nonfinite = values.count - finite.count
    let width = range.upperBound - range.lowerBound
    for value in finite {
      // Halved, so that the difference of large numbers is no infinity.
      let place = width > 0 ? (value / 2 - range.lowerBound / 2) / (width / 2) : 0.5
      counts[min(Self.binCount - 1, max(0, Int(place * Double(Self.binCount))))] += 1
    }
    most = counts.max() ?? 0
    let count = Double(finite.count)
    let mean = finite.reduce(0) { $0 + $1 / count }
    self.mean = finite.isEmpty ? .nan : mean
    deviation =
      finite.isEmpty
      ? .nan
      : finite.reduce(0) { $0 + ($1 - mean) * (($1 - mean) / count) }.squareRoot()
  }
}
