import CDiffeo
import Diffeo
import WeightFile

/// For the metadata of the flow that it began with.
final class VariationalHandle: Handle {
  static var name: String { "vi" }
  let training: AnyVariational
  let metadata: [String: String]

  init<T: Scalar>(
    _ flow: OpaquePointer?, _ options: UnsafePointer<diffeo_vi_options>?, _ target: Target<T>,
    _ context: UnsafePointer<T>?, _ n_context: Int64
  ) throws(DiffeoError) {
    let handle = try FlowHandle.from(flow)
    let rows = try VariationalHandle.rows(handle.flow.spec, context, n_context)
    training = try AnyVariational(handle.flow, diffeo_vi_options.read(options).options, target, rows)
    metadata = handle.metadata
  }

  private static func rows<T: Scalar>(
    _ spec: FlowSpec, _ context: UnsafePointer<T>?, _ n_context: Int64
  ) throws(DiffeoError) -> Batch<T> {
    guard spec.contextDim == 0 || n_context > 0 else {
      throw DiffeoError(
        .shape, "this flow has a context of \(spec.contextDim) columns: n_context must be 1 or more, not \(n_context)")
    }
    return try batch(spec, nil as UnsafePointer<T>?, nil, n_context, context, n_context)
  }
}

@implementation @_cdecl("diffeo_vi_create_f32")
public func diffeo_vi_create_f32(
  _ flow: OpaquePointer?, _ options: UnsafePointer<diffeo_vi_options>?, _ target: diffeo_target_f32?,
  _ user: UnsafeMutableRawPointer?, _ context: UnsafePointer<Float>?, _ n_context: Int64,
  _ vi: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(vi, "vi") { () throws(DiffeoError) in
    let call = try require(target, "target")
    return try VariationalHandle(
      flow, options, Target { n, x, c, l, g in callHost { call(user, Int64(n), x, c, l, g) } }, context, n_context)
  }
}

@implementation @_cdecl("diffeo_vi_create_f64")
public func diffeo_vi_create_f64(
  _ flow: OpaquePointer?, _ options: UnsafePointer<diffeo_vi_options>?, _ target: diffeo_target_f64?,
  _ user: UnsafeMutableRawPointer?, _ context: UnsafePointer<Double>?, _ n_context: Int64,
  _ vi: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(vi, "vi") { () throws(DiffeoError) in
    let call = try require(target, "target")
    return try VariationalHandle(
      flow, options, Target { n, x, c, l, g in callHost { call(user, Int64(n), x, c, l, g) } }, context, n_context)
  }
}

@implementation @_cdecl("diffeo_vi_destroy")
public func diffeo_vi_destroy(_ vi: OpaquePointer?) { VariationalHandle.destroy(vi) }

@implementation @_cdecl("diffeo_vi_step")
public func diffeo_vi_step(
  _ vi: OpaquePointer?, _ steps: Int64, _ report: UnsafeMutablePointer<diffeo_variational_report>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let training = try VariationalHandle.from(vi).training
    let size = try reportSize(report)
    defer { training.report.write(to: report, size) }
    try training.step(Int(steps))
  }
}

private func stepGiven<T: Scalar>(
  _ vi: OpaquePointer?, _ context: UnsafePointer<T>?, _ grad_context: UnsafeMutablePointer<T>?,
  _ report: UnsafeMutablePointer<diffeo_variational_report>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let training = try VariationalHandle.from(vi).training
    let size = try reportSize(report)
    defer { training.report.write(to: report, size) }
    try training.step(given: require(context, "context"), gradient: grad_context)
  }
}

@implementation @_cdecl("diffeo_vi_step_given_f32")
public func diffeo_vi_step_given_f32(
  _ vi: OpaquePointer?, _ context: UnsafePointer<Float>?, _ grad_context: UnsafeMutablePointer<Float>?,
  _ report: UnsafeMutablePointer<diffeo_variational_report>?
) -> diffeo_status {
  stepGiven(vi, context, grad_context, report)
}

@implementation @_cdecl("diffeo_vi_step_given_f64")
public func diffeo_vi_step_given_f64(
  _ vi: OpaquePointer?, _ context: UnsafePointer<Double>?, _ grad_context: UnsafeMutablePointer<Double>?,
  _ report: UnsafeMutablePointer<diffeo_variational_report>?
) -> diffeo_status {
  stepGiven(vi, context, grad_context, report)
}

@implementation @_cdecl("diffeo_vi_report")
public func diffeo_vi_report(
  _ vi: OpaquePointer?, _ report: UnsafeMutablePointer<diffeo_variational_report>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let training = try VariationalHandle.from(vi).training
    _ = try require(report, "report")
    training.report.write(to: report, try reportSize(report))
  }
}

@implementation @_cdecl("diffeo_vi_set_learning_rate")
public func diffeo_vi_set_learning_rate(_ vi: OpaquePointer?, _ rate: Double) -> diffeo_status {
  boundary { () throws(DiffeoError) in try VariationalHandle.from(vi).training.setLearningRate(rate) }
}

@implementation @_cdecl("diffeo_vi_set_workspace")
public func diffeo_vi_set_workspace(_ vi: OpaquePointer?, _ workspace: OpaquePointer?) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try VariationalHandle.from(vi).training.use(workspace == nil ? nil : Workspace.from(workspace))
  }
}

@implementation @_cdecl("diffeo_vi_finished")
public func diffeo_vi_finished(_ vi: OpaquePointer?) -> Int32 {
  guard let handle = try? VariationalHandle.from(vi) else { return 1 }
  return handle.training.report.finished ? 1 : 0
}

@implementation @_cdecl("diffeo_vi_best")
public func diffeo_vi_best(_ vi: OpaquePointer?, _ flow: UnsafeMutablePointer<OpaquePointer?>?) -> diffeo_status {
  making(flow, "flow") { () throws(DiffeoError) in
    let handle = try VariationalHandle.from(vi)
    return FlowHandle(try handle.training.best(), metadata: handle.metadata)
  }
}

@implementation @_cdecl("diffeo_vi_current")
public func diffeo_vi_current(_ vi: OpaquePointer?, _ flow: UnsafeMutablePointer<OpaquePointer?>?) -> diffeo_status {
  making(flow, "flow") { () throws(DiffeoError) in
    let handle = try VariationalHandle.from(vi)
    return FlowHandle(try handle.training.current(), metadata: handle.metadata)
  }
}

@implementation @_cdecl("diffeo_vi_save")
public func diffeo_vi_save(_ vi: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try VariationalHandle.from(vi)
    try WeightFile.save(
      StoredFlow(flow: handle.training.best(), metadata: handle.metadata, training: handle.training.state()),
      path: string(path, "path"))
  }
}

@implementation @_cdecl("diffeo_vi_load")
public func diffeo_vi_load(_ vi: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try VariationalHandle.from(vi)
    let stored = try WeightFile.load(path: string(path, "path"), withTraining: true)
    guard let training = stored.training else { throw DiffeoError(.internal, "a training was not read") }
    try handle.training.restore(training, of: stored.flow.spec)
  }
}

@implementation @_cdecl("diffeo_vi_cancel")
public func diffeo_vi_cancel(_ vi: OpaquePointer?) { (try? VariationalHandle.from(vi))?.training.cancel() }

extension diffeo_variational_report: SizedReport {
  static var name: String { "diffeo_variational_report" }
}

extension VariationalReport {
  func write(to target: UnsafeMutablePointer<diffeo_variational_report>?, _ size: Int) {
    guard let target, size > 0 else { return }
    var r = diffeo_variational_report()
    r.struct_size = size
    r.steps = Int64(training.steps)
    r.total_steps = Int64(totalSteps)
    r.windows = Int64(training.epoch)
    r.elbo = elbo
    r.elbo_error = elboError
    r.bound = bound
    r.best_bound = bestBound
    r.best_window = Int64(bestWindow)
    r.log_evidence = logEvidence
    r.effective_samples = effectiveSize
    r.pareto_k = paretoK
    r.inverse_temperature = inverseTemperature
    r.gradient_norm = training.gradientNorm
    r.learning_rate = training.learningRate
    r.base_learning_rate = training.baseLearningRate
    r.samples_per_second = training.rowsPerSecond
    r.seconds = training.seconds
    r.seconds_left = training.secondsLeft
    r.skipped_steps = Int64(training.skippedSteps)
    r.cut_steps = Int64(training.cutSteps)
    r.averaged = training.averaged ? 1 : 0
    r.state = training.state.rawValue
    r.write(to: target, size)
  }
}
