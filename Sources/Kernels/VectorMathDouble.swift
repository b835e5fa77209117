// Elementary functions of vectors in double precision; VectorMathFloat.swift has the same in single precision. The
// stdlib has none for vectors, and some of its vector functions (rounding, clamping, conversion to integers) are calls
// or loops over lanes: hence the arithmetic on bit patterns. Coefficients: minimax fits (Remez) made for this file.
// Errors are the largest found by Tests/KernelTests, in units of the last place.

@inline(always) func magnitude(_ x: D) -> D {
  unsafeBitCast(unsafeBitCast(x, to: DBits.self) & DBits(repeating: 0x7FFF_FFFF_FFFF_FFFF), to: D.self)
}

/// The magnitude of x with the sign of s.
@inline(always) func withSign(_ x: D, of s: D) -> D {
  let sign = unsafeBitCast(s, to: DBits.self) & DBits(repeating: 0x8000_0000_0000_0000)
  return unsafeBitCast(unsafeBitCast(magnitude(x), to: DBits.self) | sign, to: D.self)
}

/// Adding it rounds a number below 2^51 in magnitude to an integer, which the low bits of the sum hold.
private var roundingDouble: D { @inline(always) get { D(repeating: 0x1.8p52) } }
private var roundingDoubleBits: DBits { @inline(always) get { DBits(repeating: 0x4338_0000_0000_0000) } }

/// x = n log 2 + r with integer n and |r| <= log(2) / 2: exp(r) - 1, and n.
@inline(always) private func reducedExponential(_ x: D) -> (expm1: D, n: DBits) {
  let shifted = fma(x, D(repeating: 1.4426950408889634), roundingDouble)
  let n = shifted - roundingDouble
  // log 2 in two parts; n times the first is exact.
  var r = fma(n, D(repeating: -0x1.62e42feep-1), x)
  r = fma(n, D(repeating: -0x1.a39ef35793c76p-33), r)
  var q = D(repeating: 2.087533532089229e-09)
  q = fma(q, r, D(repeating: 2.5108978668277327e-08))
  q = fma(q, r, D(repeating: 2.7557402625656725e-07))
  q = fma(q, r, D(repeating: 2.7557244374768225e-06))
  q = fma(q, r, D(repeating: 2.480158717255809e-05))
  q = fma(q, r, D(repeating: 0.00019841269885965406))
  q = fma(q, r, D(repeating: 0.0013888888888962361))
  q = fma(q, r, D(repeating: 0.008333333333321691))
  q = fma(q, r, D(repeating: 0.04166666666666651))
  q = fma(q, r, D(repeating: 0.16666666666666677))
  q = fma(q, r, D(repeating: 0.5))
  return (fma(r * r, q, r), unsafeBitCast(shifted, to: DBits.self) &- roundingDoubleBits)
}

/// e^x. Error at most 1 ulp. Overflow gives infinity, underflow subnormal numbers and zero; NaN gives NaN.
@inline(always) func exp(_ x: D) -> D {
  let low = D(repeating: -746)
  let high = D(repeating: 710.5)
  let bounded = x.replacing(with: low, where: x .< low).replacing(with: high, where: x .> high)
  let (expm1, n) = reducedExponential(bounded)
  // 2^n in two factors, as 2^n itself may lie outside the range of normal numbers.
  let biased = n &+ DBits(repeating: 2046)
  let half = biased &>> 1
  let first = unsafeBitCast(half &<< 52, to: D.self)
  let second = unsafeBitCast((biased &- half) &<< 52, to: D.self)
  return (1 + expm1) * first * second
}

/// e^x for x <= 0, at least 2^-1022. Error at most 1 ulp.
@inline(always) func expOfNegative(_ x: D) -> D {
  let low = D(repeating: -708)
  let (expm1, n) = reducedExponential(x.replacing(with: low, where: x .< low))
  let scale = unsafeBitCast((n &+ DBits(repeating: 1023)) &<< 52, to: D.self)
  return fma(scale, expm1, scale)
}

/// e^x - 1 for x <= 0. Error at most 1.1 ulp.
@inline(always) func expm1OfNegative(_ x: D) -> D {
  let low = D(repeating: -50)
  let (expm1, n) = reducedExponential(x.replacing(with: low, where: x .< low))
  let scale = unsafeBitCast((n &+ DBits(repeating: 1023)) &<< 52, to: D.self)
  return fma(scale, expm1, scale - 1)
}

/// log(1 + f) + k log 2 for integer k and 1 + f in [sqrt(1/2), sqrt(2)].
@inline(always) private func reducedLog(_ f: D, _ k: D) -> D {
  // With s = f / (2 + f): log(1 + f) = 2 atanh s = 2 s + s q(s^2) = f - f^2/2 + s (f^2/2 + q(s^2)).
  let s = f / (2 + f)
  let z = s * s
  var q = D(repeating: 0.14796647005438585)
  q = fma(q, z, D(repeating: 0.15313985656663243))
  q = fma(q, z, D(repeating: 0.18183566661681397))
  q = fma(q, z, D(repeating: 0.22222198532458892))
  q = fma(q, z, D(repeating: 0.2857142874273857))
  q = fma(q, z, D(repeating: 0.39999999999413344))
  q = fma(q, z, D(repeating: 0.6666666666666734))
  let h = f * f * 0.5
  let tail = fma(s, fma(z, q, h), k * 0x1.a39ef35793c76p-33)
  return fma(k, D(repeating: 0x1.62e42feep-1), f - (h - tail))
}

/// log x - shift log 2 for positive, normal and finite x.
@inline(always) func logOfNormal(_ x: D, shift: D = D()) -> D {
  // x = 2^k m with m in [sqrt(1/2), sqrt(2)): m gets the exponent 0 or -1.
  let half = DBits(repeating: 0x3FE6_A09E_0000_0000)
  let bits = unsafeBitCast(x, to: DBits.self) &+ (DBits(repeating: 0x3FF0_0000_0000_0000) &- half)
  let m = unsafeBitCast((bits & DBits(repeating: 0x000F_FFFF_FFFF_FFFF)) &+ half, to: D.self)
  let k = unsafeBitCast((bits &>> 52) &+ roundingDoubleBits, to: D.self) - (roundingDouble + 1023)
  return reducedLog(m - 1, k - shift)
}

/// log x. Error at most 0.8 ulp. Zero gives minus infinity, negative numbers and NaN give NaN; subnormal numbers are
/// right.
@inline(always) func log(_ x: D) -> D {
  let tiny = x .< D(repeating: 0x1p-1022)
  let normal = x.replacing(with: x * 0x1p54, where: tiny)
  let y = logOfNormal(normal, shift: D().replacing(with: D(repeating: 54), where: tiny))
  return x.replacing(with: y, where: x .< D(repeating: .infinity))
    .replacing(with: D(repeating: -.infinity), where: x .== 0)
    .replacing(with: D(repeating: .nan), where: x .< 0)
}

/// log(1 + u) for 0 <= u <= 1, as accurate.
@inline(always) func log1pOfFraction(_ u: D) -> D {
  let large = u .> D(repeating: 0.41421356237309503)
  return reducedLog(
    u.replacing(with: (u - 1) * 0.5, where: large), D().replacing(with: D(repeating: 1), where: large))
}

/// cos(2 pi u) and sin(2 pi u) for 0 <= u <= 1. Errors near 1 ulp.
@inline(always) func cosSinOfTurns(_ u: D) -> (cos: D, sin: D) {
  // u = n / 4 + f with |f| <= 1/8, exactly.
  let shifted = fma(u, D(repeating: 4), roundingDouble)
  let n = unsafeBitCast(shifted, to: DBits.self)
  let f = fma(shifted - roundingDouble, D(repeating: -0.25), u)
  let z = f * f
  var c = D(repeating: -1.6970200857398092)
  c = fma(c, z, D(repeating: 7.9031016383056265))
  c = fma(c, z, D(repeating: -26.42625114043583))
  c = fma(c, z, D(repeating: 60.24464133161173))
  c = fma(c, z, D(repeating: -85.45681720654005))
  c = fma(c, z, D(repeating: 64.93939402266801))
  c = fma(c, z, D(repeating: -19.739208802178716))
  c = fma(c, z, D(repeating: 1))
  var s = D(repeating: 3.7813664127568893)
  s = fma(s, z, D(repeating: -15.093829323064197))
  s = fma(s, z, D(repeating: 42.05868550676427))
  s = fma(s, z, D(repeating: -76.70585970878481))
  s = fma(s, z, D(repeating: 81.60524927596823))
  s = fma(s, z, D(repeating: -41.34170224039968))
  s = fma(s, z, D(repeating: 6.283185307179586)) * f
  // A quarter turn swaps them (by bits, as comparing vectors of integers is a loop over lanes); the signs are those of
  // quarters 1, 2 and 2, 3.
  let cosBits = unsafeBitCast(c, to: DBits.self)
  let sinBits = unsafeBitCast(s, to: DBits.self)
  let swap = (cosBits ^ sinBits) & (DBits() &- (n & 1))
  let cosineSign = ((n &+ 1) & 2) &<< 62
  let sineSign = (n & 2) &<< 62
  return (
    unsafeBitCast(cosBits ^ swap ^ cosineSign, to: D.self), unsafeBitCast(sinBits ^ swap ^ sineSign, to: D.self)
  )
}
