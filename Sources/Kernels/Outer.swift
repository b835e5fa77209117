// The gradient of a weight matrix, g = d^T x: the tiles of `dense` with rows as steps, inputs k in the lanes and
// outputs o broadcast. Each g[o, k] is one sum over ascending rows, whichever tile it falls in, so the tiling does not
// show in the bits.

/// Rows gone through before the next outputs: so many rows of x, one tile wide, stay in the first-level cache. They do
/// unless rows are a power of two apart, above some cache lines, and compete for the same places.
private let rowBlock = 128

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
    while inputs &- k >= lanes {
      // As many vectors as a tile takes: outputs are the inner loop, which keeps them in the cache.
      let left = (inputs &- k) / lanes
      let vectors = left < tileVectors ? 1 : tileVectors
      outerColumns(at.from(output: 0, lane: k), vectors: vectors, outputs)
      k &+= vectors &* lanes
    }
    // The last inputs as the last lanes of a vector that ends with them.
    if k < inputs { outerLastColumns(at.from(output: 0, lane: inputs &- lanes), skip: k &+ lanes &- inputs, outputs) }
  } else if outputs >= lanes {
    outerSwapped(at, outputs, inputs)
  } else {
    outerScalar(at, outputs, inputs)
  }
}

/// Vectors of the tiles of `tiles8`.
private var tileVectors: Int {
  @inline(always) get {
    #if AVX2
      return 3
    #else
      return 2
    #endif
  }
}

/// All outputs for 1 or `tileVectors` vectors of inputs.
@inline(always)
private func outerColumns(_ at: Operands, vectors: Int, _ outputs: Int) {
  var o = 0
  while outputs &- o >= 8 {
    tiles8(at.from(output: o, lane: 0), vectors: vectors)
    o &+= 8
  }
  while o < outputs {
    let four = outputs &- o >= 4
    var j = 0
    while j < vectors {
      let column = at.from(output: o, lane: j &* lanes)
      if four { tile(outputs: 4, vectors: 1, column) } else { tile(outputs: 1, vectors: 1, column) }
      j &+= 1
    }
    o &+= four ? 4 : 1
  }
}

/// All outputs for the lanes from `skip` on of one vector.
@inline(always)
private func outerLastColumns(_ at: Operands, skip: Int, _ outputs: Int) {
  var o = 0
  while outputs &- o >= 8 {
    tile(outputs: 8, vectors: 1, at.from(output: o, lane: 0), skip: skip)
    o &+= 8
  }
  while o < outputs {
    tile(outputs: 1, vectors: 1, at.from(output: o, lane: 0), skip: skip)
    o &+= 1
  }
}

/// Fewer inputs than lanes: the roles change, outputs lie in the lanes and inputs are broadcast, four at a time, the
/// last ones once more where four are not left.
@inline(always)
private func outerSwapped(_ at: Operands, _ outputs: Int, _ inputs: Int) {
  var o = 0
  while o < outputs {
    // The last vector ends with the last output; its lanes before `skip` were done.
    let first = outputs &- o < lanes ? outputs &- lanes : o
    var k = 0
    while k < inputs {
      let k1 = smaller(k &+ 1, inputs &- 1)
      let k2 = smaller(k &+ 2, inputs &- 1)
      let k3 = smaller(k &+ 3, inputs &- 1)
      let y = at.y + first &* at.yStep
      var c0 = V()
      var c1 = V()
      var c2 = V()
      var c3 = V()
      if !at.start.zeros {
        c0 = gathered(y + k, at.yStep)
        c1 = gathered(y + k1, at.yStep)
        c2 = gathered(y + k2, at.yStep)
        c3 = gathered(y + k3, at.yStep)
      }
      var d = at.w + first
      var x = at.x
      var left = at.steps
      while left > 0 {
        let vector = load(d, 0)
        c0 = fma(V(repeating: x[k]), vector, c0)
        c1 = fma(V(repeating: x[k1]), vector, c1)
        c2 = fma(V(repeating: x[k2]), vector, c2)
        c3 = fma(V(repeating: x[k3]), vector, c3)
        d += at.wStep
        x += at.xStep
        left &-= 1
      }
      let skip = o &- first
      scatterLanes(c0, from: skip, y + k, at.yStep)
      scatterLanes(c1, from: skip, y + k1, at.yStep)
      scatterLanes(c2, from: skip, y + k2, at.yStep)
      scatterLanes(c3, from: skip, y + k3, at.yStep)
      k &+= 4
    }
    o &+= lanes
  }
}

/// Lane j from y[j * step].
@inline(always) private func gathered(_ y: Out, _ step: Int) -> V {
  var v = V()
  withUnsafeMutablePointer(to: &v) {
    let lane = UnsafeMutableRawPointer($0).assumingMemoryBound(to: S.self)
    var j = 0
    while j < lanes {
      lane[j] = y[j &* step]
      j &+= 1
    }
  }
  return v
}

/// Lane j to y[j * step], from lane `first` on.
@inline(always) private func scatterLanes(_ v: V, from first: Int, _ y: Out, _ step: Int) {
  withUnsafePointer(to: v) {
    let lane = UnsafeRawPointer($0).assumingMemoryBound(to: S.self)
    var j = first
    while j < lanes {
      y[j &* step] = lane[j]
      j &+= 1
    }
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
