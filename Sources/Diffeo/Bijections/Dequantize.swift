import CLibrary
import KernelInterface

/// z = x / levels: counts 0 to levels - 1, to which training adds uniform noise, to [0, 1). Uniform dequantisation,
/// Theis, van den Oord and Bethge 2016.
struct DequantizeSpec: BijectionSpec {
  static let kind = "dequantize"
  typealias F32 = Dequantize<Float>
  typealias F64 = Dequantize<Double>

  let dim: Int
  let levels: Int

  /// Up to so many levels, all are numbers of float32.
  static let maxLevels = 1 << 24

  /// Whether a number is one that the layer is for.
  static func isCount<T: Scalar>(_ value: T, levels: Int) -> Bool {
    value >= 0 && value < T(levels) && value == value.rounded(.down)
  }

  init(dim: Int, levels: Int) throws(DiffeoError) {
    try Limit.check("dequantize.levels", levels)
    self.dim = dim
    self.levels = levels
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(dim: dim, levels: record.int("levels"))
  }

  var record: Record {
    var record = Record(kind: DequantizeSpec.kind)
    record["levels"] = .int(levels)
    return record
  }

  var slots: [ParameterSlot] { [] }

  var summary: String { "\(levels) levels" }
}

struct Dequantize<S: Scalar>: Bijection {
  private let levels: S
  private let logDet: Double

  init(_ spec: DequantizeSpec, offset: Int, slot: Int, pool: Pool) {
    levels = S(spec.levels)
    logDet = -Double(spec.dim) * log(Double(spec.levels))
  }

  func prepare(_ parameters: UnsafePointer<S>) {}

  struct Tape: BitwiseCopyable {}

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (count, stride, noise) = (pass.count, pass.stride, pass.noise)
    try pass.replace { x, z in
      if let noise {
        // Below 1, as rounding might not leave it; what is beyond stays there.
        for i in 0..<count { z[i] = min((x[i] + noise[i]) / levels, max(x[i] / levels, S(1).nextDown)) }
      } else {
        for i in 0..<count { z[i] = x[i] / levels }
      }
    }
    for r in 0..<stride { pass.logDet[r] += logDet }
    return Tape()
  }

  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (count, stride) = (pass.count, pass.stride)
    try pass.replace { z, x in
      for i in 0..<count { x[i] = z[i] * levels }
    }
    for r in 0..<stride { pass.logDet[r] -= logDet }
    return Tape()
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) {
    for i in 0..<adjoint.count { adjoint.g[i] /= levels }
  }
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) {
    for i in 0..<adjoint.count { adjoint.g[i] *= levels }
  }
}
