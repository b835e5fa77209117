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
    try check(spec, state.identity)
    var (report, sums, best, clip, rates) = (report, EpochSums(rows: rows.judged), best, clip, rates)
    try report.restore(from: state.numbers)
    try sums.restore(from: state.numbers)
    try best.restore(from: state.numbers)
    try clip.restore(from: state.numbers)
    try rates.restore(from: state.numbers)
    let restoreObjective = try objective.restore(from: state.numbers)
    guard best.epoch <= report.epoch else {
      throw DiffeoError(
        .format, "the best epoch of the checkpoint is \(best.epoch), but there were \(report.epoch) epochs")
    }
    for (name, vector) in vectors where state.vectors[name]?.count != vector.count {
      throw DiffeoError(.format, "the checkpoint has no '\(name)' of \(vector.count) numbers")
    }

    for (name, vector) in vectors {
      if let stored = state.vectors[name] { vector.pointer.update(from: stored.pointer, count: vector.count) }
    }
    (self.report, self.sums, self.best, self.clip, self.rates) = (report, sums, best, clip, rates)
    restoreObjective()
    self.report.bestLogProb = best.score
    self.report.bestEpoch = best.epoch
    if report.steps > 0 { self.report.setTraining(sums.scores) }
    self.report.setSpeed(sums, maxEpochs: options.maxEpochs)
    setState()
    if self.report.state == .running, report.steps > 0 { rows.begin(epoch: report.epoch) }
    try flow.prepare()
  }

  private var parts: [any Resumable] { [report, sums, best, clip, rates] }

  private var vectors: [String: ParameterVector<S>] {
    var vectors = optimizer.state
    vectors["weights"] = flow.parameters
    vectors["best_weights"] = best.parameters
    if let averaged { vectors["averaged_weights"] = averaged.parameters }
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

  private func check(_ spec: FlowSpec, _ stored: Record) throws(DiffeoError) {
    func refuse(_ sentence: String) -> DiffeoError {
      DiffeoError(.invalid, "the checkpoint is of another training: \(sentence)")
    }
    guard stored.kind == identity.kind else { throw refuse("its kind is '\(stored.kind)'") }
    guard spec == self.spec else { throw refuse("its flow has other layers, another base or another dtype") }
    for (name, value) in identity.fields {
      guard let other = stored[name] else { throw DiffeoError(.format, "the checkpoint has no '\(name)'") }
      if other.isEqual(to: value) { continue }
      switch name {
      case "rows_fingerprint": throw refuse("the values of x, context or weights differ")
      case "validation_fingerprint": throw refuse("the values of the validation rows differ")
      case "flow_fingerprint": throw refuse("it began with other weights of the flow")
      default: throw refuse("\(name) is \(other.text) there and \(value.text) here")
      }
    }
  }
}

extension Record.Value {
  /// As a file gives them back: truth values as integers.
  fileprivate func isEqual(to other: Record.Value) -> Bool { text == other.text }

  fileprivate var text: String {
    switch self {
    case .int(let value): "\(value)"
    case .double(let value): "\(value)"
    case .string(let value): value
    case .bool(let value): value ? "1" : "0"
    case .ints(let values): "\(values)"
    }
  }
}
