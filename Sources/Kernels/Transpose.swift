/// A tile to row-major: out[r * outStride + i] = x[i * stride + r], by squares of 8 x 8.
func transpose(_ x: In, _ features: Int, _ stride: Int, _ rows: Int, _ out: Out, _ outStride: Int) {
  var i = 0
  while i &+ 8 <= features {
    var r = 0
    while r &+ 8 <= rows {
      transpose8x8(x + (i &* stride &+ r), stride, out + (r &* outStride &+ i), outStride)
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

@inline(always)
private func transpose8x8(_ x: In, _ stride: Int, _ out: Out, _ outStride: Int) {
  let a = loadPanel(x, 0)
  let b = loadPanel(x, stride)
  let c = loadPanel(x, 2 &* stride)
  let d = loadPanel(x, 3 &* stride)
  let x4 = x + 4 &* stride
  let e = loadPanel(x4, 0)
  let f = loadPanel(x4, stride)
  let g = loadPanel(x4, 2 &* stride)
  let h = loadPanel(x4, 3 &* stride)
  storePanel(W(a[0], b[0], c[0], d[0], e[0], f[0], g[0], h[0]), out, 0)
  storePanel(W(a[1], b[1], c[1], d[1], e[1], f[1], g[1], h[1]), out, outStride)
  storePanel(W(a[2], b[2], c[2], d[2], e[2], f[2], g[2], h[2]), out, 2 &* outStride)
  storePanel(W(a[3], b[3], c[3], d[3], e[3], f[3], g[3], h[3]), out, 3 &* outStride)
  let out4 = out + 4 &* outStride
  storePanel(W(a[4], b[4], c[4], d[4], e[4], f[4], g[4], h[4]), out4, 0)
  storePanel(W(a[5], b[5], c[5], d[5], e[5], f[5], g[5], h[5]), out4, outStride)
  storePanel(W(a[6], b[6], c[6], d[6], e[6], f[6], g[6], h[6]), out4, 2 &* outStride)
  storePanel(W(a[7], b[7], c[7], d[7], e[7], f[7], g[7], h[7]), out4, 3 &* outStride)
}
