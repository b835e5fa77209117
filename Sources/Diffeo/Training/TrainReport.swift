/// As in the C header.
package struct TrainReport: Sendable {
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
