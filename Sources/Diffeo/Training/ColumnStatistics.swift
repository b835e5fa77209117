import CLibrary

/// Mean and standard deviation by column of numbers that come tile by tile, in double precision; two passes.
struct ColumnStatistics {
  private(set) var mean: [Double]
  private(set) var deviation: [Double]

  /// Wants (tile, stride, rows, weights); weights: of the rows, with a mean of 1 over all, or nil for 1 each.
  typealias Visit<S: Scalar> = (UnsafePointer<S>, Int, Int, UnsafePointer<S>?) -> Void

  /// eachTile(visit) calls visit for every tile, in the same order each time.
  init<S: Scalar>(
    columns: Int, rows: Int,
    eachTile: (Visit<S>) throws(DiffeoError) -> Void
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

  /// In place of mean and deviation the median and half the distance between the quantiles Phi(-1) and Phi(1), which for
  /// a normal distribution are the same; a column in which these are equal keeps its deviation. rows: of all tiles.
  mutating func replaceByQuantiles<S: Scalar>(
    rows: Int, eachTile: (Visit<S>) throws(DiffeoError) -> Void
  ) throws(DiffeoError) {
    let columns = mean.count
    let pool = Pool()
    let values = try pool.take(columns * rows, of: S.self)
    let weights = try pool.take(rows, of: Double.self)
    var seen = 0
    try eachTile { tile, stride, count, given in
      for r in 0..<min(count, rows - seen) {
        for i in 0..<columns { values[i * rows + seen] = tile[i * stride + r] }
        weights[seen] = given.map { max(Double($0[r]), 0) } ?? 1
        seen += 1
      }
    }
    let total = (0..<seen).reduce(0) { $0 + weights[$1] }
    let tail = 0.5 * erfc(0.5.squareRoot())
    for i in 0..<columns {
      let column = values + i * rows
      let order = (0..<seen).sorted { column[$0] < column[$1] }
      /// The least number that so much of the weight is not above.
      func quantile(_ p: Double) -> Double {
        var sum = 0.0
        for row in order {
          sum += weights[row]
          if sum >= p * total { return Double(column[row]) }
        }
        return order.last.map { Double(column[$0]) } ?? .nan
      }
      let half = 0.5 * (quantile(1 - tail) - quantile(tail))
      mean[i] = quantile(0.5)
      if half > 0 { deviation[i] = half }
    }
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

  /// value: by the mean.
  mutating func replaceZeroDeviations(by value: (Double) -> Double) {
    for i in mean.indices where !(deviation[i] > 0) { deviation[i] = value(mean[i]) }
  }

  /// (x - mean) / deviation is x times the new deviation plus the new mean. Constant columns stay as they are.
  mutating func invert() {
    for i in mean.indices where deviation[i] > 0 {
      mean[i] = -mean[i] / deviation[i]
      deviation[i] = 1 / deviation[i]
    }
  }
}
