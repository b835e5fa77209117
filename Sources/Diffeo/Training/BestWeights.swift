/// The best parameters so far, by a score at the end of each epoch, and whether better ones may still be hoped for.
struct BestWeights<S: Scalar>: Resumable {
  let parameters: ParameterVector<S>
  /// NaN before there is one.
  private(set) var score = Double.nan
  /// The epoch that they are of; 0 for those that the training began with.
  private(set) var epoch = 0
  /// Epochs without better ones that end a training; 0: none do.
  private let patience: Int

  init(_ first: ParameterVector<S>, patience: Int) throws(DiffeoError) {
    parameters = try ParameterVector(copy: first)
    self.patience = patience
  }

  /// Those that the training begins with are a candidate; they may have changed since, and have a score or none yet.
  mutating func begin(_ first: ParameterVector<S>, score: Double) {
    parameters.pointer.update(from: first.pointer, count: parameters.count)
    self.score = score
  }

  /// Whether it is the best now.
  @discardableResult
  mutating func judge(_ candidate: ParameterVector<S>, score: Double, epoch: Int) -> Bool {
    // Without validation the score is of the steps before the last, which may have ruined the weights.
    guard score.isBetter(than: self.score), firstNotFinite(candidate.pointer, count: candidate.count) == nil else {
      return false
    }
    self.score = score
    self.epoch = epoch
    parameters.pointer.update(from: candidate.pointer, count: parameters.count)
    return true
  }

  /// The parameters are copied by the training.
  mutating func restore(from table: NumberTable) throws(DiffeoError) {
    score = try table.number("best_score")
    epoch = try table.count("best_epoch")
  }

  func save(to table: inout NumberTable) {
    table.set("best_score", score)
    table.set("best_epoch", epoch)
  }

  func isGivenUp(after epoch: Int) -> Bool { patience > 0 && epoch - self.epoch >= patience }
}

extension Double {
  /// As a score: any is better than none, NaN.
  func isBetter(than other: Double) -> Bool { self > other || (other.isNaN && !isNaN) }
}
