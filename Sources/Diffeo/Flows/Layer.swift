/// Every kind of layer there is: architecture, and the form prepared for the kernels. One place that knows them all.
enum LayerKind: Equatable, Sendable {
  case autoregressive(AutoregressiveSpec)
  case coupling(CouplingSpec)
  case permutation(PermutationSpec)
  case actNorm(ActNormSpec)
  case standardize(StandardizeSpec)
  case batchNorm(BatchNormSpec)
  case lu(LUSpec)
  case householder(HouseholderSpec)
  case domain(DomainSpec)
  case wrap(WrapSpec)
  case dequantize(DequantizeSpec)
  case elementwise(ElementwiseSpec)
  case planar(PlanarSpec)
  case radial(RadialSpec)

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    switch record.kind {
    case AutoregressiveSpec.kind:
      self = .autoregressive(try .init(record, dim: dim, contextDim: contextDim))
    case CouplingSpec.kind: self = .coupling(try .init(record, dim: dim, contextDim: contextDim))
    case PermutationSpec.kind:
      self = .permutation(try .init(record, dim: dim, contextDim: contextDim))
    case ActNormSpec.kind: self = .actNorm(try .init(record, dim: dim, contextDim: contextDim))
    case StandardizeSpec.kind:
      self = .standardize(try .init(record, dim: dim, contextDim: contextDim))
    case BatchNormSpec.kind: self = .batchNorm(try .init(record, dim: dim, contextDim: contextDim))
    case LUSpec.kind: self = .lu(try .init(record, dim: dim, contextDim: contextDim))
    case HouseholderSpec.kind: self = .householder(try .init(record, dim: dim, contextDim: contextDim))
    case DomainSpec.kind: self = .domain(try .init(record, dim: dim, contextDim: contextDim))
    case WrapSpec.kind: self = .wrap(try .init(record, dim: dim, contextDim: contextDim))
    case DequantizeSpec.kind: self = .dequantize(try .init(record, dim: dim, contextDim: contextDim))
    case ElementwiseSpec.kind: self = .elementwise(try .init(record, dim: dim, contextDim: contextDim))
    case PlanarSpec.kind: self = .planar(try .init(record, dim: dim, contextDim: contextDim))
    case RadialSpec.kind: self = .radial(try .init(record, dim: dim, contextDim: contextDim))
    default: throw DiffeoError(.format, "the layer kind '\(record.kind)' is not known")
    }
  }

  var spec: any BijectionSpec {
    switch self {
    case .autoregressive(let spec): spec
    case .coupling(let spec): spec
    case .permutation(let spec): spec
    case .actNorm(let spec): spec
    case .standardize(let spec): spec
    case .batchNorm(let spec): spec
    case .lu(let spec): spec
    case .householder(let spec): spec
    case .domain(let spec): spec
    case .wrap(let spec): spec
    case .dequantize(let spec): spec
    case .elementwise(let spec): spec
    case .planar(let spec): spec
    case .radial(let spec): spec
    }
  }

  var name: String { type(of: spec).kind }
}

/// A layer of a flow: a bijection, or its inverse.
struct LayerSpec: Equatable, Sendable {
  let kind: LayerKind
  /// The bijection's `inverse` is the layer's `forward`.
  let inverted: Bool

  init(_ kind: LayerKind, inverted: Bool = false) {
    self.kind = kind
    self.inverted = inverted
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    kind = try LayerKind(record, dim: dim, contextDim: contextDim)
    inverted = record["inverse"] == nil ? false : try record.bool("inverse")
  }

  var record: Record {
    var record = kind.spec.record
    record["inverse"] = .bool(inverted)
    return record
  }
}

struct Layer<S: Scalar>: BitwiseCopyable {
  /// Pointers into memory of the flow: a value would be copied for each use.
  enum Kind: BitwiseCopyable {
    case autoregressive(UnsafeMutablePointer<Autoregressive<S>>)
    case coupling(UnsafeMutablePointer<Coupling<S>>)
    case permutation(UnsafeMutablePointer<Permutation<S>>)
    case actNorm(UnsafeMutablePointer<ActNorm<S>>)
    case standardize(UnsafeMutablePointer<Standardize<S>>)
    case batchNorm(UnsafeMutablePointer<BatchNorm<S>>)
    case lu(UnsafeMutablePointer<LU<S>>)
    case householder(UnsafeMutablePointer<Householder<S>>)
    case domain(UnsafeMutablePointer<Domain<S>>)
    case wrap(UnsafeMutablePointer<Wrap<S>>)
    case dequantize(UnsafeMutablePointer<Dequantize<S>>)
    case elementwise(UnsafeMutablePointer<Elementwise<S>>)
    case planar(UnsafeMutablePointer<Planar<S>>)
    case radial(UnsafeMutablePointer<Radial<S>>)
  }

  enum Tape: BitwiseCopyable {
    case autoregressive(Autoregressive<S>.Tape)
    case coupling(Coupling<S>.Tape)
    case permutation(Permutation<S>.Tape)
    case actNorm(ActNorm<S>.Tape)
    case standardize(Standardize<S>.Tape)
    case batchNorm(BatchNorm<S>.Tape)
    case lu(LU<S>.Tape)
    case householder(Householder<S>.Tape)
    case domain(Domain<S>.Tape)
    case wrap(Wrap<S>.Tape)
    case dequantize(Dequantize<S>.Tape)
    case elementwise(Elementwise<S>.Tape)
    case planar(Planar<S>.Tape)
    case radial(Radial<S>.Tape)
  }

  private let kind: Kind
  let inverted: Bool

  /// offset: of the layer's parameters in the vector of the flow; slot: of its first slot among those of the flow.
  init(_ spec: LayerSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    inverted = spec.inverted
    switch spec.kind {
    case .autoregressive(let s):
      kind = .autoregressive(try pool.place(.init(s, offset: offset, slot: slot, pool: pool)))
    case .coupling(let s): kind = .coupling(try pool.place(.init(s, offset: offset, slot: slot, pool: pool)))
    case .permutation(let s): kind = .permutation(try pool.place(.init(s, pool: pool)))
    case .actNorm(let s): kind = .actNorm(try pool.place(.init(s, offset: offset, slot: slot, pool: pool)))
    case .standardize(let s): kind = .standardize(try pool.place(.init(s, offset: offset, pool: pool)))
    case .batchNorm(let s): kind = .batchNorm(try pool.place(.init(s, offset: offset, slot: slot, pool: pool)))
    case .lu(let s): kind = .lu(try pool.place(.init(s, offset: offset, slot: slot, pool: pool)))
    case .householder(let s): kind = .householder(try pool.place(.init(s, offset: offset, slot: slot, pool: pool)))
    case .domain(let s): kind = .domain(try pool.place(.init(s, offset: offset, pool: pool)))
    case .wrap(let s): kind = .wrap(try pool.place(.init(s, offset: offset, slot: slot, pool: pool)))
    case .dequantize(let s): kind = .dequantize(try pool.place(.init(s)))
    case .elementwise(let s): kind = .elementwise(try pool.place(.init(s, offset: offset, slot: slot, pool: pool)))
    case .planar(let s): kind = .planar(try pool.place(.init(s, offset: offset, slot: slot, pool: pool)))
    case .radial(let s): kind = .radial(try pool.place(.init(s, offset: offset, slot: slot, pool: pool)))
    }
  }

  func prepare(_ parameters: UnsafePointer<S>) {
    switch kind {
    case .autoregressive(let l): l.pointee.prepare(parameters)
    case .coupling(let l): l.pointee.prepare(parameters)
    case .permutation(let l): l.pointee.prepare(parameters)
    case .actNorm(let l): l.pointee.prepare(parameters)
    case .standardize(let l): l.pointee.prepare(parameters)
    case .batchNorm(let l): l.pointee.prepare(parameters)
    case .lu(let l): l.pointee.prepare(parameters)
    case .householder(let l): l.pointee.prepare(parameters)
    case .domain(let l): l.pointee.prepare(parameters)
    case .wrap(let l): l.pointee.prepare(parameters)
    case .dequantize(let l): l.pointee.prepare(parameters)
    case .elementwise(let l): l.pointee.prepare(parameters)
    case .planar(let l): l.pointee.prepare(parameters)
    case .radial(let l): l.pointee.prepare(parameters)
    }
  }

  var denseLayers: [DenseLayer<S>] {
    switch kind {
    case .autoregressive(let l): l.pointee.parameters.network.denseLayers
    case .coupling(let l): l.pointee.denseLayers
    case .lu(let l): l.pointee.denseLayers
    case .radial(let l): l.pointee.denseLayers
    case .elementwise(let l): l.pointee.denseLayers
    case .planar(let l): l.pointee.denseLayers
    case .permutation, .actNorm, .standardize, .batchNorm, .householder, .domain, .wrap, .dequantize: []
    }
  }

  var dequantizes: Bool {
    if case .dequantize = kind { true } else { false }
  }

  /// If it normalises by the minibatch in training: not when inverted.
  var batchNorm: BatchNorm<S>? {
    if case .batchNorm(let l) = kind, !inverted { l.pointee } else { nil }
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    try run(&pass, inverse: inverted)
  }
  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    try run(&pass, inverse: !inverted)
  }

  private func run(_ pass: inout Pass<S>, inverse: Bool) throws(DiffeoError) -> Tape {
    switch kind {
    case .autoregressive(let l):
      .autoregressive(inverse ? try l.pointee.inverse(&pass) : try l.pointee.forward(&pass))
    case .coupling(let l): .coupling(inverse ? try l.pointee.inverse(&pass) : try l.pointee.forward(&pass))
    case .permutation(let l): .permutation(inverse ? try l.pointee.inverse(&pass) : try l.pointee.forward(&pass))
    case .actNorm(let l): .actNorm(inverse ? try l.pointee.inverse(&pass) : try l.pointee.forward(&pass))
    case .standardize(let l): .standardize(inverse ? try l.pointee.inverse(&pass) : try l.pointee.forward(&pass))
    case .batchNorm(let l): .batchNorm(inverse ? try l.pointee.inverse(&pass) : try l.pointee.forward(&pass))
    case .lu(let l): .lu(inverse ? try l.pointee.inverse(&pass) : try l.pointee.forward(&pass))
    case .householder(let l): .householder(inverse ? try l.pointee.inverse(&pass) : try l.pointee.forward(&pass))
    case .domain(let l): .domain(inverse ? try l.pointee.inverse(&pass) : try l.pointee.forward(&pass))
    case .wrap(let l): .wrap(inverse ? try l.pointee.inverse(&pass) : try l.pointee.forward(&pass))
    case .dequantize(let l): .dequantize(inverse ? try l.pointee.inverse(&pass) : try l.pointee.forward(&pass))
    case .elementwise(let l): .elementwise(inverse ? try l.pointee.inverse(&pass) : try l.pointee.forward(&pass))
    case .planar(let l): .planar(inverse ? try l.pointee.inverse(&pass) : try l.pointee.forward(&pass))
    case .radial(let l): .radial(inverse ? try l.pointee.inverse(&pass) : try l.pointee.forward(&pass))
    }
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape, inverse: inverted)
  }
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape, inverse: !inverted)
  }

  private func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape, inverse: Bool)
    throws(DiffeoError)
  {
    switch (kind, tape) {
    case (.autoregressive(let l), .autoregressive(let t)):
      inverse ? try l.pointee.inversePullback(&adjoint, t) : try l.pointee.forwardPullback(&adjoint, t)
    case (.coupling(let l), .coupling(let t)):
      inverse ? try l.pointee.inversePullback(&adjoint, t) : try l.pointee.forwardPullback(&adjoint, t)
    case (.permutation(let l), .permutation(let t)):
      inverse ? try l.pointee.inversePullback(&adjoint, t) : try l.pointee.forwardPullback(&adjoint, t)
    case (.actNorm(let l), .actNorm(let t)):
      inverse ? try l.pointee.inversePullback(&adjoint, t) : try l.pointee.forwardPullback(&adjoint, t)
    case (.standardize(let l), .standardize(let t)):
      inverse ? l.pointee.inversePullback(&adjoint, t) : l.pointee.forwardPullback(&adjoint, t)
    case (.batchNorm(let l), .batchNorm(let t)):
      inverse ? try l.pointee.inversePullback(&adjoint, t) : try l.pointee.forwardPullback(&adjoint, t)
    case (.lu(let l), .lu(let t)):
      inverse ? try l.pointee.inversePullback(&adjoint, t) : try l.pointee.forwardPullback(&adjoint, t)
    case (.householder(let l), .householder(let t)):
      inverse ? try l.pointee.inversePullback(&adjoint, t) : try l.pointee.forwardPullback(&adjoint, t)
    case (.domain(let l), .domain(let t)):
      inverse ? l.pointee.inversePullback(&adjoint, t) : l.pointee.forwardPullback(&adjoint, t)
    case (.wrap(let l), .wrap(let t)):
      inverse ? try l.pointee.inversePullback(&adjoint, t) : l.pointee.forwardPullback(&adjoint, t)
    case (.dequantize(let l), .dequantize(let t)):
      inverse ? l.pointee.inversePullback(&adjoint, t) : l.pointee.forwardPullback(&adjoint, t)
    case (.elementwise(let l), .elementwise(let t)):
      inverse ? try l.pointee.inversePullback(&adjoint, t) : try l.pointee.forwardPullback(&adjoint, t)
    case (.planar(let l), .planar(let t)):
      inverse ? try l.pointee.inversePullback(&adjoint, t) : try l.pointee.forwardPullback(&adjoint, t)
    case (.radial(let l), .radial(let t)):
      inverse ? try l.pointee.inversePullback(&adjoint, t) : try l.pointee.forwardPullback(&adjoint, t)
    default: throw DiffeoError(.internal, "a tape of another layer")
    }
  }
}
