import KernelInterface

/// The sums over rows that make up the gradient vector. Tiles that are worked on one after the other are summed in place,
/// those that other threads work on at the same time by themselves, and added to it in their order: the same bits either
/// way.
final class GradientSums<S: Scalar> {
  private enum Job {
    /// Sorted outputs of a dense layer; of several that share their weights, those of one minibatch after the other.
    case dense([DenseLayer<S>], Range<Int>)
    case vector(slot: Int, count: Int)
  }

  private let gradient: UnsafeMutablePointer<S>
  private let pool = Pool()
  /// Where each slot is summed: in the gradient vector, but for dense layers that are not sorted; and then for each tile
  /// that is summed by itself.
  private let sums: UnsafeMutablePointer<UnsafeMutablePointer<S>>
  private let slotCount: Int
  private var jobs: [Job] = []
  /// Of what the jobs give to the gradient.
  private let squares: UnsafeMutablePointer<Double>

  /// ownSums: the most tiles that are summed by themselves.
  init(
    _ spec: FlowSpec, _ model: Model<S>, into gradient: UnsafeMutablePointer<S>, ownSums: Int
  ) throws(DiffeoError) {
    self.gradient = gradient
    let slots = spec.slots.flatMap(\.slots)
    slotCount = slots.count
    sums = try pool.take(max((1 + ownSums) * slotCount, 1))
    for i in 0..<slotCount { sums[i] = gradient + slots[i].offset }
    var dense = Set<Int>()
    for (_, sharing) in Dictionary(grouping: model.denseLayers, by: \.slot).sorted(by: { $0.key < $1.key }) {
      let layer = sharing[0]
      dense.insert(layer.slot)
      if layer.hasBias { dense.insert(layer.slot + 1) }
      if !Self.isInPlace(sharing) {
        sums[layer.slot] = try pool.take(slots[layer.slot].count)
        if layer.hasBias { sums[layer.slot + 1] = try pool.take(slots[layer.slot + 1].count) }
      }
      for first in Swift.stride(from: 0, to: layer.outputs, by: 64) {
        jobs.append(.dense(sharing, first..<min(first + 64, layer.outputs)))
      }
    }
    for (i, slot) in slots.enumerated() where slot.role != .constant && !dense.contains(i) {
      jobs.append(.vector(slot: i, count: slot.count))
    }
    squares = try pool.take(max(jobs.count, 1))
    for tile in 1..<(1 + ownSums) {
      let own = try pool.take(spec.parameterCount, of: S.self)
      for i in 0..<slotCount { sums[tile * slotCount + i] = own + slots[i].offset }
    }
  }

  private static func isInPlace(_ sharing: [DenseLayer<S>]) -> Bool { sharing.count == 1 && sharing[0].isSorted }

  /// For a tile of so many rows. own 0: it is summed in place, and adds to the sum of those before it, if there are any;
  /// else by itself under this number.
  func sink(own: Int, rows: Int, adds: Bool) -> GradientSink<S> {
    GradientSink(sums: sums + own * slotCount, rows: rows, adds: adds)
  }

  /// Adds what so many tiles have summed by themselves. Then, `last` says, the gradient is complete: gives the sum of
  /// its squares.
  func finish(ownSums: Int, minibatch: Int, last: Bool, _ workspace: Workspace) throws(DiffeoError) -> Double {
    try workspace.forEach(jobs.count) { i, _ throws(DiffeoError) in
      squares[i] = 0
      switch jobs[i] {
      case .vector(let slot, let count):
        add(slot, 0..<count, ownSums)
        squares[i] = S.kernels.sumOfSquares(count, sums[slot])
      case .dense(let sharing, let outputs):
        let layer = sharing[minibatch % sharing.count]
        for o in outputs { squares[i] += finish(layer, o, ownSums) }
        if layer.hasBias {
          add(layer.slot + 1, outputs, ownSums)
          squares[i] += S.kernels.sumOfSquares(outputs.count, sums[layer.slot + 1] + outputs.lowerBound)
        }
        if last, !Self.isInPlace(sharing) { scatter(layer, outputs, shared: sharing.count > 1) }
      }
    }
    var total = 0.0
    for i in 0..<jobs.count { total += squares[i] }
    return total
  }

  private func add(_ slot: Int, _ range: Range<Int>, _ ownSums: Int) {
    for own in 1..<(1 + ownSums) {
      S.kernels.add(range.count, sums[own * slotCount + slot] + range.lowerBound, sums[slot] + range.lowerBound)
    }
  }

  /// One sorted output: masked weights have no gradient. Gives the sum of its squares.
  private func finish(_ layer: DenseLayer<S>, _ output: Int, _ ownSums: Int) -> Double {
    let (begin, limit) = (output * layer.inputs, Int(layer.limits[output]))
    let width = GradientSink<S>.inputsTouched(by: output, of: layer)
    add(layer.slot, begin..<begin + limit, ownSums)
    let row = sums[layer.slot] + begin
    (row + limit).update(repeating: 0, count: width - limit)
    return S.kernels.sumOfSquares(width, row)
  }

  /// From sorted order to that of the parameters.
  private func scatter(_ layer: DenseLayer<S>, _ outputs: Range<Int>, shared: Bool) {
    for o in outputs {
      let row = gradient + layer.offset + Int(layer.rowOrder[o]) * layer.inputs
      let sum = sums[layer.slot] + o * layer.inputs
      // What another one's mask shows and this one's hides.
      if shared { row.update(repeating: 0, count: layer.inputs) }
      for k in 0..<Int(layer.limits[o]) { row[Int(layer.columnOrder[k])] = sum[k] }
      if layer.hasBias { gradient[layer.biasOffset + Int(layer.rowOrder[o])] = sums[layer.slot + 1][o] }
    }
  }
}
