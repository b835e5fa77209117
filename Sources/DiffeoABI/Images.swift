import CDiffeo
import Diffeo

// Layers and flows of images.

extension diffeo_convolution_options: SizedStruct {
  mutating func setDefaults() {
    activation = Int32(DIFFEO_RELU)
    blocks = Int32(DIFFEO_BLOCKS_PLAIN)
  }

  /// hidden: of the network where the options do not say.
  static func network(
    _ options: UnsafePointer<Self>?, hidden standard: [Int]
  ) throws(DiffeoError) -> ConvolutionConventions {
    let o = try read(options)
    let count = Int(o.hidden_count)
    try Limit.check("network.hidden_count", count)
    var network = ConvolutionConventions(
      hidden: o.hidden == nil && count == 0
        ? standard : try integers(o.hidden, o.hidden_count, "hidden", atMost: count),
      blocks: try choice(o.blocks, "blocks"))
    network.activation = try choice(o.activation, "activation")
    if o.kernel_first != 0 { network.firstKernel = Int(o.kernel_first) }
    if o.kernel_hidden != 0 { network.hiddenKernel = Int(o.kernel_hidden) }
    if o.kernel_last != 0 { network.lastKernel = Int(o.kernel_last) }
    network.gain = try flag(o.gain, "gain")
    network.onesOutside = try flag(o.ones_outside, "ones_outside")
    return network
  }
}

extension diffeo_image_coupling_options: SizedStruct {
  mutating func setDefaults() { mask = Int32(DIFFEO_IMAGE_MASK_FIRST) }
}

extension diffeo_split_options: SizedStruct {
  mutating func setDefaults() {
    keep = Int32(DIFFEO_IMAGE_MASK_FIRST)
    prior = 1
  }
}

extension diffeo_image_options: SizedStruct {
  mutating func setDefaults() {
    let d = ImageArchitecture()
    quantization = Int64(d.quantization)
    alpha = d.alpha
    dtype = Int32(DIFFEO_F32)
    (split, learned_prior, learned_top, lu) = (1, 1, 1, 1)
  }

  var architecture: ImageArchitecture {
    get throws(DiffeoError) {
      var a = ImageArchitecture()
      a.shape = [Int(channels), Int(height), Int(width)]
      a.contextDim = Int(context_dim)
      a.levels = Int(levels)
      a.steps = Int(steps)
      if network != nil {
        a.network = try diffeo_convolution_options.network(network, hidden: ImageArchitecture.defaultHidden)
      }
      if scale != 0 { a.transformer = .affine(try choice(scale, "scale")) }
      if map != nil {
        guard scale == 0 else {
          throw DiffeoError(.invalid, "scale is \(scale), and there is a map, which has its own: one of them at most")
        }
        a.transformer = try diffeo_map_options.map(map)
      }
      a.dtype = try DiffeoABI.dtype(dtype)
      a.quantization = Int(quantization)
      a.alpha = alpha
      a.splits = try flag(split, "split")
      a.learnsPriors = try flag(learned_prior, "learned_prior")
      a.learnsTop = try flag(learned_top, "learned_top")
      a.factorised = try flag(lu, "lu")
      a.seed = seed
      return a
    }
  }
}

@implementation @_cdecl("diffeo_convolution_options_init")
public func diffeo_convolution_options_init(
  _ options: UnsafeMutablePointer<diffeo_convolution_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_convolution_options.initialise(options, struct_size) }
}

@implementation @_cdecl("diffeo_image_coupling_options_init")
public func diffeo_image_coupling_options_init(
  _ options: UnsafeMutablePointer<diffeo_image_coupling_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_image_coupling_options.initialise(options, struct_size) }
}

@implementation @_cdecl("diffeo_split_options_init")
public func diffeo_split_options_init(
  _ options: UnsafeMutablePointer<diffeo_split_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_split_options.initialise(options, struct_size) }
}

@implementation @_cdecl("diffeo_image_options_init")
public func diffeo_image_options_init(
  _ options: UnsafeMutablePointer<diffeo_image_options>?, _ struct_size: Int
) -> diffeo_status {
  boundary { () throws(DiffeoError) in try diffeo_image_options.initialise(options, struct_size) }
}

// MARK: - Flows

@implementation @_cdecl("diffeo_glow_image_create")
public func diffeo_glow_image_create(
  _ options: UnsafePointer<diffeo_image_options>?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  create(options, flow) { a throws(DiffeoError) in try a.glow() }
}

@implementation @_cdecl("diffeo_realnvp_image_create")
public func diffeo_realnvp_image_create(
  _ options: UnsafePointer<diffeo_image_options>?, _ flow: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  create(options, flow) { a throws(DiffeoError) in try a.realNVP() }
}

private func create(
  _ options: UnsafePointer<diffeo_image_options>?, _ flow: UnsafeMutablePointer<OpaquePointer?>?,
  _ spec: (ImageArchitecture) throws(DiffeoError) -> FlowSpec
) -> diffeo_status {
  making(flow, "flow") { () throws(DiffeoError) in
    let architecture = try diffeo_image_options.read(require(options, "options")).architecture
    return FlowHandle(try AnyFlow(spec: spec(architecture), seed: architecture.seed))
  }
}

@implementation @_cdecl("diffeo_flow_shape")
public func diffeo_flow_shape(
  _ flow: OpaquePointer?, _ shape: UnsafeMutablePointer<Int64>?, _ capacity: Int64
) -> Int64 {
  guard let handle = try? FlowHandle.from(flow) else { return 0 }
  let sizes = handle.flow.spec.shape
  if let shape { for (i, size) in sizes.enumerated() where i < capacity { shape[i] = Int64(size) } }
  return Int64(sizes.count)
}

// MARK: - Layers

@implementation @_cdecl("diffeo_spec_create_image")
public func diffeo_spec_create_image(
  _ channels: Int64, _ height: Int64, _ width: Int64, _ context_dim: Int64, _ dtype: Int32,
  _ spec: UnsafeMutablePointer<OpaquePointer?>?
) -> diffeo_status {
  making(spec, "spec") { () throws(DiffeoError) in
    SpecHandle(
      try SpecBuilder(
        shape: [Int(channels), Int(height), Int(width)], contextDim: Int(context_dim), dtype: DiffeoABI.dtype(dtype)))
  }
}

@implementation @_cdecl("diffeo_spec_map")
public func diffeo_spec_map(_ spec: OpaquePointer?, _ map: UnsafeMutablePointer<Int64>?) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let shape = try SpecHandle.from(spec).builder.map.shape
    let map = try require(map, "map")
    for (i, size) in shape.enumerated() { map[i] = Int64(size) }
  }
}

private func squeezeOrder(_ value: Int32) throws(DiffeoError) -> SqueezeOrder { try choice(value, "order") }

@implementation @_cdecl("diffeo_spec_add_squeeze")
public func diffeo_spec_add_squeeze(_ spec: OpaquePointer?, _ order: Int32) -> diffeo_status {
  boundary { () throws(DiffeoError) in try SpecHandle.from(spec).builder.addSqueeze(squeezeOrder(order)) }
}

@implementation @_cdecl("diffeo_spec_add_unsqueeze")
public func diffeo_spec_add_unsqueeze(_ spec: OpaquePointer?, _ order: Int32) -> diffeo_status {
  boundary { () throws(DiffeoError) in try SpecHandle.from(spec).builder.addUnsqueeze(squeezeOrder(order)) }
}

@implementation @_cdecl("diffeo_spec_add_linear")
public func diffeo_spec_add_linear(_ spec: OpaquePointer?) -> diffeo_status {
  boundary { () throws(DiffeoError) in try SpecHandle.from(spec).builder.addLinear() }
}

@implementation @_cdecl("diffeo_spec_add_image_coupling")
public func diffeo_spec_add_image_coupling(
  _ spec: OpaquePointer?, _ options: UnsafePointer<diffeo_image_coupling_options>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try SpecHandle.from(spec)
    let o = try diffeo_image_coupling_options.read(options)
    try requireZero(o.reserved)
    try handle.builder.addConvolutionalCoupling(
      diffeo_convolution_options.network(o.network, hidden: ImageArchitecture.defaultHidden),
      transformer: diffeo_map_options.map(o.map), mask: imageMask(o.mask, o.mask_given, handle.builder))
  }
}

/// given: a value for each channel, with DIFFEO_IMAGE_MASK_GIVEN.
private func imageMask(
  _ value: Int32, _ given: UnsafePointer<UInt8>?, _ builder: SpecBuilder
) throws(DiffeoError) -> ImageMask {
  let channels = builder.map.channels
  switch Int(value) {
  case DIFFEO_IMAGE_MASK_FIRST: return .channels(try builder.half(first: true))
  case DIFFEO_IMAGE_MASK_LAST: return .channels(try builder.half(first: false))
  case DIFFEO_IMAGE_MASK_EVEN: return .checkerboard(even: true)
  case DIFFEO_IMAGE_MASK_ODD: return .checkerboard(even: false)
  case DIFFEO_IMAGE_MASK_NONE: return .channels([Bool](repeating: false, count: channels))
  case DIFFEO_IMAGE_MASK_GIVEN: return .channels(try maskGiven(given, channels))
  default: throw DiffeoError(.invalid, "mask is \(value), which is not known")
  }
}

@implementation @_cdecl("diffeo_spec_add_split")
public func diffeo_spec_add_split(
  _ spec: OpaquePointer?, _ options: UnsafePointer<diffeo_split_options>?
) -> diffeo_status {
  boundary { () throws(DiffeoError) in
    let handle = try SpecHandle.from(spec)
    let o = try diffeo_split_options.read(options)
    let keepsFirst = try choice(
      o.keep, "keep", [DIFFEO_IMAGE_MASK_FIRST: true, DIFFEO_IMAGE_MASK_LAST: false])
    var prior: ConvolutionConventions?
    if try flag(o.prior, "prior") {
      prior =
        o.network == nil ? ImageArchitecture.prior : try diffeo_convolution_options.network(o.network, hidden: [])
    }
    try handle.builder.addSplit(keepsFirst: keepsFirst, prior: prior)
  }
}
