/// As in the C header.
package struct TrainOptions: Sendable {
  package enum Method: Int32, Sendable {
    case adam = 1
    case sgd
  }
  package enum Schedule: Int32, Sendable {
    case constant = 1
    case cosine, exponential, plateau
  }
  package enum Judge: Int32, Sendable {
    case mean = 1
    case robust
  }

  package var batchSize = 512
  package var maxEpochs = 100
  package var patience = 10
  package var validationFraction = 0.1
  package var seed: UInt64 = 0
  package var threads = 1
  package var judge = Judge.mean

  package var optimizer = Method.adam
  package var schedule = Schedule.constant
  package var learningRate = 1e-3
  package var warmupSteps = 0
  package var rateDecay = 0.5
  package var plateauPatience = 5
  package var beta1 = 0.9
  package var beta2 = 0.999
  package var epsilon = 1e-8
  package var momentum = 0.9
  package var weightDecay = 0.0
  package var l2 = 0.0
  package var clipNorm = 0.0
  package var clipQuantile = 0.9
  package var emaDecay = 0.0
  package var xNoise = 0.0
  /// Of images: by up to so many places.
  package var imageShift = 0
  package var imageFlip = false
  package var negativeWeights = false
  package var rowsMemory = 1 << 28

  package init() {}

  /// By their names in C: those that make a training what it is. It may be continued with more epochs, another patience and
  /// other threads.
  var record: Record {
    var record = Record(kind: "maximum_likelihood")
    record["batch_size"] = .int(batchSize)
    record["validation_fraction"] = .double(validationFraction)
    record["seed"] = .int(Int(bitPattern: UInt(seed)))
    record["judge"] = .int(Int(judge.rawValue))
    record["optimizer"] = .int(Int(optimizer.rawValue))
    record["schedule"] = .int(Int(schedule.rawValue))
    record["learning_rate"] = .double(learningRate)
    record["warmup_steps"] = .int(warmupSteps)
    record["rate_decay"] = .double(rateDecay)
    record["plateau_patience"] = .int(plateauPatience)
    record["beta1"] = .double(beta1)
    record["beta2"] = .double(beta2)
    record["epsilon"] = .double(epsilon)
    record["momentum"] = .double(momentum)
    record["weight_decay"] = .double(weightDecay)
    record["l2"] = .double(l2)
    record["clip_norm"] = .double(clipNorm)
    record["clip_quantile"] = .double(clipQuantile)
    record["ema_decay"] = .double(emaDecay)
    record["x_noise"] = .double(xNoise)
    record["image_shift"] = .int(imageShift)
    record["image_flip"] = .bool(imageFlip)
    record["negative_weights"] = .bool(negativeWeights)
    return record
  }

  package func check() throws(DiffeoError) {
    try Limit.check("train.batch_size", batchSize)
    try Limit.check("train.max_epochs", maxEpochs)
    try Limit.check("train.patience", patience)
    try Limit.check("train.validation_fraction", validationFraction)
    try Limit.check("train.threads", threads)
    try Limit.check("train.learning_rate", learningRate)
    try Limit.check("train.warmup_steps", warmupSteps)
    try Limit.check("train.rate_decay", rateDecay)
    try Limit.check("train.plateau_patience", plateauPatience)
    try Limit.check("train.beta1", beta1)
    try Limit.check("train.beta2", beta2)
    try Limit.check("train.epsilon", epsilon)
    try Limit.check("train.momentum", momentum)
    try Limit.check("train.weight_decay", weightDecay)
    try Limit.check("train.l2", l2)
    try Limit.check("train.clip_norm", clipNorm)
    try Limit.check("train.clip_quantile", clipQuantile)
    try Limit.check("train.ema_decay", emaDecay)
    try Limit.check("train.x_noise", xNoise)
    try Limit.check("train.rows_memory", rowsMemory)
    try Limit.check("train.image_shift", imageShift)
  }
}
