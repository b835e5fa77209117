import KernelInterface

/// N(0, I)
struct StandardNormalSpec: ChosenDistributionSpec {
  static let kind = "standard_normal"
  static let number: Int32 = 1
  typealias F32 = StandardNormal<Float>
  typealias F64 = StandardNormal<Double>

  init() {}
  init(_ options: BaseOptions, dim: Int, contextDim: Int) throws(DiffeoError) { try options.refuseNetwork(Self.kind) }
  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {}

  var record: Record { Record(kind: StandardNormalSpec.kind) }
  var slots: [ParameterSlot] { [] }
  var summary: String { "" }
}

extension BaseChoice {
  package static var standardNormal: BaseChoice { BaseChoice(StandardNormalSpec.self) }
}

struct StandardNormal<S: Scalar>: Distribution {
  init(_ spec: StandardNormalSpec, offset: Int, slot: Int, pool: Pool) {}

  func prepare(_ parameters: UnsafePointer<S>) {}

  struct Tape: BitwiseCopyable {
    let z: UnsafeMutablePointer<S>
  }

  func addLogDensity(_ pass: inout Pass<S>) -> Tape {
    S.kernels.normalLogDensity(pass.dim, pass.stride, pass.x, pass.logDet)
    return Tape(z: pass.x)
  }

  func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) {
    let (stride, weight) = (adjoint.stride, adjoint.gLogDet)
    for i in 0..<adjoint.dim {
      for r in 0..<stride { adjoint.g[i * stride + r] = -tape.z[i * stride + r] * weight[r] }
    }
  }

  struct Draw: BitwiseCopyable {}

  func sample(_ seed: UInt64, _ firstRow: UInt64, _ pass: inout Pass<S>) -> Draw {
    S.kernels.normals(seed, firstRow, pass.dim, pass.stride, pass.x)
    return Draw()
  }

  func temper(_ factor: S, _ pass: inout Pass<S>, _ draw: Draw) { temperAroundZero(factor, &pass) }

  func samplePullback(_ adjoint: inout Adjoint<S>, _ draw: Draw) {}
}
