// Functions made of exp and log, for vectors of either scalar. NaN gives NaN.

/// max(a, 0) that keeps NaN.
@inline(always) func positivePart(_ a: V) -> V { a.replacing(with: V(), where: a .< 0) }

/// a between -limit and limit, NaN kept.
@inline(always) func limited(_ a: V, _ limit: V) -> V {
  a.replacing(with: limit, where: a .> limit).replacing(with: -limit, where: a .< -limit)
}

/// a sigmoid(u) where u follows a. At minus infinity it is 0, the limit. Error at most 3 ulp for u = a while the
/// sigmoid is normal.
@inline(always) func weighted(_ a: V, bySigmoidOf u: V) -> V {
  let least = V(repeating: -S.greatestFiniteMagnitude)
  return a.replacing(with: least, where: a .< least) * sigmoid(u)
}

/// a / (1 + |a| / c) for c = 1 / perBound, and its quotient by a, whose square is the derivative.
@inline(always) func softClip(_ a: V, _ perBound: V) -> (value: V, root: V) {
  // Bounds that no c tells from infinity, and whose quotient by c does not overflow.
  #if F32
    let a = limited(a, V(repeating: 1e18))
  #else
    let a = limited(a, V(repeating: 1e150))
  #endif
  let root = 1 / fma(magnitude(a), perBound, V(repeating: 1))
  return (a * root, root)
}

/// 1 / (1 + e^-a), right down to subnormal results. Error at most 1.8 ulp.
@inline(always) func sigmoid(_ a: V) -> V {
  let e = exp(-magnitude(a))
  let d = 1 + e
  let q = V(repeating: 1).replacing(with: e, where: a .< 0) / d
  // What rounding took from d is q's loss too, nearly in full where it counts, at small e.
  let lost = (1 - d) + e
  return fma(-lost, q, q)
}

/// sigmoid(a) and 1 - sigmoid(a) = sigmoid(-a).
@inline(always) func sigmoidAndComplement(_ a: V) -> (V, V) {
  let e = exp(-magnitude(a))
  let larger = 1 / (1 + e)
  let smaller = e * larger
  let negative = a .< 0
  return (larger.replacing(with: smaller, where: negative), smaller.replacing(with: larger, where: negative))
}

/// log(1 + e^a). Error at most 1.6 ulp.
@inline(always) func softplus(_ a: V) -> V { positivePart(a) + log1pOfFraction(exp(-magnitude(a))) }

/// softplus(a) and its derivative sigmoid(a).
@inline(always) func softplusAndSlope(_ a: V) -> (V, V) {
  let e = exp(-magnitude(a))
  return (positivePart(a) + log1pOfFraction(e), V(repeating: 1).replacing(with: e, where: a .< 0) / (1 + e))
}

/// (1 - e^-2|a|) / (1 + e^-2|a|) with the sign of a. Error at most 2.5 ulp.
@inline(always) func tanh(_ a: V) -> V {
  let e = expm1OfNegative(magnitude(a) * -2)
  return withSign(e / (2 + e), of: a)
}

/// The angle whose tangent is a. Error at most 2.2 ulp. Cephes: atan a = pi/2 - atan(1/a) for large |a|, in the middle
/// pi/4 + atan((|a| - 1) / (|a| + 1)).
@inline(always) func atan(_ a: V) -> V {
  let x = magnitude(a)
  let large = x .> V(repeating: 2.414213562373095)
  #if F32
    let middle = (x .> V(repeating: 0.41421356)) .& .!large
  #else
    let middle = (x .> V(repeating: 0.66)) .& .!large
  #endif
  let one = V(repeating: 1)
  let above = x.replacing(with: x - 1, where: middle).replacing(with: -one, where: large)
  let below = one.replacing(with: x + 1, where: middle).replacing(with: x, where: large)
  let start = V().replacing(with: V(repeating: 0.7853981633974483), where: middle)
    .replacing(with: V(repeating: 1.5707963267948966), where: large)
  // What rounding takes from start.
  #if F32
    let lost = V().replacing(with: V(repeating: -2.1855694e-8), where: middle)
      .replacing(with: V(repeating: -4.371139e-8), where: large)
  #else
    let lost = V().replacing(with: V(repeating: 3.061616997868383e-17), where: middle)
      .replacing(with: V(repeating: 6.123233995736766e-17), where: large)
  #endif
  let u = above / below
  let z = u * u
  #if F32
    var q = V(repeating: 8.05374449538e-2)
    q = fma(q, z, V(repeating: -1.38776856032e-1))
    q = fma(q, z, V(repeating: 1.99777106478e-1))
    q = fma(q, z, V(repeating: -3.33329491539e-1)) * z
  #else
    var p = V(repeating: -8.750608600031904e-1)
    p = fma(p, z, V(repeating: -1.6157537187333652e1))
    p = fma(p, z, V(repeating: -7.500855792314705e1))
    p = fma(p, z, V(repeating: -1.2288666844901361e2))
    p = fma(p, z, V(repeating: -6.485021904942025e1))
    var r = z + V(repeating: 2.485846490142306e1)
    r = fma(r, z, V(repeating: 1.6502700983169885e2))
    r = fma(r, z, V(repeating: 4.328810604912903e2))
    r = fma(r, z, V(repeating: 4.853903996359137e2))
    r = fma(r, z, V(repeating: 1.945506571482614e2))
    let q = z * p / r
  #endif
  return withSign(start + (fma(u, q, u) + lost), of: a)
}

/// The argument of the sigmoid in gelu(a) = a sigmoid(2 sqrt(2/pi) (a + 0.044715 a^3)), which equals the usual
/// a (1 + tanh(sqrt(2/pi) (a + 0.044715 a^3))) / 2 and does not cancel for negative a.
@inline(always) func geluArgument(_ a: V) -> V {
  a * fma(a * a, V(repeating: 0.07135481627260025), V(repeating: 1.5957691216057308))
}

/// The derivative of geluArgument.
@inline(always) func geluArgumentSlope(_ a: V) -> V {
  fma(a * a, V(repeating: 0.21406444881780076), V(repeating: 1.5957691216057308))
}
