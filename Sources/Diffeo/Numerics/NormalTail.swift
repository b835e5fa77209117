import CLibrary

/// The standard normal distribution beyond t >= 0: log Q(t), Q being the probability, and the hazard phi(t) / Q(t).
func normalTail(_ t: Double) -> (logProbability: Double, hazard: Double) {
  if t < 6 {
    let q = 0.5 * erfc(t * 0.5.squareRoot())
    return (log(q), exp(-0.5 * t * t - halfLogTwoPi) / q)
  }
  // Laplace's continued fraction t + 1/(t + 2/(t + 3/...)), which from 6 on converges in a few terms, and does not
  // underflow where erfc does.
  var hazard = t
  for k in stride(from: 16.0, through: 1, by: -1) { hazard = t + k / hazard }
  return (-0.5 * t * t - halfLogTwoPi - log(hazard), hazard)
}

/// The t >= 0 beyond which log Q(t) is the given number, which is log(1/2) at most.
func normalTailQuantile(_ logProbability: Double) -> Double {
  // Q(t) <= exp(-t^2 / 2) / 2: Newton's method begins on the right and, log Q being concave, comes down to the root.
  var t = max(-2 * (logProbability + 0.6931471805599453), 0).squareRoot()
  for _ in 0..<50 {
    let tail = normalTail(t)
    let next = t + (tail.logProbability - logProbability) / tail.hazard
    if !(next < t) { break }
    t = max(next, 0)
  }
  return t
}

let halfLogTwoPi = 0.9189385332046727
