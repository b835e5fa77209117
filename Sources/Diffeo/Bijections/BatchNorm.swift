import CLibrary
import KernelInterface

/// z = exp(log_gamma) (x - mean) / sqrt(variance + epsilon) + beta, by column: batch normalisation as a layer of a flow
/// (Dinh, Sohl-Dickstein and Bengio 2017, section 3.7; Papamakarios et al. 2017, section 3.1).
///
/// A minibatch in training is normalised by its own mean and variance, and its gradient knows that; everything else by
/// running averages of them, which are stored: so the inverse is exact. Inverted, the layer always uses the averages.
struct BatchNormSpec: BijectionSpec {
  static let kind = "batch_norm"
  typealias F32 = BatchNorm<Float>
  typealias F64 = BatchNorm<Double>

  let dim: Int
  let epsilon: Double
  /// The weight of a minibatch in the averages.
  let momentum: Double

  init(dim: Int, epsilon: Double = 1e-5, momentum: Double = 0.1) throws(DiffeoError) {
    try Limit.check("batch_norm.epsilon", epsilon)
    try Limit.check("batch_norm.momentum", momentum)
    self.dim = dim
    self.epsilon = epsilon
    self.momentum = momentum
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(dim: dim, epsilon: record.double("epsilon"), momentum: record.double("momentum"))
  }

  var record: Record {
    var record = Record(kind: BatchNormSpec.kind)
    record["epsilon"] = .double(epsilon)
    record["momentum"] = .double(momentum)
    return record
  }

  var slots: [ParameterSlot] {
    [
      ParameterSlot("log_gamma", [dim], .vector), ParameterSlot("beta", [dim], .vector),
      ParameterSlot("mean", [dim], .constant), ParameterSlot("variance", [dim], .constant),
      ParameterSlot("initialized", [1], .constant),
    ]
  }

  var summary: String { "by column" }

  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    for i in 0..<dim { parameters[3 * dim + i] = 1 }
  }

  func check<S: Scalar>(_ parameters: UnsafePointer<S>) throws(DiffeoError) {
    for i in 0..<dim where !(parameters[3 * dim + i] >= 0) {
      throw DiffeoError(
        .invalid, "variance of column \(i) is \(parameters[3 * dim + i]), it must be 0 or more")
    }
  }

  func wantsStatistics<S: Scalar>(_ parameters: UnsafePointer<S>) -> Bool {
    parameters[4 * dim] == 0
  }

  func setStatistics<S: Scalar>(
    _ parameters: UnsafeMutablePointer<S>, mean: [Double], deviation: [Double]
  ) throws(DiffeoError) {
    for i in 0..<dim {
      parameters[2 * dim + i] = S(mean[i])
      parameters[3 * dim + i] = S(deviation[i] * deviation[i])
    }
    parameters[4 * dim] = 1
  }
}

struct BatchNorm<S: Scalar>: Bijection {
  let dim: Int
  private let epsilon: Double
  private let momentum: Double
  private let offset: Int
  private let slot: Int
  private let gamma: UnsafeMutablePointer<S>
  private let beta: UnsafeMutablePointer<S>
  private var logGamma = 0.0

  /// What a minibatch or the running averages say. In memory of the flow, as a minibatch sets it while it is in work.
  private struct Statistics: BitwiseCopyable {
    let mean: UnsafeMutablePointer<S>
    /// sqrt(variance + epsilon)
    let deviation: UnsafeMutablePointer<S>
    let logDeviation: UnsafeMutablePointer<Double>

    init(_ dim: Int, _ pool: Pool) throws(DiffeoError) {
      mean = try pool.take(dim)
      deviation = try pool.take(dim)
      logDeviation = try pool.take(1)
    }

    func set(_ i: Int, mean m: Double, variance: Double) {
      mean[i] = S(m)
      deviation[i] = S(variance.squareRoot())
      logDeviation.pointee = (i == 0 ? 0 : logDeviation.pointee) + 0.5 * log(variance)
    }
  }
  private let running: Statistics
  private let batch: Statistics
  /// With x' = (x - mean) / deviation: the means over the minibatch of dL/dx', and of x' dL/dx' + dL/dlog-determinant.
  private let batchG: UnsafeMutablePointer<S>
  private let batchGX: UnsafeMutablePointer<S>

  init(_ spec: BatchNormSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    dim = spec.dim
    epsilon = spec.epsilon
    momentum = spec.momentum
    self.offset = offset
    self.slot = slot
    gamma = try pool.take(dim)
    beta = try pool.take(dim)
    running = try Statistics(dim, pool)
    batch = try Statistics(dim, pool)
    batchG = try pool.take(dim)
    batchGX = try pool.take(dim)
  }

  mutating func prepare(_ parameters: UnsafePointer<S>) {
    let own = parameters + offset
    logGamma = 0
    for i in 0..<dim {
      gamma[i] = S(exp(Double(own[i])))
      beta[i] = own[dim + i]
      logGamma += Double(own[i])
      running.set(i, mean: Double(own[2 * dim + i]), variance: Double(own[3 * dim + i]) + epsilon)
    }
  }

  struct Tape: BitwiseCopyable {
    /// x'
    let normalised: UnsafeMutablePointer<S>
    let ofBatch: Bool
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let stride = pass.stride
    let ofBatch = pass.minibatch != nil
    let statistics = ofBatch ? batch : running
    // In place where nobody asks for x again.
    let normalised = pass.recording ? try pass.scratch.take(pass.count, of: S.self) : pass.x
    S.kernels.unshiftScale(dim, stride, pass.x, statistics.deviation, statistics.mean, normalised)
    try pass.replace { _, z in S.kernels.scaleShift(dim, stride, normalised, gamma, beta, z) }
    let logDet = logGamma - statistics.logDeviation.pointee
    for r in 0..<stride { pass.logDet[r] += logDet }
    return Tape(normalised: normalised, ofBatch: ofBatch)
  }

  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let stride = pass.stride
    let normalised = pass.recording ? try pass.scratch.take(pass.count, of: S.self) : pass.x
    S.kernels.unshiftScale(dim, stride, pass.x, gamma, beta, normalised)
    try pass.replace { _, x in
      S.kernels.scaleShift(dim, stride, normalised, running.deviation, running.mean, x)
    }
    let logDet = logGamma - running.logDeviation.pointee
    for r in 0..<stride { pass.logDet[r] -= logDet }
    return Tape(normalised: normalised, ofBatch: false)
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    let deviation = tape.ofBatch ? batch.deviation : running.deviation
    try pullback(&adjoint) { i, at, g, gLogDet in
      let x = tape.normalised[at]
      let gX = g * gamma[i]
      let spread = tape.ofBatch ? batchG[i] + x * batchGX[i] : 0
      return ((gX - spread) / deviation[i], gX * x + gLogDet, g)
    }
  }

  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint) { i, at, g, gLogDet in
      let gZ = g * running.deviation[i] / gamma[i]
      return (gZ, -(g * running.deviation[i] * tape.normalised[at] + gLogDet), -gZ)
    }
  }

  /// `partial` gives dL/d(argument), dL/dlog_gamma and dL/dbeta of one number.
  @inline(__always)
  private func pullback(
    _ adjoint: inout Adjoint<S>, _ partial: (_ i: Int, _ at: Int, _ g: S, _ gLogDet: S) -> (S, S, S)
  ) throws(DiffeoError) {
    let (stride, scratch) = (adjoint.stride, adjoint.scratch)
    let mark = scratch.mark
    let gLogGamma = try scratch.take(adjoint.count, of: S.self)
    let gBeta = try scratch.take(adjoint.count, of: S.self)
    for i in 0..<dim {
      for r in 0..<stride {
        let at = i * stride + r
        (adjoint.g[at], gLogGamma[at], gBeta[at]) = partial(i, at, adjoint.g[at], adjoint.gLogDet[r])
      }
    }
    adjoint.sink?.sum(slot, gLogGamma, dim, stride)
    adjoint.sink?.sum(slot + 1, gBeta, dim, stride)
    scratch.release(to: mark)
  }

  // MARK: - The minibatch in work, from sums over its rows; a tile adds its own to `sums`, which has dim numbers

  func addSums(_ x: UnsafePointer<S>, _ stride: Int, rows: Int, _ sums: UnsafeMutablePointer<Double>) {
    for i in 0..<dim { for r in 0..<rows { sums[i] += Double(x[i * stride + r]) } }
  }

  func setMean(_ sums: UnsafePointer<Double>, rows: Int) {
    for i in 0..<dim { batch.mean[i] = S(sums[i] / Double(rows)) }
  }

  func addSquares(_ x: UnsafePointer<S>, _ stride: Int, rows: Int, _ sums: UnsafeMutablePointer<Double>) {
    for i in 0..<dim {
      for r in 0..<rows {
        let difference = Double(x[i * stride + r]) - Double(batch.mean[i])
        sums[i] += difference * difference
      }
    }
  }

  /// Sets the variance, and lets the running averages follow: in the parameters of the flow, not yet prepared.
  func setVariance(_ sums: UnsafePointer<Double>, rows: Int, _ parameters: UnsafeMutablePointer<S>) {
    let own = parameters + offset
    for i in 0..<dim {
      let mean = Double(batch.mean[i])
      batch.set(i, mean: mean, variance: sums[i] / Double(rows) + epsilon)
      let unbiased = sums[i] / Double(max(rows - 1, 1))
      guard S(mean).isFinite, S(unbiased).isFinite else { continue }
      own[2 * dim + i] += S(momentum) * (S(mean) - own[2 * dim + i])
      own[3 * dim + i] += S(momentum) * (S(unbiased) - own[3 * dim + i])
    }
  }

  /// Of the gradient on the noise side; `sums` has 2 dim numbers.
  func addGradients(
    _ adjoint: Adjoint<S>, _ tape: Tape, rows: Int, _ sums: UnsafeMutablePointer<Double>
  ) {
    for i in 0..<dim {
      for r in 0..<rows {
        let at = i * adjoint.stride + r
        let gX = adjoint.g[at] * gamma[i]
        sums[i] += Double(gX)
        sums[dim + i] += Double(gX * tape.normalised[at] + adjoint.gLogDet[r])
      }
    }
  }

  func setGradients(_ sums: UnsafePointer<Double>, rows: Int) {
    for i in 0..<dim {
      batchG[i] = S(sums[i] / Double(rows))
      batchGX[i] = S(sums[dim + i] / Double(rows))
    }
  }
}
