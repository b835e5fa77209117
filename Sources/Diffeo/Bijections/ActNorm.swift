import CLibrary
import KernelInterface

/// z = exp(log_scale) x + shift, by column, trained; set when training begins so that z has mean 0 and standard
/// deviation 1. Glow, Kingma and Dhariwal 2018, section 3.1. Begun as already set it is a plain affine map by column,
/// and without the shift the diagonal scaling of NICE, Dinh, Krueger and Bengio 2014.
struct ActNormSpec: BijectionSpec {
  static let kind = "actnorm"
  typealias F32 = ActNorm<Float>
  typealias F64 = ActNorm<Double>

  let dim: Int
  let hasShift: Bool
  /// Of a new flow: whether training is to set it.
  private let fromData: Bool

  init(dim: Int, hasShift: Bool = true, fromData: Bool = true) {
    self.dim = dim
    self.hasShift = hasShift
    self.fromData = fromData
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    self.init(dim: dim, hasShift: record["shift"] == nil ? true : try record.bool("shift"))
  }

  var record: Record {
    var record = Record(kind: ActNormSpec.kind)
    record["shift"] = .bool(hasShift)
    return record
  }

  var slots: [ParameterSlot] {
    [ParameterSlot("log_scale", [dim], .vector)] + (hasShift ? [ParameterSlot("shift", [dim], .vector)] : [])
      + [ParameterSlot("initialized", [1], .constant)]
  }

  /// Where `initialized` is among the layer's own.
  private var flag: Int { hasShift ? 2 * dim : dim }

  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    parameters[flag] = fromData ? 0 : 1
  }

  var summary: String { hasShift ? "by column" : "by column, no shift" }

  func wantsStatistics<S: Scalar>(_ parameters: UnsafePointer<S>) -> Bool {
    parameters[flag] == 0
  }

  /// A column that is constant here keeps its scale.
  func setStatistics<S: Scalar>(
    _ parameters: UnsafeMutablePointer<S>, mean: [Double], deviation: [Double]
  ) throws(DiffeoError) {
    for i in 0..<dim {
      let scale = deviation[i] > 0 ? 1 / deviation[i] : 1
      parameters[i] = S(log(scale))
      if hasShift { parameters[dim + i] = S(-mean[i] * scale) }
    }
    parameters[flag] = 1
  }
}

struct ActNorm<S: Scalar>: Bijection {
  private let dim: Int
  private let hasShift: Bool
  private let offset: Int
  private let slot: Int
  private let scale: UnsafeMutablePointer<S>
  private let shift: UnsafeMutablePointer<S>
  private var logDet = 0.0

  init(_ spec: ActNormSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    dim = spec.dim
    hasShift = spec.hasShift
    self.offset = offset
    self.slot = slot
    scale = try pool.take(dim)
    shift = try pool.take(dim)
  }

  mutating func prepare(_ parameters: UnsafePointer<S>) {
    logDet = 0
    for i in 0..<dim {
      let logScale = Double(parameters[offset + i])
      scale[i] = S(exp(logScale))
      if hasShift { shift[i] = parameters[offset + dim + i] }
      logDet += logScale
    }
  }

  struct Tape: BitwiseCopyable {
    /// On the data side.
    let x: UnsafeMutablePointer<S>
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (x, stride) = (pass.x, pass.stride)
    try pass.replace { x, z in S.kernels.scaleShift(dim, stride, x, scale, shift, z) }
    for r in 0..<stride { pass.logDet[r] += logDet }
    return Tape(x: x)
  }

  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let stride = pass.stride
    try pass.replace { z, x in S.kernels.unshiftScale(dim, stride, z, scale, shift, x) }
    for r in 0..<stride { pass.logDet[r] -= logDet }
    return Tape(x: pass.x)
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape) { g, scale, x, gLogDet in (g * scale, g * x * scale + gLogDet, g) }
  }

  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape) { g, scale, x, gLogDet in
      (g / scale, -(g * x + gLogDet), -(g / scale))
    }
  }

  /// `partial` gives dL/d(argument), dL/dlog_scale and dL/dshift of one number.
  @inline(__always)
  private func pullback(
    _ adjoint: inout Adjoint<S>, _ tape: Tape,
    _ partial: (_ g: S, _ scale: S, _ x: S, _ gLogDet: S) -> (S, S, S)
  ) throws(DiffeoError) {
    let (stride, scratch) = (adjoint.stride, adjoint.scratch)
    let mark = scratch.mark
    let gLogScale = try scratch.take(adjoint.count, of: S.self)
    let gShift = try scratch.take(adjoint.count, of: S.self)
    for i in 0..<dim {
      for r in 0..<stride {
        let at = i * stride + r
        (adjoint.g[at], gLogScale[at], gShift[at]) = partial(
          adjoint.g[at], scale[i], tape.x[at], adjoint.gLogDet[r])
      }
    }
    adjoint.sink?.sum(slot, gLogScale, dim, stride)
    if hasShift { adjoint.sink?.sum(slot + 1, gShift, dim, stride) }
    scratch.release(to: mark)
  }
}
