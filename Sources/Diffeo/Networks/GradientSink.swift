import KernelInterface

/// Where pullbacks leave what the gradients of parameters are made of, row by row. The sums over rows are taken later
/// and in the order of the rows, so that they have the same bits however the rows were split over threads.
struct GradientSink<S: Scalar>: BitwiseCopyable {
  /// For one slot of the flow: row-major, a row of the minibatch after the other.
  struct Storage: BitwiseCopyable {
    /// dL/doutputs of a dense layer, or what each row adds to the gradient of a vector.
    var d: UnsafeMutablePointer<S>
    var dStride: Int
    /// Inputs of a dense layer.
    var x: UnsafeMutablePointer<S>
    var xStride: Int
  }

  /// Indexed by slot.
  let storage: UnsafePointer<Storage>
  /// Of this tile within the storage.
  let firstRow: Int
  let rows: Int

  /// The gradient of a dense layer is the sum over rows of d x^T, and of d for the biases.
  func outer(
    _ layer: DenseLayer<S>, _ d: UnsafePointer<S>, _ x: UnsafePointer<S>, _ stride: Int
  ) {
    let s = storage[layer.slot]
    S.kernels.transpose(d, layer.outputs, stride, rows, s.d + firstRow * s.dStride, s.dStride)
    S.kernels.transpose(x, layer.inputs, stride, rows, s.x + firstRow * s.xStride, s.xStride)
  }

  /// The gradient of a vector is the sum over rows of `contributions`, a tile.
  func sum(_ slot: Int, _ contributions: UnsafePointer<S>, _ count: Int, _ stride: Int) {
    let s = storage[slot]
    S.kernels.transpose(contributions, count, stride, rows, s.d + firstRow * s.dStride, s.dStride)
  }
}
