/// Every kind of base distribution there is: architecture, and the form prepared for the kernels. One place that knows
/// them all.
enum BaseKind: Equatable, Sendable {
  case standardNormal(StandardNormalSpec)
  case normal(NormalSpec)
  case logistic(LogisticSpec)
  case uniform(UniformSpec)
  case studentT(StudentTSpec)
  case mixture(MixtureSpec)
  case made(MADESpec)

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    switch record.kind {
    case StandardNormalSpec.kind:
      self = .standardNormal(try .init(record, dim: dim, contextDim: contextDim))
    case NormalSpec.kind: self = .normal(try .init(record, dim: dim, contextDim: contextDim))
    case LogisticSpec.kind: self = .logistic(try .init(record, dim: dim, contextDim: contextDim))
    case UniformSpec.kind: self = .uniform(try .init(record, dim: dim, contextDim: contextDim))
    case StudentTSpec.kind: self = .studentT(try .init(record, dim: dim, contextDim: contextDim))
    case MixtureSpec.kind: self = .mixture(try .init(record, dim: dim, contextDim: contextDim))
    case MADESpec.kind: self = .made(try .init(record, dim: dim, contextDim: contextDim))
    default: throw DiffeoError(.format, "the base '\(record.kind)' is not known")
    }
  }

  var spec: any DistributionSpec {
    switch self {
    case .standardNormal(let spec): spec
    case .normal(let spec): spec
    case .logistic(let spec): spec
    case .uniform(let spec): spec
    case .studentT(let spec): spec
    case .mixture(let spec): spec
    case .made(let spec): spec
    }
  }

  var name: String { type(of: spec).kind }
}

struct Base<S: Scalar>: BitwiseCopyable {
  enum Kind: BitwiseCopyable {
    case standardNormal(StandardNormal<S>)
    case normal(Normal<S>)
    case logistic(Logistic<S>)
    case uniform(Uniform<S>)
    case studentT(StudentT<S>)
    case mixture(Mixture<S>)
    case made(MADE<S>)
  }

  enum Tape: BitwiseCopyable {
    case standardNormal(StandardNormal<S>.Tape)
    case normal(Normal<S>.Tape)
    case logistic(Logistic<S>.Tape)
    case uniform(Uniform<S>.Tape)
    case studentT(StudentT<S>.Tape)
    case mixture(Mixture<S>.Tape)
    case made(MADE<S>.Tape)
  }

  private let kind: Kind

  /// offset: of the base's parameters in the vector of the flow; slot: of its first slot among those of the flow.
  init(_ spec: BaseKind, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    switch spec {
    case .standardNormal: kind = .standardNormal(StandardNormal())
    case .normal(let s): kind = .normal(try .init(s, offset: offset, slot: slot, pool: pool))
    case .logistic: kind = .logistic(Logistic())
    case .uniform(let s): kind = .uniform(Uniform(s))
    case .studentT(let s): kind = .studentT(try .init(s, offset: offset, slot: slot, pool: pool))
    case .mixture(let s): kind = .mixture(try .init(s, offset: offset, slot: slot, pool: pool))
    case .made(let s): kind = .made(try .init(s, offset: offset, slot: slot, pool: pool))
    }
  }

  func prepare(_ parameters: UnsafePointer<S>) {
    switch kind {
    case .standardNormal(let base): base.prepare(parameters)
    case .normal(let base): base.prepare(parameters)
    case .logistic(let base): base.prepare(parameters)
    case .uniform(let base): base.prepare(parameters)
    case .studentT(let base): base.prepare(parameters)
    case .mixture(let base): base.prepare(parameters)
    case .made(let base): base.prepare(parameters)
    }
  }

  var denseLayers: [DenseLayer<S>] {
    switch kind {
    case .standardNormal, .logistic, .uniform: []
    case .normal(let base): base.parameters.denseLayers
    case .studentT(let base): base.parameters.denseLayers
    case .mixture(let base): base.parameters.denseLayers
    case .made(let base): base.denseLayers
    }
  }

  func addLogDensity(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    switch kind {
    case .standardNormal(let base): .standardNormal(base.addLogDensity(&pass))
    case .normal(let base): .normal(try base.addLogDensity(&pass))
    case .logistic(let base): .logistic(base.addLogDensity(&pass))
    case .uniform(let base): .uniform(base.addLogDensity(&pass))
    case .studentT(let base): .studentT(try base.addLogDensity(&pass))
    case .mixture(let base): .mixture(try base.addLogDensity(&pass))
    case .made(let base): .made(try base.addLogDensity(&pass))
    }
  }

  func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    switch (kind, tape) {
    case (.standardNormal(let base), .standardNormal(let tape)): base.pullback(&adjoint, tape)
    case (.normal(let base), .normal(let tape)): try base.pullback(&adjoint, tape)
    case (.logistic(let base), .logistic(let tape)): base.pullback(&adjoint, tape)
    case (.uniform(let base), .uniform(let tape)): base.pullback(&adjoint, tape)
    case (.studentT(let base), .studentT(let tape)): try base.pullback(&adjoint, tape)
    case (.mixture(let base), .mixture(let tape)): try base.pullback(&adjoint, tape)
    case (.made(let base), .made(let tape)): try base.pullback(&adjoint, tape)
    default: throw DiffeoError(.internal, "a tape of another base")
    }
  }

  func sample(_ seed: UInt64, _ firstRow: UInt64, _ pass: inout Pass<S>) throws(DiffeoError) {
    switch kind {
    case .standardNormal(let base): base.sample(seed, firstRow, &pass)
    case .normal(let base): try base.sample(seed, firstRow, &pass)
    case .logistic(let base): try base.sample(seed, firstRow, &pass)
    case .uniform(let base): try base.sample(seed, firstRow, &pass)
    case .studentT(let base): try base.sample(seed, firstRow, &pass)
    case .mixture(let base): try base.sample(seed, firstRow, &pass)
    case .made(let base): try base.sample(seed, firstRow, &pass)
    }
  }
}
