import KernelInterface

/// From what pullbacks left row by row to the gradient vector. Each number of the gradient is a sum over the rows of the
/// minibatch in their order, made by one thread: the same bits for any number of threads.
final class GradientReduction<S: Scalar> {
  /// Rows that are kept at a time; longer minibatches are reduced piece by piece.
  static var maxRows: Int { 512 }

  private enum Job {
    /// Sorted outputs of a dense layer; of several that share their weights, those of one minibatch after the other.
    case dense([DenseLayer<S>], Range<Int>)
    case vector(slot: Int, offset: Int, count: Int)
  }

  private let pool = Pool()
  private let storage: UnsafeMutablePointer<GradientSink<S>.Storage>
  private var jobs: [Job] = []

  var jobCount: Int { jobs.count }

  init(_ spec: FlowSpec, _ model: Model<S>, rows: Int) throws(DiffeoError) {
    let slots = spec.slots.flatMap(\.slots)
    storage = try pool.take(max(slots.count, 1))
    var dense = Set<Int>()
    for (_, sharing) in Dictionary(grouping: model.denseLayers, by: \.slot).sorted(by: { $0.key < $1.key }) {
      let layer = sharing[0]
      dense.insert(layer.slot)
      if layer.hasBias { dense.insert(layer.slot + 1) }
      let (dStride, xStride) = (Self.stride(layer.outputs), Self.stride(layer.inputs))
      storage[layer.slot] = .init(
        d: try pool.take(rows * dStride), dStride: dStride, x: try pool.take(rows * xStride),
        xStride: xStride)
      for first in Swift.stride(from: 0, to: layer.outputs, by: 64) {
        jobs.append(.dense(sharing, first..<min(first + 64, layer.outputs)))
      }
    }
    for (i, slot) in slots.enumerated() where slot.role != .constant && !dense.contains(i) {
      let stride = Self.stride(slot.count)
      let d = try pool.take(rows * stride, of: S.self)
      storage[i] = .init(d: d, dStride: stride, x: d, xStride: stride)
      jobs.append(.vector(slot: i, offset: slot.offset, count: slot.count))
    }
  }

  /// Whole cache lines, an odd number of them: rows that are a power of two apart would fall on the same cache sets.
  private static func stride(_ width: Int) -> Int {
    let line = 64 / MemoryLayout<S>.stride
    return ((width + line - 1) / line | 1) * line
  }

  func sink(firstRow: Int, rows: Int) -> GradientSink<S> {
    GradientSink(storage: storage, firstRow: firstRow, rows: rows)
  }

  /// Adds `rows` rows to the gradient, or begins it with them.
  func run(
    _ job: Int, rows: Int, minibatch: Int, into gradient: UnsafeMutablePointer<S>, accumulate: Bool,
    _ scratch: Scratch
  ) throws(DiffeoError) {
    switch jobs[job] {
    case .vector(let slot, let offset, let count):
      S.kernels.columnSums(
        rows, storage[slot].d, storage[slot].dStride, count, gradient + offset, accumulate)
    case .dense(let sharing, let outputs):
      let layer = sharing[minibatch % sharing.count]
      let s = storage[layer.slot]
      if sharing.count > 1, !accumulate {
        // What another one's mask shows and this one's hides.
        for r in outputs {
          (gradient + layer.offset + Int(layer.rowOrder[r]) * layer.inputs).update(repeating: 0, count: layer.inputs)
        }
      }
      if layer.hasBias { biases(layer, s, outputs, rows, gradient + layer.biasOffset, accumulate) }
      for first in Swift.stride(from: outputs.lowerBound, to: outputs.upperBound, by: 32) {
        let end = min(first + 32, outputs.upperBound)
        try panel(layer, s, first..<end, rows, gradient + layer.offset, accumulate, scratch)
      }
    }
  }

  private func biases(
    _ layer: DenseLayer<S>, _ s: GradientSink<S>.Storage, _ outputs: Range<Int>, _ rows: Int,
    _ gradient: UnsafeMutablePointer<S>, _ accumulate: Bool
  ) {
    if layer.isSorted {
      let first = outputs.lowerBound
      S.kernels.columnSums(rows, s.d + first, s.dStride, outputs.count, gradient + first, accumulate)
    } else {
      for r in outputs {
        S.kernels.columnSums(rows, s.d + r, s.dStride, 1, gradient + Int(layer.rowOrder[r]), accumulate)
      }
    }
  }

  private func panel(
    _ layer: DenseLayer<S>, _ s: GradientSink<S>.Storage, _ outputs: Range<Int>, _ rows: Int,
    _ gradient: UnsafeMutablePointer<S>, _ accumulate: Bool, _ scratch: Scratch
  ) throws(DiffeoError) {
    let limit = Int(layer.limits[outputs.upperBound - 1])
    if limit == 0 { return }
    // The masked ones behind it cost the kernel less than numbers that do not fill a vector.
    let width = min(Tiling.wholeVectors(limit, S.self), layer.inputs)
    let first = outputs.lowerBound
    if layer.isSorted {
      let target = gradient + first * layer.inputs
      S.kernels.outer(
        rows, s.d + first, s.dStride, outputs.count, s.x, s.xStride, width, target, layer.inputs,
        accumulate)
      for r in outputs {
        let limit = Int(layer.limits[r])
        (target + (r - first) * layer.inputs + limit).update(repeating: 0, count: width - limit)
      }
    } else {
      let sorted = try scratch.take(outputs.count * width, of: S.self)
      for r in outputs where accumulate {
        let row = gradient + Int(layer.rowOrder[r]) * layer.inputs
        for k in 0..<width { sorted[(r - first) * width + k] = row[Int(layer.columnOrder[k])] }
      }
      S.kernels.outer(
        rows, s.d + first, s.dStride, outputs.count, s.x, s.xStride, width, sorted, width,
        accumulate)
      for r in outputs {
        let row = gradient + Int(layer.rowOrder[r]) * layer.inputs
        for k in 0..<Int(layer.limits[r]) {
          row[Int(layer.columnOrder[k])] = sorted[(r - first) * width + k]
        }
      }
    }
  }
}
