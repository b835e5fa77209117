import KernelInterface

// The loops choose the function anew for each vector, a branch that is always predicted, so that the code of each
// function exists once. The last ones have loops of their own: in one the compiler would not inline all that they consist
// of.

func activate(_ f: Activation, _ count: Int, _ a: In, _ h: Out) {
  inVectors(count, Streams(a, a, a, h, h)) {
    switch f {
    case .mish: mishVectors($0, $1.a, $1.g)
    case .hardSilu: hardSiluVectors($0, $1.a, $1.g)
    default: activateVectors(f, $0, $1.a, $1.g)
    }
  }
}

@inline(never) func activateVectors(_ f: Activation, _ count: Int, _ a: In, _ h: Out) {
  var i = 0
  while i < count {
    store(value(f, load(a, i)), h, i)
    i &+= lanes
  }
}

func activatePullback(_ f: Activation, _ count: Int, _ a: In, _ h: In, _ g: Out) {
  // Derivatives come from the input or from the output, never both. a may be missing where it is not needed.
  let from = f.needsInput ? a : h
  inVectors(count, Streams(from, from, from, g, g)) {
    switch f {
    case .mish: mishPullbackVectors($0, $1.a, $1.g)
    case .hardSilu: hardSiluPullbackVectors($0, $1.a, $1.g)
    default: activatePullbackVectors(f, $0, $1.a, $1.g)
    }
  }
}

/// g *= f', from x
@inline(never) func activatePullbackVectors(_ f: Activation, _ count: Int, _ x: In, _ g: Out) {
  var i = 0
  while i < count {
    store(load(g, i) * derivative(f, load(x, i)), g, i)
    i &+= lanes
  }
}

private var leakySlope: V { @inline(always) get { V(repeating: 0.01) } }

@inline(always) private func value(_ f: Activation, _ a: V) -> V {
  switch f {
  case .relu: return positivePart(a)
  case .tanh: return tanh(a)
  case .elu: return a.replacing(with: expm1OfNegative(a), where: a .< 0)
  case .silu: return weighted(a, bySigmoidOf: a)
  case .leakyReLU: return a.replacing(with: a * leakySlope, where: a .< 0)
  case .softplus: return softplus(a)
  case .sigmoid: return sigmoid(a)
  case .gelu: return weighted(a, bySigmoidOf: geluArgument(a))
  case .geluErf, .mish, .hardSilu: return finiteBelow(a) * normalCDF(a).value  // the others do not come here
  }
}

/// -inf times 0 would be NaN.
@inline(always) private func finiteBelow(_ a: V) -> V {
  let least = V(repeating: -S.greatestFiniteMagnitude)
  return a.replacing(with: least, where: a .< least)
}

/// (u^2 - 1) / (u^2 + 1) with u = 1 + exp(a), and 1 - that: quotients of sums of powers of e = exp(-|a|).
@inline(always) private func tanhOfSoftplus(_ a: V) -> (value: V, complement: V) {
  let e = exp(-magnitude(a))
  let negative = a .< 0
  let above = fma(e, V(repeating: 2), V(repeating: 1)).replacing(with: e * (e + 2), where: negative)
  let rest = (e * e * 2).replacing(with: V(repeating: 2), where: negative)
  let per = 1 / (above + rest)
  return (above * per, rest * per)
}

/// The derivative from the input of what `needsInput` names, from the output of the others.
@inline(always) private func derivative(_ f: Activation, _ x: V) -> V {
  let one = V(repeating: 1)
  switch f {
  // Neither comparison holds for NaN, which stays.
  case .relu: return x.replacing(with: one, where: x .> 0).replacing(with: V(), where: x .<= 0)
  case .leakyReLU: return x.replacing(with: one, where: x .> 0).replacing(with: leakySlope, where: x .<= 0)
  case .tanh: return fma(-x, x, one)
  case .elu: return (x + one).replacing(with: one, where: x .> 0)
  case .softplus: return -expm1OfNegative(-x)
  case .sigmoid: return x * (one - x)
  case .silu:
    // Beyond 1e4 in magnitude the derivative is 0 or 1.
    let (s, complement) = sigmoidAndComplement(x)
    return s * fma(limited(x, V(repeating: 1e4)), complement, one)
  case .gelu:
    // Beyond 50 in magnitude the derivative is 0 or 1.
    let a = limited(x, V(repeating: 50))
    let (s, complement) = sigmoidAndComplement(geluArgument(a))
    return s * fma(a * complement, geluArgumentSlope(a), one)
  case .geluErf, .mish, .hardSilu:  // the others do not come here
    let a = limited(x, V(repeating: 50))
    let (value, density) = normalCDF(a)
    return fma(a, density, value)
  }
}

@inline(never) func mishVectors(_ count: Int, _ a: In, _ h: Out) {
  var i = 0
  while i < count {
    let a = load(a, i)
    store(finiteBelow(a) * tanhOfSoftplus(a).value, h, i)
    i &+= lanes
  }
}

@inline(never) func mishPullbackVectors(_ count: Int, _ x: In, _ g: Out) {
  var i = 0
  while i < count {
    // Infinity times 0 would be NaN; there exp(-|a|) is 0.
    let a = limited(load(x, i), V(repeating: 1000))
    let (t, complement) = tanhOfSoftplus(a)
    store(load(In(g), i) * fma(a * complement * (1 + t), sigmoid(a), t), g, i)
    i &+= lanes
  }
}

@inline(never) func hardSiluVectors(_ count: Int, _ a: In, _ h: Out) {
  var i = 0
  while i < count {
    let a = load(a, i)
    store(finiteBelow(a) * ((limited(a, V(repeating: 3)) + 3) / 6), h, i)
    i &+= lanes
  }
}

@inline(never) func hardSiluPullbackVectors(_ count: Int, _ x: In, _ g: Out) {
  var i = 0
  while i < count {
    let x = load(x, i)
    let slope = fma(x, V(repeating: 1 / 3), V(repeating: 0.5))
      .replacing(with: V(), where: x .<= -3).replacing(with: V(repeating: 1), where: x .>= 3)
    store(load(In(g), i) * slope, g, i)
    i &+= lanes
  }
}

func add(_ count: Int, _ x: In, _ y: Out) {
  inVectors(count, Streams(x, x, x, y, y)) { addVectors($0, $1.a, $1.g) }
}

@inline(never) func addVectors(_ count: Int, _ x: In, _ y: Out) {
  var i = 0
  while i < count {
    store(load(y, i) + load(x, i), y, i)
    i &+= lanes
  }
}
