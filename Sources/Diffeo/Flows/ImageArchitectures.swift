import KernelInterface

/// Flows of images by name. Each is a few lines of SpecBuilder; docs/flows.md has their formulas and sources.
package struct ImageArchitecture: Sendable {
  /// [channels, height, width]
  package var shape: [Int] = []
  package var contextDim = 0
  /// Scales, each of half the height and width of the one before; 0: those of the architecture.
  package var levels = 0
  /// Of each level; 0: the default of the architecture.
  package var steps = 0
  /// Of each coupling. nil: the default of the architecture.
  package var network: ConvolutionConventions?
  /// Of each coupling. Glow's own scale, at most 1: products over many layers stay finite, where others overflow in the
  /// first steps.
  package var transformer = MapOptions.affine(.sigmoid)
  package var dtype = DType.f32
  /// Images are counts 0 to quantization - 1; 0: real numbers, taken as they are.
  package var quantization = 256
  /// Of counts: z = logit(alpha + (1 - 2 alpha) x / quantization); 0: x / quantization - 1/2.
  package var alpha = 1e-6
  /// Whether half of the channels leave at each level but the last, and whether with a prior that is learned.
  package var splits = true
  package var learnsPriors = true
  /// Whether the prior of what is left in the end is learned, too.
  package var learnsTop = true
  /// Of glow: invertible 1x1 convolutions by their factors, or as any matrix.
  package var factorised = true
  package var seed: UInt64 = 0

  package static let defaultHidden = [128, 128]

  /// Of what is split off, and of what is left in the end: one convolution that begins at 0.
  package static var prior: ConvolutionConventions {
    var prior = ConvolutionConventions(hidden: [])
    prior.gain = true
    return prior
  }

  package init() {}

  /// Multi-scale Glow, Kingma and Dhariwal 2018: levels of squeeze, steps (actnorm, invertible 1x1 convolution, affine
  /// coupling) and split.
  package func glow() throws(DiffeoError) -> FlowSpec {
    try build { builder, random throws(DiffeoError) in
      let count = levels == 0 ? halvings(leaving: 2) : levels
      for level in 0..<max(count, 1) {
        try builder.addSqueeze(.channels)
        for _ in 0..<(steps == 0 ? 8 : steps) {
          try builder.addActNorm()
          if factorised {
            try builder.addLU(permuted: true, seed: random.next())
          } else {
            try builder.addLinear()
          }
          try builder.addConvolutionalCoupling(
            network ?? ConvolutionConventions(hidden: Self.defaultHidden), transformer: transformer,
            mask: .channels(builder.half(first: true)))
        }
        if level < count - 1 { try split(&builder) }
      }
    }
  }

  /// Multi-scale RealNVP, Dinh, Sohl-Dickstein and Bengio 2017, section 3.6: couplings with checkerboards, a squeeze,
  /// couplings by channel and a split; and checkerboards in the end. Actnorm in place of batch normalisation.
  package func realNVP() throws(DiffeoError) -> FlowSpec {
    try build { builder, _ throws(DiffeoError) in
      let count = levels == 0 ? halvings(leaving: 4) + 1 : levels
      let steps = steps == 0 ? 3 : steps
      for level in 0..<max(count, 1) {
        let isLast = level >= count - 1
        for i in 0..<(isLast ? steps + 1 : steps) {
          try builder.addActNorm()
          try addCoupling(&builder, .checkerboard(even: i % 2 == 0))
        }
        if isLast { break }
        try builder.addSqueeze(.diagonals)
        for i in 0..<steps {
          try builder.addActNorm()
          try addCoupling(&builder, .channels(builder.half(first: i % 2 == 0)))
        }
        try split(&builder)
      }
    }
  }

  private func addCoupling(_ builder: inout SpecBuilder, _ mask: ImageMask) throws(DiffeoError) {
    try builder.addConvolutionalCoupling(
      network ?? ConvolutionConventions(hidden: [64, 64], blocks: .preactivation), transformer: transformer,
      mask: mask)
  }

  /// How often height and width can be halved, so that this many places are left, at most three times.
  private func halvings(leaving least: Int) -> Int {
    var (count, height, width) = (0, shape[1], shape[2])
    while count < 3, height % 2 == 0, width % 2 == 0, height >= 2 * least, width >= 2 * least {
      (count, height, width) = (count + 1, height / 2, width / 2)
    }
    return count
  }

  private func split(_ builder: inout SpecBuilder) throws(DiffeoError) {
    if splits { try builder.addSplit(keepsFirst: true, prior: learnsPriors ? Self.prior : nil) }
  }

  private func build(
    _ body: (inout SpecBuilder, inout Philox) throws(DiffeoError) -> Void
  ) throws(DiffeoError) -> FlowSpec {
    try Limit.check("image.levels", levels)
    try Limit.check("image.steps", steps)
    try Limit.check("image.quantization", quantization)
    try Limit.check("image.alpha", alpha)
    guard shape.count == 3 else {
      throw DiffeoError(.invalid, "the shape has \(shape.count) numbers, it must be [channels, height, width]")
    }
    var builder = try SpecBuilder(shape: shape, contextDim: contextDim, dtype: dtype)
    if quantization > 0 {
      try builder.addDequantize(levels: quantization)
      let dim = builder.spec.dim
      if alpha > 0 {
        // log((x + e) / (1 + e - x)) is the logit of alpha + (1 - 2 alpha) x.
        let edge = alpha / (1 - 2 * alpha)
        try builder.addDomain(
          .logit, columns: Array(0..<dim), low: [Double](repeating: -edge, count: dim),
          high: [Double](repeating: 1 + edge, count: dim))
      } else {
        try builder.addStandardize(
          ([Double](repeating: 0.5, count: dim), [Double](repeating: 1, count: dim)))
      }
    }
    var random = Philox(seed: seed, stream: RandomStream.architecture)
    try body(&builder, &random)
    if learnsTop {
      if contextDim > 0 {
        try builder.addConditionalPrior(Self.prior, keeping: [Bool](repeating: false, count: builder.map.channels))
      } else {
        try builder.addElementwiseAffine(shift: true)
      }
    }
    return builder.spec
  }
}
