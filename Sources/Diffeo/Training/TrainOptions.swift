/// As in the C header.
package struct TrainOptions: Sendable {
  package enum Schedule: Int32, Sendable {
    case constant = 1
    case cosine
  }

  package var batchSize = 512
  package var maxEpochs = 100
  package var patience = 10
  package var learningRate = 1e-3
  package var beta1 = 0.9
  package var beta2 = 0.999
  package var epsilon = 1e-8
  package var weightDecay = 0.0
  package var clipNorm = 5.0
  package var validationFraction = 0.1
  package var schedule = Schedule.constant
  package var threads = 1
  package var seed: UInt64 = 0

  package init() {}

  package func check() throws(DiffeoError) {
    func require(
      _ holds: Bool, _ name: String, _ value: some CustomStringConvertible, _ range: String
    ) throws(DiffeoError) {
      if !holds { throw DiffeoError(.invalid, "\(name) is \(value), it must be \(range)") }
    }
    try require(batchSize >= 1, "batch_size", batchSize, "1 or more")
    try require(maxEpochs >= 0, "max_epochs", maxEpochs, "0 or more")
    try require(patience >= 0, "patience", patience, "0 or more")
    try require(learningRate > 0 && learningRate.isFinite, "learning_rate", learningRate, "above 0")
    try require(beta1 >= 0 && beta1 < 1, "beta1", beta1, "0 up to 1")
    try require(beta2 >= 0 && beta2 < 1, "beta2", beta2, "0 up to 1")
    try require(epsilon > 0 && epsilon.isFinite, "epsilon", epsilon, "above 0")
    try require(weightDecay >= 0 && weightDecay.isFinite, "weight_decay", weightDecay, "0 or more")
    try require(clipNorm >= 0, "clip_norm", clipNorm, "0 or more")
    try require(
      validationFraction >= 0 && validationFraction < 1, "validation_fraction", validationFraction,
      "0 up to 1")
    try require(
      threads >= 0 && threads <= Workspace.maxThreads, "threads", threads,
      "0 to \(Workspace.maxThreads)")
  }
}
