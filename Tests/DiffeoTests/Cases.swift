import KernelInterface
import Testing

@testable import Diffeo

/// Every layer and every named flow: a new one joins the contract suite by a row here.
struct Case: CustomTestStringConvertible, Sendable {
  let name: String
  let dim: Int
  let contextDim: Int
  let spec: @Sendable (DType) throws -> FlowSpec
  var traits: Traits
  var testDescription: String { name }
  /// Where nearly all of the density is, for its integral in two dimensions.
  var extent: Extent

  /// What tests must know of a case.
  struct Traits: OptionSet, Sendable {
    let rawValue: Int
    /// Activations, derivatives of splines, and the centre of a radial layer, which in one dimension some row is sure to
    /// pass: differences of finite steps say less.
    static let hasKinks = Traits(rawValue: 1)
    /// All noise, infinite too, comes from finite data.
    static let isBounded = Traits(rawValue: 2)
    /// A step of a training sees another function than the likelihood.
    static let trainsOtherwise = Traits(rawValue: 4)
    /// Each epoch of a training has noise of its own.
    static let drawsNoise = Traits(rawValue: 8)
    /// A base without layers.
    static let isBaseAlone = Traits(rawValue: 16)
  }

  enum Extent: Sendable {
    /// Each column in the range.
    case square(ClosedRange<Double>)
    /// So far out that the grid is one in arsinh x, to this edge.
    case far(Double)
    /// Noise in low...high, from where the layers go column by column and upwards.
    case noise(Double, Double)
  }

  init(
    _ name: String, dim: Int, contextDim: Int = 0, extent: Extent = .square(-14...14), traits: Traits = [],
    _ build: @escaping @Sendable (inout SpecBuilder) throws -> Void
  ) {
    self.name = "\(name), dim \(dim), context \(contextDim)"
    self.dim = dim
    self.contextDim = contextDim
    self.extent = extent
    self.traits = traits
    spec = { dtype in
      var builder = try SpecBuilder(dim: dim, contextDim: contextDim, dtype: dtype)
      try build(&builder)
      return builder.spec
    }
  }

  /// Of images.
  init(
    _ name: String, shape: [Int], contextDim: Int = 0, traits: Traits = [],
    _ build: @escaping @Sendable (inout SpecBuilder) throws -> Void
  ) {
    self.name = "\(name), \(shape.map(String.init).joined(separator: " x ")), context \(contextDim)"
    dim = shape.reduce(1, *)
    self.contextDim = contextDim
    extent = .square(-14...14)
    self.traits = traits
    spec = { dtype in
      var builder = try SpecBuilder(shape: shape, contextDim: contextDim, dtype: dtype)
      try build(&builder)
      return builder.spec
    }
  }

  init(
    _ name: String, architecture: Architecture,
    _ make: @escaping @Sendable (Architecture) throws -> FlowSpec
  ) {
    self.name = "\(name), dim \(architecture.dim), context \(architecture.contextDim)"
    dim = architecture.dim
    contextDim = architecture.contextDim
    extent = .square(-14...14)
    traits = []
    spec = { dtype in
      var a = architecture
      a.dtype = dtype
      return try make(a)
    }
  }

  static let all: [Case] =
    layers + images + blocks + dropouts + layerNorms + embeddings + domains + bases + mades + architectures

  static let layers: [Case] = {
    var cases: [Case] = []
    for (dim, contextDim) in [(1, 0), (1, 2), (2, 0), (3, 1), (6, 0), (6, 3)] {
      func add(
        _ name: String, _ traits: Traits = [], _ build: @escaping @Sendable (inout SpecBuilder) throws -> Void
      ) {
        cases.append(Case(name, dim: dim, contextDim: contextDim, traits: traits, build))
      }
      for inverted in [false, true] {
        let name = inverted ? "inverse autoregressive" : "autoregressive"
        add(name) {
          try $0.addAutoregressive(
            .small(), order: .natural, randomDegrees: false, inverted: inverted, seed: 0)
        }
        add("\(name), random order and degrees, tanh") {
          try $0.addAutoregressive(
            .small(hidden: [23, 9, 14], .tanh), order: .random, randomDegrees: true,
            inverted: inverted, seed: 5)
        }
      }
      add("autoregressive, no hidden layer") {
        try $0.addAutoregressive(
          .small(hidden: []), order: .reversed, randomDegrees: false, inverted: false, seed: 0)
      }
      for inverted in [false, true] {
        add("\(inverted ? "inverse " : "")autoregressive, direct connections") {
          try $0.addAutoregressive(
            .small(hidden: [19, 11], .tanh), order: .random, randomDegrees: true, direct: true, inverted: inverted,
            seed: 6)
        }
      }
      for inverted in [false, true] {
        add("\(inverted ? "inverse " : "")autoregressive, inverse map") {
          try $0.addAutoregressive(
            .small(.tanh), order: .random, randomDegrees: false, invertsMap: true, seed: 3)
          if inverted { try $0.invertLast() }
        }
      }
      add("inverse autoregressive, one hidden layer, silu") {
        try $0.addAutoregressive(
          .small(hidden: [19], .silu), order: .reversed, randomDegrees: false, inverted: true,
          seed: 0)
      }
      if dim > 1 || contextDim > 0 {
        add("coupling") {
          try $0.addCoupling(.small(), mask: dim == 1 ? .given([false]) : .even, seed: 0)
        }
        add("coupling, random mask, gelu") {
          try $0.addCoupling(
            .small(hidden: [12], .gelu), mask: dim == 1 ? .given([false]) : .random, seed: 3)
        }
      }
      add("actnorm") { try $0.addActNorm() }
      for inverted in [false, true] {
        let prefix = inverted ? "inverse " : ""
        func addBoth(
          _ name: String, _ traits: Traits = [], _ build: @escaping @Sendable (inout SpecBuilder) throws -> Void
        ) {
          add(prefix + name, traits) {
            try build(&$0)
            if inverted { try $0.invertLast() }
          }
        }
        addBoth("permutation") { try $0.addRandomPermutation(seed: 2) }
        addBoth("elementwise affine") { try $0.addElementwiseAffine(shift: true) }
        addBoth("diagonal scaling") { try $0.addElementwiseAffine(shift: false) }
        addBoth("batch norm", .trainsOtherwise) { try $0.addBatchNorm() }
        addBoth("lu") { try $0.addLU(permuted: false, seed: 0) }
        addBoth("lu, permuted") { try $0.addLU(permuted: true, seed: 6) }
        addBoth("linear") { try $0.addLinear() }
        addBoth("planar") { try $0.addPlanar(network: contextDim > 0 ? .small(hidden: [13], .tanh) : nil) }
        addBoth("radial", dim == 1 ? .hasKinks : []) {
          try $0.addRadial(network: contextDim > 0 ? .small(hidden: [], .tanh) : nil)
        }
        addBoth("householder") { try $0.addHouseholder(reflections: 1) }
        addBoth("householder, three") { try $0.addHouseholder(reflections: 3) }
        addBoth("standardize, given") {
          let dim = $0.spec.dim
          try $0.addStandardize(
            (
              mean: (0..<dim).map { 0.7 - 0.31 * Double($0) },
              deviation: (0..<dim).map { 0.45 + 0.61 * Double($0) }
            ))
          if $0.spec.contextDim > 0 { try $0.standardizeContext(nil) }
        }
      }
    }
    for inverted in [false, true] {
      for dim in [8, 9, 37] {
        cases.append(
          Case("\(inverted ? "inverse " : "")lu, wide", dim: dim) {
            try $0.addLU(permuted: true, seed: 1)
            if inverted { try $0.invertLast() }
          })
      }
      cases.append(
        Case("\(inverted ? "inverse " : "")autoregressive, wide", dim: 13, contextDim: 2) {
          try $0.addAutoregressive(
            .small(hidden: [150, 70]), order: .random, randomDegrees: !inverted, inverted: inverted, seed: 8)
        })
    }
    let rules: [ScaleRule.Kind] = [
      .softClip, .exp, .tanh, .softplus, .sigmoid, .additive, .gated, .clampedSoftplus, .clampedExp,
      .reciprocalSigmoid, .atan, .skewedClip, .clippedSoftplus, .softplusArsinh,
    ]
    for rule in rules {
      cases.append(
        Case("autoregressive, scale \(rule)", dim: 4, contextDim: 1) {
          try $0.addAutoregressive(
            .small(rule: rule), order: .random, randomDegrees: false, inverted: false, seed: 1)
        })
      cases.append(
        Case("inverse autoregressive, scale \(rule)", dim: 4, contextDim: 1) {
          try $0.addAutoregressive(
            .small(rule: rule), order: .random, randomDegrees: false, inverted: true, seed: 1)
        })
      cases.append(
        Case("coupling, scale \(rule)", dim: 4, contextDim: 1) {
          try $0.addCoupling(.small(rule: rule), mask: .given([true, false, false, true]), seed: 1)
        })
    }
    for (dim, contextDim) in [(1, 1), (2, 0), (6, 3)] {
      cases.append(
        Case("coupling, two networks", dim: dim, contextDim: contextDim) {
          try $0.addCoupling(
            .small(hidden: [11, 9], .silu, rule: .tanh), mask: dim == 1 ? .given([false]) : .odd,
            scaleActivation: .tanh,
            seed: 0)
        })
    }
    let boxes: [(SplineRule.Boundary, low: Double, high: Double)] = [
      // Rows of tests are in -1.6 to 1.6: inside and outside of the first, inside of the others.
      (.linear, -1.2, 1.1), (.periodic, -1.7, 1.9), (.interval, -2, 1.8), (.free, -1.2, 1.1), (.extended, -1.2, 1.1),
    ]
    for (boundary, low, high) in boxes {
      for (dim, contextDim) in [(1, 0), (1, 2), (2, 0), (3, 1), (6, 3)] {
        let conditioner = SpecBuilder.Conditioner.small(
          transformer: .spline(bins: dim == 2 ? 2 : 5, low: low, high: high, boundary: boundary))
        // Where a layer maps a box to itself the base lives in that box.
        let isBox = boundary == .periodic || boundary == .interval
        let base: BaseChoice = isBox ? .uniform(low: low, high: high) : .standardNormal
        let extent: Case.Extent = isBox ? .square(low...high) : .square(-14...14)
        for inverted in [false, true] {
          cases.append(
            Case(
              "\(inverted ? "inverse " : "")autoregressive, \(boundary) spline", dim: dim, contextDim: contextDim,
              extent: extent, traits: .hasKinks
            ) {
              try $0.addAutoregressive(
                conditioner, order: .random, randomDegrees: dim == 6, inverted: inverted, seed: 2)
              try $0.setBase(base)
            })
        }
        if dim > 1 || contextDim > 0 {
          cases.append(
            Case("coupling, \(boundary) spline", dim: dim, contextDim: contextDim, extent: extent, traits: .hasKinks) {
              try $0.addCoupling(conditioner, mask: dim == 1 ? .given([false]) : .odd, seed: 1)
              try $0.setBase(base)
            })
        }
      }
    }
    cases += conventions + linearSplines + elementwise + mixtures + formulas
    let activations: [Activation] = [
      .relu, .tanh, .elu, .silu, .leakyReLU, .softplus, .sigmoid, .gelu, .geluErf, .mish, .hardSilu,
    ]
    for activation in activations {
      cases.append(
        Case(
          "coupling, \(activation.name)", dim: 5,
          traits: [.relu, .leakyReLU, .hardSilu].contains(activation) ? .hasKinks : []
        ) {
          try $0.addCoupling(.small(activation), mask: .odd, seed: 1)
        })
    }
    return cases
  }()

  /// Networks of residual blocks, and every way in which a network learns of the context.
  static let blocks: [Case] = {
    var cases: [Case] = []
    for (dim, contextDim) in [(1, 0), (1, 2), (2, 0), (2, 1), (3, 1), (6, 0), (6, 3)] {
      var networks: [(String, NetworkConventions)] = [
        // With matrices between layers of other widths, and without.
        ("residual", .small(hidden: [19, 19, 11], .tanh, .residual)),
        ("residual, one block, silu", .small(hidden: [14], .silu, .residual)),
        ("preactivation", .small(hidden: [9, 14, 14], .gelu, .preactivation)),
        ("preactivation, normalized", .small(hidden: [17, 17], .tanh, .preactivation, normalized: true)),
        ("preactivation, normalized, unequal, silu", .small(hidden: [8, 21], .silu, .preactivation, normalized: true)),
        ("preactivation, relu", .small(hidden: [13, 13], .relu, .preactivation)),
      ]
      if contextDim > 0 {
        networks += [
          ("residual, gated", .small(hidden: [12, 12, 7], .silu, .residual, .gate)),
          ("preactivation, gated", .small(hidden: [18, 18], .elu, .preactivation, .gate)),
          (
            "preactivation, gated, normalized",
            .small(hidden: [10, 15], .gelu, .preactivation, .gate, normalized: true)
          ),
          ("residual, shifted", .small(hidden: [11, 11], .tanh, .residual, .shift)),
          ("preactivation, shifted", .small(hidden: [16, 16, 9], .silu, .preactivation, .shift)),
          (
            "preactivation, shifted, normalized",
            .small(hidden: [17, 17], .softplus, .preactivation, .shift, normalized: true)
          ),
          ("plain, shifted", .small(hidden: [15, 12], .silu, .plain, .shift)),
          ("preactivation, context in blocks", .small(hidden: [14, 14, 8], .tanh, .preactivation, .add)),
        ]
      }
      for (name, network) in networks {
        func add(
          _ layer: String, isSpline: Bool = false,
          _ build: @escaping @Sendable (inout SpecBuilder) throws -> Void
        ) {
          // Splines are the identity outside of a small box, and steep in it: a finer grid for their integral.
          let extent = Case.Extent.square(isSpline ? -6...6 : -14...14)
          cases.append(
            Case(
              "\(layer), \(name)", dim: dim, contextDim: contextDim, extent: extent,
              traits: isSpline || network.activation == .relu ? .hasKinks : [], build))
        }
        var conditioner = SpecBuilder.Conditioner()
        conditioner.network = network
        let affine = conditioner
        conditioner.transformer = .spline(bins: 4, low: -1.2, high: 1.1)
        let spline = conditioner
        for inverted in [false, true] {
          let prefix = inverted ? "inverse " : ""
          add("\(prefix)autoregressive") {
            try $0.addAutoregressive(
              affine, order: .random, randomDegrees: dim == 6, direct: dim == 3, inverted: inverted, seed: 4)
          }
          add("\(prefix)autoregressive spline", isSpline: true) {
            try $0.addAutoregressive(spline, order: .reversed, randomDegrees: false, inverted: inverted, seed: 5)
          }
        }
        // The first layer of a shifted one reads columns.
        if dim > 1 || contextDim > 0 && network.contextMode != .shift {
          let mask = SpecBuilder.Mask.given((0..<dim).map { $0 % 3 == 1 })
          add("coupling") { try $0.addCoupling(affine, mask: mask, seed: 0) }
          add("inverse coupling spline", isSpline: true) {
            try $0.addCoupling(spline, mask: mask, seed: 0)
            try $0.invertLast()
          }
          add("coupling, two networks") {
            var conditioner = affine
            conditioner.transformer = .affine(.tanh)
            try $0.addCoupling(conditioner, mask: mask, scaleActivation: .tanh, seed: 0)
          }
        }
      }
    }
    for (dim, contextDim) in [(2, 0), (5, 3)] {
      var conditioner = SpecBuilder.Conditioner.small()
      conditioner.network = .small(
        hidden: [12, 12], .tanh, .preactivation, contextDim > 0 ? .shift : .input, normalized: true)
      let made = conditioner
      cases.append(
        Case("made, 3 masks, preactivation, normalized", dim: dim, contextDim: contextDim, traits: .trainsOtherwise) {
          try $0.setBaseMADE(
            made, conditional: .gaussian, order: .random, randomDegrees: true, masks: 3, direct: true, seed: 2)
        })
    }
    cases.append(
      Case("planar and a mixture, of networks with residual blocks", dim: 3, contextDim: 2) {
        try $0.addPlanar(network: .small(hidden: [9, 9], .tanh, .preactivation, normalized: true))
        try $0.setBase(.mixture(components: 2, .small(hidden: [11], .silu, .residual)))
      })
    cases.append(
      Case("autoregressive, residual, wide", dim: 13, contextDim: 2) {
        var conditioner = SpecBuilder.Conditioner()
        conditioner.network = .small(hidden: [150, 150, 70], .elu, .preactivation, .shift, normalized: true)
        try $0.addAutoregressive(conditioner, order: .random, randomDegrees: true, inverted: false, seed: 8)
      })
    return cases
  }()

  /// What is activated is normalised over the units of its layer.
  static let layerNorms: [Case] = {
    var cases: [Case] = []
    for (dim, contextDim) in [(2, 0), (6, 3)] {
      var networks: [(String, NetworkConventions)] = [
        ("tanh", .small(hidden: [17, 9], .tanh)), ("one unit", .small(hidden: [1, 5], .silu)),
        ("preactivation", .small(hidden: [17, 17, 8], .gelu, .preactivation)),
        ("residual", .small(hidden: [12, 12], .elu, .residual)),
      ]
      if contextDim > 0 {
        networks += [
          ("residual, gated", .small(hidden: [12, 12], .silu, .residual, .gate)),
          ("plain, shifted", .small(hidden: [11, 15], .sigmoid, .plain, .shift)),
          ("preactivation, shifted", .small(hidden: [11, 11], .tanh, .preactivation, .shift)),
        ]
      }
      for (name, network) in networks {
        var conditioner = SpecBuilder.Conditioner()
        conditioner.network = network
        conditioner.network.layerNormEpsilon = 1e-5
        let normalized = conditioner
        cases.append(
          Case("coupling, layer normalization, \(name)", dim: dim, contextDim: contextDim) {
            try $0.addCoupling(normalized, mask: .even, seed: 0)
          })
      }
    }
    cases.append(
      Case(
        "planar and an embedding with layer normalization", dim: 3, contextDim: 4,
        traits: [.trainsOtherwise, .drawsNoise]
      ) {
        var network = NetworkConventions.small(hidden: [9, 9], .tanh, .preactivation, dropout: 0.2)
        network.layerNormEpsilon = 1e-3
        try $0.setEmbedding(features: 3, network: network)
        network.dropout = 0
        try $0.addPlanar(network: network)
      })
    return cases
  }()

  /// Whatever reads the context reads an embedding in its place.
  static let embeddings: [Case] = [
    Case("autoregressive, planar and a mixture of an embedding", dim: 3, contextDim: 5) {
      try $0.standardizeContext(nil)
      try $0.setEmbedding(features: 2, network: .small(hidden: [13, 9], .tanh))
      try $0.addAutoregressive(.small(.tanh), order: .random, randomDegrees: true, inverted: false, seed: 3)
      try $0.addPlanar(network: .small(hidden: [7], .tanh))
      try $0.setBase(.mixture(components: 2, .small(hidden: [6], .silu)))
    },
    Case("inverse autoregressive and coupling of a linear embedding", dim: 2, contextDim: 1) {
      try $0.setEmbedding(features: 3, network: .small(hidden: [], .relu))
      try $0.addAutoregressive(.small(.silu), order: .natural, randomDegrees: false, inverted: true, seed: 0)
      try $0.addCoupling(.small(.gelu), mask: .even, seed: 0)
    },
    Case(
      "made and coupling of an embedding with dropout", dim: 4, contextDim: 3, traits: [.trainsOtherwise, .drawsNoise]
    ) {
      try $0.setEmbedding(
        features: 17, network: .small(hidden: [12, 12], .elu, .preactivation, normalized: true, dropout: 0.2))
      try $0.addCoupling(.small(.tanh), mask: .odd, seed: 0)
      try $0.setBaseMADE(
        .small(.tanh), conditional: .gaussian, order: .random, randomDegrees: true, masks: 2, seed: 2)
    },
    Case("batch norm and coupling of an embedding", dim: 3, contextDim: 2, traits: .trainsOtherwise) {
      try $0.setEmbedding(features: 4, network: .small(hidden: [8], .tanh))
      try $0.addBatchNorm()
      try $0.addCoupling(.small(.tanh), mask: .even, seed: 0)
    },
    Case("image coupling and split of an embedding", shape: [2, 4, 4], contextDim: 3) {
      try $0.setEmbedding(features: 5, network: .small(hidden: [9], .silu))
      try $0.addSqueeze(.channels)
      try $0.addConvolutionalCoupling(.small(), transformer: .affine(), mask: .checkerboard(even: true))
      try $0.addSplit(keepsFirst: true, prior: .small(hidden: [4]))
    },
  ]

  /// Networks whose hidden units are left out in training: wherever there is one, and every way in which units are made.
  static let dropouts: [Case] = {
    var cases: [Case] = []
    for (dim, contextDim) in [(2, 0), (6, 3)] {
      var networks: [(String, NetworkConventions)] = [
        ("tanh", .small(hidden: [17, 9], .tanh, dropout: 0.3)),
        ("silu", .small(hidden: [21, 14], .silu, dropout: 0.15)),
        ("relu", .small(hidden: [16, 19], .relu, dropout: 0.5)),
        ("preactivation", .small(hidden: [17, 17, 8], .gelu, .preactivation, normalized: true, dropout: 0.2)),
      ]
      if contextDim > 0 {
        networks += [
          ("residual, gated", .small(hidden: [12, 12], .elu, .residual, .gate, dropout: 0.25)),
          ("plain, shifted", .small(hidden: [11, 15], .sigmoid, .plain, .shift, dropout: 0.1)),
        ]
      }
      for (name, network) in networks {
        func add(_ layer: String, _ build: @escaping @Sendable (inout SpecBuilder) throws -> Void) {
          let traits: Traits =
            network.activation == .relu ? [.trainsOtherwise, .drawsNoise, .hasKinks] : [.trainsOtherwise, .drawsNoise]
          cases.append(Case("\(layer), dropout, \(name)", dim: dim, contextDim: contextDim, traits: traits, build))
        }
        var conditioner = SpecBuilder.Conditioner()
        conditioner.network = network
        let affine = conditioner
        for inverted in [false, true] {
          add(inverted ? "inverse autoregressive" : "autoregressive") {
            try $0.addAutoregressive(
              affine, order: .random, randomDegrees: dim == 6, direct: dim == 6, inverted: inverted, seed: 4)
          }
        }
        add("coupling, two networks") { try $0.addCoupling(affine, mask: .odd, scaleActivation: .tanh, seed: 0) }
        add("made, 2 masks") {
          try $0.setBaseMADE(
            affine, conditional: .mixture(components: 3), order: .random, randomDegrees: false, masks: 2, seed: 2)
        }
      }
    }
    let network = NetworkConventions.small(hidden: [14], .tanh, dropout: 0.4)
    cases.append(
      Case(
        "planar, radial, elementwise and a mixture, dropout", dim: 3, contextDim: 2,
        traits: [.trainsOtherwise, .drawsNoise]
      ) {
        try $0.addPlanar(network: network)
        try $0.addRadial(network: network)
        try $0.addElementwise(.affine(.softClip), network: network)
        try $0.setBase(.mixture(components: 2, network))
      })
    return cases
  }()

  /// Splines of other libraries: zuko, Pyro, flowjax 17, and on the circle normflows and zuko.
  private static let conventions: [Case] = {
    let zuko = { @Sendable (rule: inout SplineRule) in
      (rule.logitBound, rule.derivative, rule.derivativeBound) = (3.45, .exp, 6.9)
    }
    let table: [(String, SplineRule.Boundary, Double, @Sendable (inout SplineRule) -> Void)] = [
      // pzflow's
      ("unbounded", .linear, 0, { $0.minDerivative = 0 }),
      ("clipped", .linear, 0, zuko), ("jumping", .linear, 1e-3, { $0.boundaryDerivative = 0.7 }),
      ("half-ended", .free, 0.01, { $0.halfEnds = true }), ("numbered", .periodic, 1e-3, { $0.encodesAngles = false }),
      ("half-turned", .halfTurn, 0, zuko),
    ]
    var cases: [Case] = []
    for (name, boundary, minimum, convention) in table {
      let isBox = boundary == .periodic || boundary == .halfTurn
      let (low, high) = isBox ? (-1.7, 1.9) : (-1.2, 1.1)
      for (dim, contextDim) in [(1, 0), (2, 0), (6, 3)] {
        let conditioner = SpecBuilder.Conditioner.small(
          transformer: .spline(bins: 5, low: low, high: high, boundary: boundary) {
            ($0.minWidth, $0.minHeight) = (minimum, minimum)
            convention(&$0)
          })
        let base: BaseChoice = isBox ? .uniform(low: low, high: high) : .standardNormal
        let extent: Case.Extent = isBox ? .square(low...high) : .square(-14...14)
        for inverted in [false, true] {
          cases.append(
            Case(
              "\(inverted ? "inverse " : "")autoregressive, \(name) spline", dim: dim, contextDim: contextDim,
              extent: extent, traits: .hasKinks
            ) {
              try $0.addAutoregressive(conditioner, order: .random, randomDegrees: false, inverted: inverted, seed: 2)
              try $0.setBase(base)
            })
        }
        if dim > 1 {
          cases.append(
            Case("coupling, \(name) spline", dim: dim, contextDim: contextDim, extent: extent, traits: .hasKinks) {
              try $0.addCoupling(conditioner, mask: .odd, seed: 1)
              try $0.setBase(base)
            })
        }
      }
    }
    return cases
  }()

  /// With every boundary, and Pyro's ends.
  private static let linearSplines: [Case] = {
    let table: [(String, SplineRule.Boundary, @Sendable (inout SplineRule) -> Void)] = [
      ("linear", .linear, { $0.boundaryDerivative = 0.999 }), ("periodic", .periodic, { _ in }),
      ("interval", .interval, { _ in }), ("free", .free, { $0.minLambda = 0.2 }),
      ("extended", .extended, { $0.halfEnds = true }), ("half-turned", .halfTurn, { $0.logitBound = 3 }),
    ]
    var cases: [Case] = []
    for (name, boundary, convention) in table {
      let isBox = boundary == .periodic || boundary == .halfTurn || boundary == .interval
      let (low, high) = isBox ? (-1.7, 1.9) : (-1.2, 1.1)
      for (dim, contextDim) in [(1, 0), (2, 0), (6, 3)] {
        let conditioner = SpecBuilder.Conditioner.small(
          transformer: .linearSpline(bins: 4, low: low, high: high, boundary: boundary, convention))
        let base: BaseChoice = isBox ? .uniform(low: low, high: high) : .standardNormal
        let extent: Case.Extent = isBox ? .square(low...high) : .square(-14...14)
        for inverted in [false, true] {
          cases.append(
            Case(
              "\(inverted ? "inverse " : "")autoregressive, \(name) spline of linear pieces", dim: dim,
              contextDim: contextDim, extent: extent, traits: .hasKinks
            ) {
              try $0.addAutoregressive(conditioner, order: .random, randomDegrees: false, inverted: inverted, seed: 2)
              try $0.setBase(base)
            })
        }
        if dim > 1 {
          cases.append(
            Case(
              "coupling, \(name) spline of linear pieces", dim: dim, contextDim: contextDim, extent: extent,
              traits: .hasKinks
            ) {
              try $0.addCoupling(conditioner, mask: .odd, seed: 1)
              try $0.setBase(base)
            })
        }
      }
    }
    return cases
  }()

  private static let elementwise: [Case] = {
    var cases: [Case] = []
    let spline = MapOptions.spline(bins: 4, low: -1.2, high: 1.1)
    let maps: [(String, MapOptions, Traits)] = [
      ("affine", .affine(.softClip), []), ("additive", .affine(.additive), []), ("gated", .affine(.gated), []),
      ("spline", spline, .hasKinks), ("linear spline", .linearSpline(bins: 3, low: -1.2, high: 1.1), .hasKinks),
      ("mixture", .mixture(components: 3, family: .normal, target: .logistic, bound: 2), []),
      (
        "mixture, softplus", .mixture(components: 3, family: .logistic, target: .logistic) { $0.scale = .softplus }, []
      ),
      ("sinh-arcsinh", MapOptions(SinhArcsinhRule.self), []),
    ]
    for (dim, contextDim) in [(1, 0), (1, 2), (2, 0), (6, 3)] {
      for (name, map, traits) in maps {
        for inverted in [false, true] {
          cases.append(
            Case(
              "\(inverted ? "inverse " : "")elementwise map, \(name)", dim: dim, contextDim: contextDim, traits: traits
            ) {
              try $0.addElementwise(map, network: contextDim > 0 ? .small(hidden: [12], .tanh) : nil)
              if inverted { try $0.invertLast() }
            })
        }
      }
    }
    cases.append(
      Case("elementwise spline of some columns", dim: 5, traits: .hasKinks) {
        try $0.addElementwise(spline, columns: [0, 3])
      })
    return cases
  }()

  /// Maps that are formulas (ScalarMap), in the layers with networks.
  private static let formulas: [Case] = {
    var cases: [Case] = []
    for (name, map) in [("sinh-arcsinh", MapOptions(SinhArcsinhRule.self))] {
      for (dim, contextDim) in [(1, 0), (1, 2), (2, 0), (3, 1), (6, 3)] {
        let conditioner = SpecBuilder.Conditioner.small(hidden: [18, 12], .silu, transformer: map)
        for inverted in [false, true] {
          let prefix = inverted ? "inverse " : ""
          cases.append(
            Case("\(prefix)autoregressive \(name)", dim: dim, contextDim: contextDim, extent: .far(15)) {
              try $0.addAutoregressive(conditioner, order: .random, randomDegrees: false, inverted: inverted, seed: 2)
            })
          if dim == 1 && contextDim == 0 { continue }
          cases.append(
            Case("\(prefix)coupling \(name)", dim: dim, contextDim: contextDim, extent: .far(15)) {
              try $0.addCoupling(conditioner, mask: dim == 1 ? .given([false]) : .odd, seed: 1)
              if inverted { try $0.invertLast() }
            })
        }
      }
    }
    return cases
  }()

  /// Layers that are made for data within bounds: wide enough for the suite's numbers, and where they are the last thing
  /// before the base, for nearly all of its noise.
  static let domains: [Case] = {
    var cases: [Case] = []
    for dim in [1, 2, 5] {
      let columns = Array(0..<dim)
      func add(
        _ name: String, _ inverted: Bool, _ square: ClosedRange<Double>, _ traits: Traits,
        _ build: @escaping @Sendable (inout SpecBuilder) throws -> Void
      ) {
        cases.append(
          Case((inverted ? "inverse " : "") + name, dim: dim, extent: .square(square), traits: traits) {
            try build(&$0)
            if inverted { try $0.invertLast() }
          })
      }
      for inverted in [false, true] {
        let low = columns.map { (inverted ? -8 : -2.1) - 0.3 * Double($0) }
        let high = columns.map { (inverted ? 8 : 1.9) + 0.2 * Double($0) }
        add("logit", inverted, inverted ? -14...14 : -2.4...2.1, inverted ? [] : .isBounded) {
          try $0.addDomain(.logit, columns: columns, low: low, high: high)
        }
        add("probit", inverted, inverted ? -14...14 : -2.4...2.1, inverted ? [] : .isBounded) {
          try $0.addDomain(.probit, columns: columns, low: low, high: high)
        }
        add("log", inverted, inverted ? -14...14 : -2.4...30, []) {
          try $0.addDomain(.log, columns: columns, low: low)
        }
        add("softplus", inverted, -2.4...26, []) { try $0.addDomain(.softplus, columns: columns, low: low) }
        add("logistic to normal", inverted, -25...25, []) {
          try $0.addDomain(.logisticToNormal, columns: columns)
        }
        add("leaky tanh", inverted, inverted ? -4...4 : -35...35, .hasKinks) {
          try $0.addDomain(.leakyTanh, columns: columns, low: columns.map { 1.4 + 0.1 * Double($0) })
        }
        // The density jumps at 0: there two cells of the grid of 401 meet.
        let cell = inverted ? 0.045 : 0.17
        add("leaky kink", inverted, -200 * cell...201 * cell, .hasKinks) {
          try $0.addDomain(.leakyReLU, columns: columns, low: columns.map { 0.2 + 0.1 * Double($0) })
        }
        cases.append(
          Case(
            "\(inverted ? "inverse " : "")logarithmic tanh kink", dim: dim,
            extent: inverted ? .square(-4...4) : .far(15), traits: .hasKinks
          ) {
            try $0.addDomain(.logTanh, columns: columns, low: columns.map { 0.88 + 0.03 * Double($0) })
            if inverted { try $0.invertLast() }
          })
        add("wrap", inverted, -6...6, []) { try $0.addWrap(low: -6, high: 6, randomShift: false, seed: 1) }
        add("dequantize", inverted, inverted ? -3...3 : -28...28, inverted ? [] : .drawsNoise) {
          try $0.addDequantize(levels: 3)
        }
      }
    }
    for inverted in [false, true] {
      let name = inverted ? "inverse " : ""
      cases.append(
        Case("\(name)wrap of some columns", dim: 5, extent: .square(-6...6)) {
          try $0.addWrap(columns: [0, 3], low: [-6, -6], high: [6, 6], randomShift: false, seed: 1)
          if inverted { try $0.invertLast() }
        })
      cases.append(
        Case(
          "\(name)dequantize of some columns", dim: 5, extent: .square(inverted ? -4...4 : -16...16),
          traits: inverted ? [] : .drawsNoise
        ) {
          try $0.addDequantize(columns: [1, 2, 4], levels: [0, 2, 3])
          if inverted { try $0.invertLast() }
        })
    }
    cases.append(
      Case("logit of some columns", dim: 5) {
        try $0.addDomain(.logit, columns: [0, 3], low: [-2, -1.7], high: [1.7, 5])
      })
    return cases
  }()

  static let bases: [Case] = {
    var cases: [Case] = []
    for (dim, contextDim) in [(1, 0), (2, 0), (3, 0), (6, 0), (1, 2), (2, 1), (3, 2), (6, 1)] {
      let network: SpecBuilder.Network? = contextDim == 0 ? nil : .small(hidden: [9], .tanh)
      var bases: [(String, BaseChoice)] = [
        ("normal", .normal(network)), ("student_t", .studentT(df: 5, network)),
        ("mixture", .mixture(components: 4, network)),
      ]
      for covariance in [MixtureFactors.Covariance.diagonal, .full, .precision] {
        var factors = MixtureOptions()
        (factors.covariance, factors.diagonal) = (covariance, covariance == .full ? .exp : .softplus)
        factors.epsilon = covariance == .precision ? 0 : 1e-3
        // Of two precisions: of three the curvature that Taylor's test looks at nearly vanishes in its direction.
        bases.append(
          ("mixture, \(covariance)", .mixture(components: covariance == .precision ? 2 : 3, network, factors: factors)))
      }
      if contextDim == 0 {
        bases += [
          ("logistic", .logistic), ("uniform", .uniform(low: -4, high: 5)),
          ("beta", .beta(alpha: 3, beta: 2.5, low: -4, high: 5)),
        ]
      }
      for (name, base) in bases {
        var alone = Case("\(name) alone", dim: dim, contextDim: contextDim, traits: .isBaseAlone) {
          try $0.setBase(base)
        }
        var under = Case("\(name) under a layer", dim: dim, contextDim: contextDim) {
          try $0.setBase(base)
          // So that x of the tests is within the support.
          if name == "uniform" || name == "beta" { return try $0.addActNorm() }
          try $0.addAutoregressive(.small(.tanh), order: .natural, randomDegrees: false, inverted: false, seed: 0)
        }
        switch name {
        case "student_t": (alone.extent, under.extent) = (.far(40), .far(40))
        case "logistic": (alone.extent, under.extent) = (.square(-30...30), .square(-60...60))
        case "uniform", "beta": (alone.extent, under.extent) = (.noise(-4, 5), .noise(-4, 5))
        default: break
        }
        cases += [alone, under]
      }
    }
    return cases
  }()

  /// The uniform target between layers that lead back to the real line.
  private static let mixtures: [Case] = {
    var cases: [Case] = []
    let sizes = [(1, 0, 3), (1, 2, 5), (2, 0, 3), (2, 1, 1), (3, 1, 5), (6, 0, 1), (6, 3, 3)]
    for (dim, contextDim, components) in sizes {
      for family in [MixtureRule.Family.normal, .logistic] {
        let add = { (name: String, build: @escaping @Sendable (inout SpecBuilder) throws -> Void) in
          cases.append(
            Case("\(name), \(components) \(family)", dim: dim, contextDim: contextDim, build))
        }
        let logit = MapOptions.mixture(
          components: components, family: family, target: .logistic, bound: 2)
        let uniform = MapOptions.mixture(
          components: components, family: family, target: .uniform, bound: 1)
        for inverted in [false, true] {
          add("\(inverted ? "inverse " : "")autoregressive mixture") {
            try $0.addAutoregressive(
              .small(hidden: [18, 12], .silu, transformer: logit), order: .random,
              randomDegrees: true, inverted: inverted, seed: 2)
          }
        }
        add("autoregressive mixtures to uniform and back") {
          for (i, inverted) in [false, true].enumerated() {
            try $0.addAutoregressive(
              .small(hidden: [15], .tanh, transformer: uniform), order: .random,
              randomDegrees: false, inverted: inverted, seed: UInt64(i))
          }
        }
        if dim > 1 || contextDim > 0 {
          add("coupling mixture") {
            try $0.addCoupling(
              .small(hidden: [13], .gelu, transformer: logit),
              mask: dim == 1 ? .given([false]) : .odd, seed: 0)
          }
        }
      }
    }
    return cases
  }()

  static let architectures: [Case] = {
    var cases: [Case] = []
    for (dim, contextDim) in [(1, 1), (2, 0), (5, 2)] {
      var a = Architecture()
      a.dim = dim
      a.contextDim = contextDim
      a.transforms = 3
      a.network.hidden = [16, 24]
      a.network.activation = .tanh
      a.actNorm = dim == 5
      func add(
        _ name: String, _ extent: Extent, _ traits: Traits = [],
        _ make: @escaping @Sendable (Architecture) throws -> FlowSpec
      ) {
        var c = Case(name, architecture: a, make)
        c.extent = extent
        c.traits = traits
        cases.append(c)
      }
      let normal = Extent.square(-14...14)
      add("nice", .square(-30...30)) { try $0.nice() }
      add("realnvp", normal) { try $0.realNVP() }
      add("glow", normal) { try $0.glow() }
      add("maf", normal) { try $0.maf() }
      add("iaf", normal) { try $0.iaf() }
      // Random planar layers of one column on top of each other are steps: hardly invertible. (One is in `layers`.)
      if dim > 1 { add("planar flow", normal) { try $0.planar() } }
      add("radial flow", normal, dim == 1 ? .hasKinks : []) { try $0.radial() }
      add("cdf_flow", .square(-30...30)) { try $0.cdfFlow() }
      add("spline_coupling", normal, .hasKinks) { try $0.splineCoupling() }
      add("spline_autoregressive", normal, .hasKinks) { try $0.splineAutoregressive() }
      a.periodic = true
      add("spline_coupling, periodic", .square(-Double.pi...Double.pi), .hasKinks) { try $0.splineCoupling() }
      add("spline_autoregressive, periodic", .square(-Double.pi...Double.pi), .hasKinks) {
        try $0.splineAutoregressive()
      }
      a.randomOrder = true
      add("maf, random orders", normal) { try $0.maf() }
      a.batchNorm = true
      add("maf, batch norm", normal, .trainsOtherwise) { try $0.maf() }
    }
    return cases
  }()

  static let mades: [Case] = {
    var cases: [Case] = []
    for (dim, contextDim) in [(1, 0), (1, 2), (2, 0), (5, 3)] {
      func add(
        _ name: String, _ traits: Traits = [], _ build: @escaping @Sendable (inout SpecBuilder) throws -> Void
      ) {
        cases.append(Case(name, dim: dim, contextDim: contextDim, traits: traits, build))
      }
      add("made") {
        try $0.setBaseMADE(.small(), conditional: .gaussian, order: .natural, randomDegrees: false, seed: 0)
      }
      add("made, random order and degrees, direct connections, exp") {
        try $0.setBaseMADE(
          .small(hidden: [23, 9], .tanh, rule: .exp), conditional: .gaussian, order: .random, randomDegrees: true,
          direct: true, seed: 5)
      }
      add("autoregressive over made") {
        try $0.addAutoregressive(.small(), order: .reversed, randomDegrees: false, inverted: false, seed: 0)
        try $0.setBaseMADE(.small(), conditional: .gaussian, order: .natural, randomDegrees: false, seed: 0)
      }
      add("made, 3 masks", .trainsOtherwise) {
        try $0.setBaseMADE(
          .small(hidden: [14, 23], .tanh), conditional: .gaussian, order: .random, randomDegrees: true, masks: 3,
          direct: true, seed: 2)
      }
      add("made of mixtures, direct connections") {
        try $0.setBaseMADE(
          .small(hidden: [23, 9], .tanh), conditional: .mixture(components: 5), order: .random, randomDegrees: true,
          direct: true, seed: 5)
      }
      add("autoregressive over made of mixtures, 2 masks", .trainsOtherwise) {
        try $0.addAutoregressive(.small(), order: .reversed, randomDegrees: false, inverted: false, seed: 0)
        try $0.setBaseMADE(
          .small(), conditional: .mixture(components: 3), order: .random, randomDegrees: false, masks: 2, seed: 0)
      }
      add("inverse autoregressive over made, 5 masks", .trainsOtherwise) {
        try $0.addAutoregressive(.small(), order: .natural, randomDegrees: false, inverted: true, seed: 0)
        try $0.setBaseMADE(
          .small(hidden: [31]), conditional: .gaussian, order: .random, randomDegrees: false, masks: 5, seed: 3)
      }
    }
    return cases
  }()
}

extension SpecBuilder {
  mutating func addAutoregressive(
    _ conditioner: Conditioner, order: Order, randomDegrees: Bool, direct: Bool = false, inverted: Bool, seed: UInt64
  ) throws {
    try addAutoregressive(
      conditioner, order: order, randomDegrees: randomDegrees, direct: direct, seed: seed)
    if inverted { try invertLast() }
  }
}

extension NetworkConventions {
  static func small(
    hidden: [Int] = [17, 21], _ activation: Activation = .elu, _ blocks: NetworkBlocks = .plain,
    _ contextMode: ContextMode = .input, normalized: Bool = false, dropout: Double = 0
  ) -> NetworkConventions {
    var n = NetworkConventions(hidden: hidden, activation: activation)
    n.blocks = blocks
    n.contextMode = contextMode
    n.normalized = normalized
    n.dropout = dropout
    return n
  }
}

extension SpecBuilder.Conditioner {
  static func small(
    hidden: [Int] = [17, 21], _ activation: Activation = .elu, rule: ScaleRule.Kind = .softClip,
    transformer: MapOptions? = nil
  ) -> SpecBuilder.Conditioner {
    var c = SpecBuilder.Conditioner()
    c.hidden = hidden
    c.activation = activation
    c.transformer = transformer ?? .affine(rule)
    return c
  }
  static func small(_ activation: Activation) -> SpecBuilder.Conditioner {
    small(hidden: [17, 21], activation)
  }
}

extension Flow {
  /// With weights far from the identity, masked ones too: a mask that is forgotten shows.
  static func random(_ spec: FlowSpec, seed: UInt64, strength: Double = 1) throws -> Flow<S> {
    let flow = try Flow(spec: spec, seed: seed)
    var random = Philox(seed: seed, stream: 77)
    let p = flow.parameters.pointer
    for slot in spec.slots.flatMap(\.slots) {
      for i in 0..<slot.count {
        let value = 2 * random.uniform() - 1
        switch slot.role {
        case .weight:
          let size = Double(slot.shape.dropFirst().reduce(1, *)).squareRoot()
          // A matrix by itself is to have an inverse.
          let isLinear = slot.name == "weight"
          p[slot.offset + i] = (isLinear ? p[slot.offset + i] : 0) + S(strength * (isLinear ? 0.4 : 1.3) * value / size)
        case .vector: p[slot.offset + i] = S(strength * 0.4 * value)
        case .constant: break
        }
      }
      if slot.name == "initialized" { p[slot.offset] = 1 }
    }
    return try Flow(spec: spec, parameters: flow.parameters)
  }
}

/// Plain arrays in and out.
struct Rows<S: Scalar> {
  var x: [S]
  var context: [S]
  var count: Int

  /// High-entropy numbers, no zeros or ones.
  static func random(_ count: Int, _ spec: FlowSpec, seed: UInt64, spread: Double = 1.6) -> Rows<S> {
    var random = Philox(seed: seed, stream: 78)
    return Rows(
      x: (0..<count * spec.dim).map { _ in S(spread * (2 * random.uniform() - 1)) },
      context: (0..<count * spec.contextDim).map { _ in S(2 * random.uniform() - 1) }, count: count)
  }
}

extension Flow {
  enum Question { case logProb, toNoise, fromNoise }

  func run(_ operation: Question, _ rows: Rows<S>, threads: Int = 1) throws -> (
    values: [S], logs: [S]
  ) {
    let workspace = try Workspace(threads: threads)
    var values = [S](repeating: -7, count: rows.count * spec.dim)
    var logs = [S](repeating: -7, count: rows.count)
    try rows.x.withUnsafeBufferPointer { x in
      try rows.context.withUnsafeBufferPointer { context in
        try values.withUnsafeMutableBufferPointer { values in
          try logs.withUnsafeMutableBufferPointer { logs in
            let batch = Batch(
              rows: rows.count, x: x.baseAddress, context: context.baseAddress,
              contextIsShared: false)
            switch operation {
            case .logProb: try run(.logProb(logs.baseAddress!), batch, workspace)
            case .toNoise: try run(.toNoise(values.baseAddress!, logDet: logs.baseAddress!), batch, workspace)
            case .fromNoise: try run(.fromNoise(values.baseAddress!, logDet: logs.baseAddress!), batch, workspace)
            }
          }
        }
      }
    }
    return (values, logs)
  }

  func gradient(_ rows: Rows<S>) throws -> (logProb: [S], x: [S], context: [S]) {
    let pulled = try pullback(.logProb, rows, logCotangents: [S](repeating: 1, count: rows.count), parameters: false)
    return (pulled.logs, pulled.x, pulled.context)
  }

  /// What a function gives, and the gradients; of parameters they are added to 1 each.
  struct Pulled {
    var rows, logs, x, context, parameters: [S]
  }

  func pullback(
    _ function: Pullback<S>.Function, _ rows: Rows<S>, rowCotangents: [S]? = nil, logCotangents: [S]? = nil,
    parameters wanted: Bool = true, threads: Int = 1
  ) throws -> Pulled {
    let workspace = try Workspace(threads: threads)
    let (d, n) = (spec.dim, rows.count)
    var pulled = Pulled(
      rows: [S](repeating: -7, count: n * d), logs: [S](repeating: -7, count: n), x: [S](repeating: -7, count: n * d),
      context: [S](repeating: -7, count: rows.context.count), parameters: [S](repeating: 1, count: parameters.count))
    func pointer(_ values: inout [S]) -> UnsafeMutablePointer<S> {
      let copy = UnsafeMutablePointer<S>.allocate(capacity: max(values.count, 1))
      copy.initialize(from: values, count: values.count)
      return copy
    }
    var (x, context) = (rows.x, rows.context)
    let inputs = (x: pointer(&x), context: pointer(&context))
    let given = [rowCotangents, logCotangents].map { given in
      given.map {
        var copy = $0; return pointer(&copy)
      }
    }
    let outputs = [
      pointer(&pulled.rows), pointer(&pulled.logs), pointer(&pulled.x), pointer(&pulled.context),
      pointer(&pulled.parameters),
    ]
    defer { for memory in outputs + given.compactMap({ $0 }) + [inputs.x, inputs.context] { memory.deallocate() } }
    var pullback = Pullback<S>(function)
    pullback.rowCotangents = .init(given[0].map { UnsafePointer($0) })
    pullback.logCotangents = .init(given[1].map { UnsafePointer($0) })
    (pullback.rows, pullback.logs) = (outputs[0], outputs[1])
    (pullback.inputGradient, pullback.contextGradient) = (outputs[2], outputs[3])
    if wanted { pullback.parameterGradient = outputs[4] }
    if case .sample = function { pullback.inputGradient = nil }
    let batch = Batch(
      rows: n, x: UnsafePointer(inputs.x), context: UnsafePointer(inputs.context), contextIsShared: false)
    try run(pullback, batch, workspace)
    func values(_ i: Int, _ count: Int) -> [S] { Array(UnsafeBufferPointer(start: outputs[i], count: count)) }
    return Pulled(
      rows: values(0, n * d), logs: values(1, n), x: values(2, n * d), context: values(3, rows.context.count),
      parameters: values(4, parameters.count))
  }

  func samples(
    _ count: Int, seed: UInt64, firstRow: UInt64 = 0, context: [S] = [], threads: Int = 1
  ) throws -> (x: [S], logProb: [S]) {
    let workspace = try Workspace(threads: threads)
    var x = [S](repeating: -7, count: count * spec.dim)
    var logs = [S](repeating: -7, count: count)
    try context.withUnsafeBufferPointer { context in
      try x.withUnsafeMutableBufferPointer { x in
        try logs.withUnsafeMutableBufferPointer { logs in
          let batch = Batch<S>(
            rows: count, x: nil, context: context.baseAddress, contextIsShared: false)
          try run(
            .sample(seed: seed, firstRow: firstRow, x.baseAddress!, logProb: logs.baseAddress!), batch, workspace)
        }
      }
    }
    return (x, logs)
  }
}
