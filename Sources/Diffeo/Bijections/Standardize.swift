import CLibrary
import KernelInterface

/// z = (x - mean) / std by column, with constants: given, or taken from the data when training begins, where they are
/// mean and standard deviation, or what a few wild values cannot rule. Makes a flow speak in the units of its data. Used
/// for the context, too.
struct StandardizeSpec: BijectionSpec {
  static let kind = "standardize"
  typealias F32 = Standardize<Float>
  typealias F64 = Standardize<Double>

  let dim: Int
  let wantsQuantiles: Bool
  /// What a new flow begins with, if it is not to come from the data.
  private let given: Given?

  private struct Given: Equatable, Sendable {
    let mean: [Double]
    let deviation: [Double]
  }

  init(dim: Int, robust: Bool) {
    self.dim = dim
    wantsQuantiles = robust
    given = nil
  }

  init(mean: [Double], deviation: [Double]) throws(DiffeoError) {
    dim = mean.count
    wantsQuantiles = false
    given = Given(mean: mean, deviation: deviation)
    for i in 0..<dim where !mean[i].isFinite || !(deviation[i] > 0 && deviation[i].isFinite) {
      throw DiffeoError(
        .invalid,
        "mean and std of column \(i) are \(mean[i]) and \(deviation[i]): they must be finite, std above 0"
      )
    }
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(dim: dim, robust: record["robust"] == nil ? false : record.bool("robust"))
  }

  /// What goes without saying is not said, so that older libraries read it, too.
  var record: Record {
    var record = Record(kind: StandardizeSpec.kind)
    if wantsQuantiles { record["robust"] = .bool(true) }
    return record
  }

  var slots: [ParameterSlot] {
    [
      ParameterSlot("mean", [dim], .constant), ParameterSlot("std", [dim], .constant),
      ParameterSlot("initialized", [1], .constant),
    ]
  }

  var summary: String { "by column" + (wantsQuantiles ? ", by quantiles" : "") }

  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    for i in 0..<dim {
      parameters[i] = S(given?.mean[i] ?? 0)
      parameters[dim + i] = S(given?.deviation[i] ?? 1)
    }
    parameters[2 * dim] = given == nil ? 0 : 1
  }

  func check<S: Scalar>(_ parameters: UnsafePointer<S>) throws(DiffeoError) {
    for i in 0..<dim where !(parameters[dim + i] > 0) {
      throw DiffeoError(
        .invalid, "std of column \(i) is \(parameters[dim + i]), it must be above 0")
    }
  }

  func wantsStatistics<S: Scalar>(_ parameters: UnsafePointer<S>) -> Bool {
    parameters[2 * dim] == 0
  }

  func setStatistics<S: Scalar>(
    _ parameters: UnsafeMutablePointer<S>, mean: [Double], deviation: [Double]
  ) throws(DiffeoError) {
    for i in 0..<dim {
      let (m, s) = (S(mean[i]), S(deviation[i]))
      guard m.isFinite, s.isFinite else {
        throw DiffeoError(
          .numeric,
          "column \(i) has mean \(mean[i]) and standard deviation \(deviation[i]): its numbers are too large to be "
            + "standardised in \(S.dtype.name), the dtype of this flow. Divide them by a constant first")
      }
      guard s > 0 else {
        throw DiffeoError(
          .numeric,
          "column \(i) has mean \(mean[i]) and standard deviation \(deviation[i]) in \(S.dtype.name), the dtype of this "
            + "flow: it cannot be standardised. A constant column has no density: leave it out or add noise. (From a "
            + "large offset subtract it, or use float64.)")
      }
      // Beyond, neighbouring numbers are more than a hundredth of a standard deviation apart in float32.
      guard abs(m) * S.ulpOfOne < s * S(0.01) else {
        throw DiffeoError(
          .numeric,
          "column \(i) has mean \(mean[i]) and standard deviation \(deviation[i]): \(S.dtype.name), the dtype of this "
            + "flow, cannot tell its values apart. Subtract an offset first, or use float64")
      }
      parameters[i] = m
      parameters[dim + i] = s
    }
    parameters[2 * dim] = 1
  }
}

struct Standardize<S: Scalar>: Bijection {
  private let dim: Int
  private let offset: Int
  private let mean: UnsafeMutablePointer<S>
  private let deviation: UnsafeMutablePointer<S>
  private var logDet = 0.0

  init(_ spec: StandardizeSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    dim = spec.dim
    self.offset = offset
    mean = try pool.take(dim)
    deviation = try pool.take(dim)
  }

  mutating func prepare(_ parameters: UnsafePointer<S>) {
    logDet = 0
    for i in 0..<dim {
      mean[i] = parameters[offset + i]
      deviation[i] = parameters[offset + dim + i]
      logDet -= log(Double(deviation[i]))
    }
  }

  struct Tape: BitwiseCopyable {}

  /// In place, for the context.
  func apply(_ x: UnsafeMutablePointer<S>, _ stride: Int) {
    S.kernels.unshiftScale(dim, stride, x, deviation, mean, x)
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let stride = pass.stride
    try pass.replace { x, z in S.kernels.unshiftScale(dim, stride, x, deviation, mean, z) }
    for r in 0..<stride { pass.logDet[r] += logDet }
    return Tape()
  }

  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let stride = pass.stride
    try pass.replace { z, x in S.kernels.scaleShift(dim, stride, z, deviation, mean, x) }
    for r in 0..<stride { pass.logDet[r] -= logDet }
    return Tape()
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) {
    pullback(adjoint.g, adjoint.stride)
  }

  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) {
    for i in 0..<dim {
      for r in 0..<adjoint.stride { adjoint.g[i * adjoint.stride + r] *= deviation[i] }
    }
  }

  /// dL/dx from dL/dz, in place.
  func pullback(_ g: UnsafeMutablePointer<S>, _ stride: Int) {
    for i in 0..<dim {
      for r in 0..<stride { g[i * stride + r] /= deviation[i] }
    }
  }
}
