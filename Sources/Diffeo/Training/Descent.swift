/// From gradients to weights: how far each is cut, the rate of the moment, the optimizer's step, the moving average.
final class Descent<S: Scalar> {
  let flow: FlowInTraining<S>
  let averaged: AveragedWeights<S>?
  var progress: Progress
  private let optimizer: any Optimizer<S>

  /// What goes from step to step beside vectors.
  struct Progress: Resumable {
    var rates: any RateSchedule
    var clip: GradientClip

    func save(to table: inout NumberTable) {
      rates.save(to: &table)
      clip.save(to: &table)
    }

    mutating func restore(from table: NumberTable) throws(DiffeoError) {
      try rates.restore(from: table)
      try clip.restore(from: table)
    }
  }

  convenience init(_ flow: FlowInTraining<S>, _ options: TrainOptions) throws(DiffeoError) {
    try self.init(flow, options, options.makeOptimizer(flow))
  }

  init(_ flow: FlowInTraining<S>, _ options: TrainOptions, _ optimizer: any Optimizer<S>) throws(DiffeoError) {
    self.flow = flow
    self.optimizer = optimizer
    averaged = options.emaDecay > 0 ? try AveragedWeights(flow.parameters, decay: options.emaDecay) : nil
    progress = Progress(
      rates: options.rates, clip: GradientClip(norm: options.clipNorm, quantile: options.clipQuantile))
  }

  /// All of them have as many numbers as the flow has parameters.
  var vectors: [String: ParameterVector<S>] {
    var vectors = optimizer.state
    vectors["weights"] = flow.parameters
    if let averaged { vectors["averaged_weights"] = averaged.parameters }
    return vectors
  }

  /// One step, of `total`, in the direction in which something grows that has this gradient, times sign; it may be written
  /// over. squares: the sum of its squares. Gives whether it was finite: if not, nothing moves.
  func step(
    _ gradient: ParameterVector<S>, squares: Double, sign: Double = 1, of total: Double, _ report: inout TrainReport
  ) throws(DiffeoError) -> Bool {
    report.learningRate =
      report.baseLearningRate * progress.rates.factor(step: report.steps, of: total, epoch: report.epoch)
    report.steps += 1
    report.gradientNorm = squares.squareRoot()
    guard report.gradientNorm.isFinite else {
      report.skippedSteps += 1
      return false
    }
    let scale = progress.clip.factor(report.gradientNorm)
    if scale < 1 { report.cutSteps += 1 }
    let number = report.steps - report.skippedSteps
    try optimizer.step(flow, gradient, scale: sign * scale, rate: report.learningRate, number: number)
    try flow.prepare()
    averaged?.add(flow.parameters, number: number)
    return true
  }
}
