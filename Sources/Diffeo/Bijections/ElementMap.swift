import Glibc
import KernelInterface

/// An invertible map of one number, with raw parameters that a network gives (the "transformer" of a coupling or an
/// autoregressive layer). Works on `count` numbers at once; parameter j of number i is at p[j * count + i].
enum ElementMap: Equatable, Sendable, BitwiseCopyable {
  /// y = s(a) x + t with parameters a, t; additive: y = x + t with the parameter t.
  case affine(ScaleRule)
  /// A monotone rational-quadratic spline: neural spline flows, Durkan, Bekasov, Murray and Papamakarios 2019; periodic,
  /// Rezende et al. 2020.
  case spline(SplineRule)

  var parameterCount: Int {
    switch self {
    case .affine(let rule): rule.kind == .additive ? 1 : 2
    case .spline(let rule): rule.parameterCount
    }
  }

  /// y, and in `logs` log dy/dx. Leaves in p what the pullback wants there; so does `inverse`.
  @inline(__always)
  func forward<S: Scalar>(
    _ count: Int, _ x: UnsafePointer<S>, _ p: UnsafeMutablePointer<S>, _ y: UnsafeMutablePointer<S>,
    _ logs: UnsafeMutablePointer<S>
  ) {
    switch self {
    case .affine(let rule): S.kernels.affine(rule, count, x, p, shift(p, count), y, logs)
    case .spline(let rule): S.kernels.spline(rule, count, x, p, y, logs)
    }
  }

  /// x, and in `logs` log dy/dx (not dx/dy).
  @inline(__always)
  func inverse<S: Scalar>(
    _ count: Int, _ y: UnsafePointer<S>, _ p: UnsafeMutablePointer<S>, _ x: UnsafeMutablePointer<S>,
    _ logs: UnsafeMutablePointer<S>
  ) {
    switch self {
    case .affine(let rule): S.kernels.affineInverse(rule, count, y, p, shift(p, count), x, logs)
    case .spline(let rule): S.kernels.splineInverse(rule, count, y, p, x, logs)
    }
  }

  /// g: dL/dy in, dL/dx out. gp: its first `count` values dL/dlogs in, all of them dL/dp out.
  @inline(__always)
  func pullback<S: Scalar>(
    _ count: Int, _ x: UnsafePointer<S>, _ p: UnsafePointer<S>, _ logs: UnsafePointer<S>,
    _ g: UnsafeMutablePointer<S>,
    _ gp: UnsafeMutablePointer<S>
  ) {
    switch self {
    case .affine(let rule):
      let gShift = shift(gp, count)
      gShift.update(from: g, count: count)
      if rule.kind != .additive { S.kernels.affinePullback(rule, count, x, p, logs, g, gp) }
    case .spline(let rule): S.kernels.splinePullback(rule, count, x, p, g, gp)
    }
  }

  /// Of `inverse`, whose result was x. g: dL/dx in, dL/dy out. gp as above.
  @inline(__always)
  func inversePullback<S: Scalar>(
    _ count: Int, _ x: UnsafePointer<S>, _ p: UnsafePointer<S>, _ logs: UnsafePointer<S>,
    _ g: UnsafeMutablePointer<S>,
    _ gp: UnsafeMutablePointer<S>
  ) {
    switch self {
    case .affine(let rule):
      if rule.kind != .additive { S.kernels.affineInversePullback(rule, count, x, p, logs, g, gp) }
      let gShift = shift(gp, count)
      for i in 0..<count { gShift[i] = -g[i] }
    case .spline(let rule): S.kernels.splineInversePullback(rule, count, x, p, g, gp)
    }
  }

  @inline(__always)
  private func shift<P: Strideable>(_ p: P, _ count: P.Stride) -> P {
    p.advanced(by: parameterCount == 1 ? 0 : count)
  }
}

extension ElementMap {
  private static let ruleNames: [(ScaleRule.Kind, String)] = [
    (.softClip, "soft_clip"), (.exp, "exp"), (.tanh, "tanh"), (.softplus, "softplus"),
    (.sigmoid, "sigmoid"),
    (.additive, "additive"),
  ]

  init(_ record: Record) throws(DiffeoError) {
    let transformer = record["transformer"] == nil ? "affine" : try record.string("transformer")
    switch transformer {
    case "affine": self = try ElementMap.affine(record)
    case "rational_quadratic": self = try ElementMap.spline(record)
    default: throw DiffeoError(.format, "the transformer '\(transformer)' is not known")
    }
  }

  private static func affine(_ record: Record) throws(DiffeoError) -> ElementMap {
    let name = try record.string("scale")
    guard let kind = ElementMap.ruleNames.first(where: { $0.1 == name })?.0 else {
      throw DiffeoError(.format, "the scale '\(name)' is not known")
    }
    return try .affine(
      kind, bound: record.double("scale_bound"), epsilon: record.double("scale_epsilon"))
  }

  static func affine(_ kind: ScaleRule.Kind, bound: Double, epsilon: Double) throws(DiffeoError)
    -> ElementMap
  {
    guard bound > 0, bound <= 80 else {
      throw DiffeoError(.invalid, "scale_bound is \(bound), it must be above 0 and at most 80")
    }
    guard epsilon >= 0, epsilon < 1 else {
      throw DiffeoError(.invalid, "scale_epsilon is \(epsilon), it must be 0 or more and below 1")
    }
    return .affine(
      ScaleRule(kind: kind, bound: bound, epsilon: epsilon, offset: log(expm1(1 - epsilon))))
  }

  private static let boundaryNames: [(SplineRule.Boundary, String)] = [
    (.linear, "linear"), (.periodic, "periodic"), (.interval, "interval"),
  ]

  private static func spline(_ record: Record) throws(DiffeoError) -> ElementMap {
    let name = try record.string("boundary")
    guard let boundary = boundaryNames.first(where: { $0.1 == name })?.0 else {
      throw DiffeoError(.format, "the boundary '\(name)' is not known")
    }
    func minimum(_ name: String) throws(DiffeoError) -> Double {
      record[name] == nil ? defaultSplineMinimum : try record.double(name)
    }
    return try .spline(
      bins: record.int("bins"), low: record.double("low"), high: record.double("high"), boundary: boundary,
      minWidth: minimum("min_width"), minHeight: minimum("min_height"), minDerivative: minimum("min_derivative"))
  }

  static let maxBins = 64
  static let defaultSplineMinimum = 1e-3

  static func spline(
    bins: Int, low: Double, high: Double, boundary: SplineRule.Boundary, minWidth: Double, minHeight: Double,
    minDerivative: Double
  ) throws(DiffeoError) -> ElementMap {
    guard 2...maxBins ~= bins else {
      throw DiffeoError(.invalid, "a spline of \(bins) bins was asked for, it must be 2 to \(maxBins)")
    }
    // Knots must stay apart in float32.
    guard abs(low) <= 1e6, abs(high) <= 1e6, high - low >= 1e-3 * max(abs(low), abs(high)), high - low >= 1e-6 else {
      throw DiffeoError(
        .invalid,
        "the spline's box is \(low) to \(high): it must be within -1e6 to 1e6, low below high, and its width 1e-6 at "
          + "least and a thousandth of the larger end")
    }
    for (name, minimum) in [("min_width", minWidth), ("min_height", minHeight)]
    where !(minimum >= 1e-6 && minimum * Double(bins) < 1) {
      throw DiffeoError(
        .invalid, "\(name) is \(minimum), with \(bins) bins it must be at least 1e-6 and below \(1 / Double(bins))")
    }
    guard minDerivative >= 1e-6, minDerivative < 1 else {
      throw DiffeoError(.invalid, "min_derivative is \(minDerivative), it must be at least 1e-6 and below 1")
    }
    return .spline(
      SplineRule(
        bins: bins, low: low, high: high, boundary: boundary, minWidth: minWidth, minHeight: minHeight,
        minDerivative: minDerivative, offset: log(expm1(1 - minDerivative))))
  }

  func describe(_ record: inout Record) {
    switch self {
    case .affine(let rule):
      record["transformer"] = .string("affine")
      record["scale"] = .string(name)
      record["scale_bound"] = .double(rule.bound)
      record["scale_epsilon"] = .double(rule.epsilon)
    case .spline(let rule):
      record["transformer"] = .string("rational_quadratic")
      record["bins"] = .int(rule.bins)
      record["low"] = .double(rule.low)
      record["high"] = .double(rule.high)
      record["boundary"] = .string(name)
      record["min_width"] = .double(rule.minWidth)
      record["min_height"] = .double(rule.minHeight)
      record["min_derivative"] = .double(rule.minDerivative)
    }
  }

  private var name: String {
    switch self {
    case .affine(let rule): ElementMap.ruleNames.first { $0.0 == rule.kind }?.1 ?? "?"
    case .spline(let rule): ElementMap.boundaryNames.first { $0.0 == rule.boundary }?.1 ?? "?"
    }
  }

  var summary: String {
    switch self {
    case .affine: "\(name) scale"
    case .spline(let rule): "\(name) spline of \(rule.bins) bins on [\(rule.low), \(rule.high)]"
    }
  }
}
