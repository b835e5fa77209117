/// The architecture of a base distribution: where the layers take the data to.
///
/// To add one, copy a file of this folder and write its spec into the list of Flows/Kinds.swift; CONTRIBUTING.md has what
/// else there is to do, and tests ask for it.
protocol DistributionSpec: ComponentSpec {
  /// Prepared for the kernels, in either type.
  associatedtype F32: Distribution where F32.S == Float, F32.Spec == Self
  associatedtype F64: Distribution where F64.S == Double, F64.Spec == Self
  /// Where it has a density, whatever the parameters: in every column.
  var support: Interval { get }
  // Requirements, so that each is compiled for its distribution.
  func base32(offset: Int, slot: Int, pool: Pool) throws(DiffeoError) -> Base<Float>
  func base64(offset: Int, slot: Int, pool: Pool) throws(DiffeoError) -> Base<Double>
}

extension DistributionSpec {
  var support: Interval { .line }
  var limitsSupport: Bool { support != .line }

  func base32(offset: Int, slot: Int, pool: Pool) throws(DiffeoError) -> Base<Float> {
    try Base(F32(self, offset: offset, slot: slot, pool: pool), pool: pool)
  }
  func base64(offset: Int, slot: Int, pool: Pool) throws(DiffeoError) -> Base<Double> {
    try Base(F64(self, offset: offset, slot: slot, pool: pool), pool: pool)
  }
}

/// A base that is chosen by a number and made from the options that all of these bases share.
protocol ChosenDistributionSpec: DistributionSpec {
  /// DIFFEO_BASE_* of the header.
  static var number: Int32 { get }
  init(_ options: BaseOptions, dim: Int, contextDim: Int) throws(DiffeoError)
}

/// A base before the flow that it is for: its kind and its options.
package struct BaseChoice: Sendable {
  let kind: any ChosenDistributionSpec.Type
  let options: BaseOptions

  init(_ kind: any ChosenDistributionSpec.Type, _ options: BaseOptions = BaseOptions()) {
    self.kind = kind
    self.options = options
  }
}

/// As in the C header.
package struct BaseOptions: Sendable {
  package let low, high: Double
  package let df: Double
  package let components: Int
  package let alpha, beta: Double
  package let mixture: MixtureOptions
  /// Of the context, that gives the parameters; nil: they are trained.
  package let network: NetworkConventions?

  package init(
    low: Double = 0, high: Double = 1, df: Double = 5, components: Int = 8, alpha: Double = 13, beta: Double = 13,
    mixture: MixtureOptions = MixtureOptions(), network: NetworkConventions? = nil
  ) {
    self.low = low
    self.high = high
    self.df = df
    self.components = components
    self.alpha = alpha
    self.beta = beta
    self.mixture = mixture
    self.network = network
  }

  func refuseNetwork(_ kind: String) throws(DiffeoError) {
    guard network == nil else {
      throw DiffeoError(.invalid, "a network was given, but the base \(kind) has no parameters that it could give")
    }
  }
}

/// A distribution prepared for the kernels. Works on tiles.
protocol Distribution: Prepared {
  /// Adds the log-density of pass.x, given the context, to pass.logDet. Outside of the support it is minus infinity.
  func addLogDensity(_ pass: inout Pass<S>) throws(DiffeoError) -> Tape

  /// The gradient of the log-density, each row times its adjoint.gLogDet: sets adjoint.g, which held nothing, adds to
  /// the gradient in the context, and gives gradients of parameters to the sink.
  func pullback(_ adjoint: inout Adjoint<S>, _ tape: Tape) throws(DiffeoError)

  /// Draws the rows of `sample`, pass.x, in to their mean, by a factor. Bases that another one of their kind would not
  /// come of have no such thing.
  func temper(_ factor: S, _ pass: inout Pass<S>, _ draw: Draw) throws(DiffeoError)

  /// What the pullback of `sample` needs of a recording pass.
  associatedtype Draw: BitwiseCopyable

  /// Fills pass.x with the rows number firstRow, firstRow + 1... of a seed, given the context.
  func sample(_ seed: UInt64, _ firstRow: UInt64, _ pass: inout Pass<S>) throws(DiffeoError) -> Draw

  /// From dL/d(rows of `sample`) in adjoint.g and dL/d(their log-densities) in adjoint.gLogDet, the random numbers behind
  /// them held fixed: adds to the gradient in the context, and gives gradients of parameters to the sink. What is in
  /// adjoint.g then has no meaning.
  func samplePullback(_ adjoint: inout Adjoint<S>, _ draw: Draw) throws(DiffeoError)
}

extension Distribution {
  func temper(_ factor: S, _ pass: inout Pass<S>, _ draw: Draw) throws(DiffeoError) {
    throw DiffeoError(
      .unsupported, "a temperature is for a base that is normal or logistic, that of this flow is \(Spec.kind)")
  }

  /// With the mean 0.
  func temperAroundZero(_ factor: S, _ pass: inout Pass<S>) {
    for i in 0..<pass.count { pass.x[i] *= factor }
  }
}
