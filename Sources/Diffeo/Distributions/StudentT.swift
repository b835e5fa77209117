import CLibrary
import KernelInterface

/// Student's t distribution, by column, for data with heavy tails: nu = exp(log_df) degrees of freedom, trained or a
/// function of the context. (Alexanderson and Henter 2020; Laszkiewicz, Lederer and Fischer 2022.)
struct StudentTSpec: ChosenDistributionSpec {
  static let kind = "student_t"
  static let number: Int32 = 5
  typealias F32 = StudentT<Float>
  typealias F64 = StudentT<Double>

  /// nu is held to these: below, most numbers drawn would overflow in single precision; above, it is a normal
  /// distribution to seven digits.
  static let degreesOfFreedom = 0.1...1e8

  let dim: Int
  let parameters: ContextualParametersSpec
  /// What a new flow begins with.
  private let start: Double

  init(
    dim: Int, contextDim: Int, start: Double = BaseOptions().df, conditioner: NetworkConventions?
  ) throws(DiffeoError) {
    try Limit.check("base.df", start)
    self.dim = dim
    self.start = start
    parameters = try ContextualParametersSpec(
      [.init(name: "log_df", shape: [dim])], contextDim: contextDim, conditioner: conditioner)
  }

  init(_ options: BaseOptions, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(dim: dim, contextDim: contextDim, start: options.df, conditioner: options.network)
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(dim: dim, contextDim: contextDim, conditioner: ContextualParametersSpec.conditioner(record))
  }

  var record: Record {
    var record = Record(kind: StudentTSpec.kind)
    parameters.describe(&record)
    return record
  }
  var slots: [ParameterSlot] { parameters.slots }
  var summary: String { parameters.summary }

  func initialise<S: Scalar>(_ target: UnsafeMutablePointer<S>, _ random: inout Philox) {
    parameters.initialise(target, &random, values: [Double](repeating: log(start), count: dim))
  }
}

extension BaseChoice {
  package static func studentT(df: Double, _ network: NetworkConventions?) -> BaseChoice {
    BaseChoice(StudentTSpec.self, BaseOptions(df: df, network: network))
  }
}

/// In plain loops over numbers in double precision: about 10 ns a number, 20 with its gradient, 50 to draw one; where nu
/// changes from row to row, 60 more each time.
struct StudentT<S: Scalar>: Distribution {
  let parameters: ContextualParameters<S>

  init(_ spec: StudentTSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    parameters = try ContextualParameters(spec.parameters, offset: offset, slot: slot, pool: pool)
  }

  func prepare(_ parameters: UnsafePointer<S>) { self.parameters.prepare(parameters) }
  var denseLayers: [DenseLayer<S>] { parameters.denseLayers }

  struct Tape: BitwiseCopyable {
    let z: UnsafeMutablePointer<S>
    let parameters: ContextualParameters<S>.Tape
  }

  func addLogDensity(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let tape = try parameters.evaluate(pass)
    var t = StandardT(logDf: 0)
    for i in 0..<pass.dim {
      for r in 0..<pass.stride {
        let at = i * pass.stride + r
        t.set(logDf: Double(tape.values[at]))
        pass.logDet[r] += t.logDensity(Double(pass.x[at]))
      }
    }
    return Tape(z: pass.x, parameters: tape)
  }

  func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    let gLogDf = try parameters.newGradient(adjoint)
    var t = StandardT(logDf: 0)
    for i in 0..<adjoint.dim {
      for r in 0..<adjoint.stride {
        let at = i * adjoint.stride + r
        t.set(logDf: Double(tape.parameters.values[at]))
        let (slope, slopeInLogDf) = t.gradient(Double(tape.z[at]))
        adjoint.g[at] = S(slope) * adjoint.gLogDet[r]
        gLogDf[at] = S(slopeInLogDf) * adjoint.gLogDet[r]
      }
    }
    try parameters.pullback(adjoint, tape.parameters, gLogDf)
  }

  struct Draw: BitwiseCopyable {
    let z: UnsafeMutablePointer<S>
    /// [2 * dim][stride]
    let uniforms: UnsafePointer<Double>
    let parameters: ContextualParameters<S>.Tape
  }

  /// t = sqrt(nu (u^(-2 / nu) - 1)) cos(2 pi v) (Bailey 1994). Numbers too large for the type become its largest.
  func sample(_ seed: UInt64, _ firstRow: UInt64, _ pass: inout Pass<S>) throws(DiffeoError) -> Draw {
    let (dim, stride) = (pass.dim, pass.stride)
    let tape = try parameters.evaluate(pass)
    let uniforms = try pass.scratch.take(2 * pass.count, of: Double.self)
    S.kernels.uniforms(seed, firstRow, 2 * dim, stride, uniforms)
    let largest = Double(S.greatestFiniteMagnitude)
    var t = StandardT(logDf: 0)
    for i in 0..<dim {
      let (u, v) = (uniforms + 2 * i * stride, uniforms + (2 * i + 1) * stride)
      for r in 0..<stride {
        t.set(logDf: Double(tape.values[i * stride + r]))
        let radius = (t.df * expm1(-2 / t.df * log(u[r]))).squareRoot()
        let number = radius * cos(2 * Double.pi * v[r])
        pass.x[i * stride + r] = S(number > largest ? largest : number < -largest ? -largest : number)
      }
    }
    return Draw(z: pass.x, uniforms: uniforms, parameters: tape)
  }

  /// Of the formula of `sample`.
  func samplePullback(_ adjoint: inout Adjoint<S>, _ draw: Draw) throws(DiffeoError) {
    let stride = adjoint.stride
    let gLogDf = try parameters.newGradient(adjoint)
    var t = StandardT(logDf: 0)
    for i in 0..<adjoint.dim {
      let u = draw.uniforms + 2 * i * stride
      for r in 0..<stride {
        let at = i * stride + r
        let z = Double(draw.z[at])
        t.set(logDf: Double(draw.parameters.values[at]))
        let (slope, slopeInLogDf) = t.gradient(z)
        let weight = Double(adjoint.gLogDet[r])
        let g = Double(adjoint.g[at]) + weight * slope
        gLogDf[at] = S(g * z * t.radiusSlope(u[r]) + weight * slopeInLogDf)
      }
    }
    try parameters.pullback(adjoint, draw.parameters, gLogDf)
  }
}

/// The density of Student's t distribution for one number of degrees of freedom, and what does not depend on z.
private struct StandardT {
  private(set) var df: Double
  private var logDf: Double
  /// log(Γ((nu + 1) / 2) / (Γ(nu / 2) sqrt(nu pi))), and nu times its derivative.
  private var constant: Double
  private var slope: Double
  /// Whether log_df is not held to the limits.
  private var isFree: Bool

  @inline(never)
  init(logDf: Double) {
    self.logDf = logDf
    let limits = StudentTSpec.degreesOfFreedom
    df = exp(logDf)
    isFree = true
    if df < limits.lowerBound || df > limits.upperBound {
      // A limit itself, rounded, is no limit.
      isFree = df > limits.lowerBound * (1 - 1e-6) && df < limits.upperBound * (1 + 1e-6)
      df = df < limits.lowerBound ? limits.lowerBound : limits.upperBound
    }
    let (value, derivative) = logGammaRatio(df / 2)
    constant = value - 0.5 * log(df * .pi)
    slope = 0.5 * df * derivative - 0.5
  }

  /// Without work if it is what it was: mostly, log_df is the same for all rows.
  @inline(__always)
  mutating func set(logDf: Double) {
    if logDf != self.logDf { self = StandardT(logDf: logDf) }
  }

  func logDensity(_ z: Double) -> Double { constant - 0.5 * (df + 1) * log1pSquare(z) }

  /// In z, and in log_df.
  func gradient(_ z: Double) -> (Double, Double) {
    let root = df.squareRoot()
    let a = z / root
    // a / (1 + a^2), without an overflow.
    let ratio = 1 / (a + 1 / a)
    let inLogDf = slope - 0.5 * df * log1pSquare(z) + 0.5 * (df + 1) * ratio * a
    return (-(df + 1) / root * ratio, isFree ? inLogDf : 0)
  }

  /// The derivative in log_df of log radius, where radius^2 = nu (u^(-2 / nu) - 1).
  func radiusSlope(_ u: Double) -> Double {
    let a = -2 / df * log(u)
    // 1 - a e^a / (e^a - 1), halved; a series where a is small.
    let ratio = a < 1e-5 ? 1 + a / 2 : a / -expm1(-a)
    return isFree ? 0.5 * (1 - ratio) : 0
  }

  /// log(1 + z^2 / nu)
  private func log1pSquare(_ z: Double) -> Double {
    let a = abs(z) / df.squareRoot()
    return a > 1e100 ? 2 * log(a) : log1p(a * a)
  }
}
