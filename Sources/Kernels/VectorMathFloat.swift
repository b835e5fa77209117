// VectorMathDouble.swift in single precision.

#if F32
  @inline(always) func magnitude(_ x: V) -> V {
    unsafeBitCast(unsafeBitCast(x, to: Bits.self) & Bits(repeating: 0x7FFF_FFFF), to: V.self)
  }

  /// The magnitude of x with the sign of s.
  @inline(always) func withSign(_ x: V, of s: V) -> V {
    let sign = unsafeBitCast(s, to: Bits.self) & Bits(repeating: 0x8000_0000)
    return unsafeBitCast(unsafeBitCast(magnitude(x), to: Bits.self) | sign, to: V.self)
  }

  /// Adding it rounds a number below 2^22 in magnitude to an integer, which the low bits of the sum hold.
  private var rounding: V { @inline(always) get { V(repeating: 0x1.8p23) } }
  private var roundingBits: Bits { @inline(always) get { Bits(repeating: 0x4B40_0000) } }

  /// x = n log 2 + r with integer n and |r| <= log(2) / 2: exp(r) - 1, and n.
  @inline(always) private func reducedExponential(_ x: V) -> (expm1: V, n: Bits) {
    let shifted = fma(x, V(repeating: 1.44269504), rounding)
    let n = shifted - rounding
    // log 2 in two parts; n times the first is exact.
    var r = fma(n, V(repeating: -0.693359375), x)
    r = fma(n, V(repeating: 2.1219444e-4), r)
    var q = V(repeating: 0x1.6bec06p-10)
    q = fma(q, r, V(repeating: 0x1.122776p-7))
    q = fma(q, r, V(repeating: 0x1.555674p-5))
    q = fma(q, r, V(repeating: 0x1.5554bp-3))
    q = fma(q, r, V(repeating: 0x1.fffffep-2))
    return (fma(r * r, q, r), unsafeBitCast(shifted, to: Bits.self) &- roundingBits)
  }

  /// e^x. Error at most 1.1 ulp. Overflow gives infinity, underflow subnormal numbers and zero; NaN gives NaN.
  @inline(always) func exp(_ x: V) -> V {
    let low = V(repeating: -104)
    let high = V(repeating: 89.5)
    let bounded = x.replacing(with: low, where: x .< low).replacing(with: high, where: x .> high)
    let (expm1, n) = reducedExponential(bounded)
    // 2^n in two factors, as 2^n itself may lie outside the range of normal numbers.
    let biased = n &+ Bits(repeating: 254)
    let half = biased &>> 1
    let first = unsafeBitCast(half &<< 23, to: V.self)
    let second = unsafeBitCast((biased &- half) &<< 23, to: V.self)
    return (1 + expm1) * first * second
  }

  /// e^x for x <= 0, at least 2^-126. Error at most 1 ulp.
  @inline(always) func expOfNegative(_ x: V) -> V {
    let low = V(repeating: -87)
    let (expm1, n) = reducedExponential(x.replacing(with: low, where: x .< low))
    let scale = unsafeBitCast((n &+ Bits(repeating: 127)) &<< 23, to: V.self)
    return fma(scale, expm1, scale)
  }

  /// e^x - 1 for x <= 0. Error at most 1 ulp.
  @inline(always) func expm1OfNegative(_ x: V) -> V {
    let low = V(repeating: -20)
    let (expm1, n) = reducedExponential(x.replacing(with: low, where: x .< low))
    let scale = unsafeBitCast((n &+ Bits(repeating: 127)) &<< 23, to: V.self)
    return fma(scale, expm1, scale - 1)
  }

  /// log(1 + f) + k log 2 for integer k and 1 + f in [sqrt(1/2), sqrt(2)].
  @inline(always) private func reducedLog(_ f: V, _ k: V) -> V {
    // With s = f / (2 + f): log(1 + f) = 2 atanh s = 2 s + s q(s^2) = f - f^2/2 + s (f^2/2 + q(s^2)).
    let s = f / (2 + f)
    let z = s * s
    var q = V(repeating: 0x1.31e492p-2)
    q = fma(q, z, V(repeating: 0x1.995eacp-2))
    q = fma(q, z, V(repeating: 0x1.55557ap-1))
    let h = f * f * 0.5
    let tail = fma(s, fma(z, q, h), k * -2.1219444e-4)
    return fma(k, V(repeating: 0.693359375), f - (h - tail))
  }

  /// log x. Error at most 0.8 ulp. Zero gives minus infinity, negative numbers and NaN give NaN; subnormal numbers are
  /// right.
  @inline(always) func log(_ x: V) -> V {
    let tiny = x .< V(repeating: 0x1p-126)
    let normal = x.replacing(with: x * 0x1p25, where: tiny)
    let shift = V().replacing(with: V(repeating: 25), where: tiny)
    // x = 2^k m with m in [sqrt(1/2), sqrt(2)): m gets the exponent 0 or -1.
    let half = Bits(repeating: 0x3F35_04F3)
    let bits = unsafeBitCast(normal, to: Bits.self) &+ (Bits(repeating: 0x3F80_0000) &- half)
    let m = unsafeBitCast((bits & Bits(repeating: 0x007F_FFFF)) &+ half, to: V.self)
    let k = unsafeBitCast((bits &>> 23) &+ roundingBits, to: V.self) - (rounding + 127)
    let y = reducedLog(m - 1, k - shift)
    return x.replacing(with: y, where: x .< V(repeating: .infinity))
      .replacing(with: V(repeating: -.infinity), where: x .== 0)
      .replacing(with: V(repeating: .nan), where: x .< 0)
  }

  /// log(1 + u) for 0 <= u <= 1, as accurate.
  @inline(always) func log1pOfFraction(_ u: V) -> V {
    let large = u .> V(repeating: 0.41421357)
    return reducedLog(
      u.replacing(with: (u - 1) * 0.5, where: large), V().replacing(with: V(repeating: 1), where: large))
  }
#endif
