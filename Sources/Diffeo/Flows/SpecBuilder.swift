import KernelInterface

/// Puts a spec together layer by layer, from what a caller says: random choices are drawn here and stored as data.
package struct SpecBuilder: Sendable {
  package internal(set) var spec: FlowSpec

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
    package var network = NetworkConventions(hidden: Architecture.defaultHidden, activation: .relu)
    package var transformer = MapOptions.affine()
    package init() {}

    package var hidden: [Int] {
      get { network.hidden }
      set { network.hidden = newValue }
    }
    package var activation: Activation {
      get { network.activation }
      set { network.activation = newValue }
    }
  }

  /// A network of the context that gives the parameters of a layer or a base.
  package typealias Network = NetworkConventions

  package mutating func addAutoregressive(
    _ conditioner: Conditioner, order: Order, randomDegrees: Bool, direct: Bool = false, invertsMap: Bool = false,
    seed: UInt64
  ) throws(DiffeoError) {
    let (dim, contextDim) = (spec.dim, spec.contextDim)
    var random = Philox(seed: seed, stream: RandomStream.architecture)
    let layer = try AutoregressiveSpec(
      dim: dim, contextDim: contextDim, order: columns(order, &random), map: ElementMapSpec(conditioner.transformer),
      invertsMap: invertsMap,
      hiddenDegrees: AutoregressiveParametersSpec.degrees(
        conditioner.network, dim: dim, contextDim: contextDim, random: &random, drawn: randomDegrees),
      conditioner: .init(network: conditioner.network, direct: direct))
    try spec.append(LayerSpec(layer))
  }

  func columns(_ order: Order, _ random: inout Philox) -> [Int] {
    switch order {
    case .natural: Array(0..<spec.dim)
    case .reversed: Array((0..<spec.dim).reversed())
    case .random: random.permutation(spec.dim)
    case .given(let given): given
    }
  }

  package mutating func addCoupling(
    _ conditioner: Conditioner, mask: Mask, scaleActivation: Activation? = nil, seed: UInt64
  ) throws(DiffeoError) {
    let dim = spec.dim
    let kept: [Bool]
    switch mask {
    case .given(let given): kept = given
    // A single column depends on the context alone.
    case _ where dim == 1: kept = [false]
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
    }
    let layer = try CouplingSpec(
      dim: dim, contextDim: spec.contextDim, mask: kept, map: ElementMapSpec(conditioner.transformer),
      conditioner: conditioner.network, scaleActivation: scaleActivation)
    try spec.append(LayerSpec(layer))
  }

  package mutating func addPermutation(_ permutation: [Int]) throws(DiffeoError) {
    try spec.append(LayerSpec(PermutationSpec(permutation, dim: spec.dim)))
  }
  package mutating func addReverse() throws(DiffeoError) {
    try addPermutation(Array((0..<spec.dim).reversed()))
  }
  package mutating func addRandomPermutation(seed: UInt64) throws(DiffeoError) {
    var random = Philox(seed: seed, stream: RandomStream.architecture)
    try addPermutation(random.permutation(spec.dim))
  }

  package mutating func addActNorm() throws(DiffeoError) {
    try spec.append(LayerSpec(ActNormSpec(dim: spec.dim)))
  }

  package mutating func addBatchNorm(epsilon: Double = 1e-5, momentum: Double = 0.1) throws(DiffeoError) {
    try spec.append(
      LayerSpec(BatchNormSpec(dim: spec.dim, epsilon: epsilon, momentum: momentum)))
  }

  /// z = exp(log_scale) x + shift, not set from the data.
  package mutating func addElementwiseAffine(shift: Bool) throws(DiffeoError) {
    try spec.append(LayerSpec(ActNormSpec(dim: spec.dim, hasShift: shift, fromData: false)))
  }

  /// permuted: the matrix is P L U with a random P, drawn from the seed.
  package mutating func addLU(permuted: Bool, seed: UInt64) throws(DiffeoError) {
    var random = Philox(seed: seed, stream: RandomStream.architecture)
    let permutation = permuted ? random.permutation(spec.dim) : Array(0..<spec.dim)
    try spec.append(LayerSpec(LUSpec(permutation, dim: spec.dim)))
  }
  package mutating func addHouseholder(reflections: Int) throws(DiffeoError) {
    try spec.append(LayerSpec(HouseholderSpec(dim: spec.dim, reflections: reflections)))
  }

  /// low and high: as far as the map needs them, one for each of the columns, which ascend.
  package mutating func addDomain(_ map: DomainMap, columns: [Int], low: [Double] = [], high: [Double] = [])
    throws(DiffeoError)
  {
    try spec.append(
      LayerSpec(DomainSpec(dim: spec.dim, map: map, columns: columns, low: low, high: high)))
  }

  /// randomShift: each column begins turned by an angle drawn from the seed, else by none.
  package mutating func addWrap(low: Double, high: Double, randomShift: Bool, seed: UInt64) throws(DiffeoError) {
    var random = Philox(seed: seed, stream: RandomStream.architecture)
    let shift = randomShift ? (0..<spec.dim).map { _ in (high - low) * random.uniform() } : nil
    try spec.append(LayerSpec(WrapSpec(dim: spec.dim, low: low, high: high, shift: shift)))
  }

  /// columns: ascending; nil for all. network: of the context, that gives the parameters; nil for trained ones.
  package mutating func addElementwise(_ transformer: MapOptions, columns: [Int]? = nil, network: Network? = nil)
    throws(DiffeoError)
  {
    let layer = try ElementwiseSpec(
      dim: spec.dim, contextDim: spec.contextDim, columns: columns ?? Array(0..<spec.dim),
      map: ElementMapSpec(transformer),
      conditioner: network)
    try spec.append(LayerSpec(layer))
  }

  package mutating func addDequantize(levels: Int) throws(DiffeoError) {
    try spec.append(LayerSpec(DequantizeSpec(dim: spec.dim, levels: levels)))
  }

  /// network: of the context, that gives the parameters; nil for trained ones. Fast from data to noise; turned round,
  /// from noise to data.
  package mutating func addPlanar(network: Network? = nil) throws(DiffeoError) {
    let layer = try PlanarSpec(dim: spec.dim, contextDim: spec.contextDim, conditioner: network)
    try spec.append(LayerSpec(layer))
  }
  /// Likewise, and as fast in both directions.
  package mutating func addRadial(network: Network? = nil) throws(DiffeoError) {
    let layer = try RadialSpec(dim: spec.dim, contextDim: spec.contextDim, conditioner: network)
    try spec.append(LayerSpec(layer))
  }

  /// Turns the layer that was added last the other way round: its `inverse` runs from data to noise.
  package mutating func invertLast() throws(DiffeoError) { try spec.invertLast() }

  /// In place of the one before; a flow begins with the standard normal distribution.
  package mutating func setBase(_ base: BaseChoice) throws(DiffeoError) {
    try spec.setBase(BaseSpec(base.kind.init(base.options, dim: spec.dim, contextDim: spec.contextDim)))
  }

  /// given: of each column; nil: from the data when training begins.
  package mutating func addStandardize(_ given: (mean: [Double], deviation: [Double])?)
    throws(DiffeoError)
  {
    try spec.append(LayerSpec(SpecBuilder.standardize(given, dim: spec.dim)))
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
