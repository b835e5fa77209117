import KernelInterface

/// What a tile gives to the gradient of a matrix that goes over its lanes in pieces (LaneChunks): summed here, and added to
/// the others once, so that no tile waits for another between two pieces.
struct LaneSums<S: Scalar>: BitwiseCopyable {
  let layer: DenseLayer<S>
  /// Of a tile that is one piece, which goes to the others at once.
  private let only: GradientSink<S>?
  /// [outputs][inputs]
  let weights: UnsafeMutablePointer<S>
  let bias: UnsafeMutablePointer<S>

  /// only: where a tile that is one piece has its sums.
  init(_ layer: DenseLayer<S>, only: GradientSink<S>? = nil, _ scratch: Scratch) throws(DiffeoError) {
    self.layer = layer
    self.only = only
    if only != nil {
      (weights, bias) = (try scratch.take(0), try scratch.take(0))
      return
    }
    // Behind the limit of a row `outer` may write.
    let size = layer.outputs * layer.inputs + S.kernels.lanes
    weights = try scratch.take(size)
    weights.update(repeating: 0, count: size)
    bias = try scratch.take(layer.outputs)
    bias.update(repeating: 0, count: layer.outputs)
  }

  /// Adds d x^T, and d for the biases, over the first `lanes` lanes of two buffers.
  func add(
    _ d: UnsafePointer<S>, _ x: UnsafePointer<S>, lanes: Int, width: Int, _ scratch: Scratch
  ) throws(DiffeoError) {
    if let only { return try only.outer(layer, d, x, width, scratch) }
    if layer.hasBias { S.kernels.rowSums(layer.outputs, d, width, lanes, bias, true) }
    if layer.inputs == 0 { return }
    let mark = scratch.mark
    try OuterOperands(layer, d, x, lanes, width, scratch).multiply(into: weights, adds: true)
    scratch.release(to: mark)
  }

  func finish(_ sink: GradientSink<S>) {
    if only != nil { return }
    sink.add(layer.slot, weights, layer.outputs * layer.inputs)
    if layer.hasBias { sink.add(layer.slot + 1, bias, layer.outputs) }
  }
}
