import KernelInterface

// The CDF F of a mixture, and S = 1 - F, f = F'. Far out all three underflow, and their logarithms are large and nearly
// cancel in the log-derivative. So each is a sum of e^a times a factor of moderate size, with the largest exponent a of
// the components taken out in front: in a tail the exponents of f and of the smaller of F and S are the same numbers,
// and vanish from the quotient exactly.
//
// The components of a vector of numbers are prepared once, in memory on the stack.

func mixture(_ rule: UnsafeRawPointer, _ count: Int, _ x: In, _ p: Out, _ y: Out, _ logs: Out) {
  let rule = rule.assumingMemoryBound(to: MixtureRule.self).pointee
  withMixtureMemory(rule) { mixtureVectors(rule, count, x, In(p), y, logs, $0) }
}

func mixtureInverse(_ rule: UnsafeRawPointer, _ count: Int, _ y: In, _ p: Out, _ x: Out, _ logs: Out) {
  let rule = rule.assumingMemoryBound(to: MixtureRule.self).pointee
  withMixtureMemory(rule) { mixtureInverseVectors(rule, count, y, In(p), x, logs, $0) }
}

func mixturePullback(
  _ rule: UnsafeRawPointer, _ count: Int, _ x: In, _ p: In, _ logs: In, _ g: Out, _ gp: Out
) {
  let rule = rule.assumingMemoryBound(to: MixtureRule.self).pointee
  withMixtureMemory(rule) { mixturePullbackVectors(rule, count, x, p, g, gp, false, $0) }
}

func mixtureInversePullback(
  _ rule: UnsafeRawPointer, _ count: Int, _ x: In, _ p: In, _ logs: In, _ g: Out, _ gp: Out
) {
  let rule = rule.assumingMemoryBound(to: MixtureRule.self).pointee
  withMixtureMemory(rule) { mixturePullbackVectors(rule, count, x, p, g, gp, true, $0) }
}

// MARK: Whole vectors

@inline(never)
func mixtureVectors(
  _ rule: MixtureRule, _ count: Int, _ x: In, _ p: In, _ y: Out, _ logs: Out,
  _ memory: UnsafeMutablePointer<V>
) {
  var i = 0
  while i < count {
    let n = smaller(lanes, count &- i)
    let mixture = Mixture(rule, p + i, count, n, memory)
    let at = load(x + i, count: n)
    let (value, slope) = mixture.value(mixture.sums(at, terms: false))
    store(value, y + i, count: n)
    // No density at infinity, where F has only just got to 0 or 1.
    let none = mixture.uniform ? magnitude(at) .== V(repeating: .infinity) : V() .> V()
    store(slope.replacing(with: V(repeating: -.infinity), where: none), logs + i, count: n)
    i &+= lanes
  }
}

@inline(never)
func mixtureInverseVectors(
  _ rule: MixtureRule, _ count: Int, _ y: In, _ p: In, _ x: Out, _ logs: Out,
  _ memory: UnsafeMutablePointer<V>
) {
  var i = 0
  while i < count {
    let n = smaller(lanes, count &- i)
    let mixture = Mixture(rule, p + i, count, n, memory)
    let root = mixture.inverse(load(y + i, count: n))
    let (_, slope) = mixture.value(mixture.sums(root, terms: false))
    store(root, x + i, count: n)
    store(slope, logs + i, count: n)
    i &+= lanes
  }
}

/// Of the map, or of its inverse at the x that it found. With responsibilities of a component, its part of the sum F,
/// S or f, and D = f/F - f/S for the logistic target, else 0:
///     dy/dlogit = Y (rF - rS)   dlogs/dlogit = rf - (S rF + F rS), uniform: rf - (F rF + S rS);  Y = 1, uniform: F S
///     dy/dm = -rf dy/dx         dlogs/dm = rf (psi / s + D)   with psi / s = -d log(density of the component) / dx
///     d/dlog s = (x - m) d/dm   less rf for logs;             d/dx = -(sum of d/dm)
@inline(never)
func mixturePullbackVectors(
  _ rule: MixtureRule, _ count: Int, _ x: In, _ p: In, _ g: Out, _ gp: Out, _ inverse: Bool,
  _ memory: UnsafeMutablePointer<V>
) {
  let components = rule.components
  var i = 0
  while i < count {
    let n = smaller(lanes, count &- i)
    let mixture = Mixture(rule, p + i, count, n, memory)
    let x = load(x + i, count: n)
    let sums = mixture.sums(x, terms: true)
    let (_, logs) = mixture.value(sums)
    let logit = sums.logit
    let (lower, upper) = sigmoidAndComplement(logit)
    let (perLower, perUpper, perDensity) = (1 / sums.lower, 1 / sums.upper, 1 / sums.density)
    let uniform = mixture.uniform
    // dlogit/dx = f/F + f/S: one of them is large where the other is small.
    let overLower = exp(sums.densityTop - sums.lowerTop) * (sums.density * perLower)
    let overUpper = exp(sums.densityTop - sums.upperTop) * (sums.density * perUpper)
    let difference = uniform ? V() : overLower - overUpper

    var gx = load(In(g + i), count: n)
    let gLogs = load(In(gp + i), count: n)
    // dL/dlogit of F and dL/dy dy/dx
    let gLogit: V
    let gSlope: V
    if inverse {
      var slope = -difference
      var k = 0
      while k < components {
        slope -= mixture.densityTerm(k) * perDensity * mixture.steepness(x, k)
        k &+= 1
      }
      gx = fma(gLogs, slope, gx)
      gSlope = -gx
      gLogit = -gx / (overLower + overUpper)
      gx = gx * exp(-logs)
    } else {
      gSlope = gx * exp(logs)
      gLogit = uniform ? gx * (lower * upper) : gx
      gx = V()
    }
    var k = 0
    while k < components {
      let rLower = mixture.lowerTerm(k) * perLower
      let rUpper = mixture.upperTerm(k) * perUpper
      let rDensity = mixture.densityTerm(k) * perDensity
      let mean =
        uniform ? fma(lower, rLower, upper * rUpper) : fma(upper, rLower, lower * rUpper)
      store(fma(gLogit, rLower - rUpper, gLogs * (rDensity - mean)), gp + (k &* count &+ i), count: n)
      let gMean = rDensity * fma(gLogs, mixture.steepness(x, k) + difference, -gSlope)
      store(gMean, gp + ((components &+ k) &* count &+ i), count: n)
      let gScale = fma(x - mixture.mean(k), gMean, -(gLogs * rDensity))
      let at = (2 &* components &+ k) &* count &+ i
      store(gScale * mixture.scaleSlope(load(p + at, count: n)), gp + at, count: n)
      if !inverse { gx -= gMean }
      k &+= 1
    }
    store(gx, g + i, count: n)
    i &+= lanes
  }
}

// MARK: One vector of numbers

/// Sums over the components, each divided by e^top. The weights are not normalised: their sum cancels.
private struct MixtureSums {
  var lower = V(), upper = V(), density = V()
  var lowerTop, upperTop, densityTop: V

  @inline(always) init() {
    let least = V(repeating: -S.greatestFiniteMagnitude)
    lowerTop = least
    upperTop = least
    densityTop = least
  }

  /// log F - log S
  @inline(always) var logit: V { (lowerTop - upperTop) + log(lower / upper) }
}

private struct Mixture {
  var components: Int
  var normal: Bool
  var uniform: Bool
  var isSoftplus: Bool
  var perBound: V
  var epsilon: V
  var offset: V
  /// The sum of the weights, of which the largest is 1.
  var weights: V
  /// Of each component the logarithm of its weight, its mean, 1 / scale, and three terms (see sums).
  var memory: UnsafeMutablePointer<V>

  /// From the raw parameters of n numbers.
  @inline(always)
  init(_ rule: MixtureRule, _ p: In, _ count: Int, _ n: Int, _ memory: UnsafeMutablePointer<V>) {
    components = rule.components
    switch rule.family {
    case .normal: normal = true
    case .logistic: normal = false
    }
    switch rule.target {
    case .uniform: uniform = true
    case .logistic: uniform = false
    }
    switch rule.scale {
    case .softplus: isSoftplus = true
    case .softClip: isSoftplus = false
    }
    perBound = V(repeating: S(1 / rule.bound))
    epsilon = V(repeating: S(rule.epsilon))
    offset = V(repeating: S(rule.offset))
    weights = V()
    self.memory = memory
    var top = V(repeating: -S.greatestFiniteMagnitude)
    var k = 0
    while k < components {
      let logit = load(p + k &* count, count: n)
      memory[k] = logit
      top = largest(top, logit)
      memory[components &+ k] = load(p + (components &+ k) &* count, count: n)
      let a = load(p + (2 &* components &+ k) &* count, count: n)
      memory[2 &* components &+ k] = isSoftplus ? 1 / softplusScale(a).value : exp(-softClipped(a))
      k &+= 1
    }
    k = 0
    while k < components {
      memory[k] -= top
      weights += exp(memory[k])
      k &+= 1
    }
  }

  @inline(always) func logWeight(_ k: Int) -> V { memory[k] }
  @inline(always) func mean(_ k: Int) -> V { memory[components &+ k] }
  @inline(always) func perScale(_ k: Int) -> V { memory[2 &* components &+ k] }
  /// Parts of the sums, if asked for.
  @inline(always) func lowerTerm(_ k: Int) -> V { memory[3 &* components &+ k] }
  @inline(always) func upperTerm(_ k: Int) -> V { memory[4 &* components &+ k] }
  @inline(always) func densityTerm(_ k: Int) -> V { memory[5 &* components &+ k] }

  /// a / (1 + |a| / bound), for infinite a its limit.
  @inline(always) func softClipped(_ a: V) -> V {
    let a = limited(a, V(repeating: softClipLimit))
    return a / fma(magnitude(a), perBound, V(repeating: 1))
  }

  /// s of the other rule, and ds/da.
  @inline(always) func softplusScale(_ a: V) -> (value: V, slope: V) {
    let (value, slope) = softplusAndSlope(limited(a, V(repeating: softClipLimit)) + offset)
    return (value + epsilon, slope)
  }

  /// dlog s/da
  @inline(always) func scaleSlope(_ a: V) -> V {
    if isSoftplus {
      let scale = softplusScale(a)
      return scale.slope / scale.value
    }
    let root = 1 / fma(magnitude(limited(a, V(repeating: softClipLimit))), perBound, V(repeating: 1))
    return root * root
  }

  /// (x - m) / s of a component, within bounds where its square is finite.
  @inline(always) func standardized(_ x: V, _ k: Int) -> V {
    limited((x - mean(k)) * perScale(k), V(repeating: normal ? farNormal : farLogistic))
  }

  /// The exponent of the density at |t| = u is minus this.
  @inline(always) func exponent(_ u: V) -> V { normal ? u * u * 0.5 : u }

  /// -d log(density of a component) / dx
  @inline(always) func steepness(_ x: V, _ k: Int) -> V {
    let t = standardized(x, k)
    return (normal ? t : tanh(t * 0.5)) * perScale(k)
  }

  /// F, S and f at x; with `terms` the parts of the components stay in memory.
  @inline(always) func sums(_ x: V, terms: Bool) -> MixtureSums {
    var sums = MixtureSums()
    var k = 0
    while k < components {
      let t = standardized(x, k)
      let here = logWeight(k)
      let far = here - exponent(magnitude(t))
      sums.lowerTop = largest(sums.lowerTop, here.replacing(with: far, where: t .< 0))
      sums.upperTop = largest(sums.upperTop, here.replacing(with: far, where: t .> 0))
      sums.densityTop = largest(sums.densityTop, far)
      k &+= 1
    }
    // The density's top is the least of the three: no overflow.
    let lowerShift = exp(sums.densityTop - sums.lowerTop)
    let upperShift = exp(sums.densityTop - sums.upperTop)
    k = 0
    while k < components {
      let t = standardized(x, k)
      let u = magnitude(t)
      let q = exponent(u)
      // The smaller and the larger of the two tails, the smaller one times e^q, and the density times e^q s.
      let small: V
      let large: V
      let peak: V
      let decay = exp(-q)
      if normal {
        small = scaledNormalTail(u)
        large = fma(-decay, small, V(repeating: 1))
        peak = V(repeating: 0.3989422804014327)
      } else {
        small = 1 / (1 + decay)
        large = small
        peak = small * small
      }
      let here = logWeight(k)
      let far = exp((here - q) - sums.densityTop)
      let left = t .< 0
      let near = exp(here - sums.lowerTop.replacing(with: sums.upperTop, where: left)) * large
      let tail = far * upperShift.replacing(with: lowerShift, where: left) * small
      let lower = near.replacing(with: tail, where: left)
      let upper = tail.replacing(with: near, where: left)
      let density = far * peak * perScale(k)
      sums.lower += lower
      sums.upper += upper
      sums.density += density
      if terms {
        memory[3 &* components &+ k] = lower
        memory[4 &* components &+ k] = upper
        memory[5 &* components &+ k] = density
      }
      k &+= 1
    }
    return sums
  }

  /// y and log dy/dx.
  @inline(always) func value(_ sums: MixtureSums) -> (V, V) {
    let logit = sums.logit
    let left = logit .< 0
    if uniform {
      let lower = sums.lower * exp(sums.lowerTop) / weights
      let upper = sums.upper * exp(sums.upperTop) / weights
      return ((1 - upper).replacing(with: lower, where: left), sums.densityTop + log(sums.density / weights))
    }
    return (withInfinities(logit), logSlope(sums, logit))
  }

  /// log(f / (F S)) = log(f / smaller) + log(1 + smaller / larger)
  @inline(always) func logSlope(_ sums: MixtureSums, _ logit: V) -> V {
    let left = logit .< 0
    let smaller = sums.upper.replacing(with: sums.lower, where: left)
    let top = sums.upperTop.replacing(with: sums.lowerTop, where: left)
    return (sums.densityTop - top)
      + (log(sums.density / smaller) + log1pOfFraction(exp(-magnitude(logit))))
  }

  /// Beyond what sums can tell from infinity.
  @inline(always) var cutoff: V { V(repeating: normal ? farNormal * farNormal * 0.25 : farLogistic * 0.5) }
  @inline(always) func withInfinities(_ y: V) -> V {
    let limit = cutoff
    return y.replacing(with: V(repeating: .infinity), where: y .>= limit)
      .replacing(with: V(repeating: -.infinity), where: y .<= -limit)
  }

  /// x, by Newton's method on log F - log S with a bracket around the root: where a step leaves the bracket, or is not
  /// half as long as the one before, the bracket is halved. A lane that has converged stays as it is.
  @inline(always) func inverse(_ y: V) -> V {
    let raw = uniform ? log(y) - log(1 - y) : y
    let target = limited(raw, cutoff)
    // The root is no farther out than that of the component which is farthest. For the normal family the root of one
    // component is bounded by the tangent at 0, and by Q(t) <= e^(-t^2 / 2) / 2; it is never below 0.82 of that.
    let v = magnitude(target)
    var outer = v
    var inner = v
    if normal {
      let bound = ((softplus(v) - V(repeating: 0.6931471805599453)) * 2).squareRoot()
      outer = v * V(repeating: 0.62665707)
      outer = outer.replacing(with: bound, where: bound .< outer)
      inner = outer * 0.8
    }
    let right = target .> 0
    let least = (-outer).replacing(with: inner, where: right)
    let most = (-inner).replacing(with: outer, where: right)
    let far = V(repeating: S.greatestFiniteMagnitude * 0x1p-10)
    var low = far
    var high = -far
    var reach = V()
    var middle = V()
    var k = 0
    while k < components {
      let scale = 1 / perScale(k)
      let a = fma(scale, least, mean(k))
      let b = fma(scale, most, mean(k))
      low = low.replacing(with: a, where: a .< low)
      high = largest(high, b)
      reach = largest(reach, magnitude(mean(k)))
      middle += exp(logWeight(k)) * limited((a + b) * 0.5, far)
      k &+= 1
    }
    low = limited(low, far)
    high = limited(high, far)
    let epsilon = V(repeating: S.ulpOfOne)
    let margin = epsilon * 8 * (magnitude(low) + magnitude(high) + reach)
    low -= margin
    high += margin
    var x = middle / weights
    x = x.replacing(with: low, where: x .< low).replacing(with: high, where: x .> high)
    var last = high - low
    let enough = epsilon * 4 * (1 + v)
    var open = V(repeating: 1)
    var round = 0
    while round < 200 {
      let sums = self.sums(x, terms: false)
      let logit = sums.logit
      let error = logit - target
      let step = -error / exp(logSlope(sums, logit))
      let newton = x + step
      low = low.replacing(with: x, where: error .< 0)
      high = high.replacing(with: x, where: error .> 0)
      let inside = (newton .>= low) .& (newton .<= high)
      let shrinks = inside .& (magnitude(step) .<= magnitude(last) * 0.5)
      let size = magnitude(x)
      let tiny = magnitude(step) .<= epsilon * 16 * (size + reach)
      // Converged: the step is below the rounding of x; or y is right, or the step tiny, and no better can be had. On a
      // plain between components y may be right, and the slope so small that the step would lead far away.
      var end = ((magnitude(error) .<= enough) .| tiny) .& .!shrinks
      end = end .| (magnitude(step) .<= epsilon * size) .| (high - low .<= epsilon * 2 * size)
      // Not a number: stays so.
      end = end .| (error .!= error)
      let halved = fma(high - low, V(repeating: 0.5), low)
      var next = halved.replacing(with: newton, where: shrinks)
      next = next.replacing(with: x, where: end).replacing(with: newton, where: end .& inside .& tiny)
      let running = open .> 0
      last = next - x
      x = x.replacing(with: next, where: running)
      open = open.replacing(with: V(), where: end)
      if open.sum() == 0 { break }
      round &+= 1
    }
    x = x.replacing(with: V(repeating: .infinity), where: raw .>= cutoff)
      .replacing(with: V(repeating: -.infinity), where: raw .<= -cutoff)
    return x.replacing(with: V(repeating: .nan), where: raw .!= raw)
  }
}

/// Where t stops: its square, and sums of exponents, stay finite.
#if F32
  private var farNormal: S { @inline(always) get { 0x1p62 } }
  private var farLogistic: S { @inline(always) get { 0x1p125 } }
  private var softClipLimit: S { @inline(always) get { 1e18 } }
#else
  private var farNormal: S { @inline(always) get { 0x1p510 } }
  private var farLogistic: S { @inline(always) get { 0x1p1021 } }
  private var softClipLimit: S { @inline(always) get { 1e150 } }
#endif

/// NaN in b is skipped.
@inline(always) private func largest(_ a: V, _ b: V) -> V { a.replacing(with: b, where: b .> a) }

// MARK: Memory

// Part of a vector: n numbers, zeros behind them. Not by the functions for whole vectors, which are not inlined into
// functions as large as these.

@inline(always) private func load(_ p: In, count n: Int) -> V {
  var v = V()
  withUnsafeMutablePointer(to: &v) {
    if n == lanes {
      UnsafeMutableRawPointer($0).copyMemory(from: p, byteCount: MemoryLayout<V>.size)
    } else {
      UnsafeMutableRawPointer($0).copyMemory(from: p, byteCount: n &* MemoryLayout<S>.size)
    }
  }
  return v
}

@inline(always) private func store(_ v: V, _ p: Out, count n: Int) {
  withUnsafePointer(to: v) {
    if n == lanes {
      UnsafeMutableRawPointer(p).copyMemory(from: $0, byteCount: MemoryLayout<V>.size)
    } else {
      UnsafeMutableRawPointer(p).copyMemory(from: $0, byteCount: n &* MemoryLayout<S>.size)
    }
  }
}

/// 8 vectors at least.
struct MixtureBlock {
  var a = SIMD64<Double>()
  @inline(always) init() {}
}
/// For 8 components.
struct SmallMixtureMemory {
  var a = MixtureBlock(), b = MixtureBlock(), c = MixtureBlock()
  var d = MixtureBlock(), e = MixtureBlock(), f = MixtureBlock()
  @inline(always) init() {}
}
/// For 64 components.
struct LargeMixtureMemory {
  var a = SmallMixtureMemory(), b = SmallMixtureMemory(), c = SmallMixtureMemory(), d = SmallMixtureMemory()
  var e = SmallMixtureMemory(), f = SmallMixtureMemory(), g = SmallMixtureMemory(), h = SmallMixtureMemory()
  @inline(always) init() {}
}

/// Six vectors for each component, on the stack; few where that is enough, as they are cleared each time.
@inline(always)
private func withMixtureMemory(_ rule: MixtureRule, _ body: (UnsafeMutablePointer<V>) -> Void) {
  if rule.components <= 8 {
    var memory = SmallMixtureMemory()
    withUnsafeMutablePointer(to: &memory) {
      body(UnsafeMutableRawPointer($0).assumingMemoryBound(to: V.self))
    }
  } else {
    var memory = LargeMixtureMemory()
    withUnsafeMutablePointer(to: &memory) {
      body(UnsafeMutableRawPointer($0).assumingMemoryBound(to: V.self))
    }
  }
}
