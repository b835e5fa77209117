/// A tile to row-major: out[r * outStride + i] = x[i * stride + r], by squares of 8 x 8.
func transpose(_ x: In, _ features: Int, _ stride: Int, _ rows: Int, _ out: Out, _ outStride: Int) {
  var i = 0
  while i &+ 8 <= features {
    var r = 0
    while r &+ 8 <= rows {
      let square = x + (i &* stride &+ r)
      var next = 8
      while next < 16 {
        prefetch(square + next &* stride, 1)
        next &+= 1
      }
      transpose8x8(square, stride, out + (r &* outStride &+ i), outStride)
      r &+= 8
    }
    while r < rows {
      let from = x + (i &* stride &+ r)
      let row = W(
        from[0], from[stride], from[2 &* stride], from[3 &* stride],
        from[4 &* stride], from[5 &* stride], from[6 &* stride], from[7 &* stride])
      storePanel(row, out, r &* outStride &+ i)
      r &+= 1
    }
    i &+= 8
  }
  while i < features {
    var r = 0
    while r < rows {
      out[r &* outStride &+ i] = x[i &* stride &+ r]
      r &+= 1
    }
    i &+= 1
  }
}

/// In three rounds of exchanges between two vectors each, for which there are instructions.
@inline(always)
private func transpose8x8(_ x: In, _ stride: Int, _ out: Out, _ outStride: Int) {
  let x4 = x + 4 &* stride
  let (a, b) = ones(loadPanel(x, 0), loadPanel(x, stride))
  let (c, d) = ones(loadPanel(x, 2 &* stride), loadPanel(x, 3 &* stride))
  let (e, f) = ones(loadPanel(x4, 0), loadPanel(x4, stride))
  let (g, h) = ones(loadPanel(x4, 2 &* stride), loadPanel(x4, 3 &* stride))
  let (p, q) = pairs(a, c)
  let (r, s) = pairs(b, d)
  let (t, u) = pairs(e, g)
  let (v, w) = pairs(f, h)
  let out4 = out + 4 &* outStride
  storePanel(W(lowHalf: p.lowHalf, highHalf: t.lowHalf), out, 0)
  storePanel(W(lowHalf: q.lowHalf, highHalf: u.lowHalf), out, outStride)
  storePanel(W(lowHalf: r.lowHalf, highHalf: v.lowHalf), out, 2 &* outStride)
  storePanel(W(lowHalf: s.lowHalf, highHalf: w.lowHalf), out, 3 &* outStride)
  storePanel(W(lowHalf: p.highHalf, highHalf: t.highHalf), out4, 0)
  storePanel(W(lowHalf: q.highHalf, highHalf: u.highHalf), out4, outStride)
  storePanel(W(lowHalf: r.highHalf, highHalf: v.highHalf), out4, 2 &* outStride)
  storePanel(W(lowHalf: s.highHalf, highHalf: w.highHalf), out4, 3 &* outStride)
}

/// Numbers in turn, of the lower and of the higher two of each half.
@inline(always) private func ones(_ a: W, _ b: W) -> (W, W) {
  (
    W(a[0], b[0], a[1], b[1], a[4], b[4], a[5], b[5]),
    W(a[2], b[2], a[3], b[3], a[6], b[6], a[7], b[7])
  )
}

/// Pairs of numbers in turn, of the lower and of the higher ones of each half.
@inline(always) private func pairs(_ a: W, _ b: W) -> (W, W) {
  (
    W(a[0], a[1], b[0], b[1], a[4], a[5], b[4], b[5]),
    W(a[2], a[3], b[2], b[3], a[6], a[7], b[6], b[7])
  )
}
