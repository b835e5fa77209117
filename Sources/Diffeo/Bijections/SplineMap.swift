import Glibc
import KernelInterface

/// The rational-quadratic spline of one number: checks, and its words in records. The formulas are those of KernelTable.
extension SplineRule {
  static let transformer = "rational_quadratic"
  private static let boundaries = Names(
    [
      (.linear, "linear"), (.periodic, "periodic"), (.interval, "interval"), (.free, "free"), (.extended, "extended"),
      (.halfTurn, "half_turn"),
    ] as [(Boundary, String)])
  private static let derivatives = Names([(.softplus, "softplus"), (.exp, "exp")] as [(Derivative, String)])
  private static let encodings = Names([(true, "circle"), (false, "numbers")])

  static let maxBins = 64
  package static let defaultMinimum = 1e-3

  /// What other libraries do otherwise; left alone it is what nflows does.
  package struct Convention: Equatable, Sendable {
    package var logitBound = 0.0
    package var derivative = Derivative.softplus
    package var derivativeBound = 1.0
    package var boundaryDerivative = 1.0
    package var halfEnds = false
    package var encodesAngles = true
    package init() {}
  }

  init(
    bins: Int, low: Double, high: Double, boundary: Boundary, minWidth: Double = defaultMinimum,
    minHeight: Double = defaultMinimum, minDerivative: Double = defaultMinimum, convention: Convention = Convention()
  ) throws(DiffeoError) {
    try Limit.check("spline.bins", bins)
    try Limit.check("spline.low", low)
    try Limit.check("spline.high", high)
    try Limit.check("spline.min_derivative", minDerivative)
    try Limit.check("spline.logit_bound", convention.logitBound)
    try Limit.check("spline.derivative_bound", convention.derivativeBound)
    try Limit.check("spline.boundary_derivative", convention.boundaryDerivative)
    // Knots must stay apart in float32.
    guard high - low >= 1e-3 * max(abs(low), abs(high)), high - low >= 1e-6 else {
      throw DiffeoError(
        .invalid,
        "the spline's box is \(low) to \(high): low must be below high, and its width 1e-6 at least and a thousandth of "
          + "the larger end")
    }
    // Bins need a width: a bound of the logits gives them one, too.
    let least = convention.logitBound > 0 ? 0 : 1e-6
    for (name, minimum) in [("min_width", minWidth), ("min_height", minHeight)]
    where !(minimum >= least && minimum * Double(bins) < 1) {
      throw DiffeoError(
        .invalid,
        "\(name) is \(minimum), with \(bins) bins it must be at least \(least) and below \(1 / Double(bins))")
    }
    guard convention.boundaryDerivative == 1 || boundary == .linear else {
      throw DiffeoError(
        .invalid,
        "boundary_derivative is \(convention.boundaryDerivative): only the boundary linear fixes it, this one is "
          + SplineRule.boundaries.name(boundary))
    }
    guard convention.encodesAngles || boundary == .periodic else {
      throw DiffeoError(
        .invalid,
        "the encoding is numbers: there is another one for the boundary periodic only, this one is "
          + SplineRule.boundaries.name(boundary))
    }
    self.init(
      bins: bins, low: low, high: high, boundary: boundary, minWidth: minWidth, minHeight: minHeight,
      minDerivative: minDerivative, offset: log(expm1(1 - minDerivative)))
    logitBound = convention.logitBound
    derivative = convention.derivative
    derivativeBound = convention.derivativeBound
    boundaryDerivative = convention.boundaryDerivative
    halfEnds = convention.halfEnds
    encodesAngles = convention.encodesAngles
  }

  init(_ record: Record) throws(DiffeoError) {
    func minimum(_ name: String) throws(DiffeoError) -> Double {
      record[name] == nil ? SplineRule.defaultMinimum : try record.double(name)
    }
    var convention = Convention()
    if record["logit_bound"] != nil { convention.logitBound = try record.double("logit_bound") }
    if record["derivative"] != nil { convention.derivative = try SplineRule.derivatives.choice(record, "derivative") }
    if convention.derivative == .exp { convention.derivativeBound = try record.double("derivative_bound") }
    if record["boundary_derivative"] != nil {
      convention.boundaryDerivative = try record.double("boundary_derivative")
    }
    if record["half_ends"] != nil { convention.halfEnds = try record.bool("half_ends") }
    if record["encoding"] != nil { convention.encodesAngles = try SplineRule.encodings.choice(record, "encoding") }
    try self.init(
      bins: record.int("bins"), low: record.double("low"), high: record.double("high"),
      boundary: SplineRule.boundaries.choice(record, "boundary"), minWidth: minimum("min_width"),
      minHeight: minimum("min_height"), minDerivative: minimum("min_derivative"), convention: convention)
  }

  func describe(_ record: inout Record) {
    record["transformer"] = .string(SplineRule.transformer)
    record["bins"] = .int(bins)
    record["low"] = .double(low)
    record["high"] = .double(high)
    record["boundary"] = .string(SplineRule.boundaries.name(boundary))
    record["min_width"] = .double(minWidth)
    record["min_height"] = .double(minHeight)
    record["min_derivative"] = .double(minDerivative)
    // What goes without saying is not said, so that older libraries read it, too.
    if logitBound > 0 { record["logit_bound"] = .double(logitBound) }
    if derivative == .exp {
      record["derivative"] = .string(SplineRule.derivatives.name(derivative))
      record["derivative_bound"] = .double(derivativeBound)
    }
    if boundaryDerivative != 1 { record["boundary_derivative"] = .double(boundaryDerivative) }
    if halfEnds { record["half_ends"] = .bool(true) }
    if !encodesAngles { record["encoding"] = .string(SplineRule.encodings.name(encodesAngles)) }
  }

  var summary: String { "\(SplineRule.boundaries.name(boundary)) spline of \(bins) bins on [\(low), \(high)]" }
}
