import CLibrary
import KernelInterface

/// z = x + v tanh(w.x + b), where v = u + (softplus(w.u) - 1 - w.u) w / |w|^2, so that w.v = softplus(w.u) - 1 > -1 and
/// the map can be inverted (and v = u if w is 0). Rezende and Mohamed 2015, appendix A.1. u, w and b are trained, or
/// functions of the context. The inverse finds one number a row, a = w.x + b, to the last bit.
struct PlanarSpec: BijectionSpec {
  static let kind = "planar"
  typealias F32 = Planar<Float>
  typealias F64 = Planar<Double>

  let dim: Int
  let parameters: ContextualParametersSpec

  private static func vectors(_ dim: Int) -> [ContextualParametersSpec.Vector] {
    [.init(name: "u", shape: [dim]), .init(name: "w", shape: [dim]), .init(name: "b", shape: [1])]
  }

  init(dim: Int, contextDim: Int, conditioner: NetworkConventions?) throws(DiffeoError) {
    self.dim = dim
    parameters = try .init(
      PlanarSpec.vectors(dim), contextDim: contextDim, conditioner: conditioner)
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    self.dim = dim
    parameters = try .init(
      PlanarSpec.vectors(dim), contextDim: contextDim,
      conditioner: ContextualParametersSpec.conditioner(record))
  }

  var record: Record {
    var record = Record(kind: PlanarSpec.kind)
    parameters.describe(&record)
    return record
  }

  var slots: [ParameterSlot] { parameters.slots }

  /// w random, and u so that v is nearly 0.
  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    let w = (0..<dim).map { _ in random.normal() / Double(dim).squareRoot() }
    let squares = w.reduce(0) { $0 + $1 * $1 }
    let softplusIsOne = log(expm1(1.0))
    let u = w.map { softplusIsOne * $0 / squares + 0.01 * random.normal() }
    self.parameters.initialise(parameters, &random, values: u + w + [0])
  }

  var summary: String { "y = x + v tanh(w.x + b)" + (parameters.network == nil ? "" : " " + parameters.summary) }
}

struct Planar<S: Scalar>: Bijection {
  private let dim: Int
  private let parameters: ContextualParameters<S>

  init(_ spec: PlanarSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    dim = spec.dim
    parameters = try ContextualParameters(spec.parameters, offset: offset, slot: slot, pool: pool)
  }

  func prepare(_ parameters: UnsafePointer<S>) { self.parameters.prepare(parameters) }
  var denseLayers: [DenseLayer<S>] { parameters.denseLayers }

  struct Tape: BitwiseCopyable {
    /// On the data side.
    let x: UnsafeMutablePointer<S>
    let parameters: ContextualParameters<S>.Tape
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, inverse: false) }
  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, inverse: true) }

  private func run(_ pass: inout Pass<S>, inverse: Bool) throws(DiffeoError) -> Tape {
    let (stride, logDet) = (pass.stride, pass.logDet)
    let mark = pass.scratch.mark
    let tape = try parameters.evaluate(pass)
    let before = pass.x
    try pass.replace { x, y in
      for r in 0..<stride {
        let (u, w, b) = (tape.values + r, tape.values + dim * stride + r, tape.values + 2 * dim * stride + r)
        let direction = PlanarDirection(
          wu: dot(w, u, dim, stride), ww: dot(w, w, dim, stride))
        let start = dot(w, x + r, dim, stride) + Double(b.pointee)
        let a = inverse ? direction.solve(start) : start
        let point = PlanarPoint(a, direction)
        let step = inverse ? -point.tanh : point.tanh
        for i in 0..<dim {
          let at = i * stride
          let v = Double(u[at]) + direction.k * Double(w[at])
          y[at + r] = S(Double(x[at + r]) + step * v)
        }
        logDet[r] += inverse ? -point.logSlope : point.logSlope
      }
    }
    let x = inverse ? pass.x : before
    if !pass.recording { pass.scratch.release(to: mark) }
    return Tape(x: x, parameters: tape)
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape, inverse: false)
  }
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape, inverse: true)
  }

  /// With f the forward map, J = 1 + h v w^T its derivative at x and l its log-determinant: the inverse has
  /// dx = J^-1 (dy - df) and the log-determinant -l. So its gradients are those of `forward` for gLog = -dL/dlogDet
  /// instead of dL/dlogDet, and for minus dL/dy = J^-T (dL/dx + gLog dl/dx) instead of dL/dy.
  private func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape, inverse: Bool) throws(DiffeoError) {
    let (stride, scratch) = (adjoint.stride, adjoint.scratch)
    let mark = scratch.mark
    let gParameters = try parameters.newGradient(adjoint)
    for r in 0..<stride {
      let (u, w) = (tape.parameters.values + r, tape.parameters.values + dim * stride + r)
      let b = tape.parameters.values[2 * dim * stride + r]
      let (x, g) = (tape.x + r, adjoint.g + r)
      let direction = PlanarDirection(wu: dot(w, u, dim, stride), ww: dot(w, w, dim, stride))
      let (c, k) = (direction.c, direction.k)
      let point = PlanarPoint(dot(w, x, dim, stride) + Double(b), direction)
      let (t, h, slope) = (point.tanh, point.h, point.slope)
      // dL/dl, and dl/da = -2 c t h / slope.
      let gLog = (inverse ? -1 : 1) * Double(adjoint.gLogDet[r])
      let logPart = -2 * c * t * h / slope * gLog
      let (gu, gw) = (dot(g, u, dim, stride), dot(g, w, dim, stride))
      var (gv, gAlongW) = (gu + k * gw, gw)
      // dL/dy = sign * g + along * w
      var (sign, along) = (1.0, 0.0)
      if inverse {
        // J^-T p = p - h w (v.p) / slope for p = g + logPart w.
        let vp = gv + logPart * c
        sign = -1
        along = h * vp / slope - logPart
        gv = -gv + along * c
        gAlongW = -gAlongW + along * direction.ww
      }
      let gA = gv * h + logPart
      let gK = t * gAlongW
      let gC = gLog * h / slope
      let gWU = gC * direction.cSlope + gK * direction.kSlope
      let gWW = -gK * direction.kPerWW
      for i in 0..<dim {
        let at = i * stride
        let (ui, wi) = (Double(u[at]), Double(w[at]))
        let gY = sign * Double(g[at]) + along * wi
        gParameters[at + r] = S(t * gY + gWU * wi)
        gParameters[dim * stride + at + r] = S(gA * Double(x[at]) + k * t * gY + gWU * ui + 2 * gWW * wi)
        g[at] = S(inverse ? -gY : gY + gA * wi)
      }
      gParameters[2 * dim * stride + r] = S(gA)
    }
    try parameters.pullback(adjoint, tape.parameters, gParameters)
    scratch.release(to: mark)
  }
}

/// The sum over i of a_i b_i for one row of two tiles.
@inline(__always)
private func dot<S: Scalar>(_ a: UnsafePointer<S>, _ b: UnsafePointer<S>, _ dim: Int, _ stride: Int) -> Double {
  var sum = 0.0
  for i in 0..<dim { sum += Double(a[i * stride]) * Double(b[i * stride]) }
  return sum
}

/// What v = u + k w is made of, and c = w.v.
private struct PlanarDirection {
  let ww: Double
  let k: Double
  let c: Double
  /// 1 + c, which keeps its precision where c is near -1.
  let onePlusC: Double
  /// dc/d(w.u), dk/d(w.u) and k / |w|^2.
  let cSlope: Double
  let kSlope: Double
  let kPerWW: Double

  init(wu: Double, ww: Double) {
    self.ww = ww
    if ww > 0 {
      onePlusC = softplus(wu)
      c = onePlusC - 1
      k = (softplus(-wu) - 1) / ww
      cSlope = sigmoid(wu)
      kSlope = -sigmoid(-wu) / ww
      kPerWW = k / ww
    } else {
      // Without a direction all rows move alike; or ww is NaN.
      onePlusC = 1 + ww
      c = ww
      k = ww
      (cSlope, kSlope, kPerWW) = (0, 0, 0)
    }
  }

  /// The a with a + c tanh(a) = s: an odd, increasing function.
  func solve(_ s: Double) -> Double {
    let target = abs(s)
    guard target > 0, target.isFinite, c.isFinite else { return target > 0 ? s : s + c * 0 }
    // tanh(a) is between 0 and a and below 1; and for a < 1, a - tanh(a) is above a^3 / 5. For c < 0 the function is
    // convex on the right and Newton's method comes down from the right; else it is concave, and it comes up from the
    // left. Where rounding stops that, all is done that can be.
    var a: Double
    if c < 0 {
      a = min(target - c, target / onePlusC)
      if target < 0.2 { a = min(a, cbrt(5 * target / -c)) }
    } else {
      a = max(target / onePlusC, target - c)
    }
    for _ in 0..<200 {
      let point = PlanarPoint(a, self)
      let next = a - (a + c * point.tanh - target) / point.slope
      if !(c < 0 ? next < a : next > a) { break }
      a = next
    }
    return copysign(a, s)
  }
}

/// At a = w.x + b.
private struct PlanarPoint {
  let tanh: Double
  /// 1 - tanh^2
  let h: Double
  /// The determinant 1 + c h, as a sum that does not cancel.
  let slope: Double
  let logSlope: Double

  init(_ a: Double, _ direction: PlanarDirection) {
    let e = exp(-2 * abs(a))
    let positive = -expm1(-2 * abs(a)) / (1 + e)
    tanh = copysign(positive, a)
    h = 4 * e / ((1 + e) * (1 + e))
    slope = positive * positive + direction.onePlusC * h
    let excess = direction.c * h
    logSlope = excess > -0.5 ? log1p(excess) : log(slope)
  }
}
