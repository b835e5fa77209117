import CHDF5
import Glibc
import KernelInterface
import Testing

@testable import Diffeo
@testable import WeightFile

/// A base distribution by its textbook formulas, given the parameters that are in a flow.
struct ReferenceBase {
  private let spec: any DistributionSpec
  private let dim: Int
  /// By slot.
  private let values: [String: [Double]]

  init<S: Scalar>(_ flow: Flow<S>) {
    spec = flow.spec.base.spec
    dim = flow.spec.dim
    var values: [String: [Double]] = [:]
    for slot in flow.spec.slots.last?.slots ?? [] {
      values[slot.name] = (0..<slot.count).map { Double(flow.parameters.pointer[slot.offset + $0]) }
    }
    self.values = values
  }

  /// Of the base given a context, one vector after the other.
  func parameters(_ context: [Double]) -> [Double] {
    let record = spec.record
    guard case .ints(let hidden)? = record["hidden"] else {
      return spec.slots.flatMap { values[$0.name] ?? [] }
    }
    var x = context
    for i in 0...hidden.count {
      let (w, b) = (values["network/\(i)/weight"] ?? [], values["network/\(i)/bias"] ?? [])
      x = b.indices.map { o in b[o] + x.indices.reduce(0) { $0 + w[o * x.count + $1] * x[$1] } }
      if i < hidden.count { x = x.map { record["activation"] == .string("tanh") ? tanh($0) : $0 > 0 ? $0 : expm1($0) } }
    }
    return x
  }

  func logDensity(_ z: [Double], _ p: [Double]) -> Double {
    switch spec {
    case let spec as MixtureSpec:
      let terms = (0..<spec.components).map { k in
        p[k] + (0..<dim).reduce(0) { $0 + logNormal(z, p, spec, k, $1) }
      }
      return logSum(terms) - logSum(Array(p.prefix(spec.components)))
    default: return (0..<dim).reduce(0) { $0 + logDensity($1, z[$1], p) }
    }
  }

  private func logDensity(_ i: Int, _ z: Double, _ p: [Double]) -> Double {
    switch spec {
    case is NormalSpec: -0.5 * pow((z - p[i]) / exp(p[dim + i]), 2) - p[dim + i] - 0.5 * log(2 * .pi)
    case is LogisticSpec: -z - 2 * log(1 + exp(-z))
    case let spec as UniformSpec: z >= spec.low && z <= spec.high ? -log(spec.high - spec.low) : -.infinity
    case is StudentTSpec:
      logGamma((exp(p[i]) + 1) / 2) - logGamma(exp(p[i]) / 2) - 0.5 * log(exp(p[i]) * .pi)
        - (exp(p[i]) + 1) / 2 * log(1 + z * z / exp(p[i]))
    case is StandardNormalSpec: -0.5 * z * z - 0.5 * log(2 * .pi)
    case let spec as BetaSpec:
      z > spec.low && z < spec.high
        ? (p[i] - 1) * log((z - spec.low) / (spec.high - spec.low))
          + (p[dim + i] - 1) * log((spec.high - z) / (spec.high - spec.low)) - log(spec.high - spec.low)
          - (logGamma(p[i]) + logGamma(p[dim + i]) - logGamma(p[i] + p[dim + i]))
        : -.infinity
    default: .nan
    }
  }

  private func logNormal(_ z: [Double], _ p: [Double], _ spec: MixtureSpec, _ k: Int, _ i: Int) -> Double {
    let (e, deviation) = residual(z, p, spec, k, i)
    return -0.5 * e * e - log(deviation) - 0.5 * log(2 * .pi)
  }

  /// Of column i of component k given those before it in the order of the factor: what is standard normal, and the
  /// deviation.
  private func residual(_ z: [Double], _ p: [Double], _ spec: MixtureSpec, _ k: Int, _ i: Int) -> (Double, Double) {
    let (components, options) = (spec.components, spec.factors.options)
    let means = Array(p[components + k * dim..<components + (k + 1) * dim])
    let raw = p[components * (1 + dim) + k * dim..<components * (1 + dim) + (k + 1) * dim]
    let s = raw.map { (options.diagonal == .exp ? exp($0) : log(1 + exp($0))) + options.epsilon }
    let count = dim * (dim - 1) / 2
    let triangle =
      options.covariance == .diagonal ? [] : p[(components * (1 + 2 * dim) + k * count)...].prefix(count).map { $0 }
    var matrix = (0..<dim).map { i in (0..<dim).map { i == $0 ? s[i] : 0 } }
    var next = triangle.makeIterator()
    for i in 0..<dim {
      for j in options.covariance == .full ? 0..<i : i + 1..<dim { matrix[i][j] = next.next() ?? 0 }
    }
    let d = (0..<dim).map { z[$0] - means[$0] }
    guard options.covariance != .precision else {
      return ((i..<dim).reduce(0) { $0 + matrix[i][$1] * d[$1] }, 1 / s[i])
    }
    var e: [Double] = []
    for j in 0...i { e.append((d[j] - (0..<j).reduce(0) { $0 + matrix[j][$1] * e[$1] }) / s[j]) }
    return (e[i], s[i])
  }

  /// The distribution function of column i given the columns before it.
  func cdf(_ i: Int, _ z: [Double], _ p: [Double]) -> Double {
    switch spec {
    case is StandardNormalSpec: return normalCDF(z[i])
    case is NormalSpec: return normalCDF((z[i] - p[i]) / exp(p[dim + i]))
    case is LogisticSpec: return 1 / (1 + exp(-z[i]))
    case let spec as UniformSpec: return (z[i] - spec.low) / (spec.high - spec.low)
    case is StudentTSpec:
      let df = exp(p[i])
      let tail = 0.5 * incompleteBeta(df / (df + z[i] * z[i]), df / 2, 0.5)
      return z[i] > 0 ? 1 - tail : tail
    case let spec as BetaSpec:
      return incompleteBeta((z[i] - spec.low) / (spec.high - spec.low), p[i], p[dim + i])
    case let spec as MixtureSpec:
      let isBefore = { (j: Int) in spec.factors.options.covariance == .precision ? j > i : j < i }
      let logs = (0..<spec.components).map { k in
        p[k] + (0..<dim).filter(isBefore).reduce(0) { $0 + logNormal(z, p, spec, k, $1) }
      }
      let total = logSum(logs)
      return logs.indices.reduce(0) { $0 + exp(logs[$1] - total) * normalCDF(residual(z, p, spec, $1, i).0) }
    default:
      Issue.record("no formula for \(type(of: spec))")
      return .nan
    }
  }

  private func normalCDF(_ z: Double) -> Double { 0.5 * erfc(-z / 2.0.squareRoot()) }

  private func logSum(_ terms: [Double]) -> Double {
    let top = terms.max() ?? 0
    return top + log(terms.reduce(0) { $0 + exp($1 - top) })
  }
}

private func logGamma(_ x: Double) -> Double { lgamma(x).0 }

/// The regularised incomplete beta function, by its continued fraction (NIST Handbook, 8.17.22).
private func incompleteBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
  if x > (a + 1) / (a + b + 2) { return 1 - incompleteBeta(1 - x, b, a) }
  let front = exp(a * log(x) + b * log1p(-x) - logBeta(a, b)) / a
  // Lentz's method
  var (c, d) = (1.0, 1 / (1 - (a + b) * x / (a + 1)))
  var fraction = d
  for m in 1..<500 {
    let m = Double(m)
    for numerator in [
      m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
      -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
    ] {
      d = 1 / (1 + numerator * d)
      c = 1 + numerator / c
      fraction *= c * d
    }
    if abs(c * d - 1) < 1e-15 { break }
  }
  return front * fraction
}

@Suite struct BaseTests {
  @Test("a base by itself is its formula", arguments: Case.bases.filter { $0.traits.contains(.isBaseAlone) })
  func formula(_ c: Case) throws {
    func compare<S: Scalar>(_: S.Type, _ tolerance: Double) throws {
      let flow = try Flow<S>.random(c.spec(S.dtype), seed: 31)
      let rows = Rows<S>.random(200, flow.spec, seed: 32, spread: 3.9)
      let reference = ReferenceBase(flow)
      let logs = try flow.run(.logProb, rows).logs
      for r in 0..<rows.count {
        let z = rows.x[r * c.dim..<(r + 1) * c.dim].map(Double.init)
        let context = rows.context[r * c.contextDim..<(r + 1) * c.contextDim].map(Double.init)
        let expected = reference.logDensity(z, reference.parameters(context))
        #expect(abs(Double(logs[r]) - expected) <= tolerance * (1 + abs(expected)))
      }
    }
    try compare(Double.self, 1e-12)
    try compare(Float.self, 1e-5)
  }

  @Test("a new flow has the parameters that were asked for, for every context nearly so")
  func start() throws {
    for contextDim in [0, 2] {
      let conditioner: SpecBuilder.Network? = contextDim == 0 ? nil : .small()
      func parameters(_ base: BaseChoice) throws -> [Double] {
        var builder = try SpecBuilder(dim: 2, contextDim: contextDim, dtype: .f64)
        try builder.setBase(base)
        let flow = try Flow<Double>(spec: builder.spec, seed: 3)
        return ReferenceBase(flow).parameters([Double](repeating: 0.5, count: contextDim))
      }
      let tolerance = contextDim == 0 ? 1e-15 : 0.05
      #expect(try parameters(.normal(conditioner)).allSatisfy { abs($0) <= tolerance })
      #expect(try parameters(.studentT(df: 7, conditioner)).allSatisfy { abs($0 - log(7)) <= tolerance })
      let mixture = try parameters(.mixture(components: 200, conditioner))
      #expect((mixture[..<200] + mixture[600...]).allSatisfy { abs($0) <= tolerance })
      let means = mixture[200..<600]
      let mean = means.reduce(0, +) / 400
      let variance = means.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 400
      #expect(abs(mean) < 0.2 && abs(variance - 1) < 0.3)
    }
  }

  @Test("log(Γ(x + 1/2) / Γ(x)) and its derivative, against 40 digits")
  func gammaRatio() {
    for (x, value, derivative) in [
      (0.05, -2.4888483449406047732, 18.76188574065769543), (0.3, -0.94373831641823796107, 2.53751565549399464),
      (0.5, -0.57236494292470008707, 1.3862943611198906188), (1.0, -0.12078223763524522235, 0.61370563888010938117),
      (2.75, 0.46058726419378822795, 0.19808988609274644408), (7.9, 1.0176191084862427935, 0.065290043455564938332),
      (15.99, 1.3781656500193204723, 0.031758197088834358903), (16, 1.3784831311999229944, 0.031738043295163128699),
      (40, 1.841314808421924927, 0.012578118898390458475), (1000, 3.4537526394962768578, 0.00050012499998437500781),
      (5e7, 8.8637667791962100814, 1.000000005e-8),
    ] {
      let ratio = logGammaRatio(x)
      #expect(abs(ratio.value - value) <= 4e-16 * (1 + abs(value)), "\(x)")
      #expect(abs(ratio.derivative - derivative) <= 1e-15 * derivative, "\(x)")
    }
  }

  @Test("Student's t with many degrees of freedom is normal, and with any number far out a power")
  func limits() throws {
    func flow(_ df: Double) throws -> Flow<Double> {
      var builder = try SpecBuilder(dim: 1, contextDim: 0, dtype: .f64)
      try builder.setBase(.studentT(df: df, nil))
      return try Flow(spec: builder.spec, seed: 0)
    }
    let wide = try flow(1e8)
    for z in [0, 0.5, -3] {
      let log = try wide.logProb(x: [z], rows: 1, context: [])[0]
      #expect(abs(log + 0.5 * z * z + 0.5 * Glibc.log(2 * Double.pi)) < 1e-6)
    }
    let t = try flow(3)
    let logs = try t.logProb(x: [1e150, 1e200, -1e250], rows: 3, context: [])
    #expect(abs(logs[1] - logs[0] + 4 * 50 * Glibc.log(10)) < 1e-9)
    #expect(abs(logs[2] - logs[1] + 4 * 50 * Glibc.log(10)) < 1e-9)
    let g = try t.gradient(Rows(x: [1e150, 1e200, 0], context: [], count: 3)).x
    #expect(abs(g[0] * 1e150 + 4) < 1e-9 && abs(g[1] * 1e200 + 4) < 1e-9 && g[2] == 0)
    // Outside of the limits nothing changes any more.
    for (logDf, df) in [(-50.0, 0.1), (700, 1e8), (1e300, 1e8)] {
      let parameters = try ParameterVector<Double>(count: 1)
      parameters.pointer[0] = logDf
      let held = try Flow(spec: t.spec, parameters: parameters)
      let x = [-2.0, 0.1, 30]
      let (a, b) = (try held.logProb(x: x, rows: 3, context: []), try flow(df).logProb(x: x, rows: 3, context: []))
      #expect(zip(a, b).allSatisfy { abs($0 - $1) < 1e-12 * (1 + abs($1)) })
      #expect(try trainingObjective(held, Rows(x: x, context: [], count: 3)).gradient == [0])
      #expect(try held.samples(500, seed: 1).x.allSatisfy { $0.isFinite })
    }
  }

  @Test("uniform numbers stay where the density is", arguments: [(0, 1), (0.1, 0.3), (-1, 1e-30), (7, 7.000001)])
  func support(_ low: Double, _ high: Double) throws {
    func check<S: Scalar>(_: S.Type) throws {
      var builder = try SpecBuilder(dim: 3, contextDim: 0, dtype: S.dtype)
      try builder.setBase(.uniform(low: low, high: high))
      let flow = try Flow<S>(spec: builder.spec, seed: 0)
      let (x, logProb) = try flow.samples(20_000, seed: 5)
      #expect(x.allSatisfy { $0 >= S(low) && $0 <= S(high) })
      #expect(logProb.allSatisfy { $0 == logProb[0] && $0.isFinite })
      let (l, h) = (S(low), S(high))
      let logs = try flow.logProb(
        x: [l, h, l, l.nextDown, l, l, l, h, h.nextUp, .nan, h.nextUp, l], rows: 4, context: [])
      #expect(logs[0] == logProb[0] && logs[1] == -.infinity && logs[2] == -.infinity && logs[3].isNaN)
      let g = try flow.gradient(Rows(x: [l, h, .infinity, .nan, l, l], context: [], count: 2)).x
      #expect(g[0] == 0 && g[1] == 0 && g[2] == 0 && g[3].isNaN && g[4] == 0)
    }
    try check(Float.self)
    try check(Double.self)
  }

  @Test("log B, against 40 digits")
  func beta() {
    for (a, b, value) in [
      (0.1, 0.1, 2.9813614810376273379), (0.5, 0.5, 1.1447298858494001741), (1, 1, 0), (13, 13, -18.02917623165674764),
      (0.1, 10000, 1.3316831145965869022), (10000, 10000, -13866.28325676140964), (15.9, 2.5, -6.7443678841464760383),
    ] {
      #expect(abs(logBeta(a, b) - value) <= 1e-14 * (1 + abs(value)), "\(a) \(b)")
      #expect(abs(logBeta(b, a) - value) <= 1e-14 * (1 + abs(value)), "\(b) \(a)")
    }
  }

  @Test(
    "quantiles of the beta distribution", arguments: [(0.1, 0.1), (0.1, 1e4), (1, 1), (13, 13), (2.5, 0.7), (1e4, 1e4)])
  func betaQuantiles(_ a: Double, _ b: Double) {
    let distribution = BetaDistribution(alpha: a, beta: b)
    for u in [1e-16, 1e-9, 1e-3, 0.1, 0.25, 0.4999, 0.5] {
      let y = distribution.logitOfQuantile(u)
      let (x, rest) = (1 / (1 + exp(-y)), 1 / (1 + exp(y)))
      // What the reference can tell: in the powers of x, and in log B, which has a test of its own.
      let tolerance = 1e-13 * (10 + a * abs(log(x)) + b * abs(log(rest)) + abs(logBeta(a, b)))
      let back = incompleteBeta(x, a, b)
      #expect(abs(back - u) <= tolerance * (u + (x > 0.3 ? 1e-3 : 0)), "\(u): \(back)")
    }
    #expect(distribution.logitOfQuantile(0.2) < distribution.logitOfQuantile(0.2000001))
  }

  @Test("beta numbers stay where the density is", arguments: [(0.1, 0.1), (13, 13), (1e4, 3)])
  func betaSupport(_ alpha: Double, _ beta: Double) throws {
    func check<S: Scalar>(_: S.Type) throws {
      var builder = try SpecBuilder(dim: 3, contextDim: 0, dtype: S.dtype)
      try builder.setBase(.beta(alpha: alpha, beta: beta, low: -0.3, high: 5))
      let flow = try Flow<S>(spec: builder.spec, seed: 0)
      let (x, logProb) = try flow.samples(5000, seed: 5)
      let (l, h) = (S(-0.3), S(5))
      #expect(x.allSatisfy { $0 > l && $0 < h })
      #expect(logProb.allSatisfy { $0.isFinite })
      let logs = try flow.logProb(x: [l, 1, 1, 1, h, 1, 1, h.nextUp, 1, .nan, 1, 1], rows: 4, context: [])
      #expect(logs[..<3].allSatisfy { $0 == -.infinity } && logs[3].isNaN)
    }
    try check(Float.self)
    try check(Double.self)
  }

  @Test("numbers are drawn in (0, 1) for single precision, too")
  func logisticTails() throws {
    var builder = try SpecBuilder(dim: 1, contextDim: 0, dtype: .f32)
    try builder.setBase(.logistic)
    let flow = try Flow<Float>(spec: builder.spec, seed: 0)
    let x = try flow.samples(4_000_000, seed: 1).x
    // Of n numbers the largest is about log n, without gaps: half of those above log(n / 10) differ.
    let tail = x.filter { $0 > 12.9 }
    #expect(x.allSatisfy { $0.isFinite } && tail.count > 3 && Set(tail).count == tail.count)
  }

  @Test("the last base counts, and its parameters are counted")
  func replacing() throws {
    var builder = try SpecBuilder(dim: 3, contextDim: 1, dtype: .f32)
    try builder.addActNorm()
    let count = builder.spec.parameterCount
    try builder.setBase(.mixture(components: 4, nil))
    #expect(builder.spec.parameterCount == count + 4 + 2 * 12)
    #expect(builder.spec.summary.contains("base  mixture: 4 components, 28 parameters"))
    try builder.setBase(.uniform(low: -1, high: 2))
    #expect(builder.spec.parameterCount == count && builder.spec.baseRecord.kind == "uniform")
    #expect(builder.spec.summary.contains("base  uniform: on [-1.0, 2.0]"))
    try builder.setBase(.studentT(df: 3, .small()))
    #expect(builder.spec.summary.contains("base  student_t: of the context, hidden 17 x 21 elu, "))
    try builder.setBase(.standardNormal)
    #expect(builder.spec.parameterCount == count && builder.spec.summary.hasSuffix("base  standard_normal\n"))
  }

  static let bad: [BaseChoice] = [
    .uniform(low: 1, high: 1), .uniform(low: 2, high: 1), .uniform(low: .nan, high: 1), .uniform(low: 0, high: .nan),
    .uniform(low: 0, high: .infinity), .uniform(low: -1e308, high: 1e308), .studentT(df: 0, nil),
    .studentT(df: -1, nil), .studentT(df: .nan, nil), .studentT(df: .infinity, nil), .studentT(df: 1e9, nil),
    .mixture(components: 0, nil), .mixture(components: -1, nil), .mixture(components: .max, nil),
    .mixture(components: 1025, nil),
    .beta(alpha: 0, beta: 1, low: 0, high: 1), .beta(alpha: 1, beta: .nan, low: 0, high: 1),
    .beta(alpha: 1, beta: 2e4, low: 0, high: 1), .beta(alpha: 1, beta: 1, low: 1, high: 1),
    .mixture(components: 2, nil, factors: .init(epsilon: -1)), .mixture(components: 2, nil, factors: .init(epsilon: 1)),
    // No context.
    .normal(.small()), .studentT(df: 5, .small()), .mixture(components: 2, .small()),
  ]

  @Test("bases that are refused") func refused() throws {
    for base in BaseTests.bad {
      var builder = try SpecBuilder(dim: 3, contextDim: 0, dtype: .f64)
      #expect(code { try builder.setBase(base) } == .invalid, "\(base)")
      #expect(builder.spec.base.spec.kind == "standard_normal")
    }
    var wide = try SpecBuilder(dim: 65_536, contextDim: 1, dtype: .f64)
    #expect(code { try wide.setBase(.mixture(components: 2, nil)) } == .invalid)
    #expect(code { try wide.setBase(.mixture(components: 1, .small(hidden: [2000]))) } == .invalid)
    #expect(code { try wide.setBase(.normal(.small(hidden: [0]))) } == .invalid)
    // Ends that are one, or none, in the flow's type.
    for (low, high) in [(1, 1.00000001), (0, 1e300), (-3e38, 3e38)] {
      for dtype in [DType.f32, .f64] {
        var builder = try SpecBuilder(dim: 1, contextDim: 0, dtype: dtype)
        try builder.setBase(.uniform(low: low, high: high))
        #expect(code { try AnyFlow(spec: builder.spec, seed: 0) } == (dtype == .f32 ? .invalid : nil))
      }
    }
  }

  @Test("bases that are refused in a file")
  func damaged() throws {
    let damages: [(BaseChoice, String, (Editor) -> Void)] = [
      (.uniform(low: 0, high: 1), "no low", { $0.removeAttribute("low", of: "/base") }),
      (.uniform(low: 0, high: 1), "high below low", { $0.set("high", of: "/base", -1) }),
      (.uniform(low: 0, high: 1), "NaN", { $0.set("high", of: "/base", Double.nan) }),
      (.uniform(low: 0, high: 1), "a text", { $0.set("low", of: "/base", "0") }),
      (.uniform(low: 0, high: 1), "too narrow for float32", { $0.set("low", of: "/base", 0.9999999999) }),
      (.normal(nil), "no mean", { $0.remove("/base/mean") }),
      (.normal(nil), "another shape", { $0.put("/base/mean", [2, 1], [1, 2]) }),
      (.normal(.small()), "no activation", { $0.removeAttribute("activation", of: "/base") }),
      (.normal(.small()), "no hidden layers, but a network", { $0.remove("/base/hidden") }),
      (.normal(.small()), "wider", { $0.put("/base/hidden", [17, 22]) }),
      (.normal(.small()), "no width", { $0.put("/base/hidden", [17, 0]) }),
      (.normal(.small()), "a huge width", { $0.put("/base/hidden", [17, Int64.max]) }),
      (.studentT(df: 5, nil), "an infinity", { $0.put("/base/log_df", [2], [1, .infinity]) }),
      (.studentT(df: 5, nil), "other weights", { $0.put("/base/log_df", [2], [1, 0.5]) }),
      (.mixture(components: 3, nil), "no components", { $0.removeAttribute("components", of: "/base") }),
      (.mixture(components: 3, nil), "fewer", { $0.set("components", of: "/base", 2) }),
      (.mixture(components: 3, nil), "none", { $0.set("components", of: "/base", 0) }),
      (.mixture(components: 3, nil), "too many", { $0.set("components", of: "/base", Int.max) }),
      (.mixture(components: 3, nil), "a number", { $0.set("components", of: "/base", 3.0) }),
      (.mixture(components: 3, nil), "means of another shape", { $0.put("/base/means", [6], [1, 2, 3, 4, 5, 6]) }),
    ]
    for (base, name, edit) in damages {
      var builder = try SpecBuilder(dim: 2, contextDim: 1, dtype: .f32)
      try builder.addActNorm()
      try builder.setBase(base)
      let flow = try Flow<Float>.random(builder.spec, seed: 3)
      let folder = try Folder()
      try WeightFile.save(StoredFlow(flow: .f32(flow), metadata: [:]), path: folder["a.h5"])
      _ = try WeightFile.load(path: folder["a.h5"])
      try Editor.edit(folder["a.h5"], edit)
      #expect(code { try WeightFile.load(path: folder["a.h5"]) } == .format, "\(base) \(name)")
    }
  }

  /// The parameters that a training finds.
  private func trained(
    _ base: BaseChoice, x: [Double], context: [Double] = [], epochs: Int = 30
  ) throws -> ReferenceBase {
    var builder = try SpecBuilder(dim: 1, contextDim: context.count / x.count, dtype: .f64)
    try builder.setBase(base)
    var options = TrainOptions()
    options.maxEpochs = epochs
    options.learningRate = 0.02
    options.schedule = .cosine
    let flow = try Flow<Double>(spec: builder.spec, seed: 1)
    return try x.withUnsafeBufferPointer { x in
      try context.withUnsafeBufferPointer { context in
        let batch = Batch(rows: x.count, x: x.baseAddress, context: context.baseAddress, contextIsShared: false)
        let trainer = try Trainer(flow, options, batch)
        while !trainer.report.finished { try trainer.step(0) { false } }
        return ReferenceBase(try trainer.bestFlow())
      }
    }
  }

  @Test("training finds the parameters of a base")
  func training() throws {
    func samples(_ base: BaseChoice) throws -> [Double] {
      var builder = try SpecBuilder(dim: 1, contextDim: 0, dtype: .f64)
      try builder.setBase(base)
      return try Flow<Double>(spec: builder.spec, seed: 0).samples(20_000, seed: 3).x
    }
    let t = try trained(.studentT(df: 30, nil), x: samples(.studentT(df: 3, nil)))
    #expect(abs(t.parameters([])[0] - log(3)) < 0.1)
    let e = try samples(.standardNormal)
    let normal = try trained(.normal(nil), x: e.map { 2 + 0.5 * $0 })
    #expect(abs(normal.parameters([])[0] - 2) < 0.02 && abs(normal.parameters([])[1] - log(0.5)) < 0.03)
    let two = e.enumerated().map { $0.offset % 4 == 0 ? -3 + 0.3 * $0.element : 2 + $0.element }
    let mixture = try trained(.mixture(components: 2, nil), x: two, epochs: 100).parameters([])
    let left = mixture[2] < mixture[3] ? 0 : 1
    #expect(abs(mixture[2 + left] + 3) < 0.05 && abs(mixture[3 - left] - 2) < 0.05, "\(mixture)")
    #expect(abs(mixture[left] - mixture[1 - left] - log(1.0 / 3)) < 0.1, "\(mixture)")
    #expect(abs(mixture[4 + left] - log(0.3)) < 0.05 && abs(mixture[5 - left]) < 0.05, "\(mixture)")
    // N(2 c, e^c)
    let context = e.indices.map { 2 * Double($0 % 1000) / 999 - 1 }
    let line = try trained(
      .normal(.small(hidden: [8], .tanh)), x: zip(e, context).map { 2 * $1 + exp($1) * $0 }, context: context)
    for c in [-0.8, 0, 0.7] {
      let p = line.parameters([c])
      #expect(abs(p[0] - 2 * c) < 0.15 && abs(p[1] - c) < 0.15, "\(c): \(p)")
    }
  }
}
