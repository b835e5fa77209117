import KernelInterface

/// An invertible map of one number, with raw parameters that a network gives: the "transformer" of a coupling or an
/// autoregressive layer.
///
/// To add one, copy SinhArcsinh.swift, where it is a few formulas, or a map with kernels of its own, and write it into the
/// list below; CONTRIBUTING.md has what else there is to do, and tests ask for it.
protocol MapRule: Equatable, Sendable, BitwiseCopyable {
  /// In records.
  static var name: String { get }
  /// DIFFEO_MAP_* of the header.
  static var number: Int32 { get }

  init(_ options: MapOptions) throws(DiffeoError)
  init(_ record: Record) throws(DiffeoError)
  /// Writes what `init(_: Record)` reads.
  func describe(_ record: inout Record)

  var parameterCount: Int { get }
  /// What the parameters begin with: the biases of the last layer of the network. None: zeros.
  var initialParameters: [Double] { get }
  /// The numbers that it takes to those of an interval, or a few more; nil where it does not reach all of these.
  func preimage(of y: Interval) -> Interval?
  /// The same of its inverse.
  func image(of x: Interval) -> Interval?
  /// What a network sees of the columns that the map is for.
  var encoding: ColumnEncoding { get }
  var summary: String { get }

  // For this machine. Two requirements rather than a generic one, so that what they have is compiled for the map.
  var kernels32: MapKernels<Float> { get }
  var kernels64: MapKernels<Double> { get }
}

extension MapRule {
  var initialParameters: [Double] { [] }
  func preimage(of y: Interval) -> Interval? { .line }
  func image(of x: Interval) -> Interval? { .line }
  /// Whether the map, or its inverse, is not defined everywhere.
  var limitsSupport: Bool { preimage(of: .line) == nil || image(of: .line) == nil }
  var encoding: ColumnEncoding { .numbers }
}

/// A map before it is checked: its kind and, as in the C header, the options of all kinds, of which each takes its own.
package struct MapOptions: Sendable {
  let kind: any MapRule.Type
  package var scale = ScaleRule.standard
  /// nil: the standard.
  package var spline: SplineRule?
  package var mixture: MixtureRule?

  init(_ kind: any MapRule.Type) { self.kind = kind }

  /// number: DIFFEO_MAP_* of the header.
  package init(number: Int32) throws(DiffeoError) {
    guard let kind = ElementMapSpec.kinds.first(where: { $0.number == number }) else {
      throw DiffeoError(.invalid, "map is \(number), which is not known")
    }
    self.init(kind)
  }

  /// Options of a map that is not chosen are a mistake, not to be passed over.
  fileprivate func refuse<Rule: MapRule>(_ given: Rule?, or other: (any MapRule.Type)? = nil) throws(DiffeoError) {
    guard given == nil || kind == Rule.self || kind == other else {
      throw DiffeoError(.invalid, "there are options of the map \(Rule.name), but the map is \(kind.name)")
    }
  }
}

/// A map as part of the architecture of a layer.
struct ElementMapSpec: Equatable, Sendable {
  let rule: any MapRule

  /// Every map there is.
  static let kinds: [any MapRule.Type] = [
    ScaleRule.self,
    SplineRule.self,
    MixtureRule.self,
    SinhArcsinhRule.self,
    LinearSplineRule.self,
  ]

  init(_ rule: any MapRule) { self.rule = rule }

  init(_ options: MapOptions) throws(DiffeoError) {
    try options.refuse(options.spline, or: LinearSplineRule.self)
    try options.refuse(options.mixture)
    rule = try options.kind.init(options)
  }

  init(_ record: Record) throws(DiffeoError) {
    let name = record["transformer"] == nil ? ScaleRule.name : try record.string("transformer")
    guard let kind = ElementMapSpec.kinds.first(where: { $0.name == name }) else {
      throw DiffeoError.unknown("transformer", name)
    }
    rule = try kind.init(record)
  }

  func describe(_ record: inout Record) {
    record["transformer"] = .string(type(of: rule).name)
    rule.describe(&record)
  }

  var parameterCount: Int { rule.parameterCount }
  var initialParameters: [Double] { rule.initialParameters }
  var limitsSupport: Bool { rule.limitsSupport }
  func preimage(of y: Interval) -> Interval? { rule.preimage(of: y) }
  func image(of x: Interval) -> Interval? { rule.image(of: x) }
  var encoding: ColumnEncoding { rule.encoding }
  var summary: String { rule.summary }

  static func == (a: ElementMapSpec, b: ElementMapSpec) -> Bool { a.rule.equals(b.rule) }
}

extension MapRule {
  fileprivate func equals(_ other: any MapRule) -> Bool { (other as? Self) == self }
}

/// A map prepared for the kernels: its rule in memory of the flow, and the functions that are made for it. They work on
/// `count` numbers at once, as MapKernels says.
struct ElementMap<S: Scalar>: BitwiseCopyable {
  let parameterCount: Int
  let encoding: ColumnEncoding
  let rule: UnsafeRawPointer
  private let kernels: UnsafePointer<MapKernels<S>>

  init(_ spec: ElementMapSpec, pool: Pool) throws(DiffeoError) {
    try self.init(spec.rule, pool: pool)
  }

  init(_ rule: some MapRule, pool: Pool) throws(DiffeoError) {
    parameterCount = rule.parameterCount
    encoding = rule.encoding
    self.rule = UnsafeRawPointer(try pool.place(rule))
    // One of the two is of this type.
    let made: Any =
      switch S.dtype {
      case .f32: rule.kernels32
      case .f64: rule.kernels64
      }
    guard let made = made as? MapKernels<S> else { throw DiffeoError(.internal, "kernels of another type") }
    kernels = try pool.place(functions: made)
  }

  // The functions, which are to be given `rule`. Whoever has many columns takes one of them out of the table before: each
  // time costs a retain.

  /// `inverse` or `forward`.
  @inline(__always)
  func function(inverse: Bool) -> MapKernels<S>.Map { inverse ? kernels.pointee.inverse : kernels.pointee.forward }

  @inline(__always)
  func pullback(inverse: Bool) -> MapKernels<S>.Pullback {
    inverse ? kernels.pointee.inversePullback : kernels.pointee.pullback
  }
}
