/// Maximum likelihood with Adam, over rows in memory.
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
      flow, options, flow.rows(batch, "x", seed: options.seed),
      Likelihood(flow, rows: min(options.batchSize, batch.rows)), Adam(flow, options))
  }

  func setValidation<T: Scalar>(_ batch: Batch<T>) throws(DiffeoError) {
    guard batch.rows >= 1, batch.rows <= Int(Int32.max) else {
      throw DiffeoError(
        .shape, "there are \(batch.rows) validation rows, 1 to \(Int32.max) are possible")
    }
    try setValidation(flow.rows(batch, "the validation's x", seed: options.seed))
  }
}

extension FlowInTraining {
  /// A copy of a batch.
  func rows<T: Scalar>(_ batch: Batch<T>, _ name: String, seed: UInt64) throws(DiffeoError) -> DataRows<S> {
    try DataRows(
      DataSet(batch, name: name, dim: spec.dim, contextDim: spec.contextDim), seed: seed,
      dequantizes: model.dequantizes)
  }
}
