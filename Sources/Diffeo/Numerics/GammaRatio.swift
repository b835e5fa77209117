import CLibrary

/// log(Γ(x + 1/2) / Γ(x)) and its derivative ψ(x + 1/2) - ψ(x), for x > 0. As differences of two log Γ and two digamma
/// functions they would cancel for large x; and libm's lgamma writes to a global variable.
func logGammaRatio(_ x: Double) -> (value: Double, derivative: Double) {
  // Up to where the series converges, by Γ(x + 1) = x Γ(x).
  var (x, ratio, slope) = (x, 1.0, 0.0)
  while x < 16 {
    ratio *= x / (x + 0.5)
    slope += 0.5 / (x * (x + 0.5))
    x += 1
  }
  // Minus (1 - 4^-n) B_2n / (n (2n - 1)) x^(1 - 2n), n = 1, 2, ... (NIST Handbook, 5.11.8)
  let (y, z) = (1 / x, 1 / (x * x))
  let series =
    y * (-1 / 8 + z * (1 / 192 + z * (-1 / 640 + z * (17 / 14336 + z * (-31 / 18432 + z * (691 / 180224))))))
  let seriesSlope =
    z * (1 / 8 + z * (-3 / 192 + z * (5 / 640 + z * (-119 / 14336 + z * (279 / 18432 - z * (7601 / 180224))))))
  return (0.5 * log(x) + series + log(ratio), 0.5 * y + seriesSlope + slope)
}
