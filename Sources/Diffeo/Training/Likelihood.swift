/// The mean log-likelihood of the rows.
final class Likelihood<S: Scalar>: Objective {
  let gradient: ParameterVector<S>
  private let flow: FlowInTraining<S>
  private let tiles: LikelihoodGradient<S>

  /// rows: of a minibatch, at most. seed: of what networks leave out.
  init(_ flow: FlowInTraining<S>, rows: Int, seed: UInt64) throws(DiffeoError) {
    self.flow = flow
    gradient = try ParameterVector(count: flow.parameters.count)
    tiles = try LikelihoodGradient(flow, gradient, rows: rows, seed: seed)
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
    let most = min(rows.count, 1 << 16)
    let values = try pool.take(most, of: Double.self)
    let weights = try pool.take(most, of: Double.self)
    var scores = RowScores(rows: rows.count)
    for stretch in rows.stretches {
      for first in stride(from: stretch.lowerBound, to: stretch.upperBound, by: most) {
        let part = first..<min(first + most, stretch.upperBound)
        try flow.eachTile(of: rows, part, flow.workspace) { range, pass throws(DiffeoError) in
          try logProb(&pass)
          for (r, row) in range.enumerated() {
            values[row - first] = pass.logDet[r]
            weights[row - first] = pass.weights.map { Double($0[r]) } ?? 1
          }
        }
        for row in part { scores.add(values[row - first], weight: weights[row - first], row: rows.number(of: row)) }
      }
    }
    return scores
  }

  /// Some rows have no density whatever the parameters.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  func check(_ rows: any RowSource<S>) throws(DiffeoError) {
    let (layers, counts) = (flow.spec.limitingLayers, flow.spec.counts)
    if !flow.spec.limitsSupport, counts.isEmpty { return }
    try flow.eachTile(of: rows, flow.workspace) { range, pass throws(DiffeoError) in
      try checkCounts(pass, range, counts, rows)
      if let layers {
        try flow.model.begin(&pass)
        try flow.model.forward(&pass, layers: layers)
        for i in 0..<pass.dim {
          for r in 0..<range.count where !pass.x[i * pass.stride + r].isFinite { pass.logDet[r] = -.infinity }
        }
      } else {
        try logProb(&pass)
      }
      for r in 0..<range.count where !pass.logDet[r].isFinite {
        throw flow.noDensity(rows, range.lowerBound + r)
      }
    }
  }

  @inline(__always)
  private func checkCounts(
    _ pass: Pass<S>, _ range: Range<Int>, _ counts: [(column: Int, levels: Int)], _ rows: any RowSource<S>
  ) throws(DiffeoError) {
    for (column, levels) in counts {
      for r in 0..<range.count {
        let value = pass.x[column * pass.stride + r]
        guard DequantizeSpec.isCount(value, levels: levels) else {
          throw flow.noCount(rows, range.lowerBound + r, value, column: column, levels: levels)
        }
      }
    }
  }

  @inline(__always)
  private func logProb(_ pass: inout Pass<S>) throws(DiffeoError) {
    try flow.model.begin(&pass)
    try flow.model.logProb(&pass)
  }
}
