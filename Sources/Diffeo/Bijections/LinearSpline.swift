import KernelInterface

/// A monotone spline of linear rational pieces, two in each bin (Dolatabadi, Erfani and Leckie 2020): the knots, slopes and
/// boundaries of the rational-quadratic one, and for each bin the place where its pieces meet. Its kernels are those of
/// SplineRule, which it is in memory.
struct LinearSplineRule: MapRule {
  static let name = "rational_linear"
  static let number: Int32 = 5

  let spline: SplineRule

  private init(_ spline: SplineRule) {
    var spline = spline
    spline.pieces = .linear
    self.spline = spline
  }

  init(_ options: MapOptions) throws(DiffeoError) { try self.init(SplineRule(options)) }

  init(_ record: Record) throws(DiffeoError) {
    var spline = try SplineRule(record)
    spline.minLambda = try record.double("min_lambda")
    try self.init(spline.checked())
  }

  func describe(_ record: inout Record) {
    spline.describe(&record)
    record["min_lambda"] = .double(spline.minLambda)
  }

  var parameterCount: Int { spline.parameterCount }
  func preimage(of y: Interval) -> Interval? { spline.preimage(of: y) }
  func image(of x: Interval) -> Interval? { spline.image(of: x) }
  var encoding: ColumnEncoding { spline.encoding }
  var summary: String { "\(spline.summary), of linear pieces" }

  var kernels32: MapKernels<Float> { spline.kernels32 }
  var kernels64: MapKernels<Double> { spline.kernels64 }
}

extension MapOptions {
  package static func linearSpline(
    bins: Int, low: Double, high: Double, boundary: SplineRule.Boundary = .linear,
    _ change: (inout SplineRule) -> Void = { _ in }
  ) -> MapOptions {
    var options = MapOptions(LinearSplineRule.self)
    options.spline = MapOptions.spline(bins: bins, low: low, high: high, boundary: boundary, change).spline
    return options
  }
}
