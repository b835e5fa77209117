import Glibc
import KernelInterface
import Testing

/// The boundaries, and conventions that differ from those of nflows.
private enum Variant: CaseIterable {
  case linear, periodic, interval, free, extended
  /// zuko; flowjax 17; Pyro; what no library combines.
  case clipped, halfEnds, jump, extendedClipped
  /// No minima: pzflow.
  case unbounded
  /// Of linear pieces: Pyro; and with what goes on outside.
  case linearPieces, extendedPieces, periodicPieces

  var boundary: SplineRule.Boundary {
    switch self {
    case .linear, .clipped, .jump, .unbounded, .linearPieces: .linear
    case .periodic, .periodicPieces: .periodic
    case .interval: .interval
    case .free, .halfEnds: .free
    case .extended, .extendedClipped, .extendedPieces: .extended
    }
  }
  var isLinear: Bool { [.linearPieces, .extendedPieces, .periodicPieces].contains(self) }
  /// Whether x that is outside stays as it is.
  var passesOutside: Bool { boundary == .linear || boundary == .free }
}

private func rule(
  _ variant: Variant, bins: Int = 5, low: Double = -1.5, high: Double = 2, minimum: Double = 1e-3
) -> SplineRule {
  let least = variant == .clipped || variant == .unbounded ? 0 : variant == .halfEnds ? 0.01 : minimum
  let minimum = variant == .unbounded ? 0 : minimum
  var rule = SplineRule(
    bins: bins, low: low, high: high, boundary: variant.boundary, minWidth: least, minHeight: least,
    minDerivative: minimum, offset: log(expm1(1 - minimum)))
  if variant == .clipped || variant == .extendedClipped {
    rule.logitBound = 3.4
    rule.derivative = .exp
    rule.derivativeBound = 6.9
  }
  rule.halfEnds = variant == .halfEnds || variant == .extendedClipped
  if variant == .jump || variant == .linearPieces { rule.boundaryDerivative = 0.8 }
  if variant.isLinear { rule.pieces = .linear }
  if variant == .extendedPieces { rule.minLambda = 0.2 }
  return rule
}

/// One spline in plain scalar code, by knots.
private struct Reference {
  let rule: SplineRule
  var x: [Double], y: [Double], d: [Double]
  /// Of linear pieces.
  let lambda: [Double]

  init(_ rule: SplineRule, _ raw: [Double]) {
    self.rule = rule
    let k = rule.bins
    func knots(_ raw: ArraySlice<Double>, _ minimum: Double) -> [Double] {
      let bound = rule.logitBound > 0 ? rule.logitBound : .infinity
      let raw = raw.map { $0 / (1 + abs($0) / bound) }
      let most = raw.max()!
      let e = raw.map { exp($0 - most) }
      let sum = e.reduce(0, +)
      var least = [Double](repeating: minimum, count: k)
      if rule.halfEnds { (least[0], least[k - 1]) = (minimum / 2, minimum / 2) }
      let rest = 1 - least.reduce(0, +)
      var knots = [0.0]
      for (e, least) in zip(e, least) { knots.append(knots.last! + least + rest * e / sum) }
      return knots.map { rule.low + (rule.high - rule.low) * $0 }
    }
    x = knots(raw[0..<k], rule.minWidth)
    y = knots(raw[k..<2 * k], rule.minHeight)
    let lambdas = 2 * k + rule.derivativeCount
    lambda = raw[lambdas...].map { rule.minLambda + (1 - 2 * rule.minLambda) / (1 + exp(-$0)) }
    d = raw[(2 * k)..<lambdas].map {
      if rule.derivative == .exp { return exp($0 / (1 + abs($0) / rule.derivativeBound)) }
      let a = $0 + rule.offset
      return rule.minDerivative + max(a, 0) + log1p(exp(-abs(a)))
    }
    switch rule.boundary {
    case .linear: d = [rule.boundaryDerivative] + d + [rule.boundaryDerivative]
    case .periodic: d.append(d[0])
    case .interval, .free, .extended, .halfTurn: break
    }
  }

  func callAsFunction(_ given: Double) -> (y: Double, log: Double) {
    var at = given
    switch rule.boundary {
    case .linear where rule.boundaryDerivative == 1: if at <= rule.low || at >= rule.high { return (given, 0) }
    case .linear, .free: if at < rule.low || at > rule.high { return (given, 0) }
    case .extended:
      if at < rule.low { return (rule.low + (at - rule.low) * d[0], log(d[0])) }
      if at > rule.high { return (rule.high + (at - rule.high) * d[rule.bins], log(d[rule.bins])) }
    case .interval: if at < rule.low || at > rule.high { return (.nan, .nan) }
    case .periodic, .halfTurn:
      if at < rule.low || at > rule.high {
        let range = rule.high - rule.low
        at -= range * floor((at - rule.low) / range)
      }
    }
    if given.isNaN { return (.nan, .nan) }
    var k = 0
    while k + 1 < rule.bins, at >= x[k + 1] { k += 1 }
    let (w, h) = (x[k + 1] - x[k], y[k + 1] - y[k])
    let t = at >= rule.high ? 1 : min(max((at - x[k]) / w, 0), 1)
    let s = h / w
    if rule.pieces == .linear {
      // As in Dolatabadi et al. 2020, by weights at both ends and where the pieces meet.
      let (l, wa, wb) = (lambda[k], 1.0, (d[k] / d[k + 1]).squareRoot())
      let wc = (l * wa * d[k] + (1 - l) * wb * d[k + 1]) / s
      let middle = l * wb / ((1 - l) * wa + l * wb)
      let below = t <= l ? wa * (l - t) + wc * t : wc * (1 - t) + wb * (t - l)
      let value = (t <= l ? wc * middle * t : wc * middle * (1 - t) + wb * (t - l)) / below
      let slope = (t <= l ? wa * wc * l * middle : wb * wc * (1 - l) * (1 - middle)) * s / (below * below)
      return (y[k] + h * value, log(slope))
    }
    let b = s + (d[k] + d[k + 1] - 2 * s) * t * (1 - t)
    let value = y[k] + h * (s * t * t + d[k] * t * (1 - t)) / b
    let slope = s * s * (d[k + 1] * t * t + 2 * s * t * (1 - t) + d[k] * (1 - t) * (1 - t)) / (b * b)
    return (value, log(slope))
  }
}

/// Values, logarithms and what is left of the parameters.
private func map<S: TestScalar>(
  _ build: Build<S>, _ rule: SplineRule, inverse: Bool = false, _ x: [S], _ p: [S], atStart: Bool = false
) -> [[S]] {
  fenced([x], [p, x, x], atStart: atStart) {
    apply(
      inverse ? build.table.spline.inverse : build.table.spline.forward, rule, x.count, $0[0], $1[0], $1[1], $1[2])
  }
}

private func pullback<S: TestScalar>(
  _ build: Build<S>, _ rule: SplineRule, inverse: Bool, _ x: [S], _ p: [S], _ g: [S], _ gLogs: [S]
) -> [[S]] {
  fenced([x, p], [g, gLogs + [S](repeating: .nan, count: p.count - x.count)]) {
    apply(
      inverse ? build.table.spline.inversePullback : build.table.spline.pullback, rule, x.count, $0[0], $0[1], $0[0],
      $1[0], $1[1])
  }
}

private func parameters<S: TestScalar>(_ random: inout Random, _ rule: SplineRule, _ n: Int, _ size: Double) -> [S] {
  random.numbers(rule.parameterCount * n, -size, size)
}

private func raw<S: TestScalar>(_ p: [S], _ i: Int, _ n: Int) -> [Double] {
  stride(from: i, to: p.count, by: n).map { Double($0 < p.count ? p[$0] : 0) }
}

/// Against the reference, and back.
private func splinesAreRight<S: TestScalar>(_ build: Build<S>) {
  var random = Random(31)
  let n = 600
  for variant in Variant.allCases {
    for (bins, size) in [(2, 1.0), (5, 2), (8, 0), (8, 3), (64, 3)] {
      let rule = rule(variant, bins: bins)
      let wide = variant.passesOutside || variant.boundary == .extended
      var x: [S] = random.numbers(n, wide ? -2.5 : -1.5, wide ? 3 : 2)
      x[0] = S(rule.low)
      x[1] = S(rule.high)
      x[2] = S(rule.low).nextUp
      x[3] = S(rule.high).nextDown
      x[4] = 0
      x[5] = .leastNonzeroMagnitude
      let p: [S] = parameters(&random, rule, n, size)
      let result = map(build, rule, x, p)
      let (y, logs) = (result[1], result[2])
      let back = map(build, rule, inverse: true, y, p)
      let eps = Double(S.ulpOfOne)
      for i in 0..<n {
        let reference = Reference(rule, raw(p, i, n))
        let (exactY, exactLog) = reference(Double(x[i]))
        // A step of x to the next number is a step of y, and near knots of the logarithm, by what the curve is there.
        let steep = max(1, exp(exactLog))
        // Within a narrow bin the logarithm changes much faster than x.
        let h = 1e-6
        let bend = abs(reference(Double(x[i]) + h).log - reference(Double(x[i]) - h).log) / (2 * h)
        #expect(abs(Double(y[i]) - exactY) <= 20 * eps * steep, "\(build.name) \(rule) at \(x[i])")
        #expect(
          abs(Double(logs[i]) - exactLog) <= 60 * eps * Double(bins) * steep * (1 + abs(exactLog)) * 4 + 40 * eps
            * (bend.isNaN ? 0 : bend),
          "\(build.name) \(rule) at \(x[i]): \(logs[i]) for \(exactLog)")
        let flat = max(1, exp(-exactLog))
        #expect(abs(Double(back[1][i]) - Double(x[i])) <= 20 * eps * flat, "\(build.name) \(rule) at \(x[i])")
        if size == 0, rule.boundaryDerivative == 1 { #expect(abs(Double(y[i] - x[i])) <= 10 * eps) }
        if variant.boundary != .extended {
          #expect(Double(y[i]) >= min(rule.low, Double(x[i])) && Double(y[i]) <= max(rule.high, Double(x[i])))
        }
      }
      #expect(y[0] == x[0] && y[1] == x[1])
      // y may be x.
      let inPlace = fenced([], [p, x, x]) {
        apply(build.table.spline.forward, rule, n, $1[1], $1[0], $1[1], $1[2])
      }
      for (a, b) in zip(inPlace, result) { #expect(bits(a) == bits(b)) }
    }
  }
}

/// Knots go to knots, x in ascending order to y in ascending order; far away, NaN, infinity and huge raw parameters.
private func hardValues<S: TestScalar>(_ build: Build<S>) {
  var random = Random(32)
  for variant in Variant.allCases {
    let rule = rule(variant, bins: 6)
    for size in [2.0, 40, 1e4] {
      // One spline: its parameters for all numbers.
      let one: [S] = random.numbers(rule.parameterCount, -size, size)
      let reference = Reference(rule, one.map { Double($0) })
      var x = (0...4000).map { S(rule.low + (rule.high - rule.low) * Double($0) / 4000) }
      x[4000] = S(rule.high)
      let n = x.count
      let p = one.flatMap { [S](repeating: $0, count: n) }
      let result = map(build, rule, x, p)
      let (y, logs) = (result[1], result[2])
      let slack = 8 * S.ulpOfOne
      for i in 1..<n { #expect(y[i] >= y[i - 1] - slack, "\(build.name) \(variant) \(size) at \(x[i])") }
      #expect(logs.allSatisfy { $0.isFinite } && y.allSatisfy { $0.isFinite })
      let back = map(build, rule, inverse: true, x, p)
      #expect(back[1].allSatisfy { $0.isFinite } && back[2].allSatisfy { $0.isFinite })
      for i in 1..<n { #expect(back[1][i] >= back[1][i - 1] - slack) }
      for (a, b) in [(x, y), (back[1], x)] {
        let g = pullback(build, rule, inverse: false, a, result[0], b, logs)
        #expect(g.allSatisfy { $0.allSatisfy { $0.isFinite } }, "\(build.name) \(variant) \(size)")
      }
      if size == 2 {
        // Rounding may have put the last one beyond the box.
        let knots = reference.x.map { S(min($0, rule.high)) }
        let atKnots = map(build, rule, knots, one.flatMap { [S](repeating: $0, count: knots.count) })[1]
        for (a, b) in zip(atKnots, reference.y) { #expect(abs(Double(a) - b) <= 40 * Double(S.ulpOfOne)) }
      }
    }
    let x: [S] = [.nan, .infinity, -.infinity, 1e30, -1e30, 2.25, -1.75, .leastNonzeroMagnitude]
    let p: [S] = parameters(&random, rule, x.count, 2)
    for inverse in [false, true] {
      let result = map(build, rule, inverse: inverse, x, p)
      let (y, logs) = (result[1], result[2])
      #expect(y[0].isNaN && logs[0].isNaN)
      #expect(y[7].isFinite && logs[7].isFinite)
      switch variant.boundary {
      case .linear, .free: #expect(Array(y[1..<7]) == Array(x[1..<7]) && logs[1..<7].allSatisfy { $0 == 0 })
      case .extended:
        #expect(y[1] == .infinity && y[2] == -.infinity)
        #expect(y[3..<7].allSatisfy { $0.isFinite } && logs[1..<7].allSatisfy { $0.isFinite })
      case .interval: #expect((y[1..<7] + logs[1..<7]).allSatisfy { $0.isNaN })
      case .periodic, .halfTurn:
        #expect((y[1..<3] + logs[1..<3]).allSatisfy { $0.isNaN })
        #expect(y[3..<7].allSatisfy { Double($0) >= rule.low && Double($0) <= rule.high })
        #expect(logs[3..<7].allSatisfy { $0.isFinite })
      }
    }
    // NaN in the parameters of a number shows there, outside of the box as well.
    var damaged: [S] = parameters(&random, rule, 40, 2)
    for j in 0..<rule.parameterCount { damaged[j * 40 + 3] = .nan }
    for place: S in [0.1, 5] {
      let result = map(build, rule, [S](repeating: place, count: 40), damaged)
      for i in 0..<40 where place == 0.1 || variant != .interval {
        #expect(result[1][i].isNaN == (i == 3) && result[2][i].isNaN == (i == 3))
      }
    }
  }
  // A turn more or less changes nothing but rounding.
  let circle = rule(.periodic)
  let x: [S] = random.numbers(100, -1.4, 1.9)
  let p: [S] = parameters(&random, circle, 100, 2)
  let here = map(build, circle, x, p)
  for turns in [-3, 1, 50] {
    let there = map(build, circle, x.map { $0 + S(3.5 * Double(turns)) }, p)
    for i in 0..<100 {
      let tolerance = 200 * S.ulpOfOne * S(abs(turns)) * (1 + S(exp(Double(here[2][i]))))
      #expect(abs(here[1][i] - there[1][i]) <= tolerance)
    }
  }
}

/// Against differences, of the map and of its inverse.
private func pullbacksAreDerivatives(_ build: Build<Double>) {
  var random = Random(33)
  let n = 60
  let h = 1e-6
  for variant in Variant.allCases {
    for bins in [2, 5] {
      let rule = rule(variant, bins: bins)
      let p: [Double] = parameters(&random, rule, n, 1.5)
      let x: [Double] = random.numbers(n, variant == .interval ? -1.5 : -3, variant == .interval ? 2 : 3)
      let g: [Double] = random.numbers(n)
      let gLogs: [Double] = random.numbers(n)
      for inverse in [false, true] {
        func loss(_ x: [Double], _ p: [Double]) -> [Double] {
          let out = map(build, rule, inverse: inverse, x, p)
          return (0..<n).map { g[$0] * out[1][$0] + gLogs[$0] * out[2][$0] }
        }
        let out = map(build, rule, inverse: inverse, x, p)
        let result = pullback(build, rule, inverse: inverse, inverse ? out[1] : x, out[0], g, gLogs)
        func check(_ got: ArraySlice<Double>, _ up: [Double], _ down: [Double], _ what: String) {
          for (i, got) in got.enumerated() {
            let difference = (up[i] - down[i]) / (2 * h)
            #expect(
              abs(got - difference) <= 2e-7 * (1 + abs(difference) + abs(g[i]) * exp(abs(out[2][i]))),
              "\(build.name) \(variant) \(bins) inverse \(inverse) \(what) at \(x[i]): \(got) for \(difference)")
          }
        }
        check(result[0][...], loss(x.map { $0 + h }, p), loss(x.map { $0 - h }, p), "x")
        for j in 0..<rule.parameterCount {
          var (up, down) = (p, p)
          for i in j * n..<(j + 1) * n {
            up[i] += h
            down[i] -= h
          }
          check(result[1][j * n..<(j + 1) * n], loss(x, up), loss(x, down), "parameter \(j)")
        }
      }
    }
  }
}

/// No bit depends on the count or on the place, and builds with FMA agree; single precision follows double precision.
private func bitsAreThoseOfTheValue<S: TestScalar>(_ type: S.Type) {
  var random = Random(34)
  let n = 45
  for variant in Variant.allCases {
    let rule = rule(variant)
    let x: [S] = random.numbers(n, -1.5, 2)
    let p: [S] = parameters(&random, rule, n, 2)
    let g: [S] = random.numbers(n)
    let gLogs: [S] = random.numbers(n)
    func all(_ build: Build<S>, _ range: Range<Int>) -> [[S]] {
      let cut = { (v: [S]) in
        stride(from: 0, to: v.count, by: n).flatMap { v[$0 + range.lowerBound..<$0 + range.upperBound] }
      }
      return [false, true].flatMap { inverse in
        let out = map(build, rule, inverse: inverse, cut(x), cut(p), atStart: inverse)
        return out + pullback(build, rule, inverse: inverse, inverse ? out[1] : cut(x), out[0], cut(g), cut(gLogs))
      }
    }
    var first: [[S]]?
    for build in S.builds {
      let whole = all(build, 0..<n)
      for range in [0..<0, 0..<1, 3..<5, 7..<22, 20..<36, 28..<45] {
        for (part, whole) in zip(all(build, range), whole) {
          let expected = stride(from: 0, to: whole.count, by: n).flatMap {
            whole[$0 + range.lowerBound..<$0 + range.upperBound]
          }
          #expect(bits(part) == bits(expected), "\(build.name) \(variant) \(range)")
        }
      }
      if build.fused {
        if let first { for (a, b) in zip(first, whole) { #expect(bits(a) == bits(b), "\(build.name)") } }
        first = whole
      } else if let other = S.builds.last.map({ all($0, 0..<n) }) {
        for (a, b) in zip(whole, other) {
          for (a, b) in zip(a, b) { #expect(abs(a - b) <= 3e4 * S.ulpOfOne * (1 + abs(b)), "\(variant)") }
        }
      }
    }
  }
}

private func singleFollowsDouble(_ build: Build<Float>) {
  var random = Random(35)
  let n = 300
  for variant in Variant.allCases {
    let rule = rule(variant)
    let x: [Float] = random.numbers(n, -1.5, 2)
    let p: [Float] = parameters(&random, rule, n, 1.5)
    let g: [Float] = random.numbers(n)
    let gLogs: [Float] = random.numbers(n)
    for inverse in [false, true] {
      let single = map(build, rule, inverse: inverse, x, p)
      let a = pullback(build, rule, inverse: inverse, inverse ? single[1] : x, single[0], g, gLogs)
      let wide = { (v: [Float]) in v.map { Double($0) } }
      let double = map(builds64[0], rule, inverse: inverse, wide(x), wide(p))
      let b = pullback(
        builds64[0], rule, inverse: inverse, inverse ? double[1] : wide(x), double[0], wide(g), wide(gLogs))
      for (a, b) in zip(a, b) {
        for (a, b) in zip(a, b) { #expect(abs(Double(a) - b) <= 3e-3 * (1 + abs(b)), "\(build.name) \(variant)") }
      }
    }
  }
}

/// On a circle that is turned by half the linear spline of the turned angle.
private func halfTurnsAreTurns<S: TestScalar>(_ build: Build<S>) {
  var random = Random(37)
  let n = 77
  let linear = rule(.linear)
  var turned = linear
  turned.boundary = .halfTurn
  // A turn less or more than the box: there are no others near its middle, where the turned angle has its cut.
  let at: [S] = random.numbers(n, -1.4, 1.9)
  let x = at.enumerated().map { $1 + (($0 % 3 == 0) == ($1 > 0.25) ? -1.75 : 1.75) + ($0 % 5 == 0 ? 3.5 : 0) }
  let inBox = at.map { $0 + ($0 > 0.25 ? -1.75 : 1.75) }
  let p: [S] = parameters(&random, linear, n, 2)
  let g: [S] = random.numbers(n)
  let gLogs: [S] = random.numbers(n)
  for inverse in [false, true] {
    let ours = map(build, turned, inverse: inverse, inverse ? at : x, p)
    let theirs = map(build, linear, inverse: inverse, at, p)
    let gOurs = pullback(build, turned, inverse: inverse, inverse ? ours[1] : x, ours[0], g, gLogs)
    let gTheirs = pullback(build, linear, inverse: inverse, inverse ? theirs[1] : at, theirs[0], g, gLogs)
    #expect(bits(ours[0]) == bits(theirs[0]))
    for i in 0..<n {
      let expected = inverse ? theirs[1][i] + (theirs[1][i] > 0.25 ? -1.75 : 1.75) : theirs[1][i]
      let tolerance = 2e3 * S.ulpOfOne * (1 + S(exp(abs(Double(theirs[2][i])))))
      #expect(abs(ours[1][i] - expected) <= tolerance && abs(ours[2][i] - theirs[2][i]) <= tolerance * 10)
      for (a, b) in zip(gOurs, gTheirs) {
        for j in Swift.stride(from: i, to: a.count, by: n) {
          #expect(abs(a[j] - b[j]) <= 100 * tolerance * (1 + abs(b[j])), "\(build.name) \(inverse)")
        }
      }
    }
  }
  let back = map(build, turned, inverse: true, map(build, turned, inBox, p)[1], p)[1]
  for i in 0..<n { #expect(abs(back[i] - inBox[i]) <= 1e4 * S.ulpOfOne) }
}

private func anglesAreRight<S: TestScalar>(_ build: Build<S>) {
  var random = Random(36)
  for n in [1, 7, 70] {
    let x: [S] = random.numbers(n, -20, 20)
    let out = fenced([x], [x, x]) { build.table.angles(-1, 2.5, n, $0[0], $1[0], $1[1]) }
    for i in 0..<n {
      let angle = 2 * Double.pi * (Double(x[i]) + 1) / 3.5
      let tolerance = Double(S.ulpOfOne) + 1e-14
      #expect(abs(Double(out[0][i]) - cos(angle)) <= tolerance && abs(Double(out[1][i]) - sin(angle)) <= tolerance)
    }
  }
  let hard: [S] = [.nan, .infinity, -.infinity, 1e30]
  let out = fenced([hard], [hard, hard]) { build.table.angles(0, 1, 4, $0[0], $1[0], $1[1]) }
  for v in out { #expect(v[0].isNaN && v[1].isNaN && v[2].isNaN && abs(v[3]) <= 1) }
}

@Suite struct SplineTests {
  @Test(arguments: builds32) func values(_ build: Build<Float>) { splinesAreRight(build) }
  @Test(arguments: builds64) func values(_ build: Build<Double>) { splinesAreRight(build) }
  @Test(arguments: builds32) func hard(_ build: Build<Float>) { hardValues(build) }
  @Test(arguments: builds64) func hard(_ build: Build<Double>) { hardValues(build) }
  @Test(arguments: builds64) func pullbacks(_ build: Build<Double>) { pullbacksAreDerivatives(build) }
  @Test(arguments: builds32) func pullbacks(_ build: Build<Float>) { singleFollowsDouble(build) }
  @Test func bits32() { bitsAreThoseOfTheValue(Float.self) }
  @Test func bits64() { bitsAreThoseOfTheValue(Double.self) }
  @Test(arguments: builds32) func halfTurns(_ build: Build<Float>) { halfTurnsAreTurns(build) }
  @Test(arguments: builds64) func halfTurns(_ build: Build<Double>) { halfTurnsAreTurns(build) }
  @Test(arguments: builds32) func angles(_ build: Build<Float>) { anglesAreRight(build) }
  @Test(arguments: builds64) func angles(_ build: Build<Double>) { anglesAreRight(build) }
}
