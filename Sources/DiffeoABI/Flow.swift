import CDiffeo
import Diffeo
import WeightFile

/// What a diffeo_flow points at.
final class FlowHandle: Handle {
  static var name: String { "flow" }
  let flow: AnyFlow
  var metadata: [String: String]

  init(_ flow: AnyFlow, metadata: [String: String] = [:]) {
    self.flow = flow
    self.metadata = metadata
  }

  convenience init(_ stored: StoredFlow) { self.init(stored.flow, metadata: stored.metadata) }

  var stored: StoredFlow { StoredFlow(flow: flow, metadata: metadata) }
}

// MARK: - Making and ending

@implementation @_cdecl("diffeo_nice_create")
public func diffeo_nice_create(
  _ options: UnsafePointer<diffeo_architecture_options>?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  create(options, flow) { a throws(DiffeoError) in try a.nice() }
}

@implementation @_cdecl("diffeo_realnvp_create")
public func diffeo_realnvp_create(
  _ options: UnsafePointer<diffeo_architecture_options>?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  create(options, flow) { a throws(DiffeoError) in try a.realNVP() }
}

@implementation @_cdecl("diffeo_glow_create")
public func diffeo_glow_create(
  _ options: UnsafePointer<diffeo_architecture_options>?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  create(options, flow) { a throws(DiffeoError) in try a.glow() }
}

@implementation @_cdecl("diffeo_made_create")
public func diffeo_made_create(
  _ options: UnsafePointer<diffeo_architecture_options>?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  create(options, flow) { a throws(DiffeoError) in try a.made() }
}

@implementation @_cdecl("diffeo_maf_create")
public func diffeo_maf_create(
  _ options: UnsafePointer<diffeo_architecture_options>?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  create(options, flow) { a throws(DiffeoError) in try a.maf() }
}

@implementation @_cdecl("diffeo_iaf_create")
public func diffeo_iaf_create(
  _ options: UnsafePointer<diffeo_architecture_options>?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  create(options, flow) { a throws(DiffeoError) in try a.iaf() }
}

@implementation @_cdecl("diffeo_planar_create")
public func diffeo_planar_create(
  _ options: UnsafePointer<diffeo_architecture_options>?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  create(options, flow) { a throws(DiffeoError) in try a.planar() }
}

@implementation @_cdecl("diffeo_radial_create")
public func diffeo_radial_create(
  _ options: UnsafePointer<diffeo_architecture_options>?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  create(options, flow) { a throws(DiffeoError) in try a.radial() }
}

@implementation @_cdecl("diffeo_cdf_flow_create")
public func diffeo_cdf_flow_create(
  _ options: UnsafePointer<diffeo_architecture_options>?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  create(options, flow) { a throws(DiffeoError) in try a.cdfFlow() }
}

@implementation @_cdecl("diffeo_spline_coupling_create")
public func diffeo_spline_coupling_create(
  _ options: UnsafePointer<diffeo_architecture_options>?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  create(options, flow) { a throws(DiffeoError) in try a.splineCoupling() }
}

@implementation @_cdecl("diffeo_spline_autoregressive_create")
public func diffeo_spline_autoregressive_create(
  _ options: UnsafePointer<diffeo_architecture_options>?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  create(options, flow) { a throws(DiffeoError) in try a.splineAutoregressive() }
}

private func create(
  _ options: UnsafePointer<diffeo_architecture_options>?,
  _ flow: UnsafeMutablePointer<OpaquePointer?>?,
  _ spec: (Architecture) throws(DiffeoError) -> FlowSpec
) -> diffeo_status {
  making(flow, "flow") { () throws(DiffeoError) in
    let architecture = try diffeo_architecture_options.read(require(options, "options")).architecture
    return FlowHandle(try AnyFlow(spec: spec(architecture), seed: architecture.seed))
  }
}

@implementation @_cdecl("diffeo_flow_create")
public func diffeo_flow_create(
  _ spec: OpaquePointer?, _ seed: UInt64, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(flow, "flow") { () throws(DiffeoError) in
    FlowHandle(try AnyFlow(spec: SpecHandle.from(spec).builder.spec(seed: seed), seed: seed))
  }
}

@implementation @_cdecl("diffeo_flow_destroy")
public func diffeo_flow_destroy(_ flow: OpaquePointer?) { FlowHandle.destroy(flow) }

@implementation @_cdecl("diffeo_flow_compose")
public func diffeo_flow_compose(
  _ first: OpaquePointer?, _ then: OpaquePointer?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(flow, "flow") { () throws(DiffeoError) in
    let (first, then) = (try FlowHandle.from(first, "first"), try FlowHandle.from(then, "then"))
    return FlowHandle(
      try AnyFlow.composed(first: first.flow, then: then.flow),
      metadata: first.metadata.merging(then.metadata) { own, _ in own })
  }
}

// MARK: - Files

@implementation @_cdecl("diffeo_flow_load")
public func diffeo_flow_load(
  _ path: UnsafePointer<CChar>?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(flow, "flow") { () throws(DiffeoError) in FlowHandle(try WeightFile.load(path: string(path, "path"))) }
}

@implementation @_cdecl("diffeo_flow_save")
public func diffeo_flow_save(_ flow: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try WeightFile.save(FlowHandle.from(flow).stored, path: string(path, "path"))
  }
}

@implementation @_cdecl("diffeo_flow_load_memory")
public func diffeo_flow_load_memory(
  _ bytes: UnsafeRawPointer?, _ size: Int, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(flow, "flow") { () throws(DiffeoError) in
    let bytes = try require(bytes, "bytes")
    guard size >= 0 else { throw DiffeoError(.invalid, "size is too large") }
    return FlowHandle(try WeightFile.load(image: UnsafeRawBufferPointer(start: bytes, count: size)))
  }
}

@implementation @_cdecl("diffeo_flow_save_memory")
public func diffeo_flow_save_memory(
  _ flow: OpaquePointer?, _ bytes: UnsafeMutableRawPointer?, _ capacity: Int,
  _ size: UnsafeMutablePointer<Int>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let size = try require(size, "size")
    let stored = try FlowHandle.from(flow).stored
    guard capacity >= 0 else { throw DiffeoError(.invalid, "capacity is too large") }
    let image = try WeightFile.image(of: stored)
    size.pointee = image.count
    if bytes == nil, capacity == 0 { return }
    let target = try require(bytes, "bytes")
    guard image.count <= capacity else {
      throw DiffeoError(.invalid, "the file has \(image.count) bytes, capacity is \(capacity)")
    }
    UnsafeMutableRawBufferPointer(start: target, count: image.count).copyBytes(from: image)
  }
}

// MARK: - Facts

private func fact<T>(_ flow: OpaquePointer?, _ none: T, _ fact: (FlowSpec) -> T) -> T {
  guard let handle = try? FlowHandle.from(flow) else { return none }
  return fact(handle.flow.spec)
}

@implementation @_cdecl("diffeo_flow_dim")
public func diffeo_flow_dim(_ flow: OpaquePointer?) -> Int64 { fact(flow, 0) { Int64($0.dim) } }

@implementation @_cdecl("diffeo_flow_context_dim")
public func diffeo_flow_context_dim(_ flow: OpaquePointer?) -> Int64 {
  fact(flow, 0) { Int64($0.contextDim) }
}

@implementation @_cdecl("diffeo_flow_dtype")
public func diffeo_flow_dtype(_ flow: OpaquePointer?) -> Int32 {
  fact(flow, 0) { $0.dtype.rawValue }
}

@implementation @_cdecl("diffeo_flow_layer_count")
public func diffeo_flow_layer_count(_ flow: OpaquePointer?) -> Int64 {
  fact(flow, 0) { Int64($0.layerRecords.count) }
}

@implementation @_cdecl("diffeo_flow_parameter_count")
public func diffeo_flow_parameter_count(_ flow: OpaquePointer?) -> Int64 {
  fact(flow, 0) { Int64($0.parameterCount) }
}

@implementation @_cdecl("diffeo_flow_describe")
public func diffeo_flow_describe(
  _ flow: OpaquePointer?, _ text: UnsafeMutablePointer<CChar>?, _ capacity: Int,
  _ length: UnsafeMutablePointer<Int>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try write(FlowHandle.from(flow).flow.spec.summary, text, capacity, length)
  }
}

// MARK: - Metadata

@implementation @_cdecl("diffeo_flow_set_metadata")
public func diffeo_flow_set_metadata(
  _ flow: OpaquePointer?, _ key: UnsafePointer<CChar>?, _ value: UnsafePointer<CChar>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try FlowHandle.from(flow)
    let key = try string(key, "key")
    guard (1...255).contains(key.utf8.count) else {
      throw DiffeoError(.invalid, "the key has \(key.utf8.count) bytes, 1 to 255 are possible")
    }
    guard value != nil else {
      handle.metadata[key] = nil
      return
    }
    let value = try string(value, "value")
    guard value.utf8.count <= 65_535 else {
      throw DiffeoError(
        .invalid, "the value has \(value.utf8.count) bytes, at most 65535 are possible")
    }
    guard handle.metadata[key] != nil || handle.metadata.count < 4096 else {
      throw DiffeoError(.invalid, "there are 4096 keys already, as many as are possible")
    }
    handle.metadata[key] = value
  }
}

@implementation @_cdecl("diffeo_flow_metadata")
public func diffeo_flow_metadata(
  _ flow: OpaquePointer?, _ key: UnsafePointer<CChar>?, _ text: UnsafeMutablePointer<CChar>?,
  _ capacity: Int,
  _ length: UnsafeMutablePointer<Int>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try FlowHandle.from(flow)
    let key = try string(key, "key")
    guard let value = handle.metadata[key] else {
      throw DiffeoError(.invalid, "there is no metadata '\(key)'")
    }
    try write(value, text, capacity, length)
  }
}

@implementation @_cdecl("diffeo_flow_metadata_count")
public func diffeo_flow_metadata_count(_ flow: OpaquePointer?) -> Int64 {
  (try? FlowHandle.from(flow)).map { Int64($0.metadata.count) } ?? 0
}

@implementation @_cdecl("diffeo_flow_metadata_key")
public func diffeo_flow_metadata_key(
  _ flow: OpaquePointer?, _ index: Int64, _ text: UnsafeMutablePointer<CChar>?, _ capacity: Int,
  _ length: UnsafeMutablePointer<Int>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let keys = try FlowHandle.from(flow).metadata.keys.sorted()
    guard index >= 0, index < keys.count else {
      throw DiffeoError(.invalid, "index is \(index), there are \(keys.count) keys")
    }
    try write(keys[Int(index)], text, capacity, length)
  }
}

// MARK: - Parameters

@implementation @_cdecl("diffeo_flow_parameters_f32")
public func diffeo_flow_parameters_f32(
  _ flow: OpaquePointer?, _ parameters: UnsafeMutablePointer<Float>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try FlowHandle.from(flow).flow.copyParameters(to: require(parameters, "parameters"))
  }
}

@implementation @_cdecl("diffeo_flow_parameters_f64")
public func diffeo_flow_parameters_f64(
  _ flow: OpaquePointer?, _ parameters: UnsafeMutablePointer<Double>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try FlowHandle.from(flow).flow.copyParameters(to: require(parameters, "parameters"))
  }
}

@implementation @_cdecl("diffeo_flow_levels")
public func diffeo_flow_levels(_ flow: OpaquePointer?, _ levels: UnsafeMutablePointer<Int64>?) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let spec = try FlowHandle.from(flow).flow.spec
    let levels = try require(levels, "levels")
    levels.update(repeating: -1, count: spec.dim)
    for count in spec.counts { levels[count.column] = Int64(count.levels) }
  }
}

@implementation @_cdecl("diffeo_flow_trained_parameters")
public func diffeo_flow_trained_parameters(
  _ flow: OpaquePointer?, _ trained: UnsafeMutablePointer<UInt8>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let flow = try FlowHandle.from(flow).flow
    let target = try require(trained, "trained")
    for (i, moves) in flow.trained().enumerated() { target[i] = moves ? 1 : 0 }
  }
}

@implementation @_cdecl("diffeo_flow_with_parameters_f32")
public func diffeo_flow_with_parameters_f32(
  _ flow: OpaquePointer?, _ parameters: UnsafePointer<Float>?,
  _ changed: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  withParameters(flow, parameters, changed)
}

@implementation @_cdecl("diffeo_flow_with_parameters_f64")
public func diffeo_flow_with_parameters_f64(
  _ flow: OpaquePointer?, _ parameters: UnsafePointer<Double>?,
  _ changed: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  withParameters(flow, parameters, changed)
}

private func withParameters<T: Scalar>(
  _ flow: OpaquePointer?, _ parameters: UnsafePointer<T>?,
  _ changed: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(changed, "changed") { () throws(DiffeoError) in
    let handle = try FlowHandle.from(flow)
    return FlowHandle(try handle.flow.withParameters(require(parameters, "parameters")), metadata: handle.metadata)
  }
}
