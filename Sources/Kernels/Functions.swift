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

/// The argument of the sigmoid in gelu(a) = a sigmoid(2 sqrt(2/pi) (a + 0.044715 a^3)), which equals the usual
/// a (1 + tanh(sqrt(2/pi) (a + 0.044715 a^3))) / 2 and does not cancel for negative a.
@inline(always) func geluArgument(_ a: V) -> V {
  a * fma(a * a, V(repeating: 0.07135481627260025), V(repeating: 1.5957691216057308))
}

/// The derivative of geluArgument.
@inline(always) func geluArgumentSlope(_ a: V) -> V {
  fma(a * a, V(repeating: 0.21406444881780076), V(repeating: 1.5957691216057308))
}
