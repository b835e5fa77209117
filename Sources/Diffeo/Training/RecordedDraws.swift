/// Draws of a flow, kept with all that their pullbacks need: however many follow, the flow is run once. Rows in memory of
/// the caller's, row-major.
final class RecordedDraws<S: Scalar, T: Scalar> {
  /// Those after them are recorded again for each pullback, so that memory has an end.
  private static var keptRows: Int { 4096 }

  private let flow: FlowInTraining<S>
  private let rows: Int
  private let sums: ParameterPullback<S>
  /// Of each tile that is kept.
  private let scratches: [Scratch]
  private let recordings: UnsafeMutablePointer<Model<S>.Recording>
  private let pool = Pool()
  private var source = Source(seed: 0, firstRow: 0, context: nil)

  private struct Source {
    var seed, firstRow: UInt64
    var context: UnsafePointer<T>?
  }

  private var tileCount: Int { Tiling.count(rows, tileRows: flow.model.tileRows) }

  private func tileRange(_ i: Int) -> Range<Int> { Tiling.range(i, rows, tileRows: flow.model.tileRows) }

  /// Of the latest pullback in the parameters.
  var gradient: ParameterVector<S> { sums.gradient }

  init(_ flow: FlowInTraining<S>, rows: Int) throws(DiffeoError) {
    self.flow = flow
    self.rows = rows
    sums = try ParameterPullback(flow.spec, flow.model)
    let kept = Tiling.count(min(rows, RecordedDraws.keptRows), tileRows: flow.model.tileRows)
    recordings = try pool.take(kept)
    scratches = (0..<kept).map { _ in Scratch() }
  }

  deinit { for scratch in scratches { scratch.destroy() } }

  /// Rows firstRow, firstRow + 1... of a seed, and their log-densities. The context is to stay until the last pullback.
  func draw(
    seed: UInt64, firstRow: UInt64, context: UnsafePointer<T>?, _ x: UnsafeMutablePointer<T>,
    _ logProb: UnsafeMutablePointer<T>
  ) throws(DiffeoError) {
    source = Source(seed: seed, firstRow: firstRow, context: context)
    try flow.workspace.forEach(tileCount) { i, scratch throws(DiffeoError) in
      var scratch = scratch
      if i < scratches.count {
        scratch = scratches[i]
        scratch.releaseAll()
      }
      let recording = try record(i, scratch)
      if i < scratches.count { recordings[i] = recording }
      let (pass, range, dim) = (recording.pass, tileRange(i), flow.model.dim)
      Tiling.store(pass.x, pass.stride, x + range.lowerBound * dim, range.count, dim)
      for r in range { logProb[r] = T(pass.logDet[r - range.lowerBound]) }
    }
  }

  private func record(_ i: Int, _ scratch: Scratch) throws(DiffeoError) -> Model<S>.Recording {
    let (model, range) = (flow.model, tileRange(i))
    let batch = Batch<T>(rows: rows, x: nil, context: source.context, contextIsShared: false)
    var pass = try model.newPass(model.sumStride(range.count), recording: true, scratch)
    pass.load(batch, range, contextDim: model.contextDim)
    pass.repeatLastRow(range.count)
    try model.begin(&pass)
    var recording = try model.newRecording(pass)
    try model.sample(&recording, source.seed, firstRow: source.firstRow &+ UInt64(range.lowerBound))
    return recording
  }

  /// Calls body with the recording of a tile, whose scratch memory is as before afterwards.
  @inline(__always)
  private func withRecording(
    _ i: Int, _ scratch: Scratch, _ body: (Model<S>.Recording) throws(DiffeoError) -> Void
  ) throws(DiffeoError) {
    let recording = i < scratches.count ? recordings[i] : try record(i, scratch)
    let mark = recording.pass.scratch.mark
    defer { recording.pass.scratch.release(to: mark) }
    try body(recording)
  }

  /// Adds to g, for each row, its weight times the gradient of its log-density in the row, with all else held fixed.
  func addScore(_ weights: UnsafePointer<T>, to g: UnsafeMutablePointer<T>) throws(DiffeoError) {
    let dim = flow.model.dim
    try flow.workspace.forEach(tileCount) { i, scratch throws(DiffeoError) in
      try withRecording(i, scratch) { recording throws(DiffeoError) in
        let weights = try tile(weights, i, recording, columns: 1)
        let score = try flow.model.logProbPullback(recording, weights, nil).g
        for (r, row) in tileRange(i).enumerated() {
          for j in 0..<dim { g[row * dim + j] += T(score[j * recording.pass.stride + r]) }
        }
      }
    }
  }

  /// What the gradient in the parameters is to be of: given dL/d(rows) and, if any, dL/d(log-densities), where the rows
  /// move with the parameters, or the latter alone, where they stay.
  enum Cotangents {
    case moving(x: UnsafePointer<T>, logProb: UnsafePointer<T>?)
    case fixed(logProb: UnsafePointer<T>)
  }

  /// Sets the gradient, and that in the context, if it is wanted.
  func pullBack(_ cotangents: Cotangents, context gContext: UnsafeMutablePointer<T>? = nil) throws(DiffeoError) {
    try sums.run(rows: rows, flow.workspace) { piece, sums in
      Pull(
        draws: self, cotangents: cotangents, gContext: gContext, firstTile: piece.lowerBound / flow.model.tileRows,
        sums: sums)
    }
  }

  private struct Pull: IndexedTask {
    let draws: RecordedDraws
    let cotangents: Cotangents
    let gContext: UnsafeMutablePointer<T>?
    let firstTile: Int
    let sums: GradientSums<S>

    func run(_ tile: Int, _ scratch: Scratch) throws(DiffeoError) {
      do throws(DiffeoError) {
        let i = firstTile + tile
        let sink = sums.sink(tile: tile, rows: draws.tileRange(i).count, adds: tile > 0)
        try draws.withRecording(i, scratch) { recording throws(DiffeoError) in
          let adjoint = try draws.pullBack(i, recording, cotangents, sink)
          let (range, columns) = (draws.tileRange(i), adjoint.contextDim)
          if let gContext {
            let target = gContext + range.lowerBound * columns
            Tiling.store(adjoint.gContext, adjoint.stride, target, range.count, columns)
          }
        }
      } catch {
        sums.fail()
        throw error
      }
    }
  }

  private func pullBack(
    _ i: Int, _ recording: Model<S>.Recording, _ cotangents: Cotangents, _ sink: GradientSink<S>
  ) throws(DiffeoError) -> Adjoint<S> {
    let model = flow.model
    switch cotangents {
    case .moving(let x, let logProb):
      let (x, logProb) = (
        try tile(x, i, recording, columns: model.dim), try tile(logProb, i, recording, columns: 1)
      )
      return try model.samplePullback(recording, x, logProb, sink)
    case .fixed(let logProb):
      return try model.logProbPullback(recording, tile(logProb, i, recording, columns: 1), sink)
    }
  }

  /// Of rows of the caller's, zeros for nil.
  private func tile(
    _ given: UnsafePointer<T>?, _ i: Int, _ recording: Model<S>.Recording, columns: Int
  ) throws(DiffeoError) -> UnsafeMutablePointer<S> {
    let (range, pass) = (tileRange(i), recording.pass)
    let tile = try pass.scratch.take(columns * pass.stride, of: S.self)
    if let given {
      Tiling.load(given + range.lowerBound * columns, range.count, columns, tile, pass.stride)
    } else {
      tile.update(repeating: 0, count: columns * pass.stride)
    }
    return tile
  }
}
