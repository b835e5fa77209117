import Glibc
import KernelInterface

/// An invertible map of one number, with raw parameters that a network gives (the "transformer" of a coupling or an
/// autoregressive layer). Works on `count` numbers at once; parameter j of number i is at p[j * count + i].
enum ElementMap: Equatable, Sendable, BitwiseCopyable {
  /// y = s(a) x + t with parameters a, t; additive: y = x + t with the parameter t; gated: y = s(a) x + (1 - s(a)) t.
  case affine(ScaleRule)
  /// A monotone rational-quadratic spline: neural spline flows, Durkan, Bekasov, Murray and Papamakarios 2019; periodic,
  /// Rezende et al. 2020.
  case spline(SplineRule)
  /// The CDF of a mixture: the triangular transport of autoregressive models with mixtures as conditionals.
  case mixture(MixtureRule)

  var parameterCount: Int {
    switch self {
    case .affine(let rule): rule.kind == .additive ? 1 : 2
    case .spline(let rule): rule.parameterCount
    case .mixture(let rule): rule.parameterCount
    }
  }

  /// What the parameters begin with: the biases of the last layer of the network. None: zeros.
  var initialParameters: [Double] {
    switch self {
    case .affine(let rule): rule.initialParameters
    case .spline: []
    case .mixture(let rule): rule.initialParameters
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
    case .mixture(let rule): S.kernels.mixture(rule, count, x, p, y, logs)
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
    case .mixture(let rule): S.kernels.mixtureInverse(rule, count, y, p, x, logs)
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
    case .affine(let rule) where rule.kind == .gated:
      rule.gatedPullback(count, x, p, shift(p, count), g, gp, shift(gp, count))
    case .affine(let rule):
      let gShift = shift(gp, count)
      gShift.update(from: g, count: count)
      if rule.kind != .additive { S.kernels.affinePullback(rule, count, x, p, logs, g, gp) }
    case .spline(let rule): S.kernels.splinePullback(rule, count, x, p, g, gp)
    case .mixture(let rule): S.kernels.mixturePullback(rule, count, x, p, g, gp)
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
    case .affine(let rule) where rule.kind == .gated:
      rule.gatedInversePullback(count, x, p, shift(p, count), g, gp, shift(gp, count))
    case .affine(let rule):
      if rule.kind != .additive { S.kernels.affineInversePullback(rule, count, x, p, logs, g, gp) }
      let gShift = shift(gp, count)
      for i in 0..<count { gShift[i] = -g[i] }
    case .spline(let rule): S.kernels.splineInversePullback(rule, count, x, p, g, gp)
    case .mixture(let rule): S.kernels.mixtureInversePullback(rule, count, x, p, g, gp)
    }
  }

  @inline(__always)
  private func shift<P: Strideable>(_ p: P, _ count: P.Stride) -> P {
    p.advanced(by: parameterCount == 1 ? 0 : count)
  }
}

extension ElementMap {
  init(_ record: Record) throws(DiffeoError) {
    switch record["transformer"] == nil ? "affine" : try record.string("transformer") {
    case "affine": self = .affine(try ScaleRule(record))
    case SplineRule.transformer: self = .spline(try SplineRule(record))
    case MixtureRule.transformer: self = .mixture(try MixtureRule(record))
    case let name: throw DiffeoError(.format, "the transformer '\(name)' is not known")
    }
  }

  func describe(_ record: inout Record) {
    switch self {
    case .affine(let rule): rule.describe(&record)
    case .spline(let rule): rule.describe(&record)
    case .mixture(let rule): rule.describe(&record)
    }
  }

  var limitsSupport: Bool {
    switch self {
    case .affine: false
    case .spline(let rule): rule.boundary == .interval
    // Of its inverse.
    case .mixture(let rule): rule.target == .uniform
    }
  }

  var summary: String {
    switch self {
    case .affine(let rule): rule.summary
    case .spline(let rule): rule.summary
    case .mixture(let rule): rule.summary
    }
  }
}

/// Choices by the names that they have in records.
struct Names<Choice: Equatable & Sendable>: Sendable {
  let list: [(choice: Choice, name: String)]
  init(_ list: [(choice: Choice, name: String)]) { self.list = list }

  func name(_ choice: Choice) -> String { list.first { $0.choice == choice }?.name ?? "?" }

  func choice(_ record: Record, _ field: String) throws(DiffeoError) -> Choice {
    let name = try record.string(field)
    guard let match = list.first(where: { $0.name == name }) else {
      throw DiffeoError(.format, "the \(field) '\(name)' is not known")
    }
    return match.choice
  }
}
