/// Rows of a batch in the caller's memory, row-major, and the context: none, one row for all, or a row each.
package struct Batch<T: Scalar> {
  package let rows: Int
  let x: UnsafePointer<T>?
  let context: UnsafePointer<T>?
  let contextIsShared: Bool
  /// Of each row, in training; nil for 1 each.
  package var weights: UnsafePointer<T>?

  package init(rows: Int, x: UnsafePointer<T>?, context: UnsafePointer<T>?, contextIsShared: Bool) {
    self.rows = rows
    self.x = x
    self.context = context
    self.contextIsShared = contextIsShared
  }
}

extension Pass {
  /// Padding rows become the last one: where places are lanes as well sums run over them, with cotangents of 0, which
  /// they stay if all numbers are as finite as those of the rows.
  @inline(__always)
  func repeatLastRow(_ count: Int) {
    if count == stride || count == 0 { return }
    for i in 0..<dim {
      (x + i * stride + count).update(repeating: x[i * stride + count - 1], count: stride - count)
    }
    for i in 0..<contextDim {
      (context + i * stride + count).update(repeating: context[i * stride + count - 1], count: stride - count)
    }
  }

  /// Fills in rows of a batch.
  @inline(__always)
  mutating func load<T: Scalar>(_ batch: Batch<T>, _ range: Range<Int>, contextDim: Int) {
    if let source = batch.x {
      Tiling.load(source + range.lowerBound * dim, range.count, dim, x, stride)
    }
    contextIsShared = batch.contextIsShared
    if let source = batch.context {
      if batch.contextIsShared {
        Tiling.spread(source, contextDim, context, stride)
      } else {
        Tiling.load(
          source + range.lowerBound * contextDim, range.count, contextDim, context, stride)
      }
    }
  }
}
