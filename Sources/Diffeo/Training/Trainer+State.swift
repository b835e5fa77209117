/// A training that is put aside and continued, with the bits of one that never stopped. What else goes into a step depends
/// on the number of the step, the epoch or a row, and on nothing before it: orders, noise, masks.
extension Trainer {
  func state() -> TrainingState<S> {
    var table = NumberTable()
    for part in parts { part.save(to: &table) }
    objective.save(to: &table)
    return TrainingState(identity: identity, numbers: table, vectors: vectors)
  }

  /// Continues from there, or throws and stays as it is.
  func restore(_ state: TrainingState<S>, of spec: FlowSpec) throws(DiffeoError) {
    guard report.steps == 0 else {
      throw DiffeoError(.state, "a checkpoint can be continued before the first step only")
    }
    try state.check(identity, self.spec, storedWith: spec)
    var (report, sums, best, progress) = (report, EpochSums(rows: rows.judged), best, descent.progress)
    try report.restore(from: state.numbers)
    try sums.restore(from: state.numbers)
    try best.restore(from: state.numbers)
    try progress.restore(from: state.numbers)
    let restoreObjective = try objective.restore(from: state.numbers)
    guard best.epoch <= report.epoch else {
      throw DiffeoError(
        .format, "the best epoch of the checkpoint is \(best.epoch), but there were \(report.epoch) epochs")
    }
    try state.copyVectors(to: vectors)
    (self.report, self.sums, self.best, descent.progress) = (report, sums, best, progress)
    restoreObjective()
    self.report.bestLogProb = best.score
    self.report.bestEpoch = best.epoch
    if report.steps > 0 { self.report.setTraining(sums.scores) }
    self.report.setSpeed(sums, maxEpochs: options.maxEpochs)
    setState()
    if self.report.state == .running, report.steps > 0 { rows.begin(epoch: report.epoch) }
    try flow.prepare()
  }

  private var parts: [any Resumable] { [report, sums, best, descent.progress] }

  private var vectors: [String: ParameterVector<S>] {
    var vectors = descent.vectors
    vectors["best_weights"] = best.parameters
    return vectors
  }

  /// The rows and the weights that the training began with, by their fingerprints.
  private var identity: Record {
    var record = options.record
    objective.describe(&record)
    record["rows"] = .int(data.count)
    record["rows_memory"] = .int(data.hasWindows ? options.rowsMemory : 0)
    record["rows_fingerprint"] = .int(Int(bitPattern: UInt(data.fingerprint)))
    record["validation_rows"] = .int(validation?.count ?? 0)
    record["validation_fingerprint"] = .int(Int(bitPattern: UInt(validation?.fingerprint ?? 0)))
    record["flow_fingerprint"] = .int(Int(bitPattern: UInt(flow.originFingerprint)))
    return record
  }
}
