import CLibrary
import KernelInterface

/// A monotone rational-quadratic spline of one number: neural spline flows, Durkan, Bekasov, Murray and Papamakarios 2019;
/// periodic, Rezende et al. 2020. Checks, and its words in records. The formulas are those of the kernels.
extension SplineRule: MapRule {
  static let name = "rational_quadratic"
  static let number: Int32 = 2
  private static let boundaries = Names(
    [
      (.linear, "linear"), (.periodic, "periodic"), (.interval, "interval"), (.free, "free"), (.extended, "extended"),
      (.halfTurn, "half_turn"),
    ] as [(Boundary, String)])
  private static let derivatives = Names([(.softplus, "softplus"), (.exp, "exp")] as [(Derivative, String)])
  private static let encodings = Names([(true, "circle"), (false, "numbers")])

  static let maxBins = 64

  /// What goes without saying.
  package static let standard: SplineRule = {
    var rule = SplineRule(
      bins: 8, low: -4, high: 4, boundary: .linear, minWidth: 1e-3, minHeight: 1e-3, minDerivative: 1e-3, offset: 0)
    rule.derivativeBound = log(1000)
    return rule
  }()

  /// The rule, with the numbers that follow from those given.
  func checked() throws(DiffeoError) -> SplineRule {
    try Limit.check("spline.bins", bins)
    try Limit.check("spline.low", low)
    try Limit.check("spline.high", high)
    try Limit.check("spline.min_derivative", minDerivative)
    try Limit.check("spline.logit_bound", logitBound)
    try Limit.check("spline.derivative_bound", derivativeBound)
    try Limit.check("spline.boundary_derivative", boundaryDerivative)
    try Limit.check("spline.min_lambda", minLambda)
    // Knots must stay apart in float32.
    guard high - low >= 1e-3 * max(abs(low), abs(high)), high - low >= 1e-6 else {
      throw DiffeoError(
        .invalid,
        "the spline's box is \(low) to \(high): low must be below high, and its width 1e-6 at least and a thousandth of "
          + "the larger end")
    }
    for (name, minimum) in [("min_width", minWidth), ("min_height", minHeight)]
    where !(minimum >= 0 && minimum * Double(bins) < 1) {
      throw DiffeoError(
        .invalid,
        "\(name) is \(minimum), with \(bins) bins it must be at least 0 and below \(1 / Double(bins))")
    }
    guard boundaryDerivative == 1 || boundary == .linear else {
      throw DiffeoError(
        .invalid,
        "boundary_derivative is \(boundaryDerivative): only the boundary linear fixes it, this one is "
          + SplineRule.boundaries.name(boundary))
    }
    guard encodesAngles || boundary == .periodic else {
      throw DiffeoError(
        .invalid,
        "the encoding is numbers: there is another one for the boundary periodic only, this one is "
          + SplineRule.boundaries.name(boundary))
    }
    var rule = self
    rule.offset = log(expm1(1 - minDerivative))
    return rule
  }

  init(_ options: MapOptions) throws(DiffeoError) { self = try (options.spline ?? .standard).checked() }

  init(_ record: Record) throws(DiffeoError) {
    var rule = SplineRule.standard
    rule.bins = try record.int("bins")
    rule.low = try record.double("low")
    rule.high = try record.double("high")
    rule.boundary = try SplineRule.boundaries.choice(record, "boundary")
    if record["min_width"] != nil { rule.minWidth = try record.double("min_width") }
    if record["min_height"] != nil { rule.minHeight = try record.double("min_height") }
    if record["min_derivative"] != nil { rule.minDerivative = try record.double("min_derivative") }
    if record["logit_bound"] != nil { rule.logitBound = try record.double("logit_bound") }
    if record["derivative"] != nil { rule.derivative = try SplineRule.derivatives.choice(record, "derivative") }
    if rule.derivative == .exp { rule.derivativeBound = try record.double("derivative_bound") }
    if record["boundary_derivative"] != nil { rule.boundaryDerivative = try record.double("boundary_derivative") }
    if record["half_ends"] != nil { rule.halfEnds = try record.bool("half_ends") }
    if record["encoding"] != nil { rule.encodesAngles = try SplineRule.encodings.choice(record, "encoding") }
    self = try rule.checked()
  }

  func describe(_ record: inout Record) {
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

  /// The box goes to itself.
  func preimage(of y: Interval) -> Interval? {
    let box = Interval(low, high)
    return box.contains(y) ? box : boundary == .interval ? nil : .line
  }
  func image(of x: Interval) -> Interval? { preimage(of: x) }

  var encoding: ColumnEncoding {
    boundary == .periodic && encodesAngles ? .circle(low: low, high: high) : .numbers
  }

  var kernels32: MapKernels<Float> { Float.kernels.spline }
  var kernels64: MapKernels<Double> { Double.kernels.spline }
}

extension MapOptions {
  package static func spline(
    bins: Int, low: Double, high: Double, boundary: SplineRule.Boundary = .linear,
    _ change: (inout SplineRule) -> Void = { _ in }
  ) -> MapOptions {
    var rule = SplineRule.standard
    (rule.bins, rule.low, rule.high, rule.boundary) = (bins, low, high, boundary)
    change(&rule)
    var options = MapOptions(SplineRule.self)
    options.spline = rule
    return options
  }
}
