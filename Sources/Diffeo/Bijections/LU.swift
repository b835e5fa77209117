import CLibrary
import KernelInterface

/// An invertible matrix by its factors: z = P L (U + diag(s)) x + bias, where L has ones and U zeros on the diagonal and
/// (P v)_i = v_{permutation[i]}. The log-determinant is the sum of log|s|, and the inverse two triangular solves. On images
/// it works at each place on its channels, the invertible 1x1 convolution of Glow, Kingma and Dhariwal 2018, section 3.2.
struct LUSpec: BijectionSpec {
  static let kind = "lu"
  typealias F32 = LU<Float>
  typealias F64 = LU<Double>

  private let columns: Int
  let map: FeatureMap
  let permutation: [Int]
  private var dim: Int { map.channels }

  /// dim: of the flow.
  init(_ permutation: [Int], _ map: FeatureMap, dim: Int) throws(DiffeoError) {
    try PermutationSpec.check(permutation, map)
    try LUSpec.check(map)
    columns = dim
    self.map = map
    self.permutation = permutation
  }

  /// Whether a matrix of all channels can be.
  static func check(_ map: FeatureMap) throws(DiffeoError) {
    let size = map.channels
    guard size * size <= NetworkSpec.maxWeights else {
      throw DiffeoError(
        .invalid, "a matrix of \(size) x \(size) was asked for, at most \(NetworkSpec.maxWeights) weights are possible")
    }
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(record.ints("permutation"), FeatureMap(record, dim: dim), dim: dim)
  }

  var record: Record {
    var record = Record(kind: LUSpec.kind)
    map.describe(&record, dim: columns)
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
    "matrix of \(dim) x \(dim)" + (permutation == Array(permutation.indices) ? "" : ", permuted") + map.summary
  }
}

struct LU<S: Scalar>: Bijection {
  private let map: FeatureMap
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

  private var dim: Int { map.channels }

  init(_ spec: LUSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    map = spec.map
    self.offset = offset
    self.slot = slot
    permutation = try pool.copy(spec.permutation.map { Int32($0) })
    let dim = spec.map.channels
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
    logDet *= Double(map.places)
  }

  /// [piece of the lanes][channels][width]
  struct Tape: BitwiseCopyable {
    let reversedX: UnsafeMutablePointer<S>
    /// (U + diag(s)) x
    let u: UnsafeMutablePointer<S>
  }

  private func newTape(_ walk: ChannelWalk<S>, _ pass: Pass<S>) throws(DiffeoError) -> Tape {
    let count = (pass.recording ? walk.chunks.count : 1) * walk.size
    return Tape(reversedX: try pass.scratch.take(count), u: try pass.scratch.take(count))
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (scratch, recording) = (pass.scratch, pass.recording)
    let mark = scratch.mark
    let walk = try ChannelWalk<S>(map, pass.stride, scratch)
    let (width, tape) = (walk.chunks.width, try newTape(walk, pass))
    let reversedU = try scratch.take(walk.size, of: S.self)
    let v = try scratch.take(walk.size, of: S.self)
    try walk.replace(&pass) { i, x, z in
      let at = recording ? i * walk.size : 0
      let (reversedX, u) = (tape.reversedX + at, tape.u + at)
      reverse(x, reversedX, width)
      scale(reversedX, reversedU, width)
      upper.forward.add(reversedX, reversedU, width)
      reverse(reversedU, u, width)
      v.update(from: u, count: dim * width)
      lower.forward.add(u, v, width)
      for i in 0..<dim {
        let (from, to) = (v + Int(permutation[i]) * width, z + i * width)
        for r in 0..<width { to[r] = from[r] + bias[i] }
      }
    }
    for r in 0..<pass.stride { pass.logDet[r] += logDet }
    if !recording { scratch.release(to: mark) }
    return tape
  }

  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (scratch, recording) = (pass.scratch, pass.recording)
    let mark = scratch.mark
    let walk = try ChannelWalk<S>(map, pass.stride, scratch)
    let (width, tape) = (walk.chunks.width, try newTape(walk, pass))
    try walk.replace(&pass) { i, z, x in
      let at = recording ? i * walk.size : 0
      let (reversedX, u) = (tape.reversedX + at, tape.u + at)
      for i in 0..<dim {
        let (from, to) = (z + i * width, u + Int(permutation[i]) * width)
        for r in 0..<width { to[r] = from[r] - bias[i] }
      }
      solve(lower.forward, transposed: false, diagonal: nil, u, width)
      reverse(u, reversedX, width)
      solve(upper.forward, transposed: false, diagonal: reversedScale, reversedX, width)
      reverse(reversedX, x, width)
    }
    for r in 0..<pass.stride { pass.logDet[r] -= logDet }
    if !recording { scratch.release(to: mark) }
    return tape
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    let scratch = adjoint.scratch
    let mark = scratch.mark
    let walk = try ChannelWalk<S>(map, adjoint.stride, scratch)
    let (width, size) = (walk.chunks.width, walk.size)
    let (gV, gU) = (try scratch.take(size, of: S.self), try scratch.take(size, of: S.self))
    let (reversedGU, reversedG) = (try scratch.take(size, of: S.self), try scratch.take(size, of: S.self))
    let sums = try Sums(self, adjoint, walk)
    try walk.replace(adjoint) { i, from, to throws(DiffeoError) in
      for i in 0..<dim { (gV + Int(permutation[i]) * width).update(from: from + i * width, count: width) }
      gU.update(from: gV, count: dim * width)
      lower.pull(gV, gU, width, adds: true)
      reverse(gU, reversedGU, width)
      scale(reversedGU, reversedG, width)
      upper.pull(reversedGU, reversedG, width, adds: true)
      try add(sums, walk, i, tape, gV: gV, reversedGU: reversedGU, scratch)
      reverse(reversedG, to, width)
    }
    try finish(sums, walk, adjoint, logDetSign: 1)
    scratch.release(to: mark)
  }

  /// What y + dy adds to the solution x of f(x) = y, f itself takes away with -dx: the gradients are those of `forward`
  /// for minus dL/dy.
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    let scratch = adjoint.scratch
    let mark = scratch.mark
    let walk = try ChannelWalk<S>(map, adjoint.stride, scratch)
    let (width, size) = (walk.chunks.width, walk.size)
    let (gV, reversedGU) = (try scratch.take(size, of: S.self), try scratch.take(size, of: S.self))
    let sums = try Sums(self, adjoint, walk)
    try walk.replace(adjoint) { i, from, to throws(DiffeoError) in
      reverse(from, reversedGU, width)
      for i in 0..<dim * width { reversedGU[i] = -reversedGU[i] }
      solve(upper.backward, transposed: true, diagonal: reversedScale, reversedGU, width)
      reverse(reversedGU, gV, width)
      solve(lower.backward, transposed: true, diagonal: nil, gV, width)
      try add(sums, walk, i, tape, gV: gV, reversedGU: reversedGU, scratch)
      for i in 0..<dim {
        let (from, to) = (gV + Int(permutation[i]) * width, to + i * width)
        for r in 0..<width { to[r] = -from[r] }
      }
    }
    try finish(sums, walk, adjoint, logDetSign: -1)
    scratch.release(to: mark)
  }

  /// Gradients of the parameters: of the matrices, and by row, [channels][stride]. Nothing without a sink.
  private struct Sums {
    let sink: GradientSink<S>
    let lower: LaneSums<S>
    let upper: LaneSums<S>
    let logScale: UnsafeMutablePointer<S>
    let bias: UnsafeMutablePointer<S>

    init?(_ layer: LU, _ adjoint: Adjoint<S>, _ walk: ChannelWalk<S>) throws(DiffeoError) {
      guard let sink = adjoint.sink else { return nil }
      self.sink = sink
      let (scratch, count) = (adjoint.scratch, layer.dim * adjoint.stride)
      let only = layer.map.places == 1 ? sink : nil
      lower = try LaneSums(layer.lower, only: only, scratch)
      upper = try LaneSums(layer.upper, only: only, scratch)
      logScale = try scratch.take(count)
      bias = try scratch.take(count)
      logScale.update(repeating: 0, count: count)
      bias.update(repeating: 0, count: count)
    }
  }

  private func add(
    _ sums: Sums?, _ walk: ChannelWalk<S>, _ i: Int, _ tape: Tape, gV: UnsafeMutablePointer<S>,
    reversedGU: UnsafeMutablePointer<S>, _ scratch: Scratch
  ) throws(DiffeoError) {
    guard let sums else { return }
    let (width, at) = (walk.chunks.width, i * walk.size)
    let lanes = walk.chunks.range(i).count
    let stride = walk.tile.stride
    try sums.lower.add(gV, tape.u + at, lanes: lanes, width: width, scratch)
    try sums.upper.add(reversedGU, tape.reversedX + at, lanes: lanes, width: width, scratch)
    for c in 0..<dim {
      let mirrored = dim - 1 - c
      let (x, g) = (tape.reversedX + at + mirrored * width, reversedGU + mirrored * width)
      let from = gV + Int(permutation[c]) * width
      let (logScale, bias) = (sums.logScale + c * stride, sums.bias + c * stride)
      for first in Swift.stride(from: 0, to: lanes, by: stride) {
        for r in 0..<stride {
          logScale[r] += reversedScale[mirrored] * x[first + r] * g[first + r]
          bias[r] += from[first + r]
        }
      }
    }
  }

  private func finish(
    _ sums: Sums?, _ walk: ChannelWalk<S>, _ adjoint: Adjoint<S>, logDetSign: S
  ) throws(DiffeoError) {
    guard let sums else { return }
    let (stride, places) = (adjoint.stride, S(map.places))
    for c in 0..<dim {
      for r in 0..<stride { sums.logScale[c * stride + r] += logDetSign * places * adjoint.gLogDet[r] }
    }
    sums.lower.finish(sums.sink)
    sums.upper.finish(sums.sink)
    sums.sink.sum(slot + 2, sums.logScale, dim, stride)
    sums.sink.sum(slot + 4, sums.bias, dim, stride)
  }

  private func reverse(_ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>, _ width: Int) {
    for i in 0..<dim { (y + i * width).update(from: x + (dim - 1 - i) * width, count: width) }
  }

  private func scale(_ reversed: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>, _ width: Int) {
    for i in 0..<dim {
      for r in 0..<width { y[i * width + r] = reversedScale[i] * reversed[i * width + r] }
    }
  }

  private func solve(
    _ matrix: PackedMatrix<S>, transposed: Bool, diagonal: UnsafePointer<S>?, _ y: UnsafeMutablePointer<S>,
    _ width: Int
  ) {
    S.kernels.triangularSolve(matrix.panels, matrix.weights, dim, transposed, diagonal, y, width)
  }
}
