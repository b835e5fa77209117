/// As in the C header.
package struct TrainReport: Resumable, Sendable {
  package enum State: Int32, Sendable {
    case running = 0
    case epochEnd, maxEpochs, patience, cancelled
  }

  package var epoch = 0
  package var batch = 0
  package var batchesPerEpoch = 0
  package var trainRows = 0
  package var validationRows = 0
  package var effectiveRows = 0.0
  package var trainLogProb = Double.nan
  package var trainRobustLogProb = Double.nan
  package var validationLogProb = Double.nan
  package var validationRobustLogProb = Double.nan
  package var worstLogProb = Double.nan
  package var worstRow = -1
  package var bestLogProb = Double.nan
  package var bestEpoch = 0
  package var gradientNorm = Double.nan
  package var learningRate = 0.0
  package var baseLearningRate = 0.0
  package var rowsPerSecond = 0.0
  package var seconds = 0.0
  package var secondsLeft = Double.nan
  package var steps = 0
  package var skippedSteps = 0
  package var cutSteps = 0
  package var averaged = false
  package var state = State.running

  package var finished: Bool { state.rawValue >= State.maxEpochs.rawValue }

  package mutating func cancel() {
    state = .cancelled
    secondsLeft = 0
  }

  /// What is counted over epochs; the rest follows from the other parts of the training.
  func save(to table: inout NumberTable) {
    table.set("epoch", epoch)
    table.set("batch", batch)
    table.set("steps", steps)
    table.set("skipped_steps", skippedSteps)
    table.set("cut_steps", cutSteps)
    table.set("seconds", seconds)
    table.set("gradient_norm", gradientNorm)
    table.set("learning_rate", learningRate)
    table.set("base_learning_rate", baseLearningRate)
    table.set("validation_log_prob", validationLogProb)
    table.set("validation_robust_log_prob", validationRobustLogProb)
    table.set("averaged", averaged ? 1 : 0)
  }

  mutating func restore(from table: NumberTable) throws(DiffeoError) {
    epoch = try table.count("epoch")
    batch = try table.count("batch")
    steps = try table.count("steps")
    skippedSteps = try table.count("skipped_steps")
    cutSteps = try table.count("cut_steps")
    seconds = try table.number("seconds")
    gradientNorm = try table.number("gradient_norm")
    learningRate = try table.number("learning_rate")
    baseLearningRate = try table.number("base_learning_rate")
    try Limit.check("train.learning_rate", baseLearningRate, name: "base_learning_rate")
    validationLogProb = try table.number("validation_log_prob")
    validationRobustLogProb = try table.number("validation_robust_log_prob")
    averaged = try table.number("averaged") == 1
    guard batch <= batchesPerEpoch, epoch <= steps, skippedSteps <= steps, cutSteps <= steps else {
      throw DiffeoError(
        .format,
        "the checkpoint says \(steps) steps, \(skippedSteps) of them skipped, \(cutSteps) cut, and batch \(batch) "
          + "of \(batchesPerEpoch) in epoch \(epoch + 1), which cannot be")
    }
  }

  mutating func setTraining(_ scores: RowScores) {
    trainLogProb = scores.mean
    trainRobustLogProb = scores.robustMean
    worstLogProb = scores.worst
    worstRow = scores.worstRow
  }

  /// From what the present epoch took so far.
  mutating func setSpeed(_ sums: EpochSums, maxEpochs: Int) {
    guard sums.seconds > 0 else { return }
    rowsPerSecond = Double(sums.rows) / sums.seconds
    let epochsLeft = Double(maxEpochs - epoch)
    let rowsDone = batch < batchesPerEpoch ? sums.rows : 0
    let rowsLeft = max(epochsLeft * Double(trainRows) - Double(rowsDone), 0)
    secondsLeft = finished ? 0 : rowsLeft / rowsPerSecond
  }
}
