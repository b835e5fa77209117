import CDiffeo
import Diffeo
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
    o.scale = Int32(DIFFEO_SCALE_SOFT_CLIP)
    o.standardize = 1
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
      a.scale = try choice(scale, "scale")
      a.randomOrder = try flag(random_order, "random_order")
      a.standardize = try flag(standardize, "standardize")
      a.actNorm = try flag(actnorm, "actnorm")
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
