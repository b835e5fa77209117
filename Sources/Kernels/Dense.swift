import KernelInterface

// Products with a packed matrix. Two regimes, by the number of rows: many rows lie in the lanes of a vector and a
// weight is broadcast to them; few rows leave lanes empty, so there the 8 outputs of a panel lie in the lanes and an
// input is broadcast. A sum goes over ascending k with one fused multiply-add a term in both: the same bits.

func dense(
  _ panels: UnsafePointer<Panel>, _ weights: In, _ first: Int, _ last: Int,
  _ kBegin: Int, _ kEnd: Int, _ fromBias: Bool, _ lower: Double, _ x: In, _ y: Out, _ stride: Int
) {
  let lower = S(lower)
  if stride & (lanes &- 1) == 0 {
    denseRowsInLanes(panels, weights, first, last, kBegin, kEnd, fromBias, lower, x, y, stride)
  } else {
    denseOutputsInLanes(panels, weights, first, last, kBegin, kEnd, fromBias, x, y, stride)
    if lower > -.infinity { raise(y + 8 &* first &* stride, 8 &* (last &- first) &* stride, to: lower) }
  }
}

/// Replaces what is below `lower`, NaN is not. While the sums are still in the first-level cache; as a part of the tiles
/// it would make them too large for the compiler to inline.
@inline(never)
func raise(_ y: Out, _ count: Int, to lower: S) {
  let limit = V(repeating: lower)
  var i = 0
  while i &+ lanes <= count {
    let v = load(In(y), i)
    store(v.replacing(with: limit, where: v .< limit), y, i)
    i &+= lanes
  }
  while i < count {
    if y[i] < lower { y[i] = lower }
    i &+= 1
  }
}

@inline(always)
private func denseRowsInLanes(
  _ panels: UnsafePointer<Panel>, _ weights: In, _ first: Int, _ last: Int,
  _ kBegin: Int, _ kEnd: Int, _ fromBias: Bool, _ lower: S, _ x: In, _ y: Out, _ stride: Int
) {
  let vectors = stride / lanes
  var p = first
  while p < last {
    let part = PanelPart(panels[p], kBegin, kEnd)
    let at = Operands(
      start: Start(values: fromBias ? weights + part.bias : nil),
      w: weights + part.weights(part.low), wStep: 8, x: x + part.low &* stride, xStep: stride,
      y: y + 8 &* p &* stride, yStep: stride, steps: part.high &- part.low)
    tiles8(at, vectors: vectors)
    if lower > -.infinity { raise(at.y, 8 &* stride, to: lower) }
    p &+= 1
  }
}

/// The terms of a panel that a call asks for: low <= k < high, perhaps none.
struct PanelPart {
  var bias: Int
  var begin: Int
  var low: Int
  var high: Int

  @inline(always) init(_ panel: Panel, _ kBegin: Int, _ kEnd: Int) {
    bias = panel.offset
    begin = panel.begin
    low = panel.begin > kBegin ? panel.begin : kBegin
    let end = panel.end < kEnd ? panel.end : kEnd
    high = end > low ? end : low
  }

  /// Where the 8 weights of k are.
  @inline(always) func weights(_ k: Int) -> Int { bias &+ 8 &+ 8 &* (k &- begin) }
}

// MARK: Outputs in lanes

/// Sums of the 8 outputs of a panel for up to 4 rows. The number of rows is a constant wherever this is inlined.
private struct PanelSums {
  var part: PanelPart
  var r0, r1, r2, r3: W

  @inline(always) init(
    _ panel: Panel, rows: Int, _ weights: In, _ kBegin: Int, _ kEnd: Int, _ fromBias: Bool, _ y: In, _ stride: Int
  ) {
    part = PanelPart(panel, kBegin, kEnd)
    r0 = W()
    r1 = W()
    r2 = W()
    r3 = W()
    if fromBias {
      r0 = loadPanel(weights, part.bias)
      r1 = r0
      r2 = r0
      r3 = r0
    } else {
      r0 = gather(y, stride)
      if rows > 1 { r1 = gather(y + 1, stride) }
      if rows > 2 { r2 = gather(y + 2, stride) }
      if rows > 3 { r3 = gather(y + 3, stride) }
    }
  }

  @inline(always) mutating func add(rows: Int, _ w: W, _ x: In) {
    r0 = fma(w, W(repeating: x[0]), r0)
    if rows > 1 { r1 = fma(w, W(repeating: x[1]), r1) }
    if rows > 2 { r2 = fma(w, W(repeating: x[2]), r2) }
    if rows > 3 { r3 = fma(w, W(repeating: x[3]), r3) }
  }

  /// Adds the terms from <= k < to of this panel alone.
  @inline(always) mutating func add(rows: Int, from: Int, to: Int, _ weights: In, _ x: In, _ stride: Int) {
    var k = from
    while k < to {
      add(rows: rows, loadPanel(weights, part.weights(k)), x + k &* stride)
      k &+= 1
    }
  }

  @inline(always) func write(rows: Int, _ y: Out, _ stride: Int) {
    scatter(r0, y, stride)
    if rows > 1 { scatter(r1, y + 1, stride) }
    if rows > 2 { scatter(r2, y + 2, stride) }
    if rows > 3 { scatter(r3, y + 3, stride) }
  }
}

@inline(always) private func gather(_ y: In, _ stride: Int) -> W {
  if stride == 1 { return loadPanel(y, 0) }
  return W(
    y[0], y[stride], y[2 &* stride], y[3 &* stride],
    y[4 &* stride], y[5 &* stride], y[6 &* stride], y[7 &* stride])
}

@inline(always) private func scatter(_ v: W, _ y: Out, _ stride: Int) {
  if stride == 1 { return storePanel(v, y, 0) }
  y[0] = v[0]
  y[stride] = v[1]
  y[2 &* stride] = v[2]
  y[3 &* stride] = v[3]
  y[4 &* stride] = v[4]
  y[5 &* stride] = v[5]
  y[6 &* stride] = v[6]
  y[7 &* stride] = v[7]
}

/// One panel and 1 to 4 rows.
@inline(always)
private func onePanel(
  rows: Int, _ panels: UnsafePointer<Panel>, _ weights: In, _ kBegin: Int, _ kEnd: Int,
  _ fromBias: Bool, _ x: In, _ y: Out, _ stride: Int
) {
  var a = PanelSums(panels[0], rows: rows, weights, kBegin, kEnd, fromBias, y, stride)
  a.add(rows: rows, from: a.part.low, to: a.part.high, weights, x, stride)
  a.write(rows: rows, y, stride)
}

/// Two panels and 1 to 4 rows, so that more sums are under way and a broadcast serves twice. The panels run together
/// where both have terms and by themselves before and after: k ascends in each.
@inline(always)
private func twoPanels(
  rows: Int, _ panels: UnsafePointer<Panel>, _ weights: In, _ kBegin: Int, _ kEnd: Int,
  _ fromBias: Bool, _ x: In, _ y: Out, _ stride: Int
) {
  let yb = y + 8 &* stride
  var a = PanelSums(panels[0], rows: rows, weights, kBegin, kEnd, fromBias, y, stride)
  var b = PanelSums(panels[1], rows: rows, weights, kBegin, kEnd, fromBias, yb, stride)
  let low = larger(a.part.low, b.part.low)
  let high = larger(low, smaller(a.part.high, b.part.high))
  a.add(rows: rows, from: a.part.low, to: smaller(low, a.part.high), weights, x, stride)
  b.add(rows: rows, from: b.part.low, to: smaller(low, b.part.high), weights, x, stride)
  var wa = a.part.weights(low)
  var wb = b.part.weights(low)
  var xk = x + low &* stride
  var left = high &- low
  while left > 0 {
    a.add(rows: rows, loadPanel(weights, wa), xk)
    b.add(rows: rows, loadPanel(weights, wb), xk)
    wa &+= 8
    wb &+= 8
    xk += stride
    left &-= 1
  }
  a.add(rows: rows, from: high, to: a.part.high, weights, x, stride)
  b.add(rows: rows, from: high, to: b.part.high, weights, x, stride)
  a.write(rows: rows, y, stride)
  b.write(rows: rows, yb, stride)
}

/// Four panels and 1 or 2 rows, likewise.
@inline(always)
private func fourPanels(
  rows: Int, _ panels: UnsafePointer<Panel>, _ weights: In, _ kBegin: Int, _ kEnd: Int,
  _ fromBias: Bool, _ x: In, _ y: Out, _ stride: Int
) {
  let yb = y + 8 &* stride
  let yc = y + 16 &* stride
  let yd = y + 24 &* stride
  var a = PanelSums(panels[0], rows: rows, weights, kBegin, kEnd, fromBias, y, stride)
  var b = PanelSums(panels[1], rows: rows, weights, kBegin, kEnd, fromBias, yb, stride)
  var c = PanelSums(panels[2], rows: rows, weights, kBegin, kEnd, fromBias, yc, stride)
  var d = PanelSums(panels[3], rows: rows, weights, kBegin, kEnd, fromBias, yd, stride)
  let low = larger(larger(a.part.low, b.part.low), larger(c.part.low, d.part.low))
  let high = larger(low, smaller(smaller(a.part.high, b.part.high), smaller(c.part.high, d.part.high)))
  a.add(rows: rows, from: a.part.low, to: smaller(low, a.part.high), weights, x, stride)
  b.add(rows: rows, from: b.part.low, to: smaller(low, b.part.high), weights, x, stride)
  c.add(rows: rows, from: c.part.low, to: smaller(low, c.part.high), weights, x, stride)
  d.add(rows: rows, from: d.part.low, to: smaller(low, d.part.high), weights, x, stride)
  var wa = a.part.weights(low)
  var wb = b.part.weights(low)
  var wc = c.part.weights(low)
  var wd = d.part.weights(low)
  var xk = x + low &* stride
  var left = high &- low
  while left > 0 {
    a.add(rows: rows, loadPanel(weights, wa), xk)
    b.add(rows: rows, loadPanel(weights, wb), xk)
    c.add(rows: rows, loadPanel(weights, wc), xk)
    d.add(rows: rows, loadPanel(weights, wd), xk)
    wa &+= 8
    wb &+= 8
    wc &+= 8
    wd &+= 8
    xk += stride
    left &-= 1
  }
  a.add(rows: rows, from: high, to: a.part.high, weights, x, stride)
  b.add(rows: rows, from: high, to: b.part.high, weights, x, stride)
  c.add(rows: rows, from: high, to: c.part.high, weights, x, stride)
  d.add(rows: rows, from: high, to: d.part.high, weights, x, stride)
  a.write(rows: rows, y, stride)
  b.write(rows: rows, yb, stride)
  c.write(rows: rows, yc, stride)
  d.write(rows: rows, yd, stride)
}

// One function for each shape: together in one they would be too large for the compiler to inline all of the above.

@inline(never) func dense4x1(
  _ panels: UnsafePointer<Panel>, _ weights: In, _ kBegin: Int, _ kEnd: Int, _ fromBias: Bool, _ x: In, _ y: Out
) { fourPanels(rows: 1, panels, weights, kBegin, kEnd, fromBias, x, y, 1) }

@inline(never) func dense1x1(
  _ panels: UnsafePointer<Panel>, _ weights: In, _ kBegin: Int, _ kEnd: Int, _ fromBias: Bool, _ x: In, _ y: Out
) { onePanel(rows: 1, panels, weights, kBegin, kEnd, fromBias, x, y, 1) }

@inline(never) func dense2x4(
  _ panels: UnsafePointer<Panel>, _ weights: In, _ kBegin: Int, _ kEnd: Int,
  _ fromBias: Bool, _ x: In, _ y: Out, _ stride: Int
) { twoPanels(rows: 4, panels, weights, kBegin, kEnd, fromBias, x, y, stride) }

@inline(never) func dense2x3(
  _ panels: UnsafePointer<Panel>, _ weights: In, _ kBegin: Int, _ kEnd: Int,
  _ fromBias: Bool, _ x: In, _ y: Out, _ stride: Int
) { twoPanels(rows: 3, panels, weights, kBegin, kEnd, fromBias, x, y, stride) }

@inline(never) func dense2x2(
  _ panels: UnsafePointer<Panel>, _ weights: In, _ kBegin: Int, _ kEnd: Int,
  _ fromBias: Bool, _ x: In, _ y: Out, _ stride: Int
) { twoPanels(rows: 2, panels, weights, kBegin, kEnd, fromBias, x, y, stride) }

@inline(never) func dense1x4(
  _ panels: UnsafePointer<Panel>, _ weights: In, _ kBegin: Int, _ kEnd: Int,
  _ fromBias: Bool, _ x: In, _ y: Out, _ stride: Int
) { onePanel(rows: 4, panels, weights, kBegin, kEnd, fromBias, x, y, stride) }

@inline(never) func dense1x3(
  _ panels: UnsafePointer<Panel>, _ weights: In, _ kBegin: Int, _ kEnd: Int,
  _ fromBias: Bool, _ x: In, _ y: Out, _ stride: Int
) { onePanel(rows: 3, panels, weights, kBegin, kEnd, fromBias, x, y, stride) }

@inline(never) func dense1x2(
  _ panels: UnsafePointer<Panel>, _ weights: In, _ kBegin: Int, _ kEnd: Int,
  _ fromBias: Bool, _ x: In, _ y: Out, _ stride: Int
) { onePanel(rows: 2, panels, weights, kBegin, kEnd, fromBias, x, y, stride) }

/// Whether the sums of two panels and four rows fit into the registers.
private var registersForPairs: Bool {
  @inline(always) get {
    #if AVX512 || (AVX2 && F32)
      return true
    #else
      return false
    #endif
  }
}

@inline(always)
private func denseOutputsInLanes(
  _ panels: UnsafePointer<Panel>, _ weights: In, _ first: Int, _ last: Int,
  _ kBegin: Int, _ kEnd: Int, _ fromBias: Bool, _ x: In, _ y: Out, _ stride: Int
) {
  var p = first
  if stride == 1 {
    while p &+ 4 <= last {
      dense4x1(panels + p, weights, kBegin, kEnd, fromBias, x, y + 8 &* p)
      p &+= 4
    }
    while p < last {
      dense1x1(panels + p, weights, kBegin, kEnd, fromBias, x, y + 8 &* p)
      p &+= 1
    }
    return
  }
  while p < last {
    let pair = p &+ 2 <= last && (registersForPairs || stride == 2)
    let panel = panels + p
    let yp = y + 8 &* p &* stride
    var r = 0
    while r < stride {
      // Groups of 4 rows, and of 3 and 2 rather than leave one over.
      switch stride &- r {
      case 2:
        if pair {
          dense2x2(panel, weights, kBegin, kEnd, fromBias, x + r, yp + r, stride)
        } else {
          dense1x2(panel, weights, kBegin, kEnd, fromBias, x + r, yp + r, stride)
        }
        r &+= 2
      case 3, 5:
        if pair {
          dense2x3(panel, weights, kBegin, kEnd, fromBias, x + r, yp + r, stride)
        } else {
          dense1x3(panel, weights, kBegin, kEnd, fromBias, x + r, yp + r, stride)
        }
        r &+= 3
      default:
        if pair {
          dense2x4(panel, weights, kBegin, kEnd, fromBias, x + r, yp + r, stride)
        } else {
          dense1x4(panel, weights, kBegin, kEnd, fromBias, x + r, yp + r, stride)
        }
        r &+= 4
      }
    }
    p &+= pair ? 2 : 1
  }
}
