import CLibrary
import KernelInterface

/// The standard logistic distribution, by column: the distribution function is the sigmoid.
struct LogisticSpec: ChosenDistributionSpec {
  static let kind = "logistic"
  static let number: Int32 = 3
  typealias F32 = Logistic<Float>
  typealias F64 = Logistic<Double>

  init() {}
  init(_ options: BaseOptions, dim: Int, contextDim: Int) throws(DiffeoError) { try options.refuseNetwork(Self.kind) }
  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {}

  var record: Record { Record(kind: LogisticSpec.kind) }
  var slots: [ParameterSlot] { [] }
  var summary: String { "" }
}

extension BaseChoice {
  package static var logistic: BaseChoice { BaseChoice(LogisticSpec.self) }
}

struct Logistic<S: Scalar>: Distribution {
  init(_ spec: LogisticSpec, offset: Int, slot: Int, pool: Pool) {}

  func prepare(_ parameters: UnsafePointer<S>) {}

  struct Tape: BitwiseCopyable {
    let z: UnsafeMutablePointer<S>
  }

  func addLogDensity(_ pass: inout Pass<S>) -> Tape {
    S.kernels.logisticLogDensity(pass.dim, pass.stride, pass.x, pass.logDet)
    return Tape(z: pass.x)
  }

  /// -tanh(z / 2)
  func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) {
    let (g, stride) = (adjoint.g, adjoint.stride)
    for i in 0..<adjoint.count { g[i] = tape.z[i] / 2 }
    S.kernels.activate(.tanh, adjoint.count, g, g)
    for i in 0..<adjoint.dim {
      for r in 0..<stride { g[i * stride + r] *= -adjoint.gLogDet[r] }
    }
  }

  struct Draw: BitwiseCopyable {}

  /// By the inverse of the distribution function: 20 ns a number.
  func sample(_ seed: UInt64, _ firstRow: UInt64, _ pass: inout Pass<S>) throws(DiffeoError) -> Draw {
    let u = try pass.scratch.take(pass.count, of: Double.self)
    S.kernels.uniforms(seed, firstRow, pass.dim, pass.stride, u)
    for i in 0..<pass.count { pass.x[i] = S(log(u[i]) - log1p(-u[i])) }
    return Draw()
  }

  func temper(_ factor: S, _ pass: inout Pass<S>, _ draw: Draw) { temperAroundZero(factor, &pass) }

  func samplePullback(_ adjoint: inout Adjoint<S>, _ draw: Draw) {}
}
