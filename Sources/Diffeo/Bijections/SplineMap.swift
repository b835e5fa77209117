import Glibc
import KernelInterface

/// The rational-quadratic spline of one number: checks, and its words in records. The formulas are those of KernelTable.
extension SplineRule {
  static let transformer = "rational_quadratic"
  private static let boundaries = Names(
    [
      (.linear, "linear"), (.periodic, "periodic"), (.interval, "interval"),
    ] as [(Boundary, String)])

  static let maxBins = 64
  static let defaultMinimum = 1e-3

  init(
    bins: Int, low: Double, high: Double, boundary: Boundary, minWidth: Double = defaultMinimum,
    minHeight: Double = defaultMinimum, minDerivative: Double = defaultMinimum
  ) throws(DiffeoError) {
    guard 2...SplineRule.maxBins ~= bins else {
      throw DiffeoError(.invalid, "a spline of \(bins) bins was asked for, it must be 2 to \(SplineRule.maxBins)")
    }
    // Knots must stay apart in float32.
    guard abs(low) <= 1e6, abs(high) <= 1e6, high - low >= 1e-3 * max(abs(low), abs(high)), high - low >= 1e-6 else {
      throw DiffeoError(
        .invalid,
        "the spline's box is \(low) to \(high): it must be within -1e6 to 1e6, low below high, and its width 1e-6 at "
          + "least and a thousandth of the larger end")
    }
    for (name, minimum) in [("min_width", minWidth), ("min_height", minHeight)]
    where !(minimum >= 1e-6 && minimum * Double(bins) < 1) {
      throw DiffeoError(
        .invalid, "\(name) is \(minimum), with \(bins) bins it must be at least 1e-6 and below \(1 / Double(bins))")
    }
    guard minDerivative >= 1e-6, minDerivative < 1 else {
      throw DiffeoError(.invalid, "min_derivative is \(minDerivative), it must be at least 1e-6 and below 1")
    }
    self.init(
      bins: bins, low: low, high: high, boundary: boundary, minWidth: minWidth, minHeight: minHeight,
      minDerivative: minDerivative, offset: log(expm1(1 - minDerivative)))
  }

  init(_ record: Record) throws(DiffeoError) {
    func minimum(_ name: String) throws(DiffeoError) -> Double {
      record[name] == nil ? SplineRule.defaultMinimum : try record.double(name)
    }
    try self.init(
      bins: record.int("bins"), low: record.double("low"), high: record.double("high"),
      boundary: SplineRule.boundaries.choice(record, "boundary"), minWidth: minimum("min_width"),
      minHeight: minimum("min_height"), minDerivative: minimum("min_derivative"))
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
  }

  var summary: String { "\(SplineRule.boundaries.name(boundary)) spline of \(bins) bins on [\(low), \(high)]" }
}
