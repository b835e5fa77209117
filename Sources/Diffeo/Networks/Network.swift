import KernelInterface

/// A network prepared for the kernels. Its inputs and outputs are in sorted order (see DenseLayer): the caller gathers
/// the ones and scatters the others.
struct Network<S: Scalar>: BitwiseCopyable {
  let activation: Activation
  /// Of the layers with biases, one after the other; the direct connections, if there are any, are one more.
  let layerCount: Int
  let layers: UnsafeMutablePointer<DenseLayer<S>>
  let hasDirect: Bool

  /// What a pullback needs of a forward pass.
  struct Tape: BitwiseCopyable {
    let input: UnsafePointer<S>
    /// For each hidden layer its input and output of the activation; the same where the derivative needs no input.
    let hidden: UnsafeMutablePointer<(before: UnsafeMutablePointer<S>, after: UnsafeMutablePointer<S>)>
  }

  init(_ spec: NetworkSpec, offset: Int, slot: Int, pool: Pool) throws(DiffeoError) {
    activation = spec.activation
    layerCount = spec.hidden.count + 1
    hasDirect = spec.direct
    layers = try pool.take(layerCount + (spec.direct ? 1 : 0))
    var offset = offset
    let inputOrder = Network.order(spec.inputs, spec.degrees?.inputs)
    var columnOrder = inputOrder
    for (i, size) in spec.layerSizes.enumerated() {
      let degrees = spec.layerDegrees(i)
      let rowOrder = Network.order(size.outputs, degrees?.outputs)
      layers[i] = try DenseLayer(
        offset: offset, slot: slot + 2 * i, rowOrder: rowOrder, columnOrder: columnOrder,
        limits: Network.limits(rowOrder, columnOrder, degrees, strict: i == layerCount - 1), pool: pool)
      offset += size.outputs * (size.inputs + 1)
      columnOrder = rowOrder
    }
    if spec.direct {
      let degrees = spec.degrees.map { (inputs: $0.inputs, outputs: $0.outputs) }
      layers[layerCount] = try DenseLayer(
        offset: offset, slot: slot + 2 * layerCount, rowOrder: columnOrder, columnOrder: inputOrder,
        limits: Network.limits(columnOrder, inputOrder, degrees, strict: true), hasBias: false, pool: pool)
    }
  }

  /// How many sorted columns each sorted row sees: those of no higher, or strictly of lower degree.
  private static func limits(
    _ rowOrder: [Int32], _ columnOrder: [Int32], _ degrees: (inputs: [Int], outputs: [Int])?, strict: Bool
  ) -> [Int32] {
    guard let degrees else { return [Int32](repeating: Int32(columnOrder.count), count: rowOrder.count) }
    var limit = 0
    return rowOrder.map { row in
      let degree = degrees.outputs[Int(row)] + (strict ? 0 : 1)
      while limit < columnOrder.count, degrees.inputs[Int(columnOrder[limit])] < degree { limit += 1 }
      return Int32(limit)
    }
  }

  /// By degree, ties as they are.
  private static func order(_ count: Int, _ degrees: [Int]?) -> [Int32] {
    let order = (0..<Int32(count))
    guard let degrees else { return Array(order) }
    return order.sorted { (degrees[Int($0)], $0) < (degrees[Int($1)], $1) }
  }

  var matrixCount: Int { layerCount + (hasDirect ? 1 : 0) }
  var denseLayers: [DenseLayer<S>] { (0..<matrixCount).map { layers[$0] } }
  var direct: DenseLayer<S>? { hasDirect ? layers[layerCount] : nil }
  var inputs: Int { layers[0].inputs }
  var outputs: Int { layers[layerCount - 1].outputs }

  func prepare(_ parameters: UnsafePointer<S>) {
    for i in 0..<matrixCount { layers[i].prepare(parameters) }
  }

  /// The outputs, in scratch memory. With `recording` all that a pullback needs stays there too; else the tape is void.
  func forward(
    _ input: UnsafePointer<S>, _ stride: Int, _ scratch: Scratch, recording: Bool
  ) throws(DiffeoError) -> (output: UnsafeMutablePointer<S>, tape: Tape) {
    let output = try scratch.take(PackedMatrix<S>.padded(outputs) * stride, of: S.self)
    let mark = scratch.mark
    let tape = try newTape(input, scratch)
    var x = input
    for i in 0..<layerCount - 1 {
      let size = PackedMatrix<S>.padded(layers[i].outputs) * stride
      let before = try scratch.take(size, of: S.self)
      let after = recording && activation.needsInput ? try scratch.take(size, of: S.self) : before
      if activation == .relu {
        layers[i].forward.apply(x, before, stride, lower: 0)
      } else {
        layers[i].forward.apply(x, before, stride)
        S.kernels.activate(activation, layers[i].outputs * stride, before, after)
      }
      tape.hidden[i] = (before, after)
      x = UnsafePointer(after)
    }
    layers[layerCount - 1].forward.apply(x, output, stride)
    if let direct {
      // Summed by themselves, as piece by piece (Incremental), where neither of the two sums is ready before the other.
      let sums = try scratch.take(PackedMatrix<S>.padded(outputs) * stride, of: S.self)
      direct.forward.apply(input, sums, stride)
      S.kernels.add(outputs * stride, sums, output)
    }
    if !recording { scratch.release(to: mark) }
    return (output, tape)
  }

  func newTape(_ input: UnsafePointer<S>, _ scratch: Scratch) throws(DiffeoError) -> Tape {
    Tape(input: input, hidden: try scratch.take(max(layerCount - 1, 1)))
  }

  /// From dL/doutputs to dL/dinputs, in scratch memory; gradients of the parameters go to `sink`.
  func pullback(
    _ tape: Tape, _ gOutput: UnsafePointer<S>, _ stride: Int, _ scratch: Scratch,
    _ sink: GradientSink<S>?
  ) throws(DiffeoError) -> UnsafeMutablePointer<S> {
    var g = gOutput
    for i in Swift.stride(from: layerCount - 1, through: 0, by: -1) {
      let x = i == 0 ? tape.input : UnsafePointer(tape.hidden[i - 1].after)
      sink?.outer(layers[i], g, x, stride)
      let gIn = try scratch.take(PackedMatrix<S>.padded(layers[i].inputs) * stride, of: S.self)
      layers[i].backward.apply(g, gIn, stride)
      if i == 0 {
        if let direct {
          sink?.outer(direct, gOutput, tape.input, stride)
          direct.backward.add(gOutput, gIn, stride)
        }
        return gIn
      }
      let (before, after) = tape.hidden[i - 1]
      S.kernels.activatePullback(activation, layers[i].inputs * stride, before, after, gIn)
      g = UnsafePointer(gIn)
    }
    return UnsafeMutablePointer(mutating: g)
  }
}
