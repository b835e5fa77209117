import CLibrary
import KernelInterface

/// Some columns from where their data can be to the whole line, each by a fixed map; the others pass unchanged. Outside
/// of its support a flow with this layer has density 0. (Some maps have the whole line on both sides.)
struct DomainSpec: ColumnwiseSpec {
  static let kind = "domain"
  typealias F32 = Domain<Float>
  typealias F64 = Domain<Double>

  let dim: Int
  let map: DomainMap
  /// Those that are mapped, ascending.
  let columns: [Int]
  /// What a new flow begins with, for each of them.
  private let low: [Double]
  private let high: [Double]

  /// `low` and `high` as far as the map needs them, one a column.
  init(dim: Int, map: DomainMap, columns: [Int], low: [Double], high: [Double]) throws(DiffeoError) {
    try DomainSpec.check(columns, dim: dim)
    let needed = map.constants.count
    guard low.count == (needed > 0 ? columns.count : 0), high.count == (needed > 1 ? columns.count : 0) else {
      throw DiffeoError(
        .invalid,
        "\(columns.count) columns have \(low.count) values of low and \(high.count) of high; the map \(map.rawValue) "
          + "needs \(needed > 0 ? "one" : "none") a column and \(needed > 1 ? "one" : "none")")
    }
    self.dim = dim
    self.map = map
    self.columns = columns
    self.low = low
    self.high = high
    // Said when the layer is added; `check` says it again of other values.
    for (i, column) in columns.enumerated() where needed > 0 {
      try map.check(low[i], needed > 1 ? high[i] : .infinity, column)
    }
  }

  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError) {
    let name = try record.string("map")
    guard let map = DomainMap(rawValue: name) else {
      throw DiffeoError.unknown("map", name)
    }
    let columns = try record.ints("columns")
    try self.init(
      dim: dim, map: map, columns: columns,
      low: [Double](repeating: map.limitsSupport ? 0 : 1, count: map.constants.isEmpty ? 0 : columns.count),
      high: [Double](repeating: 1, count: map.constants.count > 1 ? columns.count : 0))
  }

  var record: Record {
    var record = Record(kind: DomainSpec.kind)
    record["map"] = .string(map.rawValue)
    record["columns"] = .ints(columns)
    return record
  }

  var slots: [ParameterSlot] {
    map.constants.map { ParameterSlot($0, [columns.count], .constant) }
  }

  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {
    for (i, value) in (low + high).enumerated() { parameters[i] = S(value) }
  }

  func check<S: Scalar>(_ parameters: UnsafePointer<S>) throws(DiffeoError) {
    for (i, column) in columns.enumerated() where !map.constants.isEmpty {
      try map.check(
        Double(parameters[i]), map.constants.count > 1 ? Double(parameters[columns.count + i]) : .infinity, column)
    }
  }

  var limitsSupport: Bool { map.limitsSupport }

  func preimages(of z: [Interval]) -> [Interval?] {
    var x = [Interval?](z)
    for (i, column) in columns.enumerated() { x[column] = domain(i) }
    return x
  }
  func images(of x: [Interval]) -> [Interval?] {
    var z = [Interval?](x)
    for (i, column) in columns.enumerated() { z[column] = domain(i).contains(x[column]) ? .line : nil }
    return z
  }
  private func domain(_ i: Int) -> Interval {
    map.limitsSupport ? Interval(low[i], map.constants.count > 1 ? high[i] : .infinity) : .line
  }

  var summary: String { "\(map.rawValue) of \(columnsInWords)" }
}

/// A map from a part of the line to the whole of it. Raw values are those of weight files.
package enum DomainMap: String, Sendable, BitwiseCopyable {
  /// low < x < high: z = log((x - low) / (high - x))
  case logit
  /// low < x: z = log(x - low)
  case log
  /// low < x: z = log(exp(x - low) - 1), so that x = low + softplus(z): far from low a shift
  case softplus
  /// low < x < high: z = probit((x - low) / (high - low))
  case probit
  /// Any x: z = probit(sigmoid(x)), which makes a standard normal variable of a standard logistic one
  case logisticToNormal = "logistic_to_normal"
  /// Any x: z = tanh(x), and beyond the bound its tangents there
  case leakyTanh = "leaky_tanh"
  /// Any x: z = x, below 0 slope x
  case leakyReLU = "leaky_relu"
  /// Any x: z = tanh(x), and beyond the bound c the logarithm tanh(c) + k log(|x| / c), k = (1 - tanh(tanh(c))) / c, with
  /// the sign of x: nflows', where the slope jumps
  case logTanh = "log_tanh"

  /// Names of the constants of each column. `low` and `high` below are the first and the second, whatever their names.
  package var constants: [String] {
    switch self {
    case .logit, .probit: ["low", "high"]
    case .log, .softplus: ["low"]
    case .logisticToNormal: []
    case .leakyTanh, .logTanh: ["bound"]
    case .leakyReLU: ["slope"]
    }
  }

  var limitsSupport: Bool {
    switch self {
    case .logit, .log, .softplus, .probit: true
    case .logisticToNormal, .leakyTanh, .leakyReLU, .logTanh: false
    }
  }

  /// high: infinite where there is none.
  func check(_ low: Double, _ high: Double, _ column: Int) throws(DiffeoError) {
    if !limitsSupport {
      try Limit.check("domain.constant", low, name: "\(constants.joined()) of column \(column)")
    } else if constants.count == 1 {
      guard low.isFinite else {
        throw DiffeoError(.invalid, "low of column \(column) is \(low): it must be finite")
      }
    } else {
      guard low < high, (high - low).isFinite else {
        throw DiffeoError(
          .invalid,
          "low and high of column \(column) are \(low) and \(high): high must be above low, by a finite number")
      }
    }
  }

  /// What is asked of a map at one point, in the direction just run.
  struct Value {
    let result: Double
    let logSlope: Double
    let slope: Double
    /// The derivative of logSlope.
    let bend: Double
  }

  /// All in double precision, and without cancellation near the ends: x - low and high - x have no error to speak of.
  func forward(_ x: Double, low: Double, high: Double) -> Value {
    let a = x - low
    switch self {
    case .logit:
      let (b, span) = (high - x, high - low)
      let ratio = a / b
      // A ratio out of range, but not one that is negative.
      let z = ratio.isNormal ? CLibrary.log(ratio) : CLibrary.log(a) - CLibrary.log(b)
      return Value(
        result: z, logSlope: CLibrary.log(span) - CLibrary.log(a) - CLibrary.log(b), slope: span / a / b,
        bend: 1 / b - 1 / a)
    case .log:
      let z = CLibrary.log(a)
      return Value(result: z, logSlope: -z, slope: 1 / a, bend: -1 / a)
    case .softplus:
      let complement = -expm1(-a)
      return Value(
        result: a < 1 ? CLibrary.log(expm1(a)) : a + CLibrary.log(complement), logSlope: -CLibrary.log(complement),
        slope: 1 / complement, bend: -1 / expm1(a))
    case .probit:
      let (b, span) = (high - x, high - low)
      let z = copysign(
        normalQuantile(less: abs(a - b) / span, logTail: CLibrary.log(min(a, b)) - CLibrary.log(span)), a - b)
      // phi(z) is the hazard times the smaller tail.
      let logSlope = -CLibrary.log(min(a, b)) - (min(a, b) > 0 ? CLibrary.log(normalTail(abs(z)).hazard) : 0)
      let slope = exp(logSlope)
      return Value(result: z, logSlope: logSlope, slope: slope, bend: z * slope)
    case .logisticToNormal:
      let z = probitOfSigmoid(x)
      let logSlope = logSlopeOfProbit(x, z)
      let slope = exp(logSlope)
      return Value(result: z, logSlope: logSlope, slope: slope, bend: z * slope - tanh(0.5 * x))
    case .leakyTanh:
      if abs(x) < low {
        let logSlope = logSlopeOfTanh(x)
        return Value(result: tanh(x), logSlope: logSlope, slope: exp(logSlope), bend: -2 * tanh(x))
      }
      let logSlope = logSlopeOfTanh(low)
      let slope = exp(logSlope)
      return Value(
        result: copysign(tanh(low) + slope * (abs(x) - low), x), logSlope: logSlope + 0 * sign(x), slope: slope, bend: 0
      )
    case .leakyReLU:
      let slope = x < 0 ? low : 1
      return Value(result: slope * x, logSlope: CLibrary.log(slope) + 0 * sign(x), slope: slope, bend: 0)
    case .logTanh:
      if abs(x) <= low {
        let logSlope = logSlopeOfTanh(x)
        return Value(result: tanh(x), logSlope: logSlope, slope: exp(logSlope), bend: -2 * tanh(x))
      }
      let k = logarithmOfLogTanh(low)
      return Value(
        result: copysign(tanh(low) + k * CLibrary.log(abs(x) / low), x),
        logSlope: CLibrary.log(k) - CLibrary.log(abs(x)),
        slope: k / abs(x), bend: -1 / x)
    }
  }

  func inverse(_ z: Double, low: Double, high: Double) -> Value {
    switch self {
    case .logit:
      let span = high - low
      let e = exp(-abs(z))
      let smaller = e / (1 + e)
      return Value(
        result: z < 0 ? low + span * smaller : high - span * smaller,
        logSlope: CLibrary.log(span) - abs(z) - 2 * log1p(e), slope: span * smaller / (1 + e), bend: -tanh(0.5 * z))
    case .log:
      let a = exp(z)
      return Value(result: low + a, logSlope: z, slope: a, bend: 1)
    case .softplus:
      return Value(
        result: low + Diffeo.softplus(z), logSlope: -Diffeo.softplus(-z), slope: sigmoid(z), bend: sigmoid(-z))
    case .probit:
      let span = high - low
      let (logTail, hazard) = normalTail(abs(z))
      let smaller = exp(logTail)
      let logSlope = CLibrary.log(span) + logTail + CLibrary.log(hazard)
      return Value(
        result: z < 0 ? low + span * smaller : high - span * smaller, logSlope: logSlope, slope: exp(logSlope), bend: -z
      )
    case .logisticToNormal:
      let x = logitOfNormal(z)
      let logSlope = -logSlopeOfProbit(x, z)
      let slope = exp(logSlope)
      return Value(result: x, logSlope: logSlope, slope: slope, bend: tanh(0.5 * x) * slope - z)
    case .leakyTanh:
      let end = tanh(low)
      if abs(z) < end { return inverseOfTanh(z) }
      let logSlope = -logSlopeOfTanh(low)
      let slope = exp(logSlope)
      return Value(
        result: copysign(low + slope * (abs(z) - end), z), logSlope: logSlope + 0 * sign(z), slope: slope, bend: 0)
    case .leakyReLU:
      let slope = z < 0 ? 1 / low : 1
      return Value(result: slope * z, logSlope: CLibrary.log(slope) + 0 * sign(z), slope: slope, bend: 0)
    case .logTanh:
      let end = tanh(low)
      if abs(z) <= end { return inverseOfTanh(z) }
      let k = logarithmOfLogTanh(low)
      let logarithm = (abs(z) - end) / k
      let x = low * exp(logarithm)
      return Value(
        result: copysign(x, z), logSlope: CLibrary.log(low) + logarithm - CLibrary.log(k), slope: x / k,
        bend: copysign(1 / k, z))
    }
  }

  /// Of log(1 - tanh(x)^2)
  private func logSlopeOfTanh(_ x: Double) -> Double { 2 * (CLibrary.log(2.0) - abs(x) - log1p(exp(-2 * abs(x)))) }

  private func inverseOfTanh(_ z: Double) -> Value {
    let slope = 1 / ((1 - z) * (1 + z))
    return Value(result: atanh(z), logSlope: -log1p(-z) - log1p(z), slope: slope, bend: 2 * z * slope)
  }

  private func logarithmOfLogTanh(_ bound: Double) -> Double { (1 - tanh(tanh(bound))) / bound }

  /// 0 times it is NaN for NaN only.
  private func sign(_ x: Double) -> Double { x.isNaN ? x : copysign(1, x) }

  /// The z whose normal probability is the logistic one of x: odd in x.
  private func probitOfSigmoid(_ x: Double) -> Double {
    copysign(normalQuantile(less: tanh(0.5 * abs(x)), logTail: -Diffeo.softplus(abs(x))), x)
  }

  /// The z >= 0 whose two tails differ in probability by `less`, the logarithm of the smaller one being `logTail`: in the
  /// middle from the first, outside from the second, so that each has its full precision.
  private func normalQuantile(less: Double, logTail: Double) -> Double {
    guard less < 0.46211715726000973 else { return normalTailQuantile(logTail) }
    // erf is concave on the right and Newton's method ascends from 0.
    var s = 0.0
    for _ in 0..<20 {
      let next = s + (less - erf(s)) * exp(s * s) * (0.5 * Double.pi.squareRoot())
      if !(next > s) { break }
      s = next
    }
    return s * 2.0.squareRoot()
  }

  private func logitOfNormal(_ z: Double) -> Double {
    if abs(z) < 0.5 { return 2 * atanh(erf(z * 0.5.squareRoot())) }
    let logProbability = normalTail(abs(z)).logProbability
    return copysign(log1p(-exp(logProbability)) - logProbability, z)
  }

  /// dz/dx is sigmoid(x) sigmoid(-x) / phi(z); the smaller sigmoid is the probability of z's tail.
  private func logSlopeOfProbit(_ x: Double, _ z: Double) -> Double {
    -Diffeo.softplus(-abs(x)) - CLibrary.log(normalTail(abs(z)).hazard)
  }
}

struct Domain<S: Scalar>: Bijection {
  private let map: DomainMap
  private let offset: Int
  private let columns: UnsafePointer<Int32>
  private let columnCount: Int
  private let low: UnsafeMutablePointer<S>
  private let high: UnsafeMutablePointer<S>
  /// The least and the greatest number that is mapped: the ends have no density.
  private let least: UnsafeMutablePointer<S>
  private let greatest: UnsafeMutablePointer<S>

  init(_ spec: DomainSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    map = spec.map
    self.offset = offset
    columns = try pool.copy(spec.columns.map { Int32($0) })
    columnCount = spec.columns.count
    low = try pool.take(columnCount)
    high = try pool.take(columnCount)
    least = try pool.take(columnCount)
    greatest = try pool.take(columnCount)
  }

  func prepare(_ parameters: UnsafePointer<S>) {
    for i in 0..<columnCount {
      low[i] = map.constants.isEmpty ? -.infinity : parameters[offset + i]
      high[i] = map.constants.count > 1 ? parameters[offset + columnCount + i] : .infinity
      least[i] = map.limitsSupport ? low[i].nextUp : -.infinity
      greatest[i] = high[i].isFinite ? high[i].nextDown : high[i]
    }
  }

  /// Of the mapped columns, in the direction that was run: neither slope need be a number where the other one is.
  struct Tape: BitwiseCopyable {
    let inverse: Bool
    let slope: UnsafeMutablePointer<S>
    let bend: UnsafeMutablePointer<S>
  }

  func forward(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, inverse: false) }
  func inverse(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape { try run(&pass, inverse: true) }

  private func run(_ pass: inout Pass<S>, inverse: Bool) throws(DiffeoError) -> Tape {
    let (stride, recording, scratch, logDet) = (pass.stride, pass.recording, pass.scratch, pass.logDet)
    let kept = recording ? columnCount * stride : 0
    let tape = Tape(inverse: inverse, slope: try scratch.take(kept), bend: try scratch.take(kept))
    let count = pass.count
    try pass.replace { x, y in
      y.update(from: x, count: count)
      for i in 0..<columnCount {
        let column = y + Int(columns[i]) * stride
        let (low, high) = (Double(low[i]), Double(high[i]))
        for r in 0..<stride {
          let value =
            inverse
            ? map.inverse(Double(column[r]), low: low, high: high)
            : map.forward(Double(column[r]), low: low, high: high)
          column[r] = S(value.result)
          // Rounding may have led to an end, or past it.
          if inverse, column[r] < least[i] { column[r] = least[i] }
          if inverse, column[r] > greatest[i] { column[r] = greatest[i] }
          logDet[r] += value.logSlope
          if recording {
            tape.slope[i * stride + r] = S(value.slope)
            tape.bend[i * stride + r] = S(value.bend)
          }
        }
      }
    }
    return tape
  }

  func forwardPullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) { pullback(&adjoint, tape, inverse: false) }
  func inversePullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) { pullback(&adjoint, tape, inverse: true) }

  private func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape, inverse: Bool) {
    let stride = adjoint.stride
    for i in 0..<columnCount {
      let g = adjoint.g + Int(columns[i]) * stride
      for r in 0..<stride {
        let (slope, bend) = (tape.slope[i * stride + r], tape.bend[i * stride + r])
        g[r] =
          inverse == tape.inverse
          ? g[r] * slope + adjoint.gLogDet[r] * bend
          : (g[r] - adjoint.gLogDet[r] * bend) / slope
      }
    }
  }
}
