/// The singular values of a matrix by one-sided Jacobi rotations, in float64.
///
/// Pairs of rows are rotated until all are orthogonal; their lengths are then the singular values, small
/// ones accurate too. Source: Demmel and Veselić, *Jacobi's method is more accurate than QR*, 1992.
enum SingularValues {
  /// The largest side that is worth the time, which grows with its third power.
  static let sizeLimit = 512
  /// The sum of third powers of sides, over all matrices of a file, that is worth the time.
  static let workLimit = 600_000_000
  /// Sweeps after which it has always come to rest: ten are usual.
  private static let sweepLimit = 40

  /// The values, largest first.
  /// - Parameter matrix: Finite numbers, in rows of equal length, at least one.
  static func of(_ matrix: [ArraySlice<Double>]) -> [Double] {
    let columns = matrix[0].count
    // The fewer of rows and columns: the others would only come to zero.
    let (count, width) = (min(matrix.count, columns), max(matrix.count, columns))
    // One below the other in one array, so that a rotation copies nothing.
    var rows =
      matrix.count <= columns
      ? matrix.flatMap(\.self)
      : (0..<columns).flatMap { column in matrix.map { $0[$0.startIndex + column] } }
    // Squares of very large or very small numbers would overflow or vanish.
    let scale = rows.reduce(0) { max($0, $1.magnitude) }
    guard scale > 0 else { return Array(repeating: 0, count: count) }
    for index in rows.indices { rows[index] /= scale }
    for _ in 0..<sweepLimit where !sweep(&rows, count: count, width: width) { break }
    return (0..<count).map { row in
      rows[(row * width)..<((row + 1) * width)].reduce(0) { $0 + $1 * $1 }.squareRoot() * scale
    }.sorted(by: >)
  }

  /// Rotates every pair of rows that is not orthogonal; tells whether there was one.
  private static func sweep(_ rows: inout [Double], count: Int, width: Int) -> Bool {
    var hasRotated = false
    for first in 0..<count {
      for second in (first + 1)..<max(count, first + 1) {
        let (p, q) = (first * width, second * width)
        var (pp, qq, pq) = (0.0, 0.0, 0.0)
        for column in 0..<width {
          let (left, right) = (rows[p + column], rows[q + column])
          pp += left * left
          qq += right * right
          pq += left * right
        }
        guard pq.magnitude > 1e-15 * (pp * qq).squareRoot() else { continue }
        hasRotated = true
        let cotangent = (qq - pp) / (2 * pq)
        let root = (1 + cotangent * cotangent).squareRoot()
        let tangent = (cotangent < 0 ? -1 : 1) / (cotangent.magnitude + root)
        let cosine = 1 / (1 + tangent * tangent).squareRoot()
        let sine = cosine * tangent
        for column in 0..<width {
          let (left, right) = (rows[p + column], rows[q + column])
          rows[p + column] = cosine * left - sine * right
          rows[q + column] = sine * left + cosine * right
        }
      }
    }
    return hasRotated
  }
}
