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

  /// w random, and u so that v is nearly 0. Of a context w has the length 1: it moves with that, and where it goes through
  /// 0 v has a pole.
  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    var w = (0..<dim).map { _ in random.normal() / Double(dim).squareRoot() }
    var squares = w.reduce(0) { $0 + $1 * $1 }
    if self.parameters.network != nil {
      w = w.map { $0 / squares.squareRoot() }
      squares = 1
    }
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
    /// [stride]
    let rows: UnsafeMutablePointer<Row>
  }

  struct Row: BitwiseCopyable {
    fileprivate let direction: PlanarDirection
    fileprivate let point: PlanarPoint
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, inverse: false) }
  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, inverse: true) }

  private func run(_ pass: inout Pass<S>, inverse: Bool) throws(DiffeoError) -> Tape {
    let (stride, logDet, scratch) = (pass.stride, pass.logDet, pass.scratch)
    let mark = scratch.mark
    let tape = try parameters.evaluate(pass)
    let rows = try scratch.take(stride, of: Row.self)
    let (u, w, b) = vectors(tape, stride)
    let wx = try dots(w, pass.x, rows: stride, stride, scratch)
    // Without a context one direction serves all rows.
    let directions = parameters.areShared ? 1 : stride
    let wu = try dots(w, u, rows: directions, stride, scratch)
    let ww = try dots(w, w, rows: directions, stride, scratch)
    let step = try scratch.take(stride, of: Double.self)
    let k = try scratch.take(stride, of: Double.self)
    for r in 0..<stride {
      let direction = r < directions ? PlanarDirection(wu: wu[r], ww: ww[r]) : rows[0].direction
      let start = wx[r] + Double(b[r])
      let point = PlanarPoint(inverse ? direction.solve(start) : start, direction)
      rows[r] = Row(direction: direction, point: point)
      step[r] = inverse ? -point.tanh : point.tanh
      k[r] = direction.k
      let logSlope = point.logSlope(direction)
      logDet[r] += inverse ? -logSlope : logSlope
    }
    let before = pass.x
    try pass.replace { x, y in
      for i in 0..<dim {
        let (x, y, u, w) = (x + i * stride, y + i * stride, u + i * stride, w + i * stride)
        for r in 0..<stride { y[r] = S(Double(x[r]) + step[r] * (Double(u[r]) + k[r] * Double(w[r]))) }
      }
    }
    let x = inverse ? pass.x : before
    if !pass.recording { scratch.release(to: mark) }
    return Tape(x: x, parameters: tape, rows: rows)
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape, inverse: false)
  }
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape, inverse: true)
  }

  /// What the gradients of a row are made of: dL/dy = sign g + along w.
  private struct Parts: BitwiseCopyable {
    var along, gA, gWU, gWW, kt, t: Double
  }

  /// With f the forward map, J = 1 + h v w^T its derivative at x and l its log-determinant: the inverse has
  /// dx = J^-1 (dy - df) and the log-determinant -l. So its gradients are those of `forward` for gLog = -dL/dlogDet
  /// instead of dL/dlogDet, and for minus dL/dy = J^-T (dL/dx + gLog dl/dx) instead of dL/dy.
  private func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape, inverse: Bool) throws(DiffeoError) {
    let (stride, scratch) = (adjoint.stride, adjoint.scratch)
    let mark = scratch.mark
    let (u, w, _) = vectors(tape.parameters, stride)
    let gu = try dots(adjoint.g, u, rows: stride, stride, scratch)
    let gw = try dots(adjoint.g, w, rows: stride, stride, scratch)
    let parts = try scratch.take(stride, of: Parts.self)
    let sign = inverse ? -1.0 : 1.0
    for r in 0..<stride {
      let (direction, point) = (tape.rows[r].direction, tape.rows[r].point)
      let (c, k) = (direction.c, direction.k)
      let (t, h, slope) = (point.tanh, point.h, point.slope)
      // dL/dl, and dl/da = -2 c t h / slope.
      let gLog = (inverse ? -1 : 1) * Double(adjoint.gLogDet[r])
      let logPart = -2 * c * t * h / slope * gLog
      var (gv, gAlongW) = (gu[r] + k * gw[r], gw[r])
      var along = 0.0
      if inverse {
        // J^-T p = p - h w (v.p) / slope for p = g + logPart w.
        let vp = gv + logPart * c
        along = h * vp / slope - logPart
        gv = -gv + along * c
        gAlongW = -gAlongW + along * direction.ww
      }
      let gA = gv * h + logPart
      let gK = t * gAlongW
      let gC = gLog * h / slope
      parts[r] = Parts(
        along: along, gA: gA, gWU: gC * direction.cSlope + gK * direction.kSlope, gWW: -gK * direction.kPerWW,
        kt: k * t, t: t)
    }
    if parameters.wantGradient(adjoint) {
      let gParameters = try parameters.newGradient(adjoint)
      for i in 0..<dim {
        let at = i * stride
        for r in 0..<stride {
          let (p, ui, wi) = (parts[r], Double(u[at + r]), Double(w[at + r]))
          let gY = sign * Double(adjoint.g[at + r]) + p.along * wi
          gParameters[at + r] = S(p.t * gY + p.gWU * wi)
          gParameters[dim * stride + at + r] = S(
            p.gA * Double(tape.x[at + r]) + p.kt * gY + p.gWU * ui + 2 * p.gWW * wi)
        }
      }
      for r in 0..<stride { gParameters[2 * dim * stride + r] = S(parts[r].gA) }
      try parameters.pullback(adjoint, tape.parameters, gParameters)
    }
    for i in 0..<dim {
      let (g, w) = (adjoint.g + i * stride, w + i * stride)
      for r in 0..<stride {
        let wi = Double(w[r])
        let gY = sign * Double(g[r]) + parts[r].along * wi
        g[r] = S(inverse ? -gY : gY + parts[r].gA * wi)
      }
    }
    scratch.release(to: mark)
  }

  private func vectors(
    _ tape: ContextualParameters<S>.Tape, _ stride: Int
  ) -> (u: UnsafeMutablePointer<S>, w: UnsafeMutablePointer<S>, b: UnsafeMutablePointer<S>) {
    (tape.values, tape.values + dim * stride, tape.values + 2 * dim * stride)
  }

  /// The sum over i of a_i b_i, for the first rows of two tiles.
  private func dots(
    _ a: UnsafePointer<S>, _ b: UnsafePointer<S>, rows: Int, _ stride: Int, _ scratch: Scratch
  ) throws(DiffeoError) -> UnsafeMutablePointer<Double> {
    let sums = try scratch.take(rows, of: Double.self)
    sums.update(repeating: 0, count: rows)
    for i in 0..<dim {
      let (a, b) = (a + i * stride, b + i * stride)
      for r in 0..<rows { sums[r] += Double(a[r]) * Double(b[r]) }
    }
    return sums
  }
}

/// What v = u + k w is made of, and c = w.v.
private struct PlanarDirection: BitwiseCopyable {
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
private struct PlanarPoint: BitwiseCopyable {
  let tanh: Double
  /// 1 - tanh^2
  let h: Double
  /// The determinant 1 + c h, as a sum that does not cancel.
  let slope: Double

  init(_ a: Double, _ direction: PlanarDirection) {
    let e = exp(-2 * abs(a))
    let positive = -expm1(-2 * abs(a)) / (1 + e)
    tanh = copysign(positive, a)
    h = 4 * e / ((1 + e) * (1 + e))
    slope = positive * positive + direction.onePlusC * h
  }

  func logSlope(_ direction: PlanarDirection) -> Double {
    let excess = direction.c * h
    return excess > -0.5 ? log1p(excess) : log(slope)
  }
}
