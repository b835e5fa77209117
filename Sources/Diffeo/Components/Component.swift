/// The architecture of a part of a flow (a layer, the base, the map of the context): what is stored with a flow beside
/// its weights.
protocol ComponentSpec: Equatable, Sendable {
  /// Its name in weight files.
  static var kind: String { get }
  /// From a record, every value of which is suspect.
  init(_ record: Record, dim: Int, contextDim: Int) throws(DiffeoError)
  var record: Record { get }
  /// Its arrays in the parameter vector, in order.
  var slots: [ParameterSlot] { get }
  /// Random initial values; `parameters` are the component's own, zero so far.
  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox)
  /// One line for people.
  var summary: String { get }
  /// Whether there are finite numbers that have no density, whatever the parameters.
  var limitsSupport: Bool { get }
  /// Refuses values with which the component makes no sense; all are finite.
  func check<S: Scalar>(_ parameters: UnsafePointer<S>) throws(DiffeoError)
  /// Whether the component takes parameters from the mean and standard deviation of its inputs when training begins,
  /// and has not yet.
  func wantsStatistics<S: Scalar>(_ parameters: UnsafePointer<S>) -> Bool
  func setStatistics<S: Scalar>(
    _ parameters: UnsafeMutablePointer<S>, mean: [Double], deviation: [Double]) throws(DiffeoError)
  /// Whether it wants the median instead, and half the distance between the quantiles that are one standard deviation
  /// from the mean of a normal distribution.
  var wantsQuantiles: Bool { get }
  /// Before that: columns that share parameters share their statistics.
  func pool(_ statistics: inout ColumnStatistics)
}

extension ComponentSpec {
  func initialise<S: Scalar>(_ parameters: UnsafeMutablePointer<S>, _ random: inout Philox) {}
  var limitsSupport: Bool { false }
  func check<S: Scalar>(_ parameters: UnsafePointer<S>) throws(DiffeoError) {}
  func wantsStatistics<S: Scalar>(_ parameters: UnsafePointer<S>) -> Bool { false }
  func setStatistics<S: Scalar>(
    _ parameters: UnsafeMutablePointer<S>, mean: [Double], deviation: [Double]
  ) throws(DiffeoError) {}
  var wantsQuantiles: Bool { false }
  func pool(_ statistics: inout ColumnStatistics) {}
}

extension ComponentSpec {
  var parameterCount: Int { slots.reduce(0) { $0 + $1.count } }
}
