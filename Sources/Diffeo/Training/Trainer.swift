/// Minibatches and epochs: the loop of a training. Rows and objective are given to it. Used by one thread at a time; its own
/// threads are in the workspace of the flow.
final class Trainer<S: Scalar> {
  let objective: any Objective<S>
  let descent: Descent<S>
  let options: TrainOptions

  /// All that may be trained on.
  let data: any RowSource<S>
  private(set) var rows: any RowSource<S>
  private(set) var validation: (any RowSource<S>)?

  var sums = EpochSums(rows: 0)
  var best: BestWeights<S>
  var report = TrainReport()

  var flow: FlowInTraining<S> { descent.flow }
  var spec: FlowSpec { flow.spec }

  init(
    _ descent: Descent<S>, _ options: TrainOptions, _ data: any RowSource<S>, _ objective: any Objective<S>
  ) throws(DiffeoError) {
    self.descent = descent
    self.options = options
    self.data = data
    self.objective = objective
    (rows, validation) = try data.split(
      held: min(Int(options.validationFraction * Double(data.count)), data.count - 1))
    best = try BestWeights(descent.flow.parameters, patience: options.patience)
    try begin()
  }

  /// Holds out these in place of some of the data.
  func setValidation(_ rows: any RowSource<S>) throws(DiffeoError) {
    guard report.steps == 0 else {
      throw DiffeoError(.state, "the validation rows can be set before the first step only")
    }
    validation = rows
    (self.rows, _) = try data.split(held: 0)
    // What layers took from the data, they took from fewer rows.
    flow.reset()
    try begin()
  }

  private func begin() throws(DiffeoError) {
    let batchSize = min(options.batchSize, rows.count)
    report.batchesPerEpoch = (rows.count + batchSize - 1) / batchSize
    guard !normalisesMinibatches || rows.count / report.batchesPerEpoch >= 2 else {
      throw DiffeoError(
        .invalid,
        "batch_norm takes the variance of each minibatch, and one row has none: batch_size is \(options.batchSize), of "
          + "\(rows.count) rows")
    }
    do throws(DiffeoError) { try flow.setFromData(rows) } catch {
      if rows.count > 1 { throw error }
      throw DiffeoError(
        .shape,
        "x has \(data.count) rows, of which validation_fraction \(options.validationFraction) holds out "
          + "\(data.count - rows.count): what is left says nothing of the scale of the data")
    }
    try objective.check(rows)
    if let validation { try objective.check(validation) }
    best.begin(flow.parameters, score: .nan)
    descent.averaged?.begin(flow.parameters)
    report.trainRows = rows.count
    report.validationRows = validation?.count ?? 0
    report.effectiveRows = rows.effectiveCount
    report.baseLearningRate = options.learningRate
    report.learningRate = options.learningRate
    if options.maxEpochs == 0 { report.state = .maxEpochs }
  }

  /// Works in these threads from now on; nil: in its own again.
  func use(_ workspace: Workspace?) throws(DiffeoError) {
    if let workspace { try LikelihoodGradient<S>.checkMemory(spec, threads: workspace.threads) }
    flow.use(workspace)
  }

  // MARK: - Steps

  /// At most so many minibatches (0 or less: all that are left), not past the end of the epoch.
  func step(_ batches: Int, cancelled: () -> Bool) throws(DiffeoError) {
    if report.finished {
      if report.state == .cancelled { throw DiffeoError(.cancelled, "the training was cancelled") }
      return
    }
    let start = monotonicSeconds()
    rows.readAhead(true)
    validation?.readAhead(true)
    defer {
      rows.readAhead(false)
      validation?.readAhead(false)
      let elapsed = monotonicSeconds() - start
      report.seconds += elapsed
      sums.seconds += elapsed
      report.setSpeed(sums, maxEpochs: options.maxEpochs)
    }
    if report.steps == 0, let judged {
      best.begin(flow.parameters, score: try objective.scores(judged).value(options.judge))
      report.bestLogProb = best.score
    }
    if report.batch == report.batchesPerEpoch || report.steps == 0 { beginEpoch() }
    var left = batches <= 0 ? Int.max : batches
    report.state = .running
    while left > 0, report.batch < report.batchesPerEpoch {
      if cancelled() {
        report.cancel()
        throw DiffeoError(.cancelled, "the training was cancelled in epoch \(report.epoch + 1)")
      }
      try minibatch()
      left -= 1
    }
    if report.batch == report.batchesPerEpoch { try endEpoch() }
  }

  private func beginEpoch() {
    report.batch = 0
    sums = EpochSums(rows: rows.judged)
    rows.begin(epoch: report.epoch)
  }

  private func minibatch() throws(DiffeoError) {
    // As equal as can be, so that no step hangs on a few rows left over.
    let (batch, batches) = (report.batch, report.batchesPerEpoch)
    let range = batch * rows.count / batches..<(batch + 1) * rows.count / batches
    let squares = try objective.computeGradient(rows, range, minibatch: report.steps, &sums.scores)
    sums.add(rows: range.count)
    report.batch += 1
    report.setTraining(sums.scores)
    let moved = try descent.step(
      objective.gradient, squares: squares, of: Double(options.maxEpochs) * Double(batches), &report)
    if moved { sums.addFiniteStep() }
  }

  private func endEpoch() throws(DiffeoError) {
    report.epoch += 1
    if sums.finiteSteps == 0 {
      report.state = .cancelled
      throw DiffeoError(
        .numeric,
        "no step of epoch \(report.epoch) had a finite gradient; the best weights so far are kept. "
          + "A lower learning rate, a clip_norm or a look at the data may help")
    }
    try judge()
    descent.progress.rates.endEpoch(better: best.epoch == report.epoch)
    report.bestLogProb = best.score
    report.bestEpoch = best.epoch
    setState()
  }

  /// Between two steps.
  func setState() {
    if report.epoch >= options.maxEpochs {
      report.state = .maxEpochs
    } else if report.batch < report.batchesPerEpoch {
      report.state = .running
    } else if best.isGivenUp(after: report.epoch) {
      report.state = .patience
    } else {
      report.state = .epochEnd
    }
  }

  private var normalisesMinibatches: Bool { !flow.model.batchNorms.isEmpty }

  /// The rows by which weights are judged, as they are used outside of a training; nil: the steps of an epoch say enough,
  /// which is not so where rows of a minibatch see one another.
  private var judged: (any RowSource<S>)? { validation ?? (normalisesMinibatches ? rows : nil) }

  /// The present weights or their average, whichever is better: its validation is that of the epoch. Where the steps judge
  /// both have their score.
  private func judge() throws(DiffeoError) {
    let averaged = descent.averaged
    guard let judged else {
      report.averaged = averaged != nil
      best.judge(averaged?.parameters ?? flow.parameters, score: sums.scores.value(options.judge), epoch: report.epoch)
      return
    }
    var candidate = (parameters: flow.parameters, scores: try objective.scores(judged), averaged: false)
    if let averaged {
      let scores = try flow.with(averaged.parameters) { () throws(DiffeoError) in try objective.scores(judged) }
      if scores.value(options.judge).isBetter(than: candidate.scores.value(options.judge)) {
        candidate = (averaged.parameters, scores, true)
      }
    }
    if validation != nil {
      report.validationLogProb = candidate.scores.mean
      report.validationRobustLogProb = candidate.scores.robustMean
    }
    if best.judge(candidate.parameters, score: candidate.scores.value(options.judge), epoch: report.epoch) {
      report.averaged = candidate.averaged
    }
  }

  // MARK: - Results

  /// Before the end of the first epoch nothing has been judged: the present weights, unless they are ruined.
  func bestFlow() throws(DiffeoError) -> Flow<S> {
    if report.epoch == 0 {
      do throws(DiffeoError) { return try currentFlow() } catch  where error.code == .numeric {}
    }
    return try flow.flow(best.parameters)
  }

  func currentFlow() throws(DiffeoError) -> Flow<S> { try flow.flow() }
}
