import CLibrary

/// Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"), for what is drawn
/// once: initial weights, orders, masks, shuffles. Samples come from the vectorised kernels `normals` and
/// `uniforms`.
struct Philox {
  private let key: (UInt32, UInt32)
  private let stream: UInt64
  private var block: UInt64
  private var words: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
  private var left = 0

  /// Streams of one seed are independent; block: where in the stream to begin.
  init(seed: UInt64, stream: UInt64, block: UInt64 = 0) {
    key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    self.stream = stream
    self.block = block
  }

  static func block(
    _ counter: (UInt32, UInt32, UInt32, UInt32), _ key: (UInt32, UInt32)
  ) -> (UInt32, UInt32, UInt32, UInt32) {
    var (c, k) = (counter, key)
    for _ in 0..<10 {
      let a = c.0.multipliedFullWidth(by: 0xD251_1F53)
      let b = c.2.multipliedFullWidth(by: 0xCD9E_8D57)
      c = (b.high ^ c.1 ^ k.0, b.low, a.high ^ c.3 ^ k.1, a.low)
      k = (k.0 &+ 0x9E37_79B9, k.1 &+ 0xBB67_AE85)
    }
    return c
  }

  mutating func next() -> UInt64 {
    if left == 0 {
      words = Philox.block(
        (
          UInt32(truncatingIfNeeded: block), UInt32(truncatingIfNeeded: block >> 32),
          UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)
        ), key)
      block &+= 1
      left = 2
    }
    left -= 1
    return left == 1
      ? UInt64(words.0) | UInt64(words.1) << 32 : UInt64(words.2) | UInt64(words.3) << 32
  }

  /// In (0, 1).
  mutating func uniform() -> Double { (Double(next() >> 11) + 0.5) * 0x1p-53 }

  /// Standard normal (Box and Muller 1958).
  mutating func normal() -> Double {
    let radius = (-2 * log(uniform())).squareRoot()
    return radius * cos(2 * .pi * uniform())
  }

  /// 0..<bound, bound > 0, without bias (Lemire 2019).
  mutating func integer(below bound: Int) -> Int {
    let bound = UInt64(bound)
    var product = next().multipliedFullWidth(by: bound)
    if product.low < bound {
      let threshold = (0 &- bound) % bound
      while product.low < threshold { product = next().multipliedFullWidth(by: bound) }
    }
    return Int(product.high)
  }

  /// A random order of 0..<count (Fisher and Yates).
  mutating func permutation(_ count: Int) -> [Int] {
    var order = Array(0..<count)
    shuffle(&order)
    return order
  }

  mutating func shuffle<Values: MutableCollection>(_ values: inout Values) where Values.Index == Int {
    var i = values.count - 1
    while i > 0 {
      values.swapAt(i, integer(below: i + 1))
      i -= 1
    }
  }
}
