/// What can be asked of a flow, and where the answers go: rows in the caller's memory, row-major.
package enum Operation<T: Scalar> {
  package typealias Out = UnsafeMutablePointer<T>

  case logProb(Out)
  /// Data to noise.
  case toNoise(Out, logDet: Out?)
  /// Noise to data.
  case fromNoise(Out, logDet: Out?)
  /// Rows number firstRow, firstRow + 1... of a seed. The batch has no x. temperature: by which the noise is drawn in.
  case sample(seed: UInt64, firstRow: UInt64, temperature: Double = 1, Out, logProb: Out?)
  /// Of counts, with the noise of a seed; see BitsPerDim.
  case bitsPerDim(BitsPerDim, Out)
}

/// An operation on a batch, a few tiles at a time.
struct TileTask<S: Scalar, T: Scalar>: IndexedTask {
  private let model: Model<S>
  private let operation: Operation<T>
  private let batch: Batch<T>
  private let tileCount: Int
  /// Tiles of a job, and of the last jobs.
  private let together: Int
  private let atLast: Int
  private let fullJobs: Int

  init(_ model: Model<S>, _ operation: Operation<T>, _ batch: Batch<T>, threads: Int) {
    self.model = model
    self.operation = operation
    self.batch = batch
    tileCount = Tiling.count(batch.rows, tileRows: model.evaluationRows)
    // Four save most of what there is to save; of images each has many times the numbers of the weights.
    together = model.isImage ? 1 : 4
    // In the end a thread is not to wait long for the others.
    atLast = threads == 1 ? together : 1
    fullJobs = max(0, tileCount - (threads == 1 ? 0 : 4 * threads)) / together
  }

  var count: Int { fullJobs + (tileCount - fullJobs * together + atLast - 1) / atLast }

  private func tiles(_ job: Int) -> Range<Int> {
    if job < fullJobs { return job * together..<(job + 1) * together }
    let first = fullJobs * together + (job - fullJobs) * atLast
    return first..<min(first + atLast, tileCount)
  }

  func run(_ job: Int, _ scratch: Scratch) throws(DiffeoError) {
    let tiles = tiles(job)
    let first = tiles.lowerBound
    let passes = Model<S>.Passes(start: try scratch.take(tiles.count), count: tiles.count)
    for p in passes.indices { passes[p] = try begin(first + p, scratch) }
    switch operation {
    case .logProb(let logProb):
      try model.logProb(passes)
      for p in passes.indices { batch.storeLogProb(passes[p], rows(first + p), logProb, model) }

    case .toNoise(let z, let logDet):
      try model.forward(passes)
      for p in passes.indices { store(passes[p], rows(first + p), z, logDet) }

    case .fromNoise(let x, let logDet):
      try model.inverse(passes)
      for p in passes.indices { store(passes[p], rows(first + p), x, logDet) }

    case .sample(let seed, let firstRow, let temperature, let x, let logProb):
      try model.sample(seed, temperature: temperature, passes) { firstRow &+ UInt64(rows(first + $0).lowerBound) }
      for p in passes.indices { store(passes[p], rows(first + p), x, logProb) }

    case .bitsPerDim(let question, let bits):
      for p in passes.indices { try question.answer(batch, rows(first + p), model, passes[p], bits) }
    }
  }

  private func rows(_ tile: Int) -> Range<Int> { Tiling.range(tile, batch.rows, tileRows: model.evaluationRows) }

  private func begin(_ tile: Int, _ scratch: Scratch) throws(DiffeoError) -> Pass<S> {
    let rows = rows(tile)
    var pass = try model.newPass(Tiling.stride(rows.count, S.self), recording: false, scratch)
    pass.load(batch, rows, contextDim: model.contextDim)
    try model.begin(&pass)
    return pass
  }

  @inline(__always)
  private func store(
    _ pass: Pass<S>, _ rows: Range<Int>, _ x: UnsafeMutablePointer<T>, _ logDet: UnsafeMutablePointer<T>?
  ) {
    store(pass.x, pass.stride, rows, x, model.dim)
    if let logDet { for r in rows { logDet[r] = T(pass.logDet[r - rows.lowerBound]) } }
  }

  @inline(__always)
  private func store(
    _ tile: UnsafeMutablePointer<S>, _ stride: Int, _ range: Range<Int>, _ target: UnsafeMutablePointer<T>,
    _ columns: Int
  ) {
    Tiling.store(tile, stride, target + range.lowerBound * columns, range.count, columns)
  }
}

extension Batch {
  /// All weights are finite, so without a NaN in x or the context a NaN here comes from an overflow, or an infinity: far
  /// out, where the density is below all numbers. (logProb may be x, for dim 1.)
  @inline(__always)
  func storeLogProb<S: Scalar>(
    _ pass: Pass<S>, _ range: Range<Int>, _ logProb: UnsafeMutablePointer<T>, _ model: Model<S>
  ) {
    for r in range {
      var value = T(pass.logDet[r - range.lowerBound])
      if value.isNaN, !hasNaN(x, r, model.dim),
        !hasNaN(context, contextIsShared ? 0 : r, model.contextDim)
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
