/// g[j] (+)= sum of column j of d.
func columnSums(_ rows: Int, _ d: In, _ dStride: Int, _ columns: Int, _ g: Out, _ accumulate: Bool) {
  var j = 0
  while columns &- j >= 4 &* lanes {
    var c0 = V()
    var c1 = V()
    var c2 = V()
    var c3 = V()
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
