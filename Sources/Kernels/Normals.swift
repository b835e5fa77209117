// Random numbers by Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011), normal ones by Box and Muller (1958). A vector
// holds pairs of numbers, of the features 2 pair and 2 pair + 1 of some rows; the 32-bit words of Philox lie in the low
// halves of 64-bit lanes, where the processor multiplies 32 x 32 bits to 64.

func normals(_ seed: UInt64, _ firstRow: UInt64, _ features: Int, _ stride: Int, _ z: Out) {
  inBlocks(seed, firstRow, features, stride, stream: 0, normalPairs) { copyRounded($0, z + $1, $2) }
}

func uniforms(
  _ seed: UInt64, _ firstRow: UInt64, _ features: Int, _ stride: Int, _ u: UnsafeMutablePointer<Double>
) {
  inBlocks(seed, firstRow, features, stride, stream: 1, { _, _, _ in }) { copyBelowOne($0, u + $1, $2) }
}

/// Makes uniform pairs block by block; `finish` changes `count` of them, and `write` takes `run` numbers to a place in
/// the tile.
@inline(always)
private func inBlocks(
  _ seed: UInt64, _ firstRow: UInt64, _ features: Int, _ stride: Int, stream: UInt64,
  _ finish: (_ count: Int, _ even: UnsafeMutablePointer<Double>, _ odd: UnsafeMutablePointer<Double>) -> Void,
  _ write: (_ numbers: UnsafePointer<Double>, _ at: Int, _ run: Int) -> Void
) {
  let pairs = (features &+ 1) / 2
  var block = PairBlock()
  withUnsafeMutablePointer(to: &block) {
    let memory = UnsafeMutableRawPointer($0)
    let rows = memory.assumingMemoryBound(to: UInt64.self)
    let counters = rows + blockSize
    let even = (memory + 16 &* blockSize).assumingMemoryBound(to: Double.self)
    let odd = even + blockSize
    // Blocks take the (pair, row) one after another, in runs of rows of one pair.
    var place = Place(pair: 0, row: 0)
    while place.pair < pairs {
      let start = place
      var count = 0
      while count < blockSize && place.pair < pairs {
        let run = smaller(blockSize &- count, stride &- place.row)
        var j = 0
        while j < run {
          rows[count &+ j] = firstRow &+ UInt64(truncatingIfNeeded: place.row &+ j)
          counters[count &+ j] = UInt64(truncatingIfNeeded: place.pair)
          j &+= 1
        }
        count &+= run
        place.advance(by: run, stride)
      }
      uniformPairs(seed, stream, count, rows, counters, even, odd)
      finish(count, even, odd)
      var at = start
      var done = 0
      while done < count {
        let run = smaller(count &- done, stride &- at.row)
        let target = 2 &* at.pair &* stride &+ at.row
        write(even + done, target, run)
        if 2 &* at.pair &+ 1 < features { write(odd + done, target &+ stride, run) }
        done &+= run
        at.advance(by: run, stride)
      }
    }
  }
}

/// Pairs made at a time.
private var blockSize: Int { @inline(always) get { 32 } }

/// Memory on the stack: for each pair of a block its row and counter, and the two numbers.
struct PairBlock {
  var rows = SIMD32<UInt64>(), counters = SIMD32<UInt64>()
  var even = SIMD32<Double>(), odd = SIMD32<Double>()
  @inline(always) init() {}
}

/// A row of features 2 pair and 2 pair + 1.
private struct Place {
  var pair: Int
  var row: Int

  @inline(always) init(pair: Int, row: Int) {
    self.pair = pair
    self.row = row
  }

  @inline(always) mutating func advance(by rows: Int, _ stride: Int) {
    row &+= rows
    if row == stride {
      row = 0
      pair &+= 1
    }
  }
}

@inline(always) private func copyRounded(_ from: UnsafePointer<Double>, _ to: Out, _ count: Int) {
  var i = 0
  while i < count {
    to[i] = S(from[i])
    i &+= 1
  }
}

@inline(always)
private func copyBelowOne(_ from: UnsafePointer<Double>, _ to: UnsafeMutablePointer<Double>, _ count: Int) {
  var i = 0
  while i < count {
    to[i] = from[i] < 1 ? from[i] : 0x1.fffffffffffffp-1
    i &+= 1
  }
}

/// u1 and u2 of `count` pairs, and of some more to fill vectors. This and the next are functions of their own over
/// memory: what the caller does with single numbers would keep the compiler from seeing vectors.
@inline(never)
func uniformPairs(
  _ seed: UInt64, _ stream: UInt64, _ count: Int, _ rows: UnsafePointer<UInt64>, _ counters: UnsafePointer<UInt64>,
  _ u1: UnsafeMutablePointer<Double>, _ u2: UnsafeMutablePointer<Double>
) {
  var i = 0
  while i < count {
    // Two vectors at a time: Philox is a chain of multiplications, and the keys of its rounds serve both.
    var a = Philox(rows, counters, stream, i)
    var b = Philox(rows, counters, stream, i &+ doubleLanes)
    var k0 = DBits(repeating: seed & 0xFFFF_FFFF)
    var k1 = DBits(repeating: seed &>> 32)
    var round = 0
    while round < 10 {
      a.round(k0, k1)
      b.round(k0, k1)
      k0 &+= DBits(repeating: 0x9E37_79B9)
      k1 &+= DBits(repeating: 0xBB67_AE85)
      round &+= 1
    }
    a.write(u1, u2, i)
    b.write(u1, u2, i &+ doubleLanes)
    i &+= 2 &* doubleLanes
  }
}

/// The four words of Philox4x32-10 in the low halves of lanes; what is above them is left to chance.
struct Philox {
  var c0, c1, c2, c3: DBits

  @inline(always) init(
    _ rows: UnsafePointer<UInt64>, _ counters: UnsafePointer<UInt64>, _ stream: UInt64, _ i: Int
  ) {
    c0 = UnsafeRawPointer(rows + i).loadUnaligned(as: DBits.self)
    c1 = c0 &>> 32
    c2 = UnsafeRawPointer(counters + i).loadUnaligned(as: DBits.self)
    c3 = DBits(repeating: stream)
  }

  @inline(always) init(_ rows: DBits, _ counter: UInt64, stream: UInt64) {
    c0 = rows
    c1 = rows &>> 32
    c2 = DBits(repeating: counter)
    c3 = DBits(repeating: stream)
  }

  @inline(always) mutating func round(_ k0: DBits, _ k1: DBits) {
    let low = DBits(repeating: 0xFFFF_FFFF)
    let p0 = (c0 & low) &* DBits(repeating: 0xD251_1F53)
    let p1 = (c2 & low) &* DBits(repeating: 0xCD9E_8D57)
    c0 = (p1 &>> 32) ^ c1 ^ k0
    c1 = p1
    c2 = (p0 &>> 32) ^ c3 ^ k1
    c3 = p0
  }

  @inline(always) func write(_ u1: UnsafeMutablePointer<Double>, _ u2: UnsafeMutablePointer<Double>, _ i: Int) {
    UnsafeMutableRawPointer(u1 + i).storeBytes(of: uniform(c0, c1), as: D.self)
    UnsafeMutableRawPointer(u2 + i).storeBytes(of: uniform(c2, c3), as: D.self)
  }
}

/// ((low + 2^32 high) >> 11 + 0.5) 2^-53 of the words in the low halves
@inline(always)
private func uniform(_ low: DBits, _ high: DBits) -> D {
  // The 53 bits to double in two parts placed by their exponents, as not every processor converts 64-bit integers:
  // 21 bits times 2^32, and 32 bits.
  let word = DBits(repeating: 0xFFFF_FFFF)
  let top = unsafeBitCast(((high & word) &>> 11) | DBits(repeating: 0x4530_0000_0000_0000), to: D.self)
  let bits = ((low & word) &>> 11) | ((high &<< 21) & word)
  let bottom = unsafeBitCast(bits | DBits(repeating: 0x4330_0000_0000_0000), to: D.self)
  let number = (top - D(repeating: 0x1.00000001p84)) + bottom
  return (number + 0.5) * 0x1p-53
}

/// u1 and u2 become the numbers of features 2 pair and 2 pair + 1 (Box and Muller).
@inline(never)
func normalPairs(_ count: Int, _ u1: UnsafeMutablePointer<Double>, _ u2: UnsafeMutablePointer<Double>) {
  var i = 0
  while i < count {
    let p1 = UnsafeMutableRawPointer(u1 + i)
    let p2 = UnsafeMutableRawPointer(u2 + i)
    let radius = (logOfNormal(p1.loadUnaligned(as: D.self)) * -2).squareRoot()
    let (cos, sin) = cosSinOfTurns(p2.loadUnaligned(as: D.self))
    p1.storeBytes(of: radius * cos, as: D.self)
    p2.storeBytes(of: radius * sin, as: D.self)
    i &+= doubleLanes
  }
}
