/// What layers take from the data when a training begins.
extension FlowInTraining {
  /// Of an image each place is a case of its channel.
  private var maxStatisticsRows: Int { spec.isImage ? 1 << 10 : 1 << 16 }

  /// Layers that are set from the data and are not yet, from data to noise: each sees what those before it make.
  func setFromData(_ rows: any RowSource<S>) throws(DiffeoError) {
    var layer = spec.context == nil ? 0 : -1
    try spec.eachComponent { component, range throws(DiffeoError) in
      let own = parameters.pointer + range.offset
      if component.wantsStatistics(UnsafePointer(own)) {
        var statistics = try statistics(of: rows, before: layer)
        component.pool(&statistics)
        // A constant context does no harm.
        if layer < 0 { statistics.replaceZeroDeviations(by: 1) }
        // The inverse normalises if the layer takes normal numbers to these.
        if spec.layers.indices.contains(layer), spec.layers[layer].inverted { statistics.invert() }
        try component.setStatistics(own, mean: statistics.mean, deviation: statistics.deviation)
        model.prepare(parameters.pointer)
      }
      layer += 1
    }
  }

  /// Of the inputs of a layer; of the context for layer -1.
  private func statistics(
    of rows: any RowSource<S>, before layer: Int
  ) throws(DiffeoError) -> ColumnStatistics {
    // Of many rows some, evenly: they may be sorted. All, where some may have next to no weight.
    let step = layer <= 0 || rows.effectiveCount != Double(rows.count) ? 1 : max(1, rows.count / maxStatisticsRows)
    let seen = step == 1 ? rows : try rows.every(step)
    // Sums run over the rows in their order.
    let alone = try Workspace(threads: 1)
    return try ColumnStatistics(columns: layer < 0 ? spec.contextDim : spec.dim, rows: seen.count) {
      (visit: (UnsafePointer<S>, Int, Int, UnsafePointer<S>?) -> Void) throws(DiffeoError) in
      try eachTile(of: seen, alone) { range, pass throws(DiffeoError) in
        if layer >= 0 {
          model.begin(&pass)
          try model.forward(&pass, layers: layer)
        }
        visit(layer < 0 ? pass.context : pass.x, pass.stride, range.count, pass.weights)
      }
    }
  }
}
