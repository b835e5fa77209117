import KernelInterface

/// Layers of images. All go by the map that the layers before have left.
extension SpecBuilder {
  /// The channels of the map that a mask keeps: floor(channels / 2), the first ones or the last.
  package func half(first: Bool) throws(DiffeoError) -> [Bool] {
    guard map.channels > 1 else {
      throw DiffeoError(.invalid, "the map has one channel here, which does not split: a squeeze makes four of it")
    }
    let count = map.channels / 2
    return (0..<map.channels).map { first ? $0 < count : $0 >= map.channels - count }
  }

  package mutating func addSqueeze(_ order: SqueezeOrder) throws(DiffeoError) {
    let squeeze = try SqueezeSpec(map, order: order, dim: spec.dim)
    try spec.append(LayerSpec(squeeze))
    map = squeeze.squeezed
  }

  /// Depth to space.
  package mutating func addUnsqueeze(_ order: SqueezeOrder) throws(DiffeoError) {
    guard map.channels % 4 == 0 else {
      throw DiffeoError(
        .invalid, "an unsqueeze makes one channel of four, the map has \(map.channels) channels here")
    }
    let before = FeatureMap(
      start: map.start, channels: map.channels / 4, height: 2 * map.height, width: 2 * map.width)
    try spec.append(LayerSpec(SqueezeSpec(before, order: order, dim: spec.dim), inverted: true))
    map = before
  }

  package mutating func addLinear() throws(DiffeoError) {
    try spec.append(LayerSpec(LinearSpec(map, dim: spec.dim)))
  }

  /// conventions: of the network; hidden [] is one convolution.
  package mutating func addConvolutionalCoupling(
    _ conventions: ConvolutionConventions, transformer: MapOptions, mask: ImageMask
  ) throws(DiffeoError) {
    let layer = try ConvolutionalCouplingSpec(
      map, dim: spec.dim, contextDim: spec.featureDim, mask: mask, transformer: ElementMapSpec(transformer),
      conventions: conventions)
    try spec.append(LayerSpec(layer))
  }

  /// N(mean, scale) of the channels that `mask` does not keep, given those that it keeps and the context, to N(0, 1).
  package mutating func addConditionalPrior(_ conventions: ConvolutionConventions, keeping mask: [Bool])
    throws(DiffeoError)
  {
    var scale = MapOptions.affine()
    scale.scale.kind = .exp
    try addConvolutionalCoupling(conventions, transformer: scale, mask: .channels(mask))
    try spec.invertLast()
  }

  /// Leaves half of the channels behind: the layers to come work on the others. prior: of those left behind, given the
  /// others; nil: the base, as it is.
  package mutating func addSplit(keepsFirst: Bool, prior: ConvolutionConventions?) throws(DiffeoError) {
    // The kept ones are ceil(channels / 2).
    let left = try half(first: !keepsFirst)
    if let prior { try addConditionalPrior(prior, keeping: left.map { !$0 }) }
    let kept = left.reduce(0) { $0 + ($1 ? 0 : 1) }
    map = FeatureMap(
      start: map.start + (keepsFirst ? 0 : (map.channels - kept) * map.places), channels: kept, height: map.height,
      width: map.width)
    splitAfter = spec.layers.count
  }
}
