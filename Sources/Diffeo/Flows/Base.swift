/// Every kind of base distribution there is: architecture, and the form prepared for the kernels. One place that knows
/// them all.
enum BaseKind: Equatable, Sendable {
  case standardNormal(StandardNormalSpec)
  case made(MADESpec)

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    switch record.kind {
    case StandardNormalSpec.kind:
      self = .standardNormal(try .init(record, dim: dim, contextDim: contextDim))
    case MADESpec.kind: self = .made(try .init(record, dim: dim, contextDim: contextDim))
    default: throw DiffeoError(.format, "the base '\(record.kind)' is not known")
    }
  }

  var spec: any DistributionSpec {
    switch self {
    case .standardNormal(let spec): spec
    case .made(let spec): spec
    }
  }

  var name: String { type(of: spec).kind }
}

struct Base<S: Scalar>: BitwiseCopyable {
  enum Kind: BitwiseCopyable {
    case standardNormal(StandardNormal<S>)
    case made(MADE<S>)
  }

  enum Tape: BitwiseCopyable {
    case standardNormal(StandardNormal<S>.Tape)
    case made(MADE<S>.Tape)
  }

  private var kind: Kind

  /// offset: of the base's parameters in the vector of the flow; slot: of its first slot among those of the flow.
  init(_ spec: BaseKind, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    switch spec {
    case .standardNormal: kind = .standardNormal(StandardNormal())
    case .made(let s): kind = .made(try .init(s, offset: offset, slot: slot, pool: pool))
    }
  }

  mutating func prepare(_ parameters: UnsafePointer<S>) {
    switch kind {
    case .standardNormal(let base): base.prepare(parameters)
    case .made(let base): base.prepare(parameters)
    }
  }

  var denseLayers: [DenseLayer<S>] {
    switch kind {
    case .standardNormal: []
    case .made(let base): base.denseLayers
    }
  }

  func addLogDensity(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    switch kind {
    case .standardNormal(let base): .standardNormal(base.addLogDensity(&pass))
    case .made(let base): .made(try base.addLogDensity(&pass))
    }
  }

  func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    switch (kind, tape) {
    case (.standardNormal(let base), .standardNormal(let tape)): base.pullback(&adjoint, tape)
    case (.made(let base), .made(let tape)): try base.pullback(&adjoint, tape)
    default: throw DiffeoError(.internal, "a tape of another base")
    }
  }

  func sample(_ seed: UInt64, _ firstRow: UInt64, _ pass: inout Pass<S>) throws(DiffeoError) {
    switch kind {
    case .standardNormal(let base): base.sample(seed, firstRow, &pass)
    case .made(let base): try base.sample(seed, firstRow, &pass)
    }
  }
}
