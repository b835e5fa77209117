/// The trainer's own copy of rows, in the type of the flow.
final class DataSet<S: Scalar>: @unchecked Sendable {
  /// In messages.
  let name: String
  let rows: Int
  private let dim: Int
  private let contextDim: Int
  private let x: UnsafeMutablePointer<S>
  private let context: UnsafeMutablePointer<S>
  let weights: UnsafeMutablePointer<S>?
  private let pool = Pool()

  init<T: Scalar>(_ batch: Batch<T>, name: String, dim: Int, contextDim: Int, negativeWeights: Bool)
    throws(DiffeoError)
  {
    self.name = name
    rows = batch.rows
    self.dim = dim
    self.contextDim = contextDim
    x = try pool.take(rows * dim)
    context = try pool.take(rows * contextDim)
    weights = batch.weights == nil ? nil : try pool.take(rows)
    if let source = batch.x { try copy(source, "x", dim, shared: false, to: x) }
    if let source = batch.context {
      try copy(source, "context", contextDim, shared: batch.contextIsShared, to: context)
    }
    if let source = batch.weights, let weights {
      try copy(source, "weights", 1, shared: false, to: weights)
      for r in 0..<rows where weights[r] < 0 && !negativeWeights {
        throw DiffeoError(
          .numeric, "weights has \(weights[r]) at row \(r): weights below 0 need the option negative_weights")
      }
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

  /// Of the rows that `order` names, times a factor.
  func loadWeights(_ order: UnsafePointer<Int32>, _ count: Int, _ pass: inout Pass<S>, factor: S) throws(DiffeoError) {
    guard let weights else { return }
    let tile = try pass.scratch.take(pass.stride, of: S.self)
    for r in 0..<pass.stride { tile[r] = r < count ? factor * weights[Int(order[r])] : 0 }
    pass.weights = UnsafePointer(tile)
  }

  /// The standard deviation of each column of x.
  func deviations() -> [Double] {
    (0..<dim).map { i in
      let mean = (0..<rows).reduce(0) { $0 + Double(x[$1 * dim + i]) } / Double(rows)
      let squares = (0..<rows).reduce(0) { $0 + (Double(x[$1 * dim + i]) - mean) * (Double(x[$1 * dim + i]) - mean) }
      return (squares / Double(rows)).squareRoot()
    }
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
