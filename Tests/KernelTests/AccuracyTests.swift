import Glibc
import KernelInterface
import Testing

// The elementary functions, reached through the kernels made of them, against extended precision.

let activations: [Activation] = [
  .relu, .tanh, .elu, .silu, .leakyReLU, .softplus, .sigmoid, .gelu, .geluErf, .mish, .hardSilu,
]

/// Values everywhere: dense where functions bend, every magnitude, and the ends of the ranges.
func probes<S: TestScalar>(_ type: S.Type) -> [S] {
  var random = Random(6)
  var values: [S] = random.numbers(40000, -20, 20) + random.numbers(40000, -1, 1) + random.numbers(20000, -110, 110)
  values += random.numbers(20000, -760, 760)
  for _ in 0..<20000 {
    let exponent = random.integer(Int(S.leastNormalMagnitude.exponent)...Int(S.greatestFiniteMagnitude.exponent))
    let mantissa: S = random.number(1, 2)
    let sign: S = random.integer(0...1) == 0 ? 1 : -1
    values.append(sign * S(sign: .plus, exponent: S.Exponent(exponent), significand: mantissa))
  }
  for i in 0..<400 { values += [S(i - 200) / 16, S(i - 200) / 16 * S(0x1.62e42fefa39efp-1)] }
  values += [0, -0.0, 1, -1, .leastNormalMagnitude, .leastNonzeroMagnitude, -.leastNonzeroMagnitude]
  values += [.greatestFiniteMagnitude, -.greatestFiniteMagnitude, .infinity, -.infinity, .nan]
  return values
}

func activate<S: TestScalar>(_ build: Build<S>, _ f: Activation, _ a: [S]) -> [S] {
  fenced([a], [a]) { build.table.activate(f, a.count, $0[0], $1[0]) }[0]
}

/// y and logs of an affine map.
func affine<S: TestScalar>(_ build: Build<S>, _ rule: ScaleRule, x: [S], a: [S], t: [S]) -> (y: [S], logs: [S]) {
  let out = fenced([x], [parameters(rule, a, t), x, a]) {
    apply(build.table.affine.forward, rule, x.count, $0[0], $1[0], $1[1], $1[2])
  }
  return (out[1], out[2])
}

private func exactly(_ f: Activation, _ a: Exact) -> Exact {
  switch f {
  case .relu: return a < 0 ? 0 : a
  case .tanh: return Glibc.tanh(a)
  case .elu: return a < 0 ? expm1(a) : a
  case .silu: return a == -.infinity ? 0 : a / (1 + exp(-a))
  case .leakyReLU: return a < 0 ? a * 0.01 : a
  case .softplus: return a > 0 ? a + log1p(exp(-a)) : log1p(exp(a))
  case .sigmoid: return 1 / (1 + exp(-a))
  case .gelu:
    let u = 2 * (2 / Exact.pi).squareRoot() * (a + 0.044715 * a * a * a)
    return a == -.infinity ? 0 : a / (1 + exp(-u))
  case .geluErf: return a == -.infinity ? 0 : a * erfc(-a / Exact(2).squareRoot()) / 2
  case .mish: return a == -.infinity ? 0 : a * Glibc.tanh(a > 0 ? a + log1p(exp(-a)) : log1p(exp(a)))
  case .hardSilu: return a == -.infinity ? 0 : a * min(max(a + 3, 0), 6) / 6
  }
}

/// Largest error over the probes.
private func worst<S: TestScalar>(_ results: [S], _ inputs: [S], _ exact: (Exact) -> Exact) -> (Double, S) {
  var worst = (0.0, S(0))
  for (result, input) in zip(results, inputs) {
    let error = ulps(result, exact(Exact(input)))
    if error > worst.0 { worst = (error, input) }
  }
  return worst
}

private func activationsAreAccurate<S: TestScalar>(_ build: Build<S>) {
  let all = probes(S.self)
  for f in activations {
    let a: [S]
    switch f {
    // Far out a product with a subnormal sigmoid is inaccurate, and gelu magnifies an error of its argument.
    case .silu, .mish: a = all.filter { !($0 < S(Glibc.log(Double(S.leastNormalMagnitude)))) }
    case .gelu: a = all.filter { !($0 < -4) }
    // Here, too, while the distribution function is normal.
    case .geluErf: a = all.filter { !($0 < (S.self == Float.self ? -12.9 : -37.5)) }
    default: a = all
    }
    let (error, at) = worst(activate(build, f, a), a) { exactly(f, $0) }
    let bound: Double
    switch f {
    case .relu: bound = 0
    case .leakyReLU: bound = 1.1
    case .gelu: bound = 25
    case .geluErf: bound = 6.2
    case .mish: bound = 4
    case .elu: bound = 1.1
    case .softplus: bound = 1.6
    case .sigmoid: bound = 1.8
    case .tanh: bound = 2.5
    default: bound = 3
    }
    #expect(error <= bound, "\(build.name) \(f) at \(at)")
    if shows { print("\(S.self) \(build.name) \(f): \(error) ulp at \(at)") }
  }
}

/// Print the errors found.
private let shows = getenv("KERNEL_TESTS_SHOW") != nil

private func expAndLogAreAccurate<S: TestScalar>(_ build: Build<S>) {
  let a = probes(S.self)
  let ones = [S](repeating: 1, count: a.count)
  let zeros = [S](repeating: 0, count: a.count)
  let exponential = affine(build, ScaleRule(kind: .exp, bound: 1, epsilon: 0, offset: 0), x: ones, a: a, t: zeros)
  let (expError, expAt) = worst(exponential.y, a) { exp($0) }
  #expect(expError <= 1.1, "\(build.name) exp at \(expAt)")
  #expect(bits(exponential.logs) == bits(a))
  var report = "\(S.self) \(build.name) exp: \(expError) ulp at \(expAt)"
  for kind in [ScaleRule.Kind.softplus, .sigmoid] {
    let map = affine(build, ScaleRule(kind: kind, bound: 1, epsilon: 0, offset: 0), x: ones, a: a, t: zeros)
    let (error, at) = worst(map.logs, map.y) { log($0) }
    #expect(error <= 1.5, "\(build.name) log at \(at)")
    report += ", log: \(error) ulp at \(at)"
  }
  let arc = affine(build, ScaleRule(kind: .atan, bound: 1, epsilon: 0, offset: 0), x: ones, a: a, t: zeros)
  let (arcError, arcAt) = worst(arc.logs, a) { atan($0) }
  #expect(arcError <= 2.2, "\(build.name) atan at \(arcAt)")
  report += ", atan: \(arcError) ulp at \(arcAt)"
  if shows { print(report) }
}

/// Infinite and undefined inputs, and the signs of zeros.
private func limitsAreRight<S: TestScalar>(_ build: Build<S>) {
  let inf = S.infinity
  let c = 2.5
  let table: [(Activation, [S])] = [
    (.relu, [inf, 0, 0]), (.tanh, [1, -1, 0]), (.elu, [inf, -1, 0]), (.silu, [inf, 0, 0]),
    (.leakyReLU, [inf, -inf, 0]), (.softplus, [inf, 0, S(Glibc.log(2.0))]), (.sigmoid, [1, 0, 0.5]),
    (.gelu, [inf, 0, 0]), (.geluErf, [inf, 0, 0]), (.mish, [inf, 0, 0]), (.hardSilu, [inf, 0, 0]),
  ]
  for (f, expected) in table {
    let out = activate(build, f, [inf, -inf, 0, .nan])
    #expect(Array(out.prefix(3)) == expected, "\(build.name) \(f)")
    #expect(out[3].isNaN)
  }
  #expect(activate(build, .tanh, [-0.0])[0].sign == .minus)
  for kind in [ScaleRule.Kind.softClip, .tanh] {
    let rule = ScaleRule(kind: kind, bound: c, epsilon: 0, offset: 0)
    let logs = affine(build, rule, x: [1, 1, 1], a: [inf, -inf, .nan], t: [0, 0, 0]).logs
    #expect(abs(logs[0] - S(c)) <= 2 * S(c).ulp && abs(logs[1] + S(c)) <= 2 * S(c).ulp && logs[2].isNaN)
  }
  let atBounds: [(ScaleRule.Kind, [S])] = [
    (.clampedSoftplus, [S(Glibc.log(c)), S(Glibc.log(1e-3))]), (.clampedExp, [3, -5]), (.reciprocalSigmoid, [0, inf]),
    (.atan, [S(c * .pi / 2), S(-c * .pi / 2)]), (.skewedClip, [S(c), S(-c / 3)]),
    (.clippedSoftplus, [3, -5]),
  ]
  for (kind, expected) in atBounds {
    let rule = ScaleRule(kind: kind, bound: c, epsilon: 1e-3, offset: 0)
    let logs = affine(build, rule, x: [1, 1, 1], a: [inf, -inf, .nan], t: [0, 0, 0]).logs
    for i in 0..<2 {
      #expect(logs[i] == expected[i] || abs(logs[i] - expected[i]) <= 4 * expected[i].ulp, "\(build.name) \(kind)")
    }
    #expect(logs[2].isNaN)
  }
  for kind in rules.map(\.kind) where kind != .additive {
    let rule = ScaleRule(kind: kind, bound: c, epsilon: 1e-3, offset: 0.5)
    for i in 0..<3 {
      var values: [S] = [0.5, 0.25, -1]
      values[i] = .nan
      let (y, logs) = affine(build, rule, x: [values[0]], a: [values[1]], t: [values[2]])
      #expect(y[0].isNaN && logs[0].isNaN == (i == 1), "\(build.name) \(kind)")
    }
  }
  // Derivatives at NaN are NaN, at infinity their limits.
  for f in activations {
    let a: [S] = [.nan, inf, -inf]
    let h = activate(build, f, a)
    let g = fenced([a, h], [[1, 1, 1]]) { build.table.activatePullback(f, 3, $0[0], $0[1], $1[0]) }[0]
    let last: S = f == .leakyReLU ? 0.01 : 0
    #expect(g[0].isNaN && g[1] == (f == .tanh || f == .sigmoid ? 0 : 1) && g[2] == last, "\(build.name) \(f) \(g)")
  }
}

@Suite struct AccuracyTests {
  @Test(arguments: builds32) func activations(_ build: Build<Float>) { activationsAreAccurate(build) }
  @Test(.widerThanDouble, arguments: builds64) func activations(_ build: Build<Double>) {
    activationsAreAccurate(build)
  }
  @Test(arguments: builds32) func expAndLog(_ build: Build<Float>) { expAndLogAreAccurate(build) }
  @Test(.widerThanDouble, arguments: builds64) func expAndLog(_ build: Build<Double>) { expAndLogAreAccurate(build) }
  @Test(arguments: builds32) func limits(_ build: Build<Float>) { limitsAreRight(build) }
  @Test(arguments: builds64) func limits(_ build: Build<Double>) { limitsAreRight(build) }
}
