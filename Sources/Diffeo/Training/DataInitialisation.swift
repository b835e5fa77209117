/// What layers take from the data when a training begins.
extension FlowInTraining {
  /// Of an image each place is a case of its channel.
  private var maxStatisticsRows: Int { spec.isImage ? 1 << 10 : 1 << 16 }

  /// Of numbers that are sorted.
  private static var maxSorted: Int { 1 << 24 }

  /// Layers that are set from the data and are not yet, from data to noise: each sees what those before it make.
  func setFromData(_ rows: any RowSource<S>) throws(DiffeoError) {
    try spec.eachComponent { component, place, range throws(DiffeoError) in
      let layer =
        switch place {
        case .context, .embedding: -1
        case .layer(let i): i
        case .base: spec.layers.count
        }
      let own = parameters.pointer + range.offset
      if component.wantsStatistics(UnsafePointer(own)) {
        var statistics = try statistics(of: rows, before: layer, quantiles: component.wantsQuantiles)
        component.pool(&statistics)
        // A constant context does no harm, unless it is none and only looks so.
        if layer < 0 { statistics.replaceZeroDeviations { abs($0) * Double(S.ulpOfOne) < 0.01 ? 1 : 0 } }
        // The inverse normalises if the layer takes normal numbers to these.
        if spec.layers.indices.contains(layer), spec.layers[layer].inverted { statistics.invert() }
        do throws(DiffeoError) {
          try component.setStatistics(own, mean: statistics.mean, deviation: statistics.deviation)
        } catch {
          throw DiffeoError(
            error.code, (layer < 0 ? "context: " : layer == 0 ? "x: " : "layer \(layer): ") + error.message)
        }
        model.prepare(parameters.pointer)
      }
    }
  }

  /// Of the inputs of a layer; of the context for layer -1.
  private func statistics(
    of rows: any RowSource<S>, before layer: Int, quantiles: Bool
  ) throws(DiffeoError) -> ColumnStatistics {
    let columns = layer < 0 ? spec.contextDim : spec.dim
    // Of many rows some, evenly: they may be sorted. All, where some may have next to no weight.
    let step = layer <= 0 || rows.effectiveCount != Double(rows.count) ? 1 : max(1, rows.count / maxStatisticsRows)
    let seen = step == 1 ? rows : try rows.every(step)
    var statistics = try ColumnStatistics(columns: columns, rows: seen.count) {
      (visit: ColumnStatistics.Visit<S>) throws(DiffeoError) in try eachTile(of: seen, before: layer, visit)
    }
    if quantiles {
      let most = min(maxStatisticsRows, max(Self.maxSorted / columns, 1))
      let sorted = try rows.every((rows.count + most - 1) / most)
      try statistics.replaceByQuantiles(rows: sorted.count) {
        (visit: ColumnStatistics.Visit<S>) throws(DiffeoError) in try eachTile(of: sorted, before: layer, visit)
      }
    }
    return statistics
  }

  /// The inputs of a layer, or the context, in the order of the rows, over which sums run.
  private func eachTile(
    of rows: any RowSource<S>, before layer: Int, _ visit: ColumnStatistics.Visit<S>
  ) throws(DiffeoError) {
    let limits = spec.layers.prefix(max(layer, 0)).contains { $0.spec.limitsSupport }
    let alone = try Workspace(threads: 1)
    try eachTile(of: rows, alone) { range, pass throws(DiffeoError) in
      if layer >= 0 {
        try model.begin(&pass)
        try model.forward(&pass, layers: layer)
        if limits { try check(pass, range, rows) }
      }
      visit(layer < 0 ? pass.context : pass.x, pass.stride, range.count, pass.weights)
    }
  }

  private func check(_ pass: Pass<S>, _ range: Range<Int>, _ rows: any RowSource<S>) throws(DiffeoError) {
    for i in 0..<pass.dim {
      for r in 0..<range.count where !pass.x[i * pass.stride + r].isFinite {
        throw noDensity(rows, range.lowerBound + r)
      }
    }
  }

  func noCount(_ rows: any RowSource<S>, _ row: Int, _ value: S, column: Int, levels: Int) -> DiffeoError {
    DiffeoError(
      .numeric,
      "\(rows.name(of: row)) has \(value) in column \(column): it is one of counts, "
        + DequantizeSpec.counts(levels: levels))
  }

  /// What to say of a row, with the number that leads out of the support where it is one of the row's own.
  func noDensity(_ rows: any RowSource<S>, _ row: Int) -> DiffeoError {
    let words = "\(rows.name(of: row)) has no density: it is outside of the support of this flow"
    guard let (value, column) = try? firstOutside(rows, row) else { return DiffeoError(.numeric, words) }
    if let levels = spec.counts.first(where: { $0.column == column })?.levels,
      !DequantizeSpec.isCount(value, levels: levels)
    {
      return noCount(rows, row, value, column: column, levels: levels)
    }
    return DiffeoError(.numeric, words + ", by \(value) in column \(column)")
  }

  /// Where the numbers of a row cease to be numbers, if each goes its own way until then.
  private func firstOutside(_ rows: any RowSource<S>, _ row: Int) throws(DiffeoError) -> (value: S, column: Int)? {
    let alone = try Workspace(threads: 1)
    for layer in 0..<spec.layers.count where spec.keepsColumns(before: layer) {
      var found: (S, Int)?
      try eachTile(of: rows, row..<row + 1, alone) { _, pass throws(DiffeoError) in
        let x = (0..<pass.dim).map { pass.x[$0 * pass.stride] }
        try model.begin(&pass)
        try model.forward(&pass, layers: layer + 1)
        found = x.indices.first { !pass.x[$0 * pass.stride].isFinite }.map { (x[$0], $0) }
      }
      if let found { return found }
    }
    return nil
  }
}
