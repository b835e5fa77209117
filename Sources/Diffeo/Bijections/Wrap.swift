import CLibrary
import KernelInterface

/// Angles: z = low + ((x + shift - low) mod (high - low)), which takes every x into [low, high) and turns each column by
/// a trained angle. The inverse turns back and wraps likewise. The log-determinant is 0.
struct WrapSpec: BijectionSpec {
  static let kind = "wrap"
  typealias F32 = Wrap<Float>
  typealias F64 = Wrap<Double>

  let dim: Int
  let low: Double
  let high: Double
  /// What a new flow begins with: zeros if nil.
  private let shift: [Double]?

  init(dim: Int, low: Double, high: Double, shift: [Double]? = nil) throws(DiffeoError) {
    guard low < high, (high - low).isFinite else {
      throw DiffeoError(.invalid, "low and high are \(low) and \(high): high must be above low, by a finite number")
    }
    self.dim = dim
    self.low = low
    self.high = high
    self.shift = shift
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(dim: dim, low: record.double("low"), high: record.double("high"))
  }

  var record: Record {
    var record = Record(kind: WrapSpec.kind)
    record["low"] = .double(low)
    record["high"] = .double(high)
    return record
  }

  var slots: [ParameterSlot] { [ParameterSlot("shift", [dim], .vector)] }

  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    for (i, value) in (shift ?? []).prefix(dim).enumerated() { parameters[i] = S(value) }
  }

  func check<S: Scalar>(_ parameters: UnsafePointer<S>) throws(DiffeoError) {
    guard S(low) < S(high), (S(high) - S(low)).isFinite else {
      throw DiffeoError(
        .invalid, "low and high are \(low) and \(high): \(S.dtype.name), the dtype of this flow, cannot tell them apart"
      )
    }
  }

  func preimages(of z: [Interval]) -> [Interval?] {
    let turn = Interval(low, high)
    return z.map { turn.contains($0) ? turn : nil }
  }
  func images(of x: [Interval]) -> [Interval?] { preimages(of: x) }

  var summary: String { "to [\(low), \(high))" }
}

struct Wrap<S: Scalar>: Bijection {
  private let dim: Int
  private let slot: Int
  private let offset: Int
  private let low: Double
  private let high: Double
  private let shift: UnsafeMutablePointer<S>

  init(_ spec: WrapSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    dim = spec.dim
    self.offset = offset
    self.slot = slot
    low = spec.low
    high = spec.high
    shift = try pool.take(dim)
  }

  func prepare(_ parameters: UnsafePointer<S>) { shift.update(from: parameters + offset, count: dim) }

  struct Tape: BitwiseCopyable {}

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, sign: 1) }
  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, sign: -1) }

  private func run(_ pass: inout Pass<S>, sign: Double) throws(DiffeoError) -> Tape {
    let stride = pass.stride
    try pass.replace { x, y in
      for i in 0..<dim {
        let turn = sign * Double(shift[i])
        for r in 0..<stride { y[i * stride + r] = wrapped(Double(x[i * stride + r]) + turn) }
      }
    }
    return Tape()
  }

  @inline(__always)
  private func wrapped(_ x: Double) -> S {
    let period = high - low
    // fmod is exact: only the sums round.
    var rest = fmod(x - low, period)
    if rest < 0 { rest += period }
    let z = S(low + rest)
    // Rounding may have led to the end, which is the beginning.
    return z >= S(high) ? S(low) : z
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) {
    adjoint.sink?.sum(slot, adjoint.g, dim, adjoint.stride)
  }

  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    guard let sink = adjoint.sink else { return }
    let mark = adjoint.scratch.mark
    let gShift = try adjoint.scratch.take(adjoint.count, of: S.self)
    for i in 0..<adjoint.count { gShift[i] = -adjoint.g[i] }
    sink.sum(slot, gShift, dim, adjoint.stride)
    adjoint.scratch.release(to: mark)
  }
}
