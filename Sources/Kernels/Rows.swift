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
  sumFeatures(features, stride, x, density: false, sign, total)
}

func normalLogDensity(_ features: Int, _ stride: Int, _ z: In, _ total: UnsafeMutablePointer<Double>) {
  sumFeatures(features, stride, z, density: true, 1, total)
}

func logisticLogDensity(_ features: Int, _ stride: Int, _ z: In, _ total: UnsafeMutablePointer<Double>) {
  var block = LogisticBlock()
  withUnsafeMutablePointer(to: &block) {
    let numbers = UnsafeMutableRawPointer($0).assumingMemoryBound(to: Double.self)
    let sums = numbers + 32
    var first = 0
    while first < stride {
      let rows = smaller(32, stride &- first)
      var r = 0
      while r < rows {
        sums[r] = 0
        r &+= 1
      }
      var i = 0
      while i < features {
        let z = z + (i &* stride &+ first)
        r = 0
        while r < rows {
          numbers[r] = Double(z[r])
          r &+= 1
        }
        addLogisticTerms(rows, numbers, sums)
        i &+= 1
      }
      r = 0
      while r < rows {
        total[first &+ r] -= sums[r]
        r &+= 1
      }
      first &+= rows
    }
  }
}

/// Memory on the stack for 32 rows: the numbers of a feature, and the sums.
struct LogisticBlock {
  var numbers = SIMD32<Double>(), sums = SIMD32<Double>()
  @inline(always) init() {}
}

/// sums += |z| + 2 log(1 + e^-|z|) for `count` numbers, and some more to fill vectors. A function of its own over
/// memory for the reason that uniformPairs is one.
@inline(never)
func addLogisticTerms(_ count: Int, _ z: UnsafePointer<Double>, _ sums: UnsafeMutablePointer<Double>) {
  var i = 0
  while i < count {
    let a = magnitude(UnsafeRawPointer(z + i).loadUnaligned(as: D.self))
    let sum = UnsafeMutableRawPointer(sums + i)
    let term = a + log1pOfFraction(exp(-a)) * 2
    sum.storeBytes(of: sum.loadUnaligned(as: D.self) + term, as: D.self)
    i &+= doubleLanes
  }
}

/// total[r] += sign * sum over the features of x, or of the logarithm of the normal density of x; in double precision.
@inline(always)
private func sumFeatures(
  _ features: Int, _ stride: Int, _ x: In, density: Bool, _ sign: Double, _ total: UnsafeMutablePointer<Double>
) {
  var r = 0
  // Two vectors at a time: their sums do not wait for each other.
  while r &+ 2 &* doubleLanes <= stride {
    var c0 = D()
    var c1 = D()
    var i = 0
    var x = x + r
    while i < features {
      c0 += term(loadDouble(x, 0), density)
      c1 += term(loadDouble(x, doubleLanes), density)
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
      c += term(Double(x[i &* stride &+ r]), density)
      i &+= 1
    }
    total[r] += c * sign
    r &+= 1
  }
}

private var halfLogTwoPi: Double { @inline(always) get { 0.9189385332046727 } }

@inline(always) private func term(_ x: D, _ density: Bool) -> D {
  density ? fma(x * -0.5, x, D(repeating: -halfLogTwoPi)) : x
}
@inline(always) private func term(_ x: Double, _ density: Bool) -> Double {
  density ? fma(x * -0.5, x, -halfLogTwoPi) : x
}

/// Values of a tile, `doubleLanes` of them, in double precision.
@inline(always) private func loadDouble(_ x: In, _ i: Int) -> D {
  #if F32
    return D(UnsafeRawPointer(x + i).loadUnaligned(as: Half.self))
  #else
    return load(x, i)
  #endif
}
