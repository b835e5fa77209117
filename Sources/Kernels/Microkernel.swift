// The inner loops of `dense` with rows in lanes and of `outer`: sums[o] += w[o] * x over steps of w and x, where w[o] is
// a number and x a vector. Sums stay in registers, one fused multiply-add a step, from a start value, so that cutting
// the steps or the outputs in any way gives the same bits.

/// What sums begin from: the numbers of `values`, or zeros, or else the sums that y holds.
struct Start {
  var values: In?
  var zeros: Bool
  @inline(always) init(values: In?) {
    self.values = values
    zeros = false
  }
  @inline(always) init(zeros: Bool) {
    values = nil
    self.zeros = zeros
  }
}

/// Where sums begin, what they add up and where they end: sums[o] of lane j belongs at y[o * yStep + j].
struct Operands {
  var start: Start
  var w: In
  var wStep: Int
  var x: In
  var xStep: Int
  var y: Out
  var yStep: Int
  var steps: Int

  @inline(always) init(
    start: Start, w: In, wStep: Int, x: In, xStep: Int, y: Out, yStep: Int, steps: Int
  ) {
    self.start = start
    self.w = w
    self.wStep = wStep
    self.x = x
    self.xStep = xStep
    self.y = y
    self.yStep = yStep
    self.steps = steps
  }

  /// The same for later outputs and lanes.
  @inline(always) func from(output o: Int, lane j: Int) -> Operands {
    var operands = self
    if let values = start.values { operands.start.values = values + o }
    operands.w = w + o
    operands.x = x + j
    operands.y = y + (o &* yStep &+ j)
    return operands
  }
}

/// Sums of four outputs times one vector.
struct Sums4 {
  var c0, c1, c2, c3: V

  /// The start values, for the vector `column` vectors on.
  @inline(always) init(_ at: Operands, column: Int) {
    if let values = at.start.values {
      c0 = V(repeating: values[0])
      c1 = V(repeating: values[1])
      c2 = V(repeating: values[2])
      c3 = V(repeating: values[3])
    } else if at.start.zeros {
      c0 = V()
      c1 = V()
      c2 = V()
      c3 = V()
    } else {
      let y = In(at.y + column &* lanes)
      c0 = load(y, 0)
      c1 = load(y, at.yStep)
      c2 = load(y, 2 &* at.yStep)
      c3 = load(y, 3 &* at.yStep)
    }
  }

  @inline(always) mutating func add(_ w: In, _ x: V) {
    c0 = fma(V(repeating: w[0]), x, c0)
    c1 = fma(V(repeating: w[1]), x, c1)
    c2 = fma(V(repeating: w[2]), x, c2)
    c3 = fma(V(repeating: w[3]), x, c3)
  }

  @inline(always) func write(_ at: Operands, column: Int) {
    let y = at.y + column &* lanes
    store(c0, y, 0)
    store(c1, y, at.yStep)
    store(c2, y, 2 &* at.yStep)
    store(c3, y, 3 &* at.yStep)
  }
}

/// 8 outputs x 2 vectors: 16 sums, for 32 registers.
@inline(always) func tile8x2(_ at: Operands) {
  let high = at.from(output: 4, lane: 0)
  var a0 = Sums4(at, column: 0)
  var a1 = Sums4(at, column: 1)
  var b0 = Sums4(high, column: 0)
  var b1 = Sums4(high, column: 1)
  var w = at.w
  var x = at.x
  var left = at.steps
  while left > 0 {
    let x0 = load(x, 0)
    let x1 = load(x, lanes)
    a0.add(w, x0)
    a1.add(w, x1)
    b0.add(w + 4, x0)
    b1.add(w + 4, x1)
    w += at.wStep
    x += at.xStep
    left &-= 1
  }
  a0.write(at, column: 0)
  a1.write(at, column: 1)
  b0.write(high, column: 0)
  b1.write(high, column: 1)
}

/// 8 outputs x 1 vector.
@inline(always) func tile8x1(_ at: Operands) {
  let high = at.from(output: 4, lane: 0)
  var a = Sums4(at, column: 0)
  var b = Sums4(high, column: 0)
  var w = at.w
  var x = at.x
  var left = at.steps
  while left > 0 {
    let x0 = load(x, 0)
    a.add(w, x0)
    b.add(w + 4, x0)
    w += at.wStep
    x += at.xStep
    left &-= 1
  }
  a.write(at, column: 0)
  b.write(high, column: 0)
}

/// 4 outputs x 3 vectors: 12 sums, 3 vectors and a broadcast number fill 16 registers.
@inline(always) func tile4x3(_ at: Operands) {
  var a0 = Sums4(at, column: 0)
  var a1 = Sums4(at, column: 1)
  var a2 = Sums4(at, column: 2)
  var w = at.w
  var x = at.x
  var left = at.steps
  while left > 0 {
    let x0 = load(x, 0)
    let x1 = load(x, lanes)
    let x2 = load(x, 2 &* lanes)
    a0.add(w, x0)
    a1.add(w, x1)
    a2.add(w, x2)
    w += at.wStep
    x += at.xStep
    left &-= 1
  }
  a0.write(at, column: 0)
  a1.write(at, column: 1)
  a2.write(at, column: 2)
}

/// 4 outputs x 2 vectors.
@inline(always) func tile4x2(_ at: Operands) {
  var a0 = Sums4(at, column: 0)
  var a1 = Sums4(at, column: 1)
  var w = at.w
  var x = at.x
  var left = at.steps
  while left > 0 {
    let x0 = load(x, 0)
    let x1 = load(x, lanes)
    a0.add(w, x0)
    a1.add(w, x1)
    w += at.wStep
    x += at.xStep
    left &-= 1
  }
  a0.write(at, column: 0)
  a1.write(at, column: 1)
}

/// 8 outputs x as many vectors as given.
@inline(always) func tiles8(_ at: Operands, vectors: Int) {
  var j = 0
  #if AVX512
    while j &+ 2 <= vectors {
      tile8x2(at.from(output: 0, lane: j &* lanes))
      j &+= 2
    }
  #else
    // Tiles of three vectors, and of two rather than leave one over.
    while vectors &- j > 1 {
      let left = vectors &- j
      let tile = at.from(output: 0, lane: j &* lanes)
      if left == 2 || left == 4 {
        tile4x2(tile)
        tile4x2(tile.from(output: 4, lane: 0))
        j &+= 2
      } else {
        tile4x3(tile)
        tile4x3(tile.from(output: 4, lane: 0))
        j &+= 3
      }
    }
  #endif
  if j < vectors { tile8x1(at.from(output: 0, lane: j &* lanes)) }
}
