import KernelInterface

/// Puts a spec together layer by layer, from what a caller says: random choices are drawn here and stored as data.
package struct SpecBuilder: Sendable {
  package private(set) var spec: FlowSpec

  package init(dim: Int, contextDim: Int, dtype: DType) throws(DiffeoError) {
    spec = try FlowSpec(dtype: dtype, dim: dim, contextDim: contextDim)
  }

  package enum Order: Sendable {
    case natural, reversed, random
    case given([Int])
  }
  package enum Mask: Sendable {
    case even, odd, first, last, random
    case given([Bool])
  }

  /// The conventions that layers with a network share.
  package struct Conditioner: Sendable {
    package var hidden = Architecture.defaultHidden
    package var activation = Activation.relu
    package var transformer = Transformer.affine()
    package init() {}
  }

  /// The map of one number whose parameters the network gives.
  package enum Transformer: Sendable {
    case affine(
      _ scale: ScaleRule.Kind = .softClip, bound: Double = Architecture.defaultScaleBound,
      epsilon: Double = Architecture.defaultScaleEpsilon)
    case mixture(
      components: Int, family: MixtureRule.Family, target: MixtureRule.Target,
      bound: Double = Architecture.defaultMixtureBound)

    var map: ElementMap {
      get throws(DiffeoError) {
        switch self {
        case .affine(let scale, let bound, let epsilon):
          try .affine(scale, bound: bound, epsilon: epsilon)
        case .mixture(let components, let family, let target, let bound):
          try .mixture(components: components, family: family, target: target, bound: bound)
        }
      }
    }
  }

  package mutating func addAutoregressive(
    _ conditioner: Conditioner, order: Order, randomDegrees: Bool, inverted: Bool, seed: UInt64
  ) throws(DiffeoError) {
    let (dim, contextDim) = (spec.dim, spec.contextDim)
    var random = Philox(seed: seed, stream: RandomStream.architecture)
    let columns: [Int]
    switch order {
    case .natural: columns = Array(0..<dim)
    case .reversed: columns = Array((0..<dim).reversed())
    case .random: columns = random.permutation(dim)
    case .given(let given): columns = given
    }
    let layer = try AutoregressiveSpec(
      dim: dim, contextDim: contextDim, order: columns, map: conditioner.transformer.map,
      hidden: conditioner.hidden,
      hiddenDegrees: AutoregressiveSpec.degrees(
        conditioner.hidden, dim: dim, contextDim: contextDim, random: &random, drawn: randomDegrees),
      activation: conditioner.activation)
    try spec.append(LayerSpec(.autoregressive(layer), inverted: inverted))
  }

  package mutating func addCoupling(_ conditioner: Conditioner, mask: Mask, seed: UInt64)
    throws(DiffeoError)
  {
    let dim = spec.dim
    let kept: [Bool]
    switch mask {
    case .even: kept = (0..<dim).map { $0 % 2 == 0 }
    case .odd: kept = (0..<dim).map { $0 % 2 == 1 }
    case .first: kept = (0..<dim).map { $0 < dim / 2 }
    case .last: kept = (0..<dim).map { $0 >= dim / 2 }
    case .random:
      var random = Philox(seed: seed, stream: RandomStream.architecture)
      let drawn = random.permutation(dim)
      var mask = [Bool](repeating: false, count: dim)
      for i in drawn.prefix(dim / 2) { mask[i] = true }
      kept = mask
    case .given(let given): kept = given
    }
    let layer = try CouplingSpec(
      dim: dim, contextDim: spec.contextDim, mask: kept, map: conditioner.transformer.map,
      hidden: conditioner.hidden,
      activation: conditioner.activation)
    try spec.append(LayerSpec(.coupling(layer)))
  }

  package mutating func addPermutation(_ permutation: [Int]) throws(DiffeoError) {
    try spec.append(LayerSpec(.permutation(PermutationSpec(permutation, dim: spec.dim))))
  }
  package mutating func addReverse() throws(DiffeoError) {
    try addPermutation(Array((0..<spec.dim).reversed()))
  }
  package mutating func addRandomPermutation(seed: UInt64) throws(DiffeoError) {
    var random = Philox(seed: seed, stream: RandomStream.architecture)
    try addPermutation(random.permutation(spec.dim))
  }

  package mutating func addActNorm() throws(DiffeoError) {
    try spec.append(LayerSpec(.actNorm(ActNormSpec(dim: spec.dim))))
  }

  /// given: of each column; nil: from the data when training begins.
  package mutating func addStandardize(_ given: (mean: [Double], deviation: [Double])?)
    throws(DiffeoError)
  {
    try spec.append(LayerSpec(.standardize(SpecBuilder.standardize(given, dim: spec.dim))))
  }
  package mutating func standardizeContext(_ given: (mean: [Double], deviation: [Double])?)
    throws(DiffeoError)
  {
    try spec.standardizeContext(SpecBuilder.standardize(given, dim: spec.contextDim))
  }
  private static func standardize(
    _ given: (mean: [Double], deviation: [Double])?, dim: Int
  ) throws(DiffeoError) -> StandardizeSpec {
    if let given {
      try StandardizeSpec(mean: given.mean, deviation: given.deviation)
    } else {
      StandardizeSpec(dim: dim)
    }
  }
}
