import Glibc

/// The trainer's own copy of rows, in the type of the flow.
final class DataSet<S: Scalar>: @unchecked Sendable {
  let rows: Int
  let dim: Int
  let contextDim: Int
  let x: UnsafeMutablePointer<S>
  let context: UnsafeMutablePointer<S>
  private let pool = Pool()

  init<T: Scalar>(_ batch: Batch<T>, dim: Int, contextDim: Int) throws(DiffeoError) {
    rows = batch.rows
    self.dim = dim
    self.contextDim = contextDim
    x = try pool.take(rows * dim)
    context = try pool.take(rows * contextDim)
    if let source = batch.x { try copy(source, "x", dim, shared: false, to: x) }
    if let source = batch.context {
      try copy(source, "context", contextDim, shared: batch.contextIsShared, to: context)
    }
  }

  private func copy<T: Scalar>(
    _ source: UnsafePointer<T>, _ name: String, _ columns: Int, shared: Bool,
    to target: UnsafeMutablePointer<S>
  ) throws(DiffeoError) {
    for r in 0..<rows {
      for i in 0..<columns {
        let value = S(source[(shared ? 0 : r * columns) + i])
        guard value.isFinite else {
          throw DiffeoError(.numeric, "\(name) has \(value) at row \(shared ? 0 : r), column \(i)")
        }
        target[r * columns + i] = value
      }
    }
  }

  /// A tile of the rows that `order` names.
  @inline(__always)
  func load(_ order: UnsafePointer<Int32>, _ count: Int, _ pass: inout Pass<S>) {
    gather(x, dim, order, count, pass.x, pass.stride)
    gather(context, contextDim, order, count, pass.context, pass.stride)
  }

  @inline(__always)
  private func gather(
    _ source: UnsafeMutablePointer<S>, _ columns: Int, _ order: UnsafePointer<Int32>, _ count: Int,
    _ tile: UnsafeMutablePointer<S>, _ stride: Int
  ) {
    for r in 0..<count {
      let row = source + Int(order[r]) * columns
      for i in 0..<columns { tile[i * stride + r] = row[i] }
    }
    for r in count..<stride {
      for i in 0..<columns { tile[i * stride + r] = 0 }
    }
  }
}

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
