import KernelInterface

/// A dense network, or a masked one (MADE): inputs -> hidden layers -> outputs, with biases, an activation after every
/// hidden layer and none after the outputs.
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
  let hidden: [Int]
  let outputs: Int
  let activation: Activation
  var degrees: Degrees?
  let direct: Bool

  static let maxHiddenLayers = 16
  static let maxWidth = 65_536
  /// So that no product of sizes overflows, and no declared size asks for absurd memory before a file is read.
  static let maxWeights = 1 << 26

  init(
    inputs: Int, hidden: [Int], outputs: Int, activation: Activation, degrees: Degrees? = nil, direct: Bool = false
  ) throws(DiffeoError) {
    try NetworkSpec.check(hidden)
    let sizes = [inputs] + hidden + [outputs]
    let pairs = Array(zip(sizes, sizes.dropFirst())) + (direct ? [(inputs, outputs)] : [])
    for (a, b) in pairs where a * b > NetworkSpec.maxWeights {
      throw DiffeoError(
        .invalid,
        "a network layer of \(b) x \(a) weights was asked for, at most \(NetworkSpec.maxWeights) are possible"
      )
    }
    self.inputs = inputs
    self.hidden = hidden
    self.outputs = outputs
    self.activation = activation
    self.degrees = degrees
    self.direct = direct
  }

  static func check(_ hidden: [Int]) throws(DiffeoError) {
    guard hidden.count <= maxHiddenLayers else {
      throw DiffeoError(
        .invalid, "\(hidden.count) hidden layers were asked for, at most \(maxHiddenLayers) are possible")
    }
    for (i, width) in hidden.enumerated() where width < 1 || width > maxWidth {
      throw DiffeoError(.invalid, "hidden layer \(i) has width \(width), it must be 1 to \(maxWidth)")
    }
  }

  /// Sizes of the layers of weights, input first.
  var layerSizes: [(inputs: Int, outputs: Int)] {
    Array(zip([inputs] + hidden, hidden + [outputs])).map { (inputs: $0.0, outputs: $0.1) }
  }

  /// Degrees of the inputs and outputs of layer i, if there are any.
  func layerDegrees(_ i: Int) -> (inputs: [Int], outputs: [Int])? {
    degrees.map { d in
      (i == 0 ? d.inputs : d.hidden[i - 1], i == hidden.count ? d.outputs : d.hidden[i])
    }
  }

  var slots: [ParameterSlot] {
    layerSizes.enumerated().flatMap { i, size in
      [
        ParameterSlot("network/\(i)/weight", [size.outputs, size.inputs], .weight),
        ParameterSlot("network/\(i)/bias", [size.outputs], .vector),
      ]
    } + (direct ? [ParameterSlot("network/direct/weight", [outputs, inputs], .weight)] : [])
  }

  var parameterCount: Int { slots.reduce(0) { $0 + $1.count } }

  /// Random hidden weights, uniform with variance 2 / fan-in for rectifiers and 1 / fan-in otherwise (He et al. 2015),
  /// fan-in being the inputs that the mask lets through; outputs, of direct connections too, a hundredth of that, so that
  /// they are near their biases, which take the values of `outputs` again and again; other biases 0.
  func initialise<S: Scalar>(
    _ parameters: UnsafeMutablePointer<S>, outputs values: [Double], _ random: inout Philox
  ) {
    var p = parameters
    let gain: Double
    switch activation {
    case .relu, .leakyReLU, .elu, .silu, .gelu, .softplus: gain = 2
    case .tanh, .sigmoid: gain = 1
    }
    func draw(_ size: (inputs: Int, outputs: Int), _ degrees: (inputs: [Int], outputs: [Int])?, last: Bool) {
      for o in 0..<size.outputs {
        let seen = (0..<size.inputs).map { k in
          guard let degrees else { return true }
          return last
            ? degrees.outputs[o] > degrees.inputs[k] : degrees.outputs[o] >= degrees.inputs[k]
        }
        let fanIn = seen.reduce(0) { $0 + ($1 ? 1 : 0) }
        let bound = (3 * (last ? 1e-4 : gain) / Double(max(fanIn, 1))).squareRoot()
        for k in 0..<size.inputs { p[k] = seen[k] ? S(bound * (2 * random.uniform() - 1)) : 0 }
        p += size.inputs
      }
    }
    for (i, size) in layerSizes.enumerated() {
      let last = i == hidden.count
      draw(size, layerDegrees(i), last: last)
      for o in 0..<size.outputs { p[o] = last && !values.isEmpty ? S(values[o % values.count]) : 0 }
      p += size.outputs
    }
    if direct { draw((inputs, outputs), degrees.map { ($0.inputs, $0.outputs) }, last: true) }
  }

  var summary: String {
    (hidden.isEmpty
      ? "linear" : "hidden \(hidden.map(String.init).joined(separator: " x ")) \(activation.name)")
      + (direct ? ", direct connections" : "")
  }
}

extension Activation {
  private static let names: [(Activation, String)] = [
    (.relu, "relu"), (.tanh, "tanh"), (.elu, "elu"), (.silu, "silu"), (.leakyReLU, "leaky_relu"),
    (.softplus, "softplus"), (.sigmoid, "sigmoid"), (.gelu, "gelu"),
  ]
  var name: String { Activation.names.first { $0.0 == self }?.1 ?? "?" }

  init(name: String) throws(DiffeoError) {
    guard let match = Activation.names.first(where: { $0.1 == name }) else {
      throw DiffeoError(.format, "the activation '\(name)' is not known")
    }
    self = match.0
  }
}
