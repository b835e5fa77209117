import Synchronization

/// Training to a density that can be evaluated, in place of data: the loop of a training, whose epochs are windows of steps.
package final class AnyVariational: @unchecked Sendable {
  private let training: any VariationalTraining
  private let cancelled = Atomic<Bool>(false)

  /// context: rows that are copied; its x is not looked at.
  @_specialize(where T == Float)
  @_specialize(where T == Double)
  package init<T: Scalar>(
    _ flow: AnyFlow, _ options: VariationalOptions, _ target: Target<T>, _ context: Batch<T>
  ) throws(DiffeoError) {
    switch flow {
    case .f32(let flow): training = try Variational(flow, options, target, context)
    case .f64(let flow): training = try Variational(flow, options, target, context)
    }
  }

  package func step(_ steps: Int) throws(DiffeoError) {
    try training.step(steps) { self.cancelled.load(ordering: .relaxed) }
  }

  /// context, gradient: batchSize rows.
  @_specialize(where T == Float)
  @_specialize(where T == Double)
  package func step<T: Scalar>(
    given context: UnsafePointer<T>, gradient: UnsafeMutablePointer<T>?
  ) throws(DiffeoError) {
    guard training.spec.contextDim > 0 else {
      throw DiffeoError(.invalid, "this flow has no context, but one was given")
    }
    guard let training = training as? any GivenContexts<T> else {
      throw DiffeoError(.invalid, "this vi was made for a target of the other type, and takes contexts of that")
    }
    try training.step(given: context, gradient: gradient) { self.cancelled.load(ordering: .relaxed) }
  }

  package func setLearningRate(_ rate: Double) throws(DiffeoError) {
    try Limit.check("train.learning_rate", rate, name: "rate")
    training.setLearningRate(rate)
  }

  /// Steps work in these threads; nil: in its own again.
  package func use(_ workspace: Workspace?) { training.use(workspace) }

  package func cancel() { cancelled.store(true, ordering: .relaxed) }

  package var report: VariationalReport { training.report }
  package var spec: FlowSpec { training.spec }
  package func best() throws(DiffeoError) -> AnyFlow { try training.best() }
  package func current() throws(DiffeoError) -> AnyFlow { try training.current() }
  package func state() throws(DiffeoError) -> AnyTrainingState { try training.state() }
  package func restore(_ state: AnyTrainingState, of spec: FlowSpec) throws(DiffeoError) {
    try training.restore(state, of: spec)
  }
}

private protocol VariationalTraining: AnyObject {
  var spec: FlowSpec { get }
  var report: VariationalReport { get }
  func step(_ steps: Int, cancelled: () -> Bool) throws(DiffeoError)
  func setLearningRate(_ rate: Double)
  func use(_ workspace: Workspace?)
  func best() throws(DiffeoError) -> AnyFlow
  func current() throws(DiffeoError) -> AnyFlow
  func state() throws(DiffeoError) -> AnyTrainingState
  func restore(_ state: AnyTrainingState, of spec: FlowSpec) throws(DiffeoError)
}

private protocol GivenContexts<T> {
  associatedtype T: Scalar
  func step(
    given context: UnsafePointer<T>, gradient: UnsafeMutablePointer<T>?, cancelled: () -> Bool
  ) throws(DiffeoError)
}

final class Variational<S: Scalar, T: Scalar>: VariationalTraining, GivenContexts {
  private let trainer: Trainer<S>
  private let objective: VariationalObjective<S, T>
  private let options: VariationalOptions

  init(
    _ flow: Flow<S>, _ options: VariationalOptions, _ target: Target<T>, _ context: Batch<T>
  ) throws(DiffeoError) {
    try options.check()
    let trainOptions = options.trainOptions
    try trainOptions.check()
    let flow = try FlowInTraining(flow, threads: trainOptions.threads, bothWays: true)
    try flow.setWithoutData()
    self.options = options
    objective = try VariationalObjective(flow, options, target, context)
    trainer = try Trainer(
      Descent(flow, trainOptions), trainOptions, Draws(count: options.batchSize * options.window), objective)
  }

  var spec: FlowSpec { trainer.spec }

  func step(_ steps: Int, cancelled: () -> Bool) throws(DiffeoError) {
    let epoch = trainer.report.epoch
    defer { if trainer.report.epoch > epoch { objective.logWeights.summarise() } }
    try trainer.step(steps, cancelled: cancelled)
  }

  func step(
    given context: UnsafePointer<T>, gradient: UnsafeMutablePointer<T>?, cancelled: () -> Bool
  ) throws(DiffeoError) {
    gradient?.update(repeating: 0, count: options.batchSize * spec.contextDim)
    objective.given = .init(context: context, gradient: gradient)
    defer { objective.given = nil }
    let skipped = trainer.report.skippedSteps
    try step(1, cancelled: cancelled)
    if trainer.report.skippedSteps > skipped {
      gradient?.update(repeating: 0, count: options.batchSize * spec.contextDim)
    }
  }

  var report: VariationalReport {
    let of = trainer.report
    var report = VariationalReport()
    report.totalSteps = trainer.options.maxEpochs * options.window
    let weights = objective.logWeights
    if of.steps > 0 { (report.elbo, report.elboError) = weights.mean }
    report.logEvidence = weights.summary.logEvidence
    report.effectiveSize = weights.summary.effectiveSize
    report.paretoK = weights.summary.paretoK
    report.bound = of.trainLogProb
    report.bestBound = of.bestLogProb
    report.bestWindow = of.bestEpoch
    report.inverseTemperature = options.inverseTemperature(step: max(of.steps - 1, 0))
    report.training = of
    return report
  }

  func setLearningRate(_ rate: Double) { trainer.report.baseLearningRate = rate }
  func use(_ workspace: Workspace?) { trainer.flow.use(workspace) }
  func best() throws(DiffeoError) -> AnyFlow { try .of(trainer.bestFlow()) }
  func current() throws(DiffeoError) -> AnyFlow { try .of(trainer.currentFlow()) }
  func state() throws(DiffeoError) -> AnyTrainingState { try .of(trainer.state()) }

  func restore(_ state: AnyTrainingState, of spec: FlowSpec) throws(DiffeoError) {
    try trainer.restore(state.of(S.self), of: spec)
  }
}

/// As in the C header.
package struct VariationalReport: Sendable {
  package var totalSteps = 0
  package var elbo = Double.nan
  package var elboError = Double.nan
  package var bound = Double.nan
  package var bestBound = Double.nan
  package var bestWindow = 0
  package var logEvidence = Double.nan
  package var effectiveSize = Double.nan
  package var paretoK = Double.nan
  package var inverseTemperature = 1.0
  /// What any training reports.
  package var training = TrainReport()

  package var finished: Bool { training.finished }
}

extension FlowInTraining {
  /// Layers that would be set from data and are not yet become the identity.
  func setWithoutData() throws(DiffeoError) {
    if let i = spec.layers.firstIndex(where: { $0.spec is BatchNormSpec }) {
      throw DiffeoError(
        .unsupported, "layer \(i) is batch_norm, which goes by the rows of a minibatch: here there is no data")
    }
    try spec.eachComponent { component, place, range throws(DiffeoError) in
      let own = parameters.pointer + range.offset
      if component.wantsStatistics(UnsafePointer(own)) {
        let columns = place == .context ? spec.contextDim : spec.dim
        try component.setStatistics(
          own, mean: [Double](repeating: 0, count: columns), deviation: [Double](repeating: 1, count: columns))
      }
    }
    model.prepare(parameters.pointer)
  }
}
