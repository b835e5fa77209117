import KernelInterface

/// z_i = map(x_i; parameters of x_1...x_{i-1} and the context), all parameters from one masked network (MADE).
///
/// Masked autoregressive flow, Papamakarios, Pavlakou and Murray 2017. Run the other way round (`Inverse`), the inverse
/// autoregressive flow of Kingma et al. 2016. `forward` is one pass of the network; `inverse` computes each hidden unit
/// once, as soon as the coordinates it depends on are known, and costs about as much.
struct AutoregressiveSpec: BijectionSpec {
  static let kind = "autoregressive"

  let map: ElementMap
  let parameters: AutoregressiveParametersSpec

  init(
    dim: Int, contextDim: Int, order: [Int], map: ElementMap, hiddenDegrees: [[Int]],
    conditioner: AutoregressiveParametersSpec.Conditioner
  ) throws(DiffeoError) {
    self.map = map
    parameters = try AutoregressiveParametersSpec(
      dim: dim, contextDim: contextDim, perColumn: map.parameterCount, encoding: map.encoding, order: order,
      hiddenDegrees: hiddenDegrees, conditioner: conditioner)
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    let conditioner = try AutoregressiveParametersSpec.conditioner(record)
    var degrees: [[Int]] = []
    for i in conditioner.network.hidden.indices { degrees.append(try record.ints("degrees_\(i)")) }
    try self.init(
      dim: dim, contextDim: contextDim, order: record.ints("order"), map: ElementMap(record), hiddenDegrees: degrees,
      conditioner: conditioner)
  }

  var record: Record {
    var record = Record(kind: AutoregressiveSpec.kind)
    map.describe(&record)
    AutoregressiveParametersSpec.describe([parameters], &record)
    return record
  }

  var slots: [ParameterSlot] { parameters.network.slots }

  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    self.parameters.network.initialise(parameters, outputs: map.initialParameters, &random)
  }

  var limitsSupport: Bool { map.limitsSupport }

  var summary: String { "\(map.summary), \(parameters.summary)" }
}

struct Autoregressive<S: Scalar>: Bijection {
  private let dim: Int
  private let map: ElementMap
  let parameters: AutoregressiveParameters<S>

  init(_ spec: AutoregressiveSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    dim = spec.parameters.dim
    map = spec.map
    parameters = try AutoregressiveParameters(spec.parameters, offset: offset, slot: slot, pool: pool)
  }

  func prepare(_ parameters: UnsafePointer<S>) { self.parameters.prepare(parameters) }

  struct Tape: BitwiseCopyable {
    let x: UnsafeMutablePointer<S>
    let parameters: AutoregressiveParameters<S>.Tape
    /// Log-derivatives in sorted order.
    let logs: UnsafeMutablePointer<S>
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (stride, scratch) = (pass.stride, pass.scratch)
    let mark = scratch.mark
    let tape = Tape(
      x: pass.x,
      parameters: try parameters.evaluate(pass.x, pass.context, stride, scratch, recording: pass.recording),
      logs: try scratch.take(pass.count))
    try pass.replace { _, _ in }
    try map.run(
      inverse: false, parameters.columns(stride), tape.x, tape.parameters.values, pass.x, tape.logs, scratch,
      recording: pass.recording)
    S.kernels.addRows(dim, stride, tape.logs, 1, pass.logDet)
    if !pass.recording { scratch.release(to: mark) }
    return tape
  }

  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (context, stride, scratch) = (pass.context, pass.stride, pass.scratch)
    let mark = scratch.mark
    let logs = try scratch.take(pass.count, of: S.self)
    let tape = try pass.replace { z, x throws(DiffeoError) in
      try parameters.evaluate(finding: x, context, stride, scratch) { i, at, p in
        map.inverse(stride, z + at, p, x + at, logs + i * stride)
      }
    }
    S.kernels.addRows(dim, stride, logs, -1, pass.logDet)
    if !pass.recording { scratch.release(to: mark) }
    return Tape(x: pass.x, parameters: tape, logs: logs)
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    let scratch = adjoint.scratch
    let mark = scratch.mark
    let gParameters = try parameters.newGradient(adjoint)
    try map.runPullback(
      inverse: false, parameters.columns(adjoint.stride), tape.x, tape.parameters.values, tape.logs, adjoint,
      gParameters)
    try parameters.pullback(&adjoint, tape.parameters, gParameters)
    scratch.release(to: mark)
  }

  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    let scratch = adjoint.scratch
    let mark = scratch.mark
    try parameters.pullback(&adjoint, finding: tape.parameters) { adjoint, i, at, p, gParameters in
      adjoint.spreadLogDet(1, negated: true, gParameters)
      map.inversePullback(
        adjoint.stride, tape.x + at, p, tape.logs + i * adjoint.stride, adjoint.g + at, gParameters)
    }
    scratch.release(to: mark)
  }
}
