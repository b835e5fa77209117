// Kernels that take a tile feature by feature. Tiles of few rows, whose features fill no vector, run value by value
// with the same operations.

func scaleShift(_ features: Int, _ stride: Int, _ x: In, _ scale: In, _ shift: In, _ y: Out) {
  if stride == 1 {
    var i = 0
    while i &+ lanes <= features {
      store(fma(load(x, i), load(scale, i), load(shift, i)), y, i)
      i &+= lanes
    }
    while i < features {
      y[i] = fma(x[i], scale[i], shift[i])
      i &+= 1
    }
    return
  }
  let rest = stride & (lanes &- 1)
  var i = 0
  while i < features {
    let x = x + i &* stride
    let y = y + i &* stride
    let scale1 = scale[i]
    let shift1 = shift[i]
    let scale = V(repeating: scale1)
    let shift = V(repeating: shift1)
    var r = 0
    while r < stride &- rest {
      store(fma(load(x, r), scale, shift), y, r)
      r &+= lanes
    }
    while r < stride {
      y[r] = fma(x[r], scale1, shift1)
      r &+= 1
    }
    i &+= 1
  }
}

func unshiftScale(_ features: Int, _ stride: Int, _ x: In, _ scale: In, _ shift: In, _ y: Out) {
  if stride == 1 {
    var i = 0
    while i &+ lanes <= features {
      store((load(x, i) - load(shift, i)) / load(scale, i), y, i)
      i &+= lanes
    }
    while i < features {
      y[i] = (x[i] - shift[i]) / scale[i]
      i &+= 1
    }
    return
  }
  let rest = stride & (lanes &- 1)
  var i = 0
  while i < features {
    let x = x + i &* stride
    let y = y + i &* stride
    let scale1 = scale[i]
    let shift1 = shift[i]
    let scale = V(repeating: scale1)
    let shift = V(repeating: shift1)
    var r = 0
    while r < stride &- rest {
      store((load(x, r) - shift) / scale, y, r)
      r &+= lanes
    }
    while r < stride {
      y[r] = (x[r] - shift1) / scale1
      r &+= 1
    }
    i &+= 1
  }
}

func addRows(_ features: Int, _ stride: Int, _ x: In, _ sign: Double, _ total: UnsafeMutablePointer<Double>) {
  sumFeatures(features, stride, x, sign, total, { $0 }, { $0 })
}

func normalLogDensity(_ features: Int, _ stride: Int, _ z: In, _ total: UnsafeMutablePointer<Double>) {
  sumFeatures(
    features, stride, z, 1, total, { fma($0 * -0.5, $0, D(repeating: -halfLogTwoPi)) },
    { fma($0 * -0.5, $0, -halfLogTwoPi) })
}

func logisticLogDensity(_ features: Int, _ stride: Int, _ z: In, _ total: UnsafeMutablePointer<Double>) {
  var r = 0
  while r < stride {
    // What is left at the end runs as one more vector, filled up with zeros.
    let rows = smaller(doubleLanes, stride &- r)
    var c = D()
    var i = 0
    while i < features {
      c += negativeLogisticLog(loadFirst(rows, z + (i &* stride &+ r)))
      i &+= 1
    }
    withUnsafePointer(to: c) {
      let c = UnsafeRawPointer($0).assumingMemoryBound(to: Double.self)
      var j = 0
      while j < rows {
        total[r &+ j] -= c[j]
        j &+= 1
      }
    }
    r &+= rows
  }
}

private var halfLogTwoPi: Double { @inline(always) get { 0.9189385332046727 } }

/// |z| + 2 log(1 + e^-|z|)
@inline(always) private func negativeLogisticLog(_ z: D) -> D {
  let a = magnitude(z)
  return a + log1pOfFraction(exp(-a)) * 2
}

/// total[r] += sign * sum over the features of term(x), in double precision; term1 is term for a single number.
@inline(always)
private func sumFeatures(
  _ features: Int, _ stride: Int, _ x: In, _ sign: Double, _ total: UnsafeMutablePointer<Double>,
  _ term: (D) -> D, _ term1: (Double) -> Double
) {
  var r = 0
  // Two vectors at a time: their sums do not wait for each other.
  while r &+ 2 &* doubleLanes <= stride {
    var c0 = D()
    var c1 = D()
    var i = 0
    var x = x + r
    while i < features {
      c0 += term(loadDouble(x, 0))
      c1 += term(loadDouble(x, doubleLanes))
      x += stride
      i &+= 1
    }
    let t = UnsafeMutableRawPointer(total + r)
    let next = UnsafeMutableRawPointer(total + (r &+ doubleLanes))
    t.storeBytes(of: t.loadUnaligned(as: D.self) + c0 * sign, as: D.self)
    next.storeBytes(of: next.loadUnaligned(as: D.self) + c1 * sign, as: D.self)
    r &+= 2 &* doubleLanes
  }
  while r < stride {
    var c = 0.0
    var i = 0
    while i < features {
      c += term1(Double(x[i &* stride &+ r]))
      i &+= 1
    }
    total[r] += c * sign
    r &+= 1
  }
}

/// Values of a tile, `doubleLanes` of them, in double precision.
@inline(always) private func loadDouble(_ x: In, _ i: Int) -> D {
  #if F32
    return D(UnsafeRawPointer(x + i).loadUnaligned(as: Half.self))
  #else
    return load(x, i)
  #endif
}

/// p[0]..<p[count] in the first lanes, zeros in the others.
@inline(always) private func loadFirst(_ count: Int, _ p: In) -> D {
  var v = D()
  withUnsafeMutablePointer(to: &v) {
    let lanes = UnsafeMutableRawPointer($0).assumingMemoryBound(to: Double.self)
    var j = 0
    while j < count {
      lanes[j] = Double(p[j])
      j &+= 1
    }
  }
  return v
}
