/// Maximum likelihood over rows in memory.
extension Trainer {
  convenience init<T: Scalar>(_ flow: Flow<S>, _ options: TrainOptions, _ batch: Batch<T>) throws(DiffeoError) {
    try options.check()
    guard batch.rows >= 2 else {
      throw DiffeoError(
        .shape, "x has \(batch.rows) row\(batch.rows == 1 ? "" : "s"): training needs 2 at least")
    }
    guard batch.rows <= Int(Int32.max) else {
      throw DiffeoError(
        .unsupported, "x has \(batch.rows) rows, at most \(Int32.max) can be trained on")
    }
    let flow = try FlowInTraining(flow, threads: options.threads)
    try self.init(
      flow, options, flow.rows(batch, "x", options),
      Likelihood(flow, rows: min(options.batchSize, batch.rows)), options.makeOptimizer(flow))
  }

  func setValidation<T: Scalar>(_ batch: Batch<T>) throws(DiffeoError) {
    guard batch.rows >= 1, batch.rows <= Int(Int32.max) else {
      throw DiffeoError(
        .shape, "there are \(batch.rows) validation rows, 1 to \(Int32.max) are possible")
    }
    try setValidation(flow.rows(batch, "the validation's x", options))
  }
}

extension FlowInTraining {
  /// A copy of a batch.
  func rows<T: Scalar>(_ batch: Batch<T>, _ name: String, _ options: TrainOptions) throws(DiffeoError) -> DataRows<S> {
    if options.xNoise > 0, spec.limitsSupport {
      throw DiffeoError(
        .invalid, "x_noise is \(options.xNoise), but this flow lives on a part of the numbers, which noise would leave")
    }
    return try DataRows(
      DataSet(
        batch, name: name, dim: spec.dim, contextDim: spec.contextDim, negativeWeights: options.negativeWeights),
      seed: options.seed, dequantizes: model.dequantizes, noise: options.xNoise)
  }
}
