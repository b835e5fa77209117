import KernelInterface

/// One layer of weights, prepared for the kernels. Inside, units are *sorted*: by degree, if there are degrees, else as
/// they are. Sorted row r sees the sorted columns 0..<limits[r].
struct DenseLayer<S: Scalar>: BitwiseCopyable {
  let inputs: Int
  let outputs: Int
  /// Sorted position -> place in the weight file.
  let rowOrder: UnsafePointer<Int32>
  let columnOrder: UnsafePointer<Int32>
  /// Whether both orders change nothing.
  let isSorted: Bool
  let limits: UnsafePointer<Int32>
  /// W x + b, and W^T g; the second only where it is prepared, too (see Model).
  let forward: PackedMatrix<S>
  let backward: PackedMatrix<S>
  /// Tiles are of whole vectors always: `backward` is never used, and empty.
  private let wholeVectors: Bool
  /// Of the weights in the parameter vector, [outputs, inputs]; the biases, if there are any, follow.
  let offset: Int
  /// Of the weights among the slots of the flow, for gradients.
  let slot: Int
  let hasBias: Bool

  var biasOffset: Int { offset + outputs * inputs }

  init(
    offset: Int, slot: Int, rowOrder: [Int32], columnOrder: [Int32], limits: [Int32], hasBias: Bool = true,
    wholeVectors: Bool = false, pool: Pool
  ) throws(DiffeoError) {
    let rows = rowOrder.count
    inputs = columnOrder.count
    outputs = rows
    self.offset = offset
    self.slot = slot
    self.hasBias = hasBias
    self.wholeVectors = wholeVectors
    self.rowOrder = try pool.copy(rowOrder)
    self.columnOrder = try pool.copy(columnOrder)
    self.limits = try pool.copy(limits)
    isSorted =
      rowOrder.enumerated().allSatisfy { $0.offset == $0.element }
      && columnOrder.enumerated().allSatisfy { $0.offset == $0.element }
    forward = try PackedMatrix(rows: rows, pool: pool) { 0..<Int(limits[$0]) }
    // Limits ascend, so the rows that see column k are the last ones.
    backward = try PackedMatrix(rows: wholeVectors ? 0 : inputs, pool: pool) { k in
      limits.partitionPoint { $0 > k }..<rows
    }
  }

  /// x = W^T g, or x += W^T g. Whole vectors of rows take `forward` for it, a few rows `backward`: the bits are the same.
  func pull(_ g: UnsafePointer<S>, _ x: UnsafeMutablePointer<S>, _ stride: Int, adds: Bool = false) {
    if stride % S.kernels.lanes == 0 {
      S.kernels.denseTransposed(forward.panels, forward.weights, forward.panelCount, inputs, g, x, stride, adds)
    } else if adds {
      backward.add(g, x, stride)
    } else {
      backward.apply(g, x, stride)
    }
  }

  /// A matrix [outputs, inputs] that sees all of its inputs.
  init(
    full outputs: Int, _ inputs: Int, offset: Int, slot: Int, hasBias: Bool = true, wholeVectors: Bool = false,
    pool: Pool
  ) throws(DiffeoError) {
    try self.init(
      offset: offset, slot: slot, rowOrder: Array(0..<Int32(outputs)), columnOrder: Array(0..<Int32(inputs)),
      limits: [Int32](repeating: Int32(inputs), count: outputs), hasBias: hasBias, wholeVectors: wholeVectors,
      pool: pool)
  }

  /// Packs the present parameters of the flow.
  func prepare(_ parameters: UnsafePointer<S>) { pack(parameters + offset, bias: parameters + biasOffset) }

  /// bias: not read where there is none.
  func pack(_ source: UnsafePointer<S>, bias: UnsafePointer<S>) {
    for p in 0..<forward.panelCount {
      let panel = forward.panels[p]
      let target = forward.weights + panel.offset
      let rows = min(8, outputs - 8 * p)
      // A panel is its rows, transposed.
      if isSorted { S.kernels.transpose(source + 8 * p * inputs, rows, inputs, panel.end, target + 8, 8) }
      for o in 0..<rows {
        let r = 8 * p + o
        if hasBias { target[o] = bias[Int(rowOrder[r])] }
        let limit = Int(limits[r])
        if isSorted {
          for k in limit..<panel.end { target[8 * (1 + k) + o] = 0 }
        } else {
          let row = source + Int(rowOrder[r]) * inputs
          for k in 0..<limit { target[8 * (1 + k) + o] = row[Int(columnOrder[k])] }
        }
      }
    }
  }

  /// Packs the transposed matrix of the present parameters.
  func prepareBackward(_ parameters: UnsafePointer<S>) { packBackward(parameters + offset) }

  // Called where the type is not known: without these it takes three times as long.
  @_specialize(where S == Float)
  @_specialize(where S == Double)
  func packBackward(_ source: UnsafePointer<S>) {
    if wholeVectors { return }
    // A few panels at a time: a row is read by whole lines of the cache, from where it may be far away.
    for first in stride(from: 0, to: backward.panelCount, by: 4) {
      let group = first..<min(first + 4, backward.panelCount)
      for r in backward.panels[first].begin..<backward.panels[first].end {
        let row = source + Int(rowOrder[r]) * inputs
        let limit = Int(limits[r])
        for p in group where backward.panels[p].begin <= r && r < backward.panels[p].end {
          let cells = backward.weights + backward.panels[p].offset + 8 * (1 + r - backward.panels[p].begin)
          if isSorted, 8 * p + 8 <= limit {
            cells.update(from: row + 8 * p, count: 8)
          } else {
            for o in 0..<min(8, inputs - 8 * p) {
              cells[o] = 8 * p + o < limit ? row[Int(columnOrder[8 * p + o])] : 0
            }
          }
        }
      }
    }
  }
}
