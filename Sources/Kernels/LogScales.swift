import KernelInterface

// log s of scales that other libraries' flows have: the first step of Affine.swift for these rules. Two have loops of
// their own, as the last activations have.

/// logs may be a.
func logScales(_ rule: ScaleRule, _ count: Int, _ a: In, _ logs: Out) {
  inVectors(count, Streams(a, a, a, logs, logs)) {
    switch rule.kind {
    case .clippedSoftplus: clippedSoftplusVectors(rule.low, rule.high, $0, $1.a, $1.g)
    case .softplusArsinh: softplusArsinhVectors($0, $1.a, $1.g)
    default: logScaleVectors(rule.kind, rule.bound, rule.epsilon, rule.low, rule.high, $0, $1.a, $1.g)
    }
  }
}

/// g *= dlog s/da
func logScalesPullback(_ rule: ScaleRule, _ count: Int, _ a: In, _ g: Out) {
  inVectors(count, Streams(a, a, a, g, g)) {
    switch rule.kind {
    case .clippedSoftplus: clippedSoftplusPullbackVectors(rule.low, rule.high, $0, $1.a, $1.g)
    case .softplusArsinh: softplusArsinhPullbackVectors($0, $1.a, $1.g)
    default: logScalePullbackVectors(rule.kind, rule.bound, rule.epsilon, rule.low, rule.high, $0, $1.a, $1.g)
    }
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

@inline(never) func clippedSoftplusVectors(_ low: Double, _ high: Double, _ count: Int, _ a: In, _ logs: Out) {
  let (low, high) = (V(repeating: S(low)), V(repeating: S(high)))
  var i = 0
  while i < count {
    let free = log(softplus(load(a, i)))
    store(free.replacing(with: low, where: free .< low).replacing(with: high, where: free .> high), logs, i)
    i &+= lanes
  }
}

@inline(never) func clippedSoftplusPullbackVectors(_ low: Double, _ high: Double, _ count: Int, _ a: In, _ g: Out) {
  let (low, high) = (V(repeating: S(low)), V(repeating: S(high)))
  var i = 0
  while i < count {
    let (value, derivative) = softplusAndSlope(load(a, i))
    let free = log(value)
    let slope = (derivative / value).replacing(with: V(), where: (free .< low) .| (free .> high))
    store(load(In(g), i) * slope, g, i)
    i &+= lanes
  }
}

/// u = exp(arsinh(a) + log(e - 1)), and the derivative of log u. arsinh grows so slowly that |a| is cut where its square would
/// overflow.
@inline(always) private func expOfShiftedArsinh(_ a: V) -> (value: V, logSlope: V) {
  let a = limited(a, V(repeating: 0x1p62))
  let root = fma(a, a, V(repeating: 1)).squareRoot()
  let sum = root + magnitude(a)
  return (sum.replacing(with: 1 / sum, where: a .< 0) * V(repeating: 1.718281828459045), 1 / root)
}

/// Of a positive number.
@inline(always) private func log1p(_ u: V) -> V {
  let large = u .> V(repeating: 1)
  return log1pOfFraction(u.replacing(with: 1 / u, where: large)) + V().replacing(with: log(u), where: large)
}

@inline(never) func softplusArsinhVectors(_ count: Int, _ a: In, _ logs: Out) {
  var i = 0
  while i < count {
    store(log(log1p(expOfShiftedArsinh(load(a, i)).value)), logs, i)
    i &+= lanes
  }
}

@inline(never) func softplusArsinhPullbackVectors(_ count: Int, _ a: In, _ g: Out) {
  var i = 0
  while i < count {
    let (u, logSlope) = expOfShiftedArsinh(load(a, i))
    store(load(In(g), i) * (logSlope / (log1p(u) * (1 + 1 / u))), g, i)
    i &+= lanes
  }
}
