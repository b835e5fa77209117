import KernelInterface

// log s of scales that other libraries' flows have: the first step of Affine.swift for these rules.

/// logs may be a.
func logScales(_ rule: ScaleRule, _ count: Int, _ a: In, _ logs: Out) {
  inVectors(count, Streams(a, a, a, logs, logs)) {
    logScaleVectors(rule.kind, rule.bound, rule.epsilon, rule.low, rule.high, $0, $1.a, $1.g)
  }
}

/// g *= dlog s/da
func logScalesPullback(_ rule: ScaleRule, _ count: Int, _ a: In, _ g: Out) {
  inVectors(count, Streams(a, a, a, g, g)) {
    logScalePullbackVectors(rule.kind, rule.bound, rule.epsilon, rule.low, rule.high, $0, $1.a, $1.g)
  }
}

@inline(never) func logScaleVectors(
  _ kind: ScaleRule.Kind, _ bound: Double, _ epsilon: Double, _ low: Double, _ high: Double, _ count: Int, _ a: In,
  _ logs: Out
) {
  let bound = V(repeating: S(bound))
  let epsilon = V(repeating: S(epsilon))
  let low = V(repeating: S(low))
  let high = V(repeating: S(high))
  var i = 0
  while i < count {
    let a = load(a, i)
    let l: V
    switch kind {
    case .clampedSoftplus:
      let free = softplus(a) + epsilon
      l = log(free.replacing(with: bound, where: free .> bound))
    case .clampedExp: l = a.replacing(with: low, where: a .< low).replacing(with: high, where: a .> high)
    case .reciprocalSigmoid: l = softplus(-a)
    default: l = bound * atan(a)
    }
    store(l, logs, i)
    i &+= lanes
  }
}

@inline(never) func logScalePullbackVectors(
  _ kind: ScaleRule.Kind, _ bound: Double, _ epsilon: Double, _ low: Double, _ high: Double, _ count: Int, _ a: In,
  _ g: Out
) {
  let bound = V(repeating: S(bound))
  let epsilon = V(repeating: S(epsilon))
  let low = V(repeating: S(low))
  let high = V(repeating: S(high))
  var i = 0
  while i < count {
    let a = load(a, i)
    let slope: V
    switch kind {
    case .clampedSoftplus:
      let (value, derivative) = softplusAndSlope(a)
      let free = value + epsilon
      slope = (derivative / free).replacing(with: V(), where: free .> bound)
    case .clampedExp: slope = V(repeating: 1).replacing(with: V(), where: (a .< low) .| (a .> high))
    case .reciprocalSigmoid: slope = -sigmoid(-a)
    default: slope = bound / fma(a, a, V(repeating: 1))
    }
    store(load(In(g), i) * slope, g, i)
    i &+= lanes
  }
}
