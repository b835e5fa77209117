import CLibrary
import KernelInterface

/// p(x) = the product of p(x_i | x_1...x_{i-1}, context), all conditionals from one masked network (Germain, Gregor, Murray
/// and Larochelle 2015): without layers a density estimator of its own, under autoregressive layers the base of MAF MoG
/// (Papamakarios, Pavlakou and Murray 2017).
///
/// Several masks, each with its own order of the columns and degrees, share one set of weights: the density is the mean of
/// theirs, and each minibatch of a training takes the next of them (order-agnostic and connectivity-agnostic training).
struct MADESpec: DistributionSpec {
  static let kind = "made"
  typealias F32 = MADE<Float>
  typealias F64 = MADE<Double>

  /// p(x_i | ...).
  enum Conditional: Equatable, Sendable, BitwiseCopyable {
    /// s x + t is standard normal.
    case gaussian(ScaleRule)
    /// Of Gaussians: their CDF is uniform.
    case mixture(MixtureRule)
    /// x is 0 or 1; the parameter is the logit of 1.
    case bernoulli

    /// Parameters of a column, and what they begin with.
    var parameterCount: Int { map?.parameterCount ?? 1 }
    var initialParameters: [Double] { map?.initialParameters ?? [] }

    private var map: (any MapRule)? {
      switch self {
      case .gaussian(let rule): rule
      case .mixture(let rule): rule
      case .bernoulli: nil
      }
    }

    /// change: of how the components have their scales.
    static func mixture(
      components: Int, _ change: (inout MixtureRule) throws(DiffeoError) -> Void = { _ in }
    ) throws(DiffeoError) -> Conditional {
      var rule = MixtureRule(
        components: components, family: .normal, target: .uniform, bound: MixtureRule.standard.bound)
      try change(&rule)
      return .mixture(try rule.checked())
    }
  }

  /// What the network needs for one mask.
  struct Mask: Equatable, Sendable {
    var order: [Int]
    var hiddenDegrees: [[Int]]
  }

  let conditional: Conditional
  let masks: [AutoregressiveParametersSpec]

  static let maxMasks = 256
  /// Of all masks together: each has its own copy for the kernels.
  static let maxPrepared = 1 << 28

  init(
    dim: Int, contextDim: Int, conditional: Conditional, masks: [Mask],
    conditioner: AutoregressiveParametersSpec.Conditioner
  ) throws(DiffeoError) {
    try MADESpec.check(maskCount: masks.count)
    self.conditional = conditional
    var specs: [AutoregressiveParametersSpec] = []
    for mask in masks {
      specs.append(
        try AutoregressiveParametersSpec(
          dim: dim, contextDim: contextDim, perColumn: conditional.parameterCount, order: mask.order,
          hiddenDegrees: mask.hiddenDegrees, conditioner: conditioner))
      let prepared = masks.count * specs[0].network.parameterCount
      guard prepared <= MADESpec.maxPrepared else {
        throw DiffeoError(
          .invalid,
          "\(masks.count) masks would show \(prepared) parameters, at most \(MADESpec.maxPrepared) are possible")
      }
    }
    self.masks = specs
  }

  static func check(maskCount: Int) throws(DiffeoError) {
    try Limit.check("made.masks", maskCount)
  }

  /// The lists of a record have those of one mask after those of the other.
  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    let count = record["masks"] == nil ? 1 : try record.int("masks")
    try MADESpec.check(maskCount: count)
    let conditioner = try AutoregressiveParametersSpec.conditioner(record)
    try NetworkSpec.check(conditioner.network.hidden)
    var masks = [Mask](repeating: Mask(order: [], hiddenDegrees: []), count: count)
    func deal(_ name: String, _ width: Int, _ give: (inout Mask, [Int]) -> Void) throws(DiffeoError) {
      let list = try record.ints(name)
      guard list.count == count * width else {
        throw DiffeoError(
          .format,
          "'\(name)' has \(list.count) entries, \(count) mask\(count == 1 ? "" : "s") of \(width) each need "
            + "\(count * width)")
      }
      for m in 0..<count { give(&masks[m], Array(list[m * width..<(m + 1) * width])) }
    }
    try deal("order", dim) { $0.order = $1 }
    for (i, width) in conditioner.network.hidden.enumerated() {
      try deal("degrees_\(i)", width) { $0.hiddenDegrees.append($1) }
    }
    try self.init(
      dim: dim, contextDim: contextDim, conditional: Conditional(record), masks: masks, conditioner: conditioner)
  }

  var record: Record {
    var record = Record(kind: MADESpec.kind)
    conditional.describe(&record)
    record["masks"] = .int(masks.count)
    AutoregressiveParametersSpec.describe(masks, &record)
    return record
  }

  private var network: NetworkSpec { masks[0].network }

  var slots: [ParameterSlot] { network.slots }

  /// With several masks every weight is seen by some of them: begin as without any.
  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    var network = network
    if masks.count > 1 { network.degrees = nil }
    network.initialise(parameters, outputs: conditional.initialParameters, &random)
  }

  var support: Interval { conditional == .bernoulli ? Interval(0, 1) : .line }

  var summary: String {
    let ordered =
      masks.count == 1
      ? masks[0].summary : "\(masks.count) masks that take turns, \(network.summary)"
    return "\(conditional.summary), \(ordered)"
  }
}

extension MADESpec.Conditional {
  init(_ record: Record) throws(DiffeoError) {
    switch try record.string("conditional") {
    case "gaussian": self = .gaussian(try ScaleRule(record))
    case "mixture":
      self = try .mixture(components: record.int("components")) { rule throws(DiffeoError) in
        try rule.readScale(record)
      }
    case "bernoulli": self = .bernoulli
    case let name: throw DiffeoError.unknown("conditional", name)
    }
  }

  func describe(_ record: inout Record) {
    record["conditional"] = .string(name)
    switch self {
    case .gaussian(let rule): ElementMapSpec(rule).describe(&record)
    case .mixture(let rule):
      record["components"] = .int(rule.components)
      rule.describeScale(&record)
    case .bernoulli: break
    }
  }

  var name: String {
    switch self {
    case .gaussian: "gaussian"
    case .mixture: "mixture"
    case .bernoulli: "bernoulli"
    }
  }

  var summary: String {
    switch self {
    case .gaussian(let rule): "gaussian, \(rule.summary)"
    case .mixture(let rule): "mixture of \(rule.components) Gaussians"
    case .bernoulli: "bernoulli"
    }
  }
}

struct MADE<S: Scalar>: Distribution {
  private let dim: Int
  private let contextDim: Int
  private let conditional: Conditional
  private let maskCount: Int
  private let masks: UnsafeMutablePointer<AutoregressiveParameters<S>>

  private enum Conditional: BitwiseCopyable {
    case gaussian(ElementMap<S>)
    /// The CDF, and as a logit: uniform noise near 1 would be rounded.
    case mixture(ElementMap<S>, logit: ElementMap<S>)
    case bernoulli
  }

  init(_ spec: MADESpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    dim = spec.masks[0].dim
    contextDim = spec.masks[0].contextDim
    switch spec.conditional {
    case .gaussian(let rule): conditional = .gaussian(try ElementMap(rule, pool: pool))
    case .mixture(let rule):
      var logit = rule
      logit.target = .logistic
      conditional = .mixture(try ElementMap(rule, pool: pool), logit: try ElementMap(logit, pool: pool))
    case .bernoulli: conditional = .bernoulli
    }
    maskCount = spec.masks.count
    masks = try pool.take(maskCount)
    for (m, mask) in spec.masks.enumerated() {
      masks[m] = try AutoregressiveParameters(mask, offset: offset, slot: slot, pool: pool)
    }
  }

  func prepare(_ parameters: UnsafePointer<S>) {
    for m in 0..<maskCount { masks[m].prepare(parameters) }
  }

  /// Several for a slot, which take turns by the number of the minibatch.
  var denseLayers: [DenseLayer<S>] { (0..<maskCount).flatMap { masks[$0].network.denseLayers } }

  enum Tape: BitwiseCopyable {
    case one(mask: Int, Evaluation)
    /// Of each mask the log-density, [masks][stride], and that of their mean; the rest is computed again.
    case all(
      x: UnsafePointer<S>, context: UnsafePointer<S>, logs: UnsafePointer<Double>, mean: UnsafePointer<Double>)
  }

  func addLogDensity(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (stride, scratch) = (pass.stride, pass.scratch)
    if maskCount == 1 || pass.minibatch != nil {
      let mask = (pass.minibatch ?? 0) % maskCount
      let mark = scratch.mark
      let tape = try evaluate(
        mask, pass.x, pass.context, stride, scratch, recording: pass.recording, pass.dropout, addingTo: pass.logDet)
      if !pass.recording { scratch.release(to: mark) }
      return .one(mask: mask, tape)
    }
    let logs = try scratch.take(maskCount * stride, of: Double.self)
    let mean = try scratch.take(stride, of: Double.self)
    logs.update(repeating: 0, count: maskCount * stride)
    for m in 0..<maskCount {
      let mark = scratch.mark
      _ = try evaluate(m, pass.x, pass.context, stride, scratch, recording: false, nil, addingTo: logs + m * stride)
      scratch.release(to: mark)
    }
    for r in 0..<stride {
      let (top, sum) = sumOfExponentials(logs + r, maskCount, stride)
      mean[r] = top + log(sum / Double(maskCount))
      pass.logDet[r] += mean[r]
    }
    return .all(x: pass.x, context: pass.context, logs: logs, mean: mean)
  }

  func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    let (stride, scratch) = (adjoint.stride, adjoint.scratch)
    switch tape {
    case .one(let mask, let tape): try pullback(mask, &adjoint, tape)

    // Each mask's gradient, times its part of the density of the row.
    case .all(let x, let context, let logs, let mean):
      let weight = try scratch.take(stride, of: S.self)
      let unused = try scratch.take(stride, of: Double.self)
      let g = try scratch.take(adjoint.count, of: S.self)
      adjoint.g.update(repeating: 0, count: adjoint.count)
      for m in 0..<maskCount {
        let mark = scratch.mark
        for r in 0..<stride {
          weight[r] = adjoint.gLogDet[r] * S(exp(logs[m * stride + r] - mean[r]) / Double(maskCount))
        }
        var own = Adjoint(
          dim: dim, contextDim: contextDim, stride: stride, g: g, gContext: adjoint.gContext, gLogDet: weight,
          sink: adjoint.sink?.mask(m), scratch: scratch)
        try pullback(m, &own, evaluate(m, x, context, stride, scratch, recording: true, nil, addingTo: unused))
        S.kernels.add(adjoint.count, g, adjoint.g)
        scratch.release(to: mark)
      }
    }
  }

  /// nil where samples have no derivative.
  typealias Draw = Found?

  /// Rows that were found column by column.
  struct Found: BitwiseCopyable {
    fileprivate let x: UnsafeMutablePointer<S>
    fileprivate let parameters: AutoregressiveParameters<S>.Tape
    /// Log-derivatives of the map, in sorted order.
    fileprivate let logs: UnsafeMutablePointer<S>
  }

  func sample(_ seed: UInt64, _ firstRow: UInt64, _ pass: inout Pass<S>) throws(DiffeoError) -> Draw {
    let (stride, scratch) = (pass.stride, pass.scratch)
    let mark = scratch.mark
    // One more for the mask.
    let u = try scratch.take((dim + 1) * stride, of: Double.self)
    S.kernels.uniforms(seed, firstRow, dim + 1, stride, u)
    let noise = try scratch.take(dim * stride, of: S.self)
    switch conditional {
    case .gaussian: S.kernels.normals(seed, firstRow, dim, stride, noise)
    case .mixture: for i in 0..<dim * stride { noise[i] = S(log(u[i]) - log1p(-u[i])) }
    case .bernoulli: break
    }
    var draw: Draw = nil
    if maskCount == 1 {
      draw = try sample(0, u, noise, pass.context, stride, scratch, pass.x)
    } else {
      try sampleByMask(u, noise, &pass)
    }
    if !pass.recording { scratch.release(to: mark) }
    return draw
  }

  private func checkDifferentiable() throws(DiffeoError) {
    if case .bernoulli = conditional {
      throw DiffeoError(
        .unsupported, "samples of the base made with bernoulli conditionals are 0 or 1: they have no derivative")
    }
    guard maskCount == 1 else {
      throw DiffeoError(
        .unsupported, "samples of the base made have no derivative where it has several masks, here \(maskCount)")
    }
  }

  /// Each column is the map's inverse of noise that is held fixed, and its log-density the map's log-derivative.
  func samplePullback(_ adjoint: inout Adjoint<S>, _ draw: Draw) throws(DiffeoError) {
    try checkDifferentiable()
    guard let draw else { throw DiffeoError(.internal, "a MADE has left no tape of its samples") }
    let map: ElementMap<S>
    switch conditional {
    case .gaussian(let gaussian): map = gaussian
    case .mixture(_, let logit): map = logit
    case .bernoulli: return
    }
    let pullback = map.pullback(inverse: true)
    try masks[0].pullback(&adjoint, finding: draw.parameters) { adjoint, i, at, p, gParameters in
      let (stride, logs) = (adjoint.stride, draw.logs + i * adjoint.stride)
      adjoint.spreadLogDet(1, negated: false, gParameters)
      pullback(map.rule, stride, draw.x + at, p, logs, adjoint.g + at, gParameters)
    }
  }

  /// The rows of each mask as a tile of their own.
  private func sampleByMask(
    _ u: UnsafePointer<Double>, _ noise: UnsafePointer<S>, _ pass: inout Pass<S>
  ) throws(DiffeoError) {
    let (stride, scratch) = (pass.stride, pass.scratch)
    let chosen = u + dim * stride
    let rows = try scratch.take(stride, of: Int32.self)
    for m in 0..<maskCount {
      var count = 0
      for r in 0..<stride where Int(chosen[r] * Double(maskCount)) == m {
        rows[count] = Int32(r)
        count += 1
      }
      if count == 0 { continue }
      let mark = scratch.mark
      let ownStride = Tiling.stride(count, S.self)
      let ownU = try gather(u, dim, stride, rows, count, ownStride, scratch)
      let ownNoise = try gather(noise, dim, stride, rows, count, ownStride, scratch)
      let ownContext = try gather(pass.context, contextDim, stride, rows, count, ownStride, scratch)
      let x = try scratch.take(dim * ownStride, of: S.self)
      _ = try sample(m, ownU, ownNoise, ownContext, ownStride, scratch, x)
      for i in 0..<dim {
        for r in 0..<count { pass.x[i * stride + Int(rows[r])] = x[i * ownStride + r] }
      }
      scratch.release(to: mark)
    }
  }

  /// The first row again where a tile has to be padded.
  private func gather<T: BitwiseCopyable>(
    _ from: UnsafePointer<T>, _ features: Int, _ stride: Int, _ rows: UnsafePointer<Int32>, _ count: Int,
    _ ownStride: Int, _ scratch: Scratch
  ) throws(DiffeoError) -> UnsafeMutablePointer<T> {
    let tile = try scratch.take(features * ownStride, of: T.self)
    for i in 0..<features {
      for r in 0..<ownStride { tile[i * ownStride + r] = from[i * stride + Int(rows[r < count ? r : 0])] }
    }
    return tile
  }

  // MARK: - One mask

  struct Evaluation: BitwiseCopyable {
    fileprivate let x: UnsafePointer<S>
    fileprivate let parameters: AutoregressiveParameters<S>.Tape
    /// Of a map: what it makes of x, and its log-derivatives. Bernoulli: the logit of what x is not, and minus the
    /// log-probabilities. The latter in sorted order.
    fileprivate let z: UnsafeMutablePointer<S>
    fileprivate let logs: UnsafeMutablePointer<S>
  }

  private func evaluate(
    _ mask: Int, _ x: UnsafePointer<S>, _ context: UnsafePointer<S>, _ stride: Int, _ scratch: Scratch,
    recording: Bool, _ draws: Dropout?, addingTo logDensity: UnsafeMutablePointer<Double>
  ) throws(DiffeoError) -> Evaluation {
    let count = dim * stride
    let tape = Evaluation(
      x: x, parameters: try masks[mask].evaluate(x, context, stride, scratch, recording: recording, draws),
      z: try scratch.take(count), logs: try scratch.take(count))
    switch conditional {
    case .gaussian(let map):
      try run(map, mask, tape, stride, scratch, recording: recording, logDensity)
      S.kernels.normalLogDensity(dim, stride, tape.z, logDensity)
    case .mixture(let map, _):
      try run(map, mask, tape, stride, scratch, recording: recording, logDensity)
      // The map is finite there.
      for i in 0..<dim {
        for r in 0..<stride where x[i * stride + r].isInfinite { logDensity[r] -= .infinity }
      }
    case .bernoulli:
      let columns = masks[mask].columns(stride)
      for i in 0..<dim {
        for r in 0..<stride {
          let (x, logit) = (x[columns[i] + r], tape.parameters.values[i * stride + r])
          tape.z[i * stride + r] = x == 0 ? logit : x == 1 ? -logit : x.isNaN ? x : .infinity
        }
      }
      S.kernels.activate(.softplus, count, tape.z, tape.logs)
      S.kernels.addRows(dim, stride, tape.logs, -1, logDensity)
    }
    return tape
  }

  private func run(
    _ map: ElementMap<S>, _ mask: Int, _ tape: Evaluation, _ stride: Int, _ scratch: Scratch,
    recording: Bool, _ logDensity: UnsafeMutablePointer<Double>
  ) throws(DiffeoError) {
    let columns = masks[mask].columns(stride)
    try map.run(
      inverse: false, columns, tape.x, tape.parameters.values, tape.z, tape.logs, scratch, recording: recording)
    S.kernels.addRows(dim, stride, tape.logs, 1, logDensity)
  }

  private func pullback(_ mask: Int, _ adjoint: inout Adjoint<S>, _ tape: Evaluation) throws(DiffeoError) {
    let (count, stride, scratch) = (adjoint.count, adjoint.stride, adjoint.scratch)
    let mark = scratch.mark
    let columns = masks[mask].columns(stride)
    let gParameters = try masks[mask].newGradient(adjoint)
    switch conditional {
    case .gaussian(let map):
      for i in 0..<dim {
        for r in 0..<stride { adjoint.g[i * stride + r] = -tape.z[i * stride + r] * adjoint.gLogDet[r] }
      }
      try map.runPullback(
        inverse: false, columns, tape.x, tape.parameters.values, tape.logs, adjoint, gParameters)
      try masks[mask].pullback(&adjoint, tape.parameters, gParameters)
    case .mixture(let map, _):
      adjoint.g.update(repeating: 0, count: count)
      try map.runPullback(
        inverse: false, columns, tape.x, tape.parameters.values, tape.logs, adjoint, gParameters)
      try masks[mask].pullback(&adjoint, tape.parameters, gParameters)
    case .bernoulli:
      for i in 0..<dim {
        for r in 0..<stride {
          let (x, weight) = (tape.x[columns[i] + r], adjoint.gLogDet[r])
          // What is neither 0 nor 1 has no density to follow, and shows in a training.
          gParameters[i * stride + r] = x == 0 ? -weight : x == 1 ? weight : .nan
        }
      }
      S.kernels.activatePullback(.softplus, count, tape.z, tape.logs, gParameters)
      adjoint.g.update(repeating: 0, count: count)
      try masks[mask].pullback(&adjoint, tape.parameters, gParameters)
      // The density is made of points: it has no slope in x.
      adjoint.g.update(repeating: 0, count: count)
    }
    scratch.release(to: mark)
  }

  /// Column by column, each from its own conditional.
  private func sample(
    _ mask: Int, _ u: UnsafePointer<Double>, _ noise: UnsafePointer<S>, _ context: UnsafePointer<S>, _ stride: Int,
    _ scratch: Scratch, _ x: UnsafeMutablePointer<S>
  ) throws(DiffeoError) -> Found {
    let logs = try scratch.take(dim * stride, of: S.self)
    let tape: AutoregressiveParameters<S>.Tape
    switch conditional {
    case .gaussian(let map), .mixture(_, let map):
      let inverse = map.function(inverse: true)
      tape = try masks[mask].evaluate(finding: x, context, stride, scratch, nil) { i, at, p in
        inverse(map.rule, stride, noise + at, p, x + at, logs + i * stride)
      }
    case .bernoulli:
      tape = try masks[mask].evaluate(finding: x, context, stride, scratch, nil) { _, at, p in
        S.kernels.activate(.sigmoid, stride, p, logs)
        for r in 0..<stride { x[at + r] = u[at + r] < Double(logs[r]) ? 1 : 0 }
      }
    }
    return Found(x: x, parameters: tape, logs: logs)
  }
}
