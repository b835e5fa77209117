import CDiffeo
import Diffeo

/// What a diffeo_spec points at.
final class SpecHandle: Handle {
  static var name: String { "spec" }
  var builder: SpecBuilder
  init(_ builder: SpecBuilder) { self.builder = builder }
}

@implementation @_cdecl("diffeo_spec_create")
public func diffeo_spec_create(
  _ dim: Int64, _ context_dim: Int64, _ dtype: Int32, _ spec: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let target = try require(spec, "spec")
    let builder = try SpecBuilder(
      dim: Int(dim), contextDim: Int(context_dim), dtype: DiffeoABI.dtype(dtype))
    target.pointee = SpecHandle(builder).passed()
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
    try requireZero(o.reserved)
    let order: SpecBuilder.Order
    switch Int(o.order) {
    case DIFFEO_ORDER_NATURAL: order = .natural
    case DIFFEO_ORDER_REVERSED: order = .reversed
    case DIFFEO_ORDER_RANDOM: order = .random
    case DIFFEO_ORDER_GIVEN:
      let dim = handle.builder.spec.dim
      order = .given(
        try integers(require(o.order_given, "order_given"), Int64(dim), "order_given", atMost: dim))
    default: throw DiffeoError(.invalid, "order is \(o.order), which is not known")
    }
    guard Int(o.degrees) == DIFFEO_DEGREES_SEQUENTIAL || Int(o.degrees) == DIFFEO_DEGREES_RANDOM
    else {
      throw DiffeoError(.invalid, "degrees is \(o.degrees), which is not known")
    }
    try handle.builder.addAutoregressive(
      conditioner(o.hidden, o.hidden_count, o.activation, o.scale, o.scale_bound, o.scale_epsilon),
      order: order,
      randomDegrees: Int(o.degrees) == DIFFEO_DEGREES_RANDOM, inverted: false, seed: o.seed)
  }
}

@implementation @_cdecl("diffeo_spec_add_coupling")
public func diffeo_spec_add_coupling(
  _ spec: OpaquePointer?, _ options: UnsafePointer<diffeo_coupling_options>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try SpecHandle.from(spec)
    let o = try diffeo_coupling_options.read(options)
    let mask: SpecBuilder.Mask
    switch Int(o.mask) {
    case DIFFEO_MASK_EVEN: mask = .even
    case DIFFEO_MASK_ODD: mask = .odd
    case DIFFEO_MASK_FIRST: mask = .first
    case DIFFEO_MASK_LAST: mask = .last
    case DIFFEO_MASK_RANDOM: mask = .random
    case DIFFEO_MASK_GIVEN:
      let given = try require(o.mask_given, "mask_given")
      let values = (0..<handle.builder.spec.dim).map { given[$0] }
      if let at = values.firstIndex(where: { $0 > 1 }) {
        throw DiffeoError(.invalid, "mask_given[\(at)] is \(values[at]), it must be 0 or 1")
      }
      mask = .given(values.map { $0 == 1 })
    default: throw DiffeoError(.invalid, "mask is \(o.mask), which is not known")
    }
    try handle.builder.addCoupling(
      conditioner(o.hidden, o.hidden_count, o.activation, o.scale, o.scale_bound, o.scale_epsilon),
      mask: mask,
      seed: o.seed)
  }
}

private func conditioner(
  _ hidden: UnsafePointer<Int64>?, _ hiddenCount: Int64, _ activation: Int32, _ scale: Int32,
  _ bound: Double,
  _ epsilon: Double
) throws(DiffeoError) -> SpecBuilder.Conditioner {
  var c = SpecBuilder.Conditioner()
  if let widths = try hiddenWidths(hidden, hiddenCount) { c.hidden = widths }
  c.activation = try choice(activation, "activation")
  c.scale = try choice(scale, "scale")
  c.scaleBound = bound
  c.scaleEpsilon = epsilon
  return c
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
    let dim = handle.builder.spec.dim
    try handle.builder.addPermutation(
      integers(require(permutation, "permutation"), Int64(dim), "permutation", atMost: dim))
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
    try SpecHandle.from(spec).builder.addRandomPermutation(seed: seed)
  }
}

@implementation @_cdecl("diffeo_spec_add_lu")
public func diffeo_spec_add_lu(_ spec: OpaquePointer?, _ permuted: Int32, _ seed: UInt64) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try SpecHandle.from(spec).builder.addLU(permuted: flag(permuted, "permuted"), seed: seed)
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
    let map: DomainMap
    switch Int(domain) {
    case DIFFEO_DOMAIN_LOGIT: map = .logit
    case DIFFEO_DOMAIN_LOG: map = .log
    case DIFFEO_DOMAIN_SOFTPLUS: map = .softplus
    case DIFFEO_DOMAIN_LOGISTIC_TO_NORMAL: map = .logisticToNormal
    default: throw DiffeoError(.invalid, "domain is \(domain), which is not known")
    }
    let columns =
      columns == nil && count == 0 ? Array(0..<dim) : try integers(columns, count, "columns", atMost: dim)
    func ends(_ values: UnsafePointer<Double>?, _ name: String, _ needed: Bool) throws(DiffeoError) -> [Double] {
      if !needed { return [] }
      let source = try require(values, name)
      return columns.indices.map { source[$0] }
    }
    try handle.builder.addDomain(
      map, columns: columns, low: ends(low, "low", map.hasLow), high: ends(high, "high", map.hasHigh))
  }
}

@implementation @_cdecl("diffeo_spec_add_wrap")
public func diffeo_spec_add_wrap(
  _ spec: OpaquePointer?, _ low: Double, _ high: Double, _ random_shift: Int32, _ seed: UInt64
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try SpecHandle.from(spec).builder.addWrap(
      low: low, high: high, randomShift: flag(random_shift, "random_shift"), seed: seed)
  }
}

@implementation @_cdecl("diffeo_spec_add_dequantize")
public func diffeo_spec_add_dequantize(_ spec: OpaquePointer?, _ levels: Int64) -> diffeo_status {
  boundary { () throws(DiffeoError) in try SpecHandle.from(spec).builder.addDequantize(levels: Int(levels)) }
}

@implementation @_cdecl("diffeo_spec_add_actnorm")
public func diffeo_spec_add_actnorm(_ spec: OpaquePointer?) -> diffeo_status {
  boundary { () throws(DiffeoError) in try SpecHandle.from(spec).builder.addActNorm() }
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

private func columns(
  _ mean: UnsafePointer<Double>?, _ std: UnsafePointer<Double>?, _ count: Int
) throws(DiffeoError) -> (mean: [Double], deviation: [Double])? {
  if mean == nil, std == nil { return nil }
  let (mean, std) = (try require(mean, "mean"), try require(std, "std"))
  return ((0..<count).map { mean[$0] }, (0..<count).map { std[$0] })
}
