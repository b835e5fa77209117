// Sums of many numbers, in double precision: as many partial sums whatever the vectors of the build, for the same bits.

/// Numbers that go into the partial sums at a time.
private let step = 32

/// Of the numbers or of their squares.
@inline(always)
private func sum(_ count: Int, _ x: In, squared: Bool) -> Double {
  var c0 = SIMD8<Double>()
  var c1 = SIMD8<Double>()
  var c2 = SIMD8<Double>()
  var c3 = SIMD8<Double>()
  var i = 0
  while i &+ step <= count {
    c0 = add(loadPanel(x, i), c0, squared: squared)
    c1 = add(loadPanel(x, i &+ 8), c1, squared: squared)
    c2 = add(loadPanel(x, i &+ 16), c2, squared: squared)
    c3 = add(loadPanel(x, i &+ 24), c3, squared: squared)
    i &+= step
  }
  var tail = 0.0
  while i < count {
    let value = Double(x[i])
    tail = squared ? fma(value, value, tail) : tail + value
    i &+= 1
  }
  let c = (c0 + c1) + (c2 + c3)
  return (((c[0] + c[1]) + (c[2] + c[3])) + ((c[4] + c[5]) + (c[6] + c[7]))) + tail
}

@inline(always) private func add(_ x: W, _ sum: SIMD8<Double>, squared: Bool) -> SIMD8<Double> {
  #if F32
    let x = SIMD8<Double>(x)
  #endif
  return squared ? fma(x, x, sum) : sum + x
}

func sumOfSquares(_ count: Int, _ x: In) -> Double { sum(count, x, squared: true) }

func rowSums(_ rows: Int, _ d: In, _ dStride: Int, _ columns: Int, _ g: Out, _ adds: Bool) {
  var i = 0
  while i < rows {
    let total = S(sum(columns, d + i &* dStride, squared: false))
    g[i] = adds ? g[i] + total : total
    i &+= 1
  }
}
