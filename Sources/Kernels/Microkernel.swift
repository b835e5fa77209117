import KernelInterface

// The inner loops of `dense` with rows in lanes, of `denseTransposed` and of `outer`: sums[o] += w[o] * x over steps of w
// and x, where w[o] is a number and x a vector. Sums stay in registers, one fused multiply-add a step, from a start value,
// so cutting the steps or the outputs in any way gives the same bits.

/// Where sums begin, what they add up and where they end: sums[o] of lane j belongs at y[o * yStep + j].
struct Operands {
  /// What sums begin from; nil: the sums that y holds.
  var start: In?
  var w: In
  /// From the number of one output to that of the next, where the kernel does not know it.
  var wApart = 1
  var wStep: Int
  var x: In
  var xStep: Int
  var y: Out
  var yStep: Int
  var steps: Int
  /// Whether they are added to what y holds.
  var adds = false
  /// What is below it is replaced in the end; NaN is not.
  var lower: S
  /// Of a transposed product: its steps are the outputs of these panels, and w is relative to their offsets.
  var panels: UnsafePointer<Panel>?
  var panelCount = 0

  @inline(always) init(
    start: In?, w: In, wStep: Int, x: In, xStep: Int, y: Out, yStep: Int, steps: Int, lower: S = -.infinity
  ) {
    self.start = start
    self.w = w
    self.wStep = wStep
    self.x = x
    self.xStep = xStep
    self.y = y
    self.yStep = yStep
    self.steps = steps
    self.lower = lower
  }

  /// The same for later outputs and lanes.
  @inline(always) func from(output o: Int, lane j: Int, apart: Int) -> Operands {
    var operands = self
    if let start { operands.start = start + o }
    operands.w = w + o &* apart
    operands.x = x + j
    operands.y = y + (o &* yStep &+ j)
    return operands
  }
}

/// Sums of one output times up to 3 vectors. `vectors`, here and below, is a constant wherever this is inlined.
struct OutputSums {
  var c0, c1, c2: V

  /// The start values of output o.
  @inline(always) init(_ at: Operands, output o: Int, vectors: Int) {
    c0 = V()
    c1 = V()
    c2 = V()
    if let start = at.start {
      c0 = V(repeating: start[o])
      c1 = c0
      c2 = c0
    } else {
      let y = In(at.y + o &* at.yStep)
      c0 = load(y, 0)
      if vectors > 1 { c1 = load(y, lanes) }
      if vectors > 2 { c2 = load(y, 2 &* lanes) }
    }
  }

  @inline(always) mutating func add(_ w: S, _ x0: V, _ x1: V, _ x2: V, vectors: Int) {
    let w = V(repeating: w)
    c0 = fma(w, x0, c0)
    if vectors > 1 { c1 = fma(w, x1, c1) }
    if vectors > 2 { c2 = fma(w, x2, c2) }
  }

  @inline(always) func write(_ at: Operands, output o: Int, vectors: Int) {
    let y = at.y + o &* at.yStep
    if at.adds {
      store(c0 + load(y, 0), y, 0)
      if vectors > 1 { store(c1 + load(y, lanes), y, lanes) }
      if vectors > 2 { store(c2 + load(y, 2 &* lanes), y, 2 &* lanes) }
      return
    }
    let lower = V(repeating: at.lower)
    store(c0.replacing(with: lower, where: c0 .< lower), y, 0)
    if vectors > 1 { store(c1.replacing(with: lower, where: c1 .< lower), y, lanes) }
    if vectors > 2 { store(c2.replacing(with: lower, where: c2 .< lower), y, 2 &* lanes) }
  }
}

/// Sums of 1, 4 or 8 outputs times up to 3 vectors. outputs, and apart, the distance of the weights of a step, are
/// constants, too.
///
/// Eight fields and not an array: InlineArray<8, InlineArray<3, V>> with loops took 63 lines less and gave the same bits,
/// but was 1.5 times slower in `dense`, 2.0 times in `denseTransposed` and 1.6 times in `outer` (Swift 6.3.1, AVX-512,
/// Float).
struct TileSums {
  var a, b, c, d, e, f, g, h: OutputSums

  @inline(always) init(_ at: Operands, outputs: Int, vectors: Int) {
    a = OutputSums(at, output: 0, vectors: vectors)
    (b, c, d, e, f, g, h) = (a, a, a, a, a, a, a)
    if outputs > 1 {
      b = OutputSums(at, output: 1, vectors: vectors)
      c = OutputSums(at, output: 2, vectors: vectors)
      d = OutputSums(at, output: 3, vectors: vectors)
    }
    if outputs > 4 {
      e = OutputSums(at, output: 4, vectors: vectors)
      f = OutputSums(at, output: 5, vectors: vectors)
      g = OutputSums(at, output: 6, vectors: vectors)
      h = OutputSums(at, output: 7, vectors: vectors)
    }
  }

  @inline(always) mutating func step(_ w: In, _ x: In, outputs: Int, vectors: Int, apart: Int) {
    let x0 = load(x, 0)
    let x1 = vectors > 1 ? load(x, lanes) : x0
    let x2 = vectors > 2 ? load(x, 2 &* lanes) : x0
    // Output by output: a broadcast weight then takes a register no longer than it must.
    a.add(w[0], x0, x1, x2, vectors: vectors)
    if outputs > 1 {
      b.add(w[apart], x0, x1, x2, vectors: vectors)
      c.add(w[2 &* apart], x0, x1, x2, vectors: vectors)
      d.add(w[3 &* apart], x0, x1, x2, vectors: vectors)
    }
    if outputs > 4 {
      e.add(w[4 &* apart], x0, x1, x2, vectors: vectors)
      f.add(w[5 &* apart], x0, x1, x2, vectors: vectors)
      g.add(w[6 &* apart], x0, x1, x2, vectors: vectors)
      h.add(w[7 &* apart], x0, x1, x2, vectors: vectors)
    }
  }

  @inline(always) func write(_ at: Operands, outputs: Int, vectors: Int) {
    a.write(at, output: 0, vectors: vectors)
    if outputs > 1 {
      b.write(at, output: 1, vectors: vectors)
      c.write(at, output: 2, vectors: vectors)
      d.write(at, output: 3, vectors: vectors)
    }
    if outputs > 4 {
      e.write(at, output: 4, vectors: vectors)
      f.write(at, output: 5, vectors: vectors)
      g.write(at, output: 6, vectors: vectors)
      h.write(at, output: 7, vectors: vectors)
    }
  }
}

/// The sums of a tile. transposed, too, is a constant.
@inline(always) func tile(outputs: Int, vectors: Int, _ at: Operands, apart: Int, transposed: Bool = false) {
  var sums = TileSums(at, outputs: outputs, vectors: vectors)
  var x = at.x
  if transposed, let panels = at.panels {
    var panel = 0
    while panel < at.panelCount {
      let w = at.w + panels[panel].offset
      // Panels are far from each other, and the steps of one are done before memory answers: it is asked 4 panels ahead.
      prefetch(at.w + panels[smaller(panel &+ 4, at.panelCount &- 1)].offset, 64)
      let steps = panels[panel].outputs
      var step = 0
      if steps == 8 {
        while step < 8 {
          sums.step(w + step, x + step &* at.xStep, outputs: outputs, vectors: vectors, apart: apart)
          step &+= 1
        }
      } else {
        while step < steps {
          sums.step(w + step, x + step &* at.xStep, outputs: outputs, vectors: vectors, apart: apart)
          step &+= 1
        }
      }
      x += 8 &* at.xStep
      panel &+= 1
    }
  } else {
    var w = at.w
    var left = at.steps
    while left > 0 {
      sums.step(w, x, outputs: outputs, vectors: vectors, apart: apart)
      w += at.wStep
      x += at.xStep
      left &-= 1
    }
  }
  sums.write(at, outputs: outputs, vectors: vectors)
}

// Outputs times any number of vectors, in tiles that the registers of the build hold: 24 sums of 32 registers (AVX-512,
// 64-bit ARM), 12 of 16, and 8 of 16 where a product takes a register too. So with FMA there are tiles of three vectors,
// and of two rather than leave one over.

/// Rows of which tiles of three vectors leave none over. At d = 63 on AVX2 4 %, float64 3 to 7 % faster than 64; on
/// AVX-512 with these tiles 1 to 5 %, float64 3 to 4 % faster than 64 in twos, and 48 makes small flows 4 to 5 % slower.
var tileRows: Int {
  @inline(always) get {
    #if AVX512
      return 96
    #elseif BASELINE
      return 64
    #else
      return 48
    #endif
  }
}

/// Vectors 0..<threes are taken in threes, those from there to `twos` in twos, and perhaps one is left.
struct Cut {
  var threes = 0
  var twos: Int
  var all: Int

  @inline(always) init(vectors: Int) {
    #if !BASELINE
      threes = vectors % 3 == 1 ? larger(vectors &- 4, 0) : vectors &- vectors % 3
    #endif
    twos = vectors &- (vectors &- threes) % 2
    all = vectors
  }

  /// Each function takes its vectors first..<end.
  @inline(always) func run(
    _ at: Operands, _ inThrees: (_ first: Int, _ end: Int, Operands) -> Void, _ inTwos: (Int, Int, Operands) -> Void,
    _ alone: (Int, Int, Operands) -> Void
  ) {
    if threes > 0 { inThrees(0, threes, at) }
    if twos > threes { inTwos(threes, twos, at) }
    if all > twos { alone(twos, all, at) }
  }
}

/// 4 or 8 outputs times the vectors first..<end, so many at a time.
@inline(always) private func tiles(
  outputs: Int, by vectors: Int, _ first: Int, _ end: Int, _ at: Operands, apart: Int, transposed: Bool = false
) {
  #if AVX512 || PORTABLE
    let together = outputs
  #else
    let together = vectors == 1 ? outputs : 4
  #endif
  var j = first
  while j < end {
    var o = 0
    while o < outputs {
      tile(
        outputs: together, vectors: vectors, at.from(output: o, lane: j &* lanes, apart: apart), apart: apart,
        transposed: transposed)
      o &+= together
    }
    j &+= vectors
  }
}

// Each shape in a function by itself: in one the compiler would not inline what they consist of.

@inline(never) func dense8Threes(_ first: Int, _ end: Int, _ at: Operands) {
  tiles(outputs: 8, by: 3, first, end, at, apart: 1)
}
@inline(never) func dense8Twos(_ first: Int, _ end: Int, _ at: Operands) {
  tiles(outputs: 8, by: 2, first, end, at, apart: 1)
}
@inline(never) func dense8One(_ first: Int, _ end: Int, _ at: Operands) {
  tiles(outputs: 8, by: 1, first, end, at, apart: 1)
}
@inline(never) func dense4Threes(_ first: Int, _ end: Int, _ at: Operands) {
  tiles(outputs: 4, by: 3, first, end, at, apart: 1)
}
@inline(never) func dense4Twos(_ first: Int, _ end: Int, _ at: Operands) {
  tiles(outputs: 4, by: 2, first, end, at, apart: 1)
}
@inline(never) func dense4One(_ first: Int, _ end: Int, _ at: Operands) {
  tiles(outputs: 4, by: 1, first, end, at, apart: 1)
}
@inline(never) func transposedThrees(_ first: Int, _ end: Int, _ at: Operands) {
  tiles(outputs: 8, by: 3, first, end, at, apart: 8, transposed: true)
}
@inline(never) func transposedTwos(_ first: Int, _ end: Int, _ at: Operands) {
  tiles(outputs: 8, by: 2, first, end, at, apart: 8, transposed: true)
}
@inline(never) func transposedOne(_ first: Int, _ end: Int, _ at: Operands) {
  tiles(outputs: 8, by: 1, first, end, at, apart: 8, transposed: true)
}
@inline(never) func outerThrees(_ first: Int, _ end: Int, _ at: Operands) {
  tiles(outputs: 8, by: 3, first, end, at, apart: at.wApart)
}
@inline(never) func outerTwos(_ first: Int, _ end: Int, _ at: Operands) {
  tiles(outputs: 8, by: 2, first, end, at, apart: at.wApart)
}
@inline(never) func outerOne(_ first: Int, _ end: Int, _ at: Operands) {
  tiles(outputs: 8, by: 1, first, end, at, apart: at.wApart)
}
