import KernelInterface

/// A dense network, or a masked one (MADE): inputs -> hidden layers -> outputs, with biases. `NetworkConventions` say what
/// the hidden layers are made of; nothing follows the outputs.
///
/// With degrees it is a MADE (Germain, Gregor, Murray and Larochelle 2015): a hidden unit sees the units before it of no
/// higher degree, an output sees hidden units of lower degree only. With `direct` an output sees the inputs themselves,
/// too, through a matrix of its own: those of lower degree, if there are degrees.
struct NetworkSpec: Equatable, Sendable {
  struct Degrees: Equatable, Sendable {
    let inputs: [Int]
    let hidden: [[Int]]
    let outputs: [Int]
  }

  let inputs: Int
  /// The last ones of the inputs: the context.
  let contextInputs: Int
  let outputs: Int
  let conventions: NetworkConventions
  var degrees: Degrees?
  let direct: Bool

  var hidden: [Int] { conventions.hidden }
  var activation: Activation { conventions.activation }

  static let maxHiddenLayers = 16
  static let maxWidth = 65_536
  /// So that no product of sizes overflows, and no declared size asks for absurd memory before a file is read.
  static let maxWeights = 1 << 26

  init(
    inputs: Int, contextInputs: Int = 0, outputs: Int, conventions: NetworkConventions, degrees: Degrees? = nil,
    direct: Bool = false
  ) throws(DiffeoError) {
    self.inputs = inputs
    self.contextInputs = contextInputs
    self.outputs = outputs
    self.conventions = conventions
    self.degrees = degrees
    self.direct = direct
    try NetworkSpec.check(hidden)
    try conventions.check(columns: inputs - contextInputs, context: contextInputs)
    for part in parts {
      let size = size(part)
      if size.outputs * size.inputs > NetworkSpec.maxWeights {
        throw DiffeoError(
          .invalid,
          "a network layer of \(size.outputs) x \(size.inputs) weights was asked for, at most "
            + "\(NetworkSpec.maxWeights) are possible")
      }
    }
    if let degrees {
      guard conventions.layerNormEpsilon == 0 else {
        throw DiffeoError(
          .invalid,
          "layer_norm_epsilon is \(conventions.layerNormEpsilon), but this network is masked: over all units of a layer its "
            + "outputs would see every column")
      }
      for i in hidden.indices.dropFirst() where conventions.continues(i) && degrees.hidden[i] != degrees.hidden[i - 1] {
        throw DiffeoError(
          .format,
          "hidden layers \(i - 1) and \(i) are the same units, without a matrix between them, but have different degrees"
        )
      }
    }
  }

  static func check(_ hidden: [Int]) throws(DiffeoError) {
    try Limit.check("network.hidden_count", hidden.count)
    for (i, width) in hidden.enumerated() { try Limit.check("network.hidden", width, name: "hidden[\(i)]") }
  }

  // MARK: - Parts

  /// What has parameters. i is a hidden layer, for `layer` also their number: the outputs.
  enum Part: Equatable {
    /// A link of the chain from the inputs to the outputs. Inner and outer are of the block of a hidden layer.
    case layer(Int), inner(Int), outer(Int)
    /// What the context adds to the sums of the layer before it here, or multiplies them by; `shift` is of the inputs.
    case shift, blockShift(Int), gate(Int)
    /// What is done to the numbers of the layer before it here, one by one, after they were normalised over all of them if
    /// layers are.
    case normalization(Int), innerNormalization(Int)
    /// From the inputs to the outputs.
    case direct

    var isLink: Bool {
      switch self {
      case .layer, .inner, .outer: true
      default: false
      }
    }
    var isNormalization: Bool {
      switch self {
      case .normalization, .innerNormalization: true
      default: false
      }
    }
    var isOuter: Bool {
      if case .outer = self { true } else { false }
    }
  }

  /// In the order of the parameters.
  var parts: [Part] {
    let normalizesLayers = conventions.layerNormEpsilon > 0
    var parts: [Part] = []
    for i in 0...hidden.count {
      if i == hidden.count || !conventions.continues(i) { parts.append(.layer(i)) }
      if i == 0, conventions.contextMode == .shift { parts.append(.shift) }
      if i == hidden.count { continue }
      // Whatever is activated.
      if conventions.normalized || normalizesLayers && conventions.blocks != .residual {
        parts.append(.normalization(i))
      }
      if conventions.blocks == .plain { continue }
      parts.append(.inner(i))
      if conventions.contextMode.shiftsBlocks { parts.append(.blockShift(i)) }
      if normalizesLayers { parts.append(.innerNormalization(i)) }
      parts.append(.outer(i))
      if conventions.contextMode == .gate { parts.append(.gate(i)) }
    }
    return parts + (direct ? [.direct] : [])
  }

  /// Whether the part leads to the outputs, which see only what has a lower degree.
  func seesLower(_ part: Part) -> Bool { part == .layer(hidden.count) || part == .direct }

  /// Inputs that the first layer reads: with shifts the context is not among them.
  var firstInputs: Int { inputs - (conventions.contextMode == .shift ? contextInputs : 0) }

  func size(_ part: Part) -> (inputs: Int, outputs: Int) {
    switch part {
    case .layer(let i):
      (i == 0 ? firstInputs : hidden[i - 1], i == hidden.count ? outputs : hidden[i])
    case .inner(let i), .outer(let i): (hidden[i], hidden[i])
    case .shift: (contextInputs, hidden[0])
    case .blockShift(let i), .gate(let i): (contextInputs, hidden[i])
    case .normalization(let i), .innerNormalization(let i): (1, hidden[i])
    case .direct: (inputs, outputs)
    }
  }

  /// Of its inputs and outputs, if there are any.
  func degrees(_ part: Part) -> (inputs: [Int], outputs: [Int])? {
    guard let d = degrees else { return nil }
    let context = [Int](repeating: 0, count: contextInputs)
    return switch part {
    case .layer(let i):
      (
        i == 0 ? Array(d.inputs.prefix(firstInputs)) : d.hidden[i - 1], i == hidden.count ? d.outputs : d.hidden[i]
      )
    case .inner(let i), .outer(let i): (d.hidden[i], d.hidden[i])
    case .shift: (context, d.hidden[0])
    case .blockShift(let i), .gate(let i): (context, d.hidden[i])
    case .normalization(let i), .innerNormalization(let i): ([0], d.hidden[i])
    case .direct: (d.inputs, d.outputs)
    }
  }

  func slots(_ part: Part) -> [ParameterSlot] {
    let (inputs, outputs) = size(part)
    let weight = { (name: String) in ParameterSlot("network/\(name)/weight", [outputs, inputs], .weight) }
    let vector = { (name: String) in ParameterSlot("network/\(name)", [outputs], .vector) }
    let both = { (name: String) in [weight(name), vector("\(name)/bias")] }
    return switch part {
    case .layer(let i): both("\(i)")
    case .inner(let i): both("\(i)/inner")
    case .outer(let i): both("\(i)/outer")
    case .shift: both("context")
    case .blockShift(let i): [weight("\(i)/context")]
    case .gate(let i): both("\(i)/gate")
    case .normalization(let i): ["scale", "shift"].map { vector("\(i)/\($0)") }
    case .innerNormalization(let i): ["scale", "shift"].map { vector("\(i)/inner/\($0)") }
    case .direct: [weight("direct")]
    }
  }

  var slots: [ParameterSlot] { parts.flatMap(slots) }

  var parameterCount: Int { slots.reduce(0) { $0 + $1.count } }

  /// Random hidden weights and biases, both uniform within 1 / sqrt(fan-in), fan-in being the inputs that the mask lets
  /// through, as PyTorch has them (measured against others: docs/learning.md). So have outputs if `outputs` is nil. Else
  /// their weights, of direct connections too, are a hundredth of variance 1 / fan-in, so that outputs are near their
  /// biases, which take the values of `outputs` again and again, or 0. What blocks add begins as small, so that they
  /// begin near the identity.
  func initialise<S: Scalar>(
    _ parameters: UnsafeMutablePointer<S>, outputs values: [Double]?, _ random: inout Philox
  ) {
    var p = parameters
    /// Gives the bound of each bias that goes with the weights.
    func draw(_ part: Part) -> [Double] {
      let (size, degrees) = (size(part), degrees(part))
      var bounds: [Double] = []
      let isSmall = seesLower(part) && values != nil || part.isOuter
      for o in 0..<size.outputs {
        let seen = (0..<size.inputs).map { k in
          guard let degrees else { return true }
          return seesLower(part)
            ? degrees.outputs[o] > degrees.inputs[k] : degrees.outputs[o] >= degrees.inputs[k]
        }
        let fanIn = seen.reduce(0) { $0 + ($1 ? 1 : 0) }
        let bound = ((isSmall ? 3e-4 : 1) / Double(max(fanIn, 1))).squareRoot()
        bounds.append(isSmall ? 0 : bound)
        for k in 0..<size.inputs { p[k] = seen[k] ? S(bound * (2 * random.uniform() - 1)) : 0 }
        p += size.inputs
      }
      return bounds
    }
    for part in parts {
      let outputs = size(part).outputs
      if part.isNormalization {
        p.update(repeating: 1, count: outputs)
        (p + outputs).update(repeating: 0, count: outputs)
        p += 2 * outputs
        continue
      }
      let bounds = draw(part)
      if slots(part).count < 2 { continue }
      for o in 0..<outputs {
        p[o] =
          if part == .layer(hidden.count), let values, !values.isEmpty {
            S(values[o % values.count])
          } else {
            S(bounds[o] * (2 * random.uniform() - 1))
          }
      }
      p += outputs
    }
  }

  var summary: String { conventions.summary + (direct ? ", direct connections" : "") }
}

extension Activation {
  static let names = Names<Activation>([
    (.relu, "relu"), (.tanh, "tanh"), (.elu, "elu"), (.silu, "silu"), (.leakyReLU, "leaky_relu"),
    (.softplus, "softplus"), (.sigmoid, "sigmoid"), (.gelu, "gelu"), (.geluErf, "gelu_erf"),
    (.mish, "mish"), (.hardSilu, "hard_silu"),
  ])
  var name: String { Activation.names.name(self) }
}
