import CLibrary
import KernelInterface

/// The uniform distribution on [low, high], by column.
struct UniformSpec: ChosenDistributionSpec {
  static let kind = "uniform"
  static let number: Int32 = 4
  typealias F32 = Uniform<Float>
  typealias F64 = Uniform<Double>

  let low: Double
  let high: Double

  init(low: Double, high: Double) throws(DiffeoError) {
    guard low < high, (high - low).isFinite else {
      throw DiffeoError(
        .invalid, "a uniform distribution on [\(low), \(high)] was asked for: low must be below high, both finite")
    }
    self.low = low
    self.high = high
  }

  init(_ options: BaseOptions, dim: Int, contextDim: Int) throws(DiffeoError) {
    try options.refuseNetwork(Self.kind)
    try self.init(low: options.low, high: options.high)
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(low: record.double("low"), high: record.double("high"))
  }

  var record: Record {
    var record = Record(kind: UniformSpec.kind)
    record["low"] = .double(low)
    record["high"] = .double(high)
    return record
  }
  var slots: [ParameterSlot] { [] }
  var support: Interval { Interval(low, high) }
  var summary: String { "on [\(low), \(high)]" }

  /// The ends are rounded to the flow's type.
  func check<S: Scalar>(_ parameters: UnsafePointer<S>) throws(DiffeoError) {
    guard S(low) < S(high), (S(high) - S(low)).isFinite else {
      throw DiffeoError(
        .invalid,
        "the uniform distribution on [\(low), \(high)] is on [\(S(low)), \(S(high))] in \(S.dtype.name), the dtype of "
          + "this flow: low must be below high, both finite")
    }
  }
}

extension BaseChoice {
  package static func uniform(low: Double, high: Double) -> BaseChoice {
    BaseChoice(UniformSpec.self, BaseOptions(low: low, high: high))
  }
}

struct Uniform<S: Scalar>: Distribution {
  private let low: S
  private let high: S
  private let logWidth: Double

  init(_ spec: UniformSpec, offset: Int, slot: Int, pool: Pool) {
    low = S(spec.low)
    high = S(spec.high)
    logWidth = log(Double(high) - Double(low))
  }

  func prepare(_ parameters: UnsafePointer<S>) {}

  struct Tape: BitwiseCopyable {
    let z: UnsafeMutablePointer<S>
  }

  func addLogDensity(_ pass: inout Pass<S>) -> Tape {
    let stride = pass.stride
    for i in 0..<pass.dim {
      for r in 0..<stride {
        let z = pass.x[i * stride + r]
        // A NaN is neither below nor above, and stays.
        pass.logDet[r] += z < low || z > high ? -.infinity : z.isNaN ? .nan : -logWidth
      }
    }
    return Tape(z: pass.x)
  }

  /// 0, outside of the support too.
  func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) {
    for i in 0..<adjoint.count { adjoint.g[i] = tape.z[i].isNaN ? .nan : 0 }
  }

  struct Draw: BitwiseCopyable {}

  func sample(_ seed: UInt64, _ firstRow: UInt64, _ pass: inout Pass<S>) throws(DiffeoError) -> Draw {
    let u = try pass.scratch.take(pass.count, of: Double.self)
    S.kernels.uniforms(seed, firstRow, pass.dim, pass.stride, u)
    let (start, width) = (Double(low), Double(high) - Double(low))
    // Rounding must not lead to an end, where a layer may have no value, or past it.
    let (least, greatest) = (low.nextUp, high.nextDown)
    for i in 0..<pass.count { pass.x[i] = min(max(S(start + width * u[i]), least), greatest) }
    return Draw()
  }

  func samplePullback(_ adjoint: inout Adjoint<S>, _ draw: Draw) {}
}
