import KernelInterface

// Linear maps other than products with a matrix.

func triangularSolve(
  _ panels: UnsafePointer<Panel>, _ weights: In, _ n: Int, _ upper: Bool, _ diagonal: In?, _ y: Out, _ stride: Int
) {
  let last = (n &+ 7) >> 3
  let rest = stride & (lanes &- 1)
  var step = 0
  while step < last {
    let p = upper ? last &- 1 &- step : step
    let first = 8 &* p
    let end = smaller(first &+ 8, n)
    // dense adds: so the right-hand side changes its sign before, and the sums do after.
    negate(y + first &* stride, (end &- first) &* stride)
    dense(
      panels, weights, p, p &+ 1, upper ? end : 0, upper ? Int.max : first, false, -Double.infinity, In(y), y, stride)
    let block = Block(
      // Of the weight of input 0; the panel may not have it.
      weights: weights + (panels[p].offset &+ 8 &- 8 &* panels[p].begin), diagonal: diagonal, first: first, end: end,
      upper: upper)
    solveVectors(block, y, stride, stride &- rest)
    solveValues(block, y, stride, stride &- rest)
    step &+= 1
  }
}

/// The equations first..<end, in which the unknowns before them (upper: after them) have been dealt with.
struct Block {
  var weights: In
  var diagonal: In?
  var first: Int
  var end: Int
  var upper: Bool

  @inline(always) init(weights: In, diagonal: In?, first: Int, end: Int, upper: Bool) {
    self.weights = weights
    self.diagonal = diagonal
    self.first = first
    self.end = end
    self.upper = upper
  }

  /// The equation that is solved after `count` others.
  @inline(always) func equation(_ count: Int) -> Int { upper ? end &- 1 &- count : first &+ count }
  @inline(always) func weight(_ o: Int, _ k: Int) -> S { weights[8 &* k &+ o &- first] }
}

@inline(never) func negate(_ y: Out, _ count: Int) {
  var i = 0
  while i < count {
    y[i] = -y[i]
    i &+= 1
  }
}

/// Rows 0..<rows, whole vectors of them.
@inline(never) func solveVectors(_ block: Block, _ y: Out, _ stride: Int, _ rows: Int) {
  var r = 0
  while r < rows {
    var i = 0
    while i < block.end &- block.first {
      let o = block.equation(i)
      var sum = load(In(y), o &* stride &+ r)
      var k = block.upper ? o &+ 1 : block.first
      while k < (block.upper ? block.end : o) {
        sum = fma(V(repeating: block.weight(o, k)), load(In(y), k &* stride &+ r), sum)
        k &+= 1
      }
      if let diagonal = block.diagonal { sum /= V(repeating: diagonal[o]) }
      store(-sum, y, o &* stride &+ r)
      i &+= 1
    }
    r &+= lanes
  }
}

/// Rows from..<stride, one by one.
@inline(never) func solveValues(_ block: Block, _ y: Out, _ stride: Int, _ from: Int) {
  var r = from
  while r < stride {
    var i = 0
    while i < block.end &- block.first {
      let o = block.equation(i)
      var sum = y[o &* stride &+ r]
      var k = block.upper ? o &+ 1 : block.first
      while k < (block.upper ? block.end : o) {
        sum = fma(block.weight(o, k), y[k &* stride &+ r], sum)
        k &+= 1
      }
      if let diagonal = block.diagonal { sum /= diagonal[o] }
      y[o &* stride &+ r] = -sum
      i &+= 1
    }
    r &+= 1
  }
}

@inline(never) func reflect(_ features: Int, _ stride: Int, _ u: In, _ x: Out) {
  let rest = stride & (lanes &- 1)
  var r = 0
  while r < stride &- rest {
    var dot = V()
    var i = 0
    while i < features {
      dot = fma(V(repeating: u[i]), load(In(x), i &* stride &+ r), dot)
      i &+= 1
    }
    dot = dot * -2
    i = 0
    while i < features {
      store(fma(V(repeating: u[i]), dot, load(In(x), i &* stride &+ r)), x, i &* stride &+ r)
      i &+= 1
    }
    r &+= lanes
  }
  while r < stride {
    var dot: S = 0
    var i = 0
    while i < features {
      dot = fma(u[i], x[i &* stride &+ r], dot)
      i &+= 1
    }
    dot = dot * -2
    i = 0
    while i < features {
      x[i &* stride &+ r] = fma(u[i], dot, x[i &* stride &+ r])
      i &+= 1
    }
    r &+= 1
  }
}
