import CLibrary
import KernelInterface

/// Away from a centre or towards it: z = x + beta (x - x0) / (alpha + r) with r = |x - x0|, alpha = softplus(raw alpha)
/// and beta = softplus(raw beta) - alpha > -alpha, so that the map can be inverted. Rezende and Mohamed 2015, appendix
/// A.2. x0 and the raw numbers are trained, or functions of the context. The inverse is the root of a square.
struct RadialSpec: BijectionSpec {
  static let kind = "radial"
  typealias F32 = Radial<Float>
  typealias F64 = Radial<Double>

  let dim: Int
  let parameters: ContextualParametersSpec

  private static func vectors(_ dim: Int) -> [ContextualParametersSpec.Vector] {
    [.init(name: "x0", shape: [dim]), .init(name: "alpha", shape: [1]), .init(name: "beta", shape: [1])]
  }

  init(dim: Int, contextDim: Int, conditioner: NetworkConventions?) throws(DiffeoError) {
    self.dim = dim
    parameters = try .init(
      RadialSpec.vectors(dim), contextDim: contextDim, conditioner: conditioner)
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    self.dim = dim
    parameters = try .init(
      RadialSpec.vectors(dim), contextDim: contextDim,
      conditioner: ContextualParametersSpec.conditioner(record))
  }

  var record: Record {
    var record = Record(kind: RadialSpec.kind)
    parameters.describe(&record)
    return record
  }

  var slots: [ParameterSlot] { parameters.slots }

  /// A random centre, alpha 1, and beta nearly 0.
  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    let softplusIsOne = log(expm1(1.0))
    let x0 = (0..<dim).map { _ in random.normal() }
    self.parameters.initialise(
      parameters, &random, values: x0 + [softplusIsOne, softplusIsOne + 0.01 * random.normal()])
  }

  var summary: String { "about a centre" + (parameters.network == nil ? "" : ", " + parameters.summary) }
}

struct Radial<S: Scalar>: Bijection {
  private let dim: Int
  private let parameters: ContextualParameters<S>

  init(_ spec: RadialSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
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
        let centre = tape.values + r
        let shape = RadialShape(
          rawAlpha: Double(tape.values[dim * stride + r]), rawBeta: Double(tape.values[(dim + 1) * stride + r]))
        let radius = distance(x + r, centre, stride)
        let point = RadialPoint(inverse ? shape.solve(radius) : radius, shape)
        let factor = inverse ? -point.excess / point.scale : point.excess
        for i in 0..<dim {
          let value = Double(x[i * stride + r])
          y[i * stride + r] = S(value + factor * (value - Double(centre[i * stride])))
        }
        let log = Double(dim - 1) * point.logScale + point.logSlope
        logDet[r] += inverse ? -log : log
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

  /// With s the scale, v = x - x0 and J = s + (ds/dr) v v^T / r; for the inverse as in Planar.
  private func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape, inverse: Bool) throws(DiffeoError) {
    let (stride, scratch) = (adjoint.stride, adjoint.scratch)
    let mark = scratch.mark
    let gParameters = try parameters.newGradient(adjoint)
    for r in 0..<stride {
      let centre = tape.parameters.values + r
      let (rawAlpha, rawBeta) = (
        Double(tape.parameters.values[dim * stride + r]), Double(tape.parameters.values[(dim + 1) * stride + r])
      )
      let (x, g) = (tape.x + r, adjoint.g + r)
      let shape = RadialShape(rawAlpha: rawAlpha, rawBeta: rawBeta)
      let point = RadialPoint(distance(x, centre, stride), shape)
      let (radius, s) = (point.radius, point.scale)
      // At the centre itself all directions are alike.
      let perRadius = radius > 0 ? 1 / radius : 0
      var gv = 0.0
      for i in 0..<dim {
        gv += Double(g[i * stride]) * (Double(x[i * stride]) - Double(centre[i * stride]))
      }
      let gLog = (inverse ? -1 : 1) * Double(adjoint.gLogDet[r])
      let others = Double(dim - 1)
      let logPart = gLog * (others * point.scaleByRadius / s + point.logSlopeByRadius)
      // dL/dy = own * g + along * v
      var (own, along) = (1.0, 0.0)
      if inverse {
        // J^-1 p = p / s - ds/dr v (v.p) / (r s slope) for p = g + logPart v / r.
        let vp = gv + logPart * radius
        own = -1 / s
        along = -perRadius * (logPart / s - point.scaleByRadius * vp / (s * point.slope))
        gv = own * gv + along * radius * radius
      }
      let gScale = gv + gLog * others / s
      let gRadius = (gv * point.scaleByRadius + logPart) * perRadius
      for i in 0..<dim {
        let at = i * stride
        let v = Double(x[at]) - Double(centre[at])
        let gY = own * Double(g[at]) + along * v
        let gX = s * gY + gRadius * v
        gParameters[at + r] = S(gY - gX)
        g[at] = S(inverse ? -gY : gX)
      }
      gParameters[dim * stride + r] = S(
        sigmoid(rawAlpha) * (gLog * point.logSlopeByAlpha - gScale * s / point.reach))
      gParameters[(dim + 1) * stride + r] = S(
        sigmoid(rawBeta) * (gLog * point.logSlopeBySum + gScale / point.reach))
    }
    try parameters.pullback(adjoint, tape.parameters, gParameters)
    scratch.release(to: mark)
  }

  @inline(__always)
  private func distance(_ a: UnsafePointer<S>, _ b: UnsafePointer<S>, _ stride: Int) -> Double {
    var squares = 0.0
    for i in 0..<dim {
      let difference = Double(a[i * stride]) - Double(b[i * stride])
      squares += difference * difference
    }
    return squares.squareRoot()
  }
}

private struct RadialShape {
  let alpha: Double
  /// alpha + beta
  let sum: Double

  init(rawAlpha: Double, rawBeta: Double) {
    alpha = softplus(rawAlpha)
    sum = softplus(rawBeta)
  }

  /// The r with r (r + alpha + beta) / (r + alpha) = radius, by the formula that does not cancel.
  func solve(_ radius: Double) -> Double {
    let b = radius - sum
    let root = (b * b + 4 * radius * alpha).squareRoot()
    return b >= 0 ? 0.5 * (b + root) : 2 * radius * alpha / (root - b)
  }
}

/// At the distance r from the centre. All are made of sums of positive numbers.
private struct RadialPoint {
  let radius: Double
  /// r + alpha
  let reach: Double
  /// s = (r + alpha + beta) / (r + alpha), and s - 1
  let scale: Double
  let excess: Double
  let logScale: Double
  /// d(s r)/dr
  let slope: Double
  let logSlope: Double
  let scaleByRadius: Double
  let logSlopeByRadius: Double
  let logSlopeByAlpha: Double
  /// By alpha + beta.
  let logSlopeBySum: Double

  init(_ r: Double, _ shape: RadialShape) {
    let (alpha, sum) = (shape.alpha, shape.sum)
    let beta = sum - alpha
    radius = r
    reach = r + alpha
    scale = (r + sum) / reach
    excess = beta / reach
    logScale = excess > -0.5 ? log1p(excess) : log(scale)
    let numerator = r * r + alpha * (2 * r + sum)
    slope = numerator / (reach * reach)
    let slopeExcess = excess * (alpha / reach)
    logSlope = slopeExcess > -0.5 ? log1p(slopeExcess) : log(slope)
    scaleByRadius = -excess / reach
    logSlopeByRadius = -2 * alpha * beta / (numerator * reach)
    logSlopeByAlpha = (2 * r + sum) / numerator - 2 / reach
    logSlopeBySum = alpha / numerator
  }
}
