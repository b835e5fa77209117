import KernelInterface

// The gradient of a weight matrix, g = d x: the tiles of `dense` with rows as steps, inputs k in the lanes and outputs o
// broadcast. Each g[o, k] is one sum over ascending rows, whichever tile it falls in, so the tiling does not show in the
// bits.

/// Inputs that a tile takes: those of the widest.
var outerColumns: Int {
  @inline(always) get {
    #if BASELINE
      return 2 &* lanes
    #else
      return 3 &* lanes
    #endif
  }
}

func outer(
  _ rows: Int, _ d: In, _ dStride: Int, _ outputs: Int, _ limits: UnsafePointer<Int32>, _ x: In, _ inputs: Int,
  _ g: Out, _ gStride: Int, _ adds: Bool
) {
  var zeros = W()
  withUnsafePointer(to: &zeros) {
    let zeros = UnsafeRawPointer($0).assumingMemoryBound(to: S.self)
    outerBlocks(zeros, rows, d, dStride, outputs, limits, x, inputs, g, gStride, adds)
  }
}

@inline(never)
func outerBlocks(
  _ zeros: In, _ rows: Int, _ d: In, _ dStride: Int, _ outputs: Int, _ limits: UnsafePointer<Int32>, _ x: In,
  _ inputs: Int, _ g: Out, _ gStride: Int, _ adds: Bool
) {
  var k = 0
  while k < inputs {
    // A block of x stays in the first-level cache.
    let width = smaller(inputs &- k, outerColumns)
    var o = 0
    while o < outputs {
      let count = smaller(outputs &- o, 8)
      let seen = smaller(Int(limits[o &+ count &- 1]) &- k, width)
      if seen > 0 {
        var at = Operands(
          start: zeros, w: d + o &* dStride, wStep: 1, x: x + k &* rows, xStep: outerColumns,
          y: g + (o &* gStride &+ k), yStep: gStride, steps: rows)
        at.wApart = dStride
        at.adds = adds
        // The sums of a tile are known at its end: until then what they are added to is there.
        var row = 0
        while row < count {
          prefetch(In(at.y + row &* gStride), seen)
          row &+= 1
        }
        let vectors = (seen &+ lanes &- 1) / lanes
        if vectors &* lanes <= width { outerTile(at, vectors: vectors, count) } else { outerCorner(at, width, count) }
      }
      o &+= 8
    }
    k &+= outerColumns
  }
}

/// 1 to 8 outputs.
@inline(always)
private func outerTile(_ at: Operands, vectors: Int, _ outputs: Int) {
  if outputs == 8 { return Cut(vectors: vectors).run(at, outerThrees, outerTwos, outerOne) }
  var o = 0
  while o < outputs {
    let four = outputs &- o >= 4
    var j = 0
    while j < vectors {
      let part = at.from(output: o, lane: j &* lanes, apart: at.wApart)
      if four {
        tile(outputs: 4, vectors: 1, part, apart: at.wApart)
      } else {
        tile(outputs: 1, vectors: 1, part, apart: at.wApart)
      }
      j &+= 1
    }
    o &+= four ? 4 : 1
  }
}

/// The same for inputs that do not fill their last vector.
@inline(always)
private func outerCorner(_ at: Operands, _ inputs: Int, _ outputs: Int) {
  var sums = (TileRow(), TileRow(), TileRow(), TileRow(), TileRow(), TileRow(), TileRow(), TileRow())
  withUnsafeMutablePointer(to: &sums) {
    outerCorner(at, inputs, outputs, sums: UnsafeMutableRawPointer($0).assumingMemoryBound(to: S.self))
  }
}

/// As wide as a tile can be.
private struct TileRow {
  var a = V()
  var b = V()
  var c = V()
}

@inline(never)
func outerCorner(_ at: Operands, _ inputs: Int, _ outputs: Int, sums: Out) {
  var whole = at
  whole.y = sums
  whole.yStep = 3 &* lanes
  whole.adds = false
  outerTile(whole, vectors: (inputs &+ lanes &- 1) / lanes, outputs)
  var o = 0
  while o < outputs {
    let sum = sums + o &* whole.yStep
    let g = at.y + o &* at.yStep
    var k = 0
    while k < inputs {
      g[k] = at.adds ? sum[k] + g[k] : sum[k]
      k &+= 1
    }
    o &+= 1
  }
}
