import CLibrary
import KernelInterface

/// The CDF of a mixture as a map of one number: the triangular transport of autoregressive models with mixtures as
/// conditionals. Checks, and its words in records. The formulas are those of the kernels.
extension MixtureRule: MapRule {
  static let name = "mixture_cdf"
  static let number: Int32 = 3
  private static let families = Names([(.normal, "normal"), (.logistic, "logistic")] as [(Family, String)])
  private static let targets = Names([(.uniform, "uniform"), (.logistic, "logistic")] as [(Target, String)])

  /// What goes without saying.
  package static let standard = MixtureRule(
    components: Architecture.defaultComponents, family: .normal, target: .logistic, bound: 7)

  func checked() throws(DiffeoError) -> MixtureRule {
    try Limit.check("mixture.components", components)
    try Limit.check("mixture.scale_bound", bound)
    return self
  }

  init(_ options: MapOptions) throws(DiffeoError) { self = try (options.mixture ?? .standard).checked() }

  init(_ record: Record) throws(DiffeoError) {
    self = try MixtureRule(
      components: record.int("components"), family: MixtureRule.families.choice(record, "family"),
      target: MixtureRule.targets.choice(record, "target"), bound: record.double("scale_bound")
    ).checked()
  }

  func describe(_ record: inout Record) {
    record["components"] = .int(components)
    record["family"] = .string(MixtureRule.families.name(family))
    record["target"] = .string(MixtureRule.targets.name(target))
    record["scale_bound"] = .double(bound)
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

  func preimage(of y: Interval) -> Interval? { reached.contains(y) ? .line : nil }
  func image(of x: Interval) -> Interval? { reached }
  private var reached: Interval { target == .uniform ? Interval(0, 1) : .line }

  var kernels32: MapKernels<Float> { Float.kernels.mixture }
  var kernels64: MapKernels<Double> { Double.kernels.mixture }
}

extension MapOptions {
  package static func mixture(
    components: Int, family: MixtureRule.Family, target: MixtureRule.Target,
    bound: Double = MixtureRule.standard.bound
  ) -> MapOptions {
    var options = MapOptions(MixtureRule.self)
    options.mixture = MixtureRule(components: components, family: family, target: target, bound: bound)
    return options
  }
}
