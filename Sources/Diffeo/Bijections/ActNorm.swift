import CLibrary
import KernelInterface

/// z = exp(log_scale) x + shift, by channel, trained; set when training begins so that z has mean 0 and standard
/// deviation 1. Glow, Kingma and Dhariwal 2018, section 3.1. Begun as already set it is a plain affine map by channel,
/// and without the shift the diagonal scaling of NICE, Dinh, Krueger and Bengio 2014.
struct ActNormSpec: BijectionSpec {
  static let kind = "actnorm"
  typealias F32 = ActNorm<Float>
  typealias F64 = ActNorm<Double>

  private let dim: Int
  let map: FeatureMap
  let hasShift: Bool
  /// Of a new flow: whether training is to set it.
  private let fromData: Bool

  init(_ map: FeatureMap, dim: Int, hasShift: Bool = true, fromData: Bool = true) {
    self.dim = dim
    self.map = map
    self.hasShift = hasShift
    self.fromData = fromData
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    self.init(
      try FeatureMap(record, dim: dim), dim: dim, hasShift: record["shift"] == nil ? true : try record.bool("shift"))
  }

  var record: Record {
    var record = Record(kind: ActNormSpec.kind)
    record["shift"] = .bool(hasShift)
    map.describe(&record, dim: dim)
    return record
  }

  var slots: [ParameterSlot] {
    let channels = [map.channels]
    return [ParameterSlot("log_scale", channels, .vector)]
      + (hasShift ? [ParameterSlot("shift", channels, .vector)] : [])
      + [ParameterSlot("initialized", [1], .constant)]
  }

  /// Where `initialized` is among the layer's own.
  private var flag: Int { hasShift ? 2 * map.channels : map.channels }

  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    parameters[flag] = fromData ? 0 : 1
  }

  var summary: String {
    (map.places == 1 ? "by column" : "by channel") + (hasShift ? "" : ", no shift") + map.summary
  }

  func wantsStatistics<S: Scalar>(_ parameters: UnsafePointer<S>) -> Bool {
    parameters[flag] == 0
  }

  func pool(_ statistics: inout ColumnStatistics) { statistics.pool(map) }

  /// A channel that is constant here keeps its scale.
  func setStatistics<S: Scalar>(
    _ parameters: UnsafeMutablePointer<S>, mean: [Double], deviation: [Double]
  ) throws(DiffeoError) {
    for c in 0..<map.channels {
      let column = map.start + c * map.places
      let scale = deviation[column] > 0 ? 1 / deviation[column] : 1
      parameters[c] = S(log(scale))
      if hasShift { parameters[map.channels + c] = S(-mean[column] * scale) }
    }
    parameters[flag] = 1
  }
}

struct ActNorm<S: Scalar>: Bijection {
  private let map: FeatureMap
  private let hasShift: Bool
  private let offset: Int
  private let slot: Int
  private let scale: UnsafeMutablePointer<S>
  private let shift: UnsafeMutablePointer<S>
  private var logDet = 0.0

  private var channels: Int { map.channels }

  init(_ spec: ActNormSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    map = spec.map
    hasShift = spec.hasShift
    self.offset = offset
    self.slot = slot
    scale = try pool.take(spec.map.channels)
    shift = try pool.take(spec.map.channels)
  }

  mutating func prepare(_ parameters: UnsafePointer<S>) {
    logDet = 0
    for i in 0..<channels {
      let logScale = Double(parameters[offset + i])
      scale[i] = S(exp(logScale))
      if hasShift { shift[i] = parameters[offset + channels + i] }
      logDet += logScale
    }
    logDet *= Double(map.places)
  }

  struct Tape: BitwiseCopyable {
    /// On the data side.
    let x: UnsafeMutablePointer<S>
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (x, tile) = (pass.x, MapTile(map, pass.stride))
    let count = pass.count
    try pass.replace { x, z in
      S.kernels.scaleShift(channels, tile.lanes, x + tile.offset, scale, shift, z + tile.offset)
      tile.copyOthers(x, z, of: count)
    }
    for r in 0..<pass.stride { pass.logDet[r] += logDet }
    return Tape(x: x)
  }

  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (tile, count) = (MapTile(map, pass.stride), pass.count)
    try pass.replace { z, x in
      S.kernels.unshiftScale(channels, tile.lanes, z + tile.offset, scale, shift, x + tile.offset)
      tile.copyOthers(z, x, of: count)
    }
    for r in 0..<pass.stride { pass.logDet[r] -= logDet }
    return Tape(x: pass.x)
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape) { g, scale, x, gLogDet in (g * scale, g * x * scale + gLogDet, g) }
  }

  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    try pullback(&adjoint, tape) { g, scale, x, gLogDet in
      (g / scale, -(g * x + gLogDet), -(g / scale))
    }
  }

  /// `partial` gives dL/d(argument), dL/dlog_scale and dL/dshift of one number.
  @inline(__always)
  private func pullback(
    _ adjoint: inout Adjoint<S>, _ tape: Tape,
    _ partial: (_ g: S, _ scale: S, _ x: S, _ gLogDet: S) -> (S, S, S)
  ) throws(DiffeoError) {
    let (stride, scratch, tile) = (adjoint.stride, adjoint.scratch, MapTile(map, adjoint.stride))
    let mark = scratch.mark
    let gLogScale = try scratch.take(channels * stride, of: S.self)
    let gShift = try scratch.take(channels * stride, of: S.self)
    let (g, x) = (adjoint.g + tile.offset, tile.offset + tape.x)
    for i in 0..<channels {
      let (logScales, shifts) = (gLogScale + i * stride, gShift + i * stride)
      for p in 0..<tile.places {
        let at = i * tile.lanes + p * stride
        for r in 0..<stride {
          let (argument, logScale, shift) = partial(g[at + r], scale[i], x[at + r], adjoint.gLogDet[r])
          g[at + r] = argument
          logScales[r] = p == 0 ? logScale : logScales[r] + logScale
          shifts[r] = p == 0 ? shift : shifts[r] + shift
        }
      }
    }
    adjoint.sink?.sum(slot, gLogScale, channels, stride)
    if hasShift { adjoint.sink?.sum(slot + 1, gShift, channels, stride) }
    scratch.release(to: mark)
  }
}
