/// The mean log-likelihood of the rows.
final class Likelihood<S: Scalar>: Objective {
  let gradient: ParameterVector<S>
  private let flow: FlowInTraining<S>
  private let tiles: LikelihoodGradient<S>

  /// rows: of a minibatch, at most.
  init(_ flow: FlowInTraining<S>, rows: Int) throws(DiffeoError) {
    self.flow = flow
    gradient = try ParameterVector(count: flow.parameters.count)
    tiles = try LikelihoodGradient(flow, gradient, rows: rows)
  }

  @_specialize(where S == Float)
  @_specialize(where S == Double)
  func computeGradient(
    _ rows: any RowSource<S>, _ range: Range<Int>, minibatch: Int
  ) throws(DiffeoError) -> (sum: Double, squares: Double) {
    try tiles.compute(rows: range.count, number: minibatch) { part, pass throws(DiffeoError) in
      try rows.load(range.lowerBound + part.lowerBound..<range.lowerBound + part.upperBound, &pass)
    }
  }

  @_specialize(where S == Float)
  @_specialize(where S == Double)
  func mean(_ rows: any RowSource<S>) throws(DiffeoError) -> Double {
    let tileCount = Tiling.count(rows.count)
    let pool = Pool()
    let sums = try pool.take(tileCount, of: Double.self)
    try flow.eachTile(of: rows, flow.workspace) { range, pass throws(DiffeoError) in
      try logProb(&pass)
      for r in 0..<range.count { sums[range.lowerBound / Tiling.rows] += pass.logDet[r] }
    }
    var total = 0.0
    for tile in 0..<tileCount { total += sums[tile] }
    return total / Double(rows.count)
  }

  /// Some rows have no density whatever the parameters.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  func check(_ rows: any RowSource<S>) throws(DiffeoError) {
    if !flow.spec.limitsSupport { return }
    try flow.eachTile(of: rows, flow.workspace) { range, pass throws(DiffeoError) in
      try logProb(&pass)
      for r in 0..<range.count where !pass.logDet[r].isFinite {
        throw DiffeoError(
          .numeric,
          "\(rows.name(of: range.lowerBound + r)) has no density: it is outside of the support of this flow")
      }
    }
  }

  @inline(__always)
  private func logProb(_ pass: inout Pass<S>) throws(DiffeoError) {
    flow.model.begin(&pass)
    try flow.model.logProb(&pass)
  }
}
