import CLibrary
import KernelInterface

/// A bound of -log2 P(x) / dim for counts x: the mean over draws of -log p(x + u) / (dim log 2), u uniform in [0, 1). Theis,
/// van den Oord and Bethge 2016.
package struct BitsPerDim: Sendable {
  private let noise: DequantizationNoise
  private let draws: Int
  private let counts: [(column: Int, levels: Int)]

  package init(_ spec: FlowSpec, seed: UInt64, draws: Int) throws(DiffeoError) {
    try Limit.check("bits_per_dim.draws", draws)
    counts = spec.counts
    guard !counts.isEmpty else {
      throw DiffeoError(
        .invalid, "bits per dimension are of counts, and no layer of this flow dequantises columns of x")
    }
    noise = DequantizationNoise(seed: seed)
    self.draws = draws
  }

  /// Of the rows of a pass that has begun.
  @inline(__always)
  func answer<S: Scalar, T: Scalar>(
    _ batch: Batch<T>, _ rows: Range<Int>, _ model: Model<S>, _ begun: Pass<S>, _ bits: UnsafeMutablePointer<T>
  ) throws(DiffeoError) {
    let (scratch, stride) = (begun.scratch, begun.stride)
    try check(batch, rows, dim: model.dim)
    let order = try scratch.take(rows.count, of: Int32.self)
    for (r, row) in rows.enumerated() { order[r] = Int32(truncatingIfNeeded: row) }
    let sums = try scratch.take(stride, of: Double.self)
    sums.update(repeating: 0, count: stride)
    let x = try scratch.take(begun.count, of: S.self)
    x.update(from: begun.x, count: begun.count)
    for draw in 0..<draws {
      let mark = scratch.mark
      var pass = begun
      pass.x.update(from: x, count: begun.count)
      pass.logDet.update(repeating: 0, count: stride)
      try noise.fill(&pass, order, rows.count, epoch: draw)
      try withUnsafeMutablePointer(to: &pass) { pass throws(DiffeoError) in
        try model.logProb(Model<S>.Passes(start: pass, count: 1))
      }
      for r in 0..<rows.count { sums[r] -= pass.logDet[r] }
      scratch.release(to: mark)
    }
    let unit = Double(draws) * Double(model.dim) * log(2.0)
    for (r, row) in rows.enumerated() { bits[row] = T(sums[r] / unit) }
  }

  private func check<T: Scalar>(_ batch: Batch<T>, _ rows: Range<Int>, dim: Int) throws(DiffeoError) {
    guard let x = batch.x else { return }
    for row in rows {
      for (column, levels) in counts {
        let value = x[row * dim + column]
        guard DequantizeSpec.isCount(value, levels: levels) else {
          throw DiffeoError(
            .invalid,
            "x is \(value.words) in row \(row), column \(column): bits per dimension are of counts, "
              + DequantizeSpec.counts(levels: levels))
        }
      }
    }
  }
}
