import KernelInterface

/// Flows of the literature by name. Each is a few lines of SpecBuilder; docs/flows.md has their formulas and sources.
package struct Architecture: Sendable {
  package var dim = 0
  package var contextDim = 0
  /// 0: the default of the architecture.
  package var transforms = 0
  /// Of each layer.
  package var network = NetworkConventions(hidden: Architecture.defaultHidden, activation: .relu)
  package var dtype = DType.f32
  /// nil: the default of the architecture.
  package var scale: ScaleRule.Kind?
  package var randomOrder = false
  /// nil: not at all.
  package var standardize: SpecBuilder.Standardization? = .deviation
  package var actNorm = false
  package var batchNorm = false
  package var seed: UInt64 = 0
  package var conditional = SpecBuilder.MADEConditional.gaussian
  /// 0: the default of the architecture.
  package var components = 0
  package var masks = 1
  package var bins = 8
  /// 0: pi for angles, else 4.
  package var bound = 0.0
  package var periodic = false
  /// nil: that of the architecture.
  package var base: BaseChoice?
  /// Of the context; nil: layers read the context itself.
  package var embedding: (features: Int, network: NetworkConventions)?

  package static let defaultHidden = [128, 128]
  package static let defaultComponents = 8

  package init() {}

  /// Additive couplings with alternating masks, a diagonal scaling, a logistic base.
  package func nice() throws(DiffeoError) -> FlowSpec {
    try build { builder, random throws(DiffeoError) in
      for i in 0..<count(4) { try addCoupling(&builder, i, .affine(.additive), &random) }
      try builder.addElementwiseAffine(shift: false)
      try builder.setBase(.logistic)
    }
  }

  /// What flows by name scale with that draw samples by dividing: by 1/e at least in a layer. Wider, samples of a flow
  /// that is trained lightly may land far from all data (docs/learning.md).
  private var divisor: ScaleRule.Kind { scale ?? .skewedClip }

  /// Affine couplings with alternating masks.
  package func realNVP() throws(DiffeoError) -> FlowSpec {
    try build { builder, random throws(DiffeoError) in
      for i in 0..<count(8) { try addCoupling(&builder, i, .affine(divisor), &random) }
    }
  }

  /// Steps of actnorm, invertible linear layer and affine coupling.
  package func glow() throws(DiffeoError) -> FlowSpec {
    var plain = self
    plain.actNorm = false
    return try plain.build { builder, random throws(DiffeoError) in
      for _ in 0..<count(6) {
        try builder.addActNorm()
        try builder.addLU(permuted: true, seed: random.next())
        try plain.addCoupling(&builder, mask: .last, .affine(divisor))
      }
    }
  }

  /// One masked network as a density.
  package func made() throws(DiffeoError) -> FlowSpec {
    if base != nil { throw DiffeoError(.invalid, "made is a base itself, and takes no other") }
    var plain = self
    if conditional.isBernoulli { plain.standardize = nil }
    return try plain.build { builder, random throws(DiffeoError) in
      try setBaseMADE(&builder, conditional, &random)
    }
  }

  /// Masked autoregressive flow; with components over a MADE with mixtures (MAF MoG).
  package func maf() throws(DiffeoError) -> FlowSpec {
    if base != nil, components > 0 {
      throw DiffeoError(.invalid, "with components the base of a maf is a MADE: it takes no other")
    }
    return try build { builder, random throws(DiffeoError) in
      for i in 0..<count(5) { try addAutoregressive(&builder, i, .affine(divisor), &random) }
      if components > 0 { try setBaseMADE(&builder, .mixture(components: components), &random) }
    }
  }

  /// Inverse autoregressive flow; given a context its base depends on it, too.
  package func iaf() throws(DiffeoError) -> FlowSpec {
    try build { builder, random throws(DiffeoError) in
      for i in 0..<count(5) {
        try addAutoregressive(&builder, i, .affine(scale ?? .softClip), &random) { builder throws(DiffeoError) in
          try builder.invertLast()
        }
      }
      if contextDim > 0 { try builder.setBase(.normal(contextNetwork)) }
    }
  }

  /// A linear layer, so that no correlation is left to them, and planar layers, explicit from noise to data.
  package func planar() throws(DiffeoError) -> FlowSpec {
    try build { builder, random throws(DiffeoError) in
      if dim > 1 { try builder.addLU(permuted: false, seed: random.next()) }
      for _ in 0..<count(16) {
        try addTransform(&builder) { builder throws(DiffeoError) in
          try builder.addPlanar(network: contextNetwork)
          try builder.invertLast()
        }
      }
    }
  }

  /// A linear layer, so that no correlation is left to them, and radial layers, explicit from noise to data.
  package func radial() throws(DiffeoError) -> FlowSpec {
    try build { builder, random throws(DiffeoError) in
      if dim > 1 { try builder.addLU(permuted: false, seed: random.next()) }
      for _ in 0..<count(16) {
        try addTransform(&builder) { builder throws(DiffeoError) in
          try builder.addRadial(network: contextNetwork)
          try builder.invertLast()
        }
      }
    }
  }

  /// The triangular map by CDFs of mixtures, on the scale of logits.
  package func cdfFlow() throws(DiffeoError) -> FlowSpec {
    try build { builder, random throws(DiffeoError) in
      let map = MapOptions.mixture(
        components: components == 0 ? Architecture.defaultComponents : components, family: .normal, target: .logistic)
      for i in 0..<count(1) { try addAutoregressive(&builder, i, map, &random) }
      try builder.setBase(.logistic)
    }
  }

  /// Neural spline flow with couplings. On the line linear layers mix the columns; on the torus masks alternate.
  package func splineCoupling() throws(DiffeoError) -> FlowSpec {
    try buildSplines { a, builder, random throws(DiffeoError) in
      for i in 0..<count(5) {
        if periodic {
          try builder.addWrap(low: -splineBound, high: splineBound, randomShift: i > 0, seed: random.next())
          try a.addCoupling(&builder, i, spline, &random)
        } else {
          if dim > 1 { try builder.addLU(permuted: true, seed: random.next()) }
          try a.addCoupling(&builder, mask: .first, spline)
        }
      }
      if dim > 1, !periodic { try builder.addLU(permuted: true, seed: random.next()) }
    }
  }

  /// Neural spline flow with autoregressive layers, and linear layers as above.
  package func splineAutoregressive() throws(DiffeoError) -> FlowSpec {
    try buildSplines { a, builder, random throws(DiffeoError) in
      for i in 0..<count(3) {
        if periodic {
          try builder.addWrap(low: -splineBound, high: splineBound, randomShift: i > 0, seed: random.next())
        } else if dim > 1 {
          try builder.addLU(permuted: true, seed: random.next())
        }
        try a.addAutoregressive(&builder, i, spline, &random)
      }
      if dim > 1, !periodic { try builder.addLU(permuted: true, seed: random.next()) }
    }
  }

  // MARK: - Parts

  private func count(_ standard: Int) -> Int { transforms == 0 ? standard : transforms }

  private var splineBound: Double { bound != 0 ? bound : periodic ? Double.pi : 4 }

  private var spline: MapOptions {
    .spline(bins: bins, low: -splineBound, high: splineBound, boundary: periodic ? .periodic : .linear)
  }

  /// What reads the context alone.
  private var contextNetwork: SpecBuilder.Network? {
    if contextDim == 0 { return nil }
    var network = network
    network.contextMode = .input
    return network
  }

  private func conditioner(_ transformer: MapOptions) -> SpecBuilder.Conditioner {
    var conditioner = SpecBuilder.Conditioner()
    conditioner.network = network
    conditioner.transformer = transformer
    return conditioner
  }

  private func build(
    _ body: (inout SpecBuilder, inout Philox) throws(DiffeoError) -> Void
  ) throws(DiffeoError) -> FlowSpec {
    try Limit.check("architecture.transforms", transforms)
    try Limit.check("architecture.components", components)
    var builder = try SpecBuilder(dim: dim, contextDim: contextDim, dtype: dtype)
    if let embedding { try builder.setEmbedding(features: embedding.features, network: embedding.network) }
    if let standardize {
      builder.standardization = standardize
      if contextDim > 0 { try builder.standardizeContext(nil) }
      try builder.addStandardize(nil)
    }
    var random = Philox(seed: seed, stream: RandomStream.architecture)
    try body(&builder, &random)
    if let base { try builder.setBase(placed(base, angles: builder.spec.base.spec is UniformSpec)) }
    return builder.spec
  }

  /// A base lives where the layers end: on the line, for angles on the circle.
  private func placed(_ base: BaseChoice, angles: Bool) throws(DiffeoError) -> BaseChoice {
    let isBounded = base.kind == UniformSpec.self || base.kind == BetaSpec.self
    switch (angles, isBounded) {
    case (true, true) where base.kind == UniformSpec.self: return .uniform(low: -splineBound, high: splineBound)
    case (false, false): return base
    case (true, _):
      throw DiffeoError(
        .invalid, "the base is \(base.kind.kind), but the layers of angles end on the circle: it must be uniform")
    case (false, true):
      throw DiffeoError(
        .invalid, "the base is \(base.kind.kind), but the layers end on the whole line, where it has no density")
    }
  }

  /// Angles have no mean and no deviation, and a layer that scales them would leave the torus.
  private func buildSplines(
    _ body: (Architecture, inout SpecBuilder, inout Philox) throws(DiffeoError) -> Void
  ) throws(DiffeoError) -> FlowSpec {
    try Limit.check("architecture.bound", bound)
    guard periodic else {
      return try build { builder, random throws(DiffeoError) in try body(self, &builder, &random) }
    }
    var plain = self
    plain.standardize = nil
    plain.actNorm = false
    plain.batchNorm = false
    return try plain.build { builder, random throws(DiffeoError) in
      if let standardize, contextDim > 0 {
        builder.standardization = standardize
        try builder.standardizeContext(nil)
      }
      try body(plain, &builder, &random)
      try builder.setBase(.uniform(low: -splineBound, high: splineBound))
    }
  }

  /// What is wanted around every transform.
  private func addTransform(
    _ builder: inout SpecBuilder, _ add: (inout SpecBuilder) throws(DiffeoError) -> Void
  ) throws(DiffeoError) {
    if actNorm { try builder.addActNorm() }
    try add(&builder)
    if batchNorm { try builder.addBatchNorm() }
  }

  /// Number i of the couplings: masks take turns, or are drawn.
  private func addCoupling(
    _ builder: inout SpecBuilder, _ i: Int, _ transformer: MapOptions, _ random: inout Philox
  ) throws(DiffeoError) {
    try addCoupling(
      &builder, mask: randomOrder ? .random : i % 2 == 0 ? .even : .odd, transformer, seed: random.next())
  }

  private func addCoupling(
    _ builder: inout SpecBuilder, mask: SpecBuilder.Mask, _ transformer: MapOptions, seed: UInt64 = 0
  ) throws(DiffeoError) {
    guard dim != 1 || contextDim > 0 else {
      throw DiffeoError(
        .invalid,
        "dim is 1 and there is no context: a coupling needs 2 columns at least, an autoregressive flow does not")
    }
    try addTransform(&builder) { builder throws(DiffeoError) in
      try builder.addCoupling(conditioner(transformer), mask: mask, seed: seed)
    }
  }

  /// Number i of the autoregressive layers: orders take turns, or are drawn.
  private func addAutoregressive(
    _ builder: inout SpecBuilder, _ i: Int, _ transformer: MapOptions, _ random: inout Philox,
    then: (inout SpecBuilder) throws(DiffeoError) -> Void = { _ in }
  ) throws(DiffeoError) {
    let seed = random.next()
    try addTransform(&builder) { builder throws(DiffeoError) in
      try builder.addAutoregressive(
        conditioner(transformer), order: randomOrder ? .random : i % 2 == 0 ? .natural : .reversed,
        randomDegrees: false, seed: seed)
      try then(&builder)
    }
  }

  private func setBaseMADE(
    _ builder: inout SpecBuilder, _ conditional: SpecBuilder.MADEConditional, _ random: inout Philox
  ) throws(DiffeoError) {
    // Masks differ where orders and degrees are drawn.
    let drawn = randomOrder || masks > 1
    try builder.setBaseMADE(
      conditioner(.affine(divisor)), conditional: conditional, order: drawn ? .random : .natural,
      randomDegrees: drawn, masks: masks, seed: random.next())
  }
}
