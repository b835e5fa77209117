import Glibc
import KernelInterface
import Testing

let rules: [ScaleRule] = [
  .softClip, .exp, .tanh, .softplus, .sigmoid, .additive, .gated, .clampedSoftplus, .clampedExp, .reciprocalSigmoid,
  .atan, .skewedClip, .clippedSoftplus, .softplusArsinh,
].map {
  ScaleRule(
    kind: $0, bound: $0 == .atan ? 1.3 : 3.7, epsilon: 1e-3, offset: 0.540745, low: -2.25, high: 1.75)
}

/// Of an affine map: a and then t, additive: t.
func parameters<S>(_ rule: ScaleRule, _ a: [S], _ t: [S]) -> [S] { rule.kind == .additive ? t : a + t }

/// Every elementwise kernel: its outputs on the first `count` values of each of five inputs.
func elementwise<S: TestScalar>(_ build: Build<S>, _ inputs: [[S]], _ count: Int) -> [[S]] {
  let (x, a, t, u, v) = (
    Array(inputs[0].prefix(count)), Array(inputs[1].prefix(count)), Array(inputs[2].prefix(count)),
    Array(inputs[3].prefix(count)), Array(inputs[4].prefix(count))
  )
  let table = build.table
  var all: [[S]] = fenced([x], [u]) { table.add(count, $0[0], $1[0]) }
  for f in activations {
    let h = fenced([a], [x], atStart: true) { table.activate(f, count, $0[0], $1[0]) }
    all += h
    all += fenced([a, h[0]], [u]) { table.activatePullback(f, count, $0[0], $0[1], $1[0]) }
  }
  for rule in rules {
    let p = parameters(rule, a, t)
    let y = fenced([x], [p, u, v]) { apply(table.affine.forward, rule, count, $0[0], $1[0], $1[1], $1[2]) }
    all += y[1...]
    all +=
      fenced([x], [p, u, v], atStart: true) {
        apply(table.affine.inverse, rule, count, $0[0], $1[0], $1[1], $1[2])
      }[1...]
    for pullback in [table.affine.pullback, table.affine.inversePullback] where rule.kind != .gated {
      let g = fenced([x, p, y[2]], [u, parameters(rule, v, t)]) {
        apply(pullback, rule, count, $0[0], $0[1], $0[2], $1[0], $1[1])
      }
      all += [g[0]] + stride(from: 0, to: g[1].count, by: max(count, 1)).map { Array(g[1].dropFirst($0).prefix(count)) }
    }
  }
  all += fenced([x, t, a], [u]) { table.locationScale(count, $0[0], $0[1], $0[2], $1[0]) }
  all += fenced([x, t, a], [u], atStart: true) { table.locationScaleInverse(count, $0[0], $0[1], $0[2], $1[0]) }
  all += fenced([x, a], [u, v]) { table.locationScaleInversePullback(count, $0[0], $0[1], $1[0], $1[1]) }
  let step = AdamStep(
    beta1: 0.9, beta2: 0.99, epsilon: 1e-6, rate: 0.01, vScale: 1.3, decay: 1e-3, gradientScale: 0.7)
  all += fenced([x], [u, a, v.map { $0 * $0 }]) { table.adam(step, count, $0[0], $1[0], $1[1], $1[2]) }
  return all
}

/// No value depends on the count or on its place, and builds with FMA agree in every bit.
private func bitsAreThoseOfTheValue<S: TestScalar>(_ type: S.Type) {
  var random = Random(7)
  let length = 77
  let inputs: [[S]] = (0..<5).map { _ in random.numbers(length, -6, 6) }
  var first: [[S]]?
  for build in S.builds {
    let whole = elementwise(build, inputs, length)
    for count in [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 76] {
      for (part, all) in zip(elementwise(build, inputs, count), whole) {
        #expect(bits(part) == bits(Array(all.prefix(count))), "\(build.name) count \(count)")
      }
    }
    for place in [1, 5, 16, 40] {
      let part = elementwise(build, inputs.map { Array($0.dropFirst(place)) }, length - place)
      for (part, all) in zip(part, whole) {
        #expect(bits(part) == bits(Array(all.dropFirst(place))), "\(build.name) place \(place)")
      }
    }
    if build.fused {
      if let first { for (a, b) in zip(first, whole) { #expect(bits(a) == bits(b), "\(build.name)") } }
      first = whole
    }
  }
}

/// Maps, inverses and in-place use.
private func affineMapsAreRight<S: TestScalar>(_ build: Build<S>) {
  var random = Random(8)
  let n = 1000
  let x: [S] = random.numbers(n)
  let a: [S] = random.numbers(n, -8, 8)
  let t: [S] = random.numbers(n)
  let table = build.table
  for rule in rules {
    let c = Exact(rule.bound)
    let e = Exact(S(rule.epsilon))
    let offset = Exact(S(rule.offset))
    let (y, logs) = affine(build, rule, x: x, a: a, t: t)
    for i in 0..<n {
      let a = Exact(a[i])
      let s: Exact
      switch rule.kind {
      case .softClip: s = exp(a / (1 + abs(a) / c))
      case .skewedClip: s = exp(a / (1 + max(a, -3 * a) / c))
      case .exp: s = exp(a)
      case .tanh: s = exp(c * tanh(a / c))
      case .softplus: s = log1p(exp(a + offset)) + e
      case .sigmoid: s = 1 / (1 + exp(-a - 2)) + e
      case .additive: s = 1
      case .gated: s = 1 / (1 + exp(-a - 2))
      case .clampedSoftplus: s = min(log1p(exp(a)) + e, Exact(S(rule.bound)))
      case .clippedSoftplus: s = min(max(log1p(exp(a)), exp(-2.25)), exp(1.75))
      case .clampedExp: s = exp(min(max(a, -2.25), 1.75))
      case .reciprocalSigmoid: s = 1 + exp(-a)
      case .atan: s = exp(Exact(S(rule.bound)) * atan(a))
      case .softplusArsinh: s = log1p(exp(asinh(a) + log(expm1(1))))
      }
      let expected =
        rule.kind == .gated
        ? (Exact(x[i]) - Exact(t[i])) * s + Exact(t[i]) : Exact(x[i]) * s + Exact(t[i])
      let tolerance = 12 * Exact(S.ulpOfOne)
      #expect(abs(Exact(logs[i]) - log(s)) <= tolerance * max(1, abs(log(s))), "\(build.name) \(rule.kind)")
      #expect(
        abs(Exact(y[i]) - expected) <= tolerance * (abs(Exact(x[i])) * s + 2),
        "\(build.name) \(rule.kind)")
    }
    let p = parameters(rule, a, t)
    let inverse = fenced([y], [p, x, x]) {
      apply(table.affine.inverse, rule, n, $0[0], $1[0], $1[1], $1[2])
    }
    #expect(bits(inverse[0]) == bits(p) && bits(inverse[2]) == bits(logs))
    for i in 0..<n {
      // The error of y, which t may dwarf, comes back divided by s.
      let tolerance = 20 * S.ulpOfOne * (1 + abs(x[i]) + S(exp(-Exact(logs[i]))) * 4)
      #expect(abs(inverse[1][i] - x[i]) <= tolerance, "\(build.name) \(rule.kind)")
    }
    // The result may be the argument, and logs may be a.
    for (kernel, argument, result) in [(table.affine.forward, x, y), (table.affine.inverse, y, inverse[1])] {
      let inPlace = fenced([], [argument, p]) { apply(kernel, rule, n, $1[0], $1[1], $1[0], $1[1]) }
      #expect(bits(inPlace[0]) == bits(result) && bits(Array(inPlace[1].prefix(n))) == bits(logs))
    }
  }
  for f in activations {
    let inPlace = fenced([], [a]) { table.activate(f, n, UnsafePointer($1[0]), $1[0]) }
    #expect(bits(inPlace[0]) == bits(activate(build, f, a)))
  }
}

/// Pullbacks against differences of the maps, in double precision.
private func pullbacksAreDerivatives(_ build: Build<Double>) {
  var random = Random(9)
  let n = 200
  let h = 1e-5
  let table = build.table
  let x: [Double] = random.numbers(n)
  let t: [Double] = random.numbers(n)
  // Away from the kinks at 0.
  let a: [Double] = random.numbers(n, -5, 5).map { abs($0) < 0.01 ? 0.5 : $0 }
  let g: [Double] = random.numbers(n)
  let gLogs: [Double] = random.numbers(n)
  func close(_ p: Double, _ q: Double) -> Bool { abs(p - q) <= 2e-8 * (1 + abs(p) + abs(q)) }
  for f in activations {
    let up = activate(build, f, a.map { $0 + h })
    let down = activate(build, f, a.map { $0 - h })
    let out = activate(build, f, a)
    let result = fenced([a, out], [g]) { table.activatePullback(f, n, $0[0], $0[1], $1[0]) }[0]
    for i in 0..<n {
      #expect(close(result[i], g[i] * (up[i] - down[i]) / (2 * h)), "\(build.name) \(f) at \(a[i])")
    }
  }
  // Pullbacks of the gated map are not the kernels'.
  for rule in rules where rule.kind != .gated {
    for inverse in [false, true] {
      func map(_ x: [Double], _ a: [Double]) -> [[Double]] {
        Array(
          fenced([x], [parameters(rule, a, t), x, a]) {
            apply(inverse ? table.affine.inverse : table.affine.forward, rule, n, $0[0], $1[0], $1[1], $1[2])
          }[1...])
      }
      /// Loss: the sum of g y and gLogs logs.
      func loss(_ x: [Double], _ a: [Double]) -> [Double] {
        let out = map(x, a)
        return (0..<n).map { g[$0] * out[0][$0] + gLogs[$0] * out[1][$0] }
      }
      let out = map(x, a)
      let result = fenced([inverse ? out[0] : x, parameters(rule, a, t), out[1]], [g, parameters(rule, gLogs, t)]) {
        apply(
          inverse ? table.affine.inversePullback : table.affine.pullback, rule, n, $0[0], $0[1], $0[2], $1[0], $1[1])
      }
      // What t moves y moves, and the other way round.
      #expect(bits(Array(result[1].suffix(n))) == bits(inverse ? result[0].map(-) : g))
      let upX = loss(x.map { $0 + h }, a)
      let downX = loss(x.map { $0 - h }, a)
      let upA = loss(x, a.map { $0 + h })
      let downA = loss(x, a.map { $0 - h })
      for i in 0..<n {
        let scale = abs(out[0][i]) + abs(upX[i]) + abs(upA[i]) + 1
        let dx = (upX[i] - downX[i]) / (2 * h)
        let da = (upA[i] - downA[i]) / (2 * h)
        #expect(abs(result[0][i] - dx) <= 1e-8 * scale, "\(build.name) \(rule.kind) inverse \(inverse)")
        if rule.kind == .additive { continue }
        #expect(abs(result[1][i] - da) <= 1e-8 * scale, "\(build.name) \(rule.kind) inverse \(inverse)")
      }
    }
  }
}

/// Location and scale are the affine map with s = exp(a), in place too.
private func locationScaleIsAffine<S: TestScalar>(_ build: Build<S>) {
  var random = Random(11)
  let n = 67
  let (x, a, t, g, gLogs): ([S], [S], [S], [S], [S]) = (
    random.numbers(n), random.numbers(n, -3, 3), random.numbers(n), random.numbers(n), random.numbers(n)
  )
  let rule = ScaleRule(kind: .exp, bound: 1, epsilon: 0, offset: 0)
  let table = build.table
  let y = fenced([x], [a + t, x, a]) { apply(table.affine.forward, rule, n, $0[0], $1[0], $1[1], $1[2]) }[1]
  #expect(bits(fenced([t, a], [x]) { table.locationScale(n, $1[0], $0[0], $0[1], $1[0]) }[0]) == bits(y))
  let e = fenced([y], [a + t, x, a]) { apply(table.affine.inverse, rule, n, $0[0], $1[0], $1[1], $1[2]) }[1]
  #expect(bits(fenced([t, a], [y]) { table.locationScaleInverse(n, $1[0], $0[0], $0[1], $1[0]) }[0]) == bits(e))
  let expected = fenced([e, a + t, a], [g, gLogs + t]) {
    apply(table.affine.inversePullback, rule, n, $0[0], $0[1], $0[2], $1[0], $1[1])
  }
  let result = fenced([e, a], [g, gLogs]) { table.locationScaleInversePullback(n, $0[0], $0[1], $1[0], $1[1]) }
  #expect(bits(result[0]) == bits(expected[0]) && bits(result[1]) == bits(Array(expected[1].prefix(n))))
}

/// Single precision gives the derivatives of double precision.
private func pullbacksAgree(_ build: Build<Float>) {
  var random = Random(10)
  let n = 400
  let inputs: [[Float]] = (0..<5).map { _ in random.numbers(n, -4, 4) }
  let single = elementwise(build, inputs, n)
  let double = elementwise(builds64[0], inputs.map { $0.map(Double.init) }, n)
  for (a, b) in zip(single, double) {
    for (a, b) in zip(a, b) { #expect(abs(Double(a) - b) <= 3e-5 * (1 + abs(b)), "\(build.name)") }
  }
}

/// A missing input where the contract reads none.
private func unreadInputsMayBeMissing<S: TestScalar>(_ build: Build<S>) {
  let nowhere = UnsafePointer<S>(bitPattern: 8)!
  let table = build.table
  let x: [S] = [1, 2, 3]
  let t: [S] = [0.5, 0.25, 4]
  let g = fenced([x], [t]) { table.activatePullback(.tanh, 3, nowhere, $0[0], $1[0]) }
  #expect(g[0][0] == 0)
}

@Suite struct ElementwiseTests {
  @Test func bits32() { bitsAreThoseOfTheValue(Float.self) }
  @Test func bits64() { bitsAreThoseOfTheValue(Double.self) }
  @Test(arguments: builds32) func affineMaps(_ build: Build<Float>) { affineMapsAreRight(build) }
  @Test(.widerThanDouble, arguments: builds64) func affineMaps(_ build: Build<Double>) { affineMapsAreRight(build) }
  @Test(arguments: builds64) func pullbacks(_ build: Build<Double>) { pullbacksAreDerivatives(build) }
  @Test(arguments: builds32) func pullbacks(_ build: Build<Float>) { pullbacksAgree(build) }
  @Test(arguments: builds32) func locationScale(_ build: Build<Float>) { locationScaleIsAffine(build) }
  @Test(arguments: builds64) func locationScale(_ build: Build<Double>) { locationScaleIsAffine(build) }
  @Test(arguments: builds32) func missing(_ build: Build<Float>) { unreadInputsMayBeMissing(build) }
  @Test(arguments: builds64) func missing(_ build: Build<Double>) { unreadInputsMayBeMissing(build) }
}
