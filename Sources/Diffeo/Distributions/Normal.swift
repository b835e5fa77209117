import KernelInterface

/// N(mean, exp(log_scale)^2) by column: trained vectors, or functions of the context.
struct NormalSpec: ChosenDistributionSpec {
  static let kind = "normal"
  static let number: Int32 = 2
  typealias F32 = Normal<Float>
  typealias F64 = Normal<Double>

  let dim: Int
  let parameters: ContextualParametersSpec

  init(dim: Int, contextDim: Int, conditioner: NetworkConventions?) throws(DiffeoError) {
    self.dim = dim
    parameters = try ContextualParametersSpec(
      [.init(name: "mean", shape: [dim]), .init(name: "log_scale", shape: [dim])], contextDim: contextDim,
      conditioner: conditioner)
  }

  init(_ options: BaseOptions, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(dim: dim, contextDim: contextDim, conditioner: options.network)
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(dim: dim, contextDim: contextDim, conditioner: ContextualParametersSpec.conditioner(record))
  }

  var record: Record {
    var record = Record(kind: NormalSpec.kind)
    parameters.describe(&record)
    return record
  }
  var slots: [ParameterSlot] { parameters.slots }
  var summary: String { parameters.summary }

  /// N(0, I)
  func initialise<S: Scalar>(_ target: UnsafeMutablePointer<S>, _ random: inout Philox) {
    parameters.initialise(target, &random, values: [Double](repeating: 0, count: parameters.count))
  }
}

extension BaseChoice {
  package static func normal(_ network: NetworkConventions?) -> BaseChoice {
    BaseChoice(NormalSpec.self, BaseOptions(network: network))
  }
}

struct Normal<S: Scalar>: Distribution {
  let parameters: ContextualParameters<S>

  init(_ spec: NormalSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    parameters = try ContextualParameters(spec.parameters, offset: offset, slot: slot, pool: pool)
  }

  func prepare(_ parameters: UnsafePointer<S>) { self.parameters.prepare(parameters) }
  var denseLayers: [DenseLayer<S>] { parameters.denseLayers }

  struct Tape: BitwiseCopyable {
    /// (z - mean) / scale
    let e: UnsafeMutablePointer<S>
    let parameters: ContextualParameters<S>.Tape
  }

  func addLogDensity(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let tape = try parameters.evaluate(pass)
    let (mean, logScale) = (tape.values, tape.values + pass.count)
    let e = try pass.scratch.take(pass.count, of: S.self)
    S.kernels.locationScaleInverse(pass.count, pass.x, mean, logScale, e)
    S.kernels.normalLogDensity(pass.dim, pass.stride, e, pass.logDet)
    S.kernels.addRows(pass.dim, pass.stride, logScale, -1, pass.logDet)
    return Tape(e: e, parameters: tape)
  }

  func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    let (count, stride, g) = (adjoint.count, adjoint.stride, adjoint.g)
    let logScale = tape.parameters.values + count
    let gMean = try parameters.newGradient(adjoint)
    let gLogScale = gMean + count
    for i in 0..<adjoint.dim {
      for r in 0..<stride { g[i * stride + r] = -tape.e[i * stride + r] * adjoint.gLogDet[r] }
    }
    adjoint.spreadLogDet(adjoint.dim, negated: true, gLogScale)
    S.kernels.locationScaleInversePullback(count, tape.e, logScale, g, gLogScale)
    for i in 0..<count { gMean[i] = -g[i] }
    try parameters.pullback(adjoint, tape.parameters, gMean)
  }

  struct Draw: BitwiseCopyable {
    let z: UnsafeMutablePointer<S>
    let parameters: ContextualParameters<S>.Tape
  }

  func sample(_ seed: UInt64, _ firstRow: UInt64, _ pass: inout Pass<S>) throws(DiffeoError) -> Draw {
    let tape = try parameters.evaluate(pass)
    S.kernels.normals(seed, firstRow, pass.dim, pass.stride, pass.x)
    S.kernels.locationScale(pass.count, pass.x, tape.values, tape.values + pass.count, pass.x)
    return Draw(z: pass.x, parameters: tape)
  }

  func temper(_ factor: S, _ pass: inout Pass<S>, _ draw: Draw) {
    let mean = draw.parameters.values
    for i in 0..<pass.count { pass.x[i] = mean[i] + factor * (pass.x[i] - mean[i]) }
  }

  /// z = mean + scale e, and log p(z) = -log scale + a function of e alone.
  func samplePullback(_ adjoint: inout Adjoint<S>, _ draw: Draw) throws(DiffeoError) {
    let (count, stride, g) = (adjoint.count, adjoint.stride, adjoint.g)
    let mean = draw.parameters.values
    let gMean = try parameters.newGradient(adjoint)
    let gLogScale = gMean + count
    for i in 0..<adjoint.dim {
      for r in 0..<stride {
        let at = i * stride + r
        gMean[at] = g[at]
        gLogScale[at] = g[at] * (draw.z[at] - mean[at]) - adjoint.gLogDet[r]
      }
    }
    try parameters.pullback(adjoint, draw.parameters, gMean)
  }
}
