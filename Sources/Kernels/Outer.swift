// The gradient of a weight matrix, g = d^T x: the tiles of `dense` with rows as steps, inputs k in the lanes and
// outputs o broadcast. Each g[o, k] is one sum over ascending rows, whichever tile it falls in, so the tiling does not
// show in the bits.

/// Rows gone through before the next outputs: so many rows of x, one tile wide, stay in the first-level cache.
private let rowBlock = 256

func outer(
  _ rows: Int, _ d: In, _ dStride: Int, _ outputs: Int, _ x: In, _ xStride: Int, _ inputs: Int,
  _ g: Out, _ gStride: Int, _ accumulate: Bool
) {
  var r = 0
  repeat {
    let left = rows &- r
    outerBlock(
      left < rowBlock ? left : rowBlock, d + r &* dStride, dStride, outputs, x + r &* xStride, xStride, inputs,
      g, gStride, zeros: !accumulate && r == 0)
    r &+= rowBlock
  } while r < rows
}

@inline(always)
private func outerBlock(
  _ steps: Int, _ d: In, _ dStride: Int, _ outputs: Int, _ x: In, _ xStride: Int, _ inputs: Int,
  _ g: Out, _ gStride: Int, zeros: Bool
) {
  let at = Operands(
    start: Start(zeros: zeros), w: d, wStep: dStride, x: x, xStep: xStride, y: g, yStep: gStride, steps: steps)
  if inputs >= lanes {
    var k = 0
    while inputs &- k >= tileVectors &* lanes {
      outerColumns(at, vectors: tileVectors, lane: k, outputs)
      k &+= tileVectors &* lanes
    }
    while inputs &- k >= lanes {
      outerColumns(at, vectors: 1, lane: k, outputs)
      k &+= lanes
    }
    // The last inputs as the last lanes of a vector that ends with them.
    if k < inputs { outerLastLanes(at, count: inputs &- k, lane: inputs &- lanes, outputs) }
  } else if outputs >= lanes {
    // Few inputs: the roles change, outputs in lanes and inputs broadcast.
    var o = 0
    while outputs &- o >= lanes {
      outerSwapped(at, skip: 0, output: o, inputs)
      o &+= lanes
    }
    if o < outputs { outerSwapped(at, skip: lanes &- (outputs &- o), output: outputs &- lanes, inputs) }
  } else {
    outerScalar(at, outputs, inputs)
  }
}

#if AVX512
  private var tileVectors: Int { @inline(always) get { 2 } }
#else
  private var tileVectors: Int { @inline(always) get { 3 } }
#endif

/// All outputs for 1 or `tileVectors` vectors of inputs.
@inline(always)
private func outerColumns(_ at: Operands, vectors: Int, lane k: Int, _ outputs: Int) {
  var o = 0
  while o &+ 8 <= outputs {
    tiles8(at.from(output: o, lane: k), vectors: vectors)
    o &+= 8
  }
  while o < outputs {
    var j = 0
    while j < vectors {
      let tile = at.from(output: o, lane: k &+ j &* lanes)
      store(sum1(tile), tile.y, 0)
      j &+= 1
    }
    o &+= 1
  }
}

/// The sums of one output.
@inline(always)
private func sum1(_ at: Operands) -> V {
  var c = at.start.zeros ? V() : load(at.y, 0)
  var w = at.w
  var x = at.x
  var left = at.steps
  while left > 0 {
    c = fma(V(repeating: w[0]), load(x, 0), c)
    w += at.wStep
    x += at.xStep
    left &-= 1
  }
  return c
}

/// All outputs for the last `count` lanes of the vector at lane k.
@inline(always)
private func outerLastLanes(_ at: Operands, count: Int, lane k: Int, _ outputs: Int) {
  let skip = lanes &- count
  var o = 0
  while o &+ 4 <= outputs {
    let tile = at.from(output: o, lane: k)
    let c = sum4(tile)
    let y = tile.y + skip
    storeLanes(c.c0, first: skip, count: count, y)
    storeLanes(c.c1, first: skip, count: count, y + at.yStep)
    storeLanes(c.c2, first: skip, count: count, y + 2 &* at.yStep)
    storeLanes(c.c3, first: skip, count: count, y + 3 &* at.yStep)
    o &+= 4
  }
  while o < outputs {
    let tile = at.from(output: o, lane: k)
    storeLanes(sum1(tile), first: skip, count: count, tile.y + skip)
    o &+= 1
  }
}

/// The sums of four outputs times one vector.
@inline(always)
private func sum4(_ at: Operands) -> Sums4 {
  var c = Sums4(at, column: 0)
  var w = at.w
  var x = at.x
  var left = at.steps
  while left > 0 {
    c.add(w, load(x, 0))
    w += at.wStep
    x += at.xStep
    left &-= 1
  }
  return c
}

/// Fewer inputs than lanes: outputs o + skip ..< o + lanes in lanes.
@inline(always)
private func outerSwapped(_ at: Operands, skip: Int, output o: Int, _ inputs: Int) {
  var k = 0
  while k < inputs {
    var c = V()
    if !at.start.zeros {
      var j = skip
      while j < lanes {
        c[j] = at.y[(o &+ j) &* at.yStep &+ k]
        j &+= 1
      }
    }
    var d = at.w + o
    var x = at.x + k
    var left = at.steps
    while left > 0 {
      c = fma(V(repeating: x[0]), load(d, 0), c)
      d += at.wStep
      x += at.xStep
      left &-= 1
    }
    var j = skip
    while j < lanes {
      at.y[(o &+ j) &* at.yStep &+ k] = c[j]
      j &+= 1
    }
    k &+= 1
  }
}

/// Fewer inputs and outputs than lanes.
@inline(always)
private func outerScalar(_ at: Operands, _ outputs: Int, _ inputs: Int) {
  var o = 0
  while o < outputs {
    var k = 0
    while k < inputs {
      var c = at.start.zeros ? 0 : at.y[o &* at.yStep &+ k]
      var r = 0
      while r < at.steps {
        c = fma(at.w[r &* at.wStep &+ o], at.x[r &* at.xStep &+ k], c)
        r &+= 1
      }
      at.y[o &* at.yStep &+ k] = c
      k &+= 1
    }
    o &+= 1
  }
}

/// g[j] (+)= sum of column j of d.
func columnSums(_ rows: Int, _ d: In, _ dStride: Int, _ columns: Int, _ g: Out, _ accumulate: Bool) {
  var j = 0
  while columns &- j >= 4 &* lanes {
    var c0 = V(), c1 = V(), c2 = V(), c3 = V()
    if accumulate {
      c0 = load(g, j)
      c1 = load(g, j &+ lanes)
      c2 = load(g, j &+ 2 &* lanes)
      c3 = load(g, j &+ 3 &* lanes)
    }
    var row = d + j
    var left = rows
    while left > 0 {
      c0 += load(row, 0)
      c1 += load(row, lanes)
      c2 += load(row, 2 &* lanes)
      c3 += load(row, 3 &* lanes)
      row += dStride
      left &-= 1
    }
    store(c0, g, j)
    store(c1, g, j &+ lanes)
    store(c2, g, j &+ 2 &* lanes)
    store(c3, g, j &+ 3 &* lanes)
    j &+= 4 &* lanes
  }
  while columns &- j >= lanes {
    var c = accumulate ? load(g, j) : V()
    var r = 0
    while r < rows {
      c += load(d, r &* dStride &+ j)
      r &+= 1
    }
    store(c, g, j)
    j &+= lanes
  }
  while j < columns {
    var c = accumulate ? g[j] : 0
    var r = 0
    while r < rows {
      c += d[r &* dStride &+ j]
      r &+= 1
    }
    g[j] = c
    j &+= 1
  }
}
