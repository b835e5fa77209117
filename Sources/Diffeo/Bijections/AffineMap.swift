import Glibc
import KernelInterface

/// The affine map y = s(a) x + t of one number: checks, and its words in records. The formulas are those of KernelTable
/// and of the header.
extension ScaleRule {
  private static let names = Names(
    [
      (.softClip, "soft_clip"), (.exp, "exp"), (.tanh, "tanh"), (.softplus, "softplus"), (.sigmoid, "sigmoid"),
      (.additive, "additive"), (.gated, "gated"), (.clampedSoftplus, "clamped_softplus"),
      (.clampedExp, "clamped_exp"), (.reciprocalSigmoid, "reciprocal_sigmoid"), (.atan, "atan"),
    ] as [(Kind, String)])

  init(_ kind: Kind, bound: Double, epsilon: Double, low: Double = -5, high: Double = 3) throws(DiffeoError) {
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
    self.init(kind: kind, bound: bound, epsilon: epsilon, offset: log(expm1(1 - epsilon)), low: low, high: high)
  }

  init(_ record: Record) throws(DiffeoError) {
    let kind = try ScaleRule.names.choice(record, "scale")
    let (bound, epsilon) = (try record.double("scale_bound"), try record.double("scale_epsilon"))
    if kind == .clampedExp {
      try self.init(
        kind, bound: bound, epsilon: epsilon, low: record.double("log_scale_low"),
        high: record.double("log_scale_high"))
    } else {
      try self.init(kind, bound: bound, epsilon: epsilon)
    }
  }

  func describe(_ record: inout Record) {
    record["transformer"] = .string("affine")
    record["scale"] = .string(ScaleRule.names.name(kind))
    record["scale_bound"] = .double(bound)
    record["scale_epsilon"] = .double(epsilon)
    if kind == .clampedExp {
      record["log_scale_low"] = .double(low)
      record["log_scale_high"] = .double(high)
    }
  }

  /// Zeros, where they make the identity or nearly so; else what does, if anything.
  var initialParameters: [Double] {
    switch kind {
    case .clampedSoftplus: [offset, 0]
    case .reciprocalSigmoid: [2, 0]
    default: []
    }
  }

  // The gated map y = s x + (1 - s) t, s = sigmoid(a + 2): IAF, Kingma et al. 2016, equation 12. As dlog s/da = 1 - s, its
  // pullbacks need the shift, other than those of the kernels. As in ElementMap; gT: dL/dt.

  func gatedPullback<S: Scalar>(
    _ count: Int, _ x: UnsafePointer<S>, _ a: UnsafePointer<S>, _ t: UnsafePointer<S>, _ g: UnsafeMutablePointer<S>,
    _ gA: UnsafeMutablePointer<S>, _ gT: UnsafeMutablePointer<S>
  ) {
    for i in 0..<count {
      let (s, rest) = (sigmoid(Double(a[i]) + 2), sigmoid(-Double(a[i]) - 2))
      let gY = Double(g[i])
      g[i] = S(s * gY)
      gT[i] = S(rest * gY)
      gA[i] = S(rest * ((Double(x[i]) - Double(t[i])) * s * gY + Double(gA[i])))
    }
  }

  /// Of the inverse, whose result was x.
  func gatedInversePullback<S: Scalar>(
    _ count: Int, _ x: UnsafePointer<S>, _ a: UnsafePointer<S>, _ t: UnsafePointer<S>, _ g: UnsafeMutablePointer<S>,
    _ gA: UnsafeMutablePointer<S>, _ gT: UnsafeMutablePointer<S>
  ) {
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

  var summary: String { "\(ScaleRule.names.name(kind)) scale" }
}
