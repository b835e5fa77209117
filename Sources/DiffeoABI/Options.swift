import CDiffeo
import Diffeo
import Glibc
import KernelInterface

extension diffeo_autoregressive_options: SizedStruct {
  static var name: String { "diffeo_autoregressive_options" }
  static var firstSize: Int { MemoryLayout<Self>.size }
  static var defaults: Self {
    var o = Self()
    o.struct_size = MemoryLayout<Self>.size
    o.activation = Int32(DIFFEO_RELU)
    o.order = Int32(DIFFEO_ORDER_NATURAL)
    o.degrees = Int32(DIFFEO_DEGREES_SEQUENTIAL)
    o.scale = Int32(DIFFEO_SCALE_SOFT_CLIP)
    o.scale_bound = Architecture.defaultScaleBound
    o.scale_epsilon = Architecture.defaultScaleEpsilon
    o.blocks = Int32(DIFFEO_BLOCKS_PLAIN)
    o.context_mode = Int32(DIFFEO_CONTEXT_INPUT)
    (o.log_scale_low, o.log_scale_high) = Architecture.defaultLogScales
    return o
  }
}

extension diffeo_coupling_options: SizedStruct {
  static var name: String { "diffeo_coupling_options" }
  static var firstSize: Int { MemoryLayout<Self>.size }
  static var defaults: Self {
    var o = Self()
    o.struct_size = MemoryLayout<Self>.size
    o.activation = Int32(DIFFEO_RELU)
    o.mask = Int32(DIFFEO_MASK_EVEN)
    o.scale = Int32(DIFFEO_SCALE_SOFT_CLIP)
    o.scale_bound = Architecture.defaultScaleBound
    o.scale_epsilon = Architecture.defaultScaleEpsilon
    o.blocks = Int32(DIFFEO_BLOCKS_PLAIN)
    o.context_mode = Int32(DIFFEO_CONTEXT_INPUT)
    (o.log_scale_low, o.log_scale_high) = Architecture.defaultLogScales
    return o
  }
}

extension diffeo_spline_options: SizedStruct {
  static var name: String { "diffeo_spline_options" }
  static var firstSize: Int { MemoryLayout<Self>.size }
  static var defaults: Self {
    var o = Self()
    o.struct_size = MemoryLayout<Self>.size
    o.bins = 8
    o.low = -4
    o.high = 4
    o.min_width = 1e-3
    o.min_height = 1e-3
    o.min_derivative = 1e-3
    o.boundary = Int32(DIFFEO_BOUNDARY_LINEAR)
    o.derivative = Int32(DIFFEO_DERIVATIVE_SOFTPLUS)
    o.derivative_bound = log(1000)
    o.boundary_derivative = 1
    o.encoding = Int32(DIFFEO_ENCODING_CIRCLE)
    return o
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
      switch Int(encoding) {
      case DIFFEO_ENCODING_CIRCLE: rule.encodesAngles = true
      case DIFFEO_ENCODING_NUMBERS: rule.encodesAngles = false
      default: throw DiffeoError(.invalid, "encoding is \(encoding), which is not known")
      }
      return rule
    }
  }
}

extension diffeo_elementwise_options: SizedStruct {
  static var name: String { "diffeo_elementwise_options" }
  static var firstSize: Int { MemoryLayout<Self>.size }
  static var defaults: Self {
    var o = Self()
    o.struct_size = MemoryLayout<Self>.size
    o.scale = Int32(DIFFEO_SCALE_SOFT_CLIP)
    o.scale_bound = Architecture.defaultScaleBound
    o.scale_epsilon = Architecture.defaultScaleEpsilon
    (o.log_scale_low, o.log_scale_high) = Architecture.defaultLogScales
    return o
  }
}

extension diffeo_mixture_options: SizedStruct {
  static var name: String { "diffeo_mixture_options" }
  static var firstSize: Int { MemoryLayout<Self>.size }
  static var defaults: Self {
    var o = Self()
    o.struct_size = MemoryLayout<Self>.size
    o.components = Int64(Architecture.defaultComponents)
    o.family = Int32(DIFFEO_FAMILY_NORMAL)
    o.target = Int32(DIFFEO_TARGET_LOGISTIC)
    o.scale_bound = Architecture.defaultMixtureBound
    return o
  }
}

extension diffeo_network_options: SizedStruct {
  static var name: String { "diffeo_network_options" }
  static var firstSize: Int { MemoryLayout<Self>.size }
  static var defaults: Self {
    var o = Self()
    o.struct_size = MemoryLayout<Self>.size
    o.activation = Int32(DIFFEO_RELU)
    o.blocks = Int32(DIFFEO_BLOCKS_PLAIN)
    return o
  }
}

extension diffeo_base_options: SizedStruct {
  static var name: String { "diffeo_base_options" }
  static var firstSize: Int { MemoryLayout<Self>.size }
  static var defaults: Self {
    var o = Self()
    o.struct_size = MemoryLayout<Self>.size
    let defaults = BaseOptions()
    o.base = Int32(DIFFEO_BASE_STANDARD_NORMAL)
    (o.low, o.high, o.df) = (defaults.low, defaults.high, defaults.df)
    o.components = Int64(defaults.components)
    return o
  }
}

extension diffeo_made_options: SizedStruct {
  static var name: String { "diffeo_made_options" }
  static var firstSize: Int { MemoryLayout<Self>.size }
  static var defaults: Self {
    var o = Self()
    o.struct_size = MemoryLayout<Self>.size
    o.activation = Int32(DIFFEO_RELU)
    o.conditional = Int32(DIFFEO_MADE_GAUSSIAN)
    o.components = Int64(Architecture.defaultComponents)
    o.masks = 1
    o.order = Int32(DIFFEO_ORDER_NATURAL)
    o.degrees = Int32(DIFFEO_DEGREES_SEQUENTIAL)
    o.blocks = Int32(DIFFEO_BLOCKS_PLAIN)
    o.context_mode = Int32(DIFFEO_CONTEXT_INPUT)
    return o
  }
}

extension diffeo_architecture_options: SizedStruct {
  static var name: String { "diffeo_architecture_options" }
  static var firstSize: Int { MemoryLayout<Self>.size }
  static var defaults: Self {
    var o = Self()
    o.struct_size = MemoryLayout<Self>.size
    o.activation = Int32(DIFFEO_RELU)
    o.dtype = Int32(DIFFEO_F32)
    o.standardize = 1
    o.conditional = Int32(DIFFEO_MADE_GAUSSIAN)
    o.masks = 1
    o.bins = 8
    o.blocks = Int32(DIFFEO_BLOCKS_PLAIN)
    return o
  }

  var architecture: Architecture {
    get throws(DiffeoError) {
      var a = Architecture()
      a.dim = Int(dim)
      a.contextDim = Int(context_dim)
      a.transforms = Int(transforms)
      if let hidden = try hiddenWidths(self.hidden, hidden_count) { a.hidden = hidden }
      a.activation = try choice(activation, "activation")
      a.dtype = try DiffeoABI.dtype(dtype)
      if scale != 0 { a.scale = try choice(scale, "scale") }
      a.randomOrder = try flag(random_order, "random_order")
      a.standardize = try flag(standardize, "standardize")
      a.actNorm = try flag(actnorm, "actnorm")
      a.batchNorm = try flag(batch_norm, "batch_norm")
      a.conditional = try madeConditional(
        conditional, components: components == 0 ? Architecture.defaultComponents : Int(components))
      a.components = Int(components)
      a.masks = Int(masks)
      a.bins = Int(bins)
      a.bound = bound
      a.periodic = try flag(periodic, "periodic")
      a.blocks = try choice(blocks, "blocks")
      a.seed = seed
      return a
    }
  }
}

extension diffeo_train_options: SizedStruct {
  static var name: String { "diffeo_train_options" }
  static var firstSize: Int { MemoryLayout<Self>.size }
  static var defaults: Self {
    let d = TrainOptions()
    return Self(
      struct_size: MemoryLayout<Self>.size, batch_size: Int64(d.batchSize),
      max_epochs: Int64(d.maxEpochs),
      patience: Int64(d.patience), learning_rate: d.learningRate, beta1: d.beta1, beta2: d.beta2,
      epsilon: d.epsilon,
      weight_decay: d.weightDecay, clip_norm: d.clipNorm, validation_fraction: d.validationFraction,
      schedule: d.schedule.rawValue, threads: Int32(d.threads), seed: d.seed)
  }

  var options: TrainOptions {
    get throws(DiffeoError) {
      var o = TrainOptions()
      o.batchSize = Int(batch_size)
      o.maxEpochs = Int(max_epochs)
      o.patience = Int(patience)
      o.learningRate = learning_rate
      o.beta1 = beta1
      o.beta2 = beta2
      o.epsilon = epsilon
      o.weightDecay = weight_decay
      o.clipNorm = clip_norm
      o.validationFraction = validation_fraction
      o.schedule = try choice(schedule, "schedule")
      o.threads = Int(threads)
      o.seed = seed
      try o.check()
      return o
    }
  }
}

extension diffeo_network_options {
  /// nil for NULL: trained vectors.
  static func network(_ options: UnsafePointer<Self>?) throws(DiffeoError) -> SpecBuilder.Network? {
    guard let options else { return nil }
    let o = try read(options)
    try requireZero(o.reserved)
    return try conventions(
      o.hidden, o.hidden_count, default: [64], o.activation, blocks: o.blocks,
      contextMode: Int32(DIFFEO_CONTEXT_INPUT), normalized: o.normalized)
  }
}

/// logScales: low and high. spline and mixture: what the options of a layer say, if it is not to be affine.
func transformer(
  scale: Int32, bound: Double, epsilon: Double, logScales: (Double, Double),
  _ spline: UnsafePointer<diffeo_spline_options>?, _ mixture: UnsafePointer<diffeo_mixture_options>?
) throws(DiffeoError) -> MapOptions {
  if let spline {
    guard mixture == nil else { throw DiffeoError(.invalid, "spline and mixture are both given: one at most can be") }
    var options = try MapOptions(map: 2)
    options.spline = try diffeo_spline_options.read(spline).rule
    return options
  }
  if let mixture {
    let o = try diffeo_mixture_options.read(mixture)
    return .mixture(
      components: Int(o.components), family: try choice(o.family, "family"), target: try choice(o.target, "target"),
      bound: o.scale_bound)
  }
  var options = MapOptions.affine(try choice(scale, "scale"))
  (options.scale.bound, options.scale.epsilon) = (bound, epsilon)
  (options.scale.low, options.scale.high) = logScales
  return options
}

func madeConditional(_ value: Int32, components: Int) throws(DiffeoError) -> SpecBuilder.MADEConditional {
  switch Int(value) {
  case DIFFEO_MADE_GAUSSIAN: .gaussian
  case DIFFEO_MADE_MIXTURE: .mixture(components: components)
  case DIFFEO_MADE_BERNOULLI: .bernoulli
  default: throw DiffeoError(.invalid, "conditional is \(value), which is not known")
  }
}

/// given: dim columns, with DIFFEO_ORDER_GIVEN.
func columnOrder(_ value: Int32, _ given: UnsafePointer<Int64>?, dim: Int) throws(DiffeoError) -> SpecBuilder.Order {
  switch Int(value) {
  case DIFFEO_ORDER_NATURAL: .natural
  case DIFFEO_ORDER_REVERSED: .reversed
  case DIFFEO_ORDER_RANDOM: .random
  case DIFFEO_ORDER_GIVEN:
    .given(try integers(require(given, "order_given"), Int64(dim), "order_given", atMost: dim))
  default: throw DiffeoError(.invalid, "order is \(value), which is not known")
  }
}

func randomDegrees(_ value: Int32) throws(DiffeoError) -> Bool {
  guard Int(value) == DIFFEO_DEGREES_SEQUENTIAL || Int(value) == DIFFEO_DEGREES_RANDOM else {
    throw DiffeoError(.invalid, "degrees is \(value), which is not known")
  }
  return Int(value) == DIFFEO_DEGREES_RANDOM
}

/// What options say of a network.
func conventions(
  _ hidden: UnsafePointer<Int64>?, _ hiddenCount: Int64, default widths: [Int], _ activation: Int32, blocks: Int32,
  contextMode: Int32, normalized: Int32
) throws(DiffeoError) -> NetworkConventions {
  var network = NetworkConventions(
    hidden: try hiddenWidths(hidden, hiddenCount) ?? widths, activation: try choice(activation, "activation"))
  network.blocks = try choice(blocks, "blocks")
  network.contextMode = try choice(contextMode, "context_mode")
  network.normalized = try flag(normalized, "normalized")
  return network
}

/// nil for NULL with 0: the default.
func hiddenWidths(_ pointer: UnsafePointer<Int64>?, _ n: Int64) throws(DiffeoError) -> [Int]? {
  pointer == nil && n == 0 ? nil : try integers(pointer, n, "hidden", atMost: 16)
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

@implementation @_cdecl("diffeo_autoregressive_options_init")
public func diffeo_autoregressive_options_init(
  _ options: UnsafeMutablePointer<diffeo_autoregressive_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    try diffeo_autoregressive_options.initialise(options, struct_size)
  }
}

@implementation @_cdecl("diffeo_coupling_options_init")
public func diffeo_coupling_options_init(
  _ options: UnsafeMutablePointer<diffeo_coupling_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_coupling_options.initialise(options, struct_size)
  }
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

@implementation @_cdecl("diffeo_network_options_init")
public func diffeo_network_options_init(
  _ options: UnsafeMutablePointer<diffeo_network_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_network_options.initialise(options, struct_size) }
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
  boundary { () throws(DiffeoError) in
    try diffeo_architecture_options.initialise(options, struct_size)
  }
}

@implementation @_cdecl("diffeo_train_options_init")
public func diffeo_train_options_init(
  _ options: UnsafeMutablePointer<diffeo_train_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_train_options.initialise(options, struct_size) }
}
