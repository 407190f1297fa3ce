/// The singular values of a matrix by one-sided Jacobi rotations, in float64.
///
/// Pairs of rows are rotated until all are orthogonal; their lengths are then the singular values, small
/// ones accurate too. Source: Demmel and Veselić, *Jacobi's method is more accurate than QR*, 1992.
enum SingularValues {
  /// The largest side that is worth the time, which grows with its third power.
  static let sizeLimit = 256
  /// The sum of third powers of sides, over all matrices of a file, that is worth the time.
  static let workLimit = 150_000_000
  /// Sweeps after which it has always come to rest: ten are usual.
  private static let sweepLimit = 40

  /// The values, largest first.
  /// - Parameter matrix: Finite numbers, in rows of equal length, at least one.
  static func of(_ matrix: [ArraySlice<Double>]) -> [Double] {
    let width = matrix[0].count
    // The fewer of rows and columns: the others would only come to zero.
    var rows: [[Double]] =
      matrix.count <= width
      ? matrix.map(Array.init)
      : (0..<width).map { column in matrix.map { $0[$0.startIndex + column] } }
    // Squares of very large or very small numbers would overflow or vanish.
    let scale = rows.reduce(0) { max($0, $1.reduce(0) { max($0, $1.magnitude) }) }
    guard scale > 0 else { return rows.map { _ in 0 } }
    for row in rows.indices {
      for column in rows[row].indices { rows[row][column] /= scale }
    }
    for _ in 0..<sweepLimit where !sweep(&rows) { break }
    return rows.map { dot($0, $0).squareRoot() * scale }.sorted(by: >)
  }

  /// Rotates every pair of rows that is not orthogonal; tells whether there was one.
  private static func sweep(_ rows: inout [[Double]]) -> Bool {
    var hasRotated = false
    for first in rows.indices {
      for second in rows.indices.dropFirst(first + 1) {
        let (p, q) = (rows[first], rows[second])
        let (pp, qq, pq) = (dot(p, p), dot(q, q), dot(p, q))
        guard pq.magnitude > 1e-15 * (pp * qq).squareRoot() else { continue }
        hasRotated = true
        let cotangent = (qq - pp) / (2 * pq)
        let root = (1 + cotangent * cotangent).squareRoot()
        let tangent = (cotangent < 0 ? -1 : 1) / (cotangent.magnitude + root)
        let cosine = 1 / (1 + tangent * tangent).squareRoot()
        let sine = cosine * tangent
        for column in p.indices {
          rows[first][column] = cosine * p[column] - sine * q[column]
          rows[second][column] = sine * p[column] + cosine * q[column]
        }
      }
    }
    return hasRotated
  }

  private static func dot(_ left: [Double], _ right: [Double]) -> Double {
    var sum = 0.0
    for index in left.indices { sum += left[index] * right[index] }
    return sum
  }
}
