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
  /// Whether the map, or its inverse, is not defined everywhere.
  var limitsSupport: Bool { get }
  /// What a network sees of the columns that the map is for.
  var encoding: ColumnEncoding { get }
  var summary: String { get }

  // For this machine. Two requirements rather than a generic one, so that what they have is compiled for the map.
  var kernels32: MapKernels<Float> { get }
  var kernels64: MapKernels<Double> { get }
}

extension MapRule {
  var initialParameters: [Double] { [] }
  var limitsSupport: Bool { false }
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
  fileprivate func refuse<Rule: MapRule>(_ given: Rule?) throws(DiffeoError) {
    guard given == nil || kind == Rule.self else {
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
  ]

  init(_ rule: any MapRule) { self.rule = rule }

  init(_ options: MapOptions) throws(DiffeoError) {
    try options.refuse(options.spline)
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
  private let rule: UnsafeRawPointer
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

  /// y, and in `logs` log dy/dx. Leaves in p what the pullback wants there; so does `inverse`.
  @inline(__always)
  func forward(
    _ count: Int, _ x: UnsafePointer<S>, _ p: UnsafeMutablePointer<S>, _ y: UnsafeMutablePointer<S>,
    _ logs: UnsafeMutablePointer<S>
  ) {
    kernels.pointee.forward(rule, count, x, p, y, logs)
  }

  /// x, and in `logs` log dy/dx (not dx/dy).
  @inline(__always)
  func inverse(
    _ count: Int, _ y: UnsafePointer<S>, _ p: UnsafeMutablePointer<S>, _ x: UnsafeMutablePointer<S>,
    _ logs: UnsafeMutablePointer<S>
  ) {
    kernels.pointee.inverse(rule, count, y, p, x, logs)
  }

  /// g: dL/dy in, dL/dx out. gp: its first `count` values dL/dlogs in, all of them dL/dp out.
  @inline(__always)
  func pullback(
    _ count: Int, _ x: UnsafePointer<S>, _ p: UnsafePointer<S>, _ logs: UnsafePointer<S>,
    _ g: UnsafeMutablePointer<S>, _ gp: UnsafeMutablePointer<S>
  ) {
    kernels.pointee.pullback(rule, count, x, p, logs, g, gp)
  }

  /// Of `inverse`, whose result was x. g: dL/dx in, dL/dy out. gp as above.
  @inline(__always)
  func inversePullback(
    _ count: Int, _ x: UnsafePointer<S>, _ p: UnsafePointer<S>, _ logs: UnsafePointer<S>,
    _ g: UnsafeMutablePointer<S>, _ gp: UnsafeMutablePointer<S>
  ) {
    kernels.pointee.inversePullback(rule, count, x, p, logs, g, gp)
  }
}
