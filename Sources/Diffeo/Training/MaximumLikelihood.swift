/// Maximum likelihood over rows in memory.
extension Trainer {
  convenience init<T: Scalar>(_ flow: Flow<S>, _ options: TrainOptions, _ batch: Batch<T>) throws(DiffeoError) {
    try self.init(flow, options, count: batch.rows) { flow throws(DiffeoError) in
      try flow.rows(batch, .training, options)
    }
  }

  convenience init(_ flow: Flow<S>, _ options: TrainOptions, _ reader: any RowReader) throws(DiffeoError) {
    try reader.check(flow.spec)
    try self.init(flow, options, count: reader.rows) { flow throws(DiffeoError) in
      try flow.rows(reader, .training, options, bytes: options.rowsMemory)
    }
  }

  private convenience init(
    _ flow: Flow<S>, _ options: TrainOptions, count: Int,
    _ rows: (FlowInTraining<S>) throws(DiffeoError) -> any RowSource<S>
  ) throws(DiffeoError) {
    try options.check()
    guard count >= 2 else {
      throw DiffeoError(.shape, "x has \(count) row\(count == 1 ? "" : "s"): training needs 2 at least")
    }
    guard count <= Int(Int32.max) else {
      throw DiffeoError(.unsupported, "x has \(count) rows, at most \(Int32.max) can be trained on")
    }
    let flow = try FlowInTraining(flow, threads: options.threads)
    try self.init(
      Descent(flow, options), options, rows(flow),
      Likelihood(flow, rows: min(options.batchSize, count), seed: options.seed))
  }

  func setValidation<T: Scalar>(_ batch: Batch<T>) throws(DiffeoError) {
    try checkValidation(rows: batch.rows)
    try setValidation(flow.rows(batch, .validation, options))
  }

  /// A quarter of the memory for rows is theirs.
  func setValidation(_ reader: any RowReader) throws(DiffeoError) {
    try checkValidation(rows: reader.rows)
    try reader.check(spec)
    try setValidation(flow.rows(reader, .validation, options, bytes: options.rowsMemory / 4))
  }

  private func checkValidation(rows: Int) throws(DiffeoError) {
    guard rows >= 1, rows <= Int(Int32.max) else {
      throw DiffeoError(.shape, "there are \(rows) validation rows, 1 to \(Int32.max) are possible")
    }
  }
}

extension FlowInTraining {
  /// A copy of a batch.
  func rows<T: Scalar>(_ batch: Batch<T>, _ role: RowsRole, _ options: TrainOptions) throws(DiffeoError) -> DataRows<S>
  {
    let settings = try settings(options)
    return try DataRows(
      DataSet(
        batch, role, dim: spec.dim, contextDim: spec.contextDim, negativeWeights: options.negativeWeights),
      settings)
  }

  /// What a reader has: a copy of it where so many bytes hold it, else by the block.
  func rows(
    _ reader: any RowReader, _ role: RowsRole, _ options: TrainOptions, bytes: Int
  ) throws(DiffeoError) -> any RowSource<S> {
    let settings = try settings(options)
    if BlockMemory.holds(reader, S.self, bytes: bytes) {
      return try DataRows(DataSet(reader, role, negativeWeights: options.negativeWeights), settings)
    }
    return try BlockRows(reader, role, settings, bytes: bytes)
  }

  private func settings(_ options: TrainOptions) throws(DiffeoError) -> RowSettings {
    guard spec.isImage || options.imageShift == 0 && !options.imageFlip else {
      throw DiffeoError(
        .invalid, "image_shift and image_flip are for images, and this flow is of \(spec.dim) columns without a shape")
    }
    if options.xNoise > 0, spec.limitsSupport {
      throw DiffeoError(
        .invalid, "x_noise is \(options.xNoise), but this flow lives on a part of the numbers, which noise would leave")
    }
    return RowSettings(
      seed: options.seed, dequantizes: model.dequantizes, noise: options.xNoise,
      moves: ImageMoves(spec.map, shift: options.imageShift, flips: options.imageFlip, seed: options.seed),
      negativeWeights: options.negativeWeights)
  }
}
