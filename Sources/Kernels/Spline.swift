import KernelInterface

// Monotone rational-quadratic splines (Gregory and Delbourgo 1982; Durkan et al. 2019; on a circle, Rezende et al. 2020),
// one number a lane. The bin is found by going through all of them with masks. Within it, with t the place of x in the
// bin, 0 to 1, v that of y, s = height / width and the derivatives d0, d1 at its ends:
//     v = (s t^2 + d0 t (1 - t)) / b,  b = s (1 - 2 t (1 - t)) + (d0 + d1) t (1 - t)
//     dy/dx = (s / b)^2 (d1 t^2 + 2 s t (1 - t) + d0 (1 - t)^2)
// All of these are sums of positive terms: nothing cancels. So are those of linear pieces (Halves; Dolatabadi et al. 2020).

func spline(_ rule: UnsafeRawPointer, _ count: Int, _ x: In, _ p: Out, _ y: Out, _ logs: Out) {
  let rule = rule.assumingMemoryBound(to: SplineRule.self).pointee
  var block = SplineBlock()
  withUnsafeMutablePointer(to: &block) { splineVectors(rule, count, x, p, y, logs, $0, inverse: false) }
}

func splineInverse(_ rule: UnsafeRawPointer, _ count: Int, _ y: In, _ p: Out, _ x: Out, _ logs: Out) {
  let rule = rule.assumingMemoryBound(to: SplineRule.self).pointee
  var block = SplineBlock()
  withUnsafeMutablePointer(to: &block) { splineVectors(rule, count, y, p, x, logs, $0, inverse: true) }
}

func splinePullback(
  _ rule: UnsafeRawPointer, _ count: Int, _ x: In, _ p: In, _ logs: In, _ g: Out, _ gp: Out
) {
  let rule = rule.assumingMemoryBound(to: SplineRule.self).pointee
  var block = SplineBlock()
  withUnsafeMutablePointer(to: &block) { splinePullbackVectors(rule, count, x, p, g, gp, $0, inverse: false) }
}

func splineInversePullback(
  _ rule: UnsafeRawPointer, _ count: Int, _ x: In, _ p: In, _ logs: In, _ g: Out, _ gp: Out
) {
  let rule = rule.assumingMemoryBound(to: SplineRule.self).pointee
  var block = SplineBlock()
  withUnsafeMutablePointer(to: &block) { splinePullbackVectors(rule, count, x, p, g, gp, $0, inverse: true) }
}

/// What is known of the numbers of a vector, on the stack. The steps below pass it on in memory: in one large function
/// the compiler would not inline loads and stores, and leave weak symbols.
struct SplineBlock {
  /// For the last numbers, see Numbers.
  var spare = V()
  /// x or y as given, and the other with the logarithm of the slope; or the gradients in these.
  var given = V(), result = V(), logarithm = V()
  var bin = V()
  var width = SplineSide(), height = SplineSide()
  /// Raw parameters of the derivatives at both ends of the bin, and, of linear pieces, of lambda; then the gradient in them.
  var lower = V(), upper = V(), lambda = V()
  @inline(always) init() {}
}

/// The bin along one axis: left end and size. e: its exponential, of all that sum to `sum` and to `before` before it.
/// And the gradient.
struct SplineSide {
  var left = V(), size = V(), reciprocal = V()
  var e = V(), before = V(), sum = V()
  var gLeft = V(), gSize = V()
  @inline(always) init() {}

  /// The place of x, 0 to 1: rounding of the ends of bins can lead past them.
  @inline(always) func place(_ x: V) -> V {
    let t = (x - left) * reciprocal
    return t.replacing(with: V(repeating: 1), where: t .> V(repeating: 1)).replacing(with: V(), where: t .< V())
  }
}

/// Replaces raw parameters by their exponentials relative to the largest: what softmax is made of.
@inline(never) func exponentials(_ bins: Int, _ count: Int, _ p: Out, _ block: UnsafeMutablePointer<SplineBlock>) {
  var numbers = Numbers(count, block)
  while numbers.first < count {
    var most = numbers.read(p)
    var j = 1
    while j < bins {
      let raw = numbers.read(p, j)
      most = most.replacing(with: raw, where: raw .> most)
      j &+= 1
    }
    j = 0
    while j < bins {
      numbers.write(expOfNegative(numbers.read(p, j) - most), p, j)
      j &+= 1
    }
    numbers.advance()
  }
}

/// The same with a bound: exponentials of the logits softly clipped to it, which overflow not even as they are. So the
/// pullback finds the logits again.
@inline(never) func boundedExponentials(
  _ rule: SplineRule, _ count: Int, _ p: Out, _ block: UnsafeMutablePointer<SplineBlock>
) {
  let perBound = V(repeating: S(1 / rule.logitBound))
  var numbers = Numbers(count, block)
  while numbers.first < count {
    var j = 0
    while j < 2 &* rule.bins {
      numbers.write(exp(softClip(numbers.read(p, j), perBound).value), p, j)
      j &+= 1
    }
    numbers.advance()
  }
}

/// Of the soft clip, whose derivative is (1 - |logit| / bound)^2.
@inline(never) func clipPullback(
  _ rule: SplineRule, _ first: Int, _ count: Int, _ block: UnsafeMutablePointer<SplineBlock>, _ p: In, _ gp: Out
) {
  let numbers = Numbers(count, first: first, block)
  let perBound = V(repeating: S(-1 / rule.logitBound))
  var j = 0
  while j < 2 &* rule.bins {
    let root = positivePart(fma(magnitude(log(numbers.read(p, j))), perBound, V(repeating: 1)))
    numbers.write(numbers.read(In(gp), j) * root * root, gp, j)
    j &+= 1
  }
}

@inline(never) func splineVectors(
  _ rule: SplineRule, _ count: Int, _ x: In, _ p: Out, _ y: Out, _ logs: Out,
  _ block: UnsafeMutablePointer<SplineBlock>,
  inverse: Bool
) {
  if rule.logitBound > 0 {
    boundedExponentials(rule, count, p, block)
  } else {
    exponentials(rule.bins, count, p, block)
    exponentials(rule.bins, count, p + rule.bins &* count, block)
  }
  var numbers = Numbers(count, block)
  while numbers.first < count {
    locate(rule, numbers.first, count, x, p, block, amongHeights: inverse)
    evaluate(rule, block, inverse: inverse)
    numbers.write(block.pointee.result, y)
    numbers.write(block.pointee.logarithm, logs)
    numbers.advance()
  }
}

/// Finds the bins of the numbers x, or y.
@inline(never) func locate(
  _ rule: SplineRule, _ first: Int, _ count: Int, _ x: In, _ p: In, _ block: UnsafeMutablePointer<SplineBlock>,
  amongHeights: Bool
) {
  let numbers = Numbers(count, first: first, block)
  let rule = Rule(rule)
  let heights = p + rule.bins &* count
  let given = numbers.read(x)
  block.pointee.given = given
  let (bin, a) = rule.find(
    rule.placed(given, turned: !amongHeights), amongHeights ? heights : p, amongHeights ? rule.height : rule.width,
    numbers)
  let b = rule.pick(bin, amongHeights ? p : heights, amongHeights ? rule.width : rule.height, numbers)
  block.pointee.bin = bin
  block.pointee.width = amongHeights ? b : a
  block.pointee.height = amongHeights ? a : b
  let derivatives = heights + rule.bins &* count
  (block.pointee.lower, block.pointee.upper) = rule.rawDerivatives(bin, derivatives, numbers)
  if rule.isLinear {
    block.pointee.lambda = rule.rawLambda(bin, derivatives + rule.derivativeCount &* count, numbers)
  }
}

@inline(never) func evaluate(_ rule: SplineRule, _ block: UnsafeMutablePointer<SplineBlock>, inverse: Bool) {
  let rule = Rule(rule)
  let given = block.pointee.given
  let at = rule.placed(given, turned: !inverse)
  let (w, h) = (block.pointee.width, block.pointee.height)
  let (d0, d1) = rule.derivatives(block.pointee)
  let piece = Piece(w, h, d0.value, d1.value)
  var t: V
  var u: V
  var result: V
  if inverse {
    let v = h.place(at)
    (t, u) = rule.isLinear ? Halves(piece, rule.lambda(block.pointee).value).solve(v) : piece.solve(v)
    result = fma(t, w.size, w.left)
  } else {
    t = w.place(at)
    u = 1 - t
    let v = rule.isLinear ? Halves(piece, rule.lambda(block.pointee).value).value(t, u) : piece.value(t, u)
    result = fma(v, h.size, h.left)
  }
  if rule.endsCount {
    // The derivative at the end, and no other number near it.
    t = t.replacing(with: V(repeating: 1), where: at .>= rule.high)
    u = u.replacing(with: V(), where: at .>= rule.high)
  }
  let slope = rule.isLinear ? Halves(piece, rule.lambda(block.pointee).value).slope(t, u) : piece.slope(t, u)
  var logarithm = log(slope)
  // NaN in the parameters shows at the end of the box and outside, too.
  let known = result .== result
  result = rule.inBox(result).replacing(with: rule.high, where: known .& (at .>= rule.high))
  let outside = known .& rule.outside(given)
  switch rule.boundary {
  case .linear, .free:
    result = result.replacing(with: given, where: outside)
    logarithm = logarithm.replacing(with: V(), where: outside)
  case .interval:
    result = result.replacing(with: V(repeating: .nan), where: outside)
    logarithm = logarithm.replacing(with: V(repeating: .nan), where: outside)
  case .periodic: break
  case .extended:
    let beyond = given - at
    result += inverse ? beyond / slope : beyond * slope
  case .halfTurn:
    // Turned back, which is the same half turn.
    if inverse { result = rule.placed(result, turned: true) }
  }
  block.pointee.result = result
  block.pointee.logarithm = logarithm
}

@inline(never) func splinePullbackVectors(
  _ rule: SplineRule, _ count: Int, _ x: In, _ p: In, _ g: Out, _ gp: Out, _ block: UnsafeMutablePointer<SplineBlock>,
  inverse: Bool
) {
  let half = rule.bins &* count
  let range = rule.high - rule.low
  let minima = Double(rule.minimumCount)
  var numbers = Numbers(count, block)
  while numbers.first < count {
    let i = numbers.first
    locate(rule, i, count, x, p, block, amongHeights: false)
    block.pointee.result = numbers.read(In(g))
    block.pointee.logarithm = numbers.read(In(gp))
    binPullback(rule, block, inverse: inverse)
    numbers.write(block.pointee.result, g)
    softmaxPullback(
      rule.bins, S(range * (1 - minima * rule.minWidth)), i, count, block, ofWidths: true, p, gp)
    softmaxPullback(
      rule.bins, S(range * (1 - minima * rule.minHeight)), i, count, block, ofWidths: false, p + half, gp + half)
    if rule.logitBound > 0 { clipPullback(rule, i, count, block, p, gp) }
    derivativePullback(rule, i, count, block, gp + 2 &* half)
    if rule.pieces == .linear {
      lambdaPullback(rule.bins, i, count, block, gp + 2 &* half + rule.derivativeCount &* count)
    }
    numbers.advance()
  }
}

/// With x = f(y; p) the inverse, L(x, l) has the gradient G = (dL/dx + dL/dl l_x) / y_x in y. As dx = (dy - y_p dp) / y_x,
/// its gradient in p is that of the forward map for dL/dy = -G.
@inline(never) func binPullback(_ rule: SplineRule, _ block: UnsafeMutablePointer<SplineBlock>, inverse: Bool) {
  let rule = Rule(rule)
  let one = V(repeating: 1)
  let given = block.pointee.given
  let (w, h) = (block.pointee.width, block.pointee.height)
  let (d0, d1) = rule.derivatives(block.pointee)
  let piece = Piece(w, h, d0.value, d1.value)
  let s = piece.s
  let at = rule.placed(given, turned: true)
  var t = w.place(at)
  if rule.endsCount { t = t.replacing(with: one, where: at .>= rule.high) }
  let u = 1 - t
  let d =
    rule.isLinear ? Halves(piece, rule.lambda(block.pointee).value).partials(t, u) : piece.partials(t, u)
  var lt = d.lt

  var outside = rule.outside(given)
  let gResult = block.pointee.result
  let gLogs = block.pointee.logarithm.replacing(with: V(), where: outside)
  let beyond = given - at
  switch rule.boundary {
  case .extended:
    outside = beyond .!= V()
    lt = lt.replacing(with: V(), where: outside)
  default: break
  }
  let slope = s * d.vt
  let gPlace = gLogs * lt * w.reciprocal
  var gArgument = inverse ? (gResult + gPlace) / slope : fma(gResult, slope, gPlace)
  let gValue = inverse ? -gArgument : gResult
  let gy = gValue.replacing(with: V(), where: outside)
  switch rule.boundary {
  case .linear, .free: gArgument = gArgument.replacing(with: gResult, where: outside)
  case .interval: gArgument = gArgument.replacing(with: V(repeating: .nan), where: outside)
  case .periodic, .extended, .halfTurn: break
  }
  block.pointee.result = gArgument
  let gv = gy * h.size
  let gt = fma(gv, d.vt, gLogs * lt) * w.reciprocal
  let gs = fma(gv, d.vs, gLogs * d.ls) * w.reciprocal
  block.pointee.width.gLeft = -gt
  block.pointee.width.gSize = -fma(t, gt, s * gs)
  block.pointee.height.gLeft = gy
  block.pointee.height.gSize = fma(gy, d.v, gs)
  var gLower = fma(gv, d.v0, gLogs * d.l0)
  var gUpper = fma(gv, d.v1, gLogs * d.l1)
  switch rule.boundary {
  case .extended:
    // Outside t is 0 or 1.
    gLower = fma(gValue * beyond, u, gLower)
    gUpper = fma(gValue * beyond, t, gUpper)
  default: break
  }
  block.pointee.lower = gLower * d0.slope
  block.pointee.upper = gUpper * d1.slope
  if rule.isLinear {
    block.pointee.lambda = fma(gv, d.vLambda, gLogs * d.lLambda) * rule.lambda(block.pointee).slope
  }
}

/// Of all sizes: those of earlier bins move the left end of the bin.
@inline(never) func softmaxPullback(
  _ bins: Int, _ span: S, _ first: Int, _ count: Int, _ block: UnsafeMutablePointer<SplineBlock>, ofWidths: Bool,
  _ p: In, _ gp: Out
) {
  let numbers = Numbers(count, first: first, block)
  let bin = block.pointee.bin
  let side = ofWidths ? block.pointee.width : block.pointee.height
  let per = 1 / side.sum
  let mean = fma(side.before * per, side.gLeft, side.e * per * side.gSize)
  let scale = V(repeating: span) * per
  let gBefore = (side.gLeft - mean) * scale
  let gAt = (side.gSize - mean) * scale
  let gAfter = -mean * scale
  var knot = V()
  var j = 0
  while j < bins {
    let g = gAfter.replacing(with: gAt, where: bin .>= knot).replacing(with: gBefore, where: bin .> knot)
    numbers.write(g * numbers.read(p, j), gp, j)
    knot += 1
    j &+= 1
  }
}

@inline(never) func derivativePullback(
  _ rule: SplineRule, _ first: Int, _ count: Int, _ block: UnsafeMutablePointer<SplineBlock>, _ gp: Out
) {
  let numbers = Numbers(count, first: first, block)
  let rule = Rule(rule)
  let bin = block.pointee.bin
  let lower = block.pointee.lower
  let upper = block.pointee.upper
  let next = bin + 1
  var knot = rule.firstKnot
  var j = 0
  while j < rule.derivativeCount {
    var g = V().replacing(with: lower, where: bin .== knot).replacing(with: upper, where: next .== knot)
    switch rule.boundary {
    case .periodic: if j == 0 { g = g.replacing(with: upper, where: bin .>= rule.last) }
    default: break
    }
    numbers.write(g, gp, j)
    knot += 1
    j &+= 1
  }
}

/// Of the bin alone.
@inline(never) func lambdaPullback(
  _ bins: Int, _ first: Int, _ count: Int, _ block: UnsafeMutablePointer<SplineBlock>, _ gp: Out
) {
  let numbers = Numbers(count, first: first, block)
  let bin = block.pointee.bin
  var knot = V()
  var j = 0
  while j < bins {
    numbers.write(V().replacing(with: block.pointee.lambda, where: bin .== knot), gp, j)
    knot += 1
    j &+= 1
  }
}

/// As many numbers as a vector has lanes, or the last few: these go through padded memory.
private struct Numbers {
  var first = 0
  private let step: Int
  private let spare: Out

  @inline(always) init(_ count: Int, first: Int = 0, _ spare: UnsafeMutableRawPointer) {
    self.first = first
    step = count
    self.spare = spare.assumingMemoryBound(to: S.self)
  }

  @inline(always) mutating func advance() { first &+= lanes }

  @inline(always) private var rest: Int { step &- first }

  @inline(always) func read(_ p: In, _ parameter: Int = 0) -> V {
    let at = p + (parameter &* step &+ first)
    if rest < lanes { copyNumbers(at, spare, rest) }
    return load(rest < lanes ? In(spare) : at, 0)
  }

  @inline(always) func write(_ v: V, _ p: Out, _ parameter: Int = 0) {
    let at = p + (parameter &* step &+ first)
    store(v, rest < lanes ? spare : at, 0)
    if rest < lanes { copyNumbers(spare, at, rest) }
  }
}

@inline(never) func copyNumbers(_ from: In, _ to: Out, _ count: Int) {
  UnsafeMutableRawPointer(to).copyMemory(from: from, byteCount: count &* MemoryLayout<S>.size)
}

/// A function with its derivative.
private struct Derivative { var value, slope: V }

/// From the minimum and the raw parameters to sizes: size = range * (minimum + (1 - bins * minimum) softmax).
private struct Axis {
  let least, span: V
  /// `least` of the first and the last bin; where knot 0 would be if they were like the others.
  let endLeast, start: V
  @inline(always) init(_ rule: SplineRule, _ minimum: Double) {
    let range = rule.high - rule.low
    // A bound of the logits is a minimum, too.
    let minimum = rule.logitBound > 0 || minimum > leastMinimum ? minimum : leastMinimum
    let missing = rule.halfEnds ? 0.5 * range * minimum : 0
    least = V(repeating: S(range * minimum))
    span = V(repeating: S(range * (1 - Double(rule.minimumCount) * minimum)))
    endLeast = V(repeating: S(range * minimum - missing))
    start = V(repeating: S(rule.low - missing))
  }
}

/// What a minimum of 0 is taken as: so small that no size shows it, and so large that the steepest slope, of linear pieces
/// (height / width)^2 / derivative, is still a number.
#if F32
  private let leastMinimum = 0x1p-30
#else
  private let leastMinimum = 0x1p-200
#endif

/// Derivatives of log dy/dx (l) and of v by t, s, d0, d1 and lambda.
private struct SplinePartials {
  var lt, ls, l0, l1: V
  var v, vt, vs, v0, v1: V
  var lLambda = V(), vLambda = V()
}

/// The curve in one bin.
private struct Piece {
  let s, d0, d1: V

  @inline(always) init(_ w: SplineSide, _ h: SplineSide, _ d0: V, _ d1: V) {
    self.d0 = d0
    self.d1 = d1
    s = h.size * w.reciprocal
  }

  @inline(always) func b(_ tu: V) -> V { fma(s, fma(tu, V(repeating: -2), V(repeating: 1)), (d0 + d1) * tu) }
  @inline(always) func m(_ t: V, _ u: V) -> V { fma(d1 * t, t, fma(2 * s * t, u, d0 * u * u)) }
  @inline(always) func value(_ t: V, _ u: V) -> V { t * fma(s, t, d0 * u) / b(t * u) }

  @inline(always) func slope(_ t: V, _ u: V) -> V {
    let q = s / b(t * u)
    // In this order a huge derivative does not overflow.
    return q * m(t, u) * q
  }

  /// t and 1 - t for v. With e = d0 (1 - v) - d1 v and r^2 = e^2 + 4 s^2 v (1 - v), the quadratic equation for t has the
  /// root 2 s v / (2 s v + e + r), and in the same way 1 - t = 2 s (1 - v) / (2 s (1 - v) - e + r): by the sign of e, one
  /// of them adds positive numbers only.
  @inline(always) func solve(_ v: V) -> (V, V) {
    let rest = 1 - v
    let e = fma(d0, rest, -d1 * v)
    let negative = e .< V()
    let a = 2 * s * v.replacing(with: rest, where: negative)
    let b = magnitude(e) + fma(e, e, 4 * s * s * v * rest).squareRoot()
    let per = 1 / (a + b)
    let first = a * per
    let second = b * per
    return (first.replacing(with: second, where: negative), second.replacing(with: first, where: negative))
  }

  @inline(always) func partials(_ t: V, _ u: V) -> SplinePartials {
    let one = V(repeating: 1)
    let tu = t * u
    let v = value(t, u)
    let m = m(t, u)
    let perM = one / m
    let perB = one / b(tu)
    let turn = u - t
    let round = fma(tu, V(repeating: -2), one)
    let mt = 2 * fma(d1, t, fma(s, turn, -d0 * u))
    return SplinePartials(
      lt: fma(mt, perM, (d0 + d1 - 2 * s) * turn * perB * -2), ls: 2 * (one / s + tu * perM - round * perB),
      l0: fma(u * u, perM, tu * perB * -2), l1: fma(t * t, perM, tu * perB * -2), v: v, vt: s * perB * m * perB,
      vs: (t * t - v * round) * perB, v0: tu * (one - v) * perB, v1: -v * tu * perB)
  }
}

/// The curve in one bin of linear pieces, two hyperbolas that meet at t = lambda with one slope. Each is the same function
/// of what it is seen from its end of the bin: with the part r of the width from there, up to l, which is lambda or
/// 1 - lambda, the derivative d there and m = (1 - l) sqrt(d0 d1) + l d,
///     v = l d r / b,  b = s (l - r) + m r,  dy/dx = d (l s / b)^2
private struct Halves {
  private let s, d0, d1, lambda, rest, mean: V

  @inline(always) init(_ piece: Piece, _ lambda: V) {
    s = piece.s
    d0 = piece.d0
    d1 = piece.d1
    self.lambda = lambda
    rest = 1 - lambda
    mean = d0.squareRoot() * d1.squareRoot()
  }

  /// One of the two. other: the derivative at the other end.
  private struct Half {
    let isFirst: SIMDMask<V.MaskStorage>
    let l, rest, d, other, m: V
  }

  @inline(always) private func half(_ isFirst: SIMDMask<V.MaskStorage>) -> Half {
    let l = rest.replacing(with: lambda, where: isFirst)
    let others = lambda.replacing(with: rest, where: isFirst)
    let d = d1.replacing(with: d0, where: isFirst)
    return Half(
      isFirst: isFirst, l: l, rest: others, d: d, other: d0.replacing(with: d1, where: isFirst),
      m: fma(l, d, others * mean))
  }

  @inline(always) private func b(_ half: Half, _ r: V) -> V { fma(s, half.l - r, half.m * r) }

  @inline(always) func value(_ t: V, _ u: V) -> V {
    let half = half(t .<= lambda)
    let r = u.replacing(with: t, where: half.isFirst)
    let v = half.l * half.d * r / b(half, r)
    return (1 - v).replacing(with: v, where: half.isFirst)
  }

  @inline(always) func slope(_ t: V, _ u: V) -> V {
    let half = half(t .<= lambda)
    let q = half.l * s / b(half, u.replacing(with: t, where: half.isFirst))
    return q * half.d * q
  }

  /// t and 1 - t for v: r = v s l / (v s + l d - v m), from the end where v is small.
  @inline(always) func solve(_ v: V) -> (V, V) {
    let half = half(v .<= lambda * d0 / fma(lambda, d0, rest * mean))
    let near = (1 - v).replacing(with: v, where: half.isFirst)
    let left = near * s
    let r = left * half.l / (left + positivePart(fma(-near, half.m, half.l * half.d)))
    return ((1 - r).replacing(with: r, where: half.isFirst), r.replacing(with: 1 - r, where: half.isFirst))
  }

  @inline(always) func partials(_ t: V, _ u: V) -> SplinePartials {
    let half = half(t .<= lambda)
    let (l, d) = (half.l, half.d)
    let r = u.replacing(with: t, where: half.isFirst)
    let perB = 1 / b(half, r)
    let v = l * d * r * perB
    let share = 0.5 * half.rest * mean * r
    let (bS, bL) = (l - r, fma(r, d - mean, s))
    let (bD, bOther) = (fma(l, r, share / d), share / half.other)
    let q = l * perB
    let sign = V(repeating: -1).replacing(with: V(repeating: 1), where: half.isFirst)
    let (lD, lOther) = (fma(bD * perB, V(repeating: -2), 1 / d), bOther * perB * -2)
    let (vD, vOther) = (sign * (l * r - v * bD) * perB, -sign * v * bOther * perB)
    return SplinePartials(
      lt: sign * (half.m - s) * perB * -2, ls: 2 * (1 / s - bS * perB),
      l0: lOther.replacing(with: lD, where: half.isFirst), l1: lD.replacing(with: lOther, where: half.isFirst),
      v: (1 - v).replacing(with: v, where: half.isFirst), vt: q * d * q * s, vs: -sign * v * bS * perB,
      v0: vOther.replacing(with: vD, where: half.isFirst), v1: vD.replacing(with: vOther, where: half.isFirst),
      lLambda: 2 * sign * (1 / l - bL * perB), vLambda: (d * r - v * bL) * perB)
  }
}

/// A rule, its numbers in all lanes.
private struct Rule {
  let bins: Int
  let derivativeCount: Int
  let boundary: SplineRule.Boundary
  let low, high, range, perRange: V
  let width, height: Axis
  let derivative: SplineRule.Derivative
  let minDerivative, offset, perDerivativeBound, boundaryDerivative: V
  let isLinear: Bool
  private let minLambda, lambdaSpan: V
  /// Whether the ends of the box have the slope of the spline, where it jumps or goes on outside.
  let endsCount: Bool

  @inline(always) init(_ rule: SplineRule) {
    bins = rule.bins
    derivativeCount = rule.derivativeCount
    boundary = rule.boundary
    low = V(repeating: S(rule.low))
    high = V(repeating: S(rule.high))
    range = V(repeating: S(rule.high - rule.low))
    perRange = V(repeating: S(1 / (rule.high - rule.low)))
    width = Axis(rule, rule.minWidth)
    height = Axis(rule, rule.minHeight)
    minDerivative = V(repeating: S(rule.minDerivative > leastMinimum ? rule.minDerivative : leastMinimum))
    offset = V(repeating: S(rule.offset))
    derivative = rule.derivative
    perDerivativeBound = V(repeating: S(1 / rule.derivativeBound))
    boundaryDerivative = V(repeating: S(rule.boundaryDerivative))
    isLinear = rule.pieces == .linear
    minLambda = V(repeating: S(rule.minLambda))
    lambdaSpan = V(repeating: S(1 - 2 * rule.minLambda))
    switch boundary {
    case .linear: endsCount = rule.boundaryDerivative != 1
    case .free, .extended: endsCount = true
    case .periodic, .interval, .halfTurn: endsCount = false
    }
  }

  /// The last bin, counted from 0.
  @inline(always) var last: V { V(repeating: S(bins &- 1)) }

  /// Knot of the first derivative parameter.
  @inline(always) var firstKnot: V {
    switch boundary {
    case .linear, .halfTurn: return V(repeating: 1)
    default: return V()
    }
  }

  @inline(always) func outside(_ x: V) -> SIMDMask<V.MaskStorage> {
    switch boundary {
    // At the ends, too, so that they stay what they are.
    case .linear where !endsCount: return (x .<= low) .| (x .>= high)
    case .linear, .interval, .free: return (x .< low) .| (x .> high)
    case .periodic, .extended, .halfTurn: return V() .> V()
    }
  }

  /// NaN stays.
  @inline(always) func inBox(_ x: V) -> V {
    x.replacing(with: low, where: x .< low).replacing(with: high, where: x .> high)
  }

  /// x in the box: on a circle by whole turns, if `turned` after the half one that the rule may ask for; else at its
  /// nearer end.
  @inline(always) func placed(_ given: V, turned: Bool) -> V {
    var x = given
    switch boundary {
    case .halfTurn: if turned { x += 0.5 * range }
    default: break
    }
    switch boundary {
    case .periodic, .halfTurn:
      #if F32
        let rounding = V(repeating: 0x1.8p23)
        let most = V(repeating: 0x1p21)
      #else
        let rounding = V(repeating: 0x1.8p52)
        let most = V(repeating: 0x1p50)
      #endif
      // Numbers of more turns than that have no angle left.
      let turns = limited((x - low) * perRange - 0.5, most)
      var y = fma(rounding - (turns + rounding), range, x)
      y = y.replacing(with: y + range, where: y .< low)
      y = y.replacing(with: y - range, where: y .> high)
      // Infinity becomes NaN.
      y = inBox(y) + (x - x)
      return y.replacing(with: x, where: (x .>= low) .& (x .<= high))
    default: return inBox(x)
    }
  }

  // MARK: Softmax

  /// The bin that x is in, from the exponentials.
  @inline(always) func find(_ x: V, _ p: In, _ axis: Axis, _ numbers: Numbers) -> (V, SplineSide) {
    var sum = V()
    var k = 0
    while k < bins {
      sum += numbers.read(p, k)
      k &+= 1
    }
    let scale = axis.span / sum
    var bin = V()
    var e = numbers.read(p)
    var before = V()
    var total = e
    var knot = V(repeating: 1)
    var j = 1
    while j < bins {
      let next = numbers.read(p, j)
      let reached = x .>= left(knot, total, scale, axis)
      bin = bin.replacing(with: knot, where: reached)
      e = e.replacing(with: next, where: reached)
      before = before.replacing(with: total, where: reached)
      total += next
      knot += 1
      j &+= 1
    }
    return (bin, made(bin, e, before, sum, scale, axis))
  }

  /// The same numbers of the given bin.
  @inline(always) func pick(_ bin: V, _ p: In, _ axis: Axis, _ numbers: Numbers) -> SplineSide {
    var e = V()
    var before = V()
    var total = V()
    var knot = V()
    var j = 0
    while j < bins {
      let next = numbers.read(p, j)
      let reached = bin .>= knot
      e = e.replacing(with: next, where: reached)
      before = before.replacing(with: total, where: reached)
      total += next
      knot += 1
      j &+= 1
    }
    return made(bin, e, before, total, axis.span / total, axis)
  }

  /// Of knot 1 or more.
  @inline(always) private func left(_ knot: V, _ before: V, _ scale: V, _ axis: Axis) -> V {
    fma(before, scale, fma(knot, axis.least, axis.start))
  }

  @inline(always) private func made(_ bin: V, _ e: V, _ before: V, _ sum: V, _ scale: V, _ axis: Axis) -> SplineSide {
    let isFirst = bin .< V(repeating: 1)
    let size = fma(e, scale, axis.least.replacing(with: axis.endLeast, where: isFirst .| (bin .>= last)))
    var side = SplineSide()
    side.left = left(bin, before, scale, axis).replacing(with: low, where: isFirst)
    side.size = size
    side.reciprocal = 1 / size
    side.e = e
    side.before = before
    side.sum = sum
    return side
  }

  // MARK: Lambda

  @inline(always) func rawLambda(_ bin: V, _ p: In, _ numbers: Numbers) -> V {
    var raw = V()
    var knot = V()
    var j = 0
    while j < bins {
      raw = raw.replacing(with: numbers.read(p, j), where: bin .>= knot)
      knot += 1
      j &+= 1
    }
    return raw
  }

  @inline(always) func lambda(_ block: SplineBlock) -> Derivative {
    let (value, complement) = sigmoidAndComplement(block.lambda)
    return Derivative(value: fma(value, lambdaSpan, minLambda), slope: value * complement * lambdaSpan)
  }

  // MARK: Derivatives at the knots

  /// Raw parameters of the derivatives at both ends of the bin; of fixed ones, anything.
  @inline(always) func rawDerivatives(_ bin: V, _ p: In, _ numbers: Numbers) -> (V, V) {
    var lower = V()
    var upper = V()
    var knot = firstKnot
    let next = bin + 1
    var j = 0
    while j < derivativeCount {
      let raw = numbers.read(p, j)
      lower = lower.replacing(with: raw, where: bin .>= knot)
      upper = upper.replacing(with: raw, where: next .>= knot)
      knot += 1
      j &+= 1
    }
    switch boundary {
    case .periodic: upper = upper.replacing(with: numbers.read(p), where: bin .>= last)
    default: break
    }
    return (lower, upper)
  }

  @inline(always) func derivatives(_ block: SplineBlock) -> (Derivative, Derivative) {
    let bin = block.bin
    var lower = knot(block.lower)
    var upper = knot(block.upper)
    switch boundary {
    case .linear, .halfTurn:
      lower.value = lower.value.replacing(with: boundaryDerivative, where: bin .< V(repeating: 1))
      upper.value = upper.value.replacing(with: boundaryDerivative, where: bin .>= last)
    default: break
    }
    return (lower, upper)
  }

  @inline(always) private func knot(_ raw: V) -> Derivative {
    switch derivative {
    case .softplus:
      let (value, slope) = softplusAndSlope(raw + offset)
      return Derivative(value: value + minDerivative, slope: slope)
    case .exp:
      let (logarithm, root) = softClip(raw, perDerivativeBound)
      let value = exp(logarithm)
      return Derivative(value: value, slope: value * root * root)
    }
  }
}
