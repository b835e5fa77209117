import CDiffeo
import CLibrary
import Diffeo
import KernelInterface

// MARK: - Networks and maps, which other options point to

extension diffeo_network_options: SizedStruct {
  mutating func setDefaults() {
    activation = Int32(DIFFEO_RELU)
    blocks = Int32(DIFFEO_BLOCKS_PLAIN)
    context_mode = Int32(DIFFEO_CONTEXT_INPUT)
  }

  /// The network that options point to; standard: its widths where they do not say.
  static func network(
    _ options: UnsafePointer<Self>?, hidden standard: [Int] = Architecture.defaultHidden
  ) throws(DiffeoError) -> NetworkConventions {
    let o = try read(options)
    var network = NetworkConventions(
      hidden: o.hidden == nil && o.hidden_count == 0 ? standard : try o.widths,
      activation: try choice(o.activation, "activation"))
    network.blocks = try choice(o.blocks, "blocks")
    network.contextMode = try choice(o.context_mode, "context_mode")
    network.normalized = try flag(o.normalized, "normalized")
    network.dropout = o.dropout
    network.layerNormEpsilon = o.layer_norm_epsilon
    return network
  }

  /// Of the context; nil for NULL: trained vectors.
  static func contextNetwork(_ options: UnsafePointer<Self>?) throws(DiffeoError) -> SpecBuilder.Network? {
    options == nil ? nil : try network(options, hidden: [64])
  }

  private var widths: [Int] {
    get throws(DiffeoError) {
      let count = Int(hidden_count)
      try Limit.check("network.hidden_count", count)
      return try integers(hidden, hidden_count, "hidden", atMost: count)
    }
  }
}

extension diffeo_map_options: SizedStruct {
  mutating func setDefaults() {
    map = Int32(DIFFEO_MAP_AFFINE)
    let d = ScaleRule.standard
    (scale, scale_bound, scale_epsilon) = (d.kind.rawValue, d.bound, d.epsilon)
    (log_scale_low, log_scale_high) = (d.low, d.high)
  }

  static func map(_ options: UnsafePointer<Self>?) throws(DiffeoError) -> MapOptions {
    let o = try read(options)
    var map = try MapOptions(number: o.map)
    map.scale.kind = try choice(o.scale, "scale")
    (map.scale.bound, map.scale.epsilon) = (o.scale_bound, o.scale_epsilon)
    (map.scale.low, map.scale.high) = (o.log_scale_low, o.log_scale_high)
    if o.spline != nil { map.spline = try diffeo_spline_options.read(o.spline).rule }
    if o.mixture != nil { map.mixture = try diffeo_mixture_options.read(o.mixture).rule }
    return map
  }
}

extension diffeo_spline_options: SizedStruct {
  mutating func setDefaults() {
    let d = SplineRule.standard
    (bins, low, high, boundary) = (Int64(d.bins), d.low, d.high, d.boundary.rawValue)
    (min_width, min_height, min_derivative) = (d.minWidth, d.minHeight, d.minDerivative)
    (derivative, derivative_bound, boundary_derivative) = (
      d.derivative.rawValue, d.derivativeBound, d.boundaryDerivative
    )
    encoding = Int32(DIFFEO_ENCODING_CIRCLE)
    min_lambda = d.minLambda
  }

  var rule: SplineRule {
    get throws(DiffeoError) {
      var rule = SplineRule.standard
      (rule.bins, rule.low, rule.high) = (Int(bins), low, high)
      rule.boundary = try choice(boundary, "boundary")
      (rule.minWidth, rule.minHeight, rule.minDerivative) = (min_width, min_height, min_derivative)
      rule.logitBound = logit_bound
      rule.derivative = try choice(derivative, "derivative")
      rule.derivativeBound = derivative_bound
      rule.boundaryDerivative = boundary_derivative
      rule.halfEnds = try flag(half_ends, "half_ends")
      rule.encodesAngles = try choice(
        encoding, "encoding", [DIFFEO_ENCODING_CIRCLE: true, DIFFEO_ENCODING_NUMBERS: false])
      rule.minLambda = min_lambda
      return rule
    }
  }
}

extension diffeo_mixture_options: SizedStruct {
  mutating func setDefaults() {
    let d = MixtureRule.standard
    (components, family, target) = (Int64(d.components), d.family.rawValue, d.target.rawValue)
    (scale_bound, scale, scale_epsilon) = (d.bound, d.scale.rawValue, d.epsilon)
  }

  var rule: MixtureRule {
    get throws(DiffeoError) {
      try requireZero(reserved)
      var rule = MixtureRule(
        components: Int(components), family: try choice(family, "family"), target: try choice(target, "target"),
        bound: scale_bound)
      (rule.scale, rule.epsilon) = (try choice(scale, "scale"), scale_epsilon)
      return rule
    }
  }
}

// MARK: - Layers and bases

extension diffeo_autoregressive_options: SizedStruct {
  mutating func setDefaults() {
    order = Int32(DIFFEO_ORDER_NATURAL)
    degrees = Int32(DIFFEO_DEGREES_SEQUENTIAL)
  }
}

extension diffeo_coupling_options: SizedStruct {
  mutating func setDefaults() { mask = Int32(DIFFEO_MASK_EVEN) }
}

extension diffeo_elementwise_options: SizedStruct {
  mutating func setDefaults() {}
}

extension diffeo_base_options: SizedStruct {
  mutating func setDefaults() {
    let defaults = BaseOptions()
    base = Int32(DIFFEO_BASE_STANDARD_NORMAL)
    (low, high, df) = (defaults.low, defaults.high, defaults.df)
    components = Int64(defaults.components)
    (alpha, beta) = (defaults.alpha, defaults.beta)
    (covariance, diagonal) = (defaults.mixture.covariance.rawValue, defaults.mixture.diagonal.rawValue)
    epsilon = defaults.mixture.epsilon
  }

  var choice: BaseChoice {
    get throws(DiffeoError) {
      try requireZero(reserved)
      var mixture = MixtureOptions()
      mixture.covariance = try DiffeoABI.choice(covariance, "covariance")
      mixture.diagonal = try DiffeoABI.choice(diagonal, "diagonal")
      mixture.epsilon = epsilon
      return try BaseChoice(
        number: base,
        BaseOptions(
          low: low, high: high, df: df, components: Int(components), alpha: alpha, beta: beta,
          mixture: mixture, network: diffeo_network_options.contextNetwork(network)))
    }
  }
}

extension diffeo_made_options: SizedStruct {
  mutating func setDefaults() {
    conditional = Int32(DIFFEO_MADE_GAUSSIAN)
    components = Int64(Architecture.defaultComponents)
    masks = 1
    order = Int32(DIFFEO_ORDER_NATURAL)
    degrees = Int32(DIFFEO_DEGREES_SEQUENTIAL)
  }
}

func conditioner(
  _ network: UnsafePointer<diffeo_network_options>?, _ map: MapOptions
) throws(DiffeoError) -> SpecBuilder.Conditioner {
  var c = SpecBuilder.Conditioner()
  c.network = try diffeo_network_options.network(network)
  c.transformer = map
  return c
}

func madeConditional(_ value: Int32, components: Int) throws(DiffeoError) -> SpecBuilder.MADEConditional {
  try choice(
    value, "conditional",
    [
      DIFFEO_MADE_GAUSSIAN: .gaussian, DIFFEO_MADE_MIXTURE: .mixture(components: components),
      DIFFEO_MADE_BERNOULLI: .bernoulli,
    ])
}

/// given: dim columns, with DIFFEO_ORDER_GIVEN.
func columnOrder(_ value: Int32, _ given: UnsafePointer<Int64>?, dim: Int) throws(DiffeoError) -> SpecBuilder.Order {
  if Int(value) == DIFFEO_ORDER_GIVEN {
    return .given(try integers(require(given, "order_given"), Int64(dim), "order_given", atMost: dim))
  }
  return try choice(
    value, "order",
    [DIFFEO_ORDER_NATURAL: .natural, DIFFEO_ORDER_REVERSED: .reversed, DIFFEO_ORDER_RANDOM: .random])
}

func standardization(_ value: Int32, _ name: String) throws(DiffeoError) -> SpecBuilder.Standardization {
  try choice(value, name, [DIFFEO_STANDARDIZE_DEVIATION: .deviation, DIFFEO_STANDARDIZE_ROBUST: .robust])
}

func randomDegrees(_ value: Int32) throws(DiffeoError) -> Bool {
  try choice(value, "degrees", [DIFFEO_DEGREES_SEQUENTIAL: false, DIFFEO_DEGREES_RANDOM: true])
}

// MARK: - Flows and training

extension diffeo_architecture_options: SizedStruct {
  mutating func setDefaults() {
    dtype = Int32(DIFFEO_F32)
    standardize = Int32(DIFFEO_STANDARDIZE_DEVIATION)
    conditional = Int32(DIFFEO_MADE_GAUSSIAN)
    masks = 1
    bins = 8
  }

  var architecture: Architecture {
    get throws(DiffeoError) {
      var a = Architecture()
      a.dim = Int(dim)
      a.contextDim = Int(context_dim)
      a.transforms = Int(transforms)
      a.network = try diffeo_network_options.network(network)
      a.dtype = try DiffeoABI.dtype(dtype)
      if scale != 0 { a.scale = try choice(scale, "scale") }
      a.randomOrder = try flag(random_order, "random_order")
      a.standardize = standardize == 0 ? nil : try standardization(standardize, "standardize")
      a.actNorm = try flag(actnorm, "actnorm")
      a.batchNorm = try flag(batch_norm, "batch_norm")
      a.conditional = try madeConditional(
        conditional, components: components == 0 ? Architecture.defaultComponents : Int(components))
      a.components = Int(components)
      a.masks = Int(masks)
      a.bins = Int(bins)
      a.bound = bound
      a.periodic = try flag(periodic, "periodic")
      if base != nil { a.base = try diffeo_base_options.read(base).choice }
      if features != 0 { a.embedding = (Int(features), try diffeo_network_options.network(embedding)) }
      guard features != 0 || embedding == nil else {
        throw DiffeoError(.invalid, "embedding is given, but features, of which it makes so many, is 0")
      }
      a.seed = seed
      return a
    }
  }
}

extension diffeo_train_options: SizedStruct {
  mutating func setDefaults() {
    let d = TrainOptions()
    batch_size = Int64(d.batchSize)
    max_epochs = Int64(d.maxEpochs)
    patience = Int64(d.patience)
    validation_fraction = d.validationFraction
    seed = d.seed
    threads = Int32(d.threads)
    judge = d.judge.rawValue
    optimizer = d.optimizer.rawValue
    schedule = d.schedule.rawValue
    learning_rate = d.learningRate
    warmup_steps = Int64(d.warmupSteps)
    rate_decay = d.rateDecay
    plateau_patience = Int64(d.plateauPatience)
    beta1 = d.beta1
    beta2 = d.beta2
    epsilon = d.epsilon
    momentum = d.momentum
    weight_decay = d.weightDecay
    l2 = d.l2
    clip_norm = d.clipNorm
    clip_quantile = d.clipQuantile
    ema_decay = d.emaDecay
    x_noise = d.xNoise
    rows_memory = Int64(d.rowsMemory)
    image_shift = Int64(d.imageShift)
    image_flip = d.imageFlip ? 1 : 0
    negative_weights = d.negativeWeights ? 1 : 0
  }

  var options: TrainOptions {
    get throws(DiffeoError) {
      var o = TrainOptions()
      o.batchSize = Int(batch_size)
      o.maxEpochs = Int(max_epochs)
      o.patience = Int(patience)
      o.validationFraction = validation_fraction
      o.seed = seed
      o.threads = Int(threads)
      o.judge = try choice(judge, "judge")
      o.optimizer = try choice(optimizer, "optimizer")
      o.schedule = try choice(schedule, "schedule")
      o.learningRate = learning_rate
      o.warmupSteps = Int(warmup_steps)
      o.rateDecay = rate_decay
      o.plateauPatience = Int(plateau_patience)
      o.beta1 = beta1
      o.beta2 = beta2
      o.epsilon = epsilon
      o.momentum = momentum
      o.weightDecay = weight_decay
      o.l2 = l2
      o.clipNorm = clip_norm
      o.clipQuantile = clip_quantile
      o.emaDecay = ema_decay
      o.xNoise = x_noise
      o.negativeWeights = try flag(negative_weights, "negative_weights")
      o.rowsMemory = Int(rows_memory)
      o.imageShift = Int(image_shift)
      o.imageFlip = try flag(image_flip, "image_flip")
      try requireZero(reserved2)
      try o.check()
      return o
    }
  }
}

extension diffeo_vi_options: SizedStruct {
  mutating func setDefaults() {
    let d = VariationalOptions()
    steps = Int64(d.steps)
    batch_size = Int64(d.batchSize)
    window = Int64(d.window)
    patience = Int64(d.patience)
    estimator = d.estimator.rawValue
    draws = Int32(d.draws)
    tempering = d.tempering
    tempering_steps = Int64(d.temperingSteps)
  }

  var options: VariationalOptions {
    get throws(DiffeoError) {
      var o = VariationalOptions()
      o.steps = Int(steps)
      o.batchSize = Int(batch_size)
      o.window = Int(window)
      o.patience = Int(patience)
      o.estimator = try choice(estimator, "estimator")
      o.draws = Int(draws)
      o.tempering = tempering
      o.temperingSteps = Int(tempering_steps)
      if train != nil { o.training = try diffeo_train_options.read(train).options }
      try o.check()
      return o
    }
  }
}

/// So that a later version can give the field a meaning.
func requireZero(_ reserved: Int32) throws(DiffeoError) {
  guard reserved == 0 else { throw DiffeoError(.invalid, "reserved is \(reserved), it must be 0") }
}

func flag(_ value: Int32, _ name: String) throws(DiffeoError) -> Bool {
  guard value == 0 || value == 1 else {
    throw DiffeoError(.invalid, "\(name) is \(value), it must be 0 or 1")
  }
  return value == 1
}

// MARK: - Exported

@implementation @_cdecl("diffeo_option_bounds")
public func diffeo_option_bounds(
  _ option: UnsafePointer<CChar>?, _ low: UnsafeMutablePointer<Double>?, _ high: UnsafeMutablePointer<Double>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let limit = try Limit.of(string(option, "option"))
    let (low, high) = (try require(low, "low"), try require(high, "high"))
    low.pointee = limit.low
    // That a number must be finite is no end.
    high.pointee = limit.high == .greatestFiniteMagnitude ? .infinity : limit.high
  }
}

@implementation @_cdecl("diffeo_network_options_init")
public func diffeo_network_options_init(
  _ options: UnsafeMutablePointer<diffeo_network_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_network_options.initialise(options, struct_size) }
}

@implementation @_cdecl("diffeo_spline_options_init")
public func diffeo_spline_options_init(
  _ options: UnsafeMutablePointer<diffeo_spline_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_spline_options.initialise(options, struct_size) }
}

@implementation @_cdecl("diffeo_mixture_options_init")
public func diffeo_mixture_options_init(
  _ options: UnsafeMutablePointer<diffeo_mixture_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_mixture_options.initialise(options, struct_size) }
}

@implementation @_cdecl("diffeo_map_options_init")
public func diffeo_map_options_init(
  _ options: UnsafeMutablePointer<diffeo_map_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_map_options.initialise(options, struct_size) }
}

@implementation @_cdecl("diffeo_autoregressive_options_init")
public func diffeo_autoregressive_options_init(
  _ options: UnsafeMutablePointer<diffeo_autoregressive_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_autoregressive_options.initialise(options, struct_size) }
}

@implementation @_cdecl("diffeo_coupling_options_init")
public func diffeo_coupling_options_init(
  _ options: UnsafeMutablePointer<diffeo_coupling_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_coupling_options.initialise(options, struct_size) }
}

@implementation @_cdecl("diffeo_elementwise_options_init")
public func diffeo_elementwise_options_init(
  _ options: UnsafeMutablePointer<diffeo_elementwise_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_elementwise_options.initialise(options, struct_size) }
}

@implementation @_cdecl("diffeo_base_options_init")
public func diffeo_base_options_init(
  _ options: UnsafeMutablePointer<diffeo_base_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_base_options.initialise(options, struct_size) }
}

@implementation @_cdecl("diffeo_made_options_init")
public func diffeo_made_options_init(
  _ options: UnsafeMutablePointer<diffeo_made_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_made_options.initialise(options, struct_size) }
}

@implementation @_cdecl("diffeo_architecture_options_init")
public func diffeo_architecture_options_init(
  _ options: UnsafeMutablePointer<diffeo_architecture_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_architecture_options.initialise(options, struct_size) }
}

@implementation @_cdecl("diffeo_vi_options_init")
public func diffeo_vi_options_init(
  _ options: UnsafeMutablePointer<diffeo_vi_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_vi_options.initialise(options, struct_size) }
}

@implementation @_cdecl("diffeo_train_options_init")
public func diffeo_train_options_init(
  _ options: UnsafeMutablePointer<diffeo_train_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_train_options.initialise(options, struct_size) }
}
