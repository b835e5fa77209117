import KernelInterface

/// What is to be said of a convolutional network but for its channels at both ends.
package struct ConvolutionConventions: Equatable, Sendable {
  /// Channels of the hidden maps.
  package var hidden: [Int]
  package var activation = Activation.relu
  package var blocks = NetworkBlocks.plain
  /// Sides of the squares of places that the first convolution sees, those between, and the last one; odd. Of residual
  /// blocks both convolutions are between.
  package var firstKernel: Int
  package var hiddenKernel: Int
  package var lastKernel: Int
  /// Whether each output is multiplied by exp(3 l) with a trained l: Glow, Kingma and Dhariwal 2018, appendix B.
  package var gain = false
  /// What the last convolution sees outside of its map: 0, or 1.
  package var onesOutside = false

  static let maxKernel = 15

  /// Of Glow: 3 x 3, 1 x 1 and 3 x 3. Of residual blocks, as RealNVP has them: 3 x 3, but for the last, 1 x 1.
  package init(hidden: [Int], blocks: NetworkBlocks = .plain) {
    self.hidden = hidden
    self.blocks = blocks
    (firstKernel, hiddenKernel, lastKernel) = ConvolutionConventions.kernels(blocks)
  }

  package static func kernels(_ blocks: NetworkBlocks) -> (first: Int, hidden: Int, last: Int) {
    blocks == .plain ? (3, 1, 3) : (3, 3, 1)
  }

  init(_ record: Record) throws(DiffeoError) {
    hidden = try record.ints("hidden")
    activation = try Activation.names.choice(record, "activation")
    if record["blocks"] != nil { blocks = try NetworkBlocks.names.choice(record, "blocks") }
    let kernels = try record.ints("kernels")
    guard kernels.count == 3 else {
      throw DiffeoError(.format, "'kernels' has \(kernels.count) numbers, it must be those of three convolutions")
    }
    (firstKernel, hiddenKernel, lastKernel) = (kernels[0], kernels[1], kernels[2])
    if record["gain"] != nil { gain = try record.bool("gain") }
    if record["ones_outside"] != nil { onesOutside = try record.bool("ones_outside") }
  }

  func describe(_ record: inout Record) {
    record["hidden"] = .ints(hidden)
    record["activation"] = .string(activation.name)
    if blocks != .plain { record["blocks"] = .string(blocks.name) }
    record["kernels"] = .ints([firstKernel, hiddenKernel, lastKernel])
    if gain { record["gain"] = .bool(true) }
    if onesOutside { record["ones_outside"] = .bool(true) }
  }

  func check() throws(DiffeoError) {
    try NetworkSpec.check(hidden)
    for (name, kernel) in [
      ("kernel_first", firstKernel), ("kernel_hidden", hiddenKernel), ("kernel_last", lastKernel),
    ] {
      try Limit.check("convolution.kernel_first", kernel, name: name)
      guard kernel % 2 == 1 else {
        throw DiffeoError(.invalid, "\(name) is \(kernel), it must be odd, so that maps keep their size")
      }
    }
    guard blocks == .plain || !hidden.isEmpty else {
      throw DiffeoError(.invalid, "blocks is '\(blocks.name)', which needs a hidden layer, and there is none")
    }
    if blocks != .plain, let other = hidden.first(where: { $0 != hidden[0] }) {
      throw DiffeoError(
        .invalid, "residual blocks of convolutions are all of one width, these are of \(hidden[0]) and \(other)")
    }
  }

  var summary: String {
    var words =
      hidden.isEmpty
      ? "convolution \(lastKernel) x \(lastKernel)"
      : "convolutions \(hidden.map(String.init).joined(separator: " x ")) \(activation.name)"
        + ", \(firstKernel)-\(hiddenKernel)-\(lastKernel)"
    switch blocks {
    case .plain: break
    case .residual: words += ", residual blocks"
    case .preactivation: words += ", residual blocks with preactivation"
    }
    return words
  }
}

/// A convolutional network: from maps to maps of the same height and width, zeros around them. The context, if there is
/// one, gives W c, which is added at every place to what the first convolution gives.
struct ConvolutionSpec: Equatable, Sendable {
  let inputs: Int
  let contextInputs: Int
  let outputs: Int
  let height: Int
  let width: Int
  let conventions: ConvolutionConventions

  /// A convolution of the chain: from `inputs` channels to `outputs`. Its weights are [outputs, kernel, kernel, inputs].
  struct Link: Equatable {
    let name: String
    let inputs: Int
    let outputs: Int
    let kernel: Int
    /// What residual blocks add, and the outputs, begin near 0.
    let isSmall: Bool
  }

  init(
    inputs: Int, contextInputs: Int, outputs: Int, height: Int, width: Int, conventions: ConvolutionConventions
  ) throws(DiffeoError) {
    self.inputs = inputs
    self.contextInputs = contextInputs
    self.outputs = outputs
    self.height = height
    self.width = width
    self.conventions = conventions
    try conventions.check()
    for link in links where link.inputs * link.outputs * link.kernel * link.kernel > NetworkSpec.maxWeights {
      throw DiffeoError(
        .invalid,
        "a convolution of \(link.outputs) x \(link.inputs) channels and \(link.kernel) x \(link.kernel) places was asked "
          + "for, at most \(NetworkSpec.maxWeights) weights are possible")
    }
  }

  var links: [Link] {
    let (c, hidden) = (conventions, conventions.hidden)
    guard let first = hidden.first, let last = hidden.last else {
      return [Link(name: "0", inputs: inputs, outputs: outputs, kernel: c.lastKernel, isSmall: true)]
    }
    var links = [Link(name: "0", inputs: inputs, outputs: first, kernel: c.firstKernel, isSmall: false)]
    for i in hidden.indices {
      if c.blocks == .plain {
        if i == 0 { continue }
        links.append(
          Link(name: "\(i)", inputs: hidden[i - 1], outputs: hidden[i], kernel: c.hiddenKernel, isSmall: false))
      } else {
        let width = hidden[i]
        links.append(Link(name: "\(i)/inner", inputs: width, outputs: width, kernel: c.hiddenKernel, isSmall: false))
        links.append(Link(name: "\(i)/outer", inputs: width, outputs: width, kernel: c.hiddenKernel, isSmall: true))
      }
    }
    links.append(Link(name: "\(hidden.count)", inputs: last, outputs: outputs, kernel: c.lastKernel, isSmall: true))
    return links
  }

  /// Numbers of the hidden maps of an image, about, that a pullback wants.
  var hiddenNumbers: Int {
    links.dropLast().reduce(0) { $0 + $1.outputs } * height * width * (conventions.activation.needsInput ? 2 : 1)
  }

  /// Of what the context is added to.
  var contextOutputs: Int { links[0].outputs }

  var slots: [ParameterSlot] {
    links.flatMap { link in
      [
        ParameterSlot("network/\(link.name)/weight", [link.outputs, link.kernel, link.kernel, link.inputs], .weight),
        ParameterSlot("network/\(link.name)/bias", [link.outputs], .vector),
      ]
    }
      + (contextInputs > 0 ? [ParameterSlot("network/context/weight", [contextOutputs, contextInputs], .weight)] : [])
      + (conventions.gain ? [ParameterSlot("network/log_gain", [outputs], .vector)] : [])
  }

  var parameterCount: Int { slots.reduce(0) { $0 + $1.count } }

  /// As for dense networks (NetworkSpec.initialise): uniform within 1 / sqrt(fan-in); but what leads to the outputs is
  /// 0, as in Glow, so that a coupling begins as its map of the values of `outputs`, which are repeated.
  func initialise<S: Scalar>(
    _ parameters: UnsafeMutablePointer<S>, outputs values: [Double], _ random: inout Philox
  ) {
    var p = parameters
    let links = links
    for (i, link) in links.enumerated() {
      let count = link.outputs * link.kernel * link.kernel * link.inputs
      let bound = (1 / Double(max(link.kernel * link.kernel * link.inputs, 1))).squareRoot()
      if !link.isSmall {
        for k in 0..<count { p[k] = S(bound * (2 * random.uniform() - 1)) }
        for o in 0..<link.outputs { p[count + o] = S(bound * (2 * random.uniform() - 1)) }
      } else if i == links.count - 1, !values.isEmpty {
        for o in 0..<link.outputs { p[count + o] = S(values[o % values.count]) }
      }
      p += count + link.outputs
    }
    if contextInputs > 0, links.count > 1 {
      let bound = (1 / Double(contextInputs)).squareRoot()
      for k in 0..<contextOutputs * contextInputs { p[k] = S(bound * (2 * random.uniform() - 1)) }
    }
  }

  var summary: String { conventions.summary }
}
