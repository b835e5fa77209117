import CDiffeo
import Diffeo

/// What a diffeo_spec points at.
final class SpecHandle: Handle {
  static var name: String { "spec" }
  var builder: SpecBuilder
  init(_ builder: SpecBuilder) { self.builder = builder }
}

/// 0: of the flow's seed and the layer's number.
private func given(_ seed: UInt64) -> UInt64? { seed == 0 ? nil : seed }

@implementation @_cdecl("diffeo_spec_create")
public func diffeo_spec_create(
  _ dim: Int64, _ context_dim: Int64, _ dtype: Int32, _ spec: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(spec, "spec") { () throws(DiffeoError) in
    SpecHandle(try SpecBuilder(dim: Int(dim), contextDim: Int(context_dim), dtype: DiffeoABI.dtype(dtype)))
  }
}

@implementation @_cdecl("diffeo_spec_destroy")
public func diffeo_spec_destroy(_ spec: OpaquePointer?) { SpecHandle.destroy(spec) }

@implementation @_cdecl("diffeo_spec_add_autoregressive")
public func diffeo_spec_add_autoregressive(
  _ spec: OpaquePointer?, _ options: UnsafePointer<diffeo_autoregressive_options>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try SpecHandle.from(spec)
    let o = try diffeo_autoregressive_options.read(options)
    try handle.builder.addAutoregressive(
      conditioner(o.network, diffeo_map_options.map(o.map)),
      order: columnOrder(o.order, o.order_given, dim: handle.builder.spec.dim),
      randomDegrees: randomDegrees(o.degrees), direct: flag(o.direct, "direct"),
      invertsMap: flag(o.inverse_map, "inverse_map"), seed: given(o.seed))
  }
}

@implementation @_cdecl("diffeo_spec_add_coupling")
public func diffeo_spec_add_coupling(
  _ spec: OpaquePointer?, _ options: UnsafePointer<diffeo_coupling_options>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try SpecHandle.from(spec)
    let o = try diffeo_coupling_options.read(options)
    try handle.builder.addCoupling(
      conditioner(o.network, diffeo_map_options.map(o.map)),
      mask: couplingMask(o.mask, o.mask_given, dim: handle.builder.spec.dim),
      scaleActivation: o.scale_activation == 0 ? nil : choice(o.scale_activation, "scale_activation"),
      seed: given(o.seed))
  }
}

func maskGiven(_ given: UnsafePointer<UInt8>?, _ count: Int) throws(DiffeoError) -> [Bool] {
  let given = try require(given, "mask_given")
  let values = (0..<count).map { given[$0] }
  if let at = values.firstIndex(where: { $0 > 1 }) {
    throw DiffeoError(.invalid, "mask_given[\(at)] is \(values[at]), it must be 0 or 1")
  }
  return values.map { $0 == 1 }
}

/// given: dim values, with DIFFEO_MASK_GIVEN.
private func couplingMask(_ value: Int32, _ given: UnsafePointer<UInt8>?, dim: Int) throws(DiffeoError)
  -> SpecBuilder.Mask
{
  if Int(value) == DIFFEO_MASK_GIVEN { return .given(try maskGiven(given, dim)) }
  return try choice(
    value, "mask",
    [
      DIFFEO_MASK_EVEN: .even, DIFFEO_MASK_ODD: .odd, DIFFEO_MASK_FIRST: .first, DIFFEO_MASK_LAST: .last,
      DIFFEO_MASK_RANDOM: .random,
    ])
}

@implementation @_cdecl("diffeo_spec_invert")
public func diffeo_spec_invert(_ spec: OpaquePointer?) -> diffeo_status {
  boundary { () throws(DiffeoError) in try SpecHandle.from(spec).builder.invertLast() }
}

@implementation @_cdecl("diffeo_spec_add_permutation")
public func diffeo_spec_add_permutation(
  _ spec: OpaquePointer?, _ permutation: UnsafePointer<Int64>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try SpecHandle.from(spec)
    let count = handle.builder.map.channels
    try handle.builder.addPermutation(
      integers(require(permutation, "permutation"), Int64(count), "permutation", atMost: count))
  }
}

@implementation @_cdecl("diffeo_spec_add_reverse")
public func diffeo_spec_add_reverse(_ spec: OpaquePointer?) -> diffeo_status {
  boundary { () throws(DiffeoError) in try SpecHandle.from(spec).builder.addReverse() }
}

@implementation @_cdecl("diffeo_spec_add_random_permutation")
public func diffeo_spec_add_random_permutation(_ spec: OpaquePointer?, _ seed: UInt64)
  -> diffeo_status
{
  boundary { () throws(DiffeoError) in
    try SpecHandle.from(spec).builder.addRandomPermutation(seed: given(seed))
  }
}

@implementation @_cdecl("diffeo_spec_add_lu")
public func diffeo_spec_add_lu(_ spec: OpaquePointer?, _ permuted: Int32, _ seed: UInt64) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try SpecHandle.from(spec).builder.addLU(permuted: flag(permuted, "permuted"), seed: given(seed))
  }
}

@implementation @_cdecl("diffeo_spec_add_householder")
public func diffeo_spec_add_householder(_ spec: OpaquePointer?, _ reflections: Int64) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try SpecHandle.from(spec).builder.addHouseholder(reflections: Int(reflections))
  }
}

@implementation @_cdecl("diffeo_spec_add_elementwise_affine")
public func diffeo_spec_add_elementwise_affine(_ spec: OpaquePointer?, _ shift: Int32) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try SpecHandle.from(spec).builder.addElementwiseAffine(shift: flag(shift, "shift"))
  }
}

@implementation @_cdecl("diffeo_spec_add_batch_norm")
public func diffeo_spec_add_batch_norm(_ spec: OpaquePointer?, _ epsilon: Double, _ momentum: Double) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try SpecHandle.from(spec).builder.addBatchNorm(epsilon: epsilon, momentum: momentum)
  }
}

@implementation @_cdecl("diffeo_spec_add_domain")
public func diffeo_spec_add_domain(
  _ spec: OpaquePointer?, _ domain: Int32, _ columns: UnsafePointer<Int64>?, _ count: Int64,
  _ low: UnsafePointer<Double>?, _ high: UnsafePointer<Double>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try SpecHandle.from(spec)
    let dim = handle.builder.spec.dim
    let map = try choice(
      domain, "domain",
      [
        DIFFEO_DOMAIN_LOGIT: DomainMap.logit, DIFFEO_DOMAIN_LOG: .log, DIFFEO_DOMAIN_SOFTPLUS: .softplus,
        DIFFEO_DOMAIN_LOGISTIC_TO_NORMAL: .logisticToNormal, DIFFEO_DOMAIN_LEAKY_TANH: .leakyTanh,
        DIFFEO_DOMAIN_LEAKY_RELU: .leakyReLU, DIFFEO_DOMAIN_LOG_TANH: .logTanh,
        DIFFEO_DOMAIN_PROBIT: .probit,
      ])
    let columns = try columnChoice(columns, count, dim: dim)
    try handle.builder.addDomain(
      map, columns: columns, low: map.constants.isEmpty ? [] : values(low, columns, "low"),
      high: map.constants.count > 1 ? values(high, columns, "high") : [])
  }
}

/// One for each of the columns.
private func values<T>(_ values: UnsafePointer<T>?, _ columns: [Int], _ name: String) throws(DiffeoError) -> [T] {
  let source = try require(values, name)
  return columns.indices.map { source[$0] }
}

/// NULL with 0: all.
private func columnChoice(_ columns: UnsafePointer<Int64>?, _ count: Int64, dim: Int) throws(DiffeoError) -> [Int] {
  columns == nil && count == 0 ? Array(0..<dim) : try integers(columns, count, "columns", atMost: dim)
}

@implementation @_cdecl("diffeo_spec_add_elementwise")
public func diffeo_spec_add_elementwise(
  _ spec: OpaquePointer?, _ options: UnsafePointer<diffeo_elementwise_options>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try SpecHandle.from(spec)
    let o = try diffeo_elementwise_options.read(options)
    try handle.builder.addElementwise(
      diffeo_map_options.map(o.map),
      columns: columnChoice(o.columns, o.column_count, dim: handle.builder.spec.dim),
      network: diffeo_network_options.contextNetwork(o.network))
  }
}

@implementation @_cdecl("diffeo_spec_add_wrap")
public func diffeo_spec_add_wrap(
  _ spec: OpaquePointer?, _ low: Double, _ high: Double, _ random_shift: Int32, _ seed: UInt64
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try SpecHandle.from(spec).builder.addWrap(
      low: low, high: high, randomShift: flag(random_shift, "random_shift"), seed: given(seed))
  }
}

@implementation @_cdecl("diffeo_spec_add_wrap_columns")
public func diffeo_spec_add_wrap_columns(
  _ spec: OpaquePointer?, _ columns: UnsafePointer<Int64>?, _ count: Int64, _ low: UnsafePointer<Double>?,
  _ high: UnsafePointer<Double>?, _ random_shift: Int32, _ seed: UInt64
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try SpecHandle.from(spec)
    let columns = try columnChoice(columns, count, dim: handle.builder.spec.dim)
    try handle.builder.addWrap(
      columns: columns, low: values(low, columns, "low"), high: values(high, columns, "high"),
      randomShift: flag(random_shift, "random_shift"), seed: given(seed))
  }
}

@implementation @_cdecl("diffeo_spec_add_dequantize")
public func diffeo_spec_add_dequantize(_ spec: OpaquePointer?, _ levels: Int64) -> diffeo_status {
  boundary { () throws(DiffeoError) in try SpecHandle.from(spec).builder.addDequantize(levels: Int(levels)) }
}

@implementation @_cdecl("diffeo_spec_add_dequantize_columns")
public func diffeo_spec_add_dequantize_columns(
  _ spec: OpaquePointer?, _ columns: UnsafePointer<Int64>?, _ count: Int64, _ levels: UnsafePointer<Int64>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try SpecHandle.from(spec)
    let columns = try columnChoice(columns, count, dim: handle.builder.spec.dim)
    try handle.builder.addDequantize(columns: columns, levels: values(levels, columns, "levels").map { Int($0) })
  }
}

@implementation @_cdecl("diffeo_spec_add_actnorm")
public func diffeo_spec_add_actnorm(_ spec: OpaquePointer?) -> diffeo_status {
  boundary { () throws(DiffeoError) in try SpecHandle.from(spec).builder.addActNorm() }
}

@implementation @_cdecl("diffeo_spec_add_planar")
public func diffeo_spec_add_planar(
  _ spec: OpaquePointer?, _ network: UnsafePointer<diffeo_network_options>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try SpecHandle.from(spec).builder.addPlanar(network: diffeo_network_options.contextNetwork(network))
  }
}

@implementation @_cdecl("diffeo_spec_add_radial")
public func diffeo_spec_add_radial(
  _ spec: OpaquePointer?, _ network: UnsafePointer<diffeo_network_options>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try SpecHandle.from(spec).builder.addRadial(network: diffeo_network_options.contextNetwork(network))
  }
}

@implementation @_cdecl("diffeo_spec_set_base")
public func diffeo_spec_set_base(
  _ spec: OpaquePointer?, _ options: UnsafePointer<diffeo_base_options>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try SpecHandle.from(spec)
    try handle.builder.setBase(diffeo_base_options.read(options).choice)
  }
}

@implementation @_cdecl("diffeo_spec_set_base_made")
public func diffeo_spec_set_base_made(
  _ spec: OpaquePointer?, _ options: UnsafePointer<diffeo_made_options>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try SpecHandle.from(spec)
    let o = try diffeo_made_options.read(options)
    try handle.builder.setBaseMADE(
      conditioner(o.network, .affine()),
      conditional: madeConditional(o.conditional, components: Int(o.components)),
      order: columnOrder(o.order, o.order_given, dim: handle.builder.spec.dim),
      randomDegrees: randomDegrees(o.degrees), masks: Int(o.masks), direct: flag(o.direct, "direct"),
      seed: given(o.seed))
  }
}

@implementation @_cdecl("diffeo_spec_set_standardization")
public func diffeo_spec_set_standardization(_ spec: OpaquePointer?, _ standardization: Int32) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try SpecHandle.from(spec).builder.standardization = DiffeoABI.standardization(standardization, "standardization")
  }
}

@implementation @_cdecl("diffeo_spec_add_standardize")
public func diffeo_spec_add_standardize(
  _ spec: OpaquePointer?, _ mean: UnsafePointer<Double>?, _ std: UnsafePointer<Double>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try SpecHandle.from(spec)
    try handle.builder.addStandardize(columns(mean, std, handle.builder.spec.dim))
  }
}

@implementation @_cdecl("diffeo_spec_standardize_context")
public func diffeo_spec_standardize_context(
  _ spec: OpaquePointer?, _ mean: UnsafePointer<Double>?, _ std: UnsafePointer<Double>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try SpecHandle.from(spec)
    try handle.builder.standardizeContext(columns(mean, std, handle.builder.spec.contextDim))
  }
}

@implementation @_cdecl("diffeo_spec_set_dtype")
public func diffeo_spec_set_dtype(_ spec: OpaquePointer?, _ dtype: Int32) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try SpecHandle.from(spec).builder.setDType(DiffeoABI.dtype(dtype))
  }
}

@implementation @_cdecl("diffeo_spec_set_embedding")
public func diffeo_spec_set_embedding(
  _ spec: OpaquePointer?, _ features: Int64, _ network: UnsafePointer<diffeo_network_options>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try SpecHandle.from(spec)
    try handle.builder.setEmbedding(features: Int(features), network: diffeo_network_options.network(network))
  }
}

private func columns(
  _ mean: UnsafePointer<Double>?, _ std: UnsafePointer<Double>?, _ count: Int
) throws(DiffeoError) -> (mean: [Double], deviation: [Double])? {
  if mean == nil, std == nil { return nil }
  let (mean, std) = (try require(mean, "mean"), try require(std, "std"))
  return ((0..<count).map { mean[$0] }, (0..<count).map { std[$0] })
}
