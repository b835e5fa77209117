import CLibrary

/// log(Γ(a) Γ(b) / Γ(a + b)), for a, b > 0. As a sum of three log Γ it would cancel for large a and b; and libm's lgamma
/// writes to a global variable.
func logBeta(_ a: Double, _ b: Double) -> Double {
  // Up to where the series converges, by B(a, b) = B(a + 1, b) (a + b) / a.
  var (a, b, ratio) = (a, b, 1.0)
  while a < 16 {
    ratio *= (a + b) / a
    a += 1
  }
  while b < 16 {
    ratio *= (a + b) / b
    b += 1
  }
  let sum = a + b
  return log(ratio) + (a - 0.5) * -log1p(b / a) + b * -log1p(a / b) - 0.5 * log(b) + halfLogTwoPi
    + (stirlingRest(a) + stirlingRest(b) - stirlingRest(sum))
}

/// log Γ(x) less (x - 1/2) log x - x + log(2 pi) / 2, for x >= 16 (NIST Handbook, 5.11.1).
private func stirlingRest(_ x: Double) -> Double {
  let z = 1 / (x * x)
  return (1 / 12 + z * (-1 / 360 + z * (1 / 1260 + z * (-1 / 1680 + z * (1 / 1188 - z * (691 / 360360)))))) / x
}

/// The beta distribution of x in (0, 1), density x^(alpha - 1) (1 - x)^(beta - 1) / B.
struct BetaDistribution {
  let alpha, beta: Double
  let logB: Double

  init(alpha: Double, beta: Double) {
    self.alpha = alpha
    self.beta = beta
    logB = logBeta(alpha, beta)
  }

  /// For 1 - x.
  var mirrored: BetaDistribution { BetaDistribution(alpha: beta, beta: alpha, logB: logB) }

  private init(alpha: Double, beta: Double, logB: Double) {
    self.alpha = alpha
    self.beta = beta
    self.logB = logB
  }

  /// The x below which the probability is u, 0 < u <= 1/2, as log(x / (1 - x)). The logarithm of the distribution function
  /// is concave in that: Newton's method ascends to the root from the left, where its second step has come at the latest.
  func logitOfQuantile(_ u: Double) -> Double {
    let logU = log(u)
    // x^alpha / (alpha B), which the distribution function is near 0.
    let start = (logU + log(alpha) + logB) / alpha
    var y = min(start, log(alpha / beta))
    for step in 0..<100 {
      let (logF, slope) = distributionFunction(logit: y)
      let next = y + (logU - logF) / slope
      if step > 0, !(next > y) { break }
      y = next
    }
    return y
  }

  /// Its logarithm at x = 1 / (1 + e^-y), and the derivative of that in y.
  private func distributionFunction(logit y: Double) -> (log: Double, slope: Double) {
    let logMass = -alpha * softplus(-y) - beta * softplus(y) - logB
    let x = sigmoid(y)
    if x < (alpha + 1) / (alpha + beta + 2) {
      let fraction = continuedFraction(x, alpha, beta)
      return (logMass + log(fraction / alpha), alpha / fraction)
    }
    let mass = exp(logMass)
    let value = 1 - mass * continuedFraction(sigmoid(-y), beta, alpha) / beta
    return (log(value), mass / value)
  }

  /// Of the regularised incomplete beta function, without its factor x^a (1 - x)^b / (a B), by Lentz's method (NIST
  /// Handbook, 8.17.22).
  private func continuedFraction(_ x: Double, _ a: Double, _ b: Double) -> Double {
    var (c, d) = (1.0, 1 / (1 - (a + b) * x / (a + 1)))
    var fraction = d
    for k in 1..<2000 {
      let m = Double(k)
      let even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
      d = 1 / (1 + even * d)
      c = 1 + even / c
      fraction *= c * d
      let odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
      d = 1 / (1 + odd * d)
      c = 1 + odd / c
      fraction *= c * d
      if abs(c * d - 1) < 1e-15 { break }
    }
    return fraction
  }
}
