import CLibrary

/// As in the C header.
package struct VariationalOptions: Sendable {
  package enum Estimator: Int32, Sendable {
    case reverseKL = 1
    case path, importance, massCovering
  }

  package var steps = 2000
  package var batchSize = 256
  package var window = 100
  package var patience = 0
  package var estimator = Estimator.path
  package var draws = 8
  package var tempering = 1.0
  package var temperingSteps = 0
  /// Of them the optimizer's count, the seed and the threads.
  package var training = VariationalOptions.standardTraining

  /// So that no product of them is too large for an Int.
  static let maxSteps = 1 << 48
  static let maxBatch = 1 << 22
  static let maxWindow = 1 << 18

  package init() {}

  /// What was best in benchmarks/inference_options.py.
  private static var standardTraining: TrainOptions {
    var options = TrainOptions()
    options.learningRate = 5e-3
    options.schedule = .cosine
    return options
  }

  package func check() throws(DiffeoError) {
    try Limit.check("vi.steps", steps)
    try Limit.check("vi.batch_size", batchSize)
    try Limit.check("vi.window", window)
    try Limit.check("vi.patience", patience)
    try Limit.check("vi.draws", draws)
    try Limit.check("vi.tempering", tempering)
    try Limit.check("vi.tempering_steps", temperingSteps)
    guard estimator != .importance || batchSize % draws == 0 else {
      throw DiffeoError(
        .invalid,
        "batch_size is \(batchSize) and draws \(draws): a batch must be made of whole bounds of \(draws) draws")
    }
  }

  /// Those of a training whose epochs are windows.
  var trainOptions: TrainOptions {
    var options = training
    options.batchSize = batchSize
    options.maxEpochs = (steps + window - 1) / window
    options.patience = patience
    options.validationFraction = 0
    options.judge = .mean
    return options
  }

  /// Samples behind one bound of the evidence.
  var drawsOfABound: Int {
    switch estimator {
    case .reverseKL, .path: 1
    case .importance: draws
    case .massCovering: batchSize
    }
  }

  /// The power of the target in a step.
  func inverseTemperature(step: Int) -> Double {
    step >= temperingSteps ? 1 : pow(tempering, 1 - Double(step) / Double(temperingSteps))
  }
}
