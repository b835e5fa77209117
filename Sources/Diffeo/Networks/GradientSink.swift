import KernelInterface

/// Where pullbacks add up the gradients of parameters over the rows of a tile. Tiles are added in their order, whichever
/// thread they are on, so that a sum has the same bits for any number of threads.
struct GradientSink<S: Scalar>: BitwiseCopyable {
  /// For each slot of the flow. That of a dense layer is in the sorted order of its rows and columns (see DenseLayer).
  let sums: UnsafePointer<UnsafeMutablePointer<S>>
  /// Of the slots, for tiles.
  let turns: Turns
  let tile: Int
  let rows: Int
  /// Whether sums go on; else they begin with this tile.
  let adds: Bool
  /// Slots of the flow; those of the masks of a MADE follow, where all of them are pulled back (GradientSums.Masks).
  let slots: Int
  /// The first slot of the mask at hand.
  private(set) var first = 0

  /// For the dense layers of one of several masks.
  func mask(_ number: Int) -> GradientSink {
    var sink = self
    sink.first = number * slots
    return sink
  }

  /// The gradient of a dense layer is the sum over rows of d x^T, and of d for the biases; d = dL/doutputs and the inputs
  /// x are tiles.
  func outer(
    _ layer: DenseLayer<S>, _ d: UnsafePointer<S>, _ x: UnsafePointer<S>, _ stride: Int, _ scratch: Scratch
  ) throws(DiffeoError) {
    if layer.hasBias { sum(layer.slot + 1, d, layer.outputs, stride) }
    let mark = scratch.mark
    let operands = try OuterOperands(layer, d, x, rows, stride, scratch)
    let slot = first + layer.slot
    turns.take(slot, turn: tile) { operands.multiply(into: sums[slot], adds: adds) }
    scratch.release(to: mark)
  }

  /// How many numbers of an output of a dense layer `outer` touches: those that are masked are to be replaced by zeros.
  static func inputsTouched(by output: Int, of layer: DenseLayer<S>) -> Int {
    min(Tiling.wholeVectors(Int(layer.limits[min(output | 7, layer.outputs - 1)]), S.self), layer.inputs)
  }

  /// The gradient of a vector is the sum over rows of `contributions`, a tile.
  func sum(_ slot: Int, _ contributions: UnsafePointer<S>, _ count: Int, _ stride: Int) {
    let slot = first + slot
    turns.take(slot, turn: tile) {
      S.kernels.rowSums(count, contributions, stride, rows, sums[slot], adds)
    }
  }

  /// The gradient of a slot is what a tile has summed by itself.
  func add(_ slot: Int, _ values: UnsafePointer<S>, _ count: Int) {
    let slot = first + slot
    turns.take(slot, turn: tile) {
      if adds { S.kernels.add(count, values, sums[slot]) } else { sums[slot].update(from: values, count: count) }
    }
  }
}

/// d and x of the gradient of a dense layer, over some rows of two tiles, as `KernelTable.outer` wants them: in scratch
/// memory, where they are not so already.
struct OuterOperands<S: Scalar>: BitwiseCopyable {
  private let layer: DenseLayer<S>
  private let rows: Int
  private let d: UnsafePointer<S>
  private let stride: Int
  private let blocks: UnsafeMutablePointer<S>

  init(
    _ layer: DenseLayer<S>, _ d: UnsafePointer<S>, _ x: UnsafePointer<S>, _ rows: Int, _ stride: Int,
    _ scratch: Scratch
  ) throws(DiffeoError) {
    self.layer = layer
    (self.rows, self.d, self.stride) = (rows, d, stride)
    let width = S.kernels.outerColumns
    blocks = try scratch.take((layer.inputs + width - 1) / width * width * rows)
    for k in Swift.stride(from: 0, to: layer.inputs, by: width) {
      S.kernels.transpose(x + k * stride, min(width, layer.inputs - k), stride, rows, blocks + k * rows, width)
    }
  }

  func multiply(into sums: UnsafeMutablePointer<S>, adds: Bool) {
    S.kernels.outer(rows, d, stride, layer.outputs, layer.limits, blocks, layer.inputs, sums, layer.inputs, adds)
  }
}
