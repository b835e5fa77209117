import KernelInterface

/// N(0, I)
struct StandardNormalSpec: DistributionSpec {
  static let kind = "standard_normal"

  init() {}
  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {}

  var record: Record { Record(kind: StandardNormalSpec.kind) }
  var slots: [ParameterSlot] { [] }
  var summary: String { "" }
}

struct StandardNormal<S: Scalar>: Distribution {
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

  func sample(_ seed: UInt64, _ firstRow: UInt64, _ pass: inout Pass<S>) {
    S.kernels.normals(seed, firstRow, pass.dim, pass.stride, pass.x)
  }
}
