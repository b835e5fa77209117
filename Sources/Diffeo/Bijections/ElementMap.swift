import Glibc
import KernelInterface

/// An invertible map of one number, with raw parameters that a network gives (the "transformer" of a coupling or an
/// autoregressive layer). Works on `count` numbers at once; parameter j of number i is at p[j * count + i].
enum ElementMap: Equatable, Sendable, BitwiseCopyable {
  /// y = s(a) x + t with parameters a, t; additive: y = x + t with the parameter t.
  case affine(ScaleRule)
  /// The CDF of a mixture of normal or logistic densities; parameters: logits, means, raw log-scales.
  case mixture(MixtureRule)

  var parameterCount: Int {
    switch self {
    case .affine(let rule): rule.kind == .additive ? 1 : 2
    case .mixture(let rule): 3 * rule.components
    }
  }

  /// What the parameters begin with: the biases of the last layer of the network.
  var initialParameters: [Double] {
    switch self {
    case .affine: [Double](repeating: 0, count: parameterCount)
    case .mixture(let rule): rule.initialParameters
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
    case .mixture(let rule): S.kernels.mixture(rule, count, x, p, y, logs)
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
    case .affine(let rule):
      let gShift = shift(gp, count)
      gShift.update(from: g, count: count)
      if rule.kind != .additive { S.kernels.affinePullback(rule, count, x, p, logs, g, gp) }
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
    case .affine(let rule):
      if rule.kind != .additive { S.kernels.affineInversePullback(rule, count, x, p, logs, g, gp) }
      let gShift = shift(gp, count)
      for i in 0..<count { gShift[i] = -g[i] }
    case .mixture(let rule): S.kernels.mixtureInversePullback(rule, count, x, p, g, gp)
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
  private static let mixtureName = "mixture_cdf"
  private static let familyNames: [(MixtureRule.Family, String)] = [
    (.normal, "normal"), (.logistic, "logistic"),
  ]
  private static let targetNames: [(MixtureRule.Target, String)] = [
    (.uniform, "uniform"), (.logistic, "logistic"),
  ]

  init(_ record: Record) throws(DiffeoError) {
    switch record["transformer"] == nil ? "affine" : try record.string("transformer") {
    case "affine":
      self = try .affine(
        ElementMap.choice(record, "scale", ElementMap.ruleNames),
        bound: record.double("scale_bound"), epsilon: record.double("scale_epsilon"))
    case ElementMap.mixtureName:
      self = try .mixture(
        components: record.int("components"),
        family: ElementMap.choice(record, "family", ElementMap.familyNames),
        target: ElementMap.choice(record, "target", ElementMap.targetNames),
        bound: record.double("scale_bound"))
    case let name: throw DiffeoError(.format, "the transformer '\(name)' is not known")
    }
  }

  private static func choice<T>(
    _ record: Record, _ field: String, _ names: [(T, String)]
  ) throws(DiffeoError) -> T {
    let name = try record.string(field)
    guard let match = names.first(where: { $0.1 == name })?.0 else {
      throw DiffeoError(.format, "the \(field) '\(name)' is not known")
    }
    return match
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

  static func mixture(
    components: Int, family: MixtureRule.Family, target: MixtureRule.Target, bound: Double
  ) throws(DiffeoError) -> ElementMap {
    guard components >= 1, components <= MixtureRule.maxComponents else {
      throw DiffeoError(
        .invalid, "components is \(components), it must be 1 to \(MixtureRule.maxComponents)")
    }
    // The lower limit so that its reciprocal is finite in single precision.
    guard bound >= 1e-3, bound <= 20 else {
      throw DiffeoError(.invalid, "scale_bound is \(bound), for mixtures it must be 0.001 to 20")
    }
    return .mixture(
      MixtureRule(components: components, family: family, target: target, bound: bound))
  }

  func describe(_ record: inout Record) {
    switch self {
    case .affine(let rule):
      record["scale"] = .string(ElementMap.name(rule.kind, ElementMap.ruleNames))
      record["scale_bound"] = .double(rule.bound)
      record["scale_epsilon"] = .double(rule.epsilon)
    case .mixture(let rule):
      record["transformer"] = .string(ElementMap.mixtureName)
      record["components"] = .int(rule.components)
      record["family"] = .string(ElementMap.name(rule.family, ElementMap.familyNames))
      record["target"] = .string(ElementMap.name(rule.target, ElementMap.targetNames))
      record["scale_bound"] = .double(rule.bound)
    }
  }

  private static func name<T: Equatable>(_ value: T, _ names: [(T, String)]) -> String {
    names.first { $0.0 == value }?.1 ?? "?"
  }

  /// A few words for people.
  var summary: String {
    switch self {
    case .affine(let rule): "\(ElementMap.name(rule.kind, ElementMap.ruleNames)) scale"
    case .mixture(let rule):
      "CDF of \(rule.components) \(ElementMap.name(rule.family, ElementMap.familyNames)) to "
        + ElementMap.name(rule.target, ElementMap.targetNames)
    }
  }
}

extension MixtureRule {
  /// Identical components would stay identical: means begin at the quantiles of the standard normal distribution (or of
  /// the logistic one of unit variance), scales are such that the mixture has unit variance.
  fileprivate var initialParameters: [Double] {
    let unit = family == .normal ? 1 : 3.0.squareRoot() / Double.pi
    let means = (0..<components).map { k in
      unit * quantile((Double(k) + 0.5) / Double(components))
    }
    let rest = 1 - means.reduce(0) { $0 + $1 * $1 } / Double(components)
    let logScale = log(unit * rest.squareRoot())
    // Not nearer to the bound than it can be trained away from.
    let clipped = min(max(logScale, -0.75 * bound), 0.75 * bound)
    let raw = clipped / (1 - abs(clipped) / bound)
    return [Double](repeating: 0, count: components) + means
      + [Double](repeating: raw, count: components)
  }

  private func quantile(_ p: Double) -> Double {
    switch family {
    case .logistic: return log(p / (1 - p))
    case .normal:
      var (low, high) = (-10.0, 10.0)
      for _ in 0..<60 {
        let middle = 0.5 * (low + high)
        if 0.5 * erfc(-middle / 2.0.squareRoot()) < p { low = middle } else { high = middle }
      }
      return 0.5 * (low + high)
    }
  }
}
