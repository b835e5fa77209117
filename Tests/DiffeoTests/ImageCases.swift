import KernelInterface

@testable import Diffeo

extension ConvolutionConventions {
  static func small(
    hidden: [Int] = [5, 7], _ activation: Activation = .tanh, _ blocks: NetworkBlocks = .plain, gain: Bool = false,
    onesOutside: Bool = false, kernels: (Int, Int, Int)? = nil
  ) -> ConvolutionConventions {
    var c = ConvolutionConventions(hidden: hidden, blocks: blocks)
    c.activation = activation
    c.gain = gain
    c.onesOutside = onesOutside
    if let kernels { (c.firstKernel, c.hiddenKernel, c.lastKernel) = kernels }
    return c
  }
}

extension Case {
  /// Layers of images: maps whose lanes fill pieces and do not, borders everywhere, parts of maps.
  static let images: [Case] = {
    var cases: [Case] = []
    for shape in [[2, 4, 4], [3, 6, 2]] {
      func add(
        _ name: String, contextDim: Int = 0, _ traits: Traits = [],
        _ build: @escaping @Sendable (inout SpecBuilder) throws -> Void
      ) {
        cases.append(Case(name, shape: shape, contextDim: contextDim, traits: traits, build))
      }
      func addBoth(_ name: String, _ build: @escaping @Sendable (inout SpecBuilder) throws -> Void) {
        for inverted in [false, true] {
          add((inverted ? "inverse " : "") + name) {
            try build(&$0)
            if inverted { try $0.invertLast() }
          }
        }
      }
      for order in [SqueezeOrder.channels, .places, .diagonals] {
        add("squeeze by \(order.name)") { try $0.addSqueeze(order) }
        cases.append(
          Case("unsqueeze by \(order.name)", shape: [4 * shape[0], 2, 3]) { try $0.addUnsqueeze(order) })
      }
      addBoth("permutation of channels") { try $0.addRandomPermutation(seed: 2) }
      addBoth("actnorm") { try $0.addActNorm() }
      addBoth("elementwise affine") { try $0.addElementwiseAffine(shift: true) }
      addBoth("diagonal scaling") { try $0.addElementwiseAffine(shift: false) }
      addBoth("lu, permuted") { try $0.addLU(permuted: true, seed: 6) }
      addBoth("linear") { try $0.addLinear() }
      for contextDim in [0, 2] {
        for name in ["first", "last", "even", "odd"] {
          let mask: @Sendable (SpecBuilder) throws -> ImageMask = { builder in
            switch name {
            case "first": .channels(try builder.half(first: true))
            case "last": .channels(try builder.half(first: false))
            default: .checkerboard(even: name == "even")
            }
          }
          add("convolutional coupling, \(name)", contextDim: contextDim) {
            try $0.addConvolutionalCoupling(.small(), transformer: .affine(), mask: mask($0))
          }
          add("inverse convolutional coupling, \(name)", contextDim: contextDim) {
            try $0.addConvolutionalCoupling(.small(.silu), transformer: .affine(.exp), mask: mask($0))
            try $0.invertLast()
          }
        }
      }
      let networks: [(String, ConvolutionConventions)] = [
        ("one convolution", .small(hidden: [])),
        ("one convolution, gain, ones outside", .small(hidden: [], gain: true, onesOutside: true)),
        ("gain", .small(hidden: [6], gain: true)),
        ("ones outside", .small(hidden: [6, 3], .silu, gain: true, onesOutside: true)),
        ("3-3-3", .small(hidden: [4, 6], kernels: (3, 3, 3))),
        ("3-3-1-3", .small(hidden: [4, 6, 5], kernels: (3, 3, 1))),
        ("1-1-1", .small(hidden: [4, 6], kernels: (1, 1, 1))),
        ("5-1-3", .small(hidden: [4, 6], .silu, kernels: (5, 1, 3))),
        ("residual blocks", .small(hidden: [5, 5], .tanh, .residual)),
        ("preactivation", .small(hidden: [5, 5, 5], .silu, .preactivation)),
        ("preactivation, 1-3-3", .small(hidden: [5], .elu, .preactivation, gain: true, kernels: (1, 3, 3))),
      ]
      for contextDim in [0, 3] {
        for (name, network) in networks {
          add("convolutional coupling, \(name)", contextDim: contextDim) {
            try $0.addConvolutionalCoupling(network, transformer: .affine(), mask: .channels($0.half(first: true)))
          }
        }
      }
      add("convolutional coupling, relu", .hasKinks) {
        try $0.addConvolutionalCoupling(.small(.relu), transformer: .affine(), mask: .channels($0.half(first: true)))
      }
      add("convolutional coupling, additive") {
        try $0.addConvolutionalCoupling(
          .small(), transformer: .affine(.additive), mask: .channels($0.half(first: true)))
      }
      add("convolutional coupling, spline", .hasKinks) {
        try $0.addConvolutionalCoupling(
          .small(), transformer: .spline(bins: 4, low: -1.2, high: 1.1), mask: .checkerboard(even: true))
      }
      add("convolutional coupling, sinh-arcsinh, given") {
        try $0.addConvolutionalCoupling(
          .small(), transformer: MapOptions(SinhArcsinhRule.self),
          mask: .channels((0..<$0.map.channels).map { $0 == 1 }))
      }
      add("conditional prior, nothing kept", contextDim: 2) {
        try $0.addConditionalPrior(.small(hidden: []), keeping: [Bool](repeating: false, count: $0.map.channels))
      }
      add("conditional prior, nothing kept, hidden", contextDim: 2) {
        try $0.addConditionalPrior(
          .small(hidden: [4], kernels: (1, 1, 1)), keeping: [Bool](repeating: false, count: $0.map.channels))
      }
      for keepsFirst in [false, true] {
        add("after a split, \(keepsFirst ? "first" : "last") kept", contextDim: 1) {
          try $0.addSqueeze(.channels)
          try $0.addSplit(keepsFirst: keepsFirst, prior: .small(hidden: []))
          try $0.addActNorm()
          try $0.addLU(permuted: true, seed: 3)
          try $0.addLinear()
          try $0.addReverse()
          try $0.addConvolutionalCoupling(.small(), transformer: .affine(), mask: .channels($0.half(first: true)))
          try $0.addConvolutionalCoupling(.small(), transformer: .affine(), mask: .checkerboard(even: true))
        }
      }
    }
    cases.append(
      Case("glow of images with splines", shape: [1, 4, 4], traits: .hasKinks) { builder in
        var a = ImageArchitecture()
        a.shape = [1, 4, 4]
        (a.levels, a.steps, a.quantization, a.dtype) = (2, 1, 0, builder.spec.dtype)
        (a.network, a.transformer) = (.small(), .spline(bins: 3, low: -2, high: 2))
        builder.spec = try a.glow()
      })
    for contextDim in [0, 2] {
      for name in ["glow", "realnvp"] {
        cases.append(
          Case("\(name) of images", shape: [1, 4, 8], contextDim: contextDim) { builder in
            var a = ImageArchitecture()
            a.shape = [1, 4, 8]
            a.contextDim = contextDim
            (a.levels, a.steps, a.quantization, a.dtype) = (2, 1, 0, builder.spec.dtype)
            a.network = .small()
            // With random weights Glow's own scale has samples divided by next to nothing.
            a.transformer = .affine(.skewedClip)
            // And exp of a number that is itself one of exp is beyond all numbers.
            a.learnsPriors = contextDim == 0
            builder.spec = try name == "glow" ? a.glow() : a.realNVP()
          })
      }
    }
    return cases
  }()
}
