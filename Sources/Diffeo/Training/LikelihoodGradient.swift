import Glibc

/// The gradient of the mean log-likelihood of a minibatch, tile by tile.
///
/// Tiles go through all layers on their own, unless there is batch normalisation, which wants to see all of them first:
/// then they stop before each such layer, forwards and backwards, and their memory is kept. Whatever is summed over rows
/// is summed tile by tile in their order: the same bits for any number of threads.
final class LikelihoodGradient<S: Scalar> {
  private let model: Model<S>
  private let parameters: ParameterVector<S>
  private let reduction: GradientReduction<S>
  /// Longer minibatches are taken in pieces.
  private let maxRows: Int
  private let norms: [(layer: Int, norm: BatchNorm<S>)]
  /// For each tile, where there is batch normalisation: memory, its state between stages, and sums over its rows.
  private let scratches: [Scratch]
  private let tiles: UnsafeMutablePointer<Tile?>
  private let sums: UnsafeMutablePointer<Double>
  private let sumsPerTile: Int
  private let logProbs: UnsafeMutablePointer<Double>
  private var number = 0
  private let pool = Pool()

  private struct Tile {
    var recording: Model<S>.Recording
    var adjoint: Adjoint<S>?
    let rows: Range<Int>
  }

  private static var maxTiles: Int { Tiling.count(GradientReduction<S>.maxRows) }

  /// parameters: those of the model, for running averages.
  init(_ spec: FlowSpec, _ model: Model<S>, _ parameters: ParameterVector<S>, rows: Int) throws(DiffeoError) {
    self.model = model
    self.parameters = parameters
    maxRows = min(GradientReduction<S>.maxRows, rows)
    reduction = try GradientReduction(spec, model, rows: maxRows)
    norms = model.batchNorms
    scratches = norms.isEmpty ? [] : (0..<Self.maxTiles).map { _ in Scratch() }
    sumsPerTile = norms.isEmpty ? 0 : 2 * spec.dim
    sums = try pool.take((Self.maxTiles + 1) * sumsPerTile)
    logProbs = try pool.take(Self.maxTiles)
    tiles = .allocate(capacity: Self.maxTiles)
    tiles.initialize(repeating: nil, count: Self.maxTiles)
  }

  deinit {
    for scratch in scratches { scratch.destroy() }
    tiles.deinitialize(count: Self.maxTiles)
    tiles.deallocate()
  }

  /// Gives the sum of the log-likelihoods. `load` fills in rows of the minibatch; number: its own in the training.
  func compute(
    rows: Int, number: Int, _ workspace: Workspace, into gradient: UnsafeMutablePointer<S>,
    load: (Range<Int>, inout Pass<S>) throws(DiffeoError) -> Void
  ) throws(DiffeoError) -> Double {
    var total = 0.0
    self.number = number
    // As equal as can be: the statistics of a few rows left over would say nothing.
    let pieces = (rows + maxRows - 1) / maxRows
    for k in 0..<pieces {
      let piece = k * rows / pieces..<(k + 1) * rows / pieces
      try run(piece, weight: 1 / S(rows), workspace, load)
      for tile in 0..<Tiling.count(piece.count) { total += logProbs[tile] }
      try workspace.forEach(reduction.jobCount) { job, scratch throws(DiffeoError) in
        try reduction.run(job, rows: piece.count, minibatch: number, into: gradient, accumulate: k > 0, scratch)
      }
    }
    return total
  }

  private func run(
    _ piece: Range<Int>, weight: S, _ workspace: Workspace,
    _ load: (Range<Int>, inout Pass<S>) throws(DiffeoError) -> Void
  ) throws(DiffeoError) {
    let count = Tiling.count(piece.count)
    guard !norms.isEmpty else {
      try workspace.forEach(count) { i, scratch throws(DiffeoError) in
        var tile = try begin(i, piece, scratch, load)
        try model.forward(&tile.recording, layers: 0..<model.layerCount)
        var adjoint = try turn(i, &tile, weight)
        try model.pullback(&adjoint, tile.recording, layers: 0..<model.layerCount)
      }
      return
    }
    // Forwards: to the next batch normalisation, which is then set by all rows, and on from it.
    try workspace.forEach(count) { i, _ throws(DiffeoError) in
      scratches[i].releaseAll()
      tiles[i] = try begin(i, piece, scratches[i], load)
      try forward(i, 0..<norms[0].layer)
    }
    for (k, (layer, norm)) in norms.enumerated() {
      try sum(count, workspace) { tile, sums throws(DiffeoError) in
        norm.addSums(tile.recording.pass.x, tile.recording.pass.stride, rows: tile.rows.count, sums)
      }
      norm.setMean(sums, rows: piece.count)
      try sum(count, workspace) { tile, sums throws(DiffeoError) in
        norm.addSquares(tile.recording.pass.x, tile.recording.pass.stride, rows: tile.rows.count, sums)
      }
      norm.setVariance(sums, rows: piece.count, parameters.pointer)
      let next = k + 1 < norms.count ? norms[k + 1].layer : model.layerCount
      try workspace.forEach(count) { i, _ throws(DiffeoError) in try forward(i, layer..<next) }
    }
    // And backwards.
    try workspace.forEach(count) { i, _ throws(DiffeoError) in
      guard var tile = tiles[i] else { return }
      tile.adjoint = try turn(i, &tile, weight)
      tiles[i] = tile
      try pullback(i, norms[norms.count - 1].layer + 1..<model.layerCount)
    }
    for (k, (layer, norm)) in norms.enumerated().reversed() {
      try sum(count, workspace) { tile, sums throws(DiffeoError) in
        guard let adjoint = tile.adjoint else { return }
        norm.addGradients(
          adjoint, try model.tape(tile.recording, ofBatchNorm: layer), rows: tile.rows.count, sums)
      }
      norm.setGradients(sums, rows: piece.count)
      let previous = k > 0 ? norms[k - 1].layer + 1 : 0
      try workspace.forEach(count) { i, _ throws(DiffeoError) in try pullback(i, previous..<layer + 1) }
    }
  }

  private func begin(
    _ i: Int, _ piece: Range<Int>, _ scratch: Scratch, _ load: (Range<Int>, inout Pass<S>) throws(DiffeoError) -> Void
  ) throws(DiffeoError) -> Tile {
    let rows = Tiling.range(i, piece.count)
    var pass = try model.newPass(Tiling.stride(rows.count, S.self), recording: true, scratch)
    pass.minibatch = number
    try load(piece.lowerBound + rows.lowerBound..<piece.lowerBound + rows.upperBound, &pass)
    model.begin(&pass)
    return Tile(recording: try model.newRecording(pass), adjoint: nil, rows: rows)
  }

  /// From the way there to the way back.
  private func turn(_ i: Int, _ tile: inout Tile, _ weight: S) throws(DiffeoError) -> Adjoint<S> {
    let stride = tile.recording.pass.stride
    let weights = try tile.recording.pass.scratch.take(stride, of: S.self)
    weights.update(repeating: weight, count: stride)
    let adjoint = try model.baseGradient(
      &tile.recording, weight: weights,
      sink: reduction.sink(firstRow: tile.rows.lowerBound, rows: tile.rows.count))
    logProbs[i] = 0
    for r in 0..<tile.rows.count { logProbs[i] += tile.recording.pass.logDet[r] }
    return adjoint
  }

  private func forward(_ i: Int, _ layers: Range<Int>) throws(DiffeoError) {
    guard var tile = tiles[i] else { return }
    try model.forward(&tile.recording, layers: layers)
    tiles[i] = tile
  }

  private func pullback(_ i: Int, _ layers: Range<Int>) throws(DiffeoError) {
    guard var tile = tiles[i], var adjoint = tile.adjoint else { return }
    try model.pullback(&adjoint, tile.recording, layers: layers)
    tile.adjoint = adjoint
    tiles[i] = tile
  }

  /// Sums over the rows of all tiles, left in `sums`.
  private func sum(
    _ count: Int, _ workspace: Workspace,
    _ add: (Tile, UnsafeMutablePointer<Double>) throws(DiffeoError) -> Void
  ) throws(DiffeoError) {
    sums.update(repeating: 0, count: (count + 1) * sumsPerTile)
    try workspace.forEach(count) { i, _ throws(DiffeoError) in
      if let tile = tiles[i] { try add(tile, sums + (i + 1) * sumsPerTile) }
    }
    for i in 1...count { for j in 0..<sumsPerTile { sums[j] += sums[i * sumsPerTile + j] } }
  }
}
