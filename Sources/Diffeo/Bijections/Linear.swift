import CLibrary
import KernelInterface

/// z = W x + bias with any invertible matrix W. On images it works at each place on its channels: the invertible 1x1
/// convolution of Glow, Kingma and Dhariwal 2018, section 3.2, in its plain form. The log-determinant and the inverse are
/// those of a matrix: the cube of its size, once for each change of the weights.
struct LinearSpec: BijectionSpec {
  static let kind = "linear"
  typealias F32 = Linear<Float>
  typealias F64 = Linear<Double>

  private let dim: Int
  let map: FeatureMap

  /// Of an inverse in memory, in time.
  static let maxChannels = 4096

  init(_ map: FeatureMap, dim: Int) throws(DiffeoError) {
    guard map.channels <= LinearSpec.maxChannels else {
      throw DiffeoError(
        .invalid,
        "a matrix of \(map.channels) x \(map.channels) was asked for, at most \(LinearSpec.maxChannels) x "
          + "\(LinearSpec.maxChannels) are possible: 'lu' has no such bound")
    }
    self.dim = dim
    self.map = map
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(FeatureMap(record, dim: dim), dim: dim)
  }

  var record: Record {
    var record = Record(kind: LinearSpec.kind)
    map.describe(&record, dim: dim)
    return record
  }

  var slots: [ParameterSlot] {
    [
      ParameterSlot("weight", [map.channels, map.channels], .weight),
      ParameterSlot("bias", [map.channels], .vector),
    ]
  }

  /// A random rotation, or reflection: the vectors of a Gram-Schmidt process of normal numbers.
  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    let n = map.channels
    var rows: [[Double]] = []
    while rows.count < n {
      var row = (0..<n).map { _ in random.normal() }
      // Twice is enough (Giraud, Langou and Rozloznik 2005).
      for _ in 0..<2 {
        for other in rows {
          let product = zip(row, other).reduce(0) { $0 + $1.0 * $1.1 }
          for i in row.indices { row[i] -= product * other[i] }
        }
      }
      let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
      if length > 1e-6 { rows.append(row.map { $0 / length }) }
    }
    for (i, row) in rows.enumerated() {
      for (j, value) in row.enumerated() { parameters[i * n + j] = S(value) }
    }
  }

  func check<S: Scalar>(_ parameters: UnsafePointer<S>) throws(DiffeoError) {
    let n = map.channels
    var factors = [Double](repeating: 0, count: n * n)
    for i in 0..<n * n { factors[i] = Double(parameters[i]) }
    let logDet = factors.withUnsafeMutableBufferPointer { buffer in
      buffer.baseAddress.map { invert($0, n, into: nil) } ?? 0
    }
    guard logDet.isFinite else { throw DiffeoError(.invalid, "the matrix of \(n) x \(n) is singular") }
  }

  var summary: String { "matrix of \(map.channels) x \(map.channels)" + map.summary }
}

/// Gauss and Jordan with the greatest pivot of a column: the log of |det|, minus infinity for a singular matrix. a is
/// destroyed; `into` becomes its inverse.
private func invert(_ a: UnsafeMutablePointer<Double>, _ n: Int, into inverse: UnsafeMutablePointer<Double>?) -> Double
{
  if let inverse {
    inverse.update(repeating: 0, count: n * n)
    for i in 0..<n { inverse[i * n + i] = 1 }
  }
  var logDet = 0.0
  for k in 0..<n {
    var pivot = k
    for i in k + 1..<max(n, k + 1) where abs(a[i * n + k]) > abs(a[pivot * n + k]) { pivot = i }
    let value = a[pivot * n + k]
    logDet += log(abs(value))
    guard value != 0, value.isFinite else { return -.infinity }
    for j in 0..<n {
      if pivot != k {
        swap(&a[k * n + j], &a[pivot * n + j])
        if let inverse { swap(&inverse[k * n + j], &inverse[pivot * n + j]) }
      }
      a[k * n + j] /= value
      if let inverse { inverse[k * n + j] /= value }
    }
    for i in 0..<n where i != k {
      let factor = a[i * n + k]
      if factor == 0 { continue }
      for j in k..<n { a[i * n + j] -= factor * a[k * n + j] }
      if let inverse { for j in 0..<n { inverse[i * n + j] -= factor * inverse[k * n + j] } }
    }
  }
  return logDet
}

struct Linear<S: Scalar>: Bijection {
  private let map: FeatureMap
  private let slot: Int
  private let matrix: DenseLayer<S>
  /// x = W^-1 z - W^-1 bias
  private let inverseMatrix: DenseLayer<S>
  /// [channels, channels] each, and the bias of the inverse.
  private let factors: UnsafeMutablePointer<Double>
  private let inverse: UnsafeMutablePointer<Double>
  private let inverseWeights: UnsafeMutablePointer<S>
  private let inverseBias: UnsafeMutablePointer<S>
  private var logDet = 0.0

  private var channels: Int { map.channels }

  init(_ spec: LinearSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    map = spec.map
    self.slot = slot
    let n = map.channels
    matrix = try DenseLayer(full: n, n, offset: offset, slot: slot, pool: pool)
    inverseMatrix = try DenseLayer(full: n, n, offset: offset, slot: slot, pool: pool)
    factors = try pool.take(n * n)
    inverse = try pool.take(n * n)
    inverseWeights = try pool.take(n * n)
    inverseBias = try pool.take(n)
  }

  var denseLayers: [DenseLayer<S>] { [matrix] }

  mutating func prepare(_ parameters: UnsafePointer<S>) {
    matrix.prepare(parameters)
    let (n, weights, bias) = (channels, parameters + matrix.offset, parameters + matrix.biasOffset)
    for i in 0..<n * n { factors[i] = Double(weights[i]) }
    logDet = invert(factors, n, into: inverse) * Double(map.places)
    for i in 0..<n {
      var sum = 0.0
      for j in 0..<n {
        sum -= inverse[i * n + j] * Double(bias[j])
        inverseWeights[i * n + j] = S(inverse[i * n + j])
      }
      inverseBias[i] = S(sum)
    }
    inverseMatrix.pack(inverseWeights, bias: inverseBias)
    inverseMatrix.packBackward(inverseWeights)
  }

  struct Tape: BitwiseCopyable {
    /// On the data side.
    let x: UnsafePointer<S>
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let x = pass.x
    try apply(matrix, &pass)
    for r in 0..<pass.stride { pass.logDet[r] += logDet }
    return Tape(x: x)
  }

  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    try apply(inverseMatrix, &pass)
    for r in 0..<pass.stride { pass.logDet[r] -= logDet }
    return Tape(x: pass.x)
  }

  private func apply(_ matrix: DenseLayer<S>, _ pass: inout Pass<S>) throws(DiffeoError) {
    let scratch = pass.scratch
    let mark = scratch.mark
    let walk = try ChannelWalk<S>(map, pass.stride, scratch)
    let (width, y) = (walk.chunks.width, try scratch.take(walk.size, of: S.self))
    try walk.replace(&pass) { _, from, to in
      matrix.forward.apply(from, y, width)
      to.update(from: y, count: channels * width)
    }
    if !pass.recording { scratch.release(to: mark) }
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape, inverse: false)
  }

  /// dL/dz = W^-T dL/dx, and minus that is what the parameters see.
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape, inverse: true)
  }

  private func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape, inverse isInverse: Bool) throws(DiffeoError) {
    let scratch = adjoint.scratch
    let mark = scratch.mark
    let walk = try ChannelWalk<S>(map, adjoint.stride, scratch)
    let (width, size) = (walk.chunks.width, walk.size)
    let (d, gArgument) = (try scratch.take(size, of: S.self), try scratch.take(size, of: S.self))
    let x = try scratch.take(size, of: S.self)
    let sums = adjoint.sink == nil ? nil : try LaneSums(matrix, scratch)
    try walk.replace(adjoint) { i, from, to throws(DiffeoError) in
      d.update(from: from, count: channels * width)
      (isInverse ? inverseMatrix : matrix).pull(d, gArgument, width)
      if let sums {
        if isInverse { for i in 0..<channels * width { d[i] = -gArgument[i] } }
        walk.chunks.load(i, channels, tape.x + walk.tile.offset, x)
        try sums.add(d, x, lanes: walk.chunks.range(i).count, width: width, scratch)
      }
      to.update(from: gArgument, count: channels * width)
    }
    if let sums, let sink = adjoint.sink {
      var weight = 0.0
      for r in 0..<sink.rows { weight += Double(adjoint.gLogDet[r]) }
      weight *= Double(map.places) * (isInverse ? -1 : 1)
      for i in 0..<channels {
        for j in 0..<channels { sums.weights[i * channels + j] += S(weight * inverse[j * channels + i]) }
      }
      sums.finish(sink)
    }
    scratch.release(to: mark)
  }
}
