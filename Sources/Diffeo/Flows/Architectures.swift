import KernelInterface

/// Flows of the literature by name.
package struct Architecture: Sendable {
  package var dim = 0
  package var contextDim = 0
  /// 0: the default of the architecture.
  package var transforms = 0
  package var hidden = Architecture.defaultHidden
  package var activation = Activation.relu
  package var dtype = DType.f32
  package var scale = ScaleRule.Kind.softClip
  package var randomOrder = false
  package var standardize = true
  package var actNorm = false
  package var seed: UInt64 = 0

  package static let defaultHidden = [128, 128]
  /// A layer scales by 1/20 to 20. Wider, a single outlier can throw a training of many couplings far off; narrower
  /// costs nothing that was measured on the demo's data.
  package static let defaultScaleBound = 3.0
  package static let defaultScaleEpsilon = 1e-3
  /// Components as narrow as 1/1100, as wide as 1100.
  package static let defaultMixtureBound = 7.0

  package init() {}

  private func begin() throws(DiffeoError) -> SpecBuilder {
    guard transforms >= 0, transforms <= FlowSpec.maxLayers / 4 else {
      throw DiffeoError(.invalid, "transforms is \(transforms), it must be 0 to \(FlowSpec.maxLayers / 4)")
    }
    var builder = try SpecBuilder(dim: dim, contextDim: contextDim, dtype: dtype)
    if standardize {
      if contextDim > 0 { try builder.standardizeContext(nil) }
      try builder.addStandardize(nil)
    }
    return builder
  }

  private var conditioner: SpecBuilder.Conditioner {
    var conditioner = SpecBuilder.Conditioner()
    conditioner.hidden = hidden
    conditioner.activation = activation
    conditioner.transformer = .affine(scale)
    return conditioner
  }

  /// Masked autoregressive flow; inverted, the inverse autoregressive flow.
  package func autoregressive(inverted: Bool) throws(DiffeoError) -> FlowSpec {
    var builder = try begin()
    var random = Philox(seed: seed, stream: RandomStream.architecture)
    for i in 0..<(transforms == 0 ? 5 : transforms) {
      if actNorm { try builder.addActNorm() }
      try builder.addAutoregressive(
        conditioner, order: randomOrder ? .random : i % 2 == 0 ? .natural : .reversed, randomDegrees: false,
        inverted: inverted, seed: random.next())
    }
    return builder.spec
  }

  package func realNVP() throws(DiffeoError) -> FlowSpec {
    guard dim != 1 || contextDim > 0 else {
      throw DiffeoError(.invalid, "dim is 1 and there is no context: RealNVP needs 2 columns at least, a MAF does not")
    }
    var builder = try begin()
    for i in 0..<(transforms == 0 ? 8 : transforms) {
      if actNorm { try builder.addActNorm() }
      // A single column depends on the context alone.
      let mask: SpecBuilder.Mask = dim == 1 ? .given([false]) : i % 2 == 0 ? .even : .odd
      try builder.addCoupling(conditioner, mask: mask, seed: 0)
    }
    return builder.spec
  }
}
