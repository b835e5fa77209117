import CLibrary
import KernelInterface

/// The affine map of one number, with parameters a, t: y = s(a) x + t; additive: y = x + t with the parameter t; gated:
/// y = s(a) x + (1 - s(a)) t. Checks, and its words in records. The formulas are those of KernelTable and of the header.
extension ScaleRule: MapRule {
  static let name = "affine"
  static let number: Int32 = 1
  private static let names = Names(
    [
      (.softClip, "soft_clip"), (.exp, "exp"), (.tanh, "tanh"), (.softplus, "softplus"), (.sigmoid, "sigmoid"),
      (.additive, "additive"), (.gated, "gated"), (.clampedSoftplus, "clamped_softplus"),
      (.clampedExp, "clamped_exp"), (.reciprocalSigmoid, "reciprocal_sigmoid"), (.atan, "atan"),
      (.skewedClip, "skewed_clip"), (.clippedSoftplus, "clipped_softplus"), (.softplusArsinh, "softplus_arsinh"),
    ] as [(Kind, String)])

  /// What goes without saying: a layer scales by 1/20 to 20. Wider, a single outlier can throw a training of many couplings
  /// far off; narrower costs nothing that was measured on the demo's data. Low and high are Pyro's and TensorFlow
  /// Probability's.
  package static let standard = ScaleRule(kind: .softClip, bound: 3, epsilon: 1e-3, offset: 0, low: -5, high: 3)

  /// The rule, with the numbers that follow from those given.
  func checked() throws(DiffeoError) -> ScaleRule {
    try Limit.check("map.scale_bound", bound)
    try Limit.check("map.scale_epsilon", epsilon)
    try Limit.check("map.log_scale_low", low)
    try Limit.check("map.log_scale_high", high)
    guard kind != .clampedSoftplus || epsilon < bound else {
      throw DiffeoError(
        .invalid, "scale_epsilon and scale_bound are \(epsilon) and \(bound): no scale is between them")
    }
    guard low < high else {
      throw DiffeoError(
        .invalid, "log_scale_low and log_scale_high are \(low) and \(high): the first must be below the second")
    }
    var rule = self
    rule.offset = log(expm1(1 - epsilon))
    return rule
  }

  init(_ options: MapOptions) throws(DiffeoError) { self = try options.scale.checked() }

  init(_ record: Record) throws(DiffeoError) {
    var rule = ScaleRule.standard
    rule.kind = try ScaleRule.names.choice(record, "scale")
    rule.bound = try record.double("scale_bound")
    rule.epsilon = try record.double("scale_epsilon")
    if rule.isHeld {
      rule.low = try record.double("log_scale_low")
      rule.high = try record.double("log_scale_high")
    }
    self = try rule.checked()
  }

  func describe(_ record: inout Record) {
    record["scale"] = .string(ScaleRule.names.name(kind))
    record["scale_bound"] = .double(bound)
    record["scale_epsilon"] = .double(epsilon)
    if isHeld {
      record["log_scale_low"] = .double(low)
      record["log_scale_high"] = .double(high)
    }
  }

  /// Whether log s is held to `low` to `high`.
  private var isHeld: Bool { kind == .clampedExp || kind == .clippedSoftplus }

  var parameterCount: Int { kind == .additive ? 1 : 2 }

  /// Zeros, where they make the identity or nearly so; else what does, if anything.
  var initialParameters: [Double] {
    switch kind {
    case .clampedSoftplus: [offset, 0]
    case .clippedSoftplus: [log(expm1(1)), 0]
    case .reciprocalSigmoid: [2, 0]
    default: []
    }
  }

  var summary: String { "\(ScaleRule.names.name(kind)) scale" }

  var kernels32: MapKernels<Float> { kernels() }
  var kernels64: MapKernels<Double> { kernels() }

  private func kernels<S: Scalar>() -> MapKernels<S> {
    var kernels = S.kernels.affine
    if kind == .gated {
      kernels.pullback = { _, count, x, p, _, g, gp in gatedPullback(count, x, p, g, gp) }
      kernels.inversePullback = { _, count, x, p, _, g, gp in gatedInversePullback(count, x, p, g, gp) }
    }
    return kernels
  }
}

extension MapOptions {
  package static func affine(_ kind: ScaleRule.Kind = .softClip) -> MapOptions {
    var options = MapOptions(ScaleRule.self)
    options.scale.kind = kind
    return options
  }
}

// The gated map y = s x + (1 - s) t, s = sigmoid(a + 2): IAF, Kingma et al. 2016, equation 12. As dlog s/da = 1 - s, its
// pullbacks need the shift, other than those of the kernels.

@inline(__always)
private func gatedPullback<S: Scalar>(
  _ count: Int, _ x: UnsafePointer<S>, _ p: UnsafePointer<S>, _ g: UnsafeMutablePointer<S>,
  _ gp: UnsafeMutablePointer<S>
) {
  let (a, t, gA, gT) = (p, p + count, gp, gp + count)
  for i in 0..<count {
    let (s, rest) = (sigmoid(Double(a[i]) + 2), sigmoid(-Double(a[i]) - 2))
    let gY = Double(g[i])
    g[i] = S(s * gY)
    gT[i] = S(rest * gY)
    gA[i] = S(rest * ((Double(x[i]) - Double(t[i])) * s * gY + Double(gA[i])))
  }
}

/// Of the inverse, whose result was x.
@inline(__always)
private func gatedInversePullback<S: Scalar>(
  _ count: Int, _ x: UnsafePointer<S>, _ p: UnsafePointer<S>, _ g: UnsafeMutablePointer<S>,
  _ gp: UnsafeMutablePointer<S>
) {
  let (a, t, gA, gT) = (p, p + count, gp, gp + count)
  for i in 0..<count {
    // 1 / s, and what it is above 1.
    let above = exp(-Double(a[i]) - 2)
    let rest = sigmoid(-Double(a[i]) - 2)
    let gX = Double(g[i])
    g[i] = S((1 + above) * gX)
    gT[i] = S(-above * gX)
    gA[i] = S(rest * (Double(gA[i]) - (Double(x[i]) - Double(t[i])) * gX))
  }
}
