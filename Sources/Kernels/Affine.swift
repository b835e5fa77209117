import KernelInterface

// y = x s(a) + t for the rules of ScaleRule. Both clips, exp and tanh give the logarithm l of s, and s = exp(l);
// softplus and sigmoid give s, and l = log s. As with activations the rule is chosen anew for each vector. The rules in LogScales
// take two steps: l, then exp.

func affine(_ rule: UnsafeRawPointer, _ count: Int, _ x: In, _ p: Out, _ y: Out, _ logs: Out) {
  let (rule, a, t) = scales(rule, count, p, logs)
  inVectors(count, Streams(x, a, t, y, logs)) { affineVectors(rule, $0, $1) }
}

func affineInverse(_ rule: UnsafeRawPointer, _ count: Int, _ y: In, _ p: Out, _ x: Out, _ logs: Out) {
  let (rule, a, t) = scales(rule, count, p, logs)
  inVectors(count, Streams(y, a, t, x, logs)) { affineInverseVectors(rule, $0, $1) }
}

/// dL/dt = dL/dy.
func affinePullback(
  _ rule: UnsafeRawPointer, _ count: Int, _ x: In, _ p: In, _ logs: In, _ g: Out, _ gp: Out
) {
  let rule = rule.assumingMemoryBound(to: ScaleRule.self).pointee
  if additive(rule) { return copy(In(g), gp, count) }
  copy(In(g), gp + count, count)
  if let exponential = exponential(rule) {
    inVectors(count, Streams(x, logs, logs, g, gp)) { affinePullbackVectors(ScaleNumbers(exponential), $0, $1) }
    return logScalesPullback(rule, count, p, gp)
  }
  inVectors(count, Streams(x, p, logs, g, gp)) { affinePullbackVectors(ScaleNumbers(rule), $0, $1) }
}

/// dL/dt = -dL/dy.
func affineInversePullback(
  _ rule: UnsafeRawPointer, _ count: Int, _ x: In, _ p: In, _ logs: In, _ g: Out, _ gp: Out
) {
  let rule = rule.assumingMemoryBound(to: ScaleRule.self).pointee
  if additive(rule) { return negate(count, In(g), gp) }
  if let exponential = exponential(rule) {
    inVectors(count, Streams(x, logs, logs, g, gp)) { affineInversePullbackVectors(ScaleNumbers(exponential), $0, $1) }
    logScalesPullback(rule, count, p, gp)
  } else {
    inVectors(count, Streams(x, p, logs, g, gp)) { affineInversePullbackVectors(ScaleNumbers(rule), $0, $1) }
  }
  negate(count, In(g), gp + count)
}

/// What a map goes on with: of a rule in LogScales the logarithms, in `logs`, and exp. a is not read where t is alone.
@inline(always) private func scales(
  _ rule: UnsafeRawPointer, _ count: Int, _ p: Out, _ logs: Out
) -> (rule: ScaleNumbers, a: In, t: In) {
  let rule = rule.assumingMemoryBound(to: ScaleRule.self).pointee
  let t = In(additive(rule) ? p : p + count)
  guard let exponential = exponential(rule) else { return (ScaleNumbers(rule), In(p), t) }
  logScales(rule, count, In(p), logs)
  return (ScaleNumbers(exponential), In(logs), t)
}

/// What is left of a rule in LogScales when log s is known.
@inline(always) private func exponential(_ rule: ScaleRule) -> ScaleRule? {
  switch rule.kind {
  case .clampedSoftplus, .clippedSoftplus, .softplusArsinh, .clampedExp, .reciprocalSigmoid, .atan:
    var exponential = rule
    exponential.kind = .exp
    return exponential
  default: return nil
  }
}

@inline(always) private func additive(_ rule: ScaleRule) -> Bool {
  switch rule.kind {
  case .additive: return true
  default: return false
  }
}

@inline(always) private func negate(_ count: Int, _ x: In, _ y: Out) {
  var i = 0
  while i < count {
    y[i] = -x[i]
    i &+= 1
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
    store(gLogs, s.h, i)
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
    store(gLogs, s.h, i)
    i &+= lanes
  }
}

// MARK: The rules

/// A rule, its numbers in all lanes.
private struct Rule {
  var kind: ScaleRule.Kind
  var bound, perBound, epsilon, offset: V
  /// As perBound, below 0.
  var perLowBound: V

  @inline(always) init(_ rule: ScaleNumbers) {
    kind = rule.kind
    bound = V(repeating: S(rule.bound))
    perBound = V(repeating: S(1 / rule.bound))
    perLowBound = V(repeating: S(3 / rule.bound))
    epsilon = V(repeating: S(rule.epsilon))
    offset = V(repeating: S(rule.offset))
  }

  @inline(always) var gated: Bool {
    switch kind {
    case .gated: return true
    default: return false
    }
  }

  @inline(always) func skewedClip(_ a: V) -> (value: V, root: V) {
    softClip(a, perBound.replacing(with: perLowBound, where: a .< 0))
  }

  /// s or 1/s, and log s.
  @inline(always) func scale(_ a: V, inverse: Bool) -> (V, V) {
    switch kind {
    case .softClip, .skewedClip, .exp, .tanh:
      let l: V
      switch kind {
      case .softClip: l = softClip(a, perBound).value
      case .skewedClip: l = skewedClip(a).value
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
    case .softClip, .skewedClip, .exp, .tanh:
      let slope: V
      switch kind {
      case .softClip:
        let root = softClip(a, perBound).root
        slope = root * root
      case .skewedClip:
        let root = skewedClip(a).root
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
