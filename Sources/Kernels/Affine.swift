import KernelInterface

// y = x s(a) + t for the rules of ScaleRule. The first three rules give the logarithm l of s, and s = exp(l); softplus
// and sigmoid give s, and l = log s. As with activations the rule is chosen anew for each vector. The rules in LogScales
// take two steps: l, then exp.

func affine(_ rule: ScaleRule, _ count: Int, _ x: In, _ a: In, _ t: In, _ y: Out, _ logs: Out) {
  if let exponential = exponential(rule) {
    logScales(rule, count, a, logs)
    return affine(exponential, count, x, logs, t, y, logs)
  }
  inVectors(count, Streams(x, present(rule, a, x), t, y, logs)) { affineVectors(ScaleNumbers(rule), $0, $1) }
}

func affineInverse(_ rule: ScaleRule, _ count: Int, _ y: In, _ a: In, _ t: In, _ x: Out, _ logs: Out) {
  if let exponential = exponential(rule) {
    logScales(rule, count, a, logs)
    return affineInverse(exponential, count, y, logs, t, x, logs)
  }
  inVectors(count, Streams(y, present(rule, a, y), t, x, logs)) { affineInverseVectors(ScaleNumbers(rule), $0, $1) }
}

func affinePullback(_ rule: ScaleRule, _ count: Int, _ x: In, _ a: In, _ logs: In, _ g: Out, _ gLogs: Out) {
  if let exponential = exponential(rule) {
    affinePullback(exponential, count, x, logs, logs, g, gLogs)
    return logScalesPullback(rule, count, a, gLogs)
  }
  inVectors(count, Streams(x, present(rule, a, x), present(rule, logs, x), g, gLogs)) {
    affinePullbackVectors(ScaleNumbers(rule), $0, $1)
  }
}

func affineInversePullback(
  _ rule: ScaleRule, _ count: Int, _ x: In, _ a: In, _ logs: In, _ g: Out, _ gLogs: Out
) {
  if let exponential = exponential(rule) {
    affineInversePullback(exponential, count, x, logs, logs, g, gLogs)
    return logScalesPullback(rule, count, a, gLogs)
  }
  inVectors(count, Streams(x, present(rule, a, x), present(rule, logs, x), g, gLogs)) {
    affineInversePullbackVectors(ScaleNumbers(rule), $0, $1)
  }
}

/// What is left of a rule in LogScales when log s is known.
@inline(always) private func exponential(_ rule: ScaleRule) -> ScaleRule? {
  switch rule.kind {
  case .clampedSoftplus, .clampedExp, .reciprocalSigmoid, .atan:
    var exponential = rule
    exponential.kind = .exp
    return exponential
  default: return nil
  }
}

/// p, or other values to load and ignore where the rule has no use for it: p may be missing then.
@inline(always) private func present(_ rule: ScaleRule, _ p: In, _ other: In) -> In {
  switch rule.kind {
  case .additive: return other
  default: return p
  }
}

// MARK: Whole vectors

/// What the loops read of a rule. Of a struct of which a loop leaves fields unread the optimiser makes another function,
/// and a weak symbol.
struct ScaleNumbers {
  let kind: ScaleRule.Kind
  let bound, epsilon, offset: Double

  @inline(always) init(_ rule: ScaleRule) {
    kind = rule.kind
    bound = rule.bound
    epsilon = rule.epsilon
    offset = rule.offset
  }
}

@inline(never) func affineVectors(_ rule: ScaleNumbers, _ count: Int, _ s: Streams) {
  let rule = Rule(rule)
  var i = 0
  while i < count {
    let (scale, logs) = rule.scale(load(s.b, i), inverse: false)
    let t = load(s.c, i)
    store(fma(rule.gated ? load(s.a, i) - t : load(s.a, i), scale, t), s.g, i)
    store(logs, s.h, i)
    i &+= lanes
  }
}

@inline(never) func affineInverseVectors(_ rule: ScaleNumbers, _ count: Int, _ s: Streams) {
  let rule = Rule(rule)
  var i = 0
  while i < count {
    let (inverse, logs) = rule.scale(load(s.b, i), inverse: true)
    let t = load(s.c, i)
    let x = (load(s.a, i) - t) * inverse
    store(rule.gated ? x + t : x, s.g, i)
    store(logs, s.h, i)
    i &+= lanes
  }
}

/// dL/dx = s dL/dy, and dL/da = (x s dL/dy + dL/dl) dl/da.
@inline(never) func affinePullbackVectors(_ rule: ScaleNumbers, _ count: Int, _ s: Streams) {
  let rule = Rule(rule)
  var i = 0
  while i < count {
    let (scale, slope) = rule.scaleAndSlope(load(s.b, i), load(s.c, i), inverse: false)
    let g = load(s.g, i) * scale
    let gLogs = fma(load(s.a, i), g, load(s.h, i)) * slope
    store(g, s.g, i)
    store(rule.additive ? V() : gLogs, s.h, i)
    i &+= lanes
  }
}

/// dL/dy = dL/dx / s, and dL/da = (dL/dl - x dL/dx) dl/da.
@inline(never) func affineInversePullbackVectors(_ rule: ScaleNumbers, _ count: Int, _ s: Streams) {
  let rule = Rule(rule)
  var i = 0
  while i < count {
    let (inverse, slope) = rule.scaleAndSlope(load(s.b, i), load(s.c, i), inverse: true)
    let g = load(s.g, i)
    let gLogs = fma(-load(s.a, i), g, load(s.h, i)) * slope
    store(g * inverse, s.g, i)
    store(rule.additive ? V() : gLogs, s.h, i)
    i &+= lanes
  }
}

// MARK: The rules

/// A rule, its numbers in all lanes.
private struct Rule {
  var kind: ScaleRule.Kind
  var bound, perBound, epsilon, offset: V

  @inline(always) init(_ rule: ScaleNumbers) {
    kind = rule.kind
    bound = V(repeating: S(rule.bound))
    perBound = V(repeating: S(1 / rule.bound))
    epsilon = V(repeating: S(rule.epsilon))
    offset = V(repeating: S(rule.offset))
  }

  @inline(always) var additive: Bool {
    switch kind {
    case .additive: return true
    default: return false
    }
  }

  @inline(always) var gated: Bool {
    switch kind {
    case .gated: return true
    default: return false
    }
  }

  /// s or 1/s, and log s.
  @inline(always) func scale(_ a: V, inverse: Bool) -> (V, V) {
    switch kind {
    case .softClip, .exp, .tanh:
      let l: V
      switch kind {
      case .softClip: l = softClip(a, perBound).value
      case .tanh: l = bound * tanh(a * perBound)
      default: l = a
      }
      return (exp(inverse ? -l : l), l)
    case .softplus, .sigmoid, .gated:
      let s: V
      switch kind {
      case .softplus: s = softplus(a + offset) + epsilon
      case .sigmoid: s = sigmoid(a + 2) + epsilon
      default: s = sigmoid(a + 2)
      }
      return (inverse ? 1 / s : s, log(s))
    default: return (V(repeating: 1), V())
    }
  }

  /// s or 1/s, and the derivative of log s.
  @inline(always) func scaleAndSlope(_ a: V, _ logs: V, inverse: Bool) -> (V, V) {
    switch kind {
    case .softClip, .exp, .tanh:
      let slope: V
      switch kind {
      case .softClip:
        let root = softClip(a, perBound).root
        slope = root * root
      case .tanh:
        let h = logs * perBound
        slope = fma(-h, h, V(repeating: 1))
      default: slope = V(repeating: 1)
      }
      return (exp(inverse ? -logs : logs), slope)
    case .softplus, .sigmoid, .gated:
      // s anew rather than exp(logs), which magnifies the rounding of logs.
      let s: V
      let slope: V
      switch kind {
      case .softplus:
        let (value, derivative) = softplusAndSlope(a + offset)
        s = value + epsilon
        slope = derivative
      default:
        let (value, complement) = sigmoidAndComplement(a + 2)
        s = value + epsilon
        slope = value * complement
      }
      let reciprocal = 1 / s
      return (inverse ? reciprocal : s, slope * reciprocal)
    default: return (V(repeating: 1), V())
    }
  }
}
