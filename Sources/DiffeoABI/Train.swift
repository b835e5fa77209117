import CDiffeo
import Diffeo
import WeightFile

/// For the metadata of the flow that a trainer began with.
final class TrainerHandle: Handle {
  static var name: String { "trainer" }
  let trainer: AnyTrainer
  let metadata: [String: String]

  init(_ trainer: AnyTrainer, metadata: [String: String]) {
    self.trainer = trainer
    self.metadata = metadata
  }

  convenience init<T: Scalar>(
    _ flow: OpaquePointer?, _ options: UnsafePointer<diffeo_train_options>?, _ x: UnsafePointer<T>?,
    _ n: Int64,
    _ context: UnsafePointer<T>?, _ n_context: Int64, _ weights: UnsafePointer<T>?
  ) throws(DiffeoError) {
    let handle = try FlowHandle.from(flow)
    let options = try diffeo_train_options.read(options).options
    var batch = try batch(handle.flow.spec, x, "x", n, context, n_context)
    batch.weights = weights
    self.init(try AnyTrainer(handle.flow, options, batch), metadata: handle.metadata)
  }
}

private func create<T: Scalar>(
  _ flow: OpaquePointer?, _ options: UnsafePointer<diffeo_train_options>?, _ x: UnsafePointer<T>?,
  _ n: Int64,
  _ context: UnsafePointer<T>?, _ n_context: Int64, _ weights: UnsafePointer<T>?,
  _ trainer: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(trainer, "trainer") { () throws(DiffeoError) in
    try TrainerHandle(flow, options, x, n, context, n_context, weights)
  }
}

@implementation @_cdecl("diffeo_trainer_create_f32")
public func diffeo_trainer_create_f32(
  _ flow: OpaquePointer?, _ options: UnsafePointer<diffeo_train_options>?,
  _ x: UnsafePointer<Float>?, _ n: Int64,
  _ context: UnsafePointer<Float>?, _ n_context: Int64, _ weights: UnsafePointer<Float>?,
  _ trainer: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  create(flow, options, x, n, context, n_context, weights, trainer)
}

@implementation @_cdecl("diffeo_trainer_create_f64")
public func diffeo_trainer_create_f64(
  _ flow: OpaquePointer?, _ options: UnsafePointer<diffeo_train_options>?,
  _ x: UnsafePointer<Double>?, _ n: Int64,
  _ context: UnsafePointer<Double>?, _ n_context: Int64, _ weights: UnsafePointer<Double>?,
  _ trainer: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  create(flow, options, x, n, context, n_context, weights, trainer)
}

@implementation @_cdecl("diffeo_trainer_destroy")
public func diffeo_trainer_destroy(_ trainer: OpaquePointer?) { TrainerHandle.destroy(trainer) }

private func setValidation<T: Scalar>(
  _ trainer: OpaquePointer?, _ x: UnsafePointer<T>?, _ n: Int64, _ context: UnsafePointer<T>?,
  _ n_context: Int64, _ weights: UnsafePointer<T>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let trainer = try TrainerHandle.from(trainer).trainer
    var batch = try batch(trainer.spec, x, "x", n, context, n_context)
    batch.weights = weights
    try trainer.setValidation(batch)
  }
}

@implementation @_cdecl("diffeo_trainer_set_validation_f32")
public func diffeo_trainer_set_validation_f32(
  _ trainer: OpaquePointer?, _ x: UnsafePointer<Float>?, _ n: Int64,
  _ context: UnsafePointer<Float>?,
  _ n_context: Int64, _ weights: UnsafePointer<Float>?
) -> diffeo_status {
  setValidation(trainer, x, n, context, n_context, weights)
}

@implementation @_cdecl("diffeo_trainer_set_validation_f64")
public func diffeo_trainer_set_validation_f64(
  _ trainer: OpaquePointer?, _ x: UnsafePointer<Double>?, _ n: Int64,
  _ context: UnsafePointer<Double>?,
  _ n_context: Int64, _ weights: UnsafePointer<Double>?
) -> diffeo_status {
  setValidation(trainer, x, n, context, n_context, weights)
}

@implementation @_cdecl("diffeo_trainer_step")
public func diffeo_trainer_step(
  _ trainer: OpaquePointer?, _ batches: Int64, _ report: UnsafeMutablePointer<diffeo_train_report>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let trainer = try TrainerHandle.from(trainer).trainer
    let size = try reportSize(report)
    defer { trainer.report.write(to: report, size) }
    try trainer.step(Int(batches))
  }
}

@implementation @_cdecl("diffeo_trainer_report")
public func diffeo_trainer_report(
  _ trainer: OpaquePointer?, _ report: UnsafeMutablePointer<diffeo_train_report>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let trainer = try TrainerHandle.from(trainer).trainer
    _ = try require(report, "report")
    trainer.report.write(to: report, try reportSize(report))
  }
}

@implementation @_cdecl("diffeo_trainer_set_learning_rate")
public func diffeo_trainer_set_learning_rate(_ trainer: OpaquePointer?, _ rate: Double) -> diffeo_status {
  boundary { () throws(DiffeoError) in try TrainerHandle.from(trainer).trainer.setLearningRate(rate) }
}

@implementation @_cdecl("diffeo_trainer_set_workspace")
public func diffeo_trainer_set_workspace(_ trainer: OpaquePointer?, _ workspace: OpaquePointer?) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try TrainerHandle.from(trainer).trainer.use(workspace == nil ? nil : Workspace.from(workspace))
  }
}

@implementation @_cdecl("diffeo_trainer_finished")
public func diffeo_trainer_finished(_ trainer: OpaquePointer?) -> Int32 {
  guard let handle = try? TrainerHandle.from(trainer) else { return 1 }
  return handle.trainer.report.finished ? 1 : 0
}

@implementation @_cdecl("diffeo_trainer_best")
public func diffeo_trainer_best(
  _ trainer: OpaquePointer?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(flow, "flow") { () throws(DiffeoError) in
    let handle = try TrainerHandle.from(trainer)
    return FlowHandle(try handle.trainer.best(), metadata: handle.metadata)
  }
}

@implementation @_cdecl("diffeo_trainer_current")
public func diffeo_trainer_current(
  _ trainer: OpaquePointer?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(flow, "flow") { () throws(DiffeoError) in
    let handle = try TrainerHandle.from(trainer)
    return FlowHandle(try handle.trainer.current(), metadata: handle.metadata)
  }
}

@implementation @_cdecl("diffeo_trainer_save")
public func diffeo_trainer_save(_ trainer: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try TrainerHandle.from(trainer)
    try WeightFile.save(
      StoredFlow(flow: handle.trainer.best(), metadata: handle.metadata, training: handle.trainer.state()),
      path: string(path, "path"))
  }
}

@implementation @_cdecl("diffeo_trainer_load")
public func diffeo_trainer_load(_ trainer: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try TrainerHandle.from(trainer)
    let stored = try WeightFile.load(path: string(path, "path"), withTraining: true)
    guard let training = stored.training else { throw DiffeoError(.internal, "a training was not read") }
    try handle.trainer.restore(training, of: stored.flow.spec)
  }
}

@implementation @_cdecl("diffeo_trainer_cancel")
public func diffeo_trainer_cancel(_ trainer: OpaquePointer?) {
  (try? TrainerHandle.from(trainer))?.trainer.cancel()
}

// MARK: - Fit

/// Written with nothing but what a caller has, too. Not `making`: a training that is stopped fails and gives a flow.
private func fit<T: Scalar>(
  _ flow: OpaquePointer?, _ options: UnsafePointer<diffeo_train_options>?, _ x: UnsafePointer<T>?,
  _ n: Int64,
  _ context: UnsafePointer<T>?, _ n_context: Int64, _ weights: UnsafePointer<T>?,
  _ on_progress: diffeo_progress?,
  _ user: UnsafeMutableRawPointer?,
  _ trained: UnsafeMutablePointer<OpaquePointer?>?,
  _ report: UnsafeMutablePointer<diffeo_train_report>?
) -> diffeo_status {
  trained?.pointee = nil
  return boundary { () throws(DiffeoError) in
    let target = try require(trained, "trained")
    let size = try reportSize(report)
    let handle = try TrainerHandle(flow, options, x, n, context, n_context, weights)
    let trainer = handle.trainer
    var stopped = false
    while !trainer.report.finished, !stopped {
      try trainer.step(0)
      if let on_progress {
        var seen = diffeo_train_report()
        trainer.report.write(to: &seen, MemoryLayout<diffeo_train_report>.size)
        stopped = callHost { on_progress(&seen, user) } != 0
      }
    }
    let flow = FlowHandle(try trainer.best(), metadata: handle.metadata)
    var last = trainer.report
    let stoppedEarly = stopped && !last.finished
    if stoppedEarly { last.cancel() }
    last.write(to: report, size)
    target.pointee = flow.passed()
    if stoppedEarly {
      throw DiffeoError(.cancelled, "on_progress stopped the training after epoch \(last.epoch)")
    }
  }
}

@implementation @_cdecl("diffeo_fit_f32")
public func diffeo_fit_f32(
  _ flow: OpaquePointer?, _ options: UnsafePointer<diffeo_train_options>?,
  _ x: UnsafePointer<Float>?, _ n: Int64,
  _ context: UnsafePointer<Float>?, _ n_context: Int64, _ weights: UnsafePointer<Float>?,
  _ on_progress: diffeo_progress?,
  _ user: UnsafeMutableRawPointer?, _ trained: UnsafeMutablePointer<OpaquePointer?>?,
  _ report: UnsafeMutablePointer<diffeo_train_report>?
) -> diffeo_status {
  fit(flow, options, x, n, context, n_context, weights, on_progress, user, trained, report)
}

@implementation @_cdecl("diffeo_fit_f64")
public func diffeo_fit_f64(
  _ flow: OpaquePointer?, _ options: UnsafePointer<diffeo_train_options>?,
  _ x: UnsafePointer<Double>?, _ n: Int64,
  _ context: UnsafePointer<Double>?, _ n_context: Int64, _ weights: UnsafePointer<Double>?,
  _ on_progress: diffeo_progress?,
  _ user: UnsafeMutableRawPointer?, _ trained: UnsafeMutablePointer<OpaquePointer?>?,
  _ report: UnsafeMutablePointer<diffeo_train_report>?
) -> diffeo_status {
  fit(flow, options, x, n, context, n_context, weights, on_progress, user, trained, report)
}

// MARK: - Reports

/// A struct of results that begins with its size, as options do.
protocol SizedReport {
  static var name: String { get }
}

extension diffeo_train_report: SizedReport {
  static var name: String { "diffeo_train_report" }
}

/// The size that the caller's report has, 0 for none.
func reportSize<R: SizedReport>(_ report: UnsafeMutablePointer<R>?) throws(DiffeoError) -> Int {
  guard let report else { return 0 }
  let size = UnsafeRawPointer(report).loadUnaligned(as: Int.self)
  let first = MemoryLayout<R>.size
  guard size >= first, size <= 1 << 16 else {
    throw DiffeoError(.invalid, "struct_size of the report is \(size), set it to sizeof(\(R.name)), \(first)")
  }
  return size
}

extension SizedReport {
  /// As much of it as the caller's struct has room for.
  func write(to target: UnsafeMutablePointer<Self>, _ size: Int) {
    withUnsafeBytes(of: self) {
      UnsafeMutableRawBufferPointer(start: target, count: size).copyBytes(from: $0.prefix(size))
    }
  }
}

extension TrainReport {
  func write(to target: UnsafeMutablePointer<diffeo_train_report>?, _ size: Int) {
    guard let target, size > 0 else { return }
    var r = diffeo_train_report()
    r.struct_size = size
    r.epoch = Int64(epoch)
    r.batch = Int64(batch)
    r.batches_per_epoch = Int64(batchesPerEpoch)
    r.train_rows = Int64(trainRows)
    r.validation_rows = Int64(validationRows)
    r.effective_rows = effectiveRows
    r.train_log_prob = trainLogProb
    r.train_robust_log_prob = trainRobustLogProb
    r.validation_log_prob = validationLogProb
    r.validation_robust_log_prob = validationRobustLogProb
    r.worst_log_prob = worstLogProb
    r.worst_row = Int64(worstRow)
    r.best_log_prob = bestLogProb
    r.best_epoch = Int64(bestEpoch)
    r.gradient_norm = gradientNorm
    r.learning_rate = learningRate
    r.base_learning_rate = baseLearningRate
    r.rows_per_second = rowsPerSecond
    r.seconds = seconds
    r.seconds_left = secondsLeft
    r.steps = Int64(steps)
    r.cut_steps = Int64(cutSteps)
    r.averaged = averaged ? 1 : 0
    r.skipped_steps = Int64(skippedSteps)
    r.state = state.rawValue
    r.write(to: target, size)
  }
}
