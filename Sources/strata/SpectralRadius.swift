/// The largest magnitude among the eigenvalues of a square matrix, in float64.
///
/// By Gelfand's formula, ρ(A) = lim ‖Aᵐ‖^(1/m), over m = 1, 2, 4, … by repeated squaring; for a larger
/// matrix by the growth of one vector over many products, which is exact to some thousandths.
struct SpectralRadius {
  let value: Double
  /// Whether it is estimated from the growth of a vector.
  let isEstimated: Bool

  /// The largest matrix that is squared, and the largest that is multiplied with vectors: work and memory
  /// have an end.
  static let squaredSize = 128
  static let largestSize = 1024

  private static let mostSquarings = 30
  private static let skippedSteps = 64
  private static let measuredHalvings = 9
  private static let measuredSteps = 1 << measuredHalvings

  /// - Parameter matrix: Row by row.
  /// - Returns: nil for a matrix that is too large, or not finite.
  init?(_ matrix: [Double], size: Int) {
    guard size > 0, size <= Self.largestSize, matrix.count == size * size,
      matrix.allSatisfy(\.isFinite)
    else { return nil }
    isEstimated = size > Self.squaredSize
    value = isEstimated ? Self.growth(matrix, size) : Self.squared(matrix, size)
  }

  private static func norm(_ values: [Double]) -> Double {
    // Scaled, so that no square overflows.
    let largest = values.reduce(0) { max($0, abs($1)) }
    guard largest > 0 else { return 0 }
    let sum = values.reduce(0.0) { $0 + ($1 / largest) * ($1 / largest) }
    return largest * sum.squareRoot()
  }

  private static func squared(_ matrix: [Double], _ size: Int) -> Double {
    let scale = norm(matrix)
    guard scale > 0 else { return 0 }
    var power = matrix.map { $0 / scale }
    // ‖Aᵐ‖^(1/m), m being 2^squaring.
    var root = scale
    var estimate = scale
    for squaring in 0..<mostSquarings {
      power = product(power, power, size, size, size)
      let scale = norm(power)
      // Some power of a nilpotent matrix is 0.
      guard scale > 0 else { return 0 }
      for index in power.indices { power[index] /= scale }
      // (‖A²ᵐ‖ / ‖Aᵐ‖)^(1/m), in which no constant factor is left.
      let better = root * Self.root(scale, halvings: squaring)
      root *= Self.root(scale, halvings: squaring + 1)
      let isSettled = squaring > 3 && abs(better - estimate) < 1e-12 * estimate
      estimate = better
      if isSettled { break }
    }
    return estimate
  }

  /// The 2^halvings-th root.
  private static func root(_ value: Double, halvings: Int) -> Double {
    (0..<halvings).reduce(value) { root, _ in root.squareRoot() }
  }

  private static func growth(_ matrix: [Double], _ size: Int) -> Double {
    // Any vector will do that no eigenvector is likely to be perpendicular to; always the same.
    var seed: UInt64 = 0x9E37_79B9_7F4A_7C15
    var vector = (0..<size).map { _ in
      seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Double(seed >> 11) * 0x1p-53 - 0.5
    }
    // The product of all growths, 512 factors below 2 and a power of 2.
    var significand = 1.0
    var exponent = 0
    for step in 0..<(skippedSteps + measuredSteps) {
      vector = product(matrix, vector, size, size, 1)
      let scale = norm(vector)
      guard scale > 0 else { return 0 }
      for index in vector.indices { vector[index] /= scale }
      guard step >= skippedSteps else { continue }
      significand *= scale.significand
      exponent += Int(scale.exponent)
    }
    // The remainder is below 512, so that nothing overflows.
    let (whole, rest) = (exponent >> measuredHalvings, exponent & (measuredSteps - 1))
    let mean = root(
      Double(sign: .plus, exponent: rest, significand: significand), halvings: measuredHalvings)
    return Double(sign: .plus, exponent: whole, significand: mean)
  }

  /// The product of [rows, inner] and [inner, columns].
  static func product(
    _ left: [Double], _ right: [Double], _ rows: Int, _ inner: Int, _ columns: Int
  ) -> [Double] {
    var result = [Double](repeating: 0, count: rows * columns)
    for row in 0..<rows {
      for middle in 0..<inner {
        let factor = left[row * inner + middle]
        if factor == 0 { continue }
        for column in 0..<columns {
          result[row * columns + column] += factor * right[middle * columns + column]
        }
      }
    }
    return result
  }
}
