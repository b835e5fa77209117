/// Mean and standard deviation by column of numbers that come tile by tile, in double precision; two passes.
struct ColumnStatistics {
  private(set) var mean: [Double]
  private(set) var deviation: [Double]

  /// eachTile(visit) calls visit(tile, stride, rows) for every tile, in the same order each time.
  init<S: Scalar>(
    columns: Int, rows: Int,
    eachTile: ((UnsafePointer<S>, Int, Int) -> Void) throws(DiffeoError) -> Void
  ) throws(DiffeoError) {
    var sums = [Double](repeating: 0, count: columns)
    try eachTile { tile, stride, count in
      for i in 0..<columns { for r in 0..<count { sums[i] += Double(tile[i * stride + r]) } }
    }
    let mean = sums.map { $0 / Double(max(rows, 1)) }
    sums = [Double](repeating: 0, count: columns)
    try eachTile { tile, stride, count in
      for i in 0..<columns {
        for r in 0..<count {
          let difference = Double(tile[i * stride + r]) - mean[i]
          sums[i] += difference * difference
        }
      }
    }
    self.mean = mean
    deviation = sums.map { ($0 / Double(max(rows, 1))).squareRoot() }
  }

  mutating func replaceZeroDeviations(by value: Double) {
    deviation = deviation.map { $0 > 0 ? $0 : value }
  }

  /// (x - mean) / deviation is x times the new deviation plus the new mean. Constant columns stay as they are.
  mutating func invert() {
    for i in mean.indices where deviation[i] > 0 {
      mean[i] = -mean[i] / deviation[i]
      deviation[i] = 1 / deviation[i]
    }
  }
}
