import CLibrary
import KernelInterface

/// A mixture of normal distributions: sum over k of softmax(logits)_k N(means_k, C_k), trained or functions of the context.
/// C_k is diagonal, or full by a triangular matrix (MixtureFactors).
struct MixtureSpec: ChosenDistributionSpec {
  static let kind = "mixture"
  static let number: Int32 = 6
  typealias F32 = Mixture<Float>
  typealias F64 = Mixture<Double>

  static let maxComponents = 1024
  /// Of components times columns: all parameters are in memory for every row of a tile.
  static let maxMeans = 1 << 16
  private static let covariances = Names(
    [(.diagonal, "diagonal"), (.full, "full"), (.precision, "precision")] as [(MixtureFactors.Covariance, String)])
  private static let diagonals = Names([(.exp, "exp"), (.softplus, "softplus")] as [(MixtureFactors.Diagonal, String)])

  let dim: Int
  let components: Int
  let factors: MixtureFactors
  let parameters: ContextualParametersSpec

  init(
    components: Int, factors: MixtureOptions, dim: Int, contextDim: Int, conditioner: NetworkConventions?
  ) throws(DiffeoError) {
    try Limit.check("base.components", components)
    try Limit.check("base.epsilon", factors.epsilon)
    guard components * dim <= MixtureSpec.maxMeans else {
      throw DiffeoError(
        .invalid,
        "a mixture of \(components) components of \(dim) columns was asked for, at most \(MixtureSpec.maxMeans) means "
          + "are possible")
    }
    let made = MixtureFactors(factors, components: components, dim: dim)
    guard components * (dim + made.triangleCount) <= MixtureSpec.maxMeans else {
      throw DiffeoError(
        .invalid,
        "a mixture of \(components) components with full covariances of \(dim) columns was asked for, at most "
          + "\(MixtureSpec.maxMeans) numbers are possible for all of their factors")
    }
    self.dim = dim
    self.components = components
    self.factors = made
    var vectors: [ContextualParametersSpec.Vector] = [
      .init(name: "logits", shape: [components]), .init(name: "means", shape: [components, dim]),
      .init(name: made.isPlain ? "log_scales" : "diagonals", shape: [components, dim]),
    ]
    if made.triangleCount > 0 { vectors.append(.init(name: "triangles", shape: [components, made.triangleCount])) }
    parameters = try ContextualParametersSpec(vectors, contextDim: contextDim, conditioner: conditioner)
  }

  init(_ options: BaseOptions, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(
      components: options.components, factors: options.mixture, dim: dim, contextDim: contextDim,
      conditioner: options.network)
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    var factors = MixtureOptions()
    if record["covariance"] != nil { factors.covariance = try MixtureSpec.covariances.choice(record, "covariance") }
    if record["diagonal"] != nil { factors.diagonal = try MixtureSpec.diagonals.choice(record, "diagonal") }
    if record["epsilon"] != nil { factors.epsilon = try record.double("epsilon") }
    try self.init(
      components: record.int("components"), factors: factors, dim: dim, contextDim: contextDim,
      conditioner: ContextualParametersSpec.conditioner(record))
  }

  var record: Record {
    var record = Record(kind: MixtureSpec.kind)
    record["components"] = .int(components)
    // What goes without saying is not said, so that older libraries read it, too.
    let f = factors.options
    if f.covariance != .diagonal { record["covariance"] = .string(MixtureSpec.covariances.name(f.covariance)) }
    if f.diagonal != .exp { record["diagonal"] = .string(MixtureSpec.diagonals.name(f.diagonal)) }
    if f.epsilon != 0 { record["epsilon"] = .double(f.epsilon) }
    parameters.describe(&record)
    return record
  }
  var slots: [ParameterSlot] { parameters.slots }
  var summary: String {
    "\(components) component\(components == 1 ? "" : "s")"
      + (factors.options.covariance == .diagonal ? "" : ", full covariances")
      + (parameters.summary.isEmpty ? "" : ", \(parameters.summary)")
  }

  /// Equal weights, covariances 1, and means drawn from N(0, I): components that begin alike stay alike.
  func initialise<S: Scalar>(_ target: UnsafeMutablePointer<S>, _ random: inout Philox) {
    var values = [Double](repeating: 0, count: parameters.count)
    for i in components..<components + components * dim { values[i] = random.normal() }
    for i in factors.firstDiagonal..<factors.firstDiagonal + components * dim { values[i] = factors.rawOne }
    parameters.initialise(target, &random, values: values)
  }
}

extension BaseChoice {
  package static func mixture(
    components: Int, _ network: NetworkConventions?, factors: MixtureOptions = MixtureOptions()
  ) -> BaseChoice {
    BaseChoice(MixtureSpec.self, BaseOptions(components: components, mixture: factors, network: network))
  }
}

/// For each component about what a normal base costs, and 10 ns a row. What is not diagonal with scales exp(log_scales)
/// goes row by row in double precision.
struct Mixture<S: Scalar>: Distribution {
  let components: Int
  let factors: MixtureFactors
  let parameters: ContextualParameters<S>

  init(_ spec: MixtureSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    components = spec.components
    factors = spec.factors
    parameters = try ContextualParameters(spec.parameters, offset: offset, slot: slot, pool: pool)
  }

  func prepare(_ parameters: UnsafePointer<S>) { self.parameters.prepare(parameters) }
  var denseLayers: [DenseLayer<S>] { parameters.denseLayers }

  struct Tape: BitwiseCopyable {
    let z: UnsafeMutablePointer<S>
    let parameters: ContextualParameters<S>.Tape
    /// [components][stride], of each component the logit and the log-density; [stride], log-sum-exp of these and of the
    /// logits.
    let logs: UnsafeMutablePointer<Double>
    let total: UnsafeMutablePointer<Double>
    let logitTotal: UnsafeMutablePointer<Double>
  }

  func addLogDensity(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape {
    let (stride, scratch) = (pass.stride, pass.scratch)
    let tape = Tape(
      z: pass.x, parameters: try parameters.evaluate(pass), logs: try scratch.take(components * stride),
      total: try scratch.take(stride), logitTotal: try scratch.take(stride))
    for i in 0..<components * stride { tape.logs[i] = Double(tape.parameters.values[i]) }
    logSumExp(tape.logs, stride, tape.logitTotal)
    guard factors.isPlain else {
      try addLogDensities(&pass, tape)
      logSumExp(tape.logs, stride, tape.total)
      for r in 0..<stride { pass.logDet[r] += tape.total[r] - tape.logitTotal[r] }
      return tape
    }
    let e = try scratch.take(pass.count, of: S.self)
    for k in 0..<components {
      let logScale = standardize(k, tape, pass.count, stride, e)
      S.kernels.normalLogDensity(pass.dim, stride, e, tape.logs + k * stride)
      S.kernels.addRows(pass.dim, stride, logScale, -1, tape.logs + k * stride)
    }
    logSumExp(tape.logs, stride, tape.total)
    for r in 0..<stride { pass.logDet[r] += tape.total[r] - tape.logitTotal[r] }
    return tape
  }

  /// e = (z - mean) / scale for component k. Gives its log_scale.
  private func standardize(
    _ k: Int, _ tape: Tape, _ count: Int, _ stride: Int, _ e: UnsafeMutablePointer<S>
  ) -> UnsafeMutablePointer<S> {
    let mean = tape.parameters.values + components * stride + k * count
    let logScale = mean + components * count
    S.kernels.locationScaleInverse(count, tape.z, mean, logScale, e)
    return logScale
  }

  /// Over components, row by row.
  private func logSumExp(
    _ logs: UnsafePointer<Double>, _ stride: Int, _ total: UnsafeMutablePointer<Double>
  ) {
    for r in 0..<stride {
      let (top, sum) = sumOfExponentials(logs + r, components, stride)
      total[r] = top + log(sum)
    }
  }

  /// Each component's gradient, times its responsibility for the row.
  func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError) {
    let (count, stride, scratch) = (adjoint.count, adjoint.stride, adjoint.scratch)
    let gLogits = try parameters.newGradient(adjoint)
    guard factors.isPlain else {
      try pullLogDensities(adjoint, tape, gLogits)
      return try parameters.pullback(adjoint, tape.parameters, gLogits)
    }
    let e = try scratch.take(count, of: S.self)
    let g = try scratch.take(count, of: S.self)
    let weight = try scratch.take(stride, of: S.self)
    adjoint.g.update(repeating: 0, count: count)
    for k in 0..<components {
      for r in 0..<stride {
        let at = k * stride + r
        let responsibility = exp(tape.logs[at] - tape.total[r])
        let prior = exp(Double(tape.parameters.values[at]) - tape.logitTotal[r])
        weight[r] = S(responsibility) * adjoint.gLogDet[r]
        gLogits[at] = S(responsibility - prior) * adjoint.gLogDet[r]
      }
      let logScale = standardize(k, tape, count, stride, e)
      let gMean = gLogits + components * stride + k * count
      let gLogScale = gMean + components * count
      for i in 0..<adjoint.dim {
        for r in 0..<stride {
          g[i * stride + r] = -e[i * stride + r] * weight[r]
          gLogScale[i * stride + r] = -weight[r]
        }
      }
      S.kernels.locationScaleInversePullback(count, e, logScale, g, gLogScale)
      for i in 0..<count { gMean[i] = -g[i] }
      S.kernels.add(count, g, adjoint.g)
    }
    try parameters.pullback(adjoint, tape.parameters, gLogits)
  }

  struct Draw: BitwiseCopyable {
    let z: UnsafeMutablePointer<S>
    let parameters: ContextualParameters<S>.Tape
  }

  /// A uniform number chooses the component, normal ones do the rest.
  func sample(_ seed: UInt64, _ firstRow: UInt64, _ pass: inout Pass<S>) throws(DiffeoError) -> Draw {
    let (count, stride, scratch) = (pass.count, pass.stride, pass.scratch)
    let tape = try parameters.evaluate(pass)
    let logits = tape.values
    let (means, logScales) = (logits + components * stride, logits + components * (stride + count))
    let u = try scratch.take(stride, of: Double.self)
    S.kernels.uniforms(seed, firstRow, 1, stride, u)
    guard factors.isPlain else {
      S.kernels.normals(seed, firstRow, pass.dim, stride, pass.x)
      try place(&pass, tape, u)
      return Draw(z: pass.x, parameters: tape)
    }
    let mean = try scratch.take(count, of: S.self)
    let logScale = try scratch.take(count, of: S.self)
    for r in 0..<stride {
      let first = choose(u[r], logits + r, stride) * count + r
      for i in 0..<pass.dim {
        mean[i * stride + r] = means[first + i * stride]
        logScale[i * stride + r] = logScales[first + i * stride]
      }
    }
    S.kernels.normals(seed, firstRow, pass.dim, stride, pass.x)
    S.kernels.locationScale(count, pass.x, mean, logScale, pass.x)
    return Draw(z: pass.x, parameters: tape)
  }

  /// The component where the sum of the weights passes u.
  func choose(_ u: Double, _ logits: UnsafePointer<S>, _ stride: Int) -> Int {
    var top = logits[0]
    for k in 0..<components where logits[k * stride] > top { top = logits[k * stride] }
    var total = 0.0
    for k in 0..<components { total += exp(Double(logits[k * stride]) - Double(top)) }
    var left = u * total
    for k in 0..<components - 1 {
      left -= exp(Double(logits[k * stride]) - Double(top))
      if left < 0 { return k }
    }
    return components - 1
  }

  /// Implicitly (Figurnov, Mohamed and Mnih 2018; Graves 2016): which component a row is from does not move with the
  /// parameters, but the distribution does, and rows move with it. Held fixed is each column's distribution function F_i,
  /// given the columns before it: dz_i = -dF_i / p_i. Row by row in double precision, columns in the order of
  /// `MixtureFactors.column`.
  func samplePullback(_ adjoint: inout Adjoint<S>, _ draw: Draw) throws(DiffeoError) {
    let (dim, stride, scratch) = (adjoint.dim, adjoint.stride, adjoint.scratch)
    let gParameters = try parameters.newGradient(adjoint)
    // Of all components: [components][dim].
    let e = try scratch.take(components * dim, of: Double.self)
    let scales = try scratch.take(components * dim, of: Double.self)
    // dL/de and dL/d(z - mean), of all columns that are behind.
    let gE = try scratch.take(components * dim, of: Double.self)
    let gDistance = try scratch.take(components * dim, of: Double.self)
    // [dim + 1][components]: log of weight and density of the columns before.
    let before = try scratch.take((dim + 1) * components, of: Double.self)
    let total = try scratch.take(dim + 1, of: Double.self)
    // dL/d(before), of all columns that are behind.
    let gBefore = try scratch.take(components, of: Double.self)
    let below = try scratch.take(components, of: Double.self)
    for r in 0..<stride {
      let row = MixtureRow(factors, draw.parameters.values, draw.z, r, stride)
      let g = MixtureGradient(factors, gParameters, r, stride)
      for k in 0..<components {
        row.residuals(k, e + k * dim, scales + k * dim)
        before[k] = row.logit(k)
        for m in 0..<dim {
          let i = factors.column(m)
          let (e, scale) = (e[k * dim + i], scales[k * dim + i])
          before[(m + 1) * components + k] = before[m * components + k] - 0.5 * e * e - log(scale) - halfLogTwoPi
        }
        g.clear(k)
      }
      gE.update(repeating: 0, count: components * dim)
      gDistance.update(repeating: 0, count: components * dim)
      for m in 0...dim {
        let (top, sum) = sumOfExponentials(before + m * components, components, 1)
        total[m] = top + log(sum)
      }
      // The log-density itself: its slope in each of its terms.
      let weight = Double(adjoint.gLogDet[r])
      for k in 0..<components { gBefore[k] = weight * exp(before[dim * components + k] - total[dim]) }
      for m in (0..<dim).reversed() {
        let i = factors.column(m)
        let here = before + m * components
        var gZ = Double(adjoint.g[i * stride + r])
        for k in 0..<components {
          let at = k * dim + i
          gE[at] -= gBefore[k] * e[at]
          gZ += gDistance[at] + gE[at] / scales[at]
        }
        // F_i on the side where it is small.
        var sides = (low: 0.0, high: 0.0)
        for k in 0..<components {
          let share = exp(here[k] - total[m])
          sides.low += share * 0.5 * erfc(-e[k * dim + i] * 0.5.squareRoot())
          sides.high += share * 0.5 * erfc(e[k * dim + i] * 0.5.squareRoot())
        }
        let sign = sides.low <= sides.high ? -1.0 : 1.0
        let side = min(sides.low, sides.high)
        for k in 0..<components { below[k] = 0.5 * erfc(sign * e[k * dim + i] * 0.5.squareRoot()) - side }
        for k in 0..<components {
          let at = k * dim + i
          let move = gZ * exp(before[(m + 1) * components + k] - total[m + 1])
          gE[at] -= move * scales[at]
          row.pull(k, i, e + k * dim, gE + k * dim, gDistance + k * dim, gLogScale: -gBefore[k], g)
          // p_i is the quotient of the totals.
          gBefore[k] += gZ * sign * below[k] * exp(here[k] - total[m + 1])
        }
      }
      for k in 0..<components {
        g.logit(k, gBefore[k] - weight * exp(before[k] - total[0]))
        for i in 0..<dim { g.mean(k, i, -gDistance[k * dim + i]) }
      }
    }
    try parameters.pullback(adjoint, draw.parameters, gParameters)
  }
}
