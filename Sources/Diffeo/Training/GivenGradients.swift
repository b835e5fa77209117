/// Steps along gradients that somebody else has computed, of a loss of their own.
final class GivenGradients<S: Scalar> {
  private let descent: Descent<S>
  private let options: TrainOptions
  private let totalSteps: Int
  /// Of the flow's parameters: what no training moves is not looked at in a gradient.
  private let trained: [Bool]
  private let gradient: ParameterVector<S>
  private(set) var report = TrainReport()

  private var flow: FlowInTraining<S> { descent.flow }
  var spec: FlowSpec { flow.spec }

  /// totalSteps: of the schedule.
  init(_ flow: Flow<S>, _ options: TrainOptions, totalSteps: Int) throws(DiffeoError) {
    try options.check()
    try Limit.check("optimizer.total_steps", totalSteps)
    guard options.schedule == .constant || options.schedule == .cosine else {
      throw DiffeoError(
        .invalid,
        "the schedules exponential and plateau go by epochs, of which an optimizer alone knows nothing: "
          + "set the rate instead")
    }
    guard options.schedule != .cosine || totalSteps > 0 else {
      throw DiffeoError(
        .invalid, "total_steps is 0: it must be 1 or more for the schedule cosine, which falls to 0 over them")
    }
    self.options = options
    self.totalSteps = totalSteps
    trained = flow.trained()
    gradient = try ParameterVector(count: flow.parameters.count)
    let flow = try FlowInTraining(flow, threads: options.threads)
    try flow.setWithoutData()
    descent = try Descent(flow, options)
    report.baseLearningRate = options.learningRate
    report.learningRate = options.learningRate
  }

  /// Against the gradient: [parameters].
  @_specialize(where S == Float, T == Float)
  @_specialize(where S == Float, T == Double)
  @_specialize(where S == Double, T == Float)
  @_specialize(where S == Double, T == Double)
  func step<T: Scalar>(_ given: UnsafePointer<T>) throws(DiffeoError) {
    let start = monotonicSeconds()
    for i in 0..<gradient.count { gradient.pointer[i] = trained[i] ? S(given[i]) : 0 }
    let squares = S.kernels.sumOfSquares(gradient.count, gradient.pointer)
    _ = try descent.step(gradient, squares: squares, sign: -1, of: Double(totalSteps), &report)
    report.seconds += monotonicSeconds() - start
  }

  func setLearningRate(_ rate: Double) { report.baseLearningRate = rate }

  func use(_ workspace: Workspace?) { flow.use(workspace) }

  func current() throws(DiffeoError) -> Flow<S> { try flow.flow() }

  func average() throws(DiffeoError) -> Flow<S> {
    guard let averaged = descent.averaged else {
      throw DiffeoError(.state, "ema_decay is 0: there is no average of the weights")
    }
    return try flow.flow(averaged.parameters)
  }

  // MARK: - Checkpoints

  private var identity: Record {
    var record = options.record
    record.kind = "given_gradients"
    record["total_steps"] = .int(totalSteps)
    record["flow_fingerprint"] = .int(Int(bitPattern: UInt(flow.originFingerprint)))
    return record
  }

  func state() -> TrainingState<S> {
    var table = NumberTable()
    report.save(to: &table)
    descent.progress.save(to: &table)
    return TrainingState(identity: identity, numbers: table, vectors: descent.vectors)
  }

  /// Continues from there, or throws and stays as it is.
  func restore(_ state: TrainingState<S>, of spec: FlowSpec) throws(DiffeoError) {
    guard report.steps == 0 else {
      throw DiffeoError(.state, "a checkpoint can be continued before the first step only")
    }
    try state.check(identity, self.spec, storedWith: spec)
    var (report, progress) = (report, descent.progress)
    try report.restore(from: state.numbers)
    try progress.restore(from: state.numbers)
    try state.copyVectors(to: descent.vectors)
    (self.report, descent.progress) = (report, progress)
    try flow.prepare()
  }
}

/// Of a flow of either type. Used by one thread at a time.
package final class AnyOptimizer {
  private enum Kind {
    case f32(GivenGradients<Float>)
    case f64(GivenGradients<Double>)
  }
  private let kind: Kind

  package init(_ flow: AnyFlow, _ options: TrainOptions, totalSteps: Int) throws(DiffeoError) {
    switch flow {
    case .f32(let flow): kind = .f32(try GivenGradients(flow, options, totalSteps: totalSteps))
    case .f64(let flow): kind = .f64(try GivenGradients(flow, options, totalSteps: totalSteps))
    }
  }

  @_specialize(where T == Float)
  @_specialize(where T == Double)
  package func step<T: Scalar>(_ gradient: UnsafePointer<T>) throws(DiffeoError) {
    switch kind {
    case .f32(let descent): try descent.step(gradient)
    case .f64(let descent): try descent.step(gradient)
    }
  }

  /// From the next step on.
  package func setLearningRate(_ rate: Double) throws(DiffeoError) {
    try Limit.check("train.learning_rate", rate, name: "rate")
    switch kind {
    case .f32(let descent): descent.setLearningRate(rate)
    case .f64(let descent): descent.setLearningRate(rate)
    }
  }

  /// Steps work in these threads; nil: in its own again.
  package func use(_ workspace: Workspace?) {
    switch kind {
    case .f32(let descent): descent.use(workspace)
    case .f64(let descent): descent.use(workspace)
    }
  }

  package var report: TrainReport {
    switch kind {
    case .f32(let descent): descent.report
    case .f64(let descent): descent.report
    }
  }

  package func current() throws(DiffeoError) -> AnyFlow {
    switch kind {
    case .f32(let descent): .f32(try descent.current())
    case .f64(let descent): .f64(try descent.current())
    }
  }

  package func average() throws(DiffeoError) -> AnyFlow {
    switch kind {
    case .f32(let descent): .f32(try descent.average())
    case .f64(let descent): .f64(try descent.average())
    }
  }

  package func state() -> AnyTrainingState {
    switch kind {
    case .f32(let descent): .f32(descent.state())
    case .f64(let descent): .f64(descent.state())
    }
  }

  package func restore(_ state: AnyTrainingState, of spec: FlowSpec) throws(DiffeoError) {
    switch kind {
    case .f32(let descent): try descent.restore(state.of(Float.self), of: spec)
    case .f64(let descent): try descent.restore(state.of(Double.self), of: spec)
    }
  }
}
