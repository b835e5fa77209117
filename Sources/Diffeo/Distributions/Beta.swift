import CLibrary
import KernelInterface

/// The beta distribution scaled to [low, high], by column: density proportional to
/// (z - low)^(alpha - 1) (high - z)^(beta - 1). Its concentrations are constants: of each column in a file, of all in the
/// options. With large ones it is nearly normal, and bounded all the same: the base of pzflow (Crenshaw et al. 2024).
struct BetaSpec: ChosenDistributionSpec {
  static let kind = "beta"
  static let number: Int32 = 7
  typealias F32 = Beta<Float>
  typealias F64 = Beta<Double>

  let dim: Int
  let low, high: Double
  /// What a new flow has.
  private let alpha, beta: Double

  init(dim: Int, low: Double, high: Double, alpha: Double, beta: Double) throws(DiffeoError) {
    guard low < high, (high - low).isFinite else {
      throw DiffeoError(
        .invalid, "a beta distribution on [\(low), \(high)] was asked for: low must be below high, both finite")
    }
    try Limit.check("base.alpha", alpha)
    try Limit.check("base.beta", beta)
    self.dim = dim
    self.low = low
    self.high = high
    self.alpha = alpha
    self.beta = beta
  }

  init(_ options: BaseOptions, dim: Int, contextDim: Int) throws(DiffeoError) {
    try options.refuseNetwork(Self.kind)
    try self.init(dim: dim, low: options.low, high: options.high, alpha: options.alpha, beta: options.beta)
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(dim: dim, low: record.double("low"), high: record.double("high"), alpha: 1, beta: 1)
  }

  var record: Record {
    var record = Record(kind: BetaSpec.kind)
    record["low"] = .double(low)
    record["high"] = .double(high)
    return record
  }
  var slots: [ParameterSlot] {
    [ParameterSlot("alpha", [dim], .constant), ParameterSlot("beta", [dim], .constant)]
  }
  var support: Interval { Interval(low, high) }
  var summary: String { "on [\(low), \(high)]" }

  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    for i in 0..<2 * dim { parameters[i] = S(i < dim ? alpha : beta) }
  }

  /// The ends are rounded to the flow's type.
  func check<S: Scalar>(_ parameters: UnsafePointer<S>) throws(DiffeoError) {
    guard S(low) < S(high), (S(high) - S(low)).isFinite else {
      throw DiffeoError(
        .invalid,
        "the beta distribution on [\(low), \(high)] is on [\(S(low)), \(S(high))] in \(S.dtype.name), the dtype of "
          + "this flow: low must be below high, both finite")
    }
    for i in 0..<dim {
      try BetaSpec.check(parameters[i], "alpha", i)
      try BetaSpec.check(parameters[dim + i], "beta", i)
    }
  }

  /// A limit itself, rounded to the flow's type, is within.
  private static func check<S: Scalar>(_ value: S, _ name: String, _ column: Int) throws(DiffeoError) {
    let limit = try Limit.of("base.\(name)")
    guard value < S(limit.low) || value > S(limit.high) || value.isNaN else { return }
    try Limit.check("base.\(name)", Double(value), name: "\(name) of column \(column)")
  }
}

extension BaseChoice {
  package static func beta(alpha: Double, beta: Double, low: Double, high: Double) -> BaseChoice {
    BaseChoice(BetaSpec.self, BaseOptions(low: low, high: high, alpha: alpha, beta: beta))
  }
}

/// In plain loops over numbers in double precision: about 20 ns a number, and two microseconds to draw one.
struct Beta<S: Scalar>: Distribution {
  private let low, high: S
  private let offset: Int
  private let columns: UnsafeMutablePointer<BetaDistribution>
  private let dim: Int

  init(_ spec: BetaSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    low = S(spec.low)
    high = S(spec.high)
    dim = spec.dim
    self.offset = offset
    columns = try pool.take(spec.dim)
  }

  func prepare(_ parameters: UnsafePointer<S>) {
    for i in 0..<dim {
      columns[i] = BetaDistribution(alpha: Double(parameters[offset + i]), beta: Double(parameters[offset + dim + i]))
    }
  }

  struct Tape: BitwiseCopyable {
    let z: UnsafeMutablePointer<S>
  }

  func addLogDensity(_ pass: inout Pass<S>) -> Tape {
    let (stride, low, high) = (pass.stride, Double(low), Double(high))
    let logWidth = log(high - low)
    for i in 0..<dim {
      let column = columns[i]
      for r in 0..<stride {
        let z = Double(pass.x[i * stride + r])
        if z <= low || z >= high {
          pass.logDet[r] -= .infinity
        } else {
          pass.logDet[r] += (column.alpha - 1) * (log(z - low) - logWidth)
          pass.logDet[r] += (column.beta - 1) * (log(high - z) - logWidth) - column.logB - logWidth
        }
      }
    }
    return Tape(z: pass.x)
  }

  /// 0 outside of the support.
  func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) {
    let (stride, low, high) = (adjoint.stride, Double(low), Double(high))
    for i in 0..<dim {
      let column = columns[i]
      for r in 0..<stride {
        let z = Double(tape.z[i * stride + r])
        let slope =
          z <= low || z >= high ? 0 : (column.alpha - 1) / (z - low) - (column.beta - 1) / (high - z)
        adjoint.g[i * stride + r] = S(slope) * adjoint.gLogDet[r]
      }
    }
  }

  struct Draw: BitwiseCopyable {}

  /// The quantiles of uniform numbers, from the nearer end.
  func sample(_ seed: UInt64, _ firstRow: UInt64, _ pass: inout Pass<S>) throws(DiffeoError) -> Draw {
    let (stride, width) = (pass.stride, Double(high) - Double(low))
    let uniforms = try pass.scratch.take(pass.count, of: Double.self)
    S.kernels.uniforms(seed, firstRow, dim, stride, uniforms)
    // Rounding must not lead to an end, or past it.
    let (least, greatest) = (low.nextUp, high.nextDown)
    for i in 0..<dim {
      let (column, mirrored) = (columns[i], columns[i].mirrored)
      for r in 0..<stride {
        let u = uniforms[i * stride + r]
        let z =
          u <= 0.5
          ? Double(low) + width * sigmoid(column.logitOfQuantile(u))
          : Double(high) - width * sigmoid(mirrored.logitOfQuantile(1 - u))
        pass.x[i * stride + r] = min(max(S(z), least), greatest)
      }
    }
    return Draw()
  }

  func samplePullback(_ adjoint: inout Adjoint<S>, _ draw: Draw) throws(DiffeoError) {}
}
