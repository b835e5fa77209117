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
    try Limit.check("train.batch_size", batchSize)
    try Limit.check("train.max_epochs", maxEpochs)
    try Limit.check("train.patience", patience)
    try Limit.check("train.learning_rate", learningRate)
    try Limit.check("train.beta1", beta1)
    try Limit.check("train.beta2", beta2)
    try Limit.check("train.epsilon", epsilon)
    try Limit.check("train.weight_decay", weightDecay)
    try Limit.check("train.clip_norm", clipNorm)
    try Limit.check("train.validation_fraction", validationFraction)
    try Limit.check("train.threads", threads)
  }
}
