/// Reverse mode for hosts: from the derivatives of a loss L in what a function of a flow gives to those in what it is
/// given (vector-Jacobian products). Rows in the caller's memory, row-major.
package struct Pullback<T: Scalar> {
  package typealias In = UnsafePointer<T>
  package typealias Out = UnsafeMutablePointer<T>

  package enum Cotangents {
    case zeros, ones
    case given(In)

    package init(_ given: In?) { self = given.map { .given($0) } ?? .zeros }
  }

  package enum Function {
    case logProb
    /// Data to noise.
    case toNoise
    /// Noise to data.
    case fromNoise
    /// Rows number firstRow, firstRow + 1... of a seed. The batch has no x.
    case sample(seed: UInt64, firstRow: UInt64)
  }

  package let function: Function
  /// dL/d(rows that the function gives).
  package var rowCotangents = Cotangents.zeros
  /// dL/d(log-densities or log-determinants).
  package var logCotangents = Cotangents.zeros

  /// What the function gives, made on the way.
  package var rows: Out?
  package var logs: Out?

  package var inputGradient: Out?
  package var contextGradient: Out?
  /// Is added to.
  package var parameterGradient: Out?

  package init(_ function: Function) { self.function = function }
}

extension Flow {
  package func run<T: Scalar>(_ pullback: Pullback<T>, _ batch: Batch<T>, _ workspace: Workspace) throws(DiffeoError) {
    guard let target = pullback.parameterGradient else {
      let task = PullbackTask(model, pullback, batch, 0..<batch.rows, tileRows: model.evaluationRows, sums: nil)
      return try workspace.forEach(task.count, task)
    }
    let sums = try ParameterPullback(spec, model)
    try sums.run(rows: batch.rows, workspace) { piece, sums in
      PullbackTask(model, pullback, batch, piece, tileRows: model.tileRows, sums: sums)
    }
    for i in 0..<sums.gradient.count { target[i] += T(sums.gradient.pointer[i]) }
  }
}

/// The gradient in the parameters of what is pulled back.
final class ParameterPullback<S: Scalar> {
  let gradient: ParameterVector<S>
  private let sums: GradientSums<S>
  private let tileRows: Int
  private var total: ParameterVector<Double>?

  init(_ spec: FlowSpec, _ model: Model<S>) throws(DiffeoError) {
    gradient = try ParameterVector(count: spec.parameterCount)
    tileRows = model.tileRows
    sums = try GradientSums(spec, model, into: gradient.pointer, masks: .together)
  }

  /// Sets the gradient, of so many rows. In pieces, so that single precision sums few rows: `task` takes one, tiles of
  /// the flow's tileRows, to the sums.
  func run<Task: IndexedTask>(
    rows: Int, _ workspace: Workspace, _ task: (_ piece: Range<Int>, GradientSums<S>) -> Task
  ) throws(DiffeoError) {
    let pieces = max(1, (rows + Tiling.minibatchRows - 1) / Tiling.minibatchRows)
    if pieces > 1 {
      if total == nil { total = try ParameterVector(count: gradient.count) }
      total?.pointer.update(repeating: 0, count: gradient.count)
    }
    for k in 0..<pieces {
      let first = k * Tiling.minibatchRows
      let piece = first..<min(first + Tiling.minibatchRows, rows)
      sums.begin()
      try workspace.forEach(Tiling.count(piece.count, tileRows: tileRows), task(piece, sums))
      _ = try sums.finish(minibatch: 0, workspace)
      if pieces > 1, let total {
        for i in 0..<total.count { total.pointer[i] += Double(gradient.pointer[i]) }
      }
    }
    if pieces > 1, let total {
      for i in 0..<total.count { gradient.pointer[i] = S(total.pointer[i]) }
    }
  }
}

/// A pullback of some rows of a batch, a tile at a time.
struct PullbackTask<S: Scalar, T: Scalar>: IndexedTask {
  private let model: Model<S>
  private let pullback: Pullback<T>
  private let batch: Batch<T>
  private let piece: Range<Int>
  private let tileRows: Int
  private let sums: GradientSums<S>?

  init(
    _ model: Model<S>, _ pullback: Pullback<T>, _ batch: Batch<T>, _ piece: Range<Int>, tileRows: Int,
    sums: GradientSums<S>?
  ) {
    self.model = model
    self.pullback = pullback
    self.batch = batch
    self.piece = piece
    self.tileRows = tileRows
    self.sums = sums
  }

  var count: Int { Tiling.count(piece.count, tileRows: tileRows) }

  func run(_ tile: Int, _ scratch: Scratch) throws(DiffeoError) {
    do throws(DiffeoError) { try pull(tile, scratch) } catch {
      sums?.fail()
      throw error
    }
  }

  private func pull(_ tile: Int, _ scratch: Scratch) throws(DiffeoError) {
    let tileRange = Tiling.range(tile, piece.count, tileRows: tileRows)
    let range = piece.lowerBound + tileRange.lowerBound..<piece.lowerBound + tileRange.upperBound
    // Sums over rows want whole vectors.
    let stride = sums == nil ? Tiling.stride(range.count, S.self) : model.sumStride(range.count)
    var pass = try model.newPass(stride, recording: true, scratch)
    pass.load(batch, range, contextDim: model.contextDim)
    pass.repeatLastRow(range.count)
    try model.begin(&pass)
    let sink = sums?.sink(tile: tile, rows: range.count, adds: tile > 0)
    let gLogs = try cotangents(pullback.logCotangents, range, columns: 1, stride, scratch)
    var recording = try model.newRecording(pass)
    let adjoint: Adjoint<S>
    switch pullback.function {
    case .logProb:
      try model.forward(&recording)
      try model.addBase(&recording)
      adjoint = try model.logProbPullback(recording, gLogs, sink)
    case .toNoise:
      let g = try cotangents(pullback.rowCotangents, range, columns: model.dim, stride, scratch)
      try model.forward(&recording)
      adjoint = try model.forwardPullback(recording, g, gLogs, sink)
    case .fromNoise:
      let g = try cotangents(pullback.rowCotangents, range, columns: model.dim, stride, scratch)
      try model.inverse(&recording)
      adjoint = try model.inversePullback(recording, g, gLogs, sink)
    case .sample(let seed, let firstRow):
      let g = try cotangents(pullback.rowCotangents, range, columns: model.dim, stride, scratch)
      try model.sample(&recording, seed, firstRow: firstRow &+ UInt64(range.lowerBound))
      adjoint = try model.samplePullback(recording, g, gLogs, sink)
    }
    store(recording.pass, range)
    if let x = pullback.inputGradient { store(adjoint.g, stride, range, x, model.dim) }
    if let context = pullback.contextGradient { store(adjoint.gContext, stride, range, context, model.contextDim) }
  }

  /// As a tile.
  private func cotangents(
    _ cotangents: Pullback<T>.Cotangents, _ range: Range<Int>, columns: Int, _ stride: Int, _ scratch: Scratch
  ) throws(DiffeoError) -> UnsafeMutablePointer<S> {
    let tile = try scratch.take(columns * stride, of: S.self)
    switch cotangents {
    case .zeros: tile.update(repeating: 0, count: columns * stride)
    case .ones:
      for i in 0..<columns {
        for r in 0..<stride { tile[i * stride + r] = r < range.count ? 1 : 0 }
      }
    case .given(let g): Tiling.load(g + range.lowerBound * columns, range.count, columns, tile, stride)
    }
    return tile
  }

  private func store(_ pass: Pass<S>, _ range: Range<Int>) {
    if let rows = pullback.rows { store(pass.x, pass.stride, range, rows, model.dim) }
    guard let logs = pullback.logs else { return }
    if case .logProb = pullback.function {
      batch.storeLogProb(pass, range, logs, model)
    } else {
      for r in range { logs[r] = T(pass.logDet[r - range.lowerBound]) }
    }
  }

  @inline(__always)
  private func store(
    _ tile: UnsafeMutablePointer<S>, _ stride: Int, _ range: Range<Int>, _ target: UnsafeMutablePointer<T>,
    _ columns: Int
  ) {
    Tiling.store(tile, stride, target + range.lowerBound * columns, range.count, columns)
  }
}
