import CLibrary
import KernelInterface

/// y = sinh(delta asinh(x) - epsilon), with parameters a, epsilon and log delta = a / (1 + |a| / bound): skewed by
/// epsilon, with heavier tails than x (delta > 1) or lighter ones. Jones and Pewsey 2009, Biometrika 96, 761.
struct SinhArcsinhRule: ScalarMap {
  static let name = "sinh_arcsinh"
  static let number: Int32 = 4

  /// Of |log delta|.
  let bound: Double

  private init(bound: Double) throws(DiffeoError) {
    try Limit.check("map.scale_bound", bound)
    self.bound = bound
  }
  init(_ options: MapOptions) throws(DiffeoError) { try self.init(bound: options.scale.bound) }
  init(_ record: Record) throws(DiffeoError) { try self.init(bound: record.double("scale_bound")) }
  func describe(_ record: inout Record) { record["scale_bound"] = .double(bound) }
  var summary: String { "sinh-arcsinh" }

  // Below u = asinh y = delta v - epsilon with v = asinh x.

  func forward(_ x: Double, _ p: SIMD2<Double>) -> (y: Double, logSlope: Double) {
    let (logDelta, v) = (clipped(p[0]).value, asinh(x))
    let u = exp(logDelta) * v - p[1]
    return (sinh(u), logSlope(logDelta, u, v))
  }

  func inverse(_ y: Double, _ p: SIMD2<Double>) -> (x: Double, logSlope: Double) {
    let (logDelta, u) = (clipped(p[0]).value, asinh(y))
    let v = (u + p[1]) / exp(logDelta)
    return (sinh(v), logSlope(logDelta, u, v))
  }

  func partials(_ x: Double, _ p: SIMD2<Double>) -> Partials<SIMD2<Double>> {
    let (logDelta, slope) = clipped(p[0])
    let (delta, v) = (exp(logDelta), asinh(x))
    let u = delta * v - p[1]
    return Partials(
      logSlope: logSlope(logDelta, u, v),
      y: cosh(u) * SIMD2(delta * v * slope, -1),
      logSlopeInX: (delta * tanh(u) - tanh(v)) / cosh(v),
      logSlopeInP: SIMD2((1 + tanh(u) * delta * v) * slope, -tanh(u)))
  }

  /// log delta, and its derivative in a.
  private func clipped(_ a: Double) -> (value: Double, slope: Double) {
    let root = bound / (bound + abs(a))
    return (a * root, root * root)
  }

  /// log delta + log cosh u - log sqrt(1 + x^2), the latter being log cosh v, which does not overflow. Where both sides
  /// are infinite any number serves: there is no density.
  private func logSlope(_ logDelta: Double, _ u: Double, _ v: Double) -> Double {
    if u.isInfinite && v.isInfinite { return logDelta }
    return logDelta + (abs(u) - abs(v)) + (log1p(exp(-2 * abs(u))) - log1p(exp(-2 * abs(v))))
  }
}
