import CLibrary
import KernelInterface

/// A mixture of normal distributions: sum over k of softmax(logits)_k N(means_k, diag exp(log_scales_k)^2), trained or
/// functions of the context.
struct MixtureSpec: ChosenDistributionSpec {
  static let kind = "mixture"
  static let number: Int32 = 6
  typealias F32 = Mixture<Float>
  typealias F64 = Mixture<Double>

  static let maxComponents = 1024
  /// Of components times columns: all parameters are in memory for every row of a tile.
  static let maxMeans = 1 << 16

  let dim: Int
  let components: Int
  let parameters: ContextualParametersSpec

  init(
    components: Int, dim: Int, contextDim: Int, conditioner: NetworkConventions?
  ) throws(DiffeoError) {
    try Limit.check("base.components", components)
    guard components * dim <= MixtureSpec.maxMeans else {
      throw DiffeoError(
        .invalid,
        "a mixture of \(components) components of \(dim) columns was asked for, at most \(MixtureSpec.maxMeans) means "
          + "are possible")
    }
    self.dim = dim
    self.components = components
    parameters = try ContextualParametersSpec(
      [
        .init(name: "logits", shape: [components]), .init(name: "means", shape: [components, dim]),
        .init(name: "log_scales", shape: [components, dim]),
      ], contextDim: contextDim, conditioner: conditioner)
  }

  init(_ options: BaseOptions, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(
      components: options.components, dim: dim, contextDim: contextDim, conditioner: options.network)
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    try self.init(
      components: record.int("components"), dim: dim, contextDim: contextDim,
      conditioner: ContextualParametersSpec.conditioner(record))
  }

  var record: Record {
    var record = Record(kind: MixtureSpec.kind)
    record["components"] = .int(components)
    parameters.describe(&record)
    return record
  }
  var slots: [ParameterSlot] { parameters.slots }
  var summary: String {
    "\(components) component\(components == 1 ? "" : "s")"
      + (parameters.summary.isEmpty ? "" : ", \(parameters.summary)")
  }

  /// Equal weights, standard deviations 1, and means drawn from N(0, I): components that begin alike stay alike.
  func initialise<S: Scalar>(_ target: UnsafeMutablePointer<S>, _ random: inout Philox) {
    var values = [Double](repeating: 0, count: parameters.count)
    for i in components..<components + components * dim { values[i] = random.normal() }
    parameters.initialise(target, &random, values: values)
  }
}

extension BaseChoice {
  package static func mixture(components: Int, _ network: NetworkConventions?) -> BaseChoice {
    BaseChoice(MixtureSpec.self, BaseOptions(components: components, network: network))
  }
}

/// For each component about what a normal base costs, and 10 ns a row.
struct Mixture<S: Scalar>: Distribution {
  private let components: Int
  let parameters: ContextualParameters<S>

  init(_ spec: MixtureSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    components = spec.components
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
    let mean = try scratch.take(count, of: S.self)
    let logScale = try scratch.take(count, of: S.self)
    S.kernels.uniforms(seed, firstRow, 1, stride, u)
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
  private func choose(_ u: Double, _ logits: UnsafePointer<S>, _ stride: Int) -> Int {
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
  /// given the columns before it: dz_i = -dF_i / p_i. Row by row in double precision.
  func samplePullback(_ adjoint: inout Adjoint<S>, _ draw: Draw) throws(DiffeoError) {
    let (dim, count, stride, scratch) = (adjoint.dim, adjoint.count, adjoint.stride, adjoint.scratch)
    let values = draw.parameters.values
    let gLogits = try parameters.newGradient(adjoint)
    let toMeans = components * stride
    let toLogScales = toMeans + components * count
    // [dim + 1][components]: log of weight and density of the columns before.
    let before = try scratch.take((dim + 1) * components, of: Double.self)
    let total = try scratch.take(dim + 1, of: Double.self)
    // dL/d(before), of all columns that are behind.
    let gBefore = try scratch.take(components, of: Double.self)
    let below = try scratch.take(components, of: Double.self)
    for r in 0..<stride {
      let component = { (k: Int, i: Int) -> (e: Double, scale: Double, logDensity: Double) in
        let at = k * count + i * stride + r
        let logScale = Double(values[toLogScales + at])
        let scale = exp(logScale)
        let e = (Double(draw.z[i * stride + r]) - Double(values[toMeans + at])) / scale
        return (e, scale, -0.5 * e * e - logScale - halfLogTwoPi)
      }
      for k in 0..<components {
        before[k] = Double(values[k * stride + r])
        for i in 0..<dim { before[(i + 1) * components + k] = before[i * components + k] + component(k, i).logDensity }
      }
      for i in 0...dim {
        let (top, sum) = sumOfExponentials(before + i * components, components, 1)
        total[i] = top + log(sum)
      }
      // The log-density itself: its slope in each of its terms.
      let weight = Double(adjoint.gLogDet[r])
      for k in 0..<components { gBefore[k] = weight * exp(before[dim * components + k] - total[dim]) }
      for i in (0..<dim).reversed() {
        let here = before + i * components
        var g = Double(adjoint.g[i * stride + r])
        for k in 0..<components {
          let (e, scale, _) = component(k, i)
          g -= gBefore[k] * e / scale
        }
        // F_i on the side where it is small.
        var sides = (low: 0.0, high: 0.0)
        for k in 0..<components {
          let (e, _, _) = component(k, i)
          let share = exp(here[k] - total[i])
          sides.low += share * 0.5 * erfc(-e * 0.5.squareRoot())
          sides.high += share * 0.5 * erfc(e * 0.5.squareRoot())
        }
        let sign = sides.low <= sides.high ? -1.0 : 1.0
        let side = min(sides.low, sides.high)
        for k in 0..<components { below[k] = 0.5 * erfc(sign * component(k, i).e * 0.5.squareRoot()) - side }
        for k in 0..<components {
          let (e, scale, _) = component(k, i)
          let at = k * count + i * stride + r
          let move = g * exp(before[(i + 1) * components + k] - total[i + 1])
          gLogits[toMeans + at] = S(move + gBefore[k] * e / scale)
          gLogits[toLogScales + at] = S(move * e * scale + gBefore[k] * (e * e - 1))
          // p_i is the quotient of the totals.
          gBefore[k] += g * sign * below[k] * exp(here[k] - total[i + 1])
        }
      }
      for k in 0..<components { gLogits[k * stride + r] = S(gBefore[k] - weight * exp(before[k] - total[0])) }
    }
    try parameters.pullback(adjoint, draw.parameters, gLogits)
  }
}
