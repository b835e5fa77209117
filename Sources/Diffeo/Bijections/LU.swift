import CLibrary
import KernelInterface

/// An invertible matrix by its factors: z = P L (U + diag(s)) x + bias, where L has ones and U zeros on the diagonal and
/// (P v)_i = v_{permutation[i]}. The log-determinant is the sum of log|s|, and the inverse two triangular solves. Glow,
/// Kingma and Dhariwal 2018, section 3.2, on vectors.
struct LUSpec: BijectionSpec {
  static let kind = "lu"
  typealias F32 = LU<Float>
  typealias F64 = LU<Double>

  let permutation: [Int]
  private var dim: Int { permutation.count }

  init(_ permutation: [Int], dim: Int) throws(DiffeoError) {
    guard isPermutation(permutation, dim) else {
      throw DiffeoError(.invalid, "a permutation must name each of the columns 0 to \(dim - 1) once")
    }
    guard dim * dim <= NetworkSpec.maxWeights else {
      throw DiffeoError(
        .invalid, "a matrix of \(dim) x \(dim) was asked for, at most \(NetworkSpec.maxWeights) weights are possible")
    }
    self.permutation = permutation
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(record.ints("permutation"), dim: dim)
  }

  var record: Record {
    var record = Record(kind: LUSpec.kind)
    record["permutation"] = .ints(permutation)
    return record
  }

  var slots: [ParameterSlot] {
    [
      ParameterSlot("lower", [dim, dim], .weight), ParameterSlot("upper", [dim, dim], .weight),
      ParameterSlot("log_scale", [dim], .vector), ParameterSlot("sign", [dim], .constant),
      ParameterSlot("bias", [dim], .vector),
    ]
  }

  /// Where the parameters are among the layer's own.
  static func offsets(_ dim: Int) -> (upper: Int, logScale: Int, sign: Int, bias: Int) {
    let vectors = 2 * dim * dim
    return (dim * dim, vectors, vectors + dim, vectors + 2 * dim)
  }

  /// A new layer only permutes.
  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    (parameters + LUSpec.offsets(dim).sign).update(repeating: 1, count: dim)
  }

  func check<S: Scalar>(_ parameters: UnsafePointer<S>) throws(DiffeoError) {
    let sign = parameters + LUSpec.offsets(dim).sign
    for i in 0..<dim where abs(sign[i]) != 1 {
      throw DiffeoError(.invalid, "the sign of column \(i) is \(sign[i]), it must be 1 or -1")
    }
  }

  var summary: String {
    permutation == Array(permutation.indices) ? "matrix of \(dim) x \(dim)" : "matrix of \(dim) x \(dim), permuted"
  }
}

struct LU<S: Scalar>: Bijection {
  private let dim: Int
  private let offset: Int
  private let slot: Int
  private let permutation: UnsafePointer<Int32>
  /// L - 1, and U, which with its rows and columns in reverse is lower triangular too. Reversed tiles and vectors are
  /// called so.
  private let lower: DenseLayer<S>
  private let upper: DenseLayer<S>
  private let reversedScale: UnsafeMutablePointer<S>
  private let bias: UnsafeMutablePointer<S>
  private var logDet = 0.0

  init(_ spec: LUSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    dim = spec.permutation.count
    self.offset = offset
    self.slot = slot
    permutation = try pool.copy(spec.permutation.map { Int32($0) })
    let order = Array(0..<Int32(dim))
    lower = try DenseLayer(
      offset: offset, slot: slot, rowOrder: order, columnOrder: order, limits: order, hasBias: false, pool: pool)
    upper = try DenseLayer(
      offset: offset + LUSpec.offsets(dim).upper, slot: slot + 1, rowOrder: order.reversed(),
      columnOrder: order.reversed(), limits: order, hasBias: false, pool: pool)
    reversedScale = try pool.take(dim)
    bias = try pool.take(dim)
  }

  var denseLayers: [DenseLayer<S>] { [lower, upper] }

  mutating func prepare(_ parameters: UnsafePointer<S>) {
    lower.prepare(parameters)
    upper.prepare(parameters)
    let offsets = LUSpec.offsets(dim)
    let own = parameters + offset
    logDet = 0
    for i in 0..<dim {
      let logScale = Double(own[offsets.logScale + i])
      reversedScale[dim - 1 - i] = S(exp(logScale)) * own[offsets.sign + i]
      bias[i] = own[offsets.bias + i]
      logDet += logScale
    }
  }

  struct Tape: BitwiseCopyable {
    let reversedX: UnsafeMutablePointer<S>
    /// (U + diag(s)) x
    let u: UnsafeMutablePointer<S>
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (stride, scratch) = (pass.stride, pass.scratch)
    let mark = scratch.mark
    let (reversedX, reversedU) = (try tile(stride, scratch), try tile(stride, scratch))
    reverse(pass.x, reversedX, stride)
    scale(reversedX, reversedU, stride)
    upper.forward.add(reversedX, reversedU, stride)
    let (u, v) = (try tile(stride, scratch), try tile(stride, scratch))
    reverse(reversedU, u, stride)
    v.update(from: u, count: dim * stride)
    lower.forward.add(u, v, stride)
    try pass.replace { _, z in
      for i in 0..<dim {
        let (from, to) = (v + Int(permutation[i]) * stride, z + i * stride)
        for r in 0..<stride { to[r] = from[r] + bias[i] }
      }
    }
    for r in 0..<stride { pass.logDet[r] += logDet }
    if !pass.recording { scratch.release(to: mark) }
    return Tape(reversedX: reversedX, u: u)
  }

  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (stride, scratch) = (pass.stride, pass.scratch)
    let mark = scratch.mark
    let (u, reversedX) = (try tile(stride, scratch), try tile(stride, scratch))
    for i in 0..<dim {
      let (from, to) = (pass.x + i * stride, u + Int(permutation[i]) * stride)
      for r in 0..<stride { to[r] = from[r] - bias[i] }
    }
    solve(lower.forward, transposed: false, diagonal: nil, u, stride)
    reverse(u, reversedX, stride)
    solve(upper.forward, transposed: false, diagonal: reversedScale, reversedX, stride)
    try pass.replace { _, x in reverse(reversedX, x, stride) }
    for r in 0..<stride { pass.logDet[r] -= logDet }
    if !pass.recording { scratch.release(to: mark) }
    return Tape(reversedX: reversedX, u: u)
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    let (stride, scratch) = (adjoint.stride, adjoint.scratch)
    let mark = scratch.mark
    let (gV, gU) = (try tile(stride, scratch), try tile(stride, scratch))
    for i in 0..<dim { (gV + Int(permutation[i]) * stride).update(from: adjoint.g + i * stride, count: stride) }
    gU.update(from: gV, count: dim * stride)
    lower.pull(gV, gU, stride, adds: true)
    let (reversedGU, reversedG) = (try tile(stride, scratch), try tile(stride, scratch))
    reverse(gU, reversedGU, stride)
    scale(reversedGU, reversedG, stride)
    upper.pull(reversedGU, reversedG, stride, adds: true)
    try gradients(adjoint, tape, gV: gV, reversedGU: reversedGU, logDetSign: 1)
    reverse(reversedG, adjoint.g, stride)
    scratch.release(to: mark)
  }

  /// What y + dy adds to the solution x of f(x) = y, f itself takes away with -dx: the gradients are those of `forward`
  /// for minus dL/dy.
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    let (stride, scratch) = (adjoint.stride, adjoint.scratch)
    let mark = scratch.mark
    let (gV, reversedGU) = (try tile(stride, scratch), try tile(stride, scratch))
    reverse(adjoint.g, reversedGU, stride)
    for i in 0..<dim * stride { reversedGU[i] = -reversedGU[i] }
    solve(upper.backward, transposed: true, diagonal: reversedScale, reversedGU, stride)
    reverse(reversedGU, gV, stride)
    solve(lower.backward, transposed: true, diagonal: nil, gV, stride)
    try gradients(adjoint, tape, gV: gV, reversedGU: reversedGU, logDetSign: -1)
    for i in 0..<dim {
      let (from, to) = (gV + Int(permutation[i]) * stride, adjoint.g + i * stride)
      for r in 0..<stride { to[r] = -from[r] }
    }
    scratch.release(to: mark)
  }

  private func gradients(
    _ adjoint: Adjoint<S>, _ tape: Tape, gV: UnsafeMutablePointer<S>, reversedGU: UnsafeMutablePointer<S>, logDetSign: S
  ) throws(DiffeoError) {
    guard let sink = adjoint.sink else { return }
    let (stride, scratch) = (adjoint.stride, adjoint.scratch)
    try sink.outer(lower, gV, tape.u, stride, scratch)
    try sink.outer(upper, reversedGU, tape.reversedX, stride, scratch)
    let (gLogScale, gBias) = (try tile(stride, scratch), try tile(stride, scratch))
    for i in 0..<dim {
      let mirrored = dim - 1 - i
      for r in 0..<stride {
        let at = mirrored * stride + r
        gLogScale[i * stride + r] =
          reversedScale[mirrored] * tape.reversedX[at] * reversedGU[at] + logDetSign * adjoint.gLogDet[r]
      }
      (gBias + i * stride).update(from: gV + Int(permutation[i]) * stride, count: stride)
    }
    sink.sum(slot + 2, gLogScale, dim, stride)
    sink.sum(slot + 4, gBias, dim, stride)
  }

  /// Whole panels, as the kernels want it.
  private func tile(_ stride: Int, _ scratch: Scratch) throws(DiffeoError) -> UnsafeMutablePointer<S> {
    try scratch.take(PackedMatrix<S>.padded(dim) * stride)
  }

  private func reverse(_ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>, _ stride: Int) {
    for i in 0..<dim { (y + i * stride).update(from: x + (dim - 1 - i) * stride, count: stride) }
  }

  private func scale(_ reversed: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>, _ stride: Int) {
    for i in 0..<dim {
      for r in 0..<stride { y[i * stride + r] = reversedScale[i] * reversed[i * stride + r] }
    }
  }

  private func solve(
    _ matrix: PackedMatrix<S>, transposed: Bool, diagonal: UnsafePointer<S>?, _ y: UnsafeMutablePointer<S>,
    _ stride: Int
  ) {
    S.kernels.triangularSolve(matrix.panels, matrix.weights, dim, transposed, diagonal, y, stride)
  }
}
