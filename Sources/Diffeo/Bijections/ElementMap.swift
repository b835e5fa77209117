import Glibc
import KernelInterface

/// An invertible map of one number, with raw parameters that a network gives (the "transformer" of a coupling or an
/// autoregressive layer). Works on `count` numbers at once; parameter j of number i is at p[j * count + i].
enum ElementMap: Equatable, Sendable, BitwiseCopyable {
  /// y = s(a) x + t with parameters a, t; additive: y = x + t with the parameter t.
  case affine(ScaleRule)

  var parameterCount: Int {
    switch self {
    case .affine(let rule): rule.kind == .additive ? 1 : 2
    }
  }

  /// y, and in `logs` log dy/dx.
  @inline(__always)
  func forward<S: Scalar>(
    _ count: Int, _ x: UnsafePointer<S>, _ p: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>,
    _ logs: UnsafeMutablePointer<S>
  ) {
    switch self {
    case .affine(let rule): S.kernels.affine(rule, count, x, p, shift(p, count), y, logs)
    }
  }

  /// x, and in `logs` log dy/dx (not dx/dy).
  @inline(__always)
  func inverse<S: Scalar>(
    _ count: Int, _ y: UnsafePointer<S>, _ p: UnsafePointer<S>, _ x: UnsafeMutablePointer<S>,
    _ logs: UnsafeMutablePointer<S>
  ) {
    switch self {
    case .affine(let rule): S.kernels.affineInverse(rule, count, y, p, shift(p, count), x, logs)
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
    let name = try record.string("scale")
    guard let kind = ElementMap.ruleNames.first(where: { $0.1 == name })?.0 else {
      throw DiffeoError(.format, "the scale '\(name)' is not known")
    }
    self = try .affine(
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

  func describe(_ record: inout Record) {
    switch self {
    case .affine(let rule):
      record["scale"] = .string(name)
      record["scale_bound"] = .double(rule.bound)
      record["scale_epsilon"] = .double(rule.epsilon)
    }
  }

  var name: String {
    switch self {
    case .affine(let rule): ElementMap.ruleNames.first { $0.0 == rule.kind }?.1 ?? "?"
    }
  }
}
