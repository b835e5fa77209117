import CLibrary
import KernelInterface

/// The CDF of a mixture as a map of one number: the triangular transport of autoregressive models with mixtures as
/// conditionals. Checks, and its words in records. The formulas are those of the kernels.
extension MixtureRule: MapRule {
  static let name = "mixture_cdf"
  static let number: Int32 = 3
  private static let families = Names([(.normal, "normal"), (.logistic, "logistic")] as [(Family, String)])
  private static let targets = Names([(.uniform, "uniform"), (.logistic, "logistic")] as [(Target, String)])
  private static let scales = Names([(.softClip, "soft_clip"), (.softplus, "softplus")] as [(Scale, String)])

  /// What goes without saying.
  package static let standard = MixtureRule(
    components: Architecture.defaultComponents, family: .normal, target: .logistic, bound: 7)

  /// The rule, with the number that follows from those given.
  func checked() throws(DiffeoError) -> MixtureRule {
    try Limit.check("mixture.components", components)
    try Limit.check("mixture.scale_bound", bound)
    try Limit.check("mixture.scale_epsilon", epsilon)
    var rule = self
    rule.offset = log(expm1(1 - epsilon))
    return rule
  }

  init(_ options: MapOptions) throws(DiffeoError) { self = try (options.mixture ?? .standard).checked() }

  init(_ record: Record) throws(DiffeoError) {
    var rule = try MixtureRule(
      components: record.int("components"), family: MixtureRule.families.choice(record, "family"),
      target: MixtureRule.targets.choice(record, "target"), bound: MixtureRule.standard.bound)
    try rule.readScale(record)
    self = try rule.checked()
  }

  func describe(_ record: inout Record) {
    record["components"] = .int(components)
    record["family"] = .string(MixtureRule.families.name(family))
    record["target"] = .string(MixtureRule.targets.name(target))
    describeScale(&record)
  }

  // Of the components' scales, in the records of MADE, too.

  mutating func readScale(_ record: Record) throws(DiffeoError) {
    bound = try record.double("scale_bound")
    if record["scale"] != nil { scale = try MixtureRule.scales.choice(record, "scale") }
    if scale == .softplus { epsilon = try record.double("scale_epsilon") }
  }

  func describeScale(_ record: inout Record) {
    record["scale_bound"] = .double(bound)
    // What goes without saying is not said, so that older libraries read it.
    if scale == .softplus {
      record["scale"] = .string(MixtureRule.scales.name(scale))
      record["scale_epsilon"] = .double(epsilon)
    }
  }

  var summary: String {
    "CDF of \(components) \(MixtureRule.families.name(family)) to \(MixtureRule.targets.name(target))"
  }

  var parameterCount: Int { 3 * components }

  /// Identical components would stay identical: means begin at the quantiles of the standard normal distribution (or of
  /// the logistic one of unit variance), scales are such that the mixture has unit variance.
  var initialParameters: [Double] {
    let unit = family == .normal ? 1 : 3.0.squareRoot() / Double.pi
    let means = (0..<components).map { k in
      unit * quantile((Double(k) + 0.5) / Double(components))
    }
    let rest = 1 - means.reduce(0) { $0 + $1 * $1 } / Double(components)
    return [Double](repeating: 0, count: components) + means
      + [Double](repeating: parameter(ofScale: unit * rest.squareRoot()), count: components)
  }

  /// Not nearer to an end than it can be trained away from.
  private func parameter(ofScale s: Double) -> Double {
    switch scale {
    case .softClip:
      let clipped = min(max(log(s), -0.75 * bound), 0.75 * bound)
      return clipped / (1 - abs(clipped) / bound)
    case .softplus: return log(expm1(max(s - epsilon, 0.1 * s))) - offset
    }
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

  func preimage(of y: Interval) -> Interval? { reached.contains(y) ? .line : nil }
  func image(of x: Interval) -> Interval? { reached }
  private var reached: Interval { target == .uniform ? Interval(0, 1) : .line }

  var kernels32: MapKernels<Float> { Float.kernels.mixture }
  var kernels64: MapKernels<Double> { Double.kernels.mixture }
}

extension MapOptions {
  package static func mixture(
    components: Int, family: MixtureRule.Family, target: MixtureRule.Target,
    bound: Double = MixtureRule.standard.bound, _ change: (inout MixtureRule) -> Void = { _ in }
  ) -> MapOptions {
    var rule = MixtureRule(components: components, family: family, target: target, bound: bound)
    change(&rule)
    var options = MapOptions(MixtureRule.self)
    options.mixture = rule
    return options
  }
}
