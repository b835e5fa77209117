// Standard normal numbers by Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011) and Box and Muller (1958). A vector
// holds pairs of numbers, of the features 2 pair and 2 pair + 1 of some rows; the 32-bit words of Philox lie in the low
// halves of 64-bit lanes, where the processor multiplies 32 x 32 bits to 64.

func normals(_ seed: UInt64, _ firstRow: UInt64, _ features: Int, _ stride: Int, _ z: Out) {
  let key = PhiloxKey(seed)
  let pairs = (features &+ 1) / 2
  // Lanes take the (pair, row) one after another; they are neighbours in the tile unless it has few rows.
  let aligned = stride & (doubleLanes &- 1) == 0
  var place = Place(stride: stride)
  while place.pair < pairs {
    let start = place
    var rows = DBits(), counters = DBits()
    if aligned {
      rows = DBits(repeating: firstRow &+ UInt64(truncatingIfNeeded: place.row)) &+ laneNumbers
      counters = DBits(repeating: UInt64(truncatingIfNeeded: place.pair))
      place.advance(by: doubleLanes)
    } else {
      var lane = 0
      while lane < doubleLanes {
        rows[lane] = firstRow &+ UInt64(truncatingIfNeeded: place.row)
        counters[lane] = UInt64(truncatingIfNeeded: place.pair)
        place.advance(by: 1)
        lane &+= 1
      }
    }
    let (even, odd) = normalPair(key, rows, counters)
    if aligned {
      storeRounded(even, z + start.index)
      if 2 &* start.pair &+ 1 < features { storeRounded(odd, z + (start.index &+ stride)) }
    } else {
      var at = start
      var lane = 0
      while lane < doubleLanes && at.pair < pairs {
        z[at.index] = S(even[lane])
        if 2 &* at.pair &+ 1 < features { z[at.index &+ stride] = S(odd[lane]) }
        at.advance(by: 1)
        lane &+= 1
      }
    }
  }
}

/// A row of features 2 pair and 2 pair + 1.
private struct Place {
  var stride: Int
  var pair = 0
  var row = 0

  @inline(always) init(stride: Int) { self.stride = stride }

  /// Where the value of feature 2 pair is.
  @inline(always) var index: Int { 2 &* pair &* stride &+ row }

  @inline(always) mutating func advance(by rows: Int) {
    row &+= rows
    if row == stride {
      row = 0
      pair &+= 1
    }
  }
}

@inline(always) private var laneNumbers: DBits {
  #if AVX512
    return DBits(0, 1, 2, 3, 4, 5, 6, 7)
  #elseif AVX2
    return DBits(0, 1, 2, 3)
  #else
    return DBits(0, 1)
  #endif
}

@inline(always) private func storeRounded(_ v: D, _ z: Out) {
  #if F32
    UnsafeMutableRawPointer(z).storeBytes(of: Half(v), as: Half.self)
  #else
    store(v, z, 0)
  #endif
}

/// The key of Philox, from which each of the ten rounds derives its own.
struct PhiloxKey {
  var low, high: UInt32

  @inline(always) init(_ seed: UInt64) {
    low = UInt32(truncatingIfNeeded: seed)
    high = UInt32(truncatingIfNeeded: seed &>> 32)
  }
}

/// Philox4x32-10. The words of the result have zeros above; of the counter only the low halves count.
@inline(always)
func philox(
  _ key: PhiloxKey, _ c0: DBits, _ c1: DBits, _ c2: DBits, _ c3: DBits
) -> (DBits, DBits, DBits, DBits) {
  let low = DBits(repeating: 0xFFFF_FFFF)
  var (c0, c1, c2, c3) = (c0, c1, c2, c3)
  var k0 = key.low, k1 = key.high
  var round = 0
  while round < 10 {
    let p0 = (c0 & low) &* DBits(repeating: 0xD251_1F53)
    let p1 = (c2 & low) &* DBits(repeating: 0xCD9E_8D57)
    c0 = (p1 &>> 32) ^ c1 ^ DBits(repeating: UInt64(k0))
    c1 = p1
    c2 = (p0 &>> 32) ^ c3 ^ DBits(repeating: UInt64(k1))
    c3 = p0
    k0 &+= 0x9E37_79B9
    k1 &+= 0xBB67_AE85
    round &+= 1
  }
  return (c0 & low, c1 & low, c2 & low, c3 & low)
}

/// The numbers of features 2 pair and 2 pair + 1.
@inline(always)
private func normalPair(_ key: PhiloxKey, _ row: DBits, _ pair: DBits) -> (D, D) {
  let (w0, w1, w2, w3) = philox(key, row, row &>> 32, pair, DBits())
  let radius = (log(uniform(w0, w1)) * -2).squareRoot()
  let (cos, sin) = cosSinOfTurns(uniform(w2, w3))
  return (radius * cos, radius * sin)
}

/// ((low + 2^32 high) >> 11 + 0.5) 2^-53
@inline(always)
private func uniform(_ low: DBits, _ high: DBits) -> D {
  let n = (low | (high &<< 32)) &>> 11
  // To double in two halves, placed by their exponents, as not every processor converts 64-bit integers.
  let top = unsafeBitCast((n &>> 32) | DBits(repeating: 0x4530_0000_0000_0000), to: D.self)
  let bottom = unsafeBitCast((n & DBits(repeating: 0xFFFF_FFFF)) | DBits(repeating: 0x4330_0000_0000_0000), to: D.self)
  let number = (top - D(repeating: 0x1.00000001p84)) + bottom
  return (number + 0.5) * 0x1p-53
}
