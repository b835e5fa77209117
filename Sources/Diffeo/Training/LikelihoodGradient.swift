import CLibrary

/// The gradient of the mean log-likelihood of a minibatch, tile by tile.
///
/// Each thread takes some tiles, one after the other through a layer, forwards and then backwards: what it needs of the
/// layer stays in its cache. Batch normalisation wants to see all tiles first: then all stop before each such layer.
/// Whatever is summed over rows is summed tile by tile in their order: the same bits for any number of threads.
final class LikelihoodGradient<S: Scalar> {
  private let model: Model<S>
  private let flow: FlowInTraining<S>
  /// Of dropout.
  private let seed: UInt64
  private let sums: GradientSums<S>
  /// Longer minibatches are taken in pieces.
  private let maxTiles: Int
  private let tileRows: Int
  private let norms: [(layer: Int, norm: BatchNorm<S>)]
  /// For each tile: memory, unless it goes alone, its state between stages, and sums over its rows where there is batch
  /// normalisation.
  private let scratches: [Scratch]
  private let tiles: UnsafeMutablePointer<Tile?>
  private let statistics: UnsafeMutablePointer<Double>
  private let statisticsPerTile: Int
  /// Of each row of a piece.
  private let logProbs: UnsafeMutablePointer<Double>
  private let rowWeights: UnsafeMutablePointer<Double>
  private var number = 0
  private let pool = Pool()

  /// Images go through all layers by the tile: each has many times the numbers of the weights, and wants memory that the
  /// next one of the thread can take over.
  private let goesAlone: Bool

  private struct Tile {
    var recording: Model<S>.Recording
    var adjoint: Adjoint<S>?
    let rows: Range<Int>

    /// On the way back.
    func turned() throws(DiffeoError) -> Adjoint<S> {
      guard let adjoint else { throw DiffeoError(.internal, "the tile of rows \(rows) has not turned") }
      return adjoint
    }
  }

  /// Gives gradients to `gradient`, and running averages to the parameters of the flow. rows: of a minibatch, at most.
  init(_ flow: FlowInTraining<S>, _ gradient: ParameterVector<S>, rows: Int, seed: UInt64) throws(DiffeoError) {
    model = flow.model
    self.flow = flow
    self.seed = seed
    tileRows = model.tileRows
    maxTiles = min(Tiling.minibatchRows / tileRows, Tiling.count(rows, tileRows: tileRows))
    sums = try GradientSums(flow.spec, model, into: gradient.pointer, masks: .inTurns)
    try Self.checkMemory(flow.spec, threads: flow.workspace.threads)
    norms = model.batchNorms
    goesAlone = model.isImage && norms.isEmpty
    scratches = goesAlone ? [] : (0..<maxTiles).map { _ in Scratch() }
    statisticsPerTile = norms.isEmpty ? 0 : 2 * flow.spec.dim
    statistics = try pool.take((maxTiles + 1) * statisticsPerTile)
    logProbs = try pool.take(maxTiles * tileRows)
    rowWeights = try pool.take(maxTiles * tileRows)
    tiles = .allocate(capacity: maxTiles)
    tiles.initialize(repeating: nil, count: maxTiles)
  }

  /// Of images what the pullbacks want of all layers has the size of many images: rather an error than a host that the
  /// system ends.
  static func checkMemory(_ spec: FlowSpec, threads: Int) throws(DiffeoError) {
    if !spec.isImage { return }
    // The input of a layer, and of a coupling the outputs of its network and what the map makes of them; hidden maps as
    // far as they are kept.
    let couplings = spec.layers.compactMap { $0.spec as? ConvolutionalCouplingSpec }
    let numbers = (spec.layers.count + 2 * couplings.count) * spec.dim
    let hidden = couplings.reduce(0) { $0 + $1.network.hiddenNumbers }
    let rowBytes = Double(Tiling.imageRows * MemoryLayout<S>.stride)
    let kept = min(Double(hidden) * rowBytes, Double(Convolution<S>.mostKept))
    let bytes = (Double(numbers) * rowBytes + kept) * Double(threads)
    let memory = Double(sysconf(Int32(_SC_PHYS_PAGES))) * Double(sysconf(Int32(_SC_PAGESIZE)))
    guard bytes < memory else {
      let gibibytes = { (value: Double) in "\((value / 0x1p30 * 10).rounded() / 10) GiB" }
      throw DiffeoError(
        .memory,
        "training takes some \(gibibytes(bytes)) for \(spec.layers.count) layers of images of "
          + "\(spec.shape[0]) x \(spec.shape[1]) x \(spec.shape[2]) on \(threads) thread\(threads == 1 ? "" : "s"), this "
          + "machine has \(gibibytes(memory))")
    }
  }

  deinit {
    for scratch in scratches { scratch.destroy() }
    tiles.deinitialize(count: maxTiles)
    tiles.deallocate()
  }

  /// Gives the sum of the squares of the gradient. `load` fills in rows of the minibatch; `score` is told each row of it,
  /// its log-likelihood and its weight; number: its own in the training.
  func compute(
    rows: Int, number: Int, load: (Range<Int>, inout Pass<S>) throws(DiffeoError) -> Void,
    score: (_ row: Int, _ logProb: Double, _ weight: Double) -> Void
  ) throws(DiffeoError) -> Double {
    self.number = number
    // As equal as can be: the statistics of a few rows left over would say nothing.
    let maxRows = maxTiles * tileRows
    let pieces = (rows + maxRows - 1) / maxRows
    for k in 0..<pieces {
      let piece = k * rows / pieces..<(k + 1) * rows / pieces
      try run(piece, weight: 1 / S(rows), adds: k > 0, load)
      for (i, row) in piece.enumerated() { score(row, logProbs[i], rowWeights[i]) }
    }
    return try sums.finish(minibatch: number, flow.workspace)
  }

  private func run(
    _ piece: Range<Int>, weight: S, adds: Bool, _ load: (Range<Int>, inout Pass<S>) throws(DiffeoError) -> Void
  ) throws(DiffeoError) {
    let count = Tiling.count(piece.count, tileRows: tileRows)
    sums.begin()
    if goesAlone {
      return try eachThread(count) { tiles, scratch throws(DiffeoError) in
        for i in tiles {
          let tile = stride(from: i, to: i + 1, by: 1)
          let mark = scratch.mark
          defer { scratch.release(to: mark) }
          self.tiles[i] = try begin(i, piece, scratch, load)
          try forward(tile, 0..<model.layerCount)
          try turn(tile, weight, adds)
          try pullback(tile, 0..<model.layerCount)
        }
      }
    }
    // Forwards: to the next batch normalisation, which is then set by all rows, and on from it.
    try eachThread(count) { tiles, _ throws(DiffeoError) in
      for i in tiles {
        scratches[i].releaseAll()
        self.tiles[i] = try begin(i, piece, scratches[i], load)
      }
      try forward(tiles, 0..<(norms.first?.layer ?? model.layerCount))
      if norms.isEmpty {
        try turn(tiles, weight, adds)
        try pullback(tiles, 0..<model.layerCount)
      }
    }
    guard let last = norms.last else { return }
    for (k, (layer, norm)) in norms.enumerated() {
      try sum(count) { tile, sums throws(DiffeoError) in
        norm.addSums(tile.recording.pass.x, tile.recording.pass.stride, rows: tile.rows.count, sums)
      }
      norm.setMean(statistics, rows: piece.count)
      try sum(count) { tile, sums throws(DiffeoError) in
        norm.addSquares(tile.recording.pass.x, tile.recording.pass.stride, rows: tile.rows.count, sums)
      }
      norm.setVariance(statistics, rows: piece.count, flow.parameters.pointer)
      let next = k + 1 < norms.count ? norms[k + 1].layer : model.layerCount
      try eachThread(count) { tiles, _ throws(DiffeoError) in try forward(tiles, layer..<next) }
    }
    // And backwards.
    try eachThread(count) { tiles, _ throws(DiffeoError) in
      try turn(tiles, weight, adds)
      try pullback(tiles, last.layer + 1..<model.layerCount)
    }
    for (k, (layer, norm)) in norms.enumerated().reversed() {
      try sum(count) { tile, sums throws(DiffeoError) in
        norm.addGradients(
          try tile.turned(), try model.tape(tile.recording, ofBatchNorm: layer), rows: tile.rows.count, sums)
      }
      norm.setGradients(statistics, rows: piece.count)
      let previous = k > 0 ? norms[k - 1].layer + 1 : 0
      try eachThread(count) { tiles, _ throws(DiffeoError) in try pullback(tiles, previous..<layer + 1) }
    }
  }

  /// Tiles are dealt to the threads in turn: those that are added to a gradient one after the other get there one after
  /// the other. A thread of the host's takes one after the other, so that all before it are under way.
  private typealias Share = StrideTo<Int>

  private func eachThread(_ count: Int, _ body: (Share, Scratch) throws(DiffeoError) -> Void) throws(DiffeoError) {
    let workspace = flow.workspace
    let shares = workspace.isHosted ? count : min(count, workspace.threads)
    try workspace.forEach(shares) { share, scratch throws(DiffeoError) in
      do throws(DiffeoError) {
        try body(stride(from: share, to: count, by: shares), scratch)
      } catch {
        sums.fail()
        throw error
      }
    }
  }

  private func begin(
    _ i: Int, _ piece: Range<Int>, _ scratch: Scratch,
    _ load: (Range<Int>, inout Pass<S>) throws(DiffeoError) -> Void
  ) throws(DiffeoError) -> Tile {
    let rows = Tiling.range(i, piece.count, tileRows: tileRows)
    var pass = try model.newPass(model.sumStride(rows.count), recording: true, scratch)
    pass.minibatch = number
    pass.dropout = Dropout(seed: seed, minibatch: number, firstRow: piece.lowerBound + rows.lowerBound)
    try load(piece.lowerBound + rows.lowerBound..<piece.lowerBound + rows.upperBound, &pass)
    pass.repeatLastRow(rows.count)
    try model.begin(&pass)
    return Tile(recording: try model.newRecording(pass), adjoint: nil, rows: rows)
  }

  private func tile(_ i: Int) throws(DiffeoError) -> Tile {
    guard let tile = tiles[i] else { throw DiffeoError(.internal, "tile \(i) of a minibatch has not begun") }
    return tile
  }

  /// From the way there to the way back.
  private func turn(_ tiles: Share, _ weight: S, _ adds: Bool) throws(DiffeoError) {
    for i in tiles {
      var tile = try tile(i)
      let pass = tile.recording.pass
      let weights = try pass.scratch.take(pass.stride, of: S.self)
      for r in 0..<pass.stride { weights[r] = r < tile.rows.count ? weight : 0 }
      if let given = pass.weights { for r in 0..<tile.rows.count { weights[r] *= given[r] } }
      try model.addBase(&tile.recording)
      tile.adjoint = try model.baseGradient(
        tile.recording, weight: weights,
        sink: sums.sink(tile: i, rows: tile.rows.count, adds: adds || i > 0))
      for (r, row) in tile.rows.enumerated() {
        logProbs[row] = tile.recording.pass.logDet[r]
        rowWeights[row] = pass.weights.map { Double($0[r]) } ?? 1
      }
      self.tiles[i] = tile
    }
  }

  private func forward(_ tiles: Share, _ layers: Range<Int>) throws(DiffeoError) {
    for layer in layers {
      for i in tiles {
        var tile = try tile(i)
        try model.forward(&tile.recording, layers: layer..<layer + 1)
        self.tiles[i] = tile
      }
    }
  }

  private func pullback(_ tiles: Share, _ layers: Range<Int>) throws(DiffeoError) {
    for layer in layers.reversed() {
      for i in tiles {
        var tile = try tile(i)
        var adjoint = try tile.turned()
        try model.pullback(&adjoint, tile.recording, layers: layer..<layer + 1)
        tile.adjoint = adjoint
        self.tiles[i] = tile
      }
    }
    if layers.lowerBound > 0 { return }
    for i in tiles {
      let tile = try tile(i)
      var adjoint = try tile.turned()
      try model.pullContext(&adjoint, tile.recording)
    }
  }

  /// Sums over the rows of all tiles, left in `statistics`.
  private func sum(
    _ count: Int, _ add: (Tile, UnsafeMutablePointer<Double>) throws(DiffeoError) -> Void
  ) throws(DiffeoError) {
    statistics.update(repeating: 0, count: (count + 1) * statisticsPerTile)
    try flow.workspace.forEach(count) { i, _ throws(DiffeoError) in
      try add(tile(i), statistics + (i + 1) * statisticsPerTile)
    }
    for i in 1...count {
      for j in 0..<statisticsPerTile { statistics[j] += statistics[i * statisticsPerTile + j] }
    }
  }
}
