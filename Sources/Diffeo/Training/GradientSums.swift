import KernelInterface

/// The sums over rows that make up the gradient vector: one for all threads, to which each tile adds when it is its turn.
final class GradientSums<S: Scalar> {
  private enum Job {
    /// Sorted outputs of a dense layer; of several that share their weights, those of one minibatch after the other.
    case dense([DenseLayer<S>], Range<Int>)
    case vector(slot: Int, offset: Int, count: Int)
  }

  /// What is pulled back of a MADE whose masks share their weights.
  enum Masks {
    /// One, by the number of the minibatch.
    case inTurns
    /// All; their sums are added up in the end.
    case together
  }

  private let gradient: UnsafeMutablePointer<S>
  private let slotCount: Int
  /// Of masks that are together, their number, and the slots that each sums for itself.
  private let tables: Int
  private let shared: Range<Int>
  private let pool = Pool()
  /// Where each slot is summed: in the gradient vector, but for dense layers that are not sorted. Of all masks, those of
  /// one after those of the other.
  private let sums: UnsafeMutablePointer<UnsafeMutablePointer<S>>
  private let turns: Turns
  private var jobs: [Job] = []
  /// Of what the jobs give to the gradient.
  private let squares: UnsafeMutablePointer<Double>

  init(
    _ spec: FlowSpec, _ model: Model<S>, into gradient: UnsafeMutablePointer<S>, masks: Masks
  ) throws(DiffeoError) {
    self.gradient = gradient
    let slots = spec.slots.flatMap(\.slots)
    slotCount = slots.count
    let layers = Dictionary(grouping: model.denseLayers, by: \.slot).sorted { $0.key < $1.key }
    // Masks are those of the base, which comes last.
    tables = masks == .together ? layers.map(\.value.count).max() ?? 1 : 1
    shared = tables == 1 ? slots.count..<slots.count : slots.count - (spec.slots.last?.slots.count ?? 0)..<slots.count
    turns = try Turns(tables * slotCount, pool: pool)
    sums = try pool.take(max(tables * slotCount, 1))
    for i in slots.indices { sums[i] = gradient + slots[i].offset }
    for i in shared {
      for m in 0..<tables { sums[m * slotCount + i] = try pool.take(slots[i].count) }
    }
    var dense = Set<Int>()
    for (_, sharing) in layers {
      let layer = sharing[0]
      dense.insert(layer.slot)
      if layer.hasBias { dense.insert(layer.slot + 1) }
      // Rows of different masks are sorted differently: what is added up is one job.
      let together = shared.contains(layer.slot)
      if !Self.isInPlace(sharing), !together {
        sums[layer.slot] = try pool.take(slots[layer.slot].count)
        if layer.hasBias { sums[layer.slot + 1] = try pool.take(slots[layer.slot + 1].count) }
      }
      let width = together ? layer.outputs : 64
      for first in Swift.stride(from: 0, to: layer.outputs, by: width) {
        jobs.append(.dense(sharing, first..<min(first + width, layer.outputs)))
      }
    }
    for (i, slot) in slots.enumerated() where slot.role != .constant && !dense.contains(i) {
      jobs.append(.vector(slot: i, offset: slot.offset, count: slot.count))
    }
    squares = try pool.take(max(jobs.count, 1))
  }

  private static func isInPlace(_ sharing: [DenseLayer<S>]) -> Bool { sharing.count == 1 && sharing[0].isSorted }

  /// Tiles 0, 1, ... are to come.
  func begin() { turns.begin() }

  /// One of them will not: nobody is to wait for it.
  func fail() { turns.fail() }

  /// For a tile of so many rows; adds: to sums there already.
  func sink(tile: Int, rows: Int, adds: Bool) -> GradientSink<S> {
    GradientSink(sums: sums, turns: turns, tile: tile, rows: rows, adds: adds, slots: slotCount)
  }

  /// When all tiles have been added: the gradient is complete. Gives the sum of its squares; of masks that are together
  /// nothing.
  func finish(minibatch: Int, _ workspace: Workspace) throws(DiffeoError) -> Double {
    try workspace.forEach(jobs.count) { i, _ throws(DiffeoError) in
      squares[i] = 0
      switch jobs[i] {
      case .vector(let slot, let offset, let count) where shared.contains(slot):
        (gradient + offset).update(from: sums[slot], count: count)
        for m in 1..<tables { S.kernels.add(count, sums[m * slotCount + slot], gradient + offset) }
      case .vector(let slot, _, let count):
        squares[i] = S.kernels.sumOfSquares(count, sums[slot])
      case .dense(let sharing, let outputs) where shared.contains(sharing[0].slot):
        addUp(sharing, outputs)
      case .dense(let sharing, let outputs):
        let layer = sharing[minibatch % sharing.count]
        for o in outputs { squares[i] += finish(layer, o) }
        if layer.hasBias {
          squares[i] += S.kernels.sumOfSquares(outputs.count, sums[layer.slot + 1] + outputs.lowerBound)
        }
        if !Self.isInPlace(sharing) { scatter(layer, outputs, shared: sharing.count > 1) }
      }
    }
    var total = 0.0
    for i in 0..<jobs.count { total += squares[i] }
    return total
  }

  /// One sorted output: masked weights have no gradient. Gives the sum of its squares.
  private func finish(_ layer: DenseLayer<S>, _ output: Int) -> Double {
    let (begin, limit) = (output * layer.inputs, Int(layer.limits[output]))
    let width = GradientSink<S>.inputsTouched(by: output, of: layer)
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

  private func addUp(_ sharing: [DenseLayer<S>], _ outputs: Range<Int>) {
    let layer = sharing[0]
    (gradient + layer.offset).update(repeating: 0, count: outputs.count * layer.inputs)
    if layer.hasBias { (gradient + layer.biasOffset).update(repeating: 0, count: outputs.count) }
    for (m, layer) in sharing.enumerated() {
      let own = sums + m * slotCount
      for o in outputs {
        let row = gradient + layer.offset + Int(layer.rowOrder[o]) * layer.inputs
        let sum = own[layer.slot] + o * layer.inputs
        for k in 0..<Int(layer.limits[o]) { row[Int(layer.columnOrder[k])] += sum[k] }
        if layer.hasBias { gradient[layer.biasOffset + Int(layer.rowOrder[o])] += own[layer.slot + 1][o] }
      }
    }
  }
}
