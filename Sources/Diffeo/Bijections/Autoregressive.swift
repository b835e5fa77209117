import KernelInterface

/// z_i = map(x_i; parameters of x_1...x_{i-1} and the context), all parameters from one masked network (MADE).
///
/// Masked autoregressive flow, Papamakarios, Pavlakou and Murray 2017. Run the other way round (`Inverse`), the inverse
/// autoregressive flow of Kingma et al. 2016. `forward` is one pass of the network; `inverse` computes each hidden unit
/// once, as soon as the coordinates it depends on are known, and costs about as much.
struct AutoregressiveSpec: BijectionSpec {
  static let kind = "autoregressive"
  typealias F32 = Autoregressive<Float>
  typealias F64 = Autoregressive<Double>

  let map: ElementMapSpec
  /// z_i = map^-1(x_i; ...), from the same columns: TensorFlow Probability's, and (x_i - t_i) / s_i.
  let invertsMap: Bool
  let parameters: AutoregressiveParametersSpec

  init(
    dim: Int, contextDim: Int, order: [Int], map: ElementMapSpec, invertsMap: Bool = false, hiddenDegrees: [[Int]],
    conditioner: AutoregressiveParametersSpec.Conditioner
  ) throws(DiffeoError) {
    self.map = map
    self.invertsMap = invertsMap
    parameters = try AutoregressiveParametersSpec(
      dim: dim, contextDim: contextDim, perColumn: map.parameterCount, encoding: map.encoding, order: order,
      hiddenDegrees: hiddenDegrees, conditioner: conditioner)
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    let conditioner = try AutoregressiveParametersSpec.conditioner(record)
    var degrees: [[Int]] = []
    for i in conditioner.network.hidden.indices { degrees.append(try record.ints("degrees_\(i)")) }
    try self.init(
      dim: dim, contextDim: contextDim, order: record.ints("order"), map: ElementMapSpec(record),
      invertsMap: record["inverse_map"] == nil ? false : record.bool("inverse_map"), hiddenDegrees: degrees,
      conditioner: conditioner)
  }

  var record: Record {
    var record = Record(kind: AutoregressiveSpec.kind)
    map.describe(&record)
    if invertsMap { record["inverse_map"] = .bool(true) }
    AutoregressiveParametersSpec.describe([parameters], &record)
    return record
  }

  var slots: [ParameterSlot] { parameters.network.slots }

  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    self.parameters.network.initialise(parameters, outputs: map.initialParameters, &random)
  }

  var limitsSupport: Bool { map.limitsSupport }

  func preimages(of z: [Interval]) -> [Interval?] { z.map(invertsMap ? map.image : map.preimage) }
  func images(of x: [Interval]) -> [Interval?] { x.map(invertsMap ? map.preimage : map.image) }

  var summary: String { "\(invertsMap ? "inverse of the " : "")\(map.summary), \(parameters.summary)" }
}

struct Autoregressive<S: Scalar>: Bijection {
  private let dim: Int
  private let map: ElementMap<S>
  private let invertsMap: Bool
  let parameters: AutoregressiveParameters<S>

  init(_ spec: AutoregressiveSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    dim = spec.parameters.dim
    map = try ElementMap(spec.map, pool: pool)
    invertsMap = spec.invertsMap
    parameters = try AutoregressiveParameters(spec.parameters, offset: offset, slot: slot, pool: pool)
  }

  func prepare(_ parameters: UnsafePointer<S>) { self.parameters.prepare(parameters) }
  var denseLayers: [DenseLayer<S>] { parameters.network.denseLayers }

  struct Tape: BitwiseCopyable {
    /// What the map makes the other side of.
    let x: UnsafeMutablePointer<S>
    let parameters: AutoregressiveParameters<S>.Tape
    /// Log-derivatives in sorted order.
    let logs: UnsafeMutablePointer<S>
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (stride, scratch) = (pass.stride, pass.scratch)
    let mark = scratch.mark
    let x = pass.x
    let tape = try parameters.evaluate(x, pass.context, stride, scratch, recording: pass.recording, pass.dropout)
    let logs = try scratch.take(pass.count, of: S.self)
    try pass.replace { _, _ in }
    try map.run(
      inverse: invertsMap, parameters.columns(stride), x, tape.values, pass.x, logs, scratch, recording: pass.recording)
    S.kernels.addRows(dim, stride, logs, invertsMap ? -1 : 1, pass.logDet)
    if !pass.recording { scratch.release(to: mark) }
    return Tape(x: invertsMap ? pass.x : x, parameters: tape, logs: logs)
  }

  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (context, stride, scratch, draws) = (pass.context, pass.stride, pass.scratch, pass.dropout)
    let mark = scratch.mark
    let logs = try scratch.take(pass.count, of: S.self)
    let z = pass.x
    let function = map.function(inverse: !invertsMap)
    let tape = try pass.replace { z, x throws(DiffeoError) in
      try parameters.evaluate(finding: x, context, stride, scratch, draws) { i, at, p in
        function(map.rule, stride, z + at, p, x + at, logs + i * stride)
      }
    }
    S.kernels.addRows(dim, stride, logs, invertsMap ? 1 : -1, pass.logDet)
    if !pass.recording { scratch.release(to: mark) }
    return Tape(x: invertsMap ? z : pass.x, parameters: tape, logs: logs)
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    let scratch = adjoint.scratch
    let mark = scratch.mark
    let gParameters = try parameters.newGradient(adjoint)
    try map.runPullback(
      inverse: invertsMap, parameters.columns(adjoint.stride), tape.x, tape.parameters.values, tape.logs, adjoint,
      gParameters)
    try parameters.pullback(&adjoint, tape.parameters, gParameters)
    scratch.release(to: mark)
  }

  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    let scratch = adjoint.scratch
    let mark = scratch.mark
    let pullback = map.pullback(inverse: !invertsMap)
    try parameters.pullback(&adjoint, finding: tape.parameters) { adjoint, i, at, p, gParameters in
      let (stride, logs) = (adjoint.stride, tape.logs + i * adjoint.stride)
      adjoint.spreadLogDet(1, negated: !invertsMap, gParameters)
      pullback(map.rule, stride, tape.x + at, p, logs, adjoint.g + at, gParameters)
    }
    scratch.release(to: mark)
  }
}
