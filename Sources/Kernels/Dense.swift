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
    denseOutputsInLanes(panels, weights, first, last, kBegin, kEnd, fromBias, lower, x, y, stride)
    if lower > -.infinity && stride > 1 { raise(y + 8 &* first &* stride, 8 &* (last &- first) &* stride, to: lower) }
  }
}

/// Replaces what is below `lower`, NaN is not.
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
  let cut = Cut(vectors: stride / lanes)
  var p = first
  while p < last {
    let part = PanelPart(panels[p], kBegin, kEnd)
    let at = Operands(
      start: fromBias ? weights + part.bias : nil,
      w: weights + part.weights(part.low), wStep: 8, x: x + part.low &* stride, xStep: stride,
      y: y + 8 &* p &* stride, yStep: stride, steps: part.high &- part.low, lower: lower)
    if panels[p].outputs > 4 {
      cut.run(at, dense8Threes, dense8Twos, dense8One)
    } else {
      cut.run(at, dense4Threes, dense4Twos, dense4One)
    }
    p &+= 1
  }
}

func denseTransposed(
  _ panels: UnsafePointer<Panel>, _ weights: In, _ panelCount: Int, _ columns: Int, _ g: In, _ y: Out, _ stride: Int,
  _ adds: Bool
) {
  let cut = Cut(vectors: stride / lanes)
  var zeros = W()
  withUnsafePointer(to: &zeros) {
    let zeros = UnsafeRawPointer($0).assumingMemoryBound(to: S.self)
    var first = 0
    var k = 0
    while k < columns {
      while first < panelCount && panels[first].end <= k { first &+= 1 }
      var at = Operands(
        start: adds ? nil : zeros, w: weights + 8 &* (1 &+ k), wStep: 1, x: g + 8 &* first &* stride, xStep: stride,
        y: y + k &* stride, yStep: stride, steps: 0)
      if first < panelCount { at.panels = panels + first }
      at.panelCount = panelCount &- first
      cut.run(at, transposedThrees, transposedTwos, transposedOne)
      k &+= 8
    }
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
    high = larger(smaller(panel.end, kEnd), low)
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

/// The sums of one panel for one row.
private struct PanelRow {
  var part: PanelPart
  var sum: W
  /// Where the weights of k = 0 would be.
  var w: In
  var y: Out

  @inline(always) init(
    _ panel: Int, _ panels: UnsafePointer<Panel>, _ weights: In, _ kBegin: Int, _ kEnd: Int, _ fromBias: Bool, _ y: Out
  ) {
    part = PanelPart(panels[panel], kBegin, kEnd)
    w = weights + part.weights(0)
    self.y = y + 8 &* panel
    sum = fromBias ? loadPanel(weights, part.bias) : loadPanel(In(self.y), 0)
  }

  @inline(always) mutating func add(_ k: Int, _ x: W) { sum = fma(loadPanel(w, 8 &* k), x, sum) }

  /// The terms from <= k < to of this panel alone.
  @inline(always) mutating func add(from: Int, to: Int, _ x: In) {
    var k = from
    while k < to {
      add(k, W(repeating: x[k]))
      k &+= 1
    }
  }

  /// No less than `lower`; NaN stays.
  @inline(always) func write(_ lower: S) {
    storePanel(sum.replacing(with: W(repeating: lower), where: sum .< W(repeating: lower)), y, 0)
  }
}

/// 8 panels, or 4, and one row: enough sums that none waits for the one before it to be ready. `count`, here and below, and
/// `first` are constants wherever this is inlined.
private struct PanelsOfRow {
  var a, b, c, d, e, f, g, h: PanelRow
  /// How far k got.
  var k = 0

  /// Of the panels `present` are there, 1 or more; the last stands in for those that are not.
  @inline(always) init(
    _ count: Int, _ panels: UnsafePointer<Panel>, present: Int, _ weights: In, _ kBegin: Int, _ kEnd: Int,
    _ fromBias: Bool, _ y: Out
  ) {
    let last = present &- 1
    a = PanelRow(0, panels, weights, kBegin, kEnd, fromBias, y)
    b = PanelRow(smaller(1, last), panels, weights, kBegin, kEnd, fromBias, y)
    c = PanelRow(smaller(2, last), panels, weights, kBegin, kEnd, fromBias, y)
    d = PanelRow(smaller(3, last), panels, weights, kBegin, kEnd, fromBias, y)
    (e, f, g, h) = (d, d, d, d)
    if count > 4 {
      e = PanelRow(smaller(4, last), panels, weights, kBegin, kEnd, fromBias, y)
      f = PanelRow(smaller(5, last), panels, weights, kBegin, kEnd, fromBias, y)
      g = PanelRow(smaller(6, last), panels, weights, kBegin, kEnd, fromBias, y)
      h = PanelRow(smaller(7, last), panels, weights, kBegin, kEnd, fromBias, y)
    }
  }

  /// To where all have terms, each by itself.
  @inline(always) mutating func begin(_ count: Int, _ x: In) {
    k = larger(larger(a.part.low, b.part.low), larger(c.part.low, d.part.low))
    if count > 4 { k = larger(k, larger(larger(e.part.low, f.part.low), larger(g.part.low, h.part.low))) }
    a.add(from: a.part.low, to: smaller(k, a.part.high), x)
    b.add(from: b.part.low, to: smaller(k, b.part.high), x)
    c.add(from: c.part.low, to: smaller(k, c.part.high), x)
    d.add(from: d.part.low, to: smaller(k, d.part.high), x)
    if count > 4 {
      e.add(from: e.part.low, to: smaller(k, e.part.high), x)
      f.add(from: f.part.low, to: smaller(k, f.part.high), x)
      g.add(from: g.part.low, to: smaller(k, g.part.high), x)
      h.add(from: h.part.low, to: smaller(k, h.part.high), x)
    }
  }

  /// The panels from `first` on together, as far as all of them have terms.
  @inline(always) mutating func together(from first: Int, of count: Int, _ x: In) {
    var end = count > 4 ? h.part.high : d.part.high
    if count > 4 {
      if first <= 6 { end = smaller(end, g.part.high) }
      if first <= 5 { end = smaller(end, f.part.high) }
      if first <= 4 { end = smaller(end, e.part.high) }
      if first <= 3 { end = smaller(end, d.part.high) }
    }
    if first <= 2 { end = smaller(end, c.part.high) }
    if first <= 1 { end = smaller(end, b.part.high) }
    if first <= 0 { end = smaller(end, a.part.high) }
    while k < end {
      let x = W(repeating: x[k])
      if first <= 0 { a.add(k, x) }
      if first <= 1 { b.add(k, x) }
      if first <= 2 { c.add(k, x) }
      if first <= 3 { d.add(k, x) }
      if count > 4 {
        if first <= 4 { e.add(k, x) }
        if first <= 5 { f.add(k, x) }
        if first <= 6 { g.add(k, x) }
        h.add(k, x)
      }
      k &+= 1
    }
  }

  @inline(always) func write(_ count: Int, _ lower: S) {
    a.write(lower)
    b.write(lower)
    c.write(lower)
    d.write(lower)
    if count > 4 {
      e.write(lower)
      f.write(lower)
      g.write(lower)
      h.write(lower)
    }
  }
}

/// Where ends ascend, as in a MADE, panels make stairs: they run together, one after the other drops out, and k ascends in
/// each.
@inline(always)
private func panelsOfRow(
  _ count: Int, _ panels: UnsafePointer<Panel>, present: Int, _ weights: In, _ kBegin: Int, _ kEnd: Int,
  _ fromBias: Bool, _ lower: S, _ x: In, _ y: Out
) {
  var sums = PanelsOfRow(count, panels, present: present, weights, kBegin, kEnd, fromBias, y)
  sums.begin(count, x)
  sums.together(from: 0, of: count, x)
  sums.a.add(from: sums.k, to: sums.a.part.high, x)
  sums.together(from: 1, of: count, x)
  sums.b.add(from: sums.k, to: sums.b.part.high, x)
  sums.together(from: 2, of: count, x)
  sums.c.add(from: sums.k, to: sums.c.part.high, x)
  sums.together(from: 3, of: count, x)
  sums.d.add(from: sums.k, to: sums.d.part.high, x)
  if count > 4 {
    sums.together(from: 4, of: count, x)
    sums.e.add(from: sums.k, to: sums.e.part.high, x)
    sums.together(from: 5, of: count, x)
    sums.f.add(from: sums.k, to: sums.f.part.high, x)
    sums.together(from: 6, of: count, x)
    sums.g.add(from: sums.k, to: sums.g.part.high, x)
    sums.together(from: 7, of: count, x)
  }
  sums.write(count, lower)
}

// One function for each shape: together in one they would be too large for the compiler to inline all of the above.

@inline(never) func dense8x1(
  _ panels: UnsafePointer<Panel>, _ present: Int, _ weights: In, _ kBegin: Int, _ kEnd: Int, _ fromBias: Bool,
  _ lower: S, _ x: In, _ y: Out
) { panelsOfRow(8, panels, present: present, weights, kBegin, kEnd, fromBias, lower, x, y) }

@inline(never) func dense4x1(
  _ panels: UnsafePointer<Panel>, _ present: Int, _ weights: In, _ kBegin: Int, _ kEnd: Int, _ fromBias: Bool,
  _ lower: S, _ x: In, _ y: Out
) { panelsOfRow(4, panels, present: present, weights, kBegin, kEnd, fromBias, lower, x, y) }

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

/// Whether the sums of two panels and four rows, or of eight panels and one row, fit into the registers.
private var registersForEight: Bool {
  @inline(always) get {
    #if AVX512 || (F32 && !BASELINE)
      return true
    #else
      return false
    #endif
  }
}

@inline(always)
private func denseOutputsInLanes(
  _ panels: UnsafePointer<Panel>, _ weights: In, _ first: Int, _ last: Int,
  _ kBegin: Int, _ kEnd: Int, _ fromBias: Bool, _ lower: S, _ x: In, _ y: Out, _ stride: Int
) {
  var p = first
  if stride == 1 {
    let most = registersForEight ? 8 : 4
    while p < last {
      // What does not fill a group goes first: in a MADE these sums are the shortest.
      let left = last &- p
      let present = left & (most &- 1) == 0 ? most : left & (most &- 1)
      if registersForEight && present > 4 {
        dense8x1(panels + p, present, weights, kBegin, kEnd, fromBias, lower, x, y + 8 &* p)
      } else {
        dense4x1(panels + p, present, weights, kBegin, kEnd, fromBias, lower, x, y + 8 &* p)
      }
      p &+= present
    }
    return
  }
  while p < last {
    let pair = p &+ 2 <= last && (registersForEight || stride == 2)
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
