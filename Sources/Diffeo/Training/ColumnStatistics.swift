/// Mean and standard deviation by column of numbers that come tile by tile, in double precision; two passes.
struct ColumnStatistics {
  private(set) var mean: [Double]
  private(set) var deviation: [Double]

  /// eachTile(visit) calls visit(tile, stride, rows, weights) for every tile, in the same order each time; weights: of the
  /// rows, with a mean of 1 over all, or nil for 1 each.
  init<S: Scalar>(
    columns: Int, rows: Int,
    eachTile: ((UnsafePointer<S>, Int, Int, UnsafePointer<S>?) -> Void) throws(DiffeoError) -> Void
  ) throws(DiffeoError) {
    /// Of the values, or of their squared distances from some numbers.
    func average(from means: [Double]? = nil) throws(DiffeoError) -> [Double] {
      var sums = [Double](repeating: 0, count: columns)
      try eachTile { tile, stride, count, weights in
        for i in 0..<columns {
          for r in 0..<count {
            var value = Double(tile[i * stride + r])
            if let means { value = (value - means[i]) * (value - means[i]) }
            sums[i] += weights.map { Double($0[r]) * value } ?? value
          }
        }
      }
      return sums.map { $0 / Double(max(rows, 1)) }
    }
    mean = try average()
    // Negative weights may make it less than nothing.
    deviation = try average(from: mean).map { max($0, 0).squareRoot() }
  }

  /// All columns of a channel get the mean and the deviation of the channel.
  mutating func pool(_ map: FeatureMap) {
    if map.places == 1 { return }
    for c in 0..<map.channels {
      let columns = map.start + c * map.places..<map.start + (c + 1) * map.places
      let average = columns.reduce(0) { $0 + mean[$1] } / Double(map.places)
      let squares = columns.reduce(0) {
        $0 + deviation[$1] * deviation[$1] + (mean[$1] - average) * (mean[$1] - average)
      }
      for i in columns { (mean[i], deviation[i]) = (average, (squares / Double(map.places)).squareRoot()) }
    }
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
