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
    _ rows: any RowSource<S>, _ range: Range<Int>, minibatch: Int, _ scores: inout RowScores
  ) throws(DiffeoError) -> Double {
    try tiles.compute(
      rows: range.count, number: minibatch,
      load: { part, pass throws(DiffeoError) in
        try rows.load(range.lowerBound + part.lowerBound..<range.lowerBound + part.upperBound, &pass)
      },
      score: { row, value, weight in scores.add(value, weight: weight, row: rows.number(of: range.lowerBound + row)) })
  }

  @_specialize(where S == Float)
  @_specialize(where S == Double)
  func scores(_ rows: any RowSource<S>) throws(DiffeoError) -> RowScores {
    let pool = Pool()
    let values = try pool.take(rows.count, of: Double.self)
    let weights = try pool.take(rows.count, of: Double.self)
    try flow.eachTile(of: rows, flow.workspace) { range, pass throws(DiffeoError) in
      try logProb(&pass)
      for (r, row) in range.enumerated() {
        values[row] = pass.logDet[r]
        weights[row] = pass.weights.map { Double($0[r]) } ?? 1
      }
    }
    var scores = RowScores(rows: rows.count)
    for row in 0..<rows.count { scores.add(values[row], weight: weights[row], row: rows.number(of: row)) }
    return scores
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
