import CDiffeo
import Diffeo
import WeightFile

/// For the metadata of the flow that it began with.
final class OptimizerHandle: Handle {
  static var name: String { "optimizer" }
  let optimizer: AnyOptimizer
  let metadata: [String: String]

  init(
    _ flow: OpaquePointer?, _ options: UnsafePointer<diffeo_train_options>?, _ total_steps: Int64
  ) throws(DiffeoError) {
    let handle = try FlowHandle.from(flow)
    let options = try diffeo_train_options.read(options).options
    optimizer = try AnyOptimizer(handle.flow, options, totalSteps: Int(total_steps))
    metadata = handle.metadata
  }
}

@implementation @_cdecl("diffeo_optimizer_create")
public func diffeo_optimizer_create(
  _ flow: OpaquePointer?, _ options: UnsafePointer<diffeo_train_options>?, _ total_steps: Int64,
  _ optimizer: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(optimizer, "optimizer") { () throws(DiffeoError) in try OptimizerHandle(flow, options, total_steps) }
}

@implementation @_cdecl("diffeo_optimizer_destroy")
public func diffeo_optimizer_destroy(_ optimizer: OpaquePointer?) { OptimizerHandle.destroy(optimizer) }

private func step<T: Scalar>(
  _ optimizer: OpaquePointer?, _ gradient: UnsafePointer<T>?, _ report: UnsafeMutablePointer<diffeo_train_report>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let optimizer = try OptimizerHandle.from(optimizer).optimizer
    let size = try reportSize(report)
    defer { optimizer.report.write(to: report, size) }
    try optimizer.step(require(gradient, "gradient"))
  }
}

@implementation @_cdecl("diffeo_optimizer_step_f32")
public func diffeo_optimizer_step_f32(
  _ optimizer: OpaquePointer?, _ gradient: UnsafePointer<Float>?, _ report: UnsafeMutablePointer<diffeo_train_report>?
) -> diffeo_status {
  step(optimizer, gradient, report)
}

@implementation @_cdecl("diffeo_optimizer_step_f64")
public func diffeo_optimizer_step_f64(
  _ optimizer: OpaquePointer?, _ gradient: UnsafePointer<Double>?, _ report: UnsafeMutablePointer<diffeo_train_report>?
) -> diffeo_status {
  step(optimizer, gradient, report)
}

@implementation @_cdecl("diffeo_optimizer_report")
public func diffeo_optimizer_report(
  _ optimizer: OpaquePointer?, _ report: UnsafeMutablePointer<diffeo_train_report>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let optimizer = try OptimizerHandle.from(optimizer).optimizer
    _ = try require(report, "report")
    optimizer.report.write(to: report, try reportSize(report))
  }
}

@implementation @_cdecl("diffeo_optimizer_set_learning_rate")
public func diffeo_optimizer_set_learning_rate(_ optimizer: OpaquePointer?, _ rate: Double) -> diffeo_status {
  boundary { () throws(DiffeoError) in try OptimizerHandle.from(optimizer).optimizer.setLearningRate(rate) }
}

@implementation @_cdecl("diffeo_optimizer_set_workspace")
public func diffeo_optimizer_set_workspace(_ optimizer: OpaquePointer?, _ workspace: OpaquePointer?) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try OptimizerHandle.from(optimizer).optimizer.use(workspace == nil ? nil : Workspace.from(workspace))
  }
}

@implementation @_cdecl("diffeo_optimizer_current")
public func diffeo_optimizer_current(
  _ optimizer: OpaquePointer?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(flow, "flow") { () throws(DiffeoError) in
    let handle = try OptimizerHandle.from(optimizer)
    return FlowHandle(try handle.optimizer.current(), metadata: handle.metadata)
  }
}

@implementation @_cdecl("diffeo_optimizer_average")
public func diffeo_optimizer_average(
  _ optimizer: OpaquePointer?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(flow, "flow") { () throws(DiffeoError) in
    let handle = try OptimizerHandle.from(optimizer)
    return FlowHandle(try handle.optimizer.average(), metadata: handle.metadata)
  }
}

@implementation @_cdecl("diffeo_optimizer_save")
public func diffeo_optimizer_save(_ optimizer: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try OptimizerHandle.from(optimizer)
    try WeightFile.save(
      StoredFlow(flow: handle.optimizer.current(), metadata: handle.metadata, training: handle.optimizer.state()),
      path: string(path, "path"))
  }
}

@implementation @_cdecl("diffeo_optimizer_load")
public func diffeo_optimizer_load(_ optimizer: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try OptimizerHandle.from(optimizer)
    let stored = try WeightFile.load(path: string(path, "path"), withTraining: true)
    guard let training = stored.training else { throw DiffeoError(.internal, "a training was not read") }
    try handle.optimizer.restore(training, of: stored.flow.spec)
  }
}
