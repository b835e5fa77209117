import CDiffeo
import Diffeo

// Vector-Jacobian products. Each function exists for float and for double: thin typed entries over one generic body.

private typealias In<T> = UnsafePointer<T>?
private typealias Out<T> = UnsafeMutablePointer<T>?

/// What each of them is given and gives.
private struct Request<T: Scalar> {
  let flow: OpaquePointer?
  var rows: In<T>
  var rowsName: String?
  let n: Int64
  let context: In<T>
  let contextCount: Int64
  let workspace: OpaquePointer?

  func run(
    _ function: Pullback<T>.Function, _ gRows: In<T>, _ gLogs: In<T>, rows outRows: Out<T>, logs: Out<T>,
    input: Out<T>, context gContext: Out<T>, parameters: Out<T>
  ) -> diffeo_status {
    boundary { () throws(DiffeoError) in
      let flow = try FlowHandle.from(flow).flow
      let batch = try batch(flow.spec, rows, rowsName, n, context, contextCount)
      try checkSize(batch.rows, flow.spec.contextDim, "grad_context", of: T.self)
      if case .sample(_, let first) = function { try checkNumbers(first, batch.rows) }
      let workspace = try Workspace.orTemporary(workspace)
      var pullback = Pullback<T>(function)
      pullback.rowCotangents = .init(gRows)
      pullback.logCotangents = .init(gLogs)
      pullback.rows = outRows
      pullback.logs = logs
      pullback.inputGradient = input
      pullback.contextGradient = gContext
      pullback.parameterGradient = parameters
      try flow.run(pullback, batch, workspace)
    }
  }
}

@implementation @_cdecl("diffeo_flow_log_prob_vjp_f32")
public func diffeo_flow_log_prob_vjp_f32(
  _ flow: OpaquePointer?,
  _ x: UnsafePointer<Float>?,
  _ n: Int64,
  _ context: UnsafePointer<Float>?,
  _ n_context: Int64,
  _ g_log_prob: UnsafePointer<Float>?,
  _ workspace: OpaquePointer?,
  _ log_prob: UnsafeMutablePointer<Float>?,
  _ grad_x: UnsafeMutablePointer<Float>?,
  _ grad_context: UnsafeMutablePointer<Float>?,
  _ grad_parameters: UnsafeMutablePointer<Float>?
) -> diffeo_status {
  let request = Request<Float>(
    flow: flow, rows: x, rowsName: "x", n: n, context: context, contextCount: n_context, workspace: workspace)
  return request.run(
    .logProb, nil, g_log_prob, rows: nil, logs: log_prob, input: grad_x, context: grad_context,
    parameters: grad_parameters)
}

@implementation @_cdecl("diffeo_flow_to_noise_vjp_f32")
public func diffeo_flow_to_noise_vjp_f32(
  _ flow: OpaquePointer?,
  _ x: UnsafePointer<Float>?,
  _ n: Int64,
  _ context: UnsafePointer<Float>?,
  _ n_context: Int64,
  _ g_z: UnsafePointer<Float>?,
  _ g_log_det: UnsafePointer<Float>?,
  _ workspace: OpaquePointer?,
  _ z: UnsafeMutablePointer<Float>?,
  _ log_det: UnsafeMutablePointer<Float>?,
  _ grad_x: UnsafeMutablePointer<Float>?,
  _ grad_context: UnsafeMutablePointer<Float>?,
  _ grad_parameters: UnsafeMutablePointer<Float>?
) -> diffeo_status {
  let request = Request<Float>(
    flow: flow, rows: x, rowsName: "x", n: n, context: context, contextCount: n_context, workspace: workspace)
  return request.run(
    .toNoise, g_z, g_log_det, rows: z, logs: log_det, input: grad_x, context: grad_context,
    parameters: grad_parameters)
}

@implementation @_cdecl("diffeo_flow_from_noise_vjp_f32")
public func diffeo_flow_from_noise_vjp_f32(
  _ flow: OpaquePointer?,
  _ z: UnsafePointer<Float>?,
  _ n: Int64,
  _ context: UnsafePointer<Float>?,
  _ n_context: Int64,
  _ g_x: UnsafePointer<Float>?,
  _ g_log_det: UnsafePointer<Float>?,
  _ workspace: OpaquePointer?,
  _ x: UnsafeMutablePointer<Float>?,
  _ log_det: UnsafeMutablePointer<Float>?,
  _ grad_z: UnsafeMutablePointer<Float>?,
  _ grad_context: UnsafeMutablePointer<Float>?,
  _ grad_parameters: UnsafeMutablePointer<Float>?
) -> diffeo_status {
  let request = Request<Float>(
    flow: flow, rows: z, rowsName: "z", n: n, context: context, contextCount: n_context, workspace: workspace)
  return request.run(
    .fromNoise, g_x, g_log_det, rows: x, logs: log_det, input: grad_z, context: grad_context,
    parameters: grad_parameters)
}

@implementation @_cdecl("diffeo_flow_sample_vjp_f32")
public func diffeo_flow_sample_vjp_f32(
  _ flow: OpaquePointer?,
  _ seed: UInt64,
  _ first_row: UInt64,
  _ n: Int64,
  _ context: UnsafePointer<Float>?,
  _ n_context: Int64,
  _ g_x: UnsafePointer<Float>?,
  _ g_log_prob: UnsafePointer<Float>?,
  _ workspace: OpaquePointer?,
  _ x: UnsafeMutablePointer<Float>?,
  _ log_prob: UnsafeMutablePointer<Float>?,
  _ grad_context: UnsafeMutablePointer<Float>?,
  _ grad_parameters: UnsafeMutablePointer<Float>?
) -> diffeo_status {
  let request = Request<Float>(
    flow: flow, rows: nil, rowsName: nil, n: n, context: context, contextCount: n_context, workspace: workspace)
  return request.run(
    .sample(seed: seed, firstRow: first_row), g_x, g_log_prob, rows: x, logs: log_prob, input: nil,
    context: grad_context, parameters: grad_parameters)
}

@implementation @_cdecl("diffeo_flow_log_prob_vjp_f64")
public func diffeo_flow_log_prob_vjp_f64(
  _ flow: OpaquePointer?,
  _ x: UnsafePointer<Double>?,
  _ n: Int64,
  _ context: UnsafePointer<Double>?,
  _ n_context: Int64,
  _ g_log_prob: UnsafePointer<Double>?,
  _ workspace: OpaquePointer?,
  _ log_prob: UnsafeMutablePointer<Double>?,
  _ grad_x: UnsafeMutablePointer<Double>?,
  _ grad_context: UnsafeMutablePointer<Double>?,
  _ grad_parameters: UnsafeMutablePointer<Double>?
) -> diffeo_status {
  let request = Request<Double>(
    flow: flow, rows: x, rowsName: "x", n: n, context: context, contextCount: n_context, workspace: workspace)
  return request.run(
    .logProb, nil, g_log_prob, rows: nil, logs: log_prob, input: grad_x, context: grad_context,
    parameters: grad_parameters)
}

@implementation @_cdecl("diffeo_flow_to_noise_vjp_f64")
public func diffeo_flow_to_noise_vjp_f64(
  _ flow: OpaquePointer?,
  _ x: UnsafePointer<Double>?,
  _ n: Int64,
  _ context: UnsafePointer<Double>?,
  _ n_context: Int64,
  _ g_z: UnsafePointer<Double>?,
  _ g_log_det: UnsafePointer<Double>?,
  _ workspace: OpaquePointer?,
  _ z: UnsafeMutablePointer<Double>?,
  _ log_det: UnsafeMutablePointer<Double>?,
  _ grad_x: UnsafeMutablePointer<Double>?,
  _ grad_context: UnsafeMutablePointer<Double>?,
  _ grad_parameters: UnsafeMutablePointer<Double>?
) -> diffeo_status {
  let request = Request<Double>(
    flow: flow, rows: x, rowsName: "x", n: n, context: context, contextCount: n_context, workspace: workspace)
  return request.run(
    .toNoise, g_z, g_log_det, rows: z, logs: log_det, input: grad_x, context: grad_context,
    parameters: grad_parameters)
}

@implementation @_cdecl("diffeo_flow_from_noise_vjp_f64")
public func diffeo_flow_from_noise_vjp_f64(
  _ flow: OpaquePointer?,
  _ z: UnsafePointer<Double>?,
  _ n: Int64,
  _ context: UnsafePointer<Double>?,
  _ n_context: Int64,
  _ g_x: UnsafePointer<Double>?,
  _ g_log_det: UnsafePointer<Double>?,
  _ workspace: OpaquePointer?,
  _ x: UnsafeMutablePointer<Double>?,
  _ log_det: UnsafeMutablePointer<Double>?,
  _ grad_z: UnsafeMutablePointer<Double>?,
  _ grad_context: UnsafeMutablePointer<Double>?,
  _ grad_parameters: UnsafeMutablePointer<Double>?
) -> diffeo_status {
  let request = Request<Double>(
    flow: flow, rows: z, rowsName: "z", n: n, context: context, contextCount: n_context, workspace: workspace)
  return request.run(
    .fromNoise, g_x, g_log_det, rows: x, logs: log_det, input: grad_z, context: grad_context,
    parameters: grad_parameters)
}

@implementation @_cdecl("diffeo_flow_sample_vjp_f64")
public func diffeo_flow_sample_vjp_f64(
  _ flow: OpaquePointer?,
  _ seed: UInt64,
  _ first_row: UInt64,
  _ n: Int64,
  _ context: UnsafePointer<Double>?,
  _ n_context: Int64,
  _ g_x: UnsafePointer<Double>?,
  _ g_log_prob: UnsafePointer<Double>?,
  _ workspace: OpaquePointer?,
  _ x: UnsafeMutablePointer<Double>?,
  _ log_prob: UnsafeMutablePointer<Double>?,
  _ grad_context: UnsafeMutablePointer<Double>?,
  _ grad_parameters: UnsafeMutablePointer<Double>?
) -> diffeo_status {
  let request = Request<Double>(
    flow: flow, rows: nil, rowsName: nil, n: n, context: context, contextCount: n_context, workspace: workspace)
  return request.run(
    .sample(seed: seed, firstRow: first_row), g_x, g_log_prob, rows: x, logs: log_prob, input: nil,
    context: grad_context, parameters: grad_parameters)
}
