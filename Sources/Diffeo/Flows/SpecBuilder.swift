import KernelInterface

/// Puts a spec together layer by layer, from what a caller says: random choices are drawn here and stored as data.
package struct SpecBuilder: Sendable {
  package internal(set) var spec: FlowSpec
  /// What layers that go by channel work on: all columns, until a squeeze gives them another shape and a split leaves some
  /// behind.
  package internal(set) var map: FeatureMap
  /// How what standardizes, and is added from now on, takes its constants from the data.
  package var standardization = Standardization.deviation
  /// So many layers there were after the latest split.
  var splitAfter: Int?
  /// Layers and a base whose choices have no seed of their own, to be drawn again for the seed of a flow.
  private var unseededLayers: [Int: Drawn<LayerSpec>] = [:]
  private var unseededBase: Drawn<BaseSpec>?

  typealias Drawn<Part> = @Sendable (inout Philox) throws(DiffeoError) -> Part

  package init(dim: Int, contextDim: Int, dtype: DType) throws(DiffeoError) {
    try self.init(shape: [dim], contextDim: contextDim, dtype: dtype)
  }

  /// shape: [dim], or [channels, height, width].
  package init(shape: [Int], contextDim: Int, dtype: DType) throws(DiffeoError) {
    spec = try FlowSpec(dtype: dtype, shape: shape, contextDim: contextDim)
    map = spec.map
  }

  /// The spec as a flow of this seed has it: choices without a seed of their own depend on it and the layer's number. Its
  /// parts have to fit together.
  package func spec(seed: UInt64) throws(DiffeoError) -> FlowSpec {
    var spec = spec
    for (i, make) in unseededLayers {
      var random = SpecBuilder.draws(seed, part: i)
      try spec.replace(i, make(&random))
    }
    if let unseededBase {
      var random = SpecBuilder.draws(seed, part: SpecBuilder.basePart)
      try spec.setBase(unseededBase(&random))
    }
    try spec.checkSupports()
    return spec
  }

  private static let basePart = FlowSpec.maxLayers

  /// Each part of a flow has a stream of its own.
  private static func draws(_ seed: UInt64, part: Int) -> Philox {
    Philox(seed: seed, stream: RandomStream.architecture &+ UInt64(part))
  }

  /// seed: of the layer's random choices; nil: the flow's, and the layer's number.
  private mutating func append(seed: UInt64?, _ make: @escaping Drawn<LayerSpec>) throws(DiffeoError) {
    let number = spec.layers.count
    var random = SpecBuilder.draws(seed ?? 0, part: seed == nil ? number : 0)
    try spec.append(make(&random))
    if seed == nil { unseededLayers[number] = make }
  }

  mutating func setBase(seed: UInt64?, _ make: @escaping Drawn<BaseSpec>) throws(DiffeoError) {
    var random = SpecBuilder.draws(seed ?? 0, part: seed == nil ? SpecBuilder.basePart : 0)
    try spec.setBase(make(&random))
    unseededBase = seed == nil ? make : nil
  }

  package enum Standardization: Sendable {
    /// Mean and standard deviation.
    case deviation
    /// Median, and half the distance between two quantiles.
    case robust
  }

  package enum Order: Sendable {
    case natural, reversed, random
    case given([Int])

    func columns(_ dim: Int, _ random: inout Philox) -> [Int] {
      switch self {
      case .natural: Array(0..<dim)
      case .reversed: Array((0..<dim).reversed())
      case .random: random.permutation(dim)
      case .given(let given): given
      }
    }
  }
  package enum Mask: Sendable {
    case even, odd, first, last, random
    case given([Bool])

    func kept(_ dim: Int, _ random: inout Philox) -> [Bool] {
      switch self {
      case .given(let given): return given
      // A single column depends on the context alone.
      case _ where dim == 1: return [false]
      case .even: return (0..<dim).map { $0 % 2 == 0 }
      case .odd: return (0..<dim).map { $0 % 2 == 1 }
      case .first: return (0..<dim).map { $0 < dim / 2 }
      case .last: return (0..<dim).map { $0 >= dim / 2 }
      case .random:
        var mask = [Bool](repeating: false, count: dim)
        for i in random.permutation(dim).prefix(dim / 2) { mask[i] = true }
        return mask
      }
    }
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
    seed: UInt64?
  ) throws(DiffeoError) {
    let (dim, contextDim) = (spec.dim, spec.featureDim)
    try append(seed: seed) { random throws(DiffeoError) in
      try LayerSpec(
        AutoregressiveSpec(
          dim: dim, contextDim: contextDim, order: order.columns(dim, &random),
          map: ElementMapSpec(conditioner.transformer), invertsMap: invertsMap,
          hiddenDegrees: AutoregressiveParametersSpec.degrees(
            conditioner.network, dim: dim, contextDim: contextDim, random: &random, drawn: randomDegrees),
          conditioner: .init(network: conditioner.network, direct: direct)))
    }
  }

  package mutating func addCoupling(
    _ conditioner: Conditioner, mask: Mask, scaleActivation: Activation? = nil, seed: UInt64?
  ) throws(DiffeoError) {
    let (dim, contextDim) = (spec.dim, spec.featureDim)
    try append(seed: seed) { random throws(DiffeoError) in
      try LayerSpec(
        CouplingSpec(
          dim: dim, contextDim: contextDim, mask: mask.kept(dim, &random), map: ElementMapSpec(conditioner.transformer),
          conditioner: conditioner.network, scaleActivation: scaleActivation))
    }
  }

  package mutating func addPermutation(_ permutation: [Int]) throws(DiffeoError) {
    try spec.append(LayerSpec(PermutationSpec(permutation, map, dim: spec.dim)))
  }
  package mutating func addReverse() throws(DiffeoError) {
    try addPermutation(Array((0..<map.channels).reversed()))
  }
  package mutating func addRandomPermutation(seed: UInt64?) throws(DiffeoError) {
    let (map, dim) = (map, spec.dim)
    try append(seed: seed) { random throws(DiffeoError) in
      try LayerSpec(PermutationSpec(Self.mixing(map.channels, &random), map, dim: dim))
    }
  }

  package mutating func addActNorm() throws(DiffeoError) {
    try spec.append(LayerSpec(ActNormSpec(map, dim: spec.dim)))
  }

  package mutating func addBatchNorm(epsilon: Double = 1e-5, momentum: Double = 0.1) throws(DiffeoError) {
    try spec.append(
      LayerSpec(BatchNormSpec(dim: spec.dim, epsilon: epsilon, momentum: momentum)))
  }

  /// z = exp(log_scale) x + shift, not set from the data.
  package mutating func addElementwiseAffine(shift: Bool) throws(DiffeoError) {
    try spec.append(LayerSpec(ActNormSpec(map, dim: spec.dim, hasShift: shift, fromData: false)))
  }

  /// permuted: the matrix is P L U with a random P, drawn from the seed.
  package mutating func addLU(permuted: Bool, seed: UInt64?) throws(DiffeoError) {
    let (map, dim) = (map, spec.dim)
    try append(seed: seed) { random throws(DiffeoError) in
      let channels = map.channels
      return try LayerSpec(
        LUSpec(permuted ? Self.mixing(channels, &random) : Array(0..<channels), map, dim: dim))
    }
  }

  /// A random order. Of two columns the one that moves them: with the other a coupling would keep what the last one kept.
  private static func mixing(_ dim: Int, _ random: inout Philox) -> [Int] {
    let drawn = random.permutation(dim)
    return dim == 2 ? [1, 0] : drawn
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
  package mutating func addWrap(low: Double, high: Double, randomShift: Bool, seed: UInt64?) throws(DiffeoError) {
    let dim = spec.dim
    try append(seed: seed) { random throws(DiffeoError) in
      let shift = randomShift ? (0..<dim).map { _ in (high - low) * random.uniform() } : nil
      return try LayerSpec(WrapSpec(dim: dim, low: low, high: high, shift: shift))
    }
  }

  /// low and high: one for each of the columns, which ascend.
  package mutating func addWrap(columns: [Int], low: [Double], high: [Double], randomShift: Bool, seed: UInt64?)
    throws(DiffeoError)
  {
    let dim = spec.dim
    try append(seed: seed) { random throws(DiffeoError) in
      let shift = randomShift ? zip(low, high).map { ($1 - $0) * random.uniform() } : nil
      return try LayerSpec(WrapSpec(dim: dim, columns: columns, low: low, high: high, shift: shift))
    }
  }

  /// columns: ascending; nil for all. network: of the context, that gives the parameters; nil for trained ones.
  package mutating func addElementwise(_ transformer: MapOptions, columns: [Int]? = nil, network: Network? = nil)
    throws(DiffeoError)
  {
    let layer = try ElementwiseSpec(
      dim: spec.dim, contextDim: spec.featureDim, columns: columns ?? Array(0..<spec.dim),
      map: ElementMapSpec(transformer),
      conditioner: network)
    try spec.append(LayerSpec(layer))
  }

  package mutating func addDequantize(levels: Int) throws(DiffeoError) {
    try spec.append(LayerSpec(DequantizeSpec(dim: spec.dim, levels: levels)))
  }

  /// levels: one for each of the columns, which ascend.
  package mutating func addDequantize(columns: [Int], levels: [Int]) throws(DiffeoError) {
    try spec.append(LayerSpec(DequantizeSpec(dim: spec.dim, columns: columns, levels: levels)))
  }

  /// network: of the context, that gives the parameters; nil for trained ones. Fast from data to noise; turned round,
  /// from noise to data.
  package mutating func addPlanar(network: Network? = nil) throws(DiffeoError) {
    let layer = try PlanarSpec(dim: spec.dim, contextDim: spec.featureDim, conditioner: network)
    try spec.append(LayerSpec(layer))
  }
  /// Likewise, and as fast in both directions.
  package mutating func addRadial(network: Network? = nil) throws(DiffeoError) {
    let layer = try RadialSpec(dim: spec.dim, contextDim: spec.featureDim, conditioner: network)
    try spec.append(LayerSpec(layer))
  }

  /// Turns the layer that was added last the other way round: its `inverse` runs from data to noise.
  package mutating func invertLast() throws(DiffeoError) {
    if splitAfter == spec.layers.count {
      throw DiffeoError(.state, "the latest is a split, which has no inverse: it leaves channels behind for good")
    }
    if spec.layers.last?.spec is SqueezeSpec {
      throw DiffeoError(
        .state, "the last layer is a squeeze, which gives those after it their shape: add its inverse instead")
    }
    try spec.invertLast()
  }

  /// In place of the one before; a flow begins with the standard normal distribution.
  package mutating func setBase(_ base: BaseChoice) throws(DiffeoError) {
    try spec.setBase(BaseSpec(base.kind.init(base.options, dim: spec.dim, contextDim: spec.featureDim)))
    unseededBase = nil
  }

  /// given: of each column; nil: from the data when training begins.
  package mutating func addStandardize(_ given: (mean: [Double], deviation: [Double])?)
    throws(DiffeoError)
  {
    try spec.append(LayerSpec(standardize(given, dim: spec.dim)))
  }
  package mutating func standardizeContext(_ given: (mean: [Double], deviation: [Double])?)
    throws(DiffeoError)
  {
    try spec.standardizeContext(standardize(given, dim: spec.contextDim))
  }
  package mutating func setDType(_ dtype: DType) { spec.dtype = dtype }

  /// network: of the context, that gives the features which layers and the base then read.
  package mutating func setEmbedding(features: Int, network: Network) throws(DiffeoError) {
    try spec.setEmbedding(EmbeddingSpec(contextDim: spec.contextDim, features: features, conventions: network))
  }

  private func standardize(
    _ given: (mean: [Double], deviation: [Double])?, dim: Int
  ) throws(DiffeoError) -> StandardizeSpec {
    if let given {
      try StandardizeSpec(mean: given.mean, deviation: given.deviation)
    } else {
      StandardizeSpec(dim: dim, robust: standardization == .robust)
    }
  }
}
