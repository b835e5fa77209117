import KernelInterface

/// Cosines and sines of 2 pi (x - low) / (high - low), in double precision for either scalar.
func angles(_ low: Double, _ high: Double, _ count: Int, _ x: In, _ cosines: Out, _ sines: Out) {
  var i = 0
  while i < count {
    let n = smaller(doubleLanes, count &- i)
    var block = AngleBlock()
    withUnsafeMutablePointer(to: &block) {
      let values = UnsafeMutableRawPointer($0).assumingMemoryBound(to: Double.self)
      var lane = 0
      while lane < n {
        values[lane] = Double(x[i &+ lane])
        lane &+= 1
      }
    }
    let turns = (block.cos - low) * D(repeating: 1 / (high - low))
    (block.cos, block.sin) = cosSinOfTurns(fraction(turns))
    withUnsafeMutablePointer(to: &block) {
      let values = UnsafeMutableRawPointer($0).assumingMemoryBound(to: Double.self)
      var lane = 0
      while lane < n {
        cosines[i &+ lane] = S(values[lane])
        sines[i &+ lane] = S(values[doubleLanes &+ lane])
        lane &+= 1
      }
    }
    i &+= doubleLanes
  }
}

/// Two vectors on the stack.
struct AngleBlock {
  var cos = D(), sin = D()
  @inline(always) init() {}
}

/// x less the nearest integer; NaN for infinity, any number beyond 2^50.
@inline(always) private func fraction(_ x: D) -> D {
  let most = D(repeating: 0x1p50)
  let bounded = x.replacing(with: most, where: x .> most).replacing(with: -most, where: x .< -most)
  let rounding = D(repeating: 0x1.8p52)
  return bounded - ((bounded + rounding) - rounding) + (x - x)
}
