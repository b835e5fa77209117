import Glibc
import KernelInterface
import Testing

private let mixtureRules: [MixtureRule] = [1, 3, 5, 20].flatMap { components in
  [MixtureRule.Family.normal, .logistic].flatMap { family in
    [MixtureRule.Target.uniform, .logistic].map {
      var rule = MixtureRule(components: components, family: family, target: $0, bound: 7)
      // Of 3 components scales are made in the other way.
      if components == 3 { (rule.scale, rule.epsilon, rule.offset) = (.softplus, 0.01, log(expm1(0.99))) }
      return rule
    }
  }
}

/// One array a parameter.
private func parameters<S: TestScalar>(_ rule: MixtureRule, _ count: Int, _ random: inout Random) -> [[S]] {
  (0..<3 * rule.components).map { j in
    switch j / rule.components {
    case 0: random.numbers(count, -3, 3)
    case 1: random.numbers(count, -2, 2)
    default: random.numbers(count, -2, 1)
    }
  }
}

extension Build {
  fileprivate func map(_ rule: MixtureRule, _ x: [S], _ p: [[S]], inverse: Bool = false) -> (y: [S], logs: [S])
  where S: TestScalar {
    let p = p.flatMap { $0 }
    let out = fenced([x], [p, x, x], atStart: inverse) {
      apply(inverse ? table.mixture.inverse : table.mixture.forward, rule, x.count, $0[0], $1[0], $1[1], $1[2])
    }
    #expect(bits(out[0]) == bits(p))
    return (out[1], out[2])
  }

  /// dL/d(argument), then dL/dp.
  fileprivate func pullback(
    _ rule: MixtureRule, _ x: [S], _ p: [[S]], _ g: [S], _ gLogs: [S], inverse: Bool = false
  ) -> [[S]] where S: TestScalar {
    let n = x.count
    let gp = gLogs + [S](repeating: 7, count: n * (p.count - 1))
    let out = fenced([x, p.flatMap { $0 }], [g, gp]) {
      apply(
        inverse ? table.mixture.inversePullback : table.mixture.pullback, rule, n, $0[0], $0[1], $0[0], $1[0], $1[1])
    }
    return [out[0]] + p.indices.map { Array(out[1][$0 * n..<($0 + 1) * n]) }
  }
}

/// log F, log S and log f of number i in extended precision, where even erfc(100) does not underflow.
private func exactly<S: TestScalar>(_ rule: MixtureRule, _ x: S, _ p: [[S]], _ i: Int) -> (
  lower: Exact, upper: Exact, density: Exact
) {
  let c = rule.components
  var (weights, lower, upper, density) = (Exact(0), Exact(0), Exact(0), Exact(0))
  for k in 0..<c {
    let w = exp(Exact(p[k][i]))
    let a = Exact(p[2 * c + k][i])
    let s =
      switch rule.scale {
      case .softClip: exp(a / (1 + abs(a) / Exact(rule.bound)))
      case .softplus: log(1 + exp(a + Exact(rule.offset))) + Exact(rule.epsilon)
      }
    let t = (Exact(x) - Exact(p[c + k][i])) / s
    weights += w
    switch rule.family {
    case .normal:
      let root = Exact(2).squareRoot()
      lower += w * erfc(-t / root) / 2
      upper += w * erfc(t / root) / 2
      density += w * exp(-t * t / 2) / (2 * Exact.pi).squareRoot() / s
    case .logistic:
      lower += w / (1 + exp(-t))
      upper += w / (1 + exp(t))
      density += w / (1 + exp(-t)) / (1 + exp(t)) / s
    }
  }
  return (log(lower / weights), log(upper / weights), log(density / weights))
}

/// Near and far out.
private func mapsAreRight<S: TestScalar>(_ build: Build<S>) {
  var random = Random(21)
  let n = 1000
  for rule in mixtureRules {
    let p: [[S]] = parameters(rule, n, &random)
    for reach in [3.0, 12, 60] {
      var x: [S] = random.numbers(n, -reach, reach)
      // Exactly at a mean, too.
      for i in 0..<rule.components { x[i] = p[rule.components + i][i] }
      let (y, logs) = build.map(rule, x, p)
      var worst = (0.0, 0.0)
      for i in 0..<n {
        let (lower, upper, density) = exactly(rule, x[i], p, i)
        let value = rule.target == .uniform ? exp(lower) : lower - upper
        let slope = rule.target == .uniform ? density : density - lower - upper
        // What the rounding of (x - m) / s alone does to F far out.
        let size =
          rule.target == .uniform ? (1 + abs(lower)) * max(value, Exact(S.leastNormalMagnitude)) : 1 + abs(value)
        worst.0 = max(worst.0, Double(abs(Exact(y[i]) - value) / size / Exact(S.ulpOfOne)))
        worst.1 = max(worst.1, Double(abs(Exact(logs[i]) - slope) / (1 + abs(slope)) / Exact(S.ulpOfOne)))
      }
      #expect(worst.0 <= 24 && worst.1 <= 24, "\(build.name) \(rule) within \(reach): \(worst)")
    }
  }
}

/// t, log Phi(t) - log Phi(-t), its log-derivative, and the log-density, by mpmath.
private let normals: [(Double, Double, Double, Double)] = [
  (-1_000_000, -500000000014.73444909, 13.815510557965274104, -500000000000.91893853),
  (-10000, -50000010.129278915181, 9.2103403819761824861, -50000000.918938533205),
  (-150.5, -11331.057945762144764, 5.0140072289400909903, -11326.043938533204673),
  (-37.5, -707.66898931750719107, 3.6250507843025183243, -704.04393853320467274),
  (-8.25, -37.074589931901532839, 2.1244013986968602561, -34.950188533204672742),
  (-2.5, -5.075419251792830496, 1.043938769559877759, -4.0439385332046727418),
  (-1, -1.6682678659858136162, 0.59483689082804065352, -1.4189385332046727418),
  (-0.3125, -0.50089534904812880881, 0.48060678622372362768, -0.96776665820467274178),
  (0.0078125, 0.012466980914873357935, 0.4673641664887417592, -0.91896905078279774178),
  (1.75, 3.1765143776481789093, 0.80809308074769602934, -2.4501885332046727418),
  (6.5, 23.938149495121678548, 1.8942109619973258183, -22.043938533204672742),
  (20, 203.91715537109726394, 2.998216837892591195, -200.91893853320467274),
  (300, 45006.62273211866336, 5.703793585458687112, -45000.918938533204673),
]
/// The same of two components with raw log-scale -6 (7 at most), means -3 and 5, logits 0.5 and -0.25, at x.
private let pairs: [(Double, Double, Double, Double)] = [
  (-4, -324.56062715367171655, 6.4630947955836260151, -318.09753235808809053),
  (-3.0625, -3.2136120880560590457, 3.9673312754012708356, 0.67487183188115125325),
  (0.75, 0.75, -4496.8675927429451319, -4498.3913347551749318),
  (2, 0.75, -2877.5037267421602796, -2879.0274687543900795),
  (5.03125, 2.6045697765069498162, 3.6096663349642582876, 0.86243772655753137615),
  (7, 1286.070084365662373, 7.1550758589610365879, -1278.9150085067013364),
]

private func frozenValues<S: TestScalar>(_ build: Build<S>) {
  func close(_ a: S, _ b: Double, _ what: String) {
    let exact = Double(S(b))
    #expect(
      abs(Double(a) - b) <= 12 * Double(S.ulpOfOne) * (0.5 + abs(b)) || Double(a) == exact,
      "\(build.name) \(what): \(a), exactly \(b)")
  }
  for (values, p) in [
    (normals, [[0.0], [0], [0]] as [[S]]), (pairs, [[0.5], [-0.25], [-3], [5], [-6], [-6]]),
  ] {
    for (x, logit, slope, density) in values {
      for target in [MixtureRule.Target.uniform, .logistic] {
        let rule = MixtureRule(components: p.count / 3, family: .normal, target: target, bound: 7)
        let (y, logs) = build.map(rule, [S(x)], p)
        close(logs[0], target == .uniform ? density : slope, "log-derivative at \(x)")
        if target == .logistic {
          close(y[0], logit, "logit at \(x)")
          let back = build.map(rule, y, p, inverse: true)
          let error = abs(Double(back.y[0]) - x)
          // On the plain between two components any x will do.
          let conditioning = abs(x) + (1 + abs(logit)) * exp(-slope)
          #expect(error <= 12 * Double(S.ulpOfOne) * conditioning, "\(build.name) back to \(x): \(back.y[0])")
        }
      }
    }
  }
}

/// The tail of the normal distribution: F of one component is the tail times e^(-t^2 / 2), whose exponent is exact for
/// numbers with few bits.
private func normalTailIsAccurate<S: TestScalar>(_ build: Build<S>) {
  let rule = MixtureRule(components: 1, family: .normal, target: .uniform, bound: 7)
  let (step, least): (S, S) = S.self == Float.self ? (1 / 128, -13) : (1 / 4096, -37)
  let x: [S] = (1...Int(-least / step)).map { -S($0) * step }
  let p = [[S]](repeating: [S](repeating: 0, count: x.count), count: 3)
  let y = build.map(rule, x, p).y
  var worst = (0.0, S(0))
  for i in x.indices {
    let error = ulps(y[i], erfc(-Exact(x[i]) / Exact(2).squareRoot()) / 2)
    if error > worst.0 { worst = (error, x[i]) }
  }
  if getenv("KERNEL_TESTS_SHOW") != nil {
    print("\(S.self) \(build.name) normal tail: \(worst.0) ulp at \(worst.1)")
  }
  #expect(worst.0 <= 5.2, "\(build.name) at \(worst.1)")
}

/// The x found is the exact root for a y and parameters that differ by rounding from those given: where F hardly
/// changes, between components, no more can be asked.
private func inversesAreRight<S: TestScalar>(_ build: Build<S>) {
  var random = Random(22)
  let n = 1000
  for rule in mixtureRules {
    var p: [[S]] = parameters(rule, n, &random)
    // Ever farther apart, at last with very different scales, none below the rounding of the means.
    let factors: [S] = S.self == Float.self ? [1, 20, 5] : [1, 20, 1e4]
    var spread: S = 1
    for (round, factor) in factors.enumerated() {
      spread *= factor
      for k in 0..<rule.components { p[rule.components + k] = p[rule.components + k].map { $0 * factor } }
      let x: [S] = random.numbers(n, -3, 3).map { $0 * spread }
      if round == 2 {
        for k in 0..<rule.components {
          p[2 * rule.components + k] = p[2 * rule.components + k].map { 9 * $0 }
        }
      }
      let mapped = build.map(rule, x, p).y
      let far: [S] = rule.target == .uniform ? random.numbers(n, 0, 1) : random.numbers(n, -400, 400)
      for y in [mapped, far] {
        let (back, logs) = build.map(rule, y, p, inverse: true)
        let again = build.map(rule, back, p)
        var worst = 0.0
        for i in 0..<n {
          if rule.target == .uniform, y[i] < S.leastNormalMagnitude || y[i] == 1 {
            #expect(y[i] > 0 || back[i] == -.infinity)
            #expect(y[i] < 1 || back[i] == .infinity)
            continue
          }
          #expect(bits([logs[i]]) == bits([again.logs[i]]), "\(build.name) \(rule)")
          let exact = Exact(y[i])
          let target = rule.target == .uniform ? log(exact) - log1p(-exact) : exact
          let (lower, upper, density) = exactly(rule, back[i], p, i)
          let logit = lower - upper
          let slope = exp(density - lower - upper)
          let rounding = 1 + abs(target) + slope * (abs(Exact(back[i])) + 2 * Exact(spread))
          worst = max(worst, Double(abs(logit - target) / rounding / Exact(S.ulpOfOne)))
        }
        #expect(worst <= 20, "\(S.self) \(build.name) \(rule) spread \(spread): \(worst)")
      }
    }
  }
}

/// Against differences of the maps.
private func mixturePullbacks(_ build: Build<Double>) {
  var random = Random(23)
  let n = 150
  let h = 1e-5
  for rule in mixtureRules {
    let p: [[Double]] = parameters(rule, n, &random)
    let x: [Double] = random.numbers(n, -2.5, 2.5)
    let g: [Double] = random.numbers(n)
    let gLogs: [Double] = random.numbers(n)
    for inverse in [false, true] {
      let argument = inverse ? build.map(rule, x, p).y : x
      func loss(_ x: [Double], _ p: [[Double]]) -> [Double] {
        let (y, logs) = build.map(rule, x, p, inverse: inverse)
        return (0..<n).map { g[$0] * y[$0] + gLogs[$0] * logs[$0] }
      }
      let at = inverse ? build.map(rule, argument, p, inverse: true).y : x
      let gradients = build.pullback(rule, at, p, g, gLogs, inverse: inverse)
      for j in 0...p.count {
        // Steps of the argument in proportion to its sensitivity: a CDF may be flat.
        let slopes = build.map(rule, at, p).logs
        let steps = (0..<n).map { j == 0 && inverse ? h * min(1, exp(slopes[$0])) : h }
        func moved(_ sign: Double) -> [Double] {
          if j == 0 { return loss((0..<n).map { argument[$0] + sign * steps[$0] }, p) }
          var q = p
          q[j - 1] = p[j - 1].map { $0 + sign * h }
          return loss(argument, q)
        }
        let (up, down) = (moved(1), moved(-1))
        // Where F is flat its inverse has no derivative to speak of.
        for i in 0..<n where slopes[i] > -6 {
          let difference = (up[i] - down[i]) / (2 * steps[i])
          let scale = 1 + abs(difference) + (inverse ? exp(-slopes[i]) : 0)
          #expect(
            abs(gradients[j][i] - difference) <= 3e-7 * scale * (1 + scale.squareRoot()),
            "\(build.name) \(rule) inverse \(inverse), \(j): \(gradients[j][i]) and \(difference)")
        }
      }
    }
  }
}

/// Single precision follows double precision.
private func mixturePullbacksAgree(_ build: Build<Float>) {
  var random = Random(24)
  let n = 300
  for rule in mixtureRules {
    let p: [[Float]] = parameters(rule, n, &random)
    let x: [Float] = random.numbers(n, -3, 3)
    let g: [Float] = random.numbers(n)
    let gLogs: [Float] = random.numbers(n)
    let wide = { (values: [Float]) in values.map(Double.init) }
    for inverse in [false, true] {
      let single = build.pullback(rule, x, p, g, gLogs, inverse: inverse)
      let double = builds64[0].pullback(rule, wide(x), p.map(wide), wide(g), wide(gLogs), inverse: inverse)
      let slopes = build.map(rule, x, p).logs
      for i in 0..<n where slopes[i] > -20 {
        let scale = double.reduce(1) { max($0, abs($1[i])) }
        for (a, b) in zip(single, double) {
          #expect(abs(Double(a[i]) - b[i]) <= 1e-4 * scale, "\(build.name) \(rule) inverse \(inverse)")
        }
      }
    }
  }
}

private func mixtureBits<S: TestScalar>(_ type: S.Type) {
  var random = Random(25)
  let length = 77
  for rule in mixtureRules {
    let p: [[S]] = parameters(rule, length, &random)
    let x: [S] = random.numbers(length, -6, 6)
    let y: [S] = rule.target == .uniform ? random.numbers(length, 0, 1) : random.numbers(length, -9, 9)
    let g: [S] = random.numbers(length)
    let gLogs: [S] = random.numbers(length)
    func outputs(_ build: Build<S>, _ range: Range<Int>) -> [[S]] {
      let part = { (values: [S]) in Array(values[range]) }
      let q = p.map(part)
      let (a, b) = build.map(rule, part(x), q)
      let (c, d) = build.map(rule, part(y), q, inverse: true)
      return [a, b, c, d] + build.pullback(rule, part(x), q, part(g), part(gLogs))
        + build.pullback(rule, part(x), q, part(g), part(gLogs), inverse: true)
    }
    var first: [[S]]?
    for build in S.builds {
      let whole = outputs(build, 0..<length)
      for range in [0..<0, 0..<1, 0..<3, 0..<8, 0..<17, 5..<6, 5..<22, 13..<77, 40..<72] {
        for (part, all) in zip(outputs(build, range), whole) {
          #expect(bits(part) == bits(Array(all[range])), "\(build.name) \(rule) \(range)")
        }
      }
      if build.fused {
        if let first { for (a, b) in zip(first, whole) { #expect(bits(a) == bits(b), "\(build.name) \(rule)") } }
        first = whole
      }
    }
    for build in S.builds {
      let inPlace = fenced([], [p.flatMap { $0 }, x, x]) {
        apply(build.table.mixture.forward, rule, length, $1[1], $1[0], $1[1], $1[2])
      }
      #expect(bits(inPlace[1]) == bits(build.map(rule, x, p).y))
    }
  }
}

/// Infinities, NaN, the ends of the support, and parameters far out.
private func mixtureLimits<S: TestScalar>(_ build: Build<S>) {
  let inf = S.infinity
  for rule in mixtureRules {
    var random = Random(26)
    let uniform = rule.target == .uniform
    let x: [S] = [inf, -inf, .nan, 1e30, -1e30, 1e4, -300, 0.5, .leastNonzeroMagnitude]
    let n = x.count
    let p: [[S]] = parameters(rule, n, &random)
    let (y, logs) = build.map(rule, x, p)
    #expect(y[0] == (uniform ? 1 : inf) && y[1] == (uniform ? 0 : -inf) && y[2].isNaN && logs[2].isNaN)
    #expect(y.indices.allSatisfy { $0 == 2 || !y[$0].isNaN }, "\(build.name) \(rule) \(y)")
    #expect(logs.dropFirst(3).allSatisfy { $0.isFinite }, "\(build.name) \(rule) \(logs)")
    // F has no slope at infinity, its logit has one.
    #expect(logs[0...1].allSatisfy { uniform ? $0 == -inf : $0.isFinite }, "\(build.name) \(rule) \(logs)")
    let ones = [S](repeating: 1, count: n)
    for (i, part) in build.pullback(rule, x, p, ones, ones).enumerated() {
      for j in 0..<n where j != 2 { #expect(!part[j].isNaN || j < 2, "\(build.name) \(rule) \(i) at \(x[j])") }
    }
    let ends: [S] =
      uniform ? [0, 1, -0.25, 1.5, .nan, 1e-30, 1 - S.ulpOfOne] : [-inf, inf, 3e4, -3e4, .nan, 1e-30, 70]
    let q = p.map { Array($0.prefix(ends.count)) }
    let (back, backLogs) = build.map(rule, ends, q, inverse: true)
    #expect(back[0] == -inf && back[1] == inf && back[4].isNaN && backLogs[4].isNaN)
    #expect(back[2].isNaN == uniform && back[3].isNaN == uniform && back[5].isFinite && back[6].isFinite)
    // A NaN among the parameters.
    for j in 0..<3 * rule.components {
      var q = p
      q[j][7] = .nan
      let (y, logs) = build.map(rule, x, q)
      #expect(y[7].isNaN && logs[7].isNaN && !y[8].isNaN && !y[6].isNaN, "\(build.name) \(rule) parameter \(j)")
      let back = build.map(rule, [S](repeating: 0.5, count: n), q, inverse: true)
      #expect(back.y[7].isNaN && back.logs[7].isNaN && back.y[8].isFinite, "\(build.name) \(rule) parameter \(j)")
    }
    // The scale has its limits at infinity.
    var wide = p
    for k in 0..<rule.components { wide[2 * rule.components + k] = [S](repeating: k % 2 == 0 ? inf : -inf, count: n) }
    #expect(build.map(rule, x, wide).logs[7].isFinite)
  }
}

@Suite struct MixtureTests {
  @Test(arguments: builds32) func maps(_ build: Build<Float>) { mapsAreRight(build) }
  @Test(.widerThanDouble, arguments: builds64) func maps(_ build: Build<Double>) { mapsAreRight(build) }
  @Test(arguments: builds32) func frozen(_ build: Build<Float>) { frozenValues(build) }
  @Test(arguments: builds64) func frozen(_ build: Build<Double>) { frozenValues(build) }
  @Test(arguments: builds32) func tail(_ build: Build<Float>) { normalTailIsAccurate(build) }
  @Test(.widerThanDouble, arguments: builds64) func tail(_ build: Build<Double>) { normalTailIsAccurate(build) }
  @Test(arguments: builds32) func inverses(_ build: Build<Float>) { inversesAreRight(build) }
  @Test(.widerThanDouble, arguments: builds64) func inverses(_ build: Build<Double>) { inversesAreRight(build) }
  @Test(arguments: builds64) func pullbacks(_ build: Build<Double>) { mixturePullbacks(build) }
  @Test(arguments: builds32) func pullbacks(_ build: Build<Float>) { mixturePullbacksAgree(build) }
  @Test func bits32() { mixtureBits(Float.self) }
  @Test func bits64() { mixtureBits(Double.self) }
  @Test(arguments: builds32) func limits(_ build: Build<Float>) { mixtureLimits(build) }
  @Test(arguments: builds64) func limits(_ build: Build<Double>) { mixtureLimits(build) }
}
