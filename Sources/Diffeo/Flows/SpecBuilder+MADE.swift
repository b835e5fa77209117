import KernelInterface

extension SpecBuilder {
  package enum MADEConditional: Sendable {
    case gaussian
    case mixture(components: Int)
    case bernoulli
  }

  /// In place of the base before; with no layers over it the whole flow. Of the conditioner's transformer the scale of an
  /// affine one serves Gaussian conditionals. Random orders and degrees are drawn for each mask.
  package mutating func setBaseMADE(
    _ conditioner: Conditioner, conditional: MADEConditional, order: Order, randomDegrees: Bool, masks: Int = 1,
    direct: Bool = false, seed: UInt64?
  ) throws(DiffeoError) {
    let (dim, contextDim) = (spec.dim, spec.featureDim)
    let kind: MADESpec.Conditional
    switch conditional {
    case .gaussian:
      guard let rule = try ElementMapSpec(conditioner.transformer).rule as? ScaleRule else {
        throw DiffeoError(.invalid, "Gaussian conditionals have an affine transformer")
      }
      kind = .gaussian(rule)
    case .mixture(let components):
      kind = try .mixture(components: components)
    case .bernoulli: kind = .bernoulli
    }
    // Before orders and degrees are drawn: sizes that cannot be cost nothing.
    try MADESpec.check(maskCount: masks)
    _ = try NetworkSpec(
      inputs: dim + contextDim, contextInputs: contextDim, outputs: dim, conventions: conditioner.network)
    try setBase(seed: seed) { random throws(DiffeoError) in
      var drawn: [MADESpec.Mask] = []
      for _ in 0..<masks {
        drawn.append(
          MADESpec.Mask(
            order: order.columns(dim, &random),
            hiddenDegrees: try AutoregressiveParametersSpec.degrees(
              conditioner.network, dim: dim, contextDim: contextDim, random: &random, drawn: randomDegrees)))
      }
      return try BaseSpec(
        MADESpec(
          dim: dim, contextDim: contextDim, conditional: kind, masks: drawn,
          conditioner: .init(network: conditioner.network, direct: direct)))
    }
  }
}

extension SpecBuilder.MADEConditional {
  var isBernoulli: Bool {
    if case .bernoulli = self { true } else { false }
  }
}
