// Two 16-bit draws come from a word of Philox. In single precision its 64-bit lanes (see Normals.swift) hold every
// other row, so that two of its vectors, put together, are the words of the rows in their order.

func dropout(_ seed: UInt64, _ firstRow: UInt64, _ units: Int, _ stride: Int, _ dropped: Int, _ multipliers: Out) {
  let kept = V(repeating: dropped < 65536 ? S(65536 / Double(65536 &- dropped)) : 0)
  let threshold = Bits(repeating: numericBits(dropped))
  var unit = 0
  while unit < units {
    var r = 0
    while r < stride {
      let out = multipliers + (unit &* stride &+ r)
      let words = Words(seed, firstRow &+ UInt64(truncatingIfNeeded: r), UInt64(truncatingIfNeeded: unit / 8))
      storeTwo(words.w0, kept, threshold, out, stride)
      storeTwo(words.w1, kept, threshold, out + 2 &* stride, stride)
      storeTwo(words.w2, kept, threshold, out + 4 &* stride, stride)
      storeTwo(words.w3, kept, threshold, out + 6 &* stride, stride)
      r &+= lanes
    }
    unit &+= 8
  }
}

/// The four words of each of `lanes` rows.
private struct Words {
  let w0, w1, w2, w3: Bits

  @inline(always) init(_ seed: UInt64, _ firstRow: UInt64, _ counter: UInt64) {
    var k0 = DBits(repeating: seed & 0xFFFF_FFFF)
    var k1 = DBits(repeating: seed &>> 32)
    var round = 0
    #if F32
      var a = Philox(DBits(repeating: firstRow) &+ (places &<< 1), counter, stream: 2)
      var b = Philox(DBits(repeating: firstRow &+ 1) &+ (places &<< 1), counter, stream: 2)
    #else
      var a = Philox(DBits(repeating: firstRow) &+ places, counter, stream: 2)
    #endif
    while round < 10 {
      a.round(k0, k1)
      #if F32
        b.round(k0, k1)
      #endif
      k0 &+= DBits(repeating: 0x9E37_79B9)
      k1 &+= DBits(repeating: 0xBB67_AE85)
      round &+= 1
    }
    #if F32
      (w0, w1, w2, w3) = (inTurns(a.c0, b.c0), inTurns(a.c1, b.c1), inTurns(a.c2, b.c2), inTurns(a.c3, b.c3))
    #else
      (w0, w1, w2, w3) = (a.c0, a.c1, a.c2, a.c3)
    #endif
  }
}

/// 0, 1...
@inline(always) private var places: DBits {
  #if AVX512
    DBits(0, 1, 2, 3, 4, 5, 6, 7)
  #elseif AVX2
    DBits(0, 1, 2, 3)
  #else
    DBits(0, 1)
  #endif
}

#if F32
  @inline(always) private func numericBits(_ x: Int) -> UInt32 { UInt32(truncatingIfNeeded: x) }

  @inline(always) private func inTurns(_ even: DBits, _ odd: DBits) -> Bits {
    unsafeBitCast((even & DBits(repeating: 0xFFFF_FFFF)) | (odd &<< 32), to: Bits.self)
  }
#else
  @inline(always) private func numericBits(_ x: Int) -> UInt64 { UInt64(truncatingIfNeeded: x) }
#endif

/// By the lower and by the upper half of a word.
@inline(always)
private func storeTwo(_ word: Bits, _ kept: V, _ threshold: Bits, _ out: Out, _ stride: Int) {
  let half = Bits(repeating: 0xFFFF)
  store(kept.replacing(with: V(), where: (word & half) .< threshold), out, 0)
  store(kept.replacing(with: V(), where: ((word &>> 16) & half) .< threshold), out, stride)
}
