import KernelInterface

/// A matrix as the kernel `dense` wants it: rows in panels of eight, each panel over the columns begin..<end in which one
/// of its rows is not masked. A degree-sorted MADE is block-triangular this way and costs half of a dense matrix.
struct PackedMatrix<S: Scalar>: BitwiseCopyable {
  let rows: Int
  let panelCount: Int
  let panels: UnsafeMutablePointer<Panel>
  let weights: UnsafeMutablePointer<S>

  /// Rows of an output tile: whole panels.
  static func padded(_ rows: Int) -> Int { (rows + 7) & ~7 }

  /// `extent(row)` is the range of columns that are not masked.
  init(rows: Int, pool: Pool, extent: (Int) -> Range<Int>) throws(DiffeoError) {
    self.rows = rows
    panelCount = PackedMatrix.padded(rows) / 8
    panels = try pool.take(panelCount)
    var offset = 0
    for p in 0..<panelCount {
      var begin = Int.max
      var end = 0
      for row in 8 * p..<min(8 * p + 8, rows) {
        let range = extent(row)
        if range.isEmpty { continue }
        begin = min(begin, range.lowerBound)
        end = max(end, range.upperBound)
      }
      panels[p] = Panel(offset: offset, begin: min(begin, end), end: end, outputs: min(8, rows - 8 * p))
      // Zeros up to a multiple of 8: denseTransposed takes 8 columns at a time.
      offset += 8 * (1 + PackedMatrix.padded(end) - panels[p].begin)
    }
    weights = try pool.take(offset)
  }

  /// y = W x + b, no less than `lower`, for all rows, or for the panels first..<last and the columns from..<to only (see KernelTable.dense).
  @inline(__always)
  func apply(_ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>, _ stride: Int, lower: Double = -.infinity) {
    S.kernels.dense(panels, weights, 0, panelCount, 0, Int.max, true, lower, x, y, stride)
  }

  /// y += W x
  @inline(__always)
  func add(_ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>, _ stride: Int) {
    S.kernels.dense(panels, weights, 0, panelCount, 0, Int.max, false, -.infinity, x, y, stride)
  }

  /// y += W x, or with the bias y = W x + b, for some panels and columns only.
  @inline(__always)
  func accumulate(
    _ panels: Range<Int>, _ columns: Range<Int>, fromBias: Bool, _ x: UnsafePointer<S>, _ y: UnsafeMutablePointer<S>,
    _ stride: Int
  ) {
    S.kernels.dense(
      self.panels, weights, panels.lowerBound, panels.upperBound, columns.lowerBound, columns.upperBound, fromBias,
      -.infinity, x, y, stride)
  }
}
