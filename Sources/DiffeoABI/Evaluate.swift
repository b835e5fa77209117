import CDiffeo
import Diffeo

// Each function exists for float and for double: thin typed entries over one generic body.

private func logProb<T: Scalar>(
  _ flow: OpaquePointer?, _ x: UnsafePointer<T>?, _ n: Int64, _ context: UnsafePointer<T>?,
  _ n_context: Int64,
  _ workspace: OpaquePointer?, _ log_prob: UnsafeMutablePointer<T>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let flow = try FlowHandle.from(flow).flow
    let batch = try batch(flow.spec, x, "x", n, context, n_context)
    let workspace = try Workspace.orTemporary(workspace)
    if batch.rows > 0 { try flow.run(.logProb(require(log_prob, "log_prob")), batch, workspace) }
  }
}

private func logProbGradient<T: Scalar>(
  _ flow: OpaquePointer?, _ x: UnsafePointer<T>?, _ n: Int64, _ context: UnsafePointer<T>?,
  _ n_context: Int64,
  _ workspace: OpaquePointer?, _ log_prob: UnsafeMutablePointer<T>?,
  _ grad_x: UnsafeMutablePointer<T>?,
  _ grad_context: UnsafeMutablePointer<T>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let flow = try FlowHandle.from(flow).flow
    let batch = try batch(flow.spec, x, "x", n, context, n_context)
    try checkSize(batch.rows, flow.spec.contextDim, "grad_context", of: T.self)
    let workspace = try Workspace.orTemporary(workspace)
    if log_prob != nil || grad_x != nil || grad_context != nil {
      var pullback = Pullback<T>(.logProb)
      pullback.logCotangents = .ones
      pullback.logs = log_prob
      pullback.inputGradient = grad_x
      pullback.contextGradient = grad_context
      try flow.run(pullback, batch, workspace)
    }
  }
}

private func toNoise<T: Scalar>(
  _ flow: OpaquePointer?, _ x: UnsafePointer<T>?, _ n: Int64, _ context: UnsafePointer<T>?,
  _ n_context: Int64,
  _ workspace: OpaquePointer?, _ z: UnsafeMutablePointer<T>?, _ log_det: UnsafeMutablePointer<T>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let flow = try FlowHandle.from(flow).flow
    let batch = try batch(flow.spec, x, "x", n, context, n_context)
    let workspace = try Workspace.orTemporary(workspace)
    if batch.rows > 0 { try flow.run(.toNoise(require(z, "z"), logDet: log_det), batch, workspace) }
  }
}

private func fromNoise<T: Scalar>(
  _ flow: OpaquePointer?, _ z: UnsafePointer<T>?, _ n: Int64, _ context: UnsafePointer<T>?,
  _ n_context: Int64,
  _ workspace: OpaquePointer?, _ x: UnsafeMutablePointer<T>?, _ log_det: UnsafeMutablePointer<T>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let flow = try FlowHandle.from(flow).flow
    let batch = try batch(flow.spec, z, "z", n, context, n_context)
    let workspace = try Workspace.orTemporary(workspace)
    if batch.rows > 0 { try flow.run(.fromNoise(require(x, "x"), logDet: log_det), batch, workspace) }
  }
}

private func sample<T: Scalar>(
  _ flow: OpaquePointer?, temperature: Double = 1, _ seed: UInt64, _ first_row: UInt64, _ n: Int64,
  _ context: UnsafePointer<T>?,
  _ n_context: Int64, _ workspace: OpaquePointer?, _ x: UnsafeMutablePointer<T>?,
  _ log_prob: UnsafeMutablePointer<T>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let flow = try FlowHandle.from(flow).flow
    let batch = try batch(flow.spec, nil, nil, n, context, n_context)
    try Limit.check("sample_tempered.temperature", temperature)
    try checkNumbers(first_row, batch.rows)
    let workspace = try Workspace.orTemporary(workspace)
    if batch.rows > 0 {
      try flow.run(
        .sample(seed: seed, firstRow: first_row, temperature: temperature, require(x, "x"), logProb: log_prob), batch,
        workspace)
    }
  }
}

private func bitsPerDim<T: Scalar>(
  _ flow: OpaquePointer?, _ x: UnsafePointer<T>?, _ n: Int64, _ context: UnsafePointer<T>?, _ n_context: Int64,
  _ seed: UInt64, _ draws: Int64, _ workspace: OpaquePointer?, _ bits: UnsafeMutablePointer<T>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let flow = try FlowHandle.from(flow).flow
    let batch = try batch(flow.spec, x, "x", n, context, n_context)
    let question = try BitsPerDim(flow.spec, seed: seed, draws: Int(draws))
    let workspace = try Workspace.orTemporary(workspace)
    if batch.rows > 0 { try flow.run(.bitsPerDim(question, require(bits, "bits")), batch, workspace) }
  }
}

@implementation @_cdecl("diffeo_flow_log_prob_f32")
public func diffeo_flow_log_prob_f32(
  _ flow: OpaquePointer?, _ x: UnsafePointer<Float>?, _ n: Int64, _ context: UnsafePointer<Float>?,
  _ n_context: Int64, _ workspace: OpaquePointer?, _ log_prob: UnsafeMutablePointer<Float>?
) -> diffeo_status {
  logProb(flow, x, n, context, n_context, workspace, log_prob)
}

@implementation @_cdecl("diffeo_flow_log_prob_f64")
public func diffeo_flow_log_prob_f64(
  _ flow: OpaquePointer?, _ x: UnsafePointer<Double>?, _ n: Int64,
  _ context: UnsafePointer<Double>?,
  _ n_context: Int64, _ workspace: OpaquePointer?, _ log_prob: UnsafeMutablePointer<Double>?
) -> diffeo_status {
  logProb(flow, x, n, context, n_context, workspace, log_prob)
}

@implementation @_cdecl("diffeo_flow_log_prob_gradient_f32")
public func diffeo_flow_log_prob_gradient_f32(
  _ flow: OpaquePointer?, _ x: UnsafePointer<Float>?, _ n: Int64, _ context: UnsafePointer<Float>?,
  _ n_context: Int64, _ workspace: OpaquePointer?, _ log_prob: UnsafeMutablePointer<Float>?,
  _ grad_x: UnsafeMutablePointer<Float>?, _ grad_context: UnsafeMutablePointer<Float>?
) -> diffeo_status {
  logProbGradient(flow, x, n, context, n_context, workspace, log_prob, grad_x, grad_context)
}

@implementation @_cdecl("diffeo_flow_log_prob_gradient_f64")
public func diffeo_flow_log_prob_gradient_f64(
  _ flow: OpaquePointer?, _ x: UnsafePointer<Double>?, _ n: Int64,
  _ context: UnsafePointer<Double>?,
  _ n_context: Int64, _ workspace: OpaquePointer?, _ log_prob: UnsafeMutablePointer<Double>?,
  _ grad_x: UnsafeMutablePointer<Double>?, _ grad_context: UnsafeMutablePointer<Double>?
) -> diffeo_status {
  logProbGradient(flow, x, n, context, n_context, workspace, log_prob, grad_x, grad_context)
}

@implementation @_cdecl("diffeo_flow_to_noise_f32")
public func diffeo_flow_to_noise_f32(
  _ flow: OpaquePointer?, _ x: UnsafePointer<Float>?, _ n: Int64, _ context: UnsafePointer<Float>?,
  _ n_context: Int64, _ workspace: OpaquePointer?, _ z: UnsafeMutablePointer<Float>?,
  _ log_det: UnsafeMutablePointer<Float>?
) -> diffeo_status {
  toNoise(flow, x, n, context, n_context, workspace, z, log_det)
}

@implementation @_cdecl("diffeo_flow_to_noise_f64")
public func diffeo_flow_to_noise_f64(
  _ flow: OpaquePointer?, _ x: UnsafePointer<Double>?, _ n: Int64,
  _ context: UnsafePointer<Double>?,
  _ n_context: Int64, _ workspace: OpaquePointer?, _ z: UnsafeMutablePointer<Double>?,
  _ log_det: UnsafeMutablePointer<Double>?
) -> diffeo_status {
  toNoise(flow, x, n, context, n_context, workspace, z, log_det)
}

@implementation @_cdecl("diffeo_flow_from_noise_f32")
public func diffeo_flow_from_noise_f32(
  _ flow: OpaquePointer?, _ z: UnsafePointer<Float>?, _ n: Int64, _ context: UnsafePointer<Float>?,
  _ n_context: Int64, _ workspace: OpaquePointer?, _ x: UnsafeMutablePointer<Float>?,
  _ log_det: UnsafeMutablePointer<Float>?
) -> diffeo_status {
  fromNoise(flow, z, n, context, n_context, workspace, x, log_det)
}

@implementation @_cdecl("diffeo_flow_from_noise_f64")
public func diffeo_flow_from_noise_f64(
  _ flow: OpaquePointer?, _ z: UnsafePointer<Double>?, _ n: Int64,
  _ context: UnsafePointer<Double>?,
  _ n_context: Int64, _ workspace: OpaquePointer?, _ x: UnsafeMutablePointer<Double>?,
  _ log_det: UnsafeMutablePointer<Double>?
) -> diffeo_status {
  fromNoise(flow, z, n, context, n_context, workspace, x, log_det)
}

@implementation @_cdecl("diffeo_flow_sample_f32")
public func diffeo_flow_sample_f32(
  _ flow: OpaquePointer?, _ seed: UInt64, _ first_row: UInt64, _ n: Int64,
  _ context: UnsafePointer<Float>?,
  _ n_context: Int64, _ workspace: OpaquePointer?, _ x: UnsafeMutablePointer<Float>?,
  _ log_prob: UnsafeMutablePointer<Float>?
) -> diffeo_status {
  sample(flow, seed, first_row, n, context, n_context, workspace, x, log_prob)
}

@implementation @_cdecl("diffeo_flow_sample_f64")
public func diffeo_flow_sample_f64(
  _ flow: OpaquePointer?, _ seed: UInt64, _ first_row: UInt64, _ n: Int64,
  _ context: UnsafePointer<Double>?,
  _ n_context: Int64, _ workspace: OpaquePointer?, _ x: UnsafeMutablePointer<Double>?,
  _ log_prob: UnsafeMutablePointer<Double>?
) -> diffeo_status {
  sample(flow, seed, first_row, n, context, n_context, workspace, x, log_prob)
}

@implementation @_cdecl("diffeo_flow_sample_tempered_f32")
public func diffeo_flow_sample_tempered_f32(
  _ flow: OpaquePointer?, _ temperature: Double, _ seed: UInt64, _ first_row: UInt64, _ n: Int64,
  _ context: UnsafePointer<Float>?, _ n_context: Int64, _ workspace: OpaquePointer?, _ x: UnsafeMutablePointer<Float>?,
  _ log_prob: UnsafeMutablePointer<Float>?
) -> diffeo_status {
  sample(flow, temperature: temperature, seed, first_row, n, context, n_context, workspace, x, log_prob)
}

@implementation @_cdecl("diffeo_flow_bits_per_dim_f32")
public func diffeo_flow_bits_per_dim_f32(
  _ flow: OpaquePointer?, _ x: UnsafePointer<Float>?, _ n: Int64, _ context: UnsafePointer<Float>?, _ n_context: Int64,
  _ seed: UInt64, _ draws: Int64, _ workspace: OpaquePointer?, _ bits: UnsafeMutablePointer<Float>?
) -> diffeo_status {
  bitsPerDim(flow, x, n, context, n_context, seed, draws, workspace, bits)
}

@implementation @_cdecl("diffeo_flow_sample_tempered_f64")
public func diffeo_flow_sample_tempered_f64(
  _ flow: OpaquePointer?, _ temperature: Double, _ seed: UInt64, _ first_row: UInt64, _ n: Int64,
  _ context: UnsafePointer<Double>?, _ n_context: Int64, _ workspace: OpaquePointer?,
  _ x: UnsafeMutablePointer<Double>?,
  _ log_prob: UnsafeMutablePointer<Double>?
) -> diffeo_status {
  sample(flow, temperature: temperature, seed, first_row, n, context, n_context, workspace, x, log_prob)
}

@implementation @_cdecl("diffeo_flow_bits_per_dim_f64")
public func diffeo_flow_bits_per_dim_f64(
  _ flow: OpaquePointer?, _ x: UnsafePointer<Double>?, _ n: Int64, _ context: UnsafePointer<Double>?,
  _ n_context: Int64,
  _ seed: UInt64, _ draws: Int64, _ workspace: OpaquePointer?, _ bits: UnsafeMutablePointer<Double>?
) -> diffeo_status {
  bitsPerDim(flow, x, n, context, n_context, seed, draws, workspace, bits)
}
