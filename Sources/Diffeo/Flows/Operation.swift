/// What can be asked of a flow, and where the answers go: rows in the caller's memory, row-major.
package enum Operation<T: Scalar> {
  package typealias Out = UnsafeMutablePointer<T>

  case logProb(Out)
  case logProbGradient(logProb: Out?, x: Out?, context: Out?)
  /// Data to noise.
  case toNoise(Out, logDet: Out?)
  /// Noise to data.
  case fromNoise(Out, logDet: Out?)
  /// Rows number firstRow, firstRow + 1... of a seed. The batch has no x.
  case sample(seed: UInt64, firstRow: UInt64, Out, logProb: Out?)
}

/// An operation on the tiles of a batch.
struct TileTask<S: Scalar, T: Scalar>: IndexedTask {
  let model: Model<S>
  let operation: Operation<T>
  let batch: Batch<T>

  func run(_ index: Int, _ scratch: Scratch) throws(DiffeoError) {
    let range = Tiling.range(index, batch.rows)
    var recording = false
    if case .logProbGradient = operation { recording = true }
    var pass = try model.newPass(Tiling.stride(range.count, S.self), recording: recording, scratch)
    pass.load(batch, range, contextDim: model.contextDim)
    model.begin(&pass)
    switch operation {
    case .logProb(let logProb):
      try model.logProb(&pass)
      storeLogProb(pass, range, logProb)

    case .logProbGradient(let logProb, let x, let context):
      let weight = try scratch.take(pass.stride, of: S.self)
      weight.update(repeating: 1, count: pass.stride)
      let (g, gContext) = try model.logProbGradient(&pass, weight: weight, sink: nil)
      if let logProb { storeLogProb(pass, range, logProb) }
      if let x { store(g, pass.stride, range, x, model.dim) }
      if let context { store(gContext, pass.stride, range, context, model.contextDim) }

    case .toNoise(let z, let logDet):
      try model.forward(&pass)
      store(pass.x, pass.stride, range, z, model.dim)
      storeLogDet(pass, range, logDet)

    case .fromNoise(let x, let logDet):
      try model.inverse(&pass)
      store(pass.x, pass.stride, range, x, model.dim)
      storeLogDet(pass, range, logDet)

    case .sample(let seed, let firstRow, let x, let logProb):
      try model.sample(seed, firstRow &+ UInt64(range.lowerBound), &pass)
      store(pass.x, pass.stride, range, x, model.dim)
      storeLogDet(pass, range, logProb)
    }
  }

  @inline(__always)
  private func store(
    _ tile: UnsafeMutablePointer<S>, _ stride: Int, _ range: Range<Int>, _ target: UnsafeMutablePointer<T>,
    _ columns: Int
  ) {
    Tiling.store(tile, stride, target + range.lowerBound * columns, range.count, columns)
  }

  @inline(__always)
  private func storeLogDet(_ pass: Pass<S>, _ range: Range<Int>, _ logDet: UnsafeMutablePointer<T>?) {
    if let logDet { for r in range { logDet[r] = T(pass.logDet[r - range.lowerBound]) } }
  }

  /// All weights are finite, so without a NaN in x or the context a NaN here comes from an overflow, or an infinity: far
  /// out, where the density is below all numbers. (logProb may be x, for dim 1.)
  @inline(__always)
  private func storeLogProb(_ pass: Pass<S>, _ range: Range<Int>, _ logProb: UnsafeMutablePointer<T>) {
    for r in range {
      var value = T(pass.logDet[r - range.lowerBound])
      if value.isNaN, !hasNaN(batch.x, r, model.dim),
        !hasNaN(batch.context, batch.contextIsShared ? 0 : r, model.contextDim)
      {
        value = -.infinity
      }
      logProb[r] = value
    }
  }

  private func hasNaN(_ rows: UnsafePointer<T>?, _ row: Int, _ columns: Int) -> Bool {
    guard let rows else { return false }
    return (0..<columns).contains { rows[row * columns + $0].isNaN }
  }
}
