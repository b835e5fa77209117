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

  package init() {}

  private func begin() throws(DiffeoError) -> FlowSpec {
    guard transforms >= 0, transforms <= FlowSpec.maxLayers / 4 else {
      throw DiffeoError(
        .invalid, "transforms is \(transforms), it must be 0 to \(FlowSpec.maxLayers / 4)")
    }
    var spec = try FlowSpec(dtype: dtype, dim: dim, contextDim: contextDim)
    if standardize {
      if contextDim > 0 { try spec.standardizeContext(StandardizeSpec(dim: contextDim)) }
      try spec.append(LayerSpec(.standardize(StandardizeSpec(dim: dim))))
    }
    return spec
  }

  private func map() throws(DiffeoError) -> ElementMap {
    try .affine(
      scale, bound: Architecture.defaultScaleBound, epsilon: Architecture.defaultScaleEpsilon)
  }

  /// Masked autoregressive flow; inverted, the inverse autoregressive flow.
  package func autoregressive(inverted: Bool) throws(DiffeoError) -> FlowSpec {
    var spec = try begin()
    var random = Philox(seed: seed, stream: RandomStream.architecture)
    for i in 0..<(transforms == 0 ? 5 : transforms) {
      if actNorm { try spec.append(LayerSpec(.actNorm(ActNormSpec(dim: dim)))) }
      let order =
        randomOrder
        ? random.permutation(dim) : i % 2 == 0 ? Array(0..<dim) : Array((0..<dim).reversed())
      let layer = try AutoregressiveSpec(
        dim: dim, contextDim: contextDim, order: order, map: map(), hidden: hidden,
        hiddenDegrees: AutoregressiveSpec.degrees(
          hidden, dim: dim, contextDim: contextDim, random: &random, drawn: false),
        activation: activation)
      try spec.append(LayerSpec(.autoregressive(layer), inverted: inverted))
    }
    return spec
  }

  package func realNVP() throws(DiffeoError) -> FlowSpec {
    guard dim != 1 || contextDim > 0 else {
      throw DiffeoError(
        .invalid, "dim is 1 and there is no context: a coupling needs a column to condition on")
    }
    var spec = try begin()
    for i in 0..<(transforms == 0 ? 8 : transforms) {
      if actNorm { try spec.append(LayerSpec(.actNorm(ActNormSpec(dim: dim)))) }
      let mask = (0..<dim).map { dim > 1 && $0 % 2 == i % 2 }
      let layer = try CouplingSpec(
        dim: dim, contextDim: contextDim, mask: mask, map: map(), hidden: hidden,
        activation: activation)
      try spec.append(LayerSpec(.coupling(layer)))
    }
    return spec
  }
}
