// The standard normal distribution: its upper tail Q(u) = erfc(u / sqrt 2) / 2, without the factor that underflows, and its
// distribution function.

/// Q(u) e^(u^2 / 2) for u >= 0, that is erfcx(u / sqrt 2) / 2: falls from 1/2 like 1 / (u sqrt(2 pi)). Error at most
/// 5.2 ulp, that of the factor e^(-u^2 / 2) which makes it Q(u) included.
///
/// With r = 1 / (u + 4) the function divided by r is smooth in 1 - 8 r, which maps all u >= 0 to [-1, 1) (as in Shepherd
/// and Laframboise 1981): a polynomial made for this file, by interpolation at the nodes of Chebyshev.
@inline(always) func scaledNormalTail(_ u: V) -> V {
  let r = 1 / (u + 4)
  let z = fma(r, V(repeating: -8), V(repeating: 1))
  #if F32
    var q = V(repeating: -2.1070768e-07)
    q = fma(q, z, V(repeating: 2.1150478e-05))
    q = fma(q, z, V(repeating: -1.0999026e-06))
    q = fma(q, z, V(repeating: -0.00021548405))
    q = fma(q, z, V(repeating: 0.00013294462))
    q = fma(q, z, V(repeating: 0.00162195))
    q = fma(q, z, V(repeating: -0.003479588))
    q = fma(q, z, V(repeating: -0.0075376774))
    q = fma(q, z, V(repeating: 0.060396563))
    q = fma(q, z, V(repeating: -0.18652217))
    q = fma(q, z, V(repeating: 0.3871374))
    q = fma(q, z, V(repeating: -0.6078966))
    q = fma(q, z, V(repeating: 0.75528514))
  #else
    var q = V(repeating: -4.445136353605862e-11)
    q = fma(q, z, V(repeating: 1.1696529105076675e-10))
    q = fma(q, z, V(repeating: 6.292078679667772e-10))
    q = fma(q, z, V(repeating: -8.510067291525694e-10))
    q = fma(q, z, V(repeating: -4.560985282531475e-09))
    q = fma(q, z, V(repeating: 1.4229543969952314e-09))
    q = fma(q, z, V(repeating: 2.281718958450826e-08))
    q = fma(q, z, V(repeating: 1.4646717608478525e-08))
    q = fma(q, z, V(repeating: -8.836619569126603e-08))
    q = fma(q, z, V(repeating: -1.5651866434607109e-07))
    q = fma(q, z, V(repeating: 2.735553067099946e-07))
    q = fma(q, z, V(repeating: 1.0225715175515716e-06))
    q = fma(q, z, V(repeating: -6.303827237271143e-07))
    q = fma(q, z, V(repeating: -5.9205916412860635e-06))
    q = fma(q, z, V(repeating: 7.168454813833569e-07))
    q = fma(q, z, V(repeating: 3.5144796375948626e-05))
    q = fma(q, z, V(repeating: -1.9082891229431116e-06))
    q = fma(q, z, V(repeating: -0.000231094953562083))
    q = fma(q, z, V(repeating: 0.00013334431569876615))
    q = fma(q, z, V(repeating: 0.0016308184594349203))
    q = fma(q, z, V(repeating: -0.003479692367597778))
    q = fma(q, z, V(repeating: -0.007540188966828071))
    q = fma(q, z, V(repeating: 0.06039657489094285))
    q = fma(q, z, V(repeating: -0.18652185795965473))
    q = fma(q, z, V(repeating: 0.3871374007422145))
    q = fma(q, z, V(repeating: -0.6078966419718921))
    q = fma(q, z, V(repeating: 0.7552851304157515))
  #endif
  return q * r
}

/// The standard normal distribution function (1 + erf(a / sqrt 2)) / 2 and its density. Error of the first at most 5.5 ulp
/// while it is normal.
@inline(always) func normalCDF(_ a: V) -> (value: V, density: V) {
  // Beyond 40 the tail is 0 in double precision, too.
  let u = magnitude(limited(a, V(repeating: 40)))
  let decay = gaussian(u)
  let tail = scaledNormalTail(u) * decay
  return ((1 - tail).replacing(with: tail, where: a .< 0), decay * V(repeating: 0.3989422804014327))
}

/// e^(-u^2 / 2) for 0 <= u <= 40. It would magnify what rounding takes from the square, which is kept: the upper half of
/// the bits of u has a square without rounding.
@inline(always) private func gaussian(_ u: V) -> V {
  #if F32
    let upper = unsafeBitCast(unsafeBitCast(u, to: Bits.self) & Bits(repeating: 0xFFFF_F000), to: V.self)
  #else
    let upper = unsafeBitCast(
      unsafeBitCast(u, to: Bits.self) & Bits(repeating: 0xFFFF_FFFF_F800_0000), to: V.self)
  #endif
  let first = upper * upper
  let rest = (u - upper) * (u + upper)
  let square = first + rest
  let lost = (first - square) + rest
  let decay = exp(square * -0.5)
  return fma(lost * -0.5, decay, decay)
}
