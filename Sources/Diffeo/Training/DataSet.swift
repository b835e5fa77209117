/// The trainer's own copy of rows, in the type of the flow.
final class DataSet<S: Scalar>: @unchecked Sendable {
  let role: RowsRole
  let rows: Int
  private let dim: Int
  private let contextDim: Int
  private let x: UnsafeMutablePointer<S>
  private let context: UnsafeMutablePointer<S>
  let weights: UnsafeMutablePointer<S>?
  private let pool = Pool()

  private init(_ role: RowsRole, rows: Int, dim: Int, contextDim: Int, isWeighted: Bool) throws(DiffeoError) {
    (self.role, self.rows, self.dim, self.contextDim) = (role, rows, dim, contextDim)
    x = try pool.take(rows * dim)
    context = try pool.take(rows * contextDim)
    weights = isWeighted ? try pool.take(rows) : nil
  }

  convenience init<T: Scalar>(_ batch: Batch<T>, _ role: RowsRole, dim: Int, contextDim: Int, negativeWeights: Bool)
    throws(DiffeoError)
  {
    try self.init(
      role, rows: batch.rows, dim: dim, contextDim: contextDim, isWeighted: batch.weights != nil)
    if let source = batch.x { try copy(source, role.name("x"), dim, shared: false, to: x) }
    if let source = batch.context {
      try copy(source, role.name("context"), contextDim, shared: batch.contextIsShared, to: context)
    }
    if let source = batch.weights, let weights {
      try copy(source, role.name("weights"), 1, shared: false, to: weights)
      try Self.checkWeights(weights, role, 0..<rows, negative: negativeWeights)
    }
  }

  /// All that a reader has.
  convenience init(_ reader: any RowReader, _ role: RowsRole, negativeWeights: Bool) throws(DiffeoError) {
    try self.init(
      role, rows: reader.rows, dim: reader.dim, contextDim: reader.contextDim, isWeighted: reader.isWeighted)
    try reader.read(0..<rows, into: RowBuffers(x, context, weights))
    try Self.checkFinite(x, role.name("x"), 0..<rows, dim)
    try Self.checkFinite(context, role.name("context"), 0..<rows, contextDim)
    if let weights { try Self.checkWeights(weights, role, 0..<rows, negative: negativeWeights) }
  }

  // MARK: - What rows must be

  /// range: the numbers of the rows.
  static func checkFinite(
    _ values: UnsafePointer<S>, _ name: String, _ range: Range<Int>, _ columns: Int
  ) throws(DiffeoError) {
    if let i = firstNotFinite(values, count: range.count * columns) {
      throw DiffeoError(
        .numeric, "\(name) has \(values[i].words) at row \(range.lowerBound + i / columns), column \(i % columns)")
    }
  }

  /// Of finite numbers or not.
  static func checkWeights(
    _ weights: UnsafePointer<S>, _ role: RowsRole, _ range: Range<Int>, negative: Bool
  ) throws(DiffeoError) {
    let name = role.name("weights")
    try checkFinite(weights, name, range, 1)
    for (i, row) in range.enumerated() where weights[i] < 0 && !negative {
      throw DiffeoError(
        .numeric, "\(name) has \(weights[i]) at row \(row): weights below 0 need the option negative_weights")
    }
  }

  /// Of the weights of some rows.
  static func checkSum(of sum: Double, _ count: Int, _ role: RowsRole) throws(DiffeoError) {
    guard sum > 0 else {
      throw DiffeoError(
        .numeric, "the weights of \(count) rows of \(role.name("x")) have the sum \(sum), it must be above 0")
    }
  }

  private func copy<T: Scalar>(
    _ source: UnsafePointer<T>, _ name: String, _ columns: Int, shared: Bool,
    to target: UnsafeMutablePointer<S>
  ) throws(DiffeoError) {
    for r in 0..<rows {
      for i in 0..<columns {
        let given = source[(shared ? 0 : r * columns) + i]
        let value = S(given)
        guard value.isFinite else {
          let words = given.isFinite ? ", which \(S.dtype.name), the dtype of this flow, cannot hold" : ""
          throw DiffeoError(
            .numeric, "\(name) has \(given.words) at row \(shared ? 0 : r), column \(i)\(words)")
        }
        target[r * columns + i] = value
      }
    }
  }

  private(set) lazy var fingerprint: UInt64 = {
    var fingerprint = Fingerprint()
    fingerprint.add(x, count: rows * dim)
    fingerprint.add(context, count: rows * contextDim)
    if let weights { fingerprint.add(weights, count: rows) }
    return fingerprint.value
  }()

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
