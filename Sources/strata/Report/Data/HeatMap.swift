/// A matrix as it is drawn: of a large one each cell shows the value of the largest magnitude in a block.
///
/// The mean of a block would be nearly zero wherever weights are many, and outliers would vanish.
struct HeatMap: Encodable {
  /// The most cells in either direction.
  struct Limit {
    var rows: Int
    var columns: Int

    static let weights = Limit(rows: 40, columns: 40)
    static let states = Limit(rows: 48, columns: 120)
  }

  /// Rows and columns of the matrix.
  var shape: [Int]
  /// Rows and columns of the matrix in a cell.
  var block: [Int]
  /// The cells, row by row; NaN where a block holds one.
  var values: [[Float]]

  /// Down-samples rows of equal length where they are more than the limit.
  init(_ rows: [ArraySlice<Double>], limit: Limit) {
    let width = rows.first?.count ?? 0
    shape = [rows.count, width]
    let height = Self.block(of: rows.count, limit: limit.rows)
    let length = Self.block(of: width, limit: limit.columns)
    block = [height, length]
    values = stride(from: 0, to: rows.count, by: height).map { top in
      let band = rows[top..<min(top + height, rows.count)]
      return stride(from: 0, to: width, by: length).map { left in
        var largest = 0.0
        for row in band {
          let start = row.startIndex + left
          for value in row[start..<min(start + length, row.endIndex)]
          where value.isNaN || value.magnitude > largest.magnitude {
            largest = value
            if value.isNaN { return .nan }
          }
        }
        return Float(largest)
      }
    }
  }

  private static func block(of count: Int, limit: Int) -> Int {
    max(1, (count + limit - 1) / limit)
  }

  /// Whether a cell stands for more than one value.
  var isReduced: Bool { block != [1, 1] }
}
